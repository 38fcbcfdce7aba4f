package gateway

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// register binds a person's certificate to his account by a challenge.
func (w *world) register(p *person) rem.Digest {
	w.t.Helper()
	text, token, err := w.Accounts.Challenge(w.t.Context(), p.user.ID)
	w.must(err)
	c, err := w.RegisterCertificate(w.t.Context(), p.user, token, []byte(sign(w.t, p.Party, string(text))))
	w.must(err)
	return c.SHA256
}

// draft makes a protocol that p will sign.
func (w *world) draft(p person, consignment string) *store.Protocol {
	w.t.Helper()
	row, _, err := w.Draft(w.t.Context(), DraftRequest{User: p.user, Consignment: consignment, Certificate: rem.DigestOf(p.Certificate.Raw)})
	w.must(err)
	return row
}

// acknowledge makes and signs a protocol and answers its id.
func (w *world) acknowledge(p person, consignment string) string {
	w.t.Helper()
	row := w.draft(p, consignment)
	w.must(w.Acknowledge(w.t.Context(), w.answer(p, row)))
	return row.ID
}

func (w *world) answer(p person, row *store.Protocol) AcknowledgeRequest {
	w.t.Helper()
	return AcknowledgeRequest{User: p.user, Protocol: row.ID, Signature: []byte(sign(w.t, p.Party, string(row.Body)))}
}

// carolHas is a world in which carol has received a letter, and can sign.
func carolHas(t *testing.T) (*world, store.ConsignmentRow) {
	w := newWorld(t)
	w.register(&w.carol)
	c := w.to(w.send(signed(t, w.anna.Party), "carol@in.test", bob), "carol@in.test")
	w.take(c)
	return w, c
}

// S4.10 to S4.12.
func TestAcknowledge(t *testing.T) {
	w, c := carolHas(t)
	row, p, err := w.Draft(t.Context(), DraftRequest{User: w.carol.user, Consignment: c.ID, Certificate: rem.DigestOf(w.carol.Certificate.Raw)})
	w.must(err)
	if p.Preview() || p.Finding.Verdict != rem.Passed || p.Recipient.Address != "carol@in.test" || !row.Expires.Equal(w.Now().Add(24*time.Hour)) {
		t.Errorf("protocol %+v", p)
	}
	w.wantEvents(c.ID, received...)
	w.clock.pass(time.Hour)
	a := w.answer(w.carol, row)
	w.must(w.Acknowledge(t.Context(), a))
	w.wantEvents(c.ID, append([]string{"RecipientVerification"}, received...)...)
	if got := w.row(c.ID).State; got != store.StateVerified {
		t.Errorf("state %s", got)
	}
	rows, err := w.DB.Evidence(t.Context(), store.EvidenceFilter{ID: rem.ExpectedID(rem.RecipientVerification, c.ID, 0)})
	w.must(err)
	var r rem.Record
	w.must(json.Unmarshal(rows[0].Record, &r))
	cert := rem.DigestOf(w.carol.Certificate.Raw)
	if r.Recipient != "carol@in.test" || r.Grade != rem.GradeSigned || r.Protocol != row.ID || !rows[0].Time.Equal(w.Now()) ||
		r.Digests["protocol.sha256"] != rem.DigestOf(row.Body).String() || r.Digests["protocol.signature.sha256"] != rem.DigestOf(a.Signature).String() ||
		r.Digests["certificate.sha256"] != cert.String() || len(r.Signatures) != 1 || r.Signatures[0].CertificateSHA256 != cert {
		t.Errorf("record %+v", r)
	}
	wantError(t, w.Acknowledge(t.Context(), a), ErrUsed)
	w.wantEvents(c.ID, append([]string{"RecipientVerification"}, received...)...)
	w.fsck()
}

