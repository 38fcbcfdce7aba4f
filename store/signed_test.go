package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestSubmissionBySigned(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		sender := addUser(t, db, "alice@example.test")
		n := letter(sender, p.clock.now(), "bob@Example.test", "carol@example.test")
		must(t, db.AddSubmission(ctx, n))
		signed := []rem.Digest{{}, rem.DigestOf([]byte("other")), n.Accepted.Submission.Finding.Documents[0].SignedSHA256}
		for _, c := range []struct {
			name, account string
			signed        []rem.Digest
			to            []string
			found         bool
		}{
			{"same recipients in another order", sender.ID, signed, []string{"carol@example.test", "bob@example.TEST"}, false},
			{"another recipient", sender.ID, signed, []string{"dan@example.test"}, true},
			{"another octet sequence", sender.ID, signed[:2], []string{"dan@example.test"}, false},
			{"another account", "other", signed, []string{"dan@example.test"}, false},
			{"nothing signed", sender.ID, signed[:1], []string{"dan@example.test"}, false},
		} {
			id, err := db.SubmissionBySigned(ctx, c.account, c.signed, c.to)
			if c.found && (err != nil || id != n.Accepted.Submission.ID) || !c.found && !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %q, %v", c.name, id, err)
			}
		}
	})
}

// again is a letter with the signed octets of an earlier one.
func again(n NewSubmission, sender User, now time.Time, recipients ...string) NewSubmission {
	m := letter(sender, now, recipients...)
	m.Accepted.Submission.Finding.Documents = n.Accepted.Submission.Finding.Documents
	m.Evidence = []rem.Evidence{m.Accepted.Evidence()}
	return m
}

func signedRows(t *testing.T, p *place) (n int) {
	t.Helper()
	must(t, p.raw(t).QueryRow("SELECT COUNT(*) FROM signed_octets").Scan(&n))
	return n
}

// TestSignedOctetsStaySmall: a file sent out any number of times, to the same
// people or to others, is found for every audience and filed twice at most.
func TestSignedOctetsStaySmall(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		sender := addUser(t, db, "alice@example.test")
		first := letter(sender, p.clock.now(), "bob@example.test")
		signed := []rem.Digest{first.Accepted.Submission.Finding.Documents[0].SignedSHA256}
		find := func(to string) string {
			t.Helper()
			id, err := db.SubmissionBySigned(ctx, sender.ID, signed, []string{to})
			if err != nil && !errors.Is(err, ErrNotFound) {
				t.Fatal(err)
			}
			return id
		}
		must(t, db.AddSubmission(ctx, first))
		for range 3 {
			p.clock.advance(time.Second)
			must(t, db.AddSubmission(ctx, again(first, sender, p.clock.now(), "bob@Example.test")))
		}
		if have := find("bob@example.test"); have != "" {
			t.Errorf("found %s, but nobody else was written to", have)
		}
		second := again(first, sender, p.clock.now(), "carol@example.test")
		must(t, db.AddSubmission(ctx, second))
		for i := range 20 {
			p.clock.advance(time.Second)
			must(t, db.AddSubmission(ctx, again(first, sender, p.clock.now(), fmt.Sprintf("r%d@example.test", i))))
		}
		for to, want := range map[string]string{
			"bob@example.test":   second.Accepted.Submission.ID,
			"carol@example.test": first.Accepted.Submission.ID,
			"r7@example.test":    first.Accepted.Submission.ID,
			"dan@example.test":   first.Accepted.Submission.ID,
		} {
			if have := find(to); have != want {
				t.Errorf("to %s: %q, want %q", to, have, want)
			}
		}
		if n := signedRows(t, p); n != 2 {
			t.Errorf("%d rows, want 2", n)
		}
		if found := problems(t, db); len(found) > 0 {
			t.Error(found)
		}
	})
}

// TestSignedOctetsMigrate takes the table away, as a database of the first
// schema lacks it, and runs its migration again.
func TestSignedOctetsMigrate(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := got[*DB](t)(Open(ctx, p.Config))
		sender := addUser(t, db, "alice@example.test")
		first := letter(sender, p.clock.now(), "bob@example.test")
		must(t, db.AddSubmission(ctx, first))
		for _, to := range []string{"bob@example.test", "carol@example.test", "dan@example.test"} {
			p.clock.advance(time.Second)
			must(t, db.AddSubmission(ctx, again(first, sender, p.clock.now(), to)))
		}
		must(t, db.AddSubmission(ctx, letter(sender, p.clock.now(), "bob@example.test")))
		before := signedRows(t, p)
		must(t, db.Close())
		raw := p.raw(t)
		for _, text := range []string{
			"DROP TABLE signed_octets", "CREATE INDEX documents_signed ON documents (signed_sha256)",
			got[[]migration](t)(loadMigrations(dialectOf(p.Driver)))[1].script,
		} {
			if _, err := raw.Exec(text); err != nil {
				t.Fatal(err)
			}
		}
		db = p.open(t)
		if n := signedRows(t, p); n != 3 || before != 3 {
			t.Errorf("%d rows before, %d after, want 3", before, n)
		}
		if found := problems(t, db); len(found) > 0 {
			t.Error(found)
		}
		id, err := db.SubmissionBySigned(ctx, sender.ID, []rem.Digest{first.Accepted.Submission.Finding.Documents[0].SignedSHA256}, []string{"eve@example.test"})
		if err != nil || id != first.Accepted.Submission.ID {
			t.Errorf("%q %v", id, err)
		}
	})
}

func dialectOf(driver string) *dialect {
	if driver == "postgres" {
		return postgresDialect()
	}
	return sqliteDialect()
}
