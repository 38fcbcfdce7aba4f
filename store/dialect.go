package store

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// dialect is all in which the two engines differ, apart from how they are
// opened and how a transaction is committed.
type dialect struct {
	integer    string // 64 bits
	text       string // compared octet by octet
	blob       string
	strict     string // table suffix
	keyed      string // table suffix: rows lie in the primary key
	prologue   string // SQL before the first guard
	guard      func(g guard) string
	guards     string // query: names of the guards that stand
	lock       string // statement that lets one process migrate at a time
	hold       string // query: whether this connection now holds the name $1; "": one process has the database
	forUpdate  string // end of a SELECT whose rows nobody else changes until the transaction ends; "": nobody can
	skipLocked string // the same, leaving out rows that somebody else has so
	tables     string // query: whether the schema has a table named $1
	snapshot   *sql.TxOptions
	audit      []string          // queries of the engine's own integrity checks, each row a problem unless "ok"
	classify   func(error) error // one of this package's errors, or nil
}

// guard is a trigger that refuses a change.
type guard struct {
	Name, Table string
	Verb        string // UPDATE, DELETE
	Columns     string // of an UPDATE; "" = all
	When        string // condition on OLD; "" = always
}

func (g guard) event() string {
	if g.Columns == "" {
		return g.Verb
	}
	return g.Verb + " OF " + g.Columns
}

func sqliteDialect() *dialect {
	return &dialect{
		integer: "INTEGER", text: "TEXT", blob: "BLOB", strict: " STRICT", keyed: " STRICT, WITHOUT ROWID",
		guard:  sqliteGuard,
		guards: "SELECT name FROM sqlite_master WHERE type = 'trigger'",
		tables: "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = $1",
		audit: []string{
			"SELECT integrity_check FROM pragma_integrity_check",
			`SELECT 'foreign key: row of ' || "table" || ' names an absent row of ' || parent FROM pragma_foreign_key_check`,
		},
		classify: classifySQLite,
	}
}

func sqliteGuard(g guard) string {
	when := ""
	if g.When != "" {
		when = " WHEN " + g.When
	}
	return fmt.Sprintf("CREATE TRIGGER %s BEFORE %s ON %s%s BEGIN SELECT RAISE(ABORT, 'insert-only: %s'); END;",
		g.Name, g.event(), g.Table, when, g.Table)
}

func classifySQLite(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return nil
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return ErrExists
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return ErrNotFound
	case sqlite3.SQLITE_FULL:
		return ErrFull
	}
	return nil
}

func postgresDialect() *dialect {
	return &dialect{
		integer: "BIGINT", text: `TEXT COLLATE "C"`, blob: "BYTEA",
		prologue: `CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'insert-only: %', TG_TABLE_NAME; END $$;`,
		guard: postgresGuard,
		guards: `SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
			WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND c.relnamespace = current_schema()::regnamespace`,
		lock:       "SELECT pg_advisory_xact_lock(7305808869231650167)",
		hold:       "SELECT pg_try_advisory_lock(hashtextextended(current_schema() || '/node/' || $1, 7305808869231650167))",
		forUpdate:  " FOR UPDATE",
		skipLocked: " FOR UPDATE SKIP LOCKED",
		tables:     "SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = $1",
		snapshot:   &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
		classify:   classifyPostgres,
	}
}

// postgresGuard refuses TRUNCATE along with DELETE.
func postgresGuard(g guard) string {
	when := ""
	if g.When != "" {
		when = " WHEN (" + g.When + ")"
	}
	trigger := fmt.Sprintf("CREATE TRIGGER %s BEFORE %s ON %s FOR EACH ROW%s EXECUTE FUNCTION refuse_change();",
		g.Name, g.event(), g.Table, when)
	if g.Verb == "DELETE" {
		trigger += fmt.Sprintf("\nCREATE TRIGGER %s_all BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();",
			g.Name, g.Table)
	}
	return trigger
}

// Error codes of PostgreSQL (appendix A of its manual).
func classifyPostgres(err error) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		var away *pgconn.ConnectError
		if errors.As(err, &away) || errors.Is(err, driver.ErrBadConn) {
			return ErrUnavailable
		}
		return nil
	}
	switch e.Code {
	case "23505": // unique_violation
		return ErrExists
	case "23503": // foreign_key_violation
		return ErrNotFound
	case "53100": // disk_full
		return ErrFull
	case "53300", "57P01", "57P02", "57P03": // too_many_connections, admin_shutdown, crash_shutdown, cannot_connect_now
		return ErrUnavailable
	}
	return nil
}

// explain gives an engine's error the name that callers know it by.
func (d *dialect) explain(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	if known := d.classify(err); known != nil && !errors.Is(err, known) {
		return fmt.Errorf("%w (%w)", known, err)
	}
	return err
}

// dollars writes "$from, …" with n placeholders.
func dollars(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", from+i)
	}
	return b.String()
}

// sqliteBusy reports that another process held the file; nothing was written.
func sqliteBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
}