func TestAcknowledgeTakesEveryArmour(t *testing.T) {
	w, c := carolHas(t)
	der := func(row *store.Protocol) string { return sign(t, w.carol.Party, string(row.Body)) }
	for _, armour := range []func(*store.Protocol) string{
		der,
		func(r *store.Protocol) string { return wrap(der(r)) + "\r\n" },
		func(r *store.Protocol) string {
			return string(pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: []byte(der(r))}))
		},
		func(r *store.Protocol) string { return signature(t, w.carol.Party, string(r.Body), false) },
	} {
		row := w.draft(w.carol, c.ID)
		w.must(w.Acknowledge(t.Context(), AcknowledgeRequest{w.carol.user, row.ID, []byte(armour(row))}))
		w.clock.pass(time.Minute)
	}
	if n := w.count("SELECT COUNT(*) FROM evidence WHERE event = 'RecipientVerification' AND attempt BETWEEN 0 AND 3"); n != 4 {
		t.Errorf("%d attempts attested", n)
	}
	w.fsck()
}

func TestAcknowledgeRefuses(t *testing.T) {
	w, c := carolHas(t)
	other := w.root.Issue(t, cmstest.NewKey(t, cmstest.P256), "Carol", mailSigner("carol@in.test")) // her address, not her certificate
	second := w.root.Issue(t, cmstest.NewKey(t, cmstest.P256), "Carol", mailSigner("carol@in.test"))
	w.register(&person{second, w.carol.user})
	swapped := cmstest.Party{Key: other.Key, Certificate: w.carol.Certificate}
	both := func(row *store.Protocol) string {
		m := cmstest.Message{Content: row.Body, Signatures: []cmstest.Signature{{Party: w.carol.Party}, {Party: w.anna.Party}}}
		return string(m.Encode(t))
	}
	for name, s := range map[string]struct {
		sig    func(*store.Protocol) string
		reason rem.Reason
	}{
		"another certificate":         {func(r *store.Protocol) string { return sign(t, other, string(r.Body)) }, rem.ReasonSignerNotSender},
		"another certificate of hers": {func(r *store.Protocol) string { return sign(t, second, string(r.Body)) }, rem.ReasonSignerNotSender},
		"the sender's":                {func(r *store.Protocol) string { return sign(t, w.anna.Party, string(r.Body)) }, rem.ReasonSignerNotSender},
		"changed bytes":               {func(r *store.Protocol) string { return sign(t, w.carol.Party, string(r.Body)+" ") }, rem.ReasonSignatureFailed},
		"other content inside":        {func(r *store.Protocol) string { return signature(t, w.carol.Party, "yes", false) }, ""},
		"key and certificate apart":   {func(r *store.Protocol) string { return forge(t, swapped, string(r.Body), nothing) }, rem.ReasonSignatureFailed},
		"no signature":                {func(*store.Protocol) string { return "" }, ""},
		"text":                        {func(*store.Protocol) string { return "yes, I agree" }, ""},
		"certificates only": {func(*store.Protocol) string {
			return string(cmstest.Message{Certificates: [][]byte{w.carol.Certificate.Raw}}.Encode(t))
		}, ""},
		"two signers":          {both, ""},
		"a letter's signature": {func(*store.Protocol) string { return sign(t, w.carol.Party, body()) }, rem.ReasonSignatureFailed},
	} {
		t.Run(name, func(t *testing.T) {
			row := w.draft(w.carol, c.ID)
			err := w.Acknowledge(t.Context(), AcknowledgeRequest{w.carol.user, row.ID, []byte(s.sig(row))})
			if r := refused(t, err); s.reason != "" && r.Reason != s.reason {
				t.Errorf("refused for %s, want %s: %s", r.Reason, s.reason, r.Text)
			}
			w.wantEvents(c.ID, received...)
			if kept, err := w.DB.Protocol(t.Context(), row.ID); err != nil || kept.Signature != nil {
				t.Errorf("the draft is now %+v, %v", kept, err)
			}
		})
	}
	w.acknowledge(w.carol, c.ID)
	w.fsck()
}

