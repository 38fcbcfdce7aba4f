package document

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// TestNoOtherRecipient: whatever the letter, no form of a protocol or of a
// recipient's report names anybody but him and the sender; the sender's report
// names all.
func TestNoOtherRecipient(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "recipients")
		s, rows, all := sampleSubmission(), []ReportRow{}, []string{}
		for i := range n {
			all = append(all, fmt.Sprintf("recipient-%d@host-%d.example", i, rapid.IntRange(0, 2).Draw(t, "host")))
			rows = append(rows, ReportRow{
				Consignment: rem.Consignment{ID: fmt.Sprintf("consignment-%d", i), Recipient: all[i], Expires: noon},
				Events: []ReportEvent{{
					Event: rem.ContentHandover, Time: noon, Evidence: fmt.Sprintf("evidence-%d", i), By: all[i], Detail: "by " + all[i],
					Certificate: &Certificate{Subject: "CN=" + all[i]}, Protocol: fmt.Sprintf("protocol-%d", i),
				}},
			})
		}
		rows = rapid.Permutation(rows).Draw(t, "rows")
		s.Envelope.Recipients, s.Letter.To = all, all
		s.Envelope.Peer, s.Repeats = "peer-of-sender", "earlier-letter"
		me := rapid.IntRange(0, n-1).Draw(t, "me")
		secret := []string{"peer-of-sender", "earlier-letter", "Bcc", s.Letter.MessageID}
		for i := range n {
			if i != me {
				secret = append(secret, fmt.Sprintf("recipient-%d", i), fmt.Sprintf("consignment-%d", i), fmt.Sprintf("evidence-%d", i), fmt.Sprintf("protocol-%d", i))
			}
		}
		p := NewProtocol(ProtocolRequest{ID: "id", Made: noon, Submission: s, Finding: s.Finding, Certificate: &Certificate{},
			Consignment: rem.Consignment{ID: fmt.Sprintf("consignment-%d", me), Recipient: all[me]}})
		r := NewReport(s, rows, Viewer{Recipient: strings.Replace(all[me], "host", "HOST", 1)})
		for name, text := range forms(t, p, r) {
			if !strings.Contains(text, all[me]) || !strings.Contains(text, s.Sender) {
				t.Fatalf("%s lacks its own two parties:\n%s", name, text)
			}
			for _, x := range secret {
				if strings.Contains(text, x) {
					t.Fatalf("%s names %s:\n%s", name, x, text)
				}
			}
		}
		sender := NewReport(s, rows, Viewer{Sender: true})
		for _, a := range all {
			if !bytes.Contains(sender.Text("en"), []byte(a)) {
				t.Fatalf("the sender does not see %s", a)
			}
		}
	})
}

func forms(t *rapid.T, p Protocol, r Report) map[string]string {
	out := map[string]string{}
	add := func(name string, b []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(b)
	}
	b, err := p.JSON()
	add("protocol.json", b, err)
	b, err = r.JSON()
	add("report.json", b, err)
	for _, lang := range []string{"ru", "en"} {
		b, err = p.HTML(lang)
		add("protocol.html", b, err)
		b, err = p.Text(lang)
		add("protocol.txt", b, err)
		b, err = r.HTML(lang)
		add("report.html", b, err)
		add("report.txt", r.Text(lang), nil)
	}
	return out
}

// TestNobody: a viewer that was not filled in sees no recipient.
func TestNobody(t *testing.T) {
	for _, v := range []Viewer{{}, {Recipient: "stranger@x.example"}, {Recipient: "@optics.example"}, {Recipient: "Chen@optics.example"}} {
		if r := NewReport(sampleSubmission(), sampleRows(), v); len(r.Recipients) != 0 || r.Role != "recipient" {
			t.Errorf("%+v sees %+v", v, r.Recipients)
		}
	}
}

func TestReportEvents(t *testing.T) {
	rows := sampleRows()
	before := fmt.Sprint(rows)
	r := NewReport(sampleSubmission(), rows, Viewer{Sender: true})
	if len(r.Recipients) != 3 {
		t.Fatalf("%+v", r.Recipients)
	}
	for _, one := range r.Recipients {
		for i := 1; i < len(one.Events); i++ {
			if one.Events[i].Time.Before(one.Events[i-1].Time) {
				t.Errorf("%s: events out of order", one.Address)
			}
		}
	}
	if fmt.Sprint(rows) != before {
		t.Error("the rows handed in were changed")
	}
	for lang, words := range map[string][]string{
		"en": {"Recipient notified", "Files received", "typed the recipient's address", "verified by the recipient", "could not be delivered", "Nothing is recorded yet"},
		"ru": {"Получатель уведомлён", "получил файлы", "ввёл адрес получателя", "проверил подписи", "доставить не удалось", "Пока ничего не записано"},
	} {
		page, err := r.HTML(lang)
		if err != nil {
			t.Fatal(err)
		}
		inspect(t, page)
		for _, w := range words {
			if lang == "en" {
				w = strings.ReplaceAll(w, "'", "&#39;")
			}
			if !strings.Contains(string(page), w) {
				t.Errorf("%s: no %q", lang, w)
			}
		}
	}
}

func TestEventOf(t *testing.T) {
	cert := rem.DigestOf([]byte("c"))
	e := rem.Attest(rem.RecipientVerification, "c1", 0, noon, rem.Record{
		Grade: rem.GradeSigned, Detail: "passed", Recipient: "a@b.example",
		Signatures: []rem.SignatureRecord{{Signer: "CN=A", CertificateSHA256: cert}},
	})
	want := ReportEvent{
		Event: rem.RecipientVerification, Time: noon.UTC().Truncate(time.Microsecond), Evidence: e.ID, Grade: rem.GradeSigned,
		Detail: "passed", Certificate: &Certificate{Subject: "CN=A", SHA256: cert},
	}
	if got := EventOf(e); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	// The sender's signatures in the record of an acceptance are not the recipient's.
	e = rem.Attest(rem.SubmissionAcceptance, "s1", 0, noon, rem.Record{Signatures: []rem.SignatureRecord{{Signer: "CN=S"}}})
	if got := EventOf(e); got.Certificate != nil {
		t.Errorf("%+v", got)
	}
}
