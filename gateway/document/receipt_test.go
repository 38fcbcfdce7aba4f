package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

func sampleReceipts() map[string]Receipt {
	s := sampleSubmission()
	consignment := rem.Consignment{ID: "c4kq2m4x5yh3vbnr6tzc8wd9fe", Submission: s.ID, Recipient: "chen@optics.example"}
	one := rem.Record{Submission: s.ID, Consignment: consignment.ID, Sender: s.Sender, Recipient: consignment.Recipient}
	failed, received, verified := one, one, one
	failed.Reason, failed.Detail = "notice-not-delivered", "send mail: RCPT answered 550 no such user"
	received.Grade = rem.GradeConfirmed
	verified.Grade, verified.Protocol = rem.GradeSigned, "p5wq2m4x5yh3vbnr6tzc8wd9fe"
	verified.Digests = map[string]string{"protocol.sha256": rem.DigestOf([]byte("p")).String()}
	verified.Signatures = []rem.SignatureRecord{{
		SHA256: rem.DigestOf([]byte("s3")), CertificateSHA256: rem.DigestOf([]byte("c2")), Signer: "CN=Chen Wei,O=Shenzhen Optics Ltd,C=CN",
		Issuer: "CN=Foreign CA", Serial: "1b", Indication: "TOTAL-PASSED",
	}}
	recheck := rem.Record{Submission: s.ID, Sender: s.Sender, Reason: string(rem.ReasonCertificateTime), Signatures: []rem.SignatureRecord{s.Finding.Signatures[0].Record()}}
	recheck.Signatures[0].Indication, recheck.Signatures[0].SubIndication = "TOTAL-FAILED", "REVOKED"
	env := s.Envelope
	env.ID, env.Login = s.ID, s.Sender
	bad := badFinding()
	refusal := rem.Refuse(bad.Reason, bad.Detail, bad)
	receipt := func(e rem.Evidence, f rem.Finding) Receipt {
		return Receipt{
			Evidence: e, Gateway: "gate.demo.test", Subject: s.Letter.Subject, MessageID: s.Letter.MessageID, Finding: f,
			File: e.ID + ".json", Digest: rem.DigestOf([]byte(e.ID)), Salt: []byte("sixteen octets .."),
		}
	}
	at := func(event rem.Event, minutes int, r rem.Record) Receipt {
		return receipt(rem.Attest(event, consignment.ID, 0, noon.Add(time.Duration(minutes)*time.Minute), r), s.Finding)
	}
	accepted := rem.Accepted{Submission: *s}
	notified := at(rem.NotificationForAcceptance, 1, one)
	notified.Expires = noon.AddDate(0, 0, 30)
	return map[string]Receipt{
		"acceptance":   receipt(accepted.Evidence(), s.Finding),
		"rejection":    receipt(rem.Rejection(env, s.Letter.Ref, refusal, noon), bad),
		"recheck":      receipt(rem.Attest(rem.SignatureRecheck, s.ID, 0, noon.Add(time.Hour), recheck), s.Finding),
		"notification": notified,
		"failure":      at(rem.NotificationForAcceptanceFailure, 3, failed),
		"consignment":  at(rem.ConsignmentAcceptance, 25, received),
		"handover":     at(rem.ContentHandover, 25, received),
		"expiry":       at(rem.AcceptanceRejectionExpiry, 43200, one),
		"verification": at(rem.RecipientVerification, 40, verified),
	}
}

// TestReceipts fixes the words of every receipt in both languages.
func TestReceipts(t *testing.T) {
	for name, r := range sampleReceipts() {
		for _, lang := range []string{"ru", "en", ""} {
			text := r.Title(lang) + "\n\n" + r.Text(lang)
			if lang == "" {
				if !strings.HasSuffix(text, r.Text("en")) || !strings.Contains(text, r.Text("ru")) || !strings.Contains(r.Title(""), " / ") {
					t.Errorf("%s in no language is not in both", name)
				}
				continue
			}
			golden(t, "receipt-"+name+"."+lang+".txt", []byte(text))
		}
	}
}

func TestDelay(t *testing.T) {
	d := Delay{
		Consignment: rem.Consignment{ID: "c4kq2m4x5yh3vbnr6tzc8wd9fe", Submission: "a7kq2m4x5yh3vbnr6tzc8wd9fe", Recipient: "chen@optics.example"},
		Subject:     "Договор поставки", Sent: noon, Now: noon.Add(4 * time.Hour), Until: noon.AddDate(0, 0, 5),
		LastError: "send mail: connect: connection refused", Gateway: "gate.demo.test",
	}
	for _, lang := range []string{"ru", "en"} {
		golden(t, "receipt-delay."+lang+".txt", []byte(d.Title(lang)+"\n\n"+d.Text(lang)))
	}
}

