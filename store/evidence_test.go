package store

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestEvidenceIsSaltedAndListed(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		w := newWorld(t, p)
		sent := w.sent.Accepted.Submission.ID
		all := got[[]EvidenceRow](t)(w.db.Evidence(ctx, EvidenceFilter{}))
		salts := make(map[string]bool)
		for i, e := range all {
			salts[string(e.Salt)] = true
			if len(e.Salt) != 16 || rem.DigestOf(append(bytes.Clone(e.Salt), e.Record...)) != e.Digest {
				t.Errorf("%s: digest is not SHA-256(salt ‖ record)", e.ID)
			}
			if i > 0 && e.Time.Before(all[i-1].Time) {
				t.Errorf("%s is out of order", e.ID)
			}
		}
		if len(salts) != len(all) {
			t.Errorf("%d salts for %d evidence", len(salts), len(all))
		}
		want := got[[]byte](t)(rem.Canonical(w.sent.Evidence[0].Record))
		first := got[[]EvidenceRow](t)(w.db.Evidence(ctx, EvidenceFilter{Event: string(rem.SubmissionAcceptance)}))
		if len(first) != 1 || !bytes.Equal(first[0].Record, want) {
			t.Errorf("record of the acceptance: %s", first[0].Record)
		}
		for _, c := range []struct {
			f    EvidenceFilter
			want int
		}{
			{EvidenceFilter{Submission: sent}, len(all) - 1},
			{EvidenceFilter{Submission: w.refusal.ID}, 1},
			{EvidenceFilter{Consignment: w.at(StateVerified).ID}, 3},
			{EvidenceFilter{Submission: sent, Event: string(rem.ContentHandover)}, 2},
			{EvidenceFilter{Consignment: w.at(StatePending).ID}, 0},
		} {
			if have := got[[]EvidenceRow](t)(w.db.Evidence(ctx, c.f)); len(have) != c.want {
				t.Errorf("%+v: %d rows, want %d", c.f, len(have), c.want)
			}
		}
		var paged []EvidenceRow
		for f := (EvidenceFilter{Limit: 2}); ; f.After = paged[len(paged)-1].ID {
			rows := got[[]EvidenceRow](t)(w.db.Evidence(ctx, f))
			if len(rows) == 0 {
				break
			}
			paged = append(paged, rows...)
		}
		if !reflect.DeepEqual(paged, all) {
			t.Errorf("%d rows by pages of two, %d at once", len(paged), len(all))
		}
	})
}

func TestEvidenceIsUnique(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		w := newWorld(t, p)
		r := Refusal{ID: newID(), Account: w.sender.ID, Time: w.clock.now(), Reason: "unsigned"}
		ev := rem.Attest(rem.SubmissionRejection, w.refusal.ID, 0, w.clock.now(), rem.Record{Sender: w.sender.Email})
		if err := w.db.AddRefusal(ctx, r, ev, nil); !errors.Is(err, ErrExists) {
			t.Errorf("evidence of one event twice: %v", err)
		}
		forged := ev
		forged.Subject = r.ID
		if err := w.db.AddRefusal(ctx, r, forged, nil); err == nil {
			t.Error("evidence under another's id was taken")
		}
		ev.Attempt = -1
		if err := w.db.AddRefusal(ctx, r, ev, nil); err == nil {
			t.Error("evidence under the id of another attempt was taken")
		}
		if rows := got[[]Refusal](t)(w.db.Refusals(ctx, w.sender.ID, Page{})); len(rows) != 1 {
			t.Errorf("%d refusals, want the first alone", len(rows))
		}
	})
}

