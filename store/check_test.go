package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// world is an installation with something of everything.
type world struct {
	*place
	db           *DB
	sender       User
	recipient    User
	sent         NewSubmission // to be pending, notified, failed, received, verified, expired in this order
	refusal      Refusal
	consignments []rem.Consignment
}

var worldStates = []State{StatePending, StateNotified, StateFailed, StateReceived, StateVerified, StateExpired}

func newWorld(t testing.TB, p *place) *world {
	w := &world{place: p, db: p.open(t)}
	w.sender, w.recipient = addUser(t, w.db, "alice@example.test"), addUser(t, w.db, "bob@example.test")
	var to []string
	for _, s := range worldStates {
		to = append(to, string(s)+"@example.test")
	}
	w.sent = letter(w.sender, p.clock.now(), to...)
	must(t, w.db.AddSubmission(ctx, w.sent))
	w.consignments = w.sent.Accepted.Consignments
	w.finish(t, "notified", rem.NotificationForAcceptance, func(o *Outcome, id string) { o.Notified = id })
	w.finish(t, "failed", rem.NotificationForAcceptanceFailure, func(o *Outcome, id string) { o.FailedNotice = id })
	w.finish(t, "expired", rem.AcceptanceRejectionExpiry, func(o *Outcome, id string) { o.Expired = id })
	for _, s := range []State{StateReceived, StateVerified} {
		w.clock.advance(time.Minute)
		if first := got[bool](t)(w.db.AddHandover(ctx, handover(*w.at(s), w.recipient, w.sender.Email, w.clock.now()))); !first {
			t.Fatal("first handover did not count")
		}
	}
	w.sign(t)
	w.refusal = Refusal{ID: newID(), Account: w.sender.ID, Sender: w.sender.Email, Reason: "unsigned", Text: "Nothing was sent.", Time: w.clock.now(), Spool: "spool-x"}
	must(t, w.db.AddRefusal(ctx, w.refusal, rem.Attest(rem.SubmissionRejection, w.refusal.ID, 0, w.clock.now(),
		rem.Record{Submission: w.refusal.ID, Sender: w.sender.Email, Reason: "unsigned"}), nil))
	must(t, w.db.AddAnchor(ctx, Anchor{DER: []byte("root"), Kind: "unqualified", Subject: "CN=Root"}))
	return w
}

func (w *world) at(s State) *rem.Consignment {
	for i := range worldStates {
		if worldStates[i] == s {
			return &w.consignments[i]
		}
	}
	panic(s)
}

func (w *world) finish(t testing.TB, state State, event rem.Event, set func(*Outcome, string)) {
	t.Helper()
	c := w.at(state)
	must(t, w.db.AddJobs(ctx, []Job{{ID: "do-" + c.ID, Kind: string(state), Subject: c.ID}}))
	j := got[*Job](t)(w.db.Claim(ctx, []string{string(state)}, "", "test", time.Minute))
	o := Outcome{Evidence: []rem.Evidence{attest(event, *c, w.sender.Email, 0, w.clock.now())}}
	set(&o, c.ID)
	must(t, w.db.Finish(ctx, j, o))
}

func (w *world) sign(t testing.TB) {
	t.Helper()
	c := w.at(StateVerified)
	p := Protocol{ID: newID(), User: w.recipient.ID, Consignment: c.ID, Body: []byte("{}"), Expires: w.clock.now().Add(time.Hour)}
	must(t, w.db.AddProtocol(ctx, p))
	p.Signature, p.SignedAt = []byte("cms"), w.clock.now()
	ev := []rem.Evidence{rem.Attest(rem.RecipientVerification, c.ID, 0, w.clock.now(), rem.Record{
		Submission: c.Submission, Consignment: c.ID, Sender: w.sender.Email, Recipient: c.Recipient,
		Digests: map[string]string{"protocol.sha256": rem.DigestOf(p.Body).String()},
	})}
	if first := got[bool](t)(w.db.SignProtocol(ctx, Signing{Protocol: p, Signer: []byte("certificate of bob"), Evidence: ev})); !first {
		t.Fatal("first signature did not count")
	}
}