// TestReceiptWords: both languages have words for the same events and reasons,
// and for every one there is.
func TestReceiptWords(t *testing.T) {
	ru, en := reflect.ValueOf(russianReceipt()), reflect.ValueOf(englishReceipt())
	for i := range ru.NumField() {
		if f := ru.Field(i); f.Kind() == reflect.Map && keys(f) != keys(en.Field(i)) {
			t.Errorf("%s: ru has %s, en has %s", ru.Type().Field(i).Name, keys(f), keys(en.Field(i)))
		}
	}
	w := russian()
	for _, r := range sampleReceipts() {
		has(t, w.Receipt.Titles, r.Evidence.Event)
	}
	for reason := range w.Reasons {
		has(t, w.Receipt.Advice, reason)
	}
	unknown := Receipt{Evidence: rem.Attest("NewEvent", "s", 0, noon, rem.Record{})}
	if got := unknown.Title("en"); got != "NewEvent" || !strings.Contains(unknown.Text("ru"), "NewEvent") {
		t.Errorf("an event without words: %q", got)
	}
}

// TestReceiptOfHostileLetter: whatever strangers write, the receipt stays
// bounded, shows what is hidden, and has no line that only they wrote.
func TestReceiptOfHostileLetter(t *testing.T) {
	evil := "\u202e\r\nSubject: x\x00\n*** Проверка пройдена ***\n" + strings.Repeat("Ы", 100000)
	env := rem.Envelope{ID: "e", Login: "ivan@vektor.example"}
	for i := range 5000 {
		env.Recipients = append(env.Recipients, fmt.Sprintf("r%d@many.example", i))
	}
	f := rem.Finding{Verdict: rem.Failed, Indication: evil, SubIndication: evil, Reason: rem.Reason(evil), Detail: evil}
	for range 1000 {
		f.Documents = append(f.Documents, rem.Document{Name: evil, MediaType: evil, SHA256: rem.DigestOf([]byte("x"))})
		f.Uncovered = append(f.Uncovered, evil)
		sig := rem.Signature{Signer: evil, Email: evil, Issuer: evil, Serial: evil, Algorithm: evil, Bound: "address", Indication: "TOTAL-FAILED", Covers: []string{evil, evil}}
		for range 60 {
			sig.Checks = append(sig.Checks, rem.Check{Name: "path", Status: "failed", Detail: evil})
		}
		f.Signatures = append(f.Signatures, sig)
	}
	r := Receipt{
		Evidence: rem.Rejection(env, rem.Ref{}, rem.Refuse(rem.ReasonSignatureFailed, evil, f), noon),
		Subject:  evil, MessageID: "<" + evil + ">", Finding: f, Gateway: "gate.test",
	}
	text, title := r.Text(""), r.Title("")
	if len(text) > 4<<20 || len(title) > 2000 {
		t.Errorf("%d octets of text, %d of title", len(text), len(title))
	}
	if strings.ContainsAny(text+title, "\u202e\x00\r") || strings.Contains(title, "\n") || strings.Contains(text, "\n*** Проверка пройдена ***") || strings.Contains(text, "\nSubject: x") {
		t.Error("outside text is not contained")
	}
	for _, want := range []string{"не показано ещё: 4900", "not shown here: 900", "not shown here: 980"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text does not say %q", want)
		}
	}
}

func TestRecheckVerdict(t *testing.T) {
	sig := func(indication string) []rem.SignatureRecord {
		return []rem.SignatureRecord{{Indication: "TOTAL-PASSED"}, {Indication: indication}}
	}
	for _, c := range []struct {
		record rem.Record
		want   rem.Verdict
	}{
		{rem.Record{Signatures: sig("TOTAL-PASSED")}, rem.Passed},
		{rem.Record{Reason: "certificate-not-valid", Signatures: sig("TOTAL-FAILED")}, rem.Failed},
		{rem.Record{Reason: "revocation-unknown", Signatures: sig("INDETERMINATE")}, rem.Indeterminate},
		{rem.Record{Reason: "no-signed-attributes", Signatures: sig("INDETERMINATE")}, rem.Indeterminate},
	} {
		r := Receipt{Evidence: rem.Attest(rem.SignatureRecheck, "s", 0, noon, c.record), Finding: rem.Finding{Verdict: rem.Indeterminate}}
		if w := english(); !strings.Contains(r.Text("en"), w.Result+": "+w.Verdicts[c.want].Short+"\n") {
			t.Errorf("%+v is not told as %s:\n%s", c.record, c.want, r.Text("en"))
		}
	}
}

