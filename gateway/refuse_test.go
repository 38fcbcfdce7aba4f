package gateway

import (
	"crypto/x509"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestRefusalsLeaveEvidence(t *testing.T) {
	w := newWorld(t)
	boris := w.account("boris@in.test", "Boris")
	issue := func(change func(*x509.Certificate)) cmstest.Party {
		return w.root.Issue(t, w.anna.Key, "Anna", func(c *x509.Certificate) {
			c.EmailAddresses = []string{"anna@in.test"}
			change(c)
		})
	}
	expired := issue(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = cmstest.NotBefore, cmstest.At.AddDate(0, -1, 0) })
	early := issue(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = cmstest.At.AddDate(0, 1, 0), cmstest.NotAfter })
	gone := issue(func(*x509.Certificate) {})
	nameless := issue(func(c *x509.Certificate) { c.EmailAddresses = nil })
	stranger := w.strange.Issue(t, w.anna.Key, "Anna", mailSigner("anna@in.test"))
	w.revoke(gone)
	good := signed(t, w.anna.Party)
	change := func(f func(*cmstest.Signature, *cmstest.Message)) string {
		return header() + signedWith(body(), forge(t, w.anna.Party, body(), f))
	}
	for name, c := range map[string]struct {
		letter string
		reason rem.Reason
		code   string
	}{
		"changed after signing": {strings.Replace(good, "Please sign.", "Please pay.", 1), rem.ReasonSignatureFailed, "550 5.7.7"},
		"changed file":          {strings.Replace(beside(sign(t, w.anna.Party, contract)), wrap(contract), wrap(contract+"!"), 1), rem.ReasonSignatureFailed, "550 5.7.7"},
		"expired":               {signed(t, expired), rem.ReasonCertificateTime, "550 5.7.7"},
		"not yet valid":         {signed(t, early), rem.ReasonCertificateTime, "550 5.7.7"},
		"revoked":               {signed(t, gone), rem.ReasonCertificateTime, "550 5.7.7"},
		"another signer":        {signed(t, boris.Party), rem.ReasonSignerNotSender, "550 5.7.1"},
		"no e-mail, not bound":  {signed(t, nameless), rem.ReasonSignerUnbound, "550 5.7.1"},
		"untrusted":             {signed(t, stranger), rem.ReasonUntrusted, "550 5.7.7"},
		"one file not signed":   {beside(sign(t, w.anna.Party, contract), file("annex.pdf", "annex")), rem.ReasonNotCovered, "550 5.7.7"},
		"signature alone":       {header() + mixed(text("See."), file("contract.pdf.p7s", sign(t, w.anna.Party, contract))), rem.ReasonNoContent, "550 5.7.7"},
		"no signed attributes": {change(func(s *cmstest.Signature, _ *cmstest.Message) {
			s.NoAttributes = true
		}), rem.ReasonNoSignedAttrs, "550 5.7.7"},
		"certificate absent": {change(func(_ *cmstest.Signature, m *cmstest.Message) {
			m.Certificates = [][]byte{boris.Certificate.Raw}
		}), rem.ReasonNoCertificate, "550 5.7.7"},
		"two From":       {"From: boris@in.test\r\n" + good, rem.ReasonFrom, "550 5.7.1"},
		"From of others": {strings.Replace(signed(t, boris.Party), "anna@in.test>", "boris@in.test>", 1), rem.ReasonFrom, "550 5.7.1"},
		"unsigned":       {header() + body(), rem.ReasonUnsigned, "550 5.7.0"},
		"encrypted":      {header() + attach("smime.p7m", "application/pkcs7-mime; smime-type=enveloped-data", string(enveloped())), rem.ReasonEncrypted, "550 5.6.0"},
		"too deep":       {header() + nested(60), rem.ReasonMalformed, "550 5.6.0"},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.rows()
			env := w.envelope(w.anna, bob)
			_, err := w.Receive(t.Context(), env, strings.NewReader(c.letter))
			r := refused(t, err)
			if r.Reason != c.reason || reply(r) != c.code || r.ID != env.ID || r.Temporary() {
				t.Errorf("refused for %s, %s, id %s: %s", r.Reason, reply(r), r.ID, r.Text)
			}
			if !strings.Contains(r.Text, "Nothing was sent") {
				t.Errorf("the sender is told %q", r.Text)
			}
			after := w.rows()
			for table, more := range map[string]int{"refusals": 1, "evidence": 1, "evidence_record": 1, "jobs": 2} {
				before[table] += more
			}
			if !equalCounts(before, after) {
				t.Errorf("rows %v, want %v", after, before)
			}
			rows, err := w.evidence(t.Context(), store.EvidenceFilter{Submission: env.ID})
			w.must(err)
			var record rem.Record
			if len(rows) != 1 || rows[0].Event != rem.SubmissionRejection || json.Unmarshal(rows[0].Record, &record) != nil {
				t.Fatalf("evidence %+v", rows)
			}
			if record.Reason != string(c.reason) || record.Digests["letter.sha256"] != rem.DigestOf([]byte(c.letter)).String() || record.Sender != "anna@in.test" {
				t.Errorf("record %+v", record)
			}
			kept, err := os.ReadFile(w.refusedPath(env.ID))
			if err != nil || string(kept) != c.letter {
				t.Errorf("the refused bytes are not kept: %v", err)
			}
		})
	}
	w.fsck()
}

