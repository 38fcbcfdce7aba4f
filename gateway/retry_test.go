package gateway

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store"
)

// A client that missed the answer gets the first one again, and nothing twice.
func TestRetryAnswersWithTheFirstID(t *testing.T) {
	w := newWorld(t)
	letter := signed(t, w.anna.Party)
	id := w.send(letter, bob, dora)
	before := w.rows()
	again := func(name string, recipients ...string) {
		t.Helper()
		if got := w.send(letter, recipients...); got != id {
			t.Errorf("%s: id %s, want %s", name, got, id)
		}
		if after := w.rows(); !equalCounts(before, after) {
			t.Errorf("%s: rows %v, before %v", name, after, before)
		}
	}
	again("at once", bob, dora)
	again("recipients in another order and case", "dora@ELSEWHERE.test", bob)
	w.clock.pass(retryWindow - time.Hour)
	again("late", bob, dora)
	w.revoke(w.anna.Party)
	again("after the certificate was revoked", bob, dora)
	w.wantSpool()

	// What is no retry is judged anew.
	_, err := w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(letter))
	refused(t, err)
	_, err = w.Receive(t.Context(), w.envelope(w.anna, bob, dora), strings.NewReader("X-New: 1\r\n"+letter))
	refused(t, err)
	w.clock.pass(2 * time.Hour)
	_, err = w.Receive(t.Context(), w.envelope(w.anna, bob, dora), strings.NewReader(letter))
	refused(t, err)
	w.fsck()
}

func TestRetryAfterTheWindowIsANewLetter(t *testing.T) {
	w := newWorld(t)
	letter := signed(t, w.anna.Party)
	first := w.send(letter, bob)
	w.clock.pass(retryWindow + time.Second)
	second := w.send(letter, bob)
	if first == second {
		t.Error("the window never ends")
	}
	if third := w.send(letter, bob); third != second {
		t.Errorf("a retry of the second letter is %s, want %s", third, second)
	}
	w.fsck()
}

// The retry key is the account's own: nobody learns of, or gets, another's id.
func TestRetryIsTheAccountsOwn(t *testing.T) {
	w := newWorld(t)
	letter := signed(t, w.anna.Party)
	w.send(letter, bob)
	_, err := w.Receive(t.Context(), w.envelope(w.carol, bob), strings.NewReader(letter))
	refused(t, err)
}

func TestRetryOnManyConnectionsAtOnce(t *testing.T) {
	w := newWorld(t)
	letter := signed(t, w.anna.Party)
	const n = 20
	ids, errs := make([]string, n), make([]error, n)
	together(n, func(i int) {
		ids[i], errs[i] = w.Receive(t.Context(), w.envelope(w.anna, bob, dora), strings.NewReader(letter))
	})
	for i := range n {
		if errs[i] != nil || ids[i] != ids[0] {
			t.Errorf("%d: %s, %v; the first got %s", i, ids[i], errs[i], ids[0])
		}
	}
	got := w.rows()
	for table, want := range map[string]int{"submissions": 1, "consignments": 2, "evidence": 1, "jobs": 5, "refusals": 0} {
		if got[table] != want {
			t.Errorf("%d %s, want %d", got[table], table, want)
		}
	}
	files, err := filepath.Glob(filepath.Join(w.path("blobs"), "sha256", "*", "*"))
	w.must(err)
	if len(files) != 1 {
		t.Errorf("%d blobs", len(files))
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm()&0o222 != 0 {
		t.Errorf("the blob can be written to: %v, %v", info.Mode(), err)
	}
	w.wantSpool()
	w.fsck()
}

// The same signed octets sent to others are flagged to the sender alone.
func TestRepeatsAreFlagged(t *testing.T) {
	w := newWorld(t)
	sig := sign(t, w.anna.Party, contract)
	first := w.send(beside(sig), bob)
	for _, c := range []struct {
		name, letter string
		to           []string
		want         string
	}{
		{"same audience, new wrapper", beside(sig), []string{bob}, ""},
		{"others, new wrapper", beside(sig), []string{dora}, first},
		{"some more", beside(sig, text("Another note.")), []string{bob, dora}, first},
		{"signed anew, the same octets", beside(sign(t, w.anna.Party, contract)), []string{"x@y.test"}, first},
		{"the same file in another form", signed(t, w.anna.Party), []string{"z@y.test"}, ""}, // another signed entity
	} {
		w.clock.pass(time.Minute)
		name, id := c.name, w.send(c.letter, c.to...)
		s, err := w.DB.Submission(t.Context(), id)
		w.must(err)
		if s.Repeats != c.want {
			t.Errorf("%s: repeats %q, want %q", name, s.Repeats, c.want)
		}
		rows, err := w.evidence(t.Context(), store.EvidenceFilter{Submission: id})
		w.must(err)
		if got := strings.Contains(string(rows[0].Record), `"repeats"`); got != (c.want != "") {
			t.Errorf("%s: evidence %s", name, rows[0].Record)
		}
		cons := w.to(id, c.to[0])
		v, err := w.View(t.Context(), w.take(cons), cons.ID)
		w.must(err)
		if v.Submission.Repeats != "" {
			t.Errorf("%s: a recipient is told of %s", name, v.Submission.Repeats)
		}
	}
	w.fsck()
}
