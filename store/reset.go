package store

import (
	"context"
	"fmt"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// PasswordReset is a new password for the account whose address a token names.
type PasswordReset struct {
	Kind     string                      // of the token, whose subject is the address
	Token    rem.Digest                  // used up
	Password string                      // encoded hash
	Failures func(address string) string // key of the failures to forget
	Jobs     func(u *User) []Job         // what follows, added in the same transaction
}

// ResetPassword uses the token up, sets the password, ends every login of
// the user, makes his other tokens of the kind useless and forgets the failures
// counted against him: all of it or nothing. ErrUsed as for UseToken;
// ErrNotFound also where the address has no claimed account.
func (db *DB) ResetPassword(ctx context.Context, r PasswordReset) (*User, error) {
	var u *User
	err := db.write(ctx, func(t *tx) (err error) {
		u, err = t.resetPassword(r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reset password: %w", err)
	}
	return u, nil
}

func (t *tx) resetPassword(r PasswordReset) (*User, error) {
	k, err := t.useToken(r.Kind, r.Token)
	if err != nil {
		return nil, err
	}
	u, err := t.userByAddress(k.Subject)
	if err != nil {
		return nil, err
	}
	if err := t.changeOne("UPDATE users SET password = $2 WHERE id = $1 AND claimed = 1", u.ID, r.Password); err != nil {
		return nil, err
	}
	if err := t.endLogins(u.ID); err != nil {
		return nil, err
	}
	for _, a := range u.Addresses {
		if _, err := t.exec("UPDATE tokens SET used = $3 WHERE kind = $1 AND subject = $2 AND used = 0", r.Kind, rem.FoldAddress(a), t.now); err != nil {
			return nil, err
		}
		if _, err := t.exec("DELETE FROM failures WHERE subject = $1", r.Failures(a)); err != nil {
			return nil, err
		}
	}
	return u, t.addJobs(r.Jobs(u))
}
