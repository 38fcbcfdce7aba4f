package gateway

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestRoom(t *testing.T) {
	for name, c := range map[string]struct {
		letters int32
		busy    int
		late    bool
		want    int
		after   time.Duration
	}{
		"nothing to do":                   {want: maxSteps},
		"some hands busy":                 {busy: 3, want: maxSteps - 3},
		"letters in work":                 {letters: 2, want: 1},
		"letters in work, jobs late":      {letters: 2, busy: 1, late: true, want: maxSteps - 1},
		"letters in work, a step hangs":   {letters: 1, busy: 1, want: 1, after: patience},
		"letters in work, steps that end": {letters: 1, busy: maxSteps, want: 1, after: patience},
		"all hands busy until one ends":   {busy: maxSteps, want: 1, after: patience / 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, h, release := &Gateway{}, newHands(), make(chan struct{})
				defer h.all.Wait()
				defer close(release)
				g.letters.Store(c.letters)
				for range c.busy {
					h.do(func() { <-release })
				}
				if c.busy == maxSteps { // one of them ends
					go func() {
						time.Sleep(patience / 2)
						release <- struct{}{}
					}()
				}
				start := time.Now()
				if got := g.room(t.Context(), h, c.late); got != c.want || time.Since(start) != c.after {
					t.Errorf("room for %d after %v, want %d after %v", got, time.Since(start), c.want, c.after)
				}
			})
		})
	}
}

func TestRoomEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := (&Gateway{}).room(ctx, newHands(), false); got != 0 {
		t.Errorf("room for %d", got)
	}
}
