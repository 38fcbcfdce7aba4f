package notify

import (
	"context"
	"errors"
)

// ErrNoTransport means that a Sender has neither outbox nor relay.
var ErrNoTransport = errors.New("no way to send mail is configured")

// Sender hands mail on: to a directory, to a relay, or to both. With both, the
// relay comes first and the directory keeps a copy of what it took.
type Sender struct {
	Outbox string // directory of .eml files; "" for none
	Relay  *Relay // nil for none
}

// Send hands one mail to every transport. It returns nil once each has taken
// responsibility for it; sending again after an error, or after a crash, is
// safe: it is the same mail under the same Message-ID.
//
// Errors: *PermanentError when trying again is useless, else anything.
func (s *Sender) Send(ctx context.Context, from, to string, mail []byte, messageID string) error {
	if s.Relay == nil && s.Outbox == "" {
		return ErrNoTransport
	}
	if s.Relay != nil {
		if err := s.Relay.Send(ctx, from, to, mail); err != nil {
			return err
		}
	}
	if s.Outbox != "" {
		return writeOutbox(s.Outbox, mail, messageID)
	}
	return nil
}
