package store

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// TestAwayServer: callers can tell a server that is away, or has no room for
// one more, from a fault of ours.
func TestAwayServer(t *testing.T) {
	d := postgresDialect()
	_, refused := pgconn.Connect(ctx, "host="+t.TempDir()+" user=nobody")
	for err, away := range map[error]bool{
		refused: true, &pgconn.PgError{Code: "57P03"}: true, &pgconn.PgError{Code: "53300"}: true,
		&pgconn.PgError{Code: "42601"}: false, errors.New("else"): false,
	} {
		if have := d.explain(fmt.Errorf("begin: %w", err)); errors.Is(have, ErrUnavailable) != away {
			t.Errorf("%v: %v", err, have)
		}
	}
}
