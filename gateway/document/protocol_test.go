package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// anyProtocol draws a protocol with hostile text anywhere.
func anyProtocol(t *rapid.T) Protocol {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "<script>x</script>", "\xff\xfe", "a\u202eb", "\x00\r\n", "{{.}}", `"]}`}))
	moment := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns"))
	})
	p := sampleProtocol()
	p.ID, p.Gateway, p.Made = text.Draw(t, "id"), text.Draw(t, "gateway"), moment.Draw(t, "made")
	p.Sender = Person{text.Draw(t, "address"), text.Draw(t, "name")}
	p.Letter.Subject = text.Draw(t, "subject")
	if rapid.Bool().Draw(t, "preview") {
		p.RecipientCertificate = nil
	}
	f := &p.Finding
	f.Verdict, f.Detail = rem.Verdict(text.Draw(t, "verdict")), text.Draw(t, "detail")
	f.Uncovered = rapid.SliceOfN(text, 0, 3).Draw(t, "uncovered")
	f.Unsigned = rapid.SliceOfN(text, 0, 3).Draw(t, "unsigned")
	for i := range f.Signatures {
		s := &f.Signatures[i]
		s.Signer, s.Indication, s.BestTime = text.Draw(t, "signer"), text.Draw(t, "indication"), moment.Draw(t, "best")
		s.Checks = []rem.Check{{Name: text.Draw(t, "check"), Status: text.Draw(t, "status"), Detail: text.Draw(t, "cd")}}
	}
	for i := range f.Documents {
		f.Documents[i].Name, f.Documents[i].MediaType = text.Draw(t, "file"), text.Draw(t, "type")
		f.Documents[i].Size = rapid.Int64Range(0, 1<<53-1).Draw(t, "size")
		f.Documents[i].Signatures = rapid.SliceOfN(rapid.IntRange(-1, 3), 0, 3).Draw(t, "of")
	}
	return p
}

// TestProtocolRoundTrip: what is signed gives back the protocol, in both
// languages the same page.
func TestProtocolRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyProtocol(t)
		b, err := p.JSON()
		if err != nil {
			t.Fatal(err)
		}
		q, err := ParseProtocol(b)
		if err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		if q.Preview() != p.Preview() {
			t.Fatal("preview is lost")
		}
		for _, lang := range []string{"ru", "en"} {
			one, err1 := p.HTML(lang)
			two, err2 := q.HTML(lang)
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(one, two) {
				t.Fatalf("pages differ:\n%s\n%s", one, two)
			}
		}
	})
}

// TestProtocolStandsAlone: the signed bytes hold every fact of the check.
func TestProtocolStandsAlone(t *testing.T) {
	p := sampleProtocol()
	b, err := p.JSON()
	if err != nil {
		t.Fatal(err)
	}
	s := p.Finding.Signatures[0]
	for what, want := range map[string]string{
		"format": `"format":"cryptogramm-protocol/1"`, "id": p.ID, "time": "2026-11-22T10:00:05.123456Z",
		"recipient": "chen@optics.example", "his certificate": p.RecipientCertificate.SHA256.String(),
		"sender": "ivan@vektor.example", "subject": "Договор поставки", "consignment": p.Consignment, "submission": p.Submission,
		"letter": p.Letter.Ref.String(), "received": "2026-11-22T09:00:05.123456Z",
		"file": "Договор поставки № 17.pdf", "file digest": p.Finding.Documents[0].SHA256.String(), "size": "1248331",
		"signature": s.SignatureSHA256.String(), "certificate": s.CertificateSHA256.String(), "issuer": s.Issuer,
		"serial": s.Serial, "algorithm": s.Algorithm, "claimed time": "2026-11-22T08:00:05.123456Z", "anchor": `"anchor_kind":"unqualified"`,
		"check": `"name":"message-digest"`, "not signed": "covering note part 1", "policy": `"revocation":"hard"`,
		"meaning": "expresses no agreement", "meaning in Russian": "не означает согласия",
	} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("no %s (%s) in %s", what, want, b)
		}
	}
	for what, no := range map[string]string{"place in the submitted letter": "4711", "raw signature": "Y21z", "field names": "Bcc", "Message-ID": "m1@"} {
		if bytes.Contains(b, []byte(no)) {
			t.Errorf("%s (%s) in %s", what, no, b)
		}
	}
}

