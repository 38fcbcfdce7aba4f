package store

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestNodeNames: a name has one holder, also after the database dropped the
// connection that held it. SQLite has one process, and gives every name.
func TestNodeNames(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		a, b := p.open(t), p.open(t)
		first := got[*NodeName](t)(a.HoldNode(ctx, "node-1"))
		other := got[*NodeName](t)(b.HoldNode(ctx, "node-2"))
		defer other.Release()
		if p.server == "" {
			return
		}
		_, err := b.HoldNode(brief(t), "node-1")
		for busy(err) {
			_, err = b.HoldNode(brief(t), "node-1")
		}
		if !errors.Is(err, ErrNodeTaken) {
			t.Fatalf("a second holder: %v", err)
		}
		first.Release()
		second := got[*NodeName](t)(b.HoldNode(ctx, "node-1"))
		third, err := cutOff(t, p, a)
		for errors.Is(err, ErrNodeTaken) || busy(err) { // the holder was quicker, as it should be
			third, err = cutOff(t, p, a)
		}
		must(t, err)
		defer third.Release()
		select {
		case <-second.Lost():
		case <-time.After(time.Minute):
			t.Fatal("the holder is not told that its name is taken")
		}
		select {
		case <-third.Lost():
			t.Error("the new holder is told so too")
		default:
		}
		second.Release()
	})
}

// cutOff has the server drop the connection that holds a name, and takes the
// name.
func cutOff(t *testing.T, p *place, db *DB) (*NodeName, error) {
	t.Helper()
	_, err := p.raw(t).Exec(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid::bigint =
		hashtextextended(current_schema() || '/node/node-1', 7305808869231650167) & 4294967295`)
	must(t, err)
	return db.HoldNode(brief(t), "node-1")
}

// busy is when a server under load had not even answered in time.
func busy(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrNodeTaken)
}

// brief is a context that ends before a holder's patience does.
func brief(t *testing.T) context.Context {
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	t.Cleanup(cancel)
	return short
}
