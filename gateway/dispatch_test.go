package gateway

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/notify"
	"cryptogramm.ru/cryptogramm/store"
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
		"most hands busy":                 {busy: maxSteps - 1, want: 1, after: company},
		"letters in work":                 {letters: 1, want: 1},
		"letters wait for a processor":    {letters: int32(runtime.NumCPU()) + 1, want: 1, after: patience},
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

// TestBackoff: each try waits twice as long as the one before, up to an hour,
// and jobs that failed together do not come back together.
func TestBackoff(t *testing.T) {
	failed := errors.New("the relay is away")
	now := time.Now()
	g := &Gateway{Config: Config{Now: func() time.Time { return now }}}
	for attempts, want := range map[int]time.Duration{1: 10 * time.Second, 2: 20 * time.Second, 5: 160 * time.Second, 10: time.Hour, 1000: time.Hour} {
		j := &store.Job{Kind: jobNotice, Attempts: attempts, Created: now.Add(-24 * time.Hour)}
		seen := map[time.Duration]bool{}
		for range 20 {
			d := g.delay(j, failed)
			if seen[d] = true; d < want || d >= want+want/4 {
				t.Errorf("try %d again after %v, want %v and up to a quarter more", attempts, d, want)
			}
		}
		if len(seen) < 2 {
			t.Errorf("try %d: no jitter", attempts)
		}
		if d := g.delay(j, notify.ErrDestinationBusy); d > 10*time.Second {
			t.Errorf("try %d waits %v for its turn", attempts, d)
		}
	}
	if d := g.delay(&store.Job{Kind: jobNotice, Attempts: 1000, Created: now}, failed); d > 15*time.Second {
		t.Errorf("a job of now that has waited its turn often waits %v after its first failure", d)
	}
	if d := g.delay(&store.Job{Kind: jobUpload, Attempts: 1000, Created: now.Add(-24 * time.Hour)}, failed); d > time.Minute {
		t.Errorf("an upload waits %v", d)
	}
}