// By the same rules as any letter: what no longer verifies today acknowledges
// nothing today.
func TestAcknowledgeByToday(t *testing.T) {
	t.Run("revoked since the draft", func(t *testing.T) {
		w, c := carolHas(t)
		row := w.draft(w.carol, c.ID)
		w.revoke(w.carol.Party)
		if r := refused(t, w.Acknowledge(t.Context(), w.answer(w.carol, row))); r.Reason != rem.ReasonCertificateTime {
			t.Errorf("refused for %s", r.Reason)
		}
		w.wantEvents(c.ID, received...)
	})
	t.Run("draft expired", func(t *testing.T) {
		w, c := carolHas(t)
		row := w.draft(w.carol, c.ID)
		w.clock.pass(w.Limits.DraftLife)
		wantError(t, w.Acknowledge(t.Context(), w.answer(w.carol, row)), ErrGone)
		w.wantEvents(c.ID, received...)
	})
	t.Run("certificate removed from the account", func(t *testing.T) {
		w, c := carolHas(t)
		row := w.draft(w.carol, c.ID)
		w.must(w.DB.RemoveUserCertificate(t.Context(), w.carol.user.ID, row.Certificate))
		wantError(t, w.Acknowledge(t.Context(), w.answer(w.carol, row)), ErrNotFound)
		w.wantEvents(c.ID, received...)
	})
	t.Run("by somebody else", func(t *testing.T) {
		w, c := carolHas(t)
		a := w.answer(w.carol, w.draft(w.carol, c.ID))
		for _, u := range []*store.User{w.anna.user, nil} {
			a.User = u
			wantError(t, w.Acknowledge(t.Context(), a), ErrNotFound)
		}
		a.User, a.Protocol = w.carol.user, w.NewID()
		wantError(t, w.Acknowledge(t.Context(), a), ErrNotFound)
		w.wantEvents(c.ID, received...)
	})
}

// The protocol is of the check made now; the sender is judged as he was bound.
func TestProtocolIsOfToday(t *testing.T) {
	w, c := carolHas(t)
	preview := func() rem.Finding {
		t.Helper()
		_, p, err := w.Draft(t.Context(), DraftRequest{User: w.carol.user, Consignment: c.ID})
		w.must(err)
		return p.Finding
	}
	if f := preview(); f.Verdict != rem.Passed {
		t.Errorf("%s %s", f.Verdict, f.Detail)
	}
	w.revoke(w.anna.Party)
	if f := preview(); f.Verdict != rem.Failed || f.SubIndication != "REVOKED" {
		t.Errorf("after the revocation: %s %s", f.Verdict, f.SubIndication)
	}

	nameless := w.root.Issue(t, w.anna.Key, "Nameless", mailSigner())
	w.register(&person{nameless, w.anna.user})
	c = w.to(w.send(signed(t, nameless), "carol@in.test"), "carol@in.test")
	w.take(c)
	w.must(w.DB.RemoveUserCertificate(t.Context(), w.anna.user.ID, rem.DigestOf(nameless.Certificate.Raw)))
	if f := preview(); f.Verdict != rem.Passed {
		t.Errorf("the sender removed his certificate since: %s %s", f.Verdict, f.Detail)
	}
}

func TestSecondSignatures(t *testing.T) {
	w, c := carolHas(t)
	row := w.draft(w.carol, c.ID)
	first, second := w.answer(w.carol, row), w.answer(w.carol, row)
	w.must(w.Acknowledge(t.Context(), first))
	wantError(t, w.Acknowledge(t.Context(), second), ErrUsed)
	w.clock.pass(time.Hour)
	w.acknowledge(w.carol, c.ID)
	for attempt, want := range []int{1, 1, 0} {
		n := w.count("SELECT COUNT(*) FROM evidence WHERE event = 'RecipientVerification' AND attempt = ?", attempt)
		if n != want {
			t.Errorf("attempt %d is attested %d times", attempt, n)
		}
	}
	w.fsck()
}

func TestOneProtocolSignedByManyAtOnce(t *testing.T) {
	w, c := carolHas(t)
	row := w.draft(w.carol, c.ID)
	const n = 20
	errs := make([]error, n)
	answers := make([]AcknowledgeRequest, n)
	for i := range n {
		answers[i] = w.answer(w.carol, row)
	}
	together(n, func(i int) { errs[i] = w.Acknowledge(t.Context(), answers[i]) })
	good := 0
	for _, err := range errs {
		if err == nil {
			good++
		} else if !errors.Is(err, ErrUsed) {
			t.Error(err)
		}
	}
	if good != 1 {
		t.Errorf("%d signatures were the first", good)
	}
	w.wantEvents(c.ID, append([]string{"RecipientVerification"}, received...)...)
	w.fsck()
}

