package message

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeGolden(name string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o644)
}

func submitted(content string) []byte {
	return crlf("Received: from x\nFrom: Anna <anna@demo.test>\nTo: boris@demo.test, carol@demo.test\nBcc: dora@demo.test\nCc: eve@demo.test\nX-Secret: y\n" + content + "\nbody\n")
}

func TestRecipientLetter(t *testing.T) {
	content := "MIME-Version: 1.0\nContent-Type: multipart/signed; micalg=sha-256;\n\tboundary=\"b\"\ncontent-language:  en \n"
	text := submitted(content)
	header, body, err := RecipientLetter(parse(t, text), RecipientHeader{
		From: Address{"Анна", "anna@demo.test"}, To: Address{"", "boris@demo.test"}, Subject: "Договор", MessageID: "<c1@demo.test>", Date: testDate(),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := string(crlf("From: =?utf-8?b?0JDQvdC90LA=?= <anna@demo.test>\nTo: boris@demo.test\nSubject: =?utf-8?b?0JTQvtCz0L7QstC+0YA=?=\n" +
		"Date: Wed, 04 Mar 2026 05:06:07 +0000\nMessage-ID: <c1@demo.test>\n" + content + "\n"))
	if string(header) != want {
		t.Errorf("got\n%s\nwant\n%s", header, want)
	}
	if got := string(text[body.Offset:body.End()]); got != "body\r\n" {
		t.Errorf("body %q", got)
	}
}

// What the sender wrote of himself can be anything; the recipient still gets
// a letter, and nothing but its own fields.
func TestRecipientLetterOfHostileText(t *testing.T) {
	h := RecipientHeader{From: Address{"a\r\nBcc: x@y.test", "anna@demo.test"}, To: Address{"", "boris@demo.test"}, Subject: "=?utf-8?q?=0D=0ABcc:_x?=\x00"}
	header, _, err := RecipientLetter(parse(t, submitted("Content-Type: text/plain\n")), h)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	l := parse(t, header)
	for _, f := range l.Root.Header {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != "From To Subject Content-Type" || l.Ambiguity() != "" {
		t.Errorf("fields %s", got)
	}
}

// Many programs show a name alone: one that is an address would be believed.
func TestRecipientLetterUnderAnotherAddress(t *testing.T) {
	for name, want := range map[string]string{"Anna": "Anna <anna@demo.test>", "boris@demo.test": "anna@demo.test", "boris\uFF20demo.test": "anna@demo.test"} {
		h := RecipientHeader{From: Address{name, "anna@demo.test"}, To: Address{"", "boris@demo.test"}}
		header, _, err := RecipientLetter(parse(t, submitted("")), h)
		if err != nil || !strings.HasPrefix(string(header), "From: "+want+"\r\n") {
			t.Errorf("%q: %v\n%s", name, err, header)
		}
	}
}

func TestRecipientLetterRefuses(t *testing.T) {
	good := RecipientHeader{From: Address{"", "anna@demo.test"}, To: Address{"", "boris@demo.test"}}
	bad := good
	bad.To.Mailbox = "boris@demo.test\r\nBcc: x@y.test"
	if _, _, err := RecipientLetter(parse(t, submitted("")), bad); !errors.Is(err, ErrHeaderValue) {
		t.Errorf("an address with a line end: %v", err)
	}
	for _, field := range []string{"Content-Type: text/plain\n", "Content-X: a\n b\r\n", "Content-X: a\r\n b\rTo: c\r\n", "Content-X: a\x00\r\n", "Content-X: a\r\r\n \n\tb\r\n"} {
		if _, _, err := RecipientLetter(parse(t, []byte(field+"\r\nbody")), good); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", field, err)
		}
	}
}
