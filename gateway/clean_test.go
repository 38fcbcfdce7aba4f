package gateway

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// leave puts a file into the spool, of this age, as a crash leaves it.
func (w *world) leave(name string, age time.Duration) {
	w.t.Helper()
	path := filepath.Join(w.Spool, name)
	w.must(os.WriteFile(path, []byte("left"), 0o600))
	w.age(path, age)
}

func (w *world) age(path string, age time.Duration) {
	w.t.Helper()
	at := w.Now().Add(-age)
	w.must(os.Chtimes(path, at, at))
}

// orphan puts a blob into the store that no row refers to.
func (w *world) orphan(bytes string, age time.Duration) rem.Ref {
	w.t.Helper()
	s, err := blob.CreateSpool(w.Spool)
	w.must(err)
	_, err = s.Write([]byte(bytes))
	w.must(err)
	ref, err := s.Commit()
	w.must(err)
	w.must(w.Blobs.Put(w.t.Context(), ref, s.Path()))
	w.must(s.Discard())
	w.age(w.blobFile(ref), age)
	return ref
}

func (w *world) has(ref rem.Ref) bool {
	_, err := os.Stat(w.blobFile(ref))
	return err == nil
}

func TestClean(t *testing.T) {
	w := newWorld(t)
	w.leave("spool-old", leftover+time.Minute)
	w.leave("spool-young", leftover-time.Minute)
	w.leave(refusedPrefix+"old", w.Limits.RefusedFor+leftover+time.Minute)
	w.leave(refusedPrefix+"young", w.Limits.RefusedFor-time.Minute)
	w.leave("strange", 1000*time.Hour)
	old, young := w.orphan("old", leftover+time.Minute), w.orphan("young", leftover-time.Minute)
	id := w.send(signed(t, w.anna.Party), bob)
	s, err := w.DB.Submission(t.Context(), id)
	w.must(err)
	w.age(w.blobFile(s.Letter.Ref), 1000*time.Hour)

	_, err = w.clean(t.Context(), &store.Job{})
	w.must(err)
	w.wantSpool(refusedPrefix+"young", "spool-young", "strange")
	if w.has(old) || !w.has(young) || !w.has(s.Letter.Ref) {
		t.Errorf("old %v, young %v, needed %v", w.has(old), w.has(young), w.has(s.Letter.Ref))
	}
	w.fsck()
}

// However often a node starts, one cleaning an hour remains.
func TestOneCleaningAnHour(t *testing.T) {
	w := newWorld(t)
	run := w.runner()
	cleanings := 0
	for range 50 { // starts, ten minutes apart
		w.must(w.DB.AddJobs(t.Context(), []store.Job{{ID: jobClean, Kind: jobClean, Subject: w.Node, Node: w.Node}}))
		for run.one(jobClean) != nil {
			cleanings++
		}
		if n := w.count("SELECT COUNT(*) FROM jobs WHERE kind = ?", jobClean); n > 2 {
			t.Fatalf("%d cleanings are queued", n)
		}
		w.clock.pass(10 * time.Minute)
	}
	if cleanings < 8 {
		t.Errorf("%d cleanings in 8 hours", cleanings)
	}
	for range 5 { // and without starts it goes on
		w.clock.pass(leftover)
		if run.one(jobClean) == nil {
			t.Error("no cleaning is due")
		}
	}
}

// A blob that a crash left, and that a letter is linking to at this moment, is
// not lost.
func TestCleanDoesNotRemoveWhatIsBeingAccepted(t *testing.T) {
	w, f := newFaultyWorld(t)
	const n = 24
	letters, ids, errs := make([]string, n), make([]string, n), make([]error, n)
	for i := range n {
		letters[i] = signed(t, w.anna.Party)
		w.orphan(letters[i], 2*leftover)
	}
	w.slots = make(chan struct{}, n)
	cleaned := make(chan error, 2*n)
	f.set(func() error {
		go func() { cleaned <- w.cleanBlobs(t.Context(), w.Now().Add(-leftover)) }()
		return nil
	})
	together(n, func(i int) {
		ids[i], errs[i] = w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(letters[i]))
	})
	for i := range n {
		w.must(errs[i])
		w.must(<-cleaned)
		if !w.has(rem.Ref{SHA256: rem.DigestOf([]byte(letters[i]))}) {
			t.Errorf("letter %d was accepted and its bytes are gone", i)
		}
	}
	w.fsck()
}

// From the blob to the commit, no blob is removed.
func TestAcceptHoldsOffTheCleaner(t *testing.T) {
	w, f := newFaultyWorld(t)
	held := false
	f.set(func() error {
		if held = !w.linking.TryLock(); !held {
			w.linking.Unlock()
		}
		return nil
	})
	w.send(signed(t, w.anna.Party), bob)
	if !held {
		t.Error("a blob may be removed while a letter links to it")
	}
	if !w.linking.TryLock() {
		t.Error("the cleaner is held off for good")
	}
}

func TestFsckCountsWhatIsUnreferenced(t *testing.T) {
	w := newWorld(t)
	w.send(signed(t, w.anna.Party), bob)
	w.orphan("orphan", 0)
	var problems []string
	f := Fsck{DB: w.DB, Blobs: w.Blobs, Report: func(p string) { problems = append(problems, p) }}
	w.must(f.Run(t.Context()))
	if f.Unreferenced != 1 || f.Files != 2 || f.Submissions != 1 || !slices.Equal(problems, nil) {
		t.Errorf("%+v, %q", f, problems)
	}
}