func reply(r *rem.Refusal) string {
	e := r.Enhanced
	return string([]byte{byte('0' + r.Code/100), byte('0' + r.Code/10%10), byte('0' + r.Code%10), ' ',
		byte('0' + e[0]), '.', byte('0' + e[1]), '.', byte('0' + e[2])})
}

// enveloped is an EnvelopedData as far as anyone looks into it.
func enveloped() []byte {
	oid := []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3}
	return cmstest.TLV(0x30, oid, cmstest.TLV(0xa0, cmstest.TLV(0x30, []byte{2, 1, 0})))
}

// nested is a multipart within a multipart, n times.
func nested(n int) string {
	entity := text("At the bottom.")
	for i := range n {
		entity = multipart("mixed", "b"+strings.Repeat("x", i), entity)
	}
	return entity
}

// A temporary refusal leaves nothing: the sender's program tries again, and is
// let in once revocation is known.
func TestTemporaryRefusalLeavesNothing(t *testing.T) {
	w := newWorld(t)
	quiet := w.quiet.Issue(t, w.anna.Key, "Anna", mailSigner("anna@in.test"))
	letter := signed(t, quiet)
	before := w.rows()
	_, err := w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(letter))
	r := refused(t, err)
	if !r.Temporary() || reply(r) != "451 4.7.5" || r.Reason != rem.ReasonRevocationUnknown {
		t.Errorf("refused %s %s", reply(r), r.Reason)
	}
	if after := w.rows(); !equalCounts(before, after) {
		t.Errorf("rows %v, before %v", after, before)
	}
	w.wantSpool()

	w.must(w.DB.PutCRL(t.Context(), store.CRL{DER: w.quiet.CRL(t), Issuer: "CN=Quiet", Number: "1", ThisUpdate: w.Now(), NextUpdate: cmstest.NotAfter}))
	w.send(letter, bob)
	w.fsck()
}

// With the soft policy the gap is accepted and stays visible.
func TestSoftRevocationIsVisible(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Policy.Revocation = "soft" })
	id := w.send(signed(t, w.quiet.Issue(t, w.anna.Key, "Anna", mailSigner("anna@in.test"))), bob)
	s, err := w.DB.Submission(t.Context(), id)
	w.must(err)
	if s.Finding.Verdict != rem.Indeterminate {
		t.Errorf("verdict %s", s.Finding.Verdict)
	}
	rows, err := w.evidence(t.Context(), store.EvidenceFilter{Submission: id})
	w.must(err)
	if len(rows) != 1 || !strings.Contains(string(rows[0].Record), "TRY_LATER") {
		t.Errorf("evidence %s", rows[0].Record)
	}
	w.fsck()
}

