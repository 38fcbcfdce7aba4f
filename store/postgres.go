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

func (db *DB) openPostgres(ctx context.Context, dsn string) error {
	pg, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	pg.SetMaxOpenConns(postgresConns)
	pg.SetMaxIdleConns(postgresConns)
	db.d, db.reads, db.reader = postgresDialect(), pg, pg
	db.writer = &pool{pg, db.d}
	if err := postgresDurable(ctx, pg); err != nil {
		return errors.Join(err, pg.Close())
	}
	if err := db.migrate(ctx); err != nil {
		return errors.Join(err, pg.Close())
	}
	return nil
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
