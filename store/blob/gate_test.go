package blob

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// TestGate: while a server does not answer, one asks after each pause, and the
// pauses grow to their bound; its first answer lets everybody through.
func TestGate(t *testing.T) {
	var g gate
	now := time.Now()
	down := fmt.Errorf("dial: %w", ErrUnavailable)
	want := func(passes bool) {
		t.Helper()
		if g.closed(now) == passes || g.pass(now) != passes {
			t.Fatalf("passes: %v", !passes)
		}
	}
	for range 3 {
		want(true)
	}
	for range 3 {
		g.heard(now, down) // all three were on their way
	}
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		want(false)
		now = now.Add(pause - time.Millisecond)
		want(false)
		now = now.Add(time.Millisecond)
		want(true)
		want(false) // one is asking
		if pause == maxPause {
			break
		}
		g.heard(now, down)
	}
	g.heard(now, context.Canceled) // it did not wait for the answer
	want(true)
	g.heard(now, ErrNotExist) // an answer
	want(true)
	want(true)
	g.shut(now)
	want(false)
	now = now.Add(firstPause)
	want(true)
	g.heard(now, nil)
	want(true)
}