func TestRefusedBytesAreDropped(t *testing.T) {
	w := newWorld(t)
	env := w.envelope(w.anna, bob)
	_, err := w.Receive(t.Context(), env, strings.NewReader(header()+body()))
	refused(t, err)
	run := w.runner()
	w.clock.pass(w.Limits.RefusedFor - time.Minute)
	run.due(jobDrop, 0)
	w.wantSpool(refusedPrefix + env.ID)
	w.clock.pass(2 * time.Minute)
	run.due(jobDrop, 1)
	w.wantSpool()
	list, err := w.DB.Refusals(t.Context(), w.anna.user.ID, store.Page{})
	w.must(err)
	if len(list) != 1 || list[0].Spool != "" || list[0].Wire.SHA256.IsZero() {
		t.Errorf("refusals %+v", list)
	}
	if got := w.events(store.EvidenceFilter{Submission: env.ID}); len(got) != 1 {
		t.Errorf("attested %v", got)
	}
	w.fsck()
}

// A refusal whose commit fails leaves no bytes behind either.
func TestFailedRefusalLeavesNoBytes(t *testing.T) {
	w := newWorld(t)
	env := w.envelope(w.anna, bob)
	_, err := w.Receive(t.Context(), env, strings.NewReader(header()+body()))
	refused(t, err)
	w.must(os.Remove(w.refusedPath(env.ID)))
	_, err = w.Receive(t.Context(), env, strings.NewReader(header()+body())) // the id is taken
	wantError(t, err, store.ErrExists)
	w.wantSpool()
}

// Refused letters take a bounded part of the disk, counted over restarts too:
// beyond it a refusal is attested all the same, and its bytes are not kept.
func TestRefusedBytesAreBounded(t *testing.T) {
	letter := header() + body()
	w := newWorld(t, func(c *Config) { c.Limits.Refused = 2 * (int64(len(letter)) + perFile) })
	var kept []string
	for i := range 3 {
		env := w.envelope(w.anna, bob)
		_, err := w.Receive(t.Context(), env, strings.NewReader(letter))
		refused(t, err)
		if got := w.events(store.EvidenceFilter{Submission: env.ID}); len(got) != 1 {
			t.Errorf("letter %d: attested %v", i, got)
		}
		if i < 2 {
			kept = append(kept, refusedPrefix+env.ID)
		}
	}
	slices.Sort(kept)
	w.wantSpool(kept...)
	again, err := New(w.Config)
	w.must(err)
	if again.refused.Load() != w.refused.Load() || again.refused.Load() != w.Limits.Refused {
		t.Errorf("counted %d, %d after a restart", w.refused.Load(), again.refused.Load())
	}
	run := w.runner()
	w.clock.pass(w.Limits.RefusedFor + time.Minute)
	run.due(jobDrop, 2)
	w.wantSpool()
	if w.refused.Load() != 0 {
		t.Errorf("%d octets counted after the last is gone", w.refused.Load())
	}
	w.fsck()
}

func TestRefusalsOfAnAccountAreBounded(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Refusals = 3 })
	letter := header() + body()
	for range 3 {
		_, err := w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(letter))
		if r := refused(t, err); r.Reason != rem.ReasonUnsigned {
			t.Fatal(r)
		}
	}
	before := w.rows()
	_, err := w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(letter))
	if r := refused(t, err); reply(r) != "451 4.7.1" || r.ID == "" || !strings.Contains(r.Text, "nothing in the letter is signed") {
		t.Errorf("%s: %s", reply(r), r.Text)
	}
	if after := w.rows(); !maps.Equal(before, after) {
		t.Errorf("it left rows: %v, then %v", before, after)
	}
	w.send(signed(t, w.anna.Party), bob) // a good letter passes all the while
	w.clock.pass(time.Hour + time.Minute)
	_, err = w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(letter))
	if r := refused(t, err); r.Reason != rem.ReasonUnsigned {
		t.Errorf("an hour on: %v", r)
	}
}
