package store

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// TestMaterial: what findings rest on is kept once, in its exact octets, with
// every letter that it settled, and cannot be changed.
func TestMaterial(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		anna := addUser(t, db, "anna@a.test")
		hour := p.clock.now().Add(time.Hour)
		list := rem.Material{Kind: rem.MaterialCRL, Source: "http://ca.test/1.crl", DER: bytes.Repeat([]byte{0, 1}, 100_000), Expires: hour}
		given := rem.Material{Kind: rem.MaterialCRL, DER: []byte("given"), Expires: hour.Add(time.Hour)}
		answer := rem.Material{Kind: rem.MaterialOCSP, Source: "http://ca.test/ocsp", DER: []byte("answer"), Expires: hour.Add(-30 * time.Minute)}
		issuer := rem.Material{Kind: rem.MaterialCertificate, DER: []byte("issuer")}
		add := func(used ...rem.Material) string {
			p.clock.advance(time.Second)
			n := letter(anna, p.clock.now(), "boris@b.test")
			n.Accepted.Submission.Finding.Used = used
			must(t, db.AddSubmission(ctx, n))
			return n.Accepted.Submission.ID
		}
		first, second, none := add(list, given, issuer), add(list, answer), add()
		for _, c := range []struct {
			id   string
			want []rem.Material
		}{{first, []rem.Material{list, given, issuer}}, {second, []rem.Material{list, answer}}, {none, nil}} {
			have := got[[]rem.Material](t)(db.Material(ctx, c.id))
			if len(have) != len(c.want) {
				t.Fatalf("%d things, want %d", len(have), len(c.want))
			}
			for _, w := range c.want {
				found := false
				for _, h := range have {
					h.Expires, w.Expires = h.Expires.UTC(), w.Expires.UTC()
					found = found || reflect.DeepEqual(h, w)
				}
				if !found {
					t.Errorf("%s %q is missing or changed", w.Kind, w.Source)
				}
			}
		}
		sources := func(room int64) (out []string) {
			for _, m := range got[[]rem.Material](t)(db.CurrentMaterial(ctx, room)) {
				out = append(out, m.Source)
			}
			return out
		}
		if have := sources(1 << 20); !reflect.DeepEqual(have, []string{list.Source, answer.Source}) {
			t.Errorf("current: %q", have)
		}
		if have := sources(1000); have != nil {
			t.Errorf("more than there is room for: %q", have)
		}
		p.clock.advance(45 * time.Minute)
		if have := sources(1 << 20); !reflect.DeepEqual(have, []string{list.Source}) {
			t.Errorf("later: %q", have)
		}

		must(t, db.AddJobs(ctx, []Job{{ID: "recheck", Kind: "recheck", Subject: none, Due: p.clock.now()}}))
		job := got[*Job](t)(db.Claim(ctx, []string{"recheck"}, "", "me", time.Minute))
		record := rem.Record{Submission: none, Sender: anna.Email}
		ev := rem.Attest(rem.SignatureRecheck, none, 0, p.clock.now(), record)
		must(t, db.Finish(ctx, job, Outcome{Evidence: []rem.Evidence{ev}, Submission: none, Material: []rem.Material{answer, list}}))
		if have := got[[]rem.Material](t)(db.Material(ctx, none)); len(have) != 2 {
			t.Errorf("after a recheck: %d things", len(have))
		}

		signature := letterSignature(t, db, first)
		if ids := got[[]string](t)(db.SubmissionsBySignature(ctx, signature)); !reflect.DeepEqual(ids, []string{first}) {
			t.Errorf("found by its signature: %q", ids)
		}
		for _, change := range []string{
			"UPDATE revocation_objects SET source = ''", "DELETE FROM revocation_objects",
			"UPDATE submission_revocation SET submission = ''", "DELETE FROM submission_revocation",
		} {
			if _, err := p.raw(t).Exec(change); err == nil {
				t.Errorf("%s: done", change)
			}
		}
		must(t, db.Check(ctx, func(problem string) { t.Error(problem) }))
	})
}

func letterSignature(t *testing.T, db *DB, submission string) rem.Digest {
	return got[*rem.Submission](t)(db.Submission(ctx, submission)).Finding.Signatures[0].SignatureSHA256
}
