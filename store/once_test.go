package store

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

const parallel = 100

// race runs f in parallel and answers how often it said true.
func race(t *testing.T, f func(i int) (bool, error)) int {
	t.Helper()
	var first atomic.Int32
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range parallel {
		wg.Go(func() {
			<-start
			ok, err := f(i)
			if err != nil {
				t.Error(err)
			}
			if ok {
				first.Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	return int(first.Load())
}

func TestHandoverCountsOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		sender, bob := addUser(t, db, "alice@example.test"), addUser(t, db, "bob@example.test")
		n := letter(sender, p.clock.now(), bob.Email)
		must(t, db.AddSubmission(ctx, n))
		c := n.Accepted.Consignments[0]
		base := p.clock.now()
		first := race(t, func(i int) (bool, error) {
			return db.AddHandover(ctx, handover(c, bob, sender.Email, base.Add(time.Duration(i)*time.Microsecond)))
		})
		row := got[*ConsignmentRow](t)(db.Consignment(ctx, c.ID))
		ev := got[[]EvidenceRow](t)(db.Evidence(ctx, EvidenceFilter{Consignment: c.ID}))
		if first != 1 || len(ev) != 2 || row.State != StateReceived || row.ReceivedBy != bob.ID || !row.ReceivedAt.Equal(ev[0].Time) {
			t.Fatalf("%d first, %d evidence, %+v", first, len(ev), row)
		}
		if received := got[[]ConsignmentRow](t)(db.Received(ctx, bob.ID, Page{})); len(received) != 1 || received[0].ID != c.ID {
			t.Fatalf("received: %+v", received)
		}
		missing := handover(rem.Consignment{ID: "absent"}, bob, sender.Email, base)
		if _, err := db.AddHandover(ctx, missing); !errors.Is(err, ErrNotFound) {
			t.Fatalf("absent consignment: %v", err)
		}
		if found := problems(t, db); len(found) > 0 {
			t.Fatal(found)
		}
	})
}

func TestProtocolIsSignedOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		w := newWorld(t, p)
		c := w.at(StateReceived)
		var drafts []Protocol
		for range 2 {
			d := Protocol{ID: newID(), User: w.recipient.ID, Consignment: c.ID, Certificate: rem.DigestOf([]byte("c")), Body: []byte{0, 1, 0xff}, HTML: []byte("<p>"), Expires: w.clock.now().Add(24 * time.Hour)}
			must(t, w.db.AddProtocol(ctx, d))
			drafts = append(drafts, d)
		}
		ev := []rem.Evidence{attest(rem.RecipientVerification, *c, w.sender.Email, 0, w.clock.now())}
		first := race(t, func(i int) (bool, error) {
			d := drafts[i%2] // two drafts, one evidence
			d.Signature, d.SignedAt = []byte{byte(i), 1}, w.clock.now()
			return w.db.SignProtocol(ctx, Signing{Protocol: d, Signer: []byte("certificate"), Evidence: ev})
		})
		signed := 0
		for _, d := range got[[]Protocol](t)(w.db.Protocols(ctx, w.recipient.ID, c.ID)) {
			if d.Signature != nil {
				signed++
			}
			if !bytes.Equal(d.Body, drafts[0].Body) || d.Certificate != drafts[0].Certificate || string(d.HTML) != "<p>" {
				t.Errorf("draft read back: %+v", d)
			}
		}
		if first != 1 || signed != 1 {
			t.Fatalf("%d first, %d signed", first, signed)
		}
		if found := problems(t, w.db); len(found) > 0 {
			t.Fatal(found)
		}
	})
}

func TestSignProtocolNeedsItsDraft(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		w := newWorld(t, p)
		draft := func(s State) Protocol {
			d := Protocol{ID: newID(), User: w.recipient.ID, Consignment: w.at(s).ID, Body: []byte("{}"), Expires: w.clock.now().Add(time.Hour)}
			must(t, w.db.AddProtocol(ctx, d))
			d.Signature, d.SignedAt = []byte("cms"), w.clock.now()
			return d
		}
		others := draft(StateReceived)
		others.User = w.sender.ID
		absent := draft(StateReceived)
		absent.ID = "absent"
		for name, d := range map[string]Protocol{"of another user": others, "absent": absent, "not received": draft(StateNotified)} {
			if first, err := w.db.SignProtocol(ctx, Signing{Protocol: d, Signer: []byte("c")}); first || !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v, %v", name, first, err)
			}
		}
		old := draft(StateReceived)
		w.clock.advance(2 * time.Hour)
		draft(StateReceived)
		if _, err := w.db.Protocol(ctx, old.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("an expired draft stayed: %v", err)
		}
	})
}

func TestTokenIsUsedOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		k := Token{Hash: rem.DigestOf([]byte("secret")), Kind: "register", Subject: "bob@example.test", Data: "ru", Expires: p.clock.now().Add(time.Hour)}
		must(t, db.AddToken(ctx, k))
		if err := db.AddToken(ctx, k); !errors.Is(err, ErrExists) {
			t.Errorf("added twice: %v", err)
		}
		if have := got[*Token](t)(db.TokenByHash(ctx, k.Kind, k.Hash)); *have != k {
			t.Errorf("token %+v", have)
		}
		if _, err := db.UseToken(ctx, "challenge", k.Hash); !errors.Is(err, ErrNotFound) {
			t.Errorf("of another kind: %v", err)
		}
		first := race(t, func(int) (bool, error) {
			have, err := db.UseToken(ctx, k.Kind, k.Hash)
			if errors.Is(err, ErrUsed) {
				return false, nil
			}
			return err == nil && *have == k, err
		})
		if first != 1 {
			t.Fatalf("used %d times", first)
		}
		if _, err := db.TokenByHash(ctx, k.Kind, k.Hash); !errors.Is(err, ErrNotFound) {
			t.Errorf("used token is still found: %v", err)
		}
		late := Token{Hash: rem.DigestOf([]byte("late")), Kind: "register", Expires: p.clock.now().Add(time.Minute)}
		must(t, db.AddToken(ctx, late))
		p.clock.advance(time.Minute)
		if _, err := db.UseToken(ctx, late.Kind, late.Hash); !errors.Is(err, ErrNotFound) {
			t.Errorf("expired token: %v", err)
		}
	})
}

func TestMachineFetchesAreCapped(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		w := newWorld(t, p)
		id := w.at(StatePending).ID
		for range maxFetches + 5 {
			must(t, w.db.AddMachineFetch(ctx, id, "HEAD", "scanner\x00\xff"))
		}
		if n := got[int](t)(w.db.MachineFetches(ctx, id)); n != maxFetches {
			t.Errorf("%d fetches noted", n)
		}
		if row := got[*ConsignmentRow](t)(w.db.Consignment(ctx, id)); row.State != StatePending {
			t.Errorf("a machine brought the state to %s", row.State)
		}
		if err := w.db.AddMachineFetch(ctx, "absent", "GET", ""); !errors.Is(err, ErrNotFound) {
			t.Errorf("absent consignment: %v", err)
		}
	})
}
