package gateway

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"cryptogramm.ru/cryptogramm/store"
)

const (
	maxSteps = 8                     // how many jobs are carried out at once
	maxLag   = 30 * time.Second      // how long after it was due a job gives way to letters
	patience = time.Second           // how long one step is waited for while letters are in work
	company  = 10 * time.Millisecond // how long a free hand waits for half of all, for a claim costs the same for many
)

// hands carry out jobs, maxSteps at most at once.
type hands struct {
	busy  chan struct{}
	freed chan struct{} // has a token when one became free
	all   sync.WaitGroup
}

func newHands() *hands {
	return &hands{busy: make(chan struct{}, maxSteps), freed: make(chan struct{}, 1)}
}

// free is how many more jobs can be carried out.
func (h *hands) free() int { return cap(h.busy) - len(h.busy) }

// do waits for a free hand and lets it carry out f.
func (h *hands) do(f func()) {
	h.busy <- struct{}{}
	h.all.Go(func() {
		defer func() {
			<-h.busy
			select {
			case h.freed <- struct{}{}:
			default:
			}
		}()
		f()
	})
}

// dispatch claims as many jobs at once as there are free hands, so that each
// begins within its lease, and many share one transaction when there are many.
func (g *Gateway) dispatch(ctx context.Context, kinds []string, steps map[string]Step) {
	claiming := store.Claiming{Kinds: kinds, Node: g.Node, Holder: g.Node + "/" + g.NewID(), Lease: leaseTime}
	h := newHands()
	defer h.all.Wait()
	for late := false; ; {
		if claiming.Most = g.room(ctx, h, late); ctx.Err() != nil {
			return
		}
		jobs, err := g.DB.ClaimJobs(ctx, claiming)
		for _, j := range jobs {
			h.do(func() { g.step(ctx, &j, steps[j.Kind]) })
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil {
			g.Log.Error("claim jobs", "error", err)
		}
		late = len(jobs) > 0 && g.Now().Sub(jobs[0].Due) > maxLag
		if len(jobs) < claiming.Most { // nothing else is due
			g.idle(ctx, kinds)
		}
	}
}

// room waits until jobs may be claimed and answers how many. A sender waits for
// his answer and nobody for a notice, so while letters are in work, jobs are
// carried out one by one, and one in a while where letters wait for a processor.
// None, however, waits for one that hangs, and when they are late they give way
// no more.
func (g *Gateway) room(ctx context.Context, h *hands, late bool) int {
	long, short := time.NewTimer(patience), time.NewTimer(company)
	defer long.Stop()
	defer short.Stop()
	for waited, alone := false, false; ctx.Err() == nil; {
		free, letters := h.free(), int(g.letters.Load())
		yields, crowded := letters > 0 && !late, letters > runtime.NumCPU()
		switch {
		case !yields && (free >= cap(h.busy)/2 || free > 0 && alone):
			return free
		case yields && (free == cap(h.busy) && !crowded || free > 0 && waited):
			return 1
		}
		select {
		case <-h.freed:
		case <-short.C:
			alone = true
		case <-long.C:
			waited = true
		case <-ctx.Done():
		}
	}
	return 0
}

// idle waits for the next due job, for word of a new one, or at most 5 s.
func (g *Gateway) idle(ctx context.Context, kinds []string) {
	select {
	case <-g.DB.Wake():
		return
	default:
	}
	wait := 5 * time.Second
	if due, err := g.DB.NextDue(ctx, kinds, g.Node); err == nil {
		wait = min(wait, max(due.Sub(g.Now()), 50*time.Millisecond))
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-g.DB.Wake():
	}
}
