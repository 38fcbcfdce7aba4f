package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Answers of this package that callers tell apart.
var (
	ErrNotFound       = errors.New("not found")
	ErrExists         = errors.New("exists already")
	ErrLeaseLost      = errors.New("the job's lease was lost")
	ErrUsed           = errors.New("used already")
	ErrExpired        = errors.New("expired")
	ErrText           = errors.New("text with NUL or not UTF-8")
	ErrFull           = errors.New("no room left in the database")
	ErrUnavailable    = errors.New("the database cannot be reached")
	ErrStopped        = errors.New("the database stopped accepting after a failed commit")
	ErrWeakDurability = errors.New("database settings do not make commits durable")
	ErrNewer          = errors.New("database was made by a newer version")
)

// Config says which database to open.
type Config struct {
	Driver string           // "sqlite" or "postgres"
	DSN    string           // sqlite: path of the file; postgres: URL or key=value
	Owner  string           // postgres: DSN of the role that owns the tables; "": the role of DSN does
	Now    func() time.Time // nil: time.Now
}

// DB is one installation's metadata. It is safe for concurrent use.
type DB struct {
	d      *dialect
	now    func() time.Time
	reads  *sql.DB
	reader querier // reads, through prepared statements where that pays
	writer writer
	hub    *hub
}

// Open opens the database, brings its schema up to date and refuses one whose
// settings would lose acknowledged transactions in a power cut
// (ErrWeakDurability) or whose schema is newer than this program (ErrNewer).
func Open(ctx context.Context, c Config) (*DB, error) {
	db := &DB{now: c.Now, hub: newHub()}
	if db.now == nil {
		db.now = time.Now
	}
	var err error
	switch c.Driver {
	case "sqlite":
		err = db.openSQLite(ctx, c.DSN)
	case "postgres":
		err = db.openPostgres(ctx, c)
	default:
		err = fmt.Errorf("unknown driver %q", c.Driver)
	}
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return db, nil
}

// Close waits for the transactions under way and closes every connection.
func (db *DB) Close() error {
	db.hub.close()
	return errors.Join(db.writer.close(), db.reads.Close())
}
