package gateway

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/document"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// Every evidence of a letter becomes one mail under the letter.
func TestReceiptOfEveryEvent(t *testing.T) {
	w := newWorld(t)
	cert := w.register(&w.carol)
	letter := signed(t, w.anna.Party)
	id := w.send(letter, bob, dora, "carol@in.test")
	run := w.runner()
	run.all()
	c := w.to(id, "carol@in.test")
	w.take(c)
	w.take(w.to(id, bob))
	p, _, err := w.Draft(t.Context(), DraftRequest{User: w.carol.user, Consignment: c.ID, Certificate: cert, Language: "en"})
	w.must(err)
	w.must(w.Acknowledge(t.Context(), AcknowledgeRequest{User: w.carol.user, Protocol: p.ID, Signature: []byte(sign(t, w.carol.Party, string(p.Body)))}))
	run.all()
	w.clock.pass(w.Limits.LinkLife)
	run.all()
	got := w.receipts()
	want := map[rem.Event]int{
		rem.SubmissionAcceptance: 1, rem.NotificationForAcceptance: 3, rem.ConsignmentAcceptance: 2, rem.ContentHandover: 2,
		rem.RecipientVerification: 1, rem.AcceptanceRejectionExpiry: 1,
	}
	if fmt.Sprint(counts(got)) != fmt.Sprint(want) {
		t.Errorf("receipts %v, want %v", counts(got), want)
	}
	rows, err := w.evidence(t.Context(), store.EvidenceFilter{Submission: id})
	w.must(err)
	if len(rows) != 10 {
		t.Errorf("%d evidences", len(rows))
	}
	parsed, err := message.Parse(strings.NewReader(letter), int64(len(letter)), message.DefaultLimits())
	w.must(err)
	for event, list := range got {
		for _, m := range list {
			l := w.signedByGateway(m.Head)
			if h := l.Root.Header; h.Get("In-Reply-To") != parsed.MessageID || h.Get("References") != parsed.MessageID || m.Submission != id {
				t.Errorf("%s does not stand under its letter: %q", event, h.Get("References"))
			}
			if !strings.HasSuffix(l.Subject, ": "+parsed.Subject) || len(l.To) != 1 || l.To[0].Mailbox != "anna@in.test" {
				t.Errorf("subject %q, to %v", l.Subject, l.To)
			}
			if o, err := message.DecodeOutline(m.Outline); err != nil || o.Size != m.Size || m.Size != int64(len(m.Head)) {
				t.Errorf("outline: %v", err)
			}
		}
	}
	w.fsck()
}

// A refused letter's receipt names every check, says what to do, and stands
// under the letter that the sender's client keeps.
func TestReceiptOfRefusal(t *testing.T) {
	w := newWorld(t)
	w.speaks(w.anna.user, "ru")
	w.revoke(w.anna.Party)
	letter := signed(t, w.anna.Party)
	_, err := w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(letter))
	r := refused(t, err)
	w.runner().all()
	list := w.receipts()[rem.SubmissionRejection]
	if len(list) != 1 {
		t.Fatalf("%d receipts", len(list))
	}
	l := w.signedByGateway(list[0].Head)
	text := string(w.part(l, l.Root.Parts[0].Parts[0]))
	for _, s := range r.Finding.Signatures {
		for _, k := range s.Checks {
			if !strings.Contains(text, "("+k.Name+")") && !strings.Contains(text, k.Name) {
				t.Errorf("the check %s is not named", k.Name)
			}
		}
	}
	for _, want := range []string{"Письмо не отправлено", "не пройдена: Сертификаты не отозваны", "Что делать: Подпишите с использованием сертификата", r.ID, "bob@out.test"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text does not say %q:\n%s", want, text)
		}
	}
	parsed, err := message.Parse(strings.NewReader(letter), int64(len(letter)), message.DefaultLimits())
	w.must(err)
	if l.Root.Header.Get("In-Reply-To") != parsed.MessageID || l.Subject != "Письмо не отправлено: "+parsed.Subject {
		t.Errorf("under %q, subject %q", l.Root.Header.Get("In-Reply-To"), l.Subject)
	}
	if len(w.mails()) != 0 {
		t.Error("somebody got a mail about it")
	}
}

