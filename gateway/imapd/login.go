package imapd

import (
	"errors"
	"time"

	"cryptogramm.ru/cryptogramm/store"
)

// errEnded: the account has a new password, or its owner ended all logins.
var errEnded = errors.New("the login has ended")

// errDoubt interrupts waiting for the client, to look whether it is still
// logged in.
var errDoubt = errors.New("the login may have ended")

// doubtful is how long a login is believed without a look, whatever the watch
// says: it hears of other processes on PostgreSQL alone.
const doubtful = time.Minute

// login is who is logged in on a connection.
type login struct {
	user    *store.User
	checked time.Time
	unwatch func()
}

// loggedIn begins a login. It is in doubt at first: it may have ended between
// the look at the password and the watch.
func (c *conn) loggedIn(u *store.User) {
	c.doubt = true
	c.login = &login{user: u}
	c.login.unwatch = c.srv.Accounts.WatchLogins(u.ID, c.suspect)
}

// suspect has the connection look whether its login has ended: at once when
// the client is between two commands, IDLE among them, else before the next.
func (c *conn) suspect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doubt = true
	if c.between {
		c.raw.SetReadDeadline(time.Unix(1, 0))
	}
}

// goesOn reports whether the client may say more. When that cannot be found out
// it may not.
func (c *conn) goesOn() bool {
	l := c.login
	if l == nil {
		return true
	}
	c.mu.Lock()
	look := c.doubt || time.Since(l.checked) > doubtful
	c.doubt = false
	c.mu.Unlock()
	if !look {
		return true
	}
	ok, err := c.srv.Accounts.LoggedIn(c.srv.ctx, l.user.ID, l.user.Logins)
	if err != nil {
		c.srv.Log.Error("imap login", "account", l.user.ID, "peer", c.peer, "error", err)
	}
	l.checked = time.Now()
	return ok && err == nil
}