// tamper runs statements as somebody would who has the database to himself:
// guards and foreign keys off, afterwards on again.
func (p *place) tamper(t testing.TB, f func(exec func(text string, args ...any))) {
	t.Helper()
	conn := got[*sql.Conn](t)(p.raw(t).Conn(ctx))
	defer conn.Close()
	exec := func(text string, args ...any) {
		t.Helper()
		if _, err := conn.ExecContext(ctx, text, args...); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if p.Driver == "postgres" {
		exec("SET session_replication_role = replica")
		f(exec)
		exec("SET session_replication_role = DEFAULT")
		return
	}
	var triggers []string
	s := &session{ctx, conn, sqliteDialect()}
	names := got[[][2]string](t)(list(s, func(x *[2]string) []any { return []any{&x[0], &x[1]} }, "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
	for _, n := range names {
		exec("DROP TRIGGER " + n[0])
		triggers = append(triggers, n[1])
	}
	f(exec)
	for _, text := range triggers {
		exec(text)
	}
}

func problems(t testing.TB, db *DB) []string {
	t.Helper()
	var out []string
	must(t, db.Check(ctx, func(p string) { out = append(out, p) }))
	return out
}

func TestCheckFindsNothingInSoundDatabase(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		w := newWorld(t, p)
		for i, c := range got[[]ConsignmentRow](t)(w.db.Consignments(ctx, w.sent.Accepted.Submission.ID)) {
			if c.State != worldStates[i] {
				t.Errorf("consignment %d is %s, want %s", i, c.State, worldStates[i])
			}
		}
		if found := problems(t, w.db); len(found) > 0 {
			t.Errorf("problems in a sound database:\n%s", strings.Join(found, "\n"))
		}
		w.tamper(t, func(exec func(string, ...any)) { exec("DELETE FROM evidence_record") }) // erasure
		if found := problems(t, w.db); len(found) > 0 {
			t.Errorf("problems after erasure:\n%s", strings.Join(found, "\n"))
		}
	})
}

func TestCheckNamesTampering(t *testing.T) {
	type exec = func(string, ...any)
	zero := make([]byte, 32)
	cases := []struct {
		name string
		do   func(w *world, exec exec)
		want string // what the problem says
	}{
		{"evidence time", func(w *world, x exec) { x("UPDATE evidence SET time = time + 1 WHERE event = 'SubmissionAcceptance'") }, "accepted at"},
		{"evidence event", func(w *world, x exec) {
			x("UPDATE evidence SET event = 'NotificationForAcceptance' WHERE event = 'NotificationForAcceptanceFailure'")
		}, "id does not follow"},
		{"evidence digest", func(w *world, x exec) { x("UPDATE evidence SET digest = $1 WHERE event = 'ContentHandover'", zero) }, "digest is not that of salt and record"},
		{"record", func(w *world, x exec) { x("UPDATE evidence_record SET record = REPLACE(record, 'alice', 'mallo')") }, "digest is not that of salt and record"},
		{"salt", func(w *world, x exec) { x("UPDATE evidence_record SET salt = $1", zero[:16]) }, "digest is not that of salt and record"},
		{"record and digest", func(w *world, x exec) {
			record := `{"event":"ContentHandover"}`
			d := recordDigest(zero[:16], []byte(record))
			x("UPDATE evidence_record SET record = $1, salt = $2 WHERE id = (SELECT id FROM evidence WHERE event = 'ContentHandover' AND subject = $3)", record, zero[:16], w.at(StateReceived).ID)
			x("UPDATE evidence SET digest = $1 WHERE event = 'ContentHandover' AND subject = $2", d[:], w.at(StateReceived).ID)
		}, "record's recipient"},
		{"record that is not JSON", func(w *world, x exec) {
			d := recordDigest(zero[:16], []byte("{"))
			x("UPDATE evidence_record SET record = '{', salt = $1 WHERE id = (SELECT id FROM evidence WHERE event = 'SubmissionAcceptance')", zero[:16])
			x("UPDATE evidence SET digest = $1 WHERE event = 'SubmissionAcceptance'", d[:])
		}, "record: unexpected end"},
		{"acceptance removed", func(w *world, x exec) {
			x("DELETE FROM evidence_record")
			x("DELETE FROM evidence WHERE event = 'SubmissionAcceptance'")
		}, "no evidence SubmissionAcceptance"},
		{"rejection removed", func(w *world, x exec) {
			x("DELETE FROM evidence_record")
			x("DELETE FROM evidence WHERE event = 'SubmissionRejection'")
		}, "no evidence SubmissionRejection"},
		{"record without evidence", func(w *world, x exec) { x("DELETE FROM evidence WHERE event = 'AcceptanceRejectionExpiry'") }, "rows of evidence_record name absent evidence"},
		{"handover removed", func(w *world, x exec) {
			x("DELETE FROM evidence_record")
			x("DELETE FROM evidence WHERE event = 'ContentHandover'")
		}, "0 evidence of a handover"},
		{"handover invented", func(w *world, x exec) { x("UPDATE consignments SET state = 'received' WHERE state = 'pending'") }, "0 evidence of a handover"},
		{"receipt's time", func(w *world, x exec) {
			x("UPDATE consignments SET received_at = received_at - 1 WHERE state = 'received'")
		}, "handed over at"},
		{"receipt's grade", func(w *world, x exec) { x("UPDATE consignments SET grade = 'certificate' WHERE state = 'received'") }, "record's grade"},
		{"receiver erased", func(w *world, x exec) { x("UPDATE consignments SET received_by = NULL WHERE state = 'received'") }, "receiver and time of receipt do not agree"},
		{"receipt denied", func(w *world, x exec) {
			x("UPDATE consignments SET state = 'notified', received_at = 0, received_by = NULL WHERE state = 'received'")
		}, "1 evidence of a handover"},
		{"verification denied", func(w *world, x exec) { x("UPDATE consignments SET state = 'received' WHERE state = 'verified'") }, "1 evidence of a verification"},
		{"expiry denied", func(w *world, x exec) { x("UPDATE consignments SET state = 'pending' WHERE state = 'expired'") }, "1 evidence of expiry"},
		{"notice invented", func(w *world, x exec) { x("UPDATE consignments SET state = 'notified' WHERE state = 'pending'") }, "no evidence of a notification"},
		{"notice denied", func(w *world, x exec) { x("UPDATE consignments SET state = 'pending' WHERE state = 'notified'") }, "evidence of a notification"},
		{"failure invented", func(w *world, x exec) { x("UPDATE consignments SET state = 'failed' WHERE state = 'pending'") }, "no evidence of a failure"},
		{"strange state", func(w *world, x exec) { x("UPDATE consignments SET state = 'lost' WHERE state = 'pending'") }, "there is no such state"},
		{"recipient changed", func(w *world, x exec) {
			x("UPDATE consignments SET recipient = 'eve@example.test' WHERE state = 'pending'")
		}, "does not follow from submission"},
		{"consignment removed", func(w *world, x exec) { x("DELETE FROM consignments WHERE state = 'pending'") }, "5 consignments, its envelope names 6"},
		{"consignment invented", func(w *world, x exec) {
			x("INSERT INTO consignments (id, submission, place, recipient, expires, state, received_email, received_at, grade) SELECT 'x', submission, 9, 'eve@example.test', expires, 'pending', '', 0, '' FROM consignments WHERE place = 0")
		}, "7 consignments, its envelope names 6"},
		{"sender changed", func(w *world, x exec) { x("UPDATE submissions SET sender = 'eve@example.test'") }, "do not follow from its envelope"},
		{"submission's time", func(w *world, x exec) { x("UPDATE submissions SET time = time + 1") }, "accepted at"},
		{"letter exchanged", func(w *world, x exec) { x("UPDATE submissions SET sha256 = $1", zero) }, "record's letter digest"},
		{"verdict changed", func(w *world, x exec) {
			x(`UPDATE submissions SET finding = REPLACE(finding, '"passed"', '"failed"')`)
		}, "should have been refused"},
		{"finding broken", func(w *world, x exec) { x("UPDATE submissions SET finding = '{'") }, "cannot be read"},
		{"submission of nobody", func(w *world, x exec) { x("UPDATE submissions SET account = 'nobody'") }, "rows of submissions name absent users"},
		{"audience changed", func(w *world, x exec) { x("UPDATE submissions SET audience = $1", zero) }, "digest of its recipients"},
		{"document renamed", func(w *world, x exec) { x("UPDATE documents SET body = REPLACE(body, 'pdf', 'doc')") }, "says otherwise about documents[0].name"},
		{"document removed", func(w *world, x exec) { x("DELETE FROM documents") }, "says otherwise about documents"},
		{"document's digest", func(w *world, x exec) { x("UPDATE documents SET signed_sha256 = $1", zero) }, "filed under other digests"},
		{"repetition forgotten", func(w *world, x exec) { x("DELETE FROM signed_octets") }, "its signed octets are not filed"},
		{"repetition redirected", func(w *world, x exec) { x("UPDATE signed_octets SET audience = $1", zero) }, "are not its own"},
		{"repetition invented", func(w *world, x exec) { x("UPDATE signed_octets SET digest = $1", zero) }, "are not its own"},
		{"signature's verdict", func(w *world, x exec) {
			x("UPDATE signatures SET body = REPLACE(body, 'TOTAL-PASSED', 'INDETERMINATE')")
		}, "says otherwise about signatures[0].indication"},
		{"signature's digest", func(w *world, x exec) { x("UPDATE signatures SET sha256 = $1", zero) }, "signature 0 is filed under another digest"},
		{"certificate exchanged", func(w *world, x exec) {
			d := rem.DigestOf([]byte("certificate of bob"))
			x("UPDATE signatures SET certificate = $1", d[:])
		}, "verified under another certificate"},
		{"certificate changed", func(w *world, x exec) { x("UPDATE certificates SET der = $1", zero) }, "is not the digest of its bytes"},
		{"anchor changed", func(w *world, x exec) { x("UPDATE anchors SET der = $1", zero) }, "anchors: "},
		{"protocol's signature removed", func(w *world, x exec) { x("UPDATE protocols SET signature = NULL") }, "no protocol of it is signed"},
		{"protocol's signer removed", func(w *world, x exec) { x("UPDATE protocols SET signed_with = NULL") }, "its certificate, its time or the evidence"},
		{"protocol's text", func(w *world, x exec) { x("UPDATE protocols SET body = $1", zero) }, "no evidence names its text"},
		{"envelope's recipient", func(w *world, x exec) {
			x("UPDATE submissions SET envelope = REPLACE(envelope, 'pending@', 'eve@')")
			x("UPDATE consignments SET recipient = 'eve@example.test' WHERE state = 'pending'")
		}, "says otherwise about recipients[0]"},
		{"job about nothing", func(w *world, x exec) { x("UPDATE jobs SET subject = 'aaaaaaaaaaaaaaaaaaaaaaaaaa'") }, "which is absent"},
	}
	onEveryEngine(t, func(t *testing.T, p *place) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				var own *place
				if p.Driver == "sqlite" {
					own = sqlitePlace(t)
				} else {
					own = postgresPlace(t, p.server)
				}
				w := newWorld(t, own)
				own.tamper(t, func(exec func(string, ...any)) { c.do(w, exec) })
				found := problems(t, w.db)
				if !strings.Contains(strings.Join(found, "\n"), c.want) {
					t.Errorf("want a problem with %q, have:\n%s", c.want, strings.Join(found, "\n"))
				}
			})
		}
	})
}

func TestCheckMissesGuards(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		text := "DROP TRIGGER guard_evidence_update"
		if p.Driver == "postgres" {
			text = "ALTER TABLE evidence DISABLE TRIGGER guard_evidence_update"
		}
		if _, err := p.raw(t).Exec(text); err != nil {
			t.Fatal(err)
		}
		if found := fmt.Sprint(problems(t, db)); found != "[guards: trigger guard_evidence_update is gone]" {
			t.Error(found)
		}
	})
}

func TestCheckEndsWithItsContext(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		w := newWorld(t, p)
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if err := w.db.Check(ended, func(p string) { t.Error(p) }); err == nil {
			t.Error("a cancelled check answered nil")
		}
	})
}
