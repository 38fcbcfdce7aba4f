package document

import (
	"os"
	"path/filepath"
	"testing"
)

type paper struct {
	name string
	json func() ([]byte, error)
	html func(string) ([]byte, error)
	text func(string) ([]byte, error)
}

func papersOf() []paper {
	passed := sampleProtocol()
	failed, preview, signed := passed, passed, passed
	failed.Finding = badFinding()
	preview.RecipientCertificate, preview.ID = nil, ""
	signed.Signed = &Acknowledgement{Time: noon.Add(90 * 60e9), Signature: passed.RecipientCertificate.SHA256}
	var list []paper
	for _, p := range []struct {
		name string
		Protocol
	}{{"protocol-passed", passed}, {"protocol-failed", failed}, {"protocol-preview", preview}, {"protocol-signed", signed}} {
		list = append(list, paper{p.name, p.JSON, p.HTML, p.Text})
	}
	for _, v := range []struct {
		name string
		Viewer
	}{{"report-sender", Viewer{Sender: true, At: noon, Gateway: "gate.demo.test"}}, {"report-recipient", Viewer{Recipient: "chen@Optics.example", At: noon}}} {
		r := NewReport(sampleSubmission(), sampleRows(), v.Viewer)
		list = append(list, paper{v.name, r.JSON, r.HTML, func(lang string) ([]byte, error) { return r.Text(lang), nil }})
	}
	return list
}

// TestPapers fixes the JSON, which is a format, and the text, which has every
// word and value a page has.
func TestPapers(t *testing.T) {
	for _, p := range papersOf() {
		t.Run(p.name, func(t *testing.T) {
			b, err := p.json()
			if err != nil {
				t.Fatal(err)
			}
			golden(t, p.name+".json", b)
			for _, lang := range []string{"ru", "en"} {
				text, err := p.text(lang)
				if err != nil {
					t.Fatal(err)
				}
				golden(t, p.name+"."+lang+".txt", text)
				html, err := p.html(lang)
				if err != nil {
					t.Fatal(err)
				}
				show(t, p.name+"."+lang+".html", html)
			}
		})
	}
}

func show(t *testing.T, name string, b []byte) {
	t.Helper()
	if *papers == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(*papers, name), b, 0o644); err != nil {
		t.Fatal(err)
	}
}