// Signatures over different protocols do not stand in each other's way.
func TestManyProtocolsSignedAtOnce(t *testing.T) {
	w, c := carolHas(t)
	const n = 8
	errs := make([]error, n)
	answers := make([]AcknowledgeRequest, n)
	for i := range n {
		answers[i] = w.answer(w.carol, w.draft(w.carol, c.ID))
	}
	together(n, func(i int) { errs[i] = w.Acknowledge(t.Context(), answers[i]) })
	for _, err := range errs {
		w.must(err)
	}
	if got := w.count("SELECT COUNT(DISTINCT attempt) FROM evidence WHERE event = 'RecipientVerification' AND attempt < 8"); got != n {
		t.Errorf("%d attempts", got)
	}
	w.fsck()
}

func TestPreviewLeavesNoTrace(t *testing.T) {
	w, c := carolHas(t)
	before := w.rows()
	row, p, err := w.Draft(t.Context(), DraftRequest{User: w.carol.user, Consignment: c.ID, Language: "ru"})
	w.must(err)
	if !p.Preview() || len(row.Body) == 0 || len(row.HTML) == 0 {
		t.Errorf("preview %+v", p)
	}
	if after := w.rows(); !equalCounts(before, after) {
		t.Errorf("rows %v, before %v", after, before)
	}
	a := w.answer(w.carol, row)
	wantError(t, w.Acknowledge(t.Context(), a), ErrNotFound)
}

func TestDraftWantsAnOwnCertificate(t *testing.T) {
	w, c := carolHas(t)
	annas := w.register(&w.anna)
	before := w.rows()
	for name, sha := range map[string]rem.Digest{"anna's": annas, "nobody's": rem.DigestOf([]byte("x"))} {
		_, _, err := w.Draft(t.Context(), DraftRequest{User: w.carol.user, Consignment: c.ID, Certificate: sha})
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := w.rows(); !equalCounts(before, after) {
		t.Errorf("rows %v, before %v", after, before)
	}
}

// The recipient signs exactly what he is shown: stored bytes, his certificate,
// this consignment.
func TestDraftIsBound(t *testing.T) {
	w, c := carolHas(t)
	row := w.draft(w.carol, c.ID)
	stored, err := w.DB.Protocol(t.Context(), row.ID)
	w.must(err)
	if string(stored.Body) != string(row.Body) || stored.User != w.carol.user.ID || stored.Consignment != c.ID || stored.Certificate != rem.DigestOf(w.carol.Certificate.Raw) {
		t.Errorf("stored %+v", stored)
	}
	for _, want := range []string{row.ID, c.ID, c.Submission, stored.Certificate.String(), "carol@in.test", "anna@in.test", rem.DigestOf([]byte(contract)).String()} {
		if !strings.Contains(string(row.Body), want) {
			t.Errorf("the protocol does not name %s", want)
		}
	}
	if strings.ContainsAny(string(row.Body), "\r\n") {
		t.Error("a line end that a signing tool may change")
	}
}

func TestOpenDraftsAreBounded(t *testing.T) {
	w, c := carolHas(t)
	ask := DraftRequest{User: w.carol.user, Consignment: c.ID, Certificate: rem.DigestOf(w.carol.Certificate.Raw)}
	var last *store.Protocol
	for range openDrafts {
		last = w.draft(w.carol, c.ID)
	}
	if _, _, err := w.Draft(t.Context(), ask); !errors.Is(err, ErrBusy) {
		t.Errorf("one draft more: %v", err)
	}
	w.must(w.Acknowledge(t.Context(), w.answer(w.carol, last)))
	if _, _, err := w.Draft(t.Context(), ask); err != nil {
		t.Errorf("after one was signed: %v", err)
	}
}
