// Package floor measures what one durable acceptance costs at least on this
// disk: a file of 20 KB, written, fsynced, and its directory fsynced; then six
// rows of a SQLite group commit. No server that keeps its word can be quicker
// with the same disk, so speeds are compared as shares of it, in one run.
//
// Deliberately absent: everything a server does besides.
package floor

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// letter is the size of the file, in octets.
const letter = 20 << 10

// largest bounds one commit's acceptances.
const largest = 256

// Measure has workers accept for a while in dir and answers acceptances per
// second. What they have written stays for the caller to remove when all is
// measured: ext4 without a journal passes over the inodes of files that were just
// removed, one by one, for every file that is made next.
func Measure(ctx context.Context, dir string, workers int, during time.Duration) (perSecond float64, err error) {
	dir, err = os.MkdirTemp(dir, "floor-")
	if err != nil {
		return 0, err
	}
	r, err := open(ctx, dir)
	if err != nil {
		return 0, fmt.Errorf("floor: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, during)
	defer cancel()
	var done atomic.Int64
	var workersEnd sync.WaitGroup
	failed := make(chan error, workers)
	start := time.Now()
	for w := range workers {
		workersEnd.Go(func() {
			if err := r.work(ctx, filepath.Join(dir, fmt.Sprint(w)), &done); err != nil {
				failed <- err
			}
		})
	}
	workersEnd.Wait()
	took := time.Since(start)
	close(failed)
	err = errors.Join(<-failed, r.close())
	return float64(done.Load()) / took.Seconds(), err
}

// rows is the database and those who wait for its commits.
type rows struct {
	db        *sql.DB
	one, five *sql.Stmt
	waiting   chan chan error
	ended     chan struct{}
	next      int64
}

func open(ctx context.Context, dir string) (*rows, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "floor.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	r := &rows{db: db, waiting: make(chan chan error, 1024), ended: make(chan struct{})}
	for _, text := range []string{
		"CREATE TABLE letters (id INTEGER PRIMARY KEY, sender TEXT, recipient TEXT, size INTEGER, digest TEXT)",
		"CREATE TABLE evidence (id INTEGER PRIMARY KEY, letter INTEGER, event TEXT, record TEXT, digest TEXT)",
		"CREATE INDEX evidence_letter ON evidence (letter)",
	} {
		if _, err = db.ExecContext(ctx, text); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	r.one, err = db.PrepareContext(ctx, "INSERT INTO letters VALUES ($1, $2, $3, $4, $5)")
	if err == nil {
		r.five, err = db.PrepareContext(ctx, "INSERT INTO evidence (letter, event, record, digest) VALUES ($1, $2, $3, $4)")
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	go r.commit()
	return r, nil
}

func (r *rows) close() error {
	close(r.waiting)
	<-r.ended
	return r.db.Close()
}

// work accepts one after the other, each durable before the next.
func (r *rows) work(ctx context.Context, dir string, done *atomic.Int64) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	content := make([]byte, letter)
	rand.Read(content)
	answer := make(chan error, 1)
	for n := 0; ctx.Err() == nil; n++ {
		if err := writeFile(dir, fmt.Sprint(n), content); err != nil {
			return err
		}
		r.waiting <- answer
		if err := <-answer; err != nil {
			return err
		}
		done.Add(1)
	}
	return nil
}

func writeFile(dir, name string, content []byte) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// commit takes whoever waits into one transaction, again and again.
func (r *rows) commit() {
	defer close(r.ended)
	for first := range r.waiting {
		batch := append(make([]chan error, 0, largest), first)
		for more := true; more && len(batch) < largest; {
			select {
			case next, open := <-r.waiting:
				if more = open; open {
					batch = append(batch, next)
				}
			default:
				more = false
			}
		}
		err := r.insert(len(batch))
		for _, answer := range batch {
			answer <- err
		}
	}
}

func (r *rows) insert(letters int) error {
	t, err := r.db.Begin()
	if err != nil {
		return err
	}
	digest := strings.Repeat("0123456789abcdef", 4)
	record := `{"event":"SubmissionAcceptance","indication":"TOTAL-PASSED","signer":"CN=Anna","serial":"02","pad":"` + digest + `"}`
	for range letters {
		r.next++
		if _, err = t.Stmt(r.one).Exec(r.next, "anna@example.org", "boris@example.net", letter, digest); err != nil {
			return errors.Join(err, t.Rollback())
		}
		for range 5 {
			if _, err = t.Stmt(r.five).Exec(r.next, "SubmissionAcceptance", record, digest); err != nil {
				return errors.Join(err, t.Rollback())
			}
		}
	}
	return t.Commit()
}
