package store

import (
	"fmt"
	"testing"
	"time"
)

// heard waits for a token.
func heard(t testing.TB, what string, token <-chan struct{}) {
	t.Helper()
	select {
	case <-token:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: no token", what)
	}
}

func silent(t testing.TB, what string, token <-chan struct{}) {
	t.Helper()
	select {
	case <-token:
		t.Errorf("%s: a token", what)
	default:
	}
}

func TestWatchHearsCommits(t *testing.T) {
	o := newOffice(t, sqlitePlace(t))
	drafts, sent := o.box(t, o.alice, "Drafts"), o.box(t, o.alice, "Sent")
	inDrafts, stop := o.db.Watch(drafts.ID)
	again, stopAgain := o.db.Watch(drafts.ID)
	inSent, stopSent := o.db.Watch(sent.ID)
	defer stopSent()
	o.put(t, drafts)
	o.put(t, drafts)
	heard(t, "two mails", inDrafts)
	heard(t, "two mails", again)
	silent(t, "the second as well", inDrafts)
	silent(t, "another mailbox", inSent)
	if _, err := o.db.AddMail(ctx, ownMail(drafts), Quota{}); err == nil {
		t.Fatal("no quota")
	}
	silent(t, "a transaction that failed", inDrafts)
	stop()
	o.put(t, drafts)
	heard(t, "the other watch", again)
	silent(t, "a stopped watch", inDrafts)
	stopAgain()
	o.send(t, "bob@example.test")
	heard(t, "a letter", inSent)
	heard(t, "its jobs", o.db.Wake())
	stopSent()
	if n := len(o.db.hub.watchers); n != 0 {
		t.Errorf("%d mailboxes are watched by nobody", n)
	}
}

// TestNodesHearEachOther has two processes on one PostgreSQL, whose listening
// connection breaks.
func TestNodesHearEachOther(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		if p.Driver != "postgres" {
			return
		}
		o := newOffice(t, p)
		other := p.open(t)
		drafts := o.box(t, o.alice, "Drafts")
		token, stop := other.Watch(drafts.ID)
		defer stop()
		wake := other.Wake()
		heard(t, "the beginning", token)
		heard(t, "the beginning", wake)
		o.put(t, drafts)
		heard(t, "a mail put by another node", token)
		silent(t, "jobs", wake)
		must(t, o.db.AddJobs(ctx, []Job{{ID: "a", Kind: "k"}}))
		heard(t, "a job added by another node", wake)

		kill := fmt.Sprintf(`SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN "cryptogramm_%s"'`, schemaOf(p.DSN))
		if n := o.count(t, kill); n != 1 {
			t.Fatalf("%d listeners, want one", n)
		}
		o.put(t, drafts)
		heard(t, "a mail put while nobody listened", token)
		heard(t, "whatever else", wake)
		o.put(t, drafts)
		heard(t, "a mail after that", token)

		// A message that got lost is found by looking.
		seen := got[map[string]int64](t)(other.hub.sweep(ctx, other, nil))
		silent(t, "nothing new", token)
		relay := o.db.hub.relay
		o.db.hub.relay = nil
		o.put(t, drafts)
		o.db.hub.relay = relay
		got[map[string]int64](t)(other.hub.sweep(ctx, other, seen))
		heard(t, "a lost message", token)
	})
}

// TestManyWatchers bounds what a watch costs.
func TestManyWatchers(t *testing.T) {
	h := newHub()
	tokens := make([]chan struct{}, 10_000)
	start := time.Now()
	for i := range tokens {
		tokens[i] = make(chan struct{}, 1)
		defer h.watch(fmt.Sprint(i%5000), tokens[i])()
	}
	h.tellAll()
	for i, token := range tokens {
		heard(t, fmt.Sprint(i), token)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("10,000 watchers took %v", took)
	}
}