func TestParseProtocolRefuses(t *testing.T) {
	good, err := sampleProtocol().JSON()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseProtocol(good); err != nil {
		t.Fatal(err)
	}
	g := string(good)
	for name, b := range map[string]string{
		"empty": "", "null": "null", "other object": "{}",
		"blank at the end":   g + "\n",
		"two objects":        g + g,
		"other version":      strings.Replace(g, ProtocolFormat, "cryptogramm-protocol/2", 1),
		"passed as preview":  strings.Replace(g, ProtocolFormat, PreviewFormat, 1),
		"without statement":  strings.Replace(g, "no agreement", "agreement", 1),
		"unknown member":     strings.Replace(g, `"gateway":`, `"extra":1,"gateway":`, 1),
		"member twice":       strings.Replace(g, `"gateway":`, `"gateway":"x","gateway":`, 1),
		"escaped otherwise":  strings.Replace(g, `vektor.example`, `vektor\u002eexample`, 1),
		"upper case digest":  strings.Replace(g, `"sha256":"9c0abe`, `"sha256":"9C0ABE`, 1),
		"field names inside": strings.Replace(g, `"header fields"`, `"header field Bcc"`, 1),
	} {
		if b == g {
			t.Fatalf("%s changes nothing", name)
		}
		if _, err := ParseProtocol([]byte(b)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMarshal: the standard encoder gives and takes the same format.
func TestMarshal(t *testing.T) {
	b, err := rem.Canonical(sampleProtocol())
	if err != nil {
		t.Fatal(err)
	}
	want, _ := sampleProtocol().JSON()
	var p Protocol
	if !bytes.Equal(b, want) || json.Unmarshal(b, &p) != nil || p.Finding.Verdict != rem.Passed || len(p.Finding.Documents) != 2 {
		t.Errorf("%+v from %s", p, b)
	}
	if err := json.Unmarshal([]byte(`{"id":"x"}`), &p); !errors.Is(err, ErrFormat) {
		t.Errorf("a foreign object: %v", err)
	}
}

// TestPreview: nobody can take a preview for a protocol, in any form.
func TestPreview(t *testing.T) {
	p := sampleProtocol()
	whole, _ := p.JSON()
	digest := rem.DigestOf(whole).String()
	for _, lang := range []string{"ru", "en"} {
		w := wordsFor(lang)
		real, err := p.HTML(lang)
		if err != nil || strings.Contains(string(real), w.PreviewMark) || !strings.Contains(string(real), digest) {
			t.Errorf("%s: a protocol is marked as a preview or lacks its digest: %v", lang, err)
		}
		q := p
		q.RecipientCertificate = nil
		html, err := q.HTML(lang)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := q.Text(lang)
		page := string(html)
		if n := strings.Count(page, w.PreviewMark); n != 5 { // title, subtitle, watermark, above, below
			t.Errorf("%s: the mark stands %d times on the page", lang, n)
		}
		if n := strings.Count(string(text), strings.ToUpper(w.PreviewMark)); n != 2 {
			t.Errorf("%s: the mark stands %d times in the text", lang, n)
		}
		for _, no := range []string{`class="result good"`, w.HowTo, w.Meaning, w.Statement, p.RecipientCertificate.SHA256.String()} {
			// The certificate's digest also stands under the second signature.
			if no == p.RecipientCertificate.SHA256.String() {
				page = strings.Replace(page, no, "", 1)
			}
			if strings.Contains(page, no) {
				t.Errorf("%s: the preview has %q", lang, no)
			}
		}
	}
	q := p
	q.RecipientCertificate = nil
	b, _ := q.JSON()
	if !bytes.Contains(b, []byte(`"format":"`+PreviewFormat+`"`)) || bytes.Contains(b, []byte("By signing")) {
		t.Errorf("%s", b)
	}
}

func FuzzParseProtocol(f *testing.F) {
	seeds, err := filepath.Glob("testdata/papers/protocol-*.json")
	if err != nil || len(seeds) < 3 {
		f.Fatalf("seeds: %v %v", seeds, err)
	}
	for _, s := range seeds {
		b, err := os.ReadFile(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProtocol(b)
		if err != nil {
			return
		}
		again, err := p.JSON()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("not what was read: %v %s", err, again)
		}
		html, err := p.HTML("ru")
		if err != nil {
			t.Fatal(err)
		}
		inspect(t, html)
		if p.Preview() != bytes.Contains(html, []byte(russian().PreviewText)) {
			t.Fatal("the mark of a preview")
		}
	})
}
