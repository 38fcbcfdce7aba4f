package account

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"time"

	"cryptogramm.ru/cryptogramm/store"
)

// SessionLife is how long a session lasts from login, used or not.
const SessionLife = 12 * time.Hour

// secretLen is the length of cookies and tokens: 32 random octets as text.
const secretLen = 43

func newSecret() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// NewSession starts a session and returns its cookie. consignment, when not
// empty, is the only one a guest may see. lifetime 0, or above SessionLife,
// is SessionLife.
func (a *Accounts) NewSession(ctx context.Context, userID, consignment string, lifetime time.Duration) (cookie string, err error) {
	if lifetime <= 0 || lifetime > SessionLife {
		lifetime = SessionLife
	}
	cookie, now := newSecret(), a.now()
	err = a.DB.AddSession(ctx, store.Session{
		Token: digest(cookie), User: userID, Consignment: consignment, Created: now, Expires: now.Add(lifetime),
	})
	if err != nil {
		return "", err
	}
	return cookie, nil
}

// Session is the session of a cookie with its user. ErrNoSession when there is
// none or it is over.
func (a *Accounts) Session(ctx context.Context, cookie string) (*store.Session, *store.User, error) {
	if len(cookie) != secretLen {
		return nil, nil, ErrNoSession
	}
	s, err := a.DB.SessionByToken(ctx, digest(cookie))
	if absent(err) || (err == nil && !a.now().Before(s.Expires)) {
		return nil, nil, ErrNoSession
	}
	if err != nil {
		return nil, nil, err
	}
	u, err := a.DB.UserByID(ctx, s.User)
	if absent(err) {
		return nil, nil, ErrNoSession
	}
	if err != nil {
		return nil, nil, err
	}
	return s, u, nil
}

// EndSession logs out. A cookie that opens nothing is no error.
func (a *Accounts) EndSession(ctx context.Context, cookie string) error {
	err := a.DB.DeleteSession(ctx, digest(cookie))
	if absent(err) {
		return nil
	}
	return err
}

// WatchLogins calls f when the logins of a user may have ended, here or on
// another node, until stop; LoggedIn tells. f returns at once.
func (a *Accounts) WatchLogins(userID string, f func()) (stop func()) {
	return a.DB.WatchLogins(userID, f)
}

// LoggedIn reports whether who logged in when the user's Logins were these still
// is: a new password and EndSessions end that.
func (a *Accounts) LoggedIn(ctx context.Context, userID string, logins int64) (bool, error) {
	n, err := a.DB.Logins(ctx, userID)
	if absent(err) {
		return false, nil
	}
	return err == nil && n == logins, err
}

// absent is any of the store's ways to say that a secret opens nothing.
func absent(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExpired) || errors.Is(err, store.ErrUsed)
}