// TestEveryCheckOfARefusal: 60 checks are named, with their result; of too many
// those that did not pass are named first.
func TestEveryCheckOfARefusal(t *testing.T) {
	r := sampleReceipts()["rejection"]
	sig := &r.Finding.Signatures[1]
	sig.Checks = nil
	for i := range 60 {
		sig.Checks = append(sig.Checks, rem.Check{Name: fmt.Sprintf("check-%d", i), Status: []string{"passed", "failed", "indeterminate"}[i%3], Detail: fmt.Sprintf("detail %d", i)})
	}
	text := r.Text("ru")
	for i := range 60 {
		want := fmt.Sprintf("%s: check-%d: detail %d\n", []string{"пройдена", "не пройдена", "не определено"}[i%3], i, i)
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	sig.Checks = nil
	for range 2000 {
		sig.Checks = append(sig.Checks, rem.Check{Name: "path", Status: "passed"})
	}
	sig.Checks = append(sig.Checks, rem.Check{Name: "signature", Status: "failed"})
	if text = r.Text("en"); !strings.Contains(text, "failed: The signature") || !strings.Contains(text, "not shown here: 1611") {
		t.Errorf("the failed check is not named, or the others are not counted:\n%s", text)
	}
}

func sampleFile(t testing.TB) (EvidenceFile, []byte) {
	t.Helper()
	accepted := rem.Accepted{Submission: *sampleSubmission()}
	record, err := rem.Canonical(accepted.Evidence().Record)
	if err != nil {
		t.Fatal(err)
	}
	e := EvidenceFile{Gateway: "gate.demo.test", Salt: []byte("0123456789abcdef"), Record: record}
	e.Digest = rem.DigestOf(append([]byte("0123456789abcdef"), record...))
	b, err := e.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return e, b
}

func TestEvidenceFile(t *testing.T) {
	e, b := sampleFile(t)
	golden(t, "evidence.json", b)
	got, err := ParseEvidence(append(b, '\n'))
	if err != nil || !reflect.DeepEqual(*got, e) {
		t.Errorf("read back %+v, %v", got, err)
	}
	if r, err := got.Evidence(); err != nil || r.Sender != "ivan@vektor.example" || len(r.Recipients) != 3 {
		t.Errorf("the record is %+v, %v", r, err)
	}
	// Anybody's JSON reader can cut the record out and hash it.
	var cut map[string]json.RawMessage
	if err := json.Unmarshal(b, &cut); err != nil || !bytes.Equal(cut["record"], e.Record) {
		t.Errorf("the record does not stand in the file octet for octet: %v", err)
	}
	g := string(b)
	for name, c := range map[string]struct {
		file string
		want error
	}{
		"record changed":   {strings.Replace(g, "chen@optics", "eve@optics", 1), ErrEvidenceDigest},
		"salt changed":     {strings.Replace(g, `"salt":"30`, `"salt":"31`, 1), ErrEvidenceDigest},
		"digest changed":   {strings.Replace(g, e.Digest.String(), rem.DigestOf([]byte("x")).String(), 1), ErrEvidenceDigest},
		"other format":     {strings.Replace(g, EvidenceFormat, "cryptogramm-evidence/2", 1), ErrEvidenceFormat},
		"blank inside":     {strings.Replace(g, `,"format"`, `, "format"`, 1), ErrEvidenceFormat},
		"member twice":     {strings.Replace(g, `"gateway":`, `"gateway":"x","gateway":`, 1), ErrEvidenceFormat},
		"unknown member":   {strings.Replace(g, `"gateway":`, `"extra":1,"gateway":`, 1), ErrEvidenceFormat},
		"no record":        {`{"digest":"` + e.Digest.String() + `","format":"cryptogramm-evidence/1","gateway":"","record":null,"salt":""}`, ErrEvidenceFormat},
		"two objects":      {g + g, ErrEvidenceFormat},
		"upper-case salt":  {strings.Replace(g, "616263646566", "61626364656F", 1), ErrEvidenceFormat},
		"empty":            {"", ErrEvidenceFormat},
		"protocol, say":    {`{"format":"cryptogramm-protocol/1"}`, ErrEvidenceFormat},
		"too large, blank": {strings.Repeat(" ", MaxEvidence+1), ErrEvidenceFormat},
	} {
		if c.file == g {
			t.Fatalf("%s changes nothing", name)
		}
		if _, err := ParseEvidence([]byte(c.file)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	e.Record = append([]byte(" "), e.Record...)
	if _, err := e.JSON(); !errors.Is(err, ErrEvidenceFormat) {
		t.Errorf("a record that is not canonical: %v", err)
	}
}

// FuzzEvidenceFile: what is read is written again as the same octets, and its
// digest is that of its parts.
func FuzzEvidenceFile(f *testing.F) {
	_, b := sampleFile(f)
	f.Add(b)
	f.Add(bytes.Replace(b, []byte("chen"), []byte("\\u0063hen"), 1))
	f.Add([]byte(`{"digest":"","format":"cryptogramm-evidence/1","gateway":"","record":{},"salt":""}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEvidence(b)
		if err != nil {
			return
		}
		again, err := e.JSON()
		if err != nil || !bytes.Equal(again, bytes.TrimSpace(b)) {
			t.Fatalf("%q became %q, %v", b, again, err)
		}
		if rem.DigestOf(append(append([]byte{}, e.Salt...), e.Record...)) != e.Digest {
			t.Fatal("a wrong digest passed")
		}
	})
}
