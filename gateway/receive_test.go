package gateway

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestReceiveRecordsEverything(t *testing.T) {
	w := newWorld(t)
	letter := signed(t, w.anna.Party)
	env := w.envelope(w.anna, bob, w.carol.user.Email)
	id, err := w.Receive(t.Context(), env, strings.NewReader(letter))
	w.must(err)
	if id != env.ID {
		t.Errorf("id %s, the envelope's is %s", id, env.ID)
	}
	w.wantSpool()

	s, err := w.DB.Submission(t.Context(), id)
	w.must(err)
	ref := rem.Ref{SHA256: rem.DigestOf([]byte(letter)), Size: int64(len(letter))}
	if s.Letter.Ref != ref || s.Account != w.anna.user.ID || s.Sender != "anna@in.test" || s.SenderName != "Anna Ivanova" || !s.Time.Equal(w.Now()) {
		t.Errorf("submission %+v", s)
	}
	got, err := os.ReadFile(w.blobFile(ref))
	w.must(err)
	if string(got) != letter {
		t.Error("the stored bytes are not the received ones")
	}
	// S4.6: hash of the file, hash of the signature, the certificate, the signature.
	i := slices.IndexFunc(s.Finding.Documents, func(d rem.Document) bool { return d.Name == "contract.pdf" })
	if i < 0 || s.Finding.Documents[i].SHA256 != rem.DigestOf([]byte(contract)) {
		t.Errorf("documents %+v", s.Finding.Documents)
	}
	if len(s.Finding.Signatures) != 1 || string(s.Finding.Signatures[0].Certificate) != string(w.anna.Certificate.Raw) || len(s.Finding.Signatures[0].Raw) == 0 {
		t.Errorf("signatures %+v", s.Finding.Signatures)
	}
	if got := w.events(store.EvidenceFilter{Submission: id}); !slices.Equal(got, []string{"SubmissionAcceptance"}) {
		t.Errorf("attested %v", got)
	}
	jobs, err := w.DB.Jobs(t.Context(), 100)
	w.must(err)
	kinds := map[string]int{}
	for _, j := range jobs {
		kinds[j.Kind]++
	}
	if kinds[jobNotice] != 2 || kinds[jobExpire] != 2 || kinds[jobReceipt] != 1 || len(jobs) != 5 {
		t.Errorf("jobs %v", kinds)
	}
	for _, to := range env.Recipients {
		c := w.to(id, to)
		if c.State != store.StatePending || c.LinkHash != linkHash(w.LinkToken(c.ID)) || !c.Expires.Equal(w.Now().Add(w.Limits.LinkLife)) {
			t.Errorf("consignment %+v", c)
		}
	}
	w.fsck()
}

func TestReceiveEveryShape(t *testing.T) {
	w := newWorld(t)
	nameless := w.root.Issue(t, w.anna.Key, "Nameless", mailSigner())
	w.must(w.DB.AddUserCertificate(t.Context(), store.UserCertificate{
		User: w.anna.user.ID, SHA256: rem.DigestOf(nameless.Certificate.Raw), DER: nameless.Certificate.Raw, NotAfter: nameless.Certificate.NotAfter,
	}))
	for name, letter := range map[string]string{
		"multipart/signed":           signed(t, w.anna.Party),
		"file and signature":         beside(sign(t, w.anna.Party, contract)),
		"opaque":                     opaque(t, w.anna.Party, body()),
		"registered certificate":     signed(t, nameless),
		"no Message-ID":              strings.Replace(signed(t, w.anna.Party), "Message-ID:", "X-Other:", 1),
		"8-bit subject":              signed(t, w.anna.Party, "X-Raw: \xcf\xf0\xe8\xe2\xe5\xf2", "Comments: \xff\xfe"),
		"NUL in an encoded word":     strings.Replace(signed(t, w.anna.Party), "Contract 7", "=?utf-8?q?a=00b=FF=0D=0Ac?=", 1),
		"8-bit words in From and To": strings.Replace(signed(t, w.anna.Party), "Anna Ivanova", "\"\xc0\xed\xed\xe0\"", 1),
		"8-bit Message-ID":           strings.Replace(signed(t, w.anna.Party), "Message-ID: <", "Message-ID: <\xff\xc0", 1),
	} {
		t.Run(name, func(t *testing.T) {
			id, err := w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(letter))
			if err != nil {
				t.Fatal(err)
			}
			if s, err := w.DB.Submission(t.Context(), id); err != nil || s.Finding.Verdict != rem.Passed {
				t.Errorf("%v, %+v", err, s)
			}
			c := w.to(id, bob)
			w.take(c) // what comes after has to cope with it as well
			u, err := w.DB.UserByAddress(t.Context(), bob)
			w.must(err)
			content(t)(w.OpenLetter(t.Context(), u, c.ID))
			if _, err := w.notice(t.Context(), &store.Job{Subject: c.ID, Created: w.Now()}); err != nil {
				t.Error(err)
			}
		})
	}
	w.wantSpool()
	w.fsck()
}

func TestReceiveDoesNotTakeBrokenBytes(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Letter = 1 << 20 })
	good := signed(t, w.anna.Party)
	before := w.rows()
	broken := errors.New("the line went dead")
	for name, c := range map[string]struct {
		letter string
		after  error
		want   error
	}{
		"bare LF":       {strings.Replace(good, "Please sign.", "Please\nsign.", 1), nil, message.ErrBareLineEnd},
		"bare CR":       {strings.Replace(good, "Please sign.", "Please\rsign.", 1), nil, message.ErrBareLineEnd},
		"NUL":           {strings.Replace(good, "Please sign.", "Please\x00sign.", 1), nil, message.ErrBareLineEnd},
		"too large":     {good + strings.Repeat(strings.Repeat("a", 998)+"\r\n", 1100), nil, message.ErrTooLarge},
		"line too long": {good + strings.Repeat("a", message.MaxLine+1), nil, message.ErrLineTooLong},
		"cut off":       {good[:len(good)/2], broken, broken},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Receive(t.Context(), w.envelope(w.anna, bob), &endsWith{strings.NewReader(c.letter), c.after})
			wantError(t, err, c.want)
			w.wantSpool()
		})
	}
	if after := w.rows(); !equalCounts(before, after) {
		t.Errorf("rows %v, before %v", after, before)
	}
	w.send(good, bob) // the door is still open
}

// endsWith reads r and then fails with err, when there is one.
type endsWith struct {
	r   *strings.Reader
	err error
}

func (e *endsWith) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if n == 0 && err != nil && e.err != nil {
		err = e.err
	}
	return n, err
}

func equalCounts(a, b map[string]int) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// What the database holds of a letter to several is
// one consignment each, and evidence of acceptance is the sender's alone.
func TestRecipientsHaveTheirOwnRecords(t *testing.T) {
	w := newWorld(t)
	recipients := []string{bob, dora, w.carol.user.Email, "x@y.test"}
	id := w.send(signed(t, w.anna.Party), recipients...)
	ids := map[string]bool{}
	for _, r := range recipients {
		c := w.to(id, r)
		ids[c.ID] = true
		w.wantEvents(c.ID)
	}
	if len(ids) != len(recipients) {
		t.Errorf("%d consignments", len(ids))
	}
	// A link token opens its own consignment alone.
	for i, r := range recipients {
		c, err := w.Landing(t.Context(), w.LinkToken(w.to(id, r).ID))
		w.must(err)
		if c.Recipient != recipients[i] {
			t.Errorf("the link of %s opens %s's", recipients[i], c.Recipient)
		}
	}
}