// TestGuards tries every forbidden change with a plain connection.
func TestGuards(t *testing.T) {
	forbidden := []string{
		"UPDATE evidence SET time = 0", "DELETE FROM evidence", "UPDATE evidence_record SET record = '{}'",
		"UPDATE submissions SET sender = ''", "DELETE FROM submissions",
		"UPDATE documents SET body = '{}'", "DELETE FROM documents", "UPDATE signatures SET raw = NULL", "DELETE FROM signatures",
		"UPDATE certificates SET der = der", "DELETE FROM certificates",
		"UPDATE consignments SET recipient = ''", "UPDATE consignments SET link = NULL", "UPDATE consignments SET expires = 0", "DELETE FROM consignments",
		"UPDATE consignments SET received_at = 1 WHERE state = 'received'", "UPDATE consignments SET grade = 'code' WHERE state = 'verified'",
		"UPDATE refusals SET reason = ''", "DELETE FROM refusals",
		"UPDATE protocols SET body = html", "UPDATE protocols SET signature = NULL", "DELETE FROM protocols WHERE signature IS NOT NULL",
		"UPDATE audit SET actor = ''", "DELETE FROM audit",
	}
	onEveryEngine(t, func(t *testing.T, p *place) {
		w := newWorld(t, p)
		must(t, w.db.Audit(ctx, "admin", "trust add", "CN=Root"))
		raw := p.raw(t)
		own := forbidden
		if p.Driver == "postgres" {
			own = append(own, "TRUNCATE evidence CASCADE", "TRUNCATE audit")
		} else {
			own = append(own, "PRAGMA recursive_triggers = 1; INSERT OR REPLACE INTO evidence SELECT id, event, 0, subject, attempt, digest FROM evidence")
		}
		for _, text := range own {
			if _, err := raw.Exec(text); err == nil {
				t.Errorf("%s: done", text)
			}
		}
		for _, text := range []string{"DELETE FROM evidence_record", "UPDATE refusals SET spool = ''", "UPDATE consignments SET state = 'notified' WHERE state = 'failed'"} {
			if _, err := raw.Exec(text); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
		for _, e := range got[[]EvidenceRow](t)(w.db.Evidence(ctx, EvidenceFilter{})) {
			if e.Salt != nil || e.Record != nil || e.Digest.IsZero() {
				t.Errorf("erased evidence %+v", e)
			}
		}
	})
}

func TestRefusals(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		u := addUser(t, db, "alice@example.test")
		var ids []string
		for i := range 3 {
			r := Refusal{
				ID: newID(), Account: u.ID, Sender: u.Email, Reason: "unsigned", Text: "Nothing was sent.\nSign it.", Time: p.clock.now(),
				Wire: rem.Ref{SHA256: rem.DigestOf([]byte{byte(i)}), Size: 7}, Spool: fmt.Sprint("spool-", i),
				Finding: rem.Finding{Verdict: rem.Unsigned, Signatures: []rem.Signature{}, Uncovered: []string{"a"}},
			}
			ev := rem.Attest(rem.SubmissionRejection, r.ID, 0, p.clock.now(), rem.Record{Submission: r.ID, Sender: u.Email})
			must(t, db.AddRefusal(ctx, r, ev, []Job{{ID: "clean" + r.ID, Kind: "clean", Subject: r.ID, Node: "n1"}}))
			ids = append(ids, r.ID)
			if have := got[[]Refusal](t)(db.Refusals(ctx, u.ID, Page{Limit: 1})); !reflect.DeepEqual(have, []Refusal{r}) {
				t.Errorf("refusal read back: %+v", have)
			}
			p.clock.advance(time.Second)
		}
		must(t, db.DropRefusedBytes(ctx, ids[1]))
		if err := db.DropRefusedBytes(ctx, "absent"); !errors.Is(err, ErrNotFound) {
			t.Errorf("absent refusal: %v", err)
		}
		rows := got[[]Refusal](t)(db.Refusals(ctx, u.ID, Page{}))
		if len(rows) != 3 || rows[1].Spool != "" || rows[0].Spool == "" || rows[2].ID != ids[0] {
			t.Errorf("refusals %+v", rows)
		}
		if jobs := got[[]Job](t)(db.Jobs(ctx, 0)); len(jobs) != 3 || jobs[0].Node != "n1" {
			t.Errorf("jobs %+v", jobs)
		}
	})
}

func TestBlobRefs(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		w := newWorld(t, p)
		second := letter(w.sender, w.clock.now(), "bob@example.test")
		must(t, w.db.AddSubmission(ctx, second))
		want := map[rem.Ref]bool{w.sent.Accepted.Submission.Letter.Ref: true, second.Accepted.Submission.Letter.Ref: true}
		must(t, w.db.BlobRefs(ctx, func(r rem.Ref) error {
			if !want[r] {
				t.Errorf("%s twice or not needed", r)
			}
			delete(want, r)
			return nil
		}))
		if len(want) > 0 {
			t.Errorf("not named: %v", want)
		}
		if !got[bool](t)(w.db.BlobReferenced(ctx, second.Accepted.Submission.Letter.Ref)) || got[bool](t)(w.db.BlobReferenced(ctx, rem.Ref{SHA256: rem.DigestOf(nil)})) {
			t.Error("BlobReferenced is wrong")
		}
		stop := errors.New("stop")
		if err := w.db.BlobRefs(ctx, func(rem.Ref) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("callback's error: %v", err)
		}
	})
}
