package imapd

import (
	"errors"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-sasl"

	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// Login is LOGIN (RFC 9051 §6.2.3). The engine runs on TLS alone.
func (s *session) Login(address, password string) error {
	return s.logIn(credentials{authcid: address, password: password})
}

// AuthenticateMechanisms is part of imapserver.SessionSASL.
func (s *session) AuthenticateMechanisms() []string { return []string{sasl.Plain} }

// Authenticate is part of imapserver.SessionSASL.
func (s *session) Authenticate(mechanism string) (sasl.Server, error) {
	if mechanism != sasl.Plain {
		return nil, &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeCannot, Text: "The mechanism is PLAIN"}
	}
	return &plainAuth{check: s.logIn}, nil
}

// credentials are what a client hands in. Never logged.
type credentials struct{ authzid, authcid, password string }

// logIn checks credentials. Failures are counted on the connection too, which
// is closed after a few: no client of ours goes on guessing.
func (s *session) logIn(c credentials) error {
	err := s.tryLogIn(c)
	if err == nil {
		s.conn.failures = 0
		return nil
	}
	s.conn.failures++
	if s.conn.failures >= s.srv.Limits.AuthFailures || errors.Is(err, account.ErrThrottled) {
		s.conn.hangUp = true
	}
	return s.no(err)
}

func (s *session) tryLogIn(c credentials) error {
	// Whatever is no address equals none, and is denied like a wrong one.
	address, _ := message.CanonicalAddress(c.authcid)
	authzid, _ := message.CanonicalAddress(c.authzid)
	// One account does not act for another (RFC 4616 §2).
	if authzid != "" && !rem.SameAddress(authzid, address) {
		return account.ErrDenied
	}
	u, err := s.srv.Accounts.Login(s.srv.ctx, account.Login{
		Door: s.conn.door.Name, Peer: s.conn.peer, Address: address, Password: c.password,
	})
	if err != nil {
		return err
	}
	if err := s.srv.Gateway.EnsureMailboxes(s.srv.ctx, u.ID); err != nil {
		return err
	}
	s.user = u
	s.conn.loggedIn(u)
	return nil
}

// plainAuth is PLAIN: authzid NUL authcid NUL password (RFC 4616).
type plainAuth struct {
	check func(credentials) error
	done  bool
}

// Next is part of sasl.Server.
func (a *plainAuth) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil && !a.done {
		return []byte{}, false, nil
	}
	f := strings.Split(string(response), "\x00")
	if a.done || len(f) != 3 || f[1] == "" || f[2] == "" {
		return nil, false, &imap.Error{Type: imap.StatusResponseTypeBad, Code: imap.ResponseCodeClientBug, Text: "Not a response of PLAIN"}
	}
	a.done = true
	return nil, true, a.check(credentials{f[0], f[1], f[2]})
}
