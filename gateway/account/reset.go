package account

import (
	"context"
	"errors"
	"time"

	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// ResetLife is how long a link to a new password works.
const ResetLife = time.Hour

// BeginReset makes the token of a link to a new password, as BeginRegistration
// makes that of a registration: "" when no mail is due, and an address without
// an account, or of a guest, is treated like any other. Whether a mail goes out
// at all is found by ResetUser, when nobody waits for the answer any more.
// ErrAddress, ErrThrottled.
func (a *Accounts) BeginReset(ctx context.Context, m Mailing) (token string, err error) {
	return a.begin(ctx, m, store.Token{Kind: kindReset, Subject: rem.FoldAddress(m.Address), Data: m.Language, Expires: a.now().Add(ResetLife)})
}

// ResetUser is the claimed account whose password a link may change: nil for an
// address that has none.
func (a *Accounts) ResetUser(ctx context.Context, address string) (*store.User, error) {
	u, err := a.DB.UserByAddress(ctx, address)
	switch {
	case errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrText) || err == nil && !u.Claimed:
		return nil, nil
	case err != nil:
		return nil, err
	}
	return u, nil
}

// ResetAddress is the address that a reset link was mailed to, for the form
// that redeems it. ErrToken.
func (a *Accounts) ResetAddress(ctx context.Context, token string) (string, error) {
	t, err := a.token(ctx, kindReset, token)
	if err != nil {
		return "", err
	}
	u, err := a.ResetUser(ctx, t.Subject)
	if err == nil && u == nil {
		err = badToken(store.ErrNotFound)
	}
	return t.Subject, err
}

// Reset is what the owner of a mailbox hands in after following a reset link.
type Reset struct {
	Token    string
	Password string
	Jobs     func(*store.User) []store.Job // what follows, such as telling him; added with the change
}

// Reset sets a new password, once for a token. It ends every session of the
// account and every other reset link of it, and forgets the failures counted
// against its addresses. ErrToken, ErrPassword, ErrBusy.
func (a *Accounts) Reset(ctx context.Context, r Reset) (*store.User, error) {
	hash, err := a.redeemHash(ctx, kindReset, r.Token, r.Password)
	if err != nil {
		return nil, err
	}
	u, err := a.DB.ResetPassword(ctx, store.PasswordReset{
		Kind: kindReset, Token: digest(r.Token), Password: hash, Failures: accountKey, Jobs: r.Jobs,
	})
	if err != nil {
		return nil, badToken(err)
	}
	a.Log.Info("password reset", "account", u.ID)
	return u, nil
}

// EndSessions ends every session of a user, at every browser and mail program.
func (a *Accounts) EndSessions(ctx context.Context, userID string) error {
	return a.DB.DeleteSessions(ctx, userID)
}
