package gateway

import (
	"errors"
	"slices"

	"cryptogramm.ru/cryptogramm/store"
)

// runner claims and steps jobs as a worker does, but only when told to: what
// is due by the world's clock, and nothing else.
type runner struct {
	w     *world
	steps map[string]Step
	kinds []string
}

func (w *world) runner() *runner {
	r := &runner{w: w, steps: w.steps()}
	for kind := range r.steps {
		r.kinds = append(r.kinds, kind)
	}
	slices.Sort(r.kinds)
	return r
}

// one claims and steps one job of these kinds that is due; nil when none is.
func (r *runner) one(kinds ...string) *store.Job {
	r.w.t.Helper()
	j, err := r.w.DB.Claim(r.w.t.Context(), kinds, r.w.Node, r.w.Node+"/"+r.w.NewID(), leaseTime)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	r.w.must(err)
	r.w.step(r.w.t.Context(), j, r.steps[j.Kind])
	return j
}

// all steps everything that is due now, each job once, and answers the kinds.
func (r *runner) all() (kinds []string) {
	r.w.t.Helper()
	for j := r.one(r.kinds...); j != nil; j = r.one(r.kinds...) {
		kinds = append(kinds, j.Kind)
	}
	slices.Sort(kinds)
	return kinds
}

// due wants n jobs of a kind to be due, and steps them.
func (r *runner) due(kind string, n int) {
	r.w.t.Helper()
	got := 0
	for r.one(kind) != nil {
		got++
	}
	if got != n {
		r.w.t.Fatalf("%d jobs %q were due, want %d", got, kind, n)
	}
}
