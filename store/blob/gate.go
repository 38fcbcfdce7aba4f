package blob

import (
	"context"
	"errors"
	"sync"
	"time"
)

// How long an object store that did not answer is left alone.
const (
	firstPause = time.Second
	maxPause   = 30 * time.Second
)

// gate keeps many from waiting for an object store that does not answer: it
// lets one ask again when the pause is over, and everybody once it answers.
type gate struct {
	mu     sync.Mutex
	until  time.Time // zero: open
	pause  time.Duration
	asking bool // one has been let through since
}

// pass reports whether to ask. Whoever passes tells heard.
func (g *gate) pass(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.until.IsZero() {
		return true
	}
	if g.asking || now.Before(g.until) {
		return false
	}
	g.asking = true
	return true
}

func (g *gate) closed(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.until.IsZero() && (g.asking || now.Before(g.until))
}

// heard takes note of how asking ended. Who stopped asking has learnt nothing.
func (g *gate) heard(now time.Time, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asking = false
	switch {
	case errors.Is(err, ErrUnavailable):
		g.rest(now)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
	default:
		g.until, g.pause = time.Time{}, 0
	}
}

// shut begins a pause, or leaves the one that has begun.
func (g *gate) shut(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rest(now)
}

func (g *gate) rest(now time.Time) {
	if now.Before(g.until) {
		return
	}
	g.pause = min(max(2*g.pause, firstPause), maxPause)
	g.until = now.Add(g.pause)
}
