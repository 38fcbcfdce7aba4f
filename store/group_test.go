package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// held keeps the writer inside one transaction until release is called, so
// that what is written meanwhile shares the next commit.
func held(t *testing.T, db *DB) (release func()) {
	t.Helper()
	inside, free := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- db.write(ctx, func(*tx) error {
			close(inside)
			<-free
			return nil
		})
	}()
	<-inside
	return func() {
		close(free)
		must(t, <-done)
	}
}

// together runs writes so that they share one commit, and answers their errors.
func together(t *testing.T, db *DB, fs ...func(*tx) error) []error {
	t.Helper()
	release := held(t, db)
	errs := make([]error, len(fs))
	var started, ended sync.WaitGroup
	for i, f := range fs {
		started.Add(1)
		ended.Go(func() {
			started.Done()
			errs[i] = db.write(ctx, f)
		})
	}
	started.Wait()
	release()
	ended.Wait()
	return errs
}

func note(key string) func(*tx) error {
	return func(t *tx) error {
		_, err := t.exec("INSERT INTO failures (subject, time) VALUES ($1, $2)", key, t.now)
		return err
	}
}

func noted(t *testing.T, db *DB, key string) bool {
	t.Helper()
	var n int
	must(t, db.read(ctx).get([]any{&n}, "SELECT COUNT(*) FROM failures WHERE subject = $1", key))
	return n > 0
}

func TestGroupFailureUndoesItselfAlone(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		boom := errors.New("boom")
		for range 20 { // some rounds meet in one commit, some do not
			errs := together(t, db,
				note("good"),
				func(t *tx) error { return errors.Join(note("bad")(t), boom) },
				func(t *tx) error { note("bad")(t); panic("in a transaction") },
				note("fine"),
			)
			if errs[0] != nil || !errors.Is(errs[1], boom) || errs[2] == nil || !strings.Contains(errs[2].Error(), "in a transaction") || errs[3] != nil {
				t.Fatalf("errors %v", errs)
			}
			if !noted(t, db, "good") || noted(t, db, "bad") || !noted(t, db, "fine") {
				t.Fatal("what was written is not what was answered")
			}
		}
	})
}

// walCommits counts the commit frames in a write-ahead log: frames that carry
// the database's size and the log's salt (sqlite.org/fileformat2.html §4.1).
func walCommits(t *testing.T, path string) (n int) {
	t.Helper()
	const header, frame = 32, 24 + 4096
	log := got[[]byte](t)(os.ReadFile(path + "-wal"))
	for at := header; at+frame <= len(log); at += frame {
		if binary.BigEndian.Uint32(log[at+4:]) != 0 && bytes.Equal(log[at+8:at+16], log[16:24]) {
			n++
		}
	}
	return n
}

func TestGroupSharesCommits(t *testing.T) {
	p := sqlitePlace(t)
	db := p.open(t)
	g := db.writer.(*group)
	const writers = 50
	var batch []*request
	for i := range writers {
		batch = append(batch, &request{ctx, func(t *tx) error {
			_, err := t.exec("INSERT INTO failures (subject, time) VALUES ($1, $2)", fmt.Sprint("w", i), p.clock.now())
			return err
		}, make(chan error, 1)})
	}
	before := walCommits(t, p.DSN)
	g.serve(batch)
	if commits := walCommits(t, p.DSN) - before; commits != 1 {
		t.Errorf("%d commits for %d transactions", commits, writers)
	}
	must(t, db.AddFailure(ctx, "alone"))
	if commits := walCommits(t, p.DSN) - before; commits != 2 {
		t.Errorf("%d commits after one more", commits)
	}
	for i, r := range batch {
		if err := <-r.done; err != nil || !noted(t, db, fmt.Sprint("w", i)) {
			t.Errorf("transaction %d: %v", i, err)
		}
	}
}

func TestFullDatabaseHeals(t *testing.T) {
	db := sqlitePlace(t).open(t)
	limit := func(pages int) {
		must(t, db.write(ctx, func(t *tx) error {
			var n int
			return t.get([]any{&n}, fmt.Sprintf("PRAGMA max_page_count = %d", pages))
		}))
	}
	limit(1) // SQLite makes of it the present size
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		err = db.write(ctx, note(strings.Repeat("x", 3000)))
	}
	if !errors.Is(err, ErrFull) || errors.Is(err, ErrStopped) {
		t.Fatalf("full database: %v", err)
	}
	if err := db.AddFailure(ctx, strings.Repeat("y", 8000)); !errors.Is(err, ErrFull) {
		t.Fatalf("still full: %v", err)
	}
	limit(1 << 20)
	must(t, db.AddFailure(ctx, "healed"))
	if !noted(t, db, "healed") {
		t.Error("nothing was written after room was made")
	}
}

// TestFailedCommitStops keeps R4. A deferred foreign key makes COMMIT itself
// fail, as a failed fsync does.
func TestFailedCommitStops(t *testing.T) {
	db := sqlitePlace(t).open(t)
	errs := together(t, db, note("companion"), func(t *tx) error {
		if _, err := t.exec("PRAGMA defer_foreign_keys = ON"); err != nil {
			return err
		}
		_, err := t.exec("INSERT INTO retry_keys (hash, submission, time) VALUES ($1, $2, 0)", []byte{1}, "absent")
		return err
	})
	if !errors.Is(errs[1], ErrStopped) {
		t.Fatalf("the commit that failed: %v", errs[1])
	}
	if (errs[0] == nil) != noted(t, db, "companion") {
		t.Errorf("companion was answered %v, noted %v", errs[0], noted(t, db, "companion"))
	}
	if err := db.AddFailure(ctx, "afterwards"); !errors.Is(err, ErrStopped) || noted(t, db, "afterwards") {
		t.Errorf("a write after the failed commit: %v", err)
	}
}

func TestWriteAfterCloseAndCancel(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	p := sqlitePlace(t)
	db := got[*DB](t)(Open(ctx, p.Config))
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := db.AddFailure(ended, "cancelled"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled write: %v", err)
	}
	if noted(t, db, "cancelled") {
		t.Error("a cancelled write was done")
	}
	must(t, db.Close())
	if err := db.AddFailure(ctx, "late"); err == nil {
		t.Error("a write after Close answered nil")
	}
	must(t, db.Close())
}
