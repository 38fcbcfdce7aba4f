package message

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

// stamp stands for a signature: a digest of what was signed.
func stamp(entity []byte) ([]byte, error) {
	sum := sha256.Sum256(entity)
	return sum[:], nil
}

func receipt() Mail {
	m := notice()
	m.HTML, m.InReplyTo = "", "<m1@vektor.example>"
	m.Attachments = []Attachment{{Name: "evidence.json", MediaType: "application/json", Content: []byte(`{"a":1}`)}}
	return m
}

// checkSigned holds for all that ComposeSigned writes: what a reader cuts out
// and checks the signature of is what was signed, and no transport changes it.
func checkSigned(t testing.TB, m Mail) {
	t.Helper()
	text, err := ComposeSigned(m, stamp)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := ComposeSigned(m, stamp)
	if !bytes.Equal(text, again) {
		t.Fatal("the same mail is other octets")
	}
	l := parse(t, text)
	if a := l.Ambiguity(); a != "" {
		t.Fatalf("ambiguous: %s\n%s", a, text)
	}
	content, signature := signedOctets(t, l)
	if want, _ := stamp(content); !bytes.Equal(signature, want) {
		t.Fatalf("the signature is not over the octets that are cut out:\n%s", text)
	}
	for _, line := range strings.Split(string(content), "\r\n") {
		if strings.HasPrefix(line, "From ") || strings.TrimRight(line, " \t") != line && !strings.Contains(line, ":") || len(line) > 78 {
			t.Fatalf("a transport may change the line %q", line)
		}
	}
	if kind := l.Root.Header.Get("Content-Type"); !strings.HasPrefix(kind, `multipart/signed; micalg=sha-256; protocol="application/pkcs7-signature"; boundary="`) {
		t.Fatalf("Content-Type %q", kind)
	}
	part := l.Root.Parts[0]
	if len(part.Parts) > 0 {
		part = part.Parts[0]
	}
	b, err := io.ReadAll(l.Open(part.Range()))
	if err != nil || string(b) != mailText(m.Text) {
		t.Fatalf("the text reads %q, %v; want %q", b, err, m.Text)
	}
}

func TestComposeSigned(t *testing.T) {
	m := receipt()
	text, err := ComposeSigned(m, stamp)
	if err != nil {
		t.Fatal(err)
	}
	l := parse(t, text)
	var names []string
	for _, f := range l.Root.Header {
		names = append(names, f.Name)
	}
	if want := fieldNames(m); !reflect.DeepEqual(names, want) {
		t.Errorf("fields %q, want %q", names, want)
	}
	if l.Subject != m.Subject || l.Root.Header.Get("References") != m.InReplyTo {
		t.Errorf("subject %q, references %q", l.Subject, l.Root.Header.Get("References"))
	}
	for name, body := range map[string]string{
		"english": "Plain words.\n", "russian": strings.Repeat("Письмо принято. ", 100),
		"From":            "Hello\nFrom here on\n",
		"From first":      "From the start",
		"blanks":          "ends with blanks  \nand a tab\t\n \n",
		"dots and dashes": ".\n..\n-- \n--=_x\n",
		"From by folding": strings.Repeat("x", 70) + "     From there and on with it, and =20 and more",
		"line ends":       "a\rb\r\nc\n\nd",
		"bad UTF-8":       "a\xffb",
		"long line":       strings.Repeat("long ", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			m := receipt()
			m.Text = strings.ToValidUTF8(body, "\uFFFD")
			checkSigned(t, m)
			m.Attachments = nil
			checkSigned(t, m)
		})
	}
	broken := errors.New("no key")
	if _, err := ComposeSigned(m, func([]byte) ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("a failed signature: %v", err)
	}
	m.To = nil
	if _, err := ComposeSigned(m, stamp); !errors.Is(err, ErrHeaderValue) {
		t.Errorf("no recipient: %v", err)
	}
}

func TestFieldID(t *testing.T) {
	for in, want := range map[string]string{
		"<a@b>": "<a@b>", "": "", "a@b": "", "<a@b>\r\nBcc: x": "", "<a b>": "", "<я@б>": "",
		"<" + strings.Repeat("x", 300) + "@b>": "",
	} {
		if got := FieldID(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
		m := receipt()
		m.InReplyTo = FieldID(in)
		if _, err := ComposeSigned(m, stamp); err != nil {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func FuzzComposeSigned(f *testing.F) {
	for _, s := range []string{"text", "From x\n", "Письмо\r\n", "a \n", "\x00\x7f", "--=_"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if body == "" {
			return
		}
		m := receipt()
		m.Text = strings.ToValidUTF8(body, "\uFFFD")
		checkSigned(t, m)
	})
}