// speaks sets a user's language.
func (w *world) speaks(u *store.User, language string) {
	w.t.Helper()
	w.must(w.DB.SetProfile(w.t.Context(), u.ID, u.Name, language))
}

// Whatever stands in a refused letter, its receipt can be written and is good.
func TestReceiptOfHostileLetters(t *testing.T) {
	w := newWorld(t)
	for name, fields := range map[string]string{
		"no id":         "Subject: x\r\n",
		"broken id":     "Message-ID: <a b\r\nSubject: x\r\n",
		"long id":       "Message-ID: <" + strings.Repeat("x", 900) + "@in.test>\r\nSubject: x\r\n",
		"no subject":    "Message-ID: <1@in.test>\r\n",
		"hidden":        "Message-ID: <2@in.test>\r\nSubject: =?utf-8?Q?a=E2=80=AEb=0D=0ABcc:_x@y.test=00?=\r\n",
		"words in word": "Message-ID: <3@in.test>\r\nSubject: =?utf-8?Q?=3D=3Futf-8=3FQ=3F=0D=0Ax=3F=3D?=\r\n",
		"long subject":  "Message-ID: <4@in.test>\r\nSubject: " + strings.Repeat("Тема ", 150) + "\r\n",
		"8-bit":         "Message-ID: <5@in.test>\r\nSubject: \xff\xfe\x80 \xd1\r\n",
		"unicode in id": "Message-ID: <я@in.test>\r\nSubject: я\r\n",
		"angle in id":   "Message-ID: <a@b>\r\n <c@d>\r\nSubject: x\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			before := len(w.folder(w.anna.user, store.RoleReceipts))
			letter := "From: anna@in.test\r\nTo: bob@out.test\r\n" + fields + "\r\nnot signed\r\n"
			_, err := w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(letter))
			refused(t, err)
			w.runner().all()
			list := w.folder(w.anna.user, store.RoleReceipts)
			if len(list) != before+1 {
				t.Fatalf("%d receipts more", len(list)-before)
			}
			if r := w.receiptIn(list[before]); r.Reason != string(rem.ReasonUnsigned) {
				t.Errorf("refused for %s", r.Reason)
			}
		})
	}
}

// A receipt made again, as after a crash before its end was on record, is the
// same mail, once.
func TestReceiptOnce(t *testing.T) {
	w := newWorld(t)
	w.outside(w.anna.user, "anna@outside.test")
	w.send(signed(t, w.anna.Party), bob)
	j := w.job(jobReceipt)
	for range 3 {
		claimed, err := w.DB.Claim(t.Context(), []string{jobReceipt}, w.Node, "dying", time.Millisecond)
		w.must(err)
		_, err = w.receipt(t.Context(), claimed) // and dies here
		w.must(err)
		w.clock.pass(time.Second)
	}
	w.runner().all()
	w.must(w.DB.AddJobs(t.Context(), []store.Job{j}))
	w.runner().all()
	if got := counts(w.receipts()); got[rem.SubmissionAcceptance] != 1 || got[rem.NotificationForAcceptance] != 1 {
		t.Errorf("receipts %v", got)
	}
	n := 0
	for _, m := range w.mails() {
		if strings.Contains(m, ".receipt@gate.test>") {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d receipts were mailed outside, want 2", n)
	}
	w.fsck()
}

// outside gives a user a primary address elsewhere, and the wish.
func (w *world) outside(u *store.User, address string) {
	w.t.Helper()
	db := w.sql()
	defer db.Close()
	_, err := db.Exec("UPDATE users SET email = ?, receipts_outside = 1 WHERE id = ?", address, u.ID)
	w.must(err)
}

// The mail that goes outside is the one in the folder, octet for octet; who
// has his mailbox here, or has not asked, gets none.
func TestReceiptOutside(t *testing.T) {
	for name, c := range map[string]struct {
		address string
		ask     bool
		want    int
	}{"asked": {"anna@outside.test", true, 1}, "local": {"anna@gate.test", true, 0}, "not asked": {"anna@outside.test", false, 0}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.outside(w.anna.user, c.address)
			if !c.ask {
				db := w.sql()
				defer db.Close()
				_, err := db.Exec("UPDATE users SET receipts_outside = 0")
				w.must(err)
			}
			w.send(signed(t, w.anna.Party), bob)
			w.must(w.DB.Finish(t.Context(), w.claimed(jobNotice), store.Outcome{}))
			w.runner().all()
			list := w.folder(w.anna.user, store.RoleReceipts)
			if len(list) != 1 {
				t.Fatalf("%d receipts", len(list))
			}
			mails := w.mails()
			if len(mails) != c.want || c.want == 1 && mails[0] != string(list[0].Head) {
				t.Errorf("%d mails outside: %q", len(mails), mails)
			}
		})
	}
}

