package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// Connections one process holds to PostgreSQL.
const postgresConns = 16

func (db *DB) openPostgres(ctx context.Context, c Config) error {
	pg, err := sql.Open("pgx", c.DSN)
	if err != nil {
		return err
	}
	pg.SetMaxOpenConns(postgresConns)
	pg.SetMaxIdleConns(postgresConns)
	db.d, db.reads, db.reader = postgresDialect(), pg, pg
	db.writer = &pool{db: pg, d: db.d}
	if err := db.startPostgres(ctx, c); err != nil {
		return errors.Join(err, pg.Close())
	}
	db.hub.relay = newRelay(db, c.DSN)
	return nil
}

func (db *DB) startPostgres(ctx context.Context, c Config) error {
	if err := postgresDurable(ctx, db.reads); err != nil {
		return err
	}
	if c.Owner == "" {
		return db.migrate(ctx)
	}
	var role string
	if err := db.read(ctx).get([]any{&role}, "SELECT current_user"); err != nil {
		return err
	}
	if err := db.prepareAsOwner(ctx, c.Owner, role); err != nil {
		return fmt.Errorf("as owner: %w", err)
	}
	return db.weakRole(ctx)
}

// postgresDurable refuses settings under which an acknowledged commit may be
// lost or torn in a power cut (R3). All three can only be read on the server.
func postgresDurable(ctx context.Context, q querier) error {
	s := &session{ctx, q, postgresDialect()}
	for _, name := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		var value string
		if err := s.get([]any{&value}, "SHOW "+name); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if value == "off" {
			return fmt.Errorf("%w: %s is off", ErrWeakDurability, name)
		}
	}
	return nil
}

// rolledBackByServer reports a transaction that certainly did not happen and
// may be run again.
func rolledBackByServer(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01") // serialization_failure, deadlock_detected
}
