package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestReopenKeepsEverything(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := got[*DB](t)(Open(ctx, p.Config))
		sender := addUser(t, db, "alice@example.test")
		n := letter(sender, p.clock.now(), "bob@example.test")
		must(t, db.AddSubmission(ctx, n))
		must(t, db.Close())
		db = p.open(t)
		if have := got[*rem.Submission](t)(db.Submission(ctx, n.Accepted.Submission.ID)); !reflect.DeepEqual(*have, n.Accepted.Submission) {
			t.Errorf("after reopening: %+v", have)
		}
	})
}

func TestNewerSchemaIsRefused(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		must(t, got[*DB](t)(Open(ctx, p.Config)).Close())
		if _, err := p.raw(t).Exec("INSERT INTO schema_version (version, applied) VALUES (9999, 0)"); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(ctx, p.Config); !errors.Is(err, ErrNewer) {
			t.Errorf("a newer schema was opened: %v", err)
		}
	})
}

func TestOpenInParallel(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		opened := make(chan *DB, 4)
		for range cap(opened) {
			go func() {
				db, err := Open(ctx, p.Config)
				if err != nil {
					t.Error(err)
				}
				opened <- db
			}()
		}
		for range cap(opened) {
			if db := <-opened; db != nil {
				must(t, db.Close())
			}
		}
	})
}

// A new file is turned to WAL only while nobody writes it, and SQLite does not
// wait for that by itself.
func TestOpenWaitsForTheTurnToWAL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	raw := got[*sql.DB](t)(sql.Open("sqlite", "file:"+path))
	defer raw.Close()
	writer := got[*sql.Conn](t)(raw.Conn(ctx))
	for _, q := range []string{"CREATE TABLE t (x)", "BEGIN IMMEDIATE"} {
		if _, err := writer.ExecContext(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	impatient, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if _, err := Open(impatient, Config{Driver: "sqlite", DSN: path}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while it is written: %v", err)
	}
	must(t, errors.Join(writer.Close(), raw.Close()))
	db := got[*DB](t)(Open(ctx, Config{Driver: "sqlite", DSN: path}))
	must(t, db.Close())
}

func TestWeakDurabilityIsRefused(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		conn := got[*sql.Conn](t)(p.raw(t).Conn(ctx))
		defer conn.Close()
		weaken, check := "PRAGMA journal_mode = wal; PRAGMA synchronous = NORMAL", sqliteDurable
		if p.Driver == "postgres" {
			weaken, check = "SET synchronous_commit = off", postgresDurable
		}
		if _, err := conn.ExecContext(ctx, weaken); err != nil {
			t.Fatal(err)
		}
		if err := check(ctx, conn); !errors.Is(err, ErrWeakDurability) {
			t.Errorf("after %q: %v", weaken, err)
		}
	})
	if _, err := Open(ctx, Config{Driver: "sqlite", DSN: ":memory:"}); !errors.Is(err, ErrWeakDurability) {
		t.Errorf("in memory: %v", err)
	}
	if dsn := os.Getenv("CRYPTOGRAMM_POSTGRES"); dsn != "" && !strings.Contains(dsn, "://") {
		if _, err := Open(ctx, Config{Driver: "postgres", DSN: dsn + " synchronous_commit=off"}); !errors.Is(err, ErrWeakDurability) {
			t.Errorf("synchronous_commit off: %v", err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	for _, c := range []Config{{Driver: "oracle"}, {Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "absent", "meta.db")}} {
		if db, err := Open(ctx, c); err == nil {
			db.Close()
			t.Errorf("%+v was opened", c)
		}
	}
	path := filepath.Join(t.TempDir(), "meta.db")
	must(t, os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600))
	if _, err := Open(ctx, Config{Driver: "sqlite", DSN: path}); err == nil {
		t.Error("a text file was opened")
	}
}

func TestStrangePaths(t *testing.T) {
	for _, name := range []string{"a b", "a?mode=memory", "a#b", "a%20b", "база", "a&b=c", "file:x"} {
		path := filepath.Join(t.TempDir(), name)
		db, err := Open(ctx, Config{Driver: "sqlite", DSN: path})
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		must(t, db.Close())
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestPlaceholders guards what the whole package relies on: $n binds by number
// in whatever order it stands.
func TestPlaceholders(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		var a, b, c string
		err := p.open(t).read(ctx).get([]any{&a, &b, &c}, "SELECT CAST($2 AS TEXT), CAST($1 AS TEXT), CAST($2 AS TEXT)", "one", "two")
		if err != nil || a != "two" || b != "one" || c != "two" {
			t.Errorf("%q %q %q %v", a, b, c, err)
		}
	})
}

// TestPinnedEngine guards the one pair of versions that has been measured:
// modernc.org/sqlite works with exactly its own libc.
func TestPinnedEngine(t *testing.T) {
	text := string(got[[]byte](t)(os.ReadFile("../go.mod")))
	for _, want := range []string{"modernc.org/sqlite v1.60.1", "modernc.org/libc v1.77.1"} {
		if !strings.Contains(text, want+"\n") && !strings.Contains(text, want+" //") {
			t.Errorf("go.mod does not require %s", want)
		}
	}
}