func (w *world) claimed(kind string) *store.Job {
	w.t.Helper()
	j, err := w.DB.Claim(w.t.Context(), []string{kind}, w.Node, "test", time.Minute)
	w.must(err)
	return j
}

// An outside mailbox that takes nothing is given up in silence.
func TestReceiptOutsideIsGivenUp(t *testing.T) {
	w := newWorld(t)
	w.outside(w.anna.user, "anna@outside.test")
	w.send(signed(t, w.anna.Party), bob)
	w.must(w.DB.Finish(t.Context(), w.claimed(jobNotice), store.Outcome{}))
	w.must(os.WriteFile(w.outbox, nil, 0o600))
	run := w.runner()
	run.due(jobReceipt, 1)
	run.due(jobOutside, 1)
	w.clock.pass(receiptLife - time.Hour)
	run.due(jobOutside, 1)
	w.job(jobOutside)
	w.clock.pass(2 * time.Hour)
	run.due(jobOutside, 1)
	w.clock.pass(time.Hour)
	run.due(jobOutside, 0)
	if got := w.events(store.EvidenceFilter{}); !slices.Equal(got, []string{"SubmissionAcceptance"}) {
		t.Errorf("attested %v", got)
	}
}

// TestReceiptsOfAHundredRecipients: every recipient's notice is one receipt.
func TestReceiptsOfAHundredRecipients(t *testing.T) {
	w := newWorld(t)
	var to []string
	for i := range 100 {
		to = append(to, fmt.Sprintf("r%d@out.test", i))
	}
	w.send(signed(t, w.anna.Party), to...)
	w.runner().all()
	got := w.receipts()
	if len(got[rem.SubmissionAcceptance]) != 1 || len(got[rem.NotificationForAcceptance]) != 100 {
		t.Fatalf("receipts %v", counts(got))
	}
	if size := got[rem.SubmissionAcceptance][0].Size; size > 64<<10 {
		t.Errorf("the acceptance is a mail of %d octets", size)
	}
}

// TestLateReceipt: what comes hours later has a Date that its signing time fits.
func TestLateReceipt(t *testing.T) {
	w := newWorld(t)
	w.send(signed(t, w.anna.Party), bob)
	at := w.Now()
	w.clock.pass(6 * time.Hour)
	run := w.runner()
	run.due(jobReceipt, 1)
	m := w.folder(w.anna.user, store.RoleReceipts)[0]
	l := w.signedByGateway(m.Head)
	if !l.Date.Equal(w.Now().Truncate(time.Second)) || !m.Internal.Equal(at) {
		t.Errorf("Date %v, internal date %v; sent at %v", l.Date, m.Internal, at)
	}
	if text := string(w.part(l, l.Root.Parts[0].Parts[0])); !strings.Contains(text, at.Format("15:04:05")) {
		t.Errorf("the time of the event is not told:\n%s", text)
	}
}

