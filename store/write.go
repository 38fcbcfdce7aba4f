package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// tx is one transaction under way. Its context is not the caller's: once begun
// it runs to its end.
type tx struct {
	session
	now     time.Time // the one clock reading of this transaction
	woke    bool      // jobs were added
	touched []string  // mailboxes and users whose watchers are told
}

// writer runs transactions. A nil answer of write means committed and durable.
// f sees the database through its tx alone; it may run more than once, its
// effects outside the database count only when write answers nil.
type writer interface {
	write(ctx context.Context, f func(*tx) error) error
	close() error
}

// write runs f as one transaction at one clock reading.
func (db *DB) write(ctx context.Context, f func(*tx) error) error {
	var woke bool
	var touched []string
	err := db.writer.write(ctx, func(t *tx) error {
		t.now = db.now().UTC().Truncate(time.Microsecond)
		err := f(t)
		woke, touched = t.woke, t.touched
		return err
	})
	if err == nil {
		db.hub.committed(touched, woke)
	}
	return db.d.explain(err)
}

// guarded runs f; a panic fails this transaction, not the process: on SQLite it
// would end the transactions of others.
func guarded(f func(*tx) error, t *tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a transaction: %v\n%s", p, debug.Stack())
		}
	}()
	return f(t)
}

// pool writes by plain transactions over a pool of connections.
type pool struct {
	db       *sql.DB
	d        *dialect
	repeated atomic.Int64 // transactions that were run again
}

func (p *pool) close() error { return nil } // the pool is the reader's too

// maxAttempts bounds the repetition of transactions that the server rolled
// back whole because of others (serialization failure, deadlock).
const maxAttempts = 5

func (p *pool) write(ctx context.Context, f func(*tx) error) error {
	var err error
	for range maxAttempts {
		if err = p.once(ctx, f); !rolledBackByServer(err) {
			return err
		}
		p.repeated.Add(1)
	}
	return err
}

func (p *pool) once(ctx context.Context, f func(*tx) error) error {
	t, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := guarded(f, &tx{session: session{ctx, t, p.d}}); err != nil {
		return errors.Join(err, ignoreDone(t.Rollback()))
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err) // may have happened; never repeated
	}
	return nil
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}
