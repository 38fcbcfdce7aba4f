package message

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smallstep/pkcs7"
)

// signedOctets are what the signature of a multipart/signed covers, and the
// signature, as Parse cuts them out.
func signedOctets(t testing.TB, l *Letter) (content, signature []byte) {
	t.Helper()
	if l.Root.MediaType != "multipart/signed" || len(l.Root.Parts) != 2 {
		t.Fatalf("%s of %d parts", l.Root.MediaType, len(l.Root.Parts))
	}
	content, err := io.ReadAll(l.Raw(l.Root.Parts[0].Entity))
	if err != nil {
		t.Fatal(err)
	}
	r := l.Open(l.Root.Parts[1].Range())
	defer r.Close()
	if signature, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	return content, signature
}

func verifies(t testing.TB, content, signature []byte) error {
	t.Helper()
	p, err := pkcs7.Parse(signature)
	if err != nil {
		t.Fatal(err)
	}
	p.Content = content
	return p.Verify()
}

// Letters signed by OpenSSL and s-nail: the cut octets verify, and no octet
// more or less does.
func TestCutOfSignedLetters(t *testing.T) {
	for _, name := range golden(t, "signed") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			l := parse(t, readFile(t, name))
			if a := l.Ambiguity(); a != "" {
				t.Errorf("ambiguous: %s", a)
			}
			content, signature := signedOctets(t, l)
			if err := verifies(t, content, signature); err != nil {
				t.Errorf("the cut octets: %v", err)
			}
			if verifies(t, content[:len(content)-1], signature) == nil || verifies(t, append(content, '\n'), signature) == nil {
				t.Error("an octet more or less verifies too")
			}
		})
	}
}

// The octets around a cut may be anything that RFC 2046 allows.
func TestCutIsExactInAnyWrapping(t *testing.T) {
	bodies := []string{"", "x", "x\r\n", "\r\n", "\r\n\r\n", "x\r\n\r\n\r\n", "-- \r\nsignature\r\n", "--other\r\n--\r\n", " \t\r\n", "--b2\r\n\r\ny\r\n--b2--", "trailing blanks  \r\n"}
	headers := []string{"", "Content-Type: text/plain\r\n", "Content-Type: multipart/mixed; boundary=b2\r\n", "Content-Type: message/rfc822\r\n"}
	for _, header := range headers {
		for _, body := range bodies {
			for _, padding := range []string{"", " ", "\t "} {
				for _, prologue := range []string{"", "\r\n", "Signed.\r\n\r\n"} {
					signed := header + "\r\n" + body
					text := "Content-Type: multipart/signed; boundary=\"=-b?\"\r\n\r\n" + prologue + "--=-b?" + padding + "\r\n" + signed +
						"\r\n--=-b?" + padding + "\r\nContent-Type: application/pkcs7-signature\r\n\r\nMAA=\r\n--=-b?--" + padding + "\r\n"
					l := parse(t, []byte(text))
					checkStructure(t, l, []byte(text))
					got, err := io.ReadAll(l.Raw(l.Root.Parts[0].Entity))
					if err != nil || string(got) != signed {
						t.Errorf("%q\ncut %q, error %v", text, got, err)
					}
				}
			}
		}
	}
}

// The letter that a recipient gets still verifies.
func TestRecipientLetterVerifies(t *testing.T) {
	for _, name := range golden(t, "signed") {
		text := readFile(t, name)
		l := parse(t, text)
		header, body, err := RecipientLetter(l, RecipientHeader{
			From: Address{"Анна", "anna@demo.test"}, To: Address{"", "carol@demo.test"},
			Subject: "Договор", MessageID: "x@demo.test", Date: testDate(),
		})
		if err != nil {
			t.Fatal(err)
		}
		own := append(header, text[body.Offset:body.End()]...)
		content, signature := signedOctets(t, parse(t, own))
		if err := verifies(t, content, signature); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if bytes.Contains(own, []byte("boris@")) {
			t.Errorf("%s: the letter names another recipient", name)
		}
	}
}

// A document of a signed letter reads as the file that was attached.
func TestDocumentOfSNail(t *testing.T) {
	l := parse(t, readFile(t, filepath.Join("testdata", "signed", "06-s-nail.eml")))
	var file *Part
	l.Root.Walk(func(p *Part) bool {
		if p.FileName == "Договор.pdf" {
			file = p
		}
		return file == nil
	})
	if file == nil || file.Path != "1.2" || file.Disposition != "attachment" {
		t.Fatalf("the file is %+v", file)
	}
	r := l.Open(file.Range())
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil || fmt.Sprintf("%x", sha256.Sum256(b)) != fmt.Sprintf("%x", sha256.Sum256([]byte("%PDF-1.4\n\x00\x01\x02"))) {
		t.Errorf("%q, error %v", b, err)
	}
	if l.Subject != "Договор" || l.From[0].Mailbox != "anna@demo.test" || !strings.HasPrefix(l.MessageID, "<2026") {
		t.Errorf("subject %q, from %v, id %q", l.Subject, l.From, l.MessageID)
	}
}