// TestHugeRecord: a record that is too large for a mail stays here, and the
// mail says so.
func TestHugeRecord(t *testing.T) {
	w := newWorld(t)
	r := rem.Record{Submission: "s", Sender: "anna@in.test"}
	for i := range 100000 {
		r.Recipients = append(r.Recipients, fmt.Sprintf("recipient-%d@many.test", i))
	}
	e := rem.Attest(rem.SubmissionAcceptance, "s", 0, w.Now(), r)
	record, err := rem.Canonical(e.Record)
	w.must(err)
	row := store.EvidenceRow{ID: e.ID, Event: e.Event, Time: e.Time, Subject: "s", Digest: rem.DigestOf(record), Salt: []byte{}, Record: record}
	m, err := w.composeReceipt(row, letterAbout{sender: w.anna.user, Receipt: document.Receipt{Evidence: e}})
	w.must(err)
	l := w.signedByGateway(m.octets)
	if text := string(w.part(l, l.Root.Parts[0])); len(m.octets) > 100<<10 || !strings.Contains(text, "too large for a mail") || strings.Contains(text, ".json") {
		t.Errorf("%d octets:\n%.3000s", len(m.octets), text)
	}
}

// TestErasedRecordHasNoReceipt: the job ends, without a mail.
func TestErasedRecordHasNoReceipt(t *testing.T) {
	w := newWorld(t)
	w.send(signed(t, w.anna.Party), bob)
	db := w.sql()
	defer db.Close()
	_, err := db.Exec("DELETE FROM evidence_record")
	w.must(err)
	w.runner().due(jobReceipt, 1)
	if n := len(w.folder(w.anna.user, store.RoleReceipts)); n != 0 {
		t.Errorf("%d receipts", n)
	}
}

// OpenSSL is a mail program of nobody's: it verifies a receipt as it lies in
// the folder, and no changed one.
func TestOpenSSLVerifiesReceipt(t *testing.T) {
	w := newWorld(t)
	w.speaks(w.anna.user, "") // both languages
	w.send(signed(t, w.anna.Party), bob)
	w.runner().all()
	roots := filepath.Join(w.dir, "ca.pem")
	w.must(os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.root.Certificate.Raw}), 0o600))
	list := w.folder(w.anna.user, store.RoleReceipts)
	if len(list) != 2 {
		t.Fatalf("%d receipts", len(list))
	}
	for _, m := range list {
		verify := func(octets []byte) ([]byte, error) {
			path := filepath.Join(w.dir, "receipt.eml")
			w.must(os.WriteFile(path, octets, 0o600))
			return exec.Command("openssl", "cms", "-verify", "-in", path, "-CAfile", roots, "-no_check_time").CombinedOutput()
		}
		if out, err := verify(m.Head); err != nil || !bytes.Contains(out, []byte("application/json")) {
			t.Errorf("%v: %s", err, out)
		}
		if out, err := verify(bytes.Replace(m.Head, []byte("Content-Disposition: attachment"), []byte("Content-Disposition: attackment"), 1)); err == nil {
			t.Errorf("a changed receipt verifies: %s", out)
		}
	}
}

// A recipient who has his mailbox here finds the notice in it, not at a relay;
// the outbox keeps its copy.
func TestLocalNotice(t *testing.T) {
	asked := 0
	w := newWorld(t, func(c *Config) {
		c.Local = func(a string) bool { return rem.Domain(a) == "in.test" }
		c.Notify.Relay = relay(t, func(string) string { asked++; return "550 no" })
	})
	id := w.send(signed(t, w.anna.Party), "carol@in.test")
	c := w.to(id, "carol@in.test")
	for range 2 { // dies once after the mail is written
		claimed, err := w.DB.Claim(t.Context(), []string{jobNotice}, w.Node, "dying", time.Millisecond)
		w.must(err)
		_, err = w.notice(context.Background(), claimed)
		w.must(err)
		w.clock.pass(time.Second)
	}
	w.runner().all()
	w.wantEvents(c.ID, "NotificationForAcceptance")
	list := w.folder(w.carol.user, store.RoleInbox)
	if len(list) != 1 || asked != 0 {
		t.Fatalf("%d notices in the mailbox, the relay was asked %d times", len(list), asked)
	}
	if !bytes.Contains(list[0].Head, []byte("https://gate.test/l/"+w.LinkToken(c.ID))) || list[0].MessageID != w.messageID(rem.ExpectedID(rem.NotificationForAcceptance, c.ID, 0)) {
		t.Errorf("no link, or Message-ID %s", list[0].MessageID)
	}
	if mails := w.mails(); len(mails) != 1 || mails[0] != string(list[0].Head) {
		t.Errorf("%d mails in the outbox", len(mails))
	}
	w.fsck()
}
