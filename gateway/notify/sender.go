package notify

import (
	"context"
	"errors"
	"sync"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// ErrNoTransport means that a Sender has neither outbox nor relay.
var ErrNoTransport = errors.New("no way to send mail is configured")

// ErrDestinationBusy means that as many mails as may be are on their way to the
// recipient's domain. Nothing was tried; the caller tries again in seconds and
// does not count this as a failed attempt.
var ErrDestinationBusy = errors.New("enough mails are on their way to this domain")

// Sender hands mail on: to a directory, to a relay, or to both. With both, the
// relay comes first and the directory keeps a copy of what it took. It may be
// used by many at once and must not be copied.
type Sender struct {
	Outbox string // directory of .eml files; "" for none
	Relay  *Relay // nil for none
	DKIM   *DKIM  // nil: mails are not signed

	// PerDestination is how many mails may be on their way through the relay to
	// one recipient domain at once, so that a slow one does not take every
	// hand; 2 when zero.
	PerDestination int

	mu    sync.Mutex
	taken map[string]int // places by folded domain
}

const perDestination = 2

// Send hands one mail, signed where DKIM says so, to every transport. It
// returns nil once each has taken responsibility for it; sending again after an
// error, or after a crash, is safe: it is the same mail under the same
// Message-ID.
//
// Errors: *PermanentError when trying again is useless, ErrDestinationBusy, else
// anything.
func (s *Sender) Send(ctx context.Context, from, to string, mail []byte, messageID string) error {
	if s.Relay == nil && s.Outbox == "" {
		return ErrNoTransport
	}
	if s.Relay != nil {
		leave, ok := s.place(rem.Domain(to))
		if !ok {
			return ErrDestinationBusy
		}
		defer leave()
	}
	if s.DKIM != nil {
		var err error
		if mail, err = s.DKIM.sign(mail); err != nil {
			return err
		}
	}
	if s.Relay != nil {
		if err := s.Relay.Send(ctx, from, to, mail); err != nil {
			return err
		}
	}
	if s.Outbox != "" {
		return outbox{s.Outbox, true}.write(mail, messageID)
	}
	return nil
}

// place takes one of a domain's places, if there is one.
func (s *Sender) place(domain string) (leave func(), ok bool) {
	most := s.PerDestination
	if most <= 0 {
		most = perDestination
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[domain] >= most {
		return nil, false
	}
	if s.taken == nil {
		s.taken = map[string]int{}
	}
	s.taken[domain]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.taken[domain]--; s.taken[domain] == 0 {
			delete(s.taken, domain)
		}
	}, true
}

// Copy lays a mail that was delivered here into the outbox, where there is one:
// it holds whatever we write to anybody. Nobody relies on it: it need not outlast
// a power cut.
func (s *Sender) Copy(mail []byte, messageID string) error {
	if s.Outbox == "" {
		return nil
	}
	return outbox{s.Outbox, false}.write(mail, messageID)
}
