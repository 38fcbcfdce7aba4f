package gateway

import (
	"context"

	"cryptogramm.ru/cryptogramm/signer"
)

// seat is a judging slot that is given up while its letter waits for the
// network: a responder that hangs keeps its own letters waiting and no others.
// It belongs to one goroutine.
type seat struct {
	g       *Gateway
	release func() // nil while given up
	lost    error  // why it was not had again
}

func (g *Gateway) seat(ctx context.Context) (*seat, error) {
	release, err := g.slot(ctx)
	if err != nil {
		return nil, err
	}
	return &seat{g: g, release: release}, nil
}

func (s *seat) leave() {
	if s.release != nil {
		s.release()
	}
	s.release = nil
}

// pause gives the slot up; what it returns waits for one again.
func (s *seat) pause() (resume func(context.Context) error) {
	s.leave()
	return func(ctx context.Context) error {
		s.release, s.lost = s.g.slot(ctx)
		return s.lost
	}
}

// verifier judges with today's trust, in a seat, with what is given besides.
func (g *Gateway) verifier(ctx context.Context, s *seat, given signer.Material) (*signer.Verifier, error) {
	trust, err := g.Trust.Store(ctx)
	if err != nil {
		return nil, err
	}
	v := &signer.Verifier{Trust: trust, Given: given}
	if g.Fetch != nil {
		v.Fetch = g.Fetch.Session(s.pause)
	}
	return v, nil
}
