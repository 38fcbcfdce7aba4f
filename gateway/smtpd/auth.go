package smtpd

import (
	"errors"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// login is who is logged in.
type login struct {
	account   string   // id
	logins    int64    // of the account then, see account.LoggedIn
	address   string   // as he gave it
	addresses []string // every confirmed one
}

// current is an error, a reply, when the login has ended meanwhile: the account
// has a new password, or its owner ended all logins.
func (s *session) current(l *login) *smtp.SMTPError {
	ok, err := s.srv.accounts.LoggedIn(s.srv.ctx, l.account, l.logins)
	switch {
	case err != nil:
		id := s.srv.newID()
		s.srv.log.Error("login", "id", id, "door", s.conn.door.Name, "peer", s.conn.peer, "error", err)
		return toReply(err, id)
	case !ok:
		return replyEnded()
	}
	return nil
}

func (l *login) owns(address string) bool {
	for _, a := range l.addresses {
		if rem.SameAddress(a, address) {
			return true
		}
	}
	return false
}

// AuthMechanisms is part of smtp.AuthSession. The engine runs on TLS alone.
func (s *session) AuthMechanisms() []string { return []string{sasl.Plain, sasl.Login} }

// Auth is part of smtp.AuthSession.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	switch mechanism {
	case sasl.Plain:
		return &plainAuth{check: s.logIn}, nil
	case sasl.Login:
		return &loginAuth{check: s.logIn}, nil
	}
	return nil, say(504, smtp.EnhancedCode{5, 5, 4}, "Mechanisms are PLAIN and LOGIN")
}

// credentials are what a client hands in. Never logged.
type credentials struct{ authzid, authcid, password string }

func errSyntax() *smtp.SMTPError {
	return say(501, smtp.EnhancedCode{5, 5, 2}, "Not a response of this mechanism")
}

// logIn checks credentials. Failures are counted on the connection too, which
// is closed after a few: no client of ours goes on guessing.
func (s *session) logIn(c credentials) error {
	id := s.srv.newID()
	err := s.tryLogIn(c)
	if err == nil {
		s.conn.failures = 0
		s.conn.loggedIn = true
		return nil
	}
	s.conn.failures++
	if s.conn.failures >= s.srv.limits.AuthFailures || errors.Is(err, account.ErrThrottled) {
		s.conn.hangUp = true
	}
	r := toReply(err, id)
	if r.Code/100 == 4 {
		s.srv.log.Warn("login", "id", id, "door", s.conn.door.Name, "peer", s.conn.peer, "error", err)
	}
	return r
}

func (s *session) tryLogIn(c credentials) error {
	// Whatever is no address equals none, and is denied like a wrong one.
	address, _ := message.CanonicalAddress(c.authcid)
	authzid, _ := message.CanonicalAddress(c.authzid)
	// One account does not act for another (RFC 4616 §2).
	if authzid != "" && !rem.SameAddress(authzid, address) {
		return account.ErrDenied
	}
	u, err := s.srv.accounts.Login(s.srv.ctx, account.Login{
		Door: s.conn.door.Name, Peer: s.conn.peer, Address: address, Password: c.password,
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.who = &login{account: u.ID, logins: u.Logins, address: address, addresses: u.Addresses}
	return nil
}

// plainAuth is PLAIN: authzid NUL authcid NUL password (RFC 4616).
type plainAuth struct {
	check func(credentials) error
	done  bool
}

func (a *plainAuth) Next(response []byte) (challenge []byte, done bool, err error) {
	if a.done {
		return nil, false, errSyntax()
	}
	if response == nil {
		return []byte{}, false, nil
	}
	a.done = true
	f := strings.Split(string(response), "\x00")
	if len(f) != 3 || f[1] == "" || f[2] == "" {
		return nil, false, errSyntax()
	}
	return nil, true, a.check(credentials{f[0], f[1], f[2]})
}

// loginAuth is LOGIN: two prompts, as clients expect them word by word.
type loginAuth struct {
	check func(credentials) error
	asked int
	name  string
}

func (a *loginAuth) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil && a.asked == 0 {
		a.asked = 1
		return []byte("Username:"), false, nil
	}
	if len(response) == 0 || strings.ContainsRune(string(response), 0) {
		return nil, false, errSyntax()
	}
	if a.name == "" {
		a.name, a.asked = string(response), 2
		return []byte("Password:"), false, nil
	}
	return nil, true, a.check(credentials{authcid: a.name, password: string(response)})
}
