package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// UserCertificate is a certificate registered to an account.
type UserCertificate struct {
	User                    string
	SHA256                  rem.Digest
	DER                     []byte
	Subject, Issuer, Serial string
	NotAfter, Added         time.Time
}

// AddUserCertificate registers a certificate: ErrExists when the user has it.
// The digest is taken of DER here.
func (db *DB) AddUserCertificate(ctx context.Context, c UserCertificate) error {
	c.SHA256 = rem.DigestOf(c.DER)
	err := db.write(ctx, func(t *tx) error {
		if c.Added.IsZero() {
			c.Added = t.now
		}
		if err := t.addCertificates(c.DER); err != nil {
			return err
		}
		_, err := t.insert(insertion{
			into: "user_certificates (account, sha256, subject, issuer, serial, not_after, added)",
			rows: [][]any{{c.User, c.SHA256, c.Subject, c.Issuer, c.Serial, c.NotAfter, c.Added}},
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("register certificate: %w", err)
	}
	return nil
}

// addCertificates keeps certificates under their digests, each once. Their
// order keeps transactions that add the same ones from waiting for each other.
func (t *tx) addCertificates(ders ...[]byte) error {
	slices.SortFunc(ders, bytes.Compare)
	rows := make([][]any, len(ders))
	for i, der := range ders {
		rows[i] = []any{rem.DigestOf(der), der}
	}
	_, err := t.insert(insertion{into: "certificates (sha256, der)", on: "ON CONFLICT DO NOTHING", rows: rows})
	return err
}

// UserCertificates lists a user's certificates, the oldest registration first.
func (db *DB) UserCertificates(ctx context.Context, user string) ([]UserCertificate, error) {
	row := func(c *UserCertificate) []any {
		return []any{&c.User, octets{&c.SHA256}, &c.DER, &c.Subject, &c.Issuer, &c.Serial, instant{&c.NotAfter}, instant{&c.Added}}
	}
	out, err := list(db.read(ctx), row, `SELECT u.account, u.sha256, c.der, u.subject, u.issuer, u.serial, u.not_after, u.added
		FROM user_certificates u JOIN certificates c ON c.sha256 = u.sha256
		WHERE u.account = $1 ORDER BY u.added, u.sha256`, user)
	if err != nil {
		return nil, fmt.Errorf("certificates of %s: %w", user, err)
	}
	return out, nil
}

// RemoveUserCertificate ends a registration: ErrNotFound. The certificate
// itself stays, signatures may name it.
func (db *DB) RemoveUserCertificate(ctx context.Context, user string, sha rem.Digest) error {
	err := db.write(ctx, func(t *tx) error {
		return t.changeOne("DELETE FROM user_certificates WHERE account = $1 AND sha256 = $2", user, sha)
	})
	if err != nil {
		return fmt.Errorf("remove certificate of %s: %w", user, err)
	}
	return nil
}

// Session is a login of the web view. Only the digest of its secret is kept.
type Session struct {
	Token            rem.Digest
	User             string
	Consignment      string // a guest's session sees this consignment alone
	Created, Expires time.Time
}

// AddSession adds a session and drops those that have expired.
func (db *DB) AddSession(ctx context.Context, s Session) error {
	err := db.write(ctx, func(t *tx) error {
		if s.Created.IsZero() {
			s.Created = t.now
		}
		if _, err := t.exec("DELETE FROM sessions WHERE expires <= $1", t.now); err != nil {
			return err
		}
		_, err := t.insert(insertion{
			into: "sessions (token, account, consignment, created, expires)",
			rows: [][]any{{s.Token, s.User, s.Consignment, s.Created, s.Expires}},
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("add session: %w", err)
	}
	return nil
}

// SessionByToken finds a session that has not expired: ErrNotFound.
func (db *DB) SessionByToken(ctx context.Context, d rem.Digest) (*Session, error) {
	var s Session
	err := db.read(ctx).get([]any{octets{&s.Token}, &s.User, &s.Consignment, instant{&s.Created}, instant{&s.Expires}},
		"SELECT token, account, consignment, created, expires FROM sessions WHERE token = $1 AND expires > $2", d, db.now())
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	return &s, nil
}

// DeleteSession ends a session; an unknown one is no error.
func (db *DB) DeleteSession(ctx context.Context, d rem.Digest) error {
	err := db.write(ctx, func(t *tx) error {
		_, err := t.exec("DELETE FROM sessions WHERE token = $1", d)
		return err
	})
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// Token is something that may be used once. Only the digest of its secret is kept.
type Token struct {
	Hash                rem.Digest
	Kind, Subject, Data string
	Expires             time.Time
}

// AddToken adds a token and drops those that expired a day ago: ErrExists.
func (db *DB) AddToken(ctx context.Context, k Token) error {
	err := db.write(ctx, func(t *tx) error {
		if _, err := t.exec("DELETE FROM tokens WHERE expires <= $1", t.now.Add(-24*time.Hour)); err != nil {
			return err
		}
		_, err := t.insert(insertion{
			into: "tokens (kind, hash, subject, data, expires, used)",
			rows: [][]any{{k.Kind, k.Hash, k.Subject, k.Data, k.Expires, 0}},
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("add %s token: %w", k.Kind, err)
	}
	return nil
}

// TokenByHash finds a token that may still be used: ErrNotFound.
func (db *DB) TokenByHash(ctx context.Context, kind string, d rem.Digest) (*Token, error) {
	k := Token{Kind: kind, Hash: d}
	err := db.read(ctx).get([]any{&k.Subject, &k.Data, instant{&k.Expires}},
		"SELECT subject, data, expires FROM tokens WHERE kind = $1 AND hash = $2 AND used = 0 AND expires > $3", kind, d, db.now())
	if err != nil {
		return nil, fmt.Errorf("%s token: %w", kind, err)
	}
	return &k, nil
}

// UseToken uses a token up. Of any number of parallel calls one succeeds, the
// others get ErrUsed; an unknown or expired token is ErrNotFound.
func (db *DB) UseToken(ctx context.Context, kind string, d rem.Digest) (*Token, error) {
	var k Token
	err := db.write(ctx, func(t *tx) (err error) {
		k, err = t.useToken(kind, d)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("use %s token: %w", kind, err)
	}
	return &k, nil
}

func (t *tx) useToken(kind string, d rem.Digest) (Token, error) {
	k := Token{Kind: kind, Hash: d}
	err := t.get([]any{&k.Subject, &k.Data, instant{&k.Expires}}, `UPDATE tokens SET used = $3
		WHERE kind = $1 AND hash = $2 AND used = 0 AND expires > $3 RETURNING subject, data, expires`, kind, d, t.now)
	if !errors.Is(err, ErrNotFound) {
		return k, err
	}
	var used int64
	if err := t.get([]any{&used}, "SELECT used FROM tokens WHERE kind = $1 AND hash = $2", kind, d); err != nil {
		return k, err
	}
	if used != 0 {
		return k, ErrUsed
	}
	return k, ErrNotFound
}

// failureMemory is how long failures are kept, whatever their budget.
const failureMemory = 7 * 24 * time.Hour

// Failures counts the failures noted under a key since a time.
func (db *DB) Failures(ctx context.Context, key string, since time.Time) (int, error) {
	var n int
	err := db.read(ctx).get([]any{&n}, "SELECT COUNT(*) FROM failures WHERE subject = $1 AND time >= $2", key, since)
	if err != nil {
		return 0, fmt.Errorf("failures: %w", err)
	}
	return n, nil
}

// AddFailure notes a failure now and forgets those of a week ago.
func (db *DB) AddFailure(ctx context.Context, key string) error {
	err := db.write(ctx, func(t *tx) error {
		if _, err := t.exec("DELETE FROM failures WHERE time < $1", t.now.Add(-failureMemory)); err != nil {
			return err
		}
		_, err := t.insert(insertion{into: "failures (subject, time)", rows: [][]any{{key, t.now}}})
		return err
	})
	if err != nil {
		return fmt.Errorf("add failure: %w", err)
	}
	return nil
}

// ClearFailures forgets a key's failures.
func (db *DB) ClearFailures(ctx context.Context, key string) error {
	err := db.write(ctx, func(t *tx) error {
		_, err := t.exec("DELETE FROM failures WHERE subject = $1", key)
		return err
	})
	if err != nil {
		return fmt.Errorf("clear failures: %w", err)
	}
	return nil
}
