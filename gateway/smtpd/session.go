package smtpd

import (
	"io"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// session is one connection's state above the wire. Under BDAT the engine runs
// Data beside everything else, Reset and Logout included: what both touch is
// under mu, and Data works on a copy of the envelope.
type session struct {
	srv  *Server
	conn *conn

	mu     sync.Mutex
	who    *login
	tx     *transaction
	closed bool
}

// transaction is what MAIL began.
type transaction struct {
	id         string
	from       string
	utf8       bool // MAIL said SMTPUTF8
	recipients []string
	seen       map[string]bool // folded recipients
	began      time.Time
	taken      bool // the letter is Data's; it writes the event
}

// Mail begins a transaction. The reverse-path is an address of the login; the
// null sender has no business on a submission door.
func (s *session) Mail(from string, opts *smtp.MailOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	utf8 := opts != nil && opts.UTF8
	address, valid := message.CanonicalAddress(from)
	switch {
	case s.who == nil:
		return say(530, smtp.EnhancedCode{5, 7, 0}, "Authentication required")
	case s.tx != nil: // the engine would keep the recipients
		return say(503, smtp.EnhancedCode{5, 5, 1}, "A transaction is open already")
	case from == "":
		return say(550, smtp.EnhancedCode{5, 7, 1}, "A sender is required")
	case !valid:
		return say(501, smtp.EnhancedCode{5, 1, 7}, "Not a valid sender address")
	case !utf8 && beyondASCII(from):
		return replyNeedsUTF8()
	case !s.who.owns(address):
		return say(550, smtp.EnhancedCode{5, 7, 1}, "The sender is not an address of this account")
	case opts != nil && opts.Size > s.srv.letter:
		return replyTooLarge()
	}
	if ended := s.current(s.who); ended != nil {
		return ended
	}
	s.tx = &transaction{id: s.srv.newID(), from: address, utf8: utf8, seen: map[string]bool{}, began: time.Now()}
	s.conn.until = s.tx.began.Add(s.srv.limits.Transaction)
	return nil
}

// Rcpt adds a recipient. One named twice counts once.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	address, valid := message.CanonicalAddress(to)
	folded := rem.FoldAddress(address)
	switch {
	case s.tx == nil:
		return say(503, smtp.EnhancedCode{5, 5, 1}, "MAIL first")
	case !valid:
		return say(501, smtp.EnhancedCode{5, 1, 3}, "Not a valid recipient address")
	case !s.tx.utf8 && beyondASCII(to):
		return replyNeedsUTF8()
	case s.tx.seen[folded]:
		return nil
	case len(s.tx.recipients) >= s.srv.limits.Recipients:
		return say(452, smtp.EnhancedCode{4, 5, 3}, "Too many recipients")
	}
	s.tx.seen[folded] = true
	s.tx.recipients = append(s.tx.recipients, address)
	return nil
}

// beyondASCII: such an address comes only with SMTPUTF8 (RFC 6531 §3.4), its
// domain too unless it is written in A-labels.
func beyondASCII(a string) bool {
	return strings.ContainsFunc(a, func(r rune) bool { return r > '~' })
}

// Data takes one letter. It always returns a reply: the engine shows the text
// of any other error to the client.
func (s *session) Data(r io.Reader) (err error) {
	r = s.conn.letter(r)
	select {
	case s.conn.begun <- struct{}{}:
	default:
	}
	env, began, who := s.take()
	if who == nil {
		return say(503, smtp.EnhancedCode{5, 5, 1}, "No transaction is open")
	}
	defer s.srv.hall.Working.Done()
	e := event{env: env, began: began, body: &body{r: r}}
	defer func() {
		if p := recover(); p != nil {
			e.fault = p
			err = toReply(errPanic, env.ID)
			e.reply = toReply(errPanic, env.ID)
		}
		s.srv.record(&e)
	}()
	if e.reply = s.current(who); e.reply != nil {
		e.err = e.reply
		return e.reply
	}
	id, err := s.srv.receive(s.srv.ctx, env, e.body)
	if err != nil {
		e.err, e.reply = err, toReply(err, env.ID)
		return e.reply
	}
	e.id, e.reply = id, replyAccepted(id)
	return e.reply
}

// take copies the envelope of the open transaction, and says whose it is.
func (s *session) take() (rem.Envelope, time.Time, *login) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tx == nil || s.who == nil || s.closed || s.tx.taken || len(s.tx.recipients) == 0 {
		return rem.Envelope{}, time.Time{}, nil
	}
	s.tx.taken = true
	s.srv.hall.Working.Add(1) // the connection is open, so Shutdown still waits
	return s.envelope(), s.tx.began, s.who
}

func (s *session) envelope() rem.Envelope {
	return rem.Envelope{
		ID: s.tx.id, Account: s.who.account, Login: s.who.address,
		Addresses: append([]string(nil), s.who.addresses...), From: s.tx.from,
		Recipients: append([]string(nil), s.tx.recipients...),
		Peer:       s.conn.peer, TLS: s.conn.security, Door: s.conn.door.Name,
	}
}

// Reset ends the transaction: RSET, EHLO, or its last reply.
func (s *session) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abandon()
	s.conn.until = time.Time{}
}

// Logout ends the session with its connection.
func (s *session) Logout() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abandon()
	s.closed = true
	return nil
}

// abandon forgets the transaction, with an event if no letter came.
func (s *session) abandon() {
	if s.tx != nil && !s.tx.taken {
		s.srv.record(&event{env: s.envelope(), began: s.tx.began, abandoned: true})
	}
	s.tx = nil
}
