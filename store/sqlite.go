package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// sqliteDSN opens a file with everything durable: WAL with a full fsync at each
// commit. recursive_triggers lets REPLACE run into the guards as well.
func sqliteDSN(path string, more url.Values) string {
	pragmas := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTime.Milliseconds()), "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
		"recursive_triggers(1)", "cache_size(-16384)", "temp_store(MEMORY)", "wal_autocheckpoint(4000)",
	}}
	for k, v := range more {
		pragmas[k] = append(pragmas[k], v...)
	}
	name := strings.ReplaceAll(url.PathEscape(path), "%2F", "/")
	return "file:" + name + "?" + pragmas.Encode()
}

func (db *DB) openSQLite(ctx context.Context, path string) error {
	write, err := sql.Open("sqlite", sqliteDSN(path, url.Values{"_txlock": {"immediate"}}))
	if err != nil {
		return err
	}
	conn, err := connectSQLite(ctx, write)
	if err != nil {
		return errors.Join(err, write.Close())
	}
	db.d = sqliteDialect()
	group, err := newGroup(write, conn, db.d)
	if err != nil {
		return errors.Join(err, conn.Close(), write.Close())
	}
	db.writer = group
	if err := db.startSQLite(ctx, path, conn); err != nil {
		return errors.Join(err, group.close())
	}
	return nil
}

// busyTime is how long one process waits for another's lock.
const busyTime = 10 * time.Second

// connectSQLite makes the first connection. SQLite waits busy_timeout for every
// lock but the one that turns a new file to WAL, for which several processes
// that open it at once compete.
func connectSQLite(ctx context.Context, db *sql.DB) (*sql.Conn, error) {
	for start := time.Now(); ; {
		conn, err := db.Conn(ctx)
		if !sqliteBusy(err) || time.Since(start) > busyTime {
			return conn, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// startSQLite checks the writing connection, makes the file's name durable,
// migrates, then opens the readers.
func (db *DB) startSQLite(ctx context.Context, path string, conn *sql.Conn) error {
	if err := sqliteDurable(ctx, conn); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := db.migrate(ctx); err != nil {
		return err
	}
	reads, err := sql.Open("sqlite", sqliteDSN(path, url.Values{"_pragma": {"query_only(1)"}}))
	if err != nil {
		return err
	}
	readers := max(4, 2*runtime.NumCPU())
	reads.SetMaxOpenConns(readers)
	reads.SetMaxIdleConns(readers)
	db.reads, db.reader = reads, &statements{on: reads}
	return nil
}

// sqliteDurable reads back what the connection really runs with (R3): a file
// system that cannot do WAL, or an in-memory database, keeps another mode
// without a word.
func sqliteDurable(ctx context.Context, q querier) error {
	s := &session{ctx, q, sqliteDialect()}
	var mode string
	var synchronous int
	if err := s.get([]any{&mode}, "PRAGMA journal_mode"); err != nil {
		return fmt.Errorf("read journal_mode: %w", err)
	}
	if err := s.get([]any{&synchronous}, "PRAGMA synchronous"); err != nil {
		return fmt.Errorf("read synchronous: %w", err)
	}
	const full = 2
	if mode != "wal" || synchronous < full {
		return fmt.Errorf("%w: journal_mode is %s, synchronous is %d", ErrWeakDurability, mode, synchronous)
	}
	return nil
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
