package store

import (
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// TestServingRoleCannotChangeEvidence runs a whole exchange as a role that is
// not the owner, then tries with that role what an intruder would, the triggers
// being gone.
func TestServingRoleCannotChangeEvidence(t *testing.T) {
	dsn := os.Getenv("CRYPTOGRAMM_POSTGRES")
	if dsn == "" || strings.Contains(dsn, "://") {
		return
	}
	p := postgresPlace(t, dsn)
	role := "r_" + strings.ToLower(rand.Text())
	admin := rawDB(t, "pgx", dsn)
	run := func(text string) error {
		_, err := admin.Exec(text)
		return err
	}
	must(t, run("CREATE ROLE "+role+" LOGIN"))
	t.Cleanup(func() { run("DROP OWNED BY " + role); run("DROP ROLE " + role) })

	owner := p.DSN
	p.Owner = owner
	if _, err := Open(ctx, p.Config); !errors.Is(err, ErrStrongRole) {
		t.Errorf("the owner itself serves: %v", err)
	}
	p.DSN = strings.Replace(owner, "user=postgres", "user="+role, 1)
	if p.DSN == owner {
		t.Fatalf("no user=postgres in %s", owner)
	}
	w := newWorld(t, p)
	o := &office{place: p, db: w.db, alice: w.sender, bob: w.recipient}
	n := o.send(t, "bob@example.test")
	o.receive(t, n, 0, o.bob)
	drafts := o.box(t, o.alice, "Drafts")
	o.put(t, drafts, `\Deleted`)
	got[[]uint32](t)(w.db.Expunge(ctx, drafts.ID, nil))
	must(t, w.db.PruneTombstones(ctx, p.clock.now().Add(time.Hour)))
	must(t, w.db.DropRefusedBytes(ctx, w.refusal.ID))
	got[string](t)(w.db.PutSettingOnce(ctx, "k", "v"))
	if found := problems(t, w.db); len(found) > 0 {
		t.Errorf("problems:\n%s", strings.Join(found, "\n"))
	}

	as := rawDB(t, "pgx", p.DSN)
	attempts := []string{
		"UPDATE evidence SET time = 0", "DELETE FROM evidence", "TRUNCATE evidence CASCADE", "DELETE FROM evidence_record",
		"UPDATE evidence_record SET record = '{}'", "UPDATE submissions SET sender = 'x'", "DELETE FROM submissions",
		"UPDATE consignments SET recipient = 'x'", "DELETE FROM consignments", "UPDATE mails SET head = ''",
		"UPDATE refusals SET words = ''", "UPDATE protocols SET body = ''", "DELETE FROM audit", "UPDATE settings SET value = ''",
		"DELETE FROM schema_version", "UPDATE schema_version SET version = 0",
		"DROP TRIGGER guard_evidence_update ON evidence", "ALTER TABLE evidence DISABLE TRIGGER ALL", "DROP TABLE evidence_record",
		"SET session_replication_role = replica", "CREATE TABLE mine (x int)",
	}
	try := func(when string) {
		t.Helper()
		for _, text := range attempts {
			if _, err := as.Exec(text); err == nil || !strings.Contains(err.Error(), "permission denied") && !strings.Contains(err.Error(), "must be owner") {
				t.Errorf("%s, %s: %v", when, text, err)
			}
		}
	}
	try("with triggers")
	p.DSN = owner
	for _, table := range []string{"evidence", "evidence_record", "submissions", "consignments", "mails", "refusals", "protocols", "audit"} {
		if _, err := p.raw(t).Exec("ALTER TABLE " + table + " DISABLE TRIGGER ALL"); err != nil {
			t.Fatal(err)
		}
	}
	try("without triggers")
	must(t, run("GRANT "+"DELETE ON "+schemaOf(owner)+".evidence TO "+role))
	if err := w.db.weakRole(ctx); !errors.Is(err, ErrStrongRole) {
		t.Errorf("after a grant: %v", err)
	}
	ev := got[[]EvidenceRow](t)(w.db.Evidence(ctx, EvidenceFilter{Event: string(rem.SubmissionAcceptance)}))
	if len(ev) != 2 {
		t.Errorf("%d evidence", len(ev))
	}
}

func schemaOf(dsn string) string {
	_, schema, _ := strings.Cut(dsn, "search_path=")
	return schema
}
