package notify

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/emersion/go-msgauth/dkim"
)

// dkimKeys are made once: an RSA key takes its time.
var dkimKeys = sync.OnceValue(func() map[string]crypto.Signer {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return map[string]crypto.Signer{"rsa": rsaKey, "ed25519": edKey}
})

// record is what the domain's owner publishes for a key.
func record(t testing.TB, kind string, key crypto.Signer) string {
	t.Helper()
	if k, ok := key.Public().(ed25519.PublicKey); ok {
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(k)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return "v=DKIM1; k=" + kind + "; p=" + base64.StdEncoding.EncodeToString(der)
}

// verify asks another implementation. nil: one signature, and it is good.
func verifyDKIM(t testing.TB, kind string, mail []byte) error {
	t.Helper()
	found, err := dkim.VerifyWithOptions(bytes.NewReader(mail), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		if name != "sel1._domainkey.gate.example" {
			return nil, fmt.Errorf("no such name: %s", name)
		}
		return []string{record(t, kind, dkimKeys()[kind])}, nil
	}})
	if err != nil {
		return err
	}
	if len(found) != 1 || found[0].Domain != "gate.example" {
		return fmt.Errorf("signatures: %+v", found)
	}
	return found[0].Err
}

func signer(kind string) *DKIM {
	return &DKIM{Domain: "gate.example", Selector: "sel1", Key: dkimKeys()[kind]}
}

// TestDKIM: what the gateway sends verifies elsewhere, and only as it was sent.
func TestDKIM(t *testing.T) {
	mails := map[string][]byte{
		"no body":          []byte("From: a@gate.example\r\n\r\n"),
		"blanks and folds": []byte("From:  a@gate.example\r\nSUBJECT : a \t b\r\n\t c  \r\nTo: x@y.example\r\nX-Other: 1\r\n\r\n a \t b \r\n\r\n.\r\nlast \r\n\r\n\r\n"),
		"no last line end": []byte("From: a@gate.example\r\nSubject: x\r\n\r\nend"),
		"twice a field":    []byte("From: a@gate.example\r\nReferences: <1@x>\r\nReferences: <2@x>\r\n\r\nend\r\n"),
		"UTF-8 header":     []byte("From: a@gate.example\r\nReply-To: пётр@demo.test\r\n\r\nтело\r\n"),
	}
	for _, language := range []string{"ru", "en", ""} {
		mails["notice "+language] = rendered(t, language)
	}
	for name, mail := range mails {
		for kind := range dkimKeys() {
			signed, err := signer(kind).sign(mail)
			if err != nil {
				t.Fatal(err)
			}
			if err := verifyDKIM(t, kind, signed); err != nil {
				t.Errorf("%s, %s: %v\n%s", name, kind, err, signed)
			}
			if !bytes.HasSuffix(signed, append([]byte("\r\n"), mail...)) {
				t.Errorf("%s: the mail itself was changed", name)
			}
			again, err := signer(kind).sign(mail)
			if err != nil || !bytes.Equal(again, signed) {
				t.Errorf("%s, %s: signed differently the second time", name, kind)
			}
			for line := range strings.SplitSeq(string(signed[:len(signed)-len(mail)]), "\r\n") {
				if len(line) > 150 {
					t.Errorf("%s: a line of %d octets", name, len(line))
				}
			}
			for change, changed := range map[string][]byte{
				"another From":  append([]byte("From: evil@x.example\r\n"), signed...),
				"another To":    append([]byte("To: evil@x.example\r\n"), signed...),
				"a Subject":     append([]byte("Subject: evil\r\n"), signed...),
				"a content":     append([]byte("Content-Type: text/html\r\n"), signed...),
				"a longer body": append(bytes.Clone(signed), "\r\nmore\r\n"...),
			} {
				if verifyDKIM(t, kind, changed) == nil {
					t.Errorf("%s, %s: %s is not noticed", name, kind, change)
				}
			}
		}
	}
}

// rendered is a notice as it goes out.
func rendered(t testing.TB, language string) []byte {
	t.Helper()
	mail, err := Render(sample(language))
	if err != nil {
		t.Fatal(err)
	}
	return mail
}

func TestDKIMRefuses(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := signer("ed25519").Key
	for name, d := range map[string]*DKIM{
		"no key":        {Domain: "gate.example", Selector: "s"},
		"no domain":     {Selector: "s", Key: good},
		"no selector":   {Domain: "gate.example", Key: good},
		"tag in domain": {Domain: "gate.example; l=0", Selector: "s", Key: good},
		"elliptic key":  {Domain: "gate.example", Selector: "s", Key: curve},
	} {
		if _, err := d.sign([]byte(body)); !errors.Is(err, errNoDKIM) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (&DKIM{Domain: "gate.example", Selector: "s", Key: small}).sign([]byte(body)); err != nil {
		t.Errorf("RSA-1024: %v", err)
	}
	if _, err := signer("ed25519").sign([]byte("From: a@x\r\n")); !errors.Is(err, errNoDKIM) {
		t.Errorf("a mail without a body: %v", err)
	}
}

// TestSenderSigns: relay and outbox get the same signed octets.
func TestSenderSigns(t *testing.T) {
	p := &peer{}
	dir := t.TempDir()
	s := &Sender{Outbox: dir, Relay: &Relay{Address: p.start(t, nil, false), Security: Plain}, DKIM: signer("rsa")}
	t.Cleanup(func() { s.Relay.Close() })
	mail := []byte("From: service@gate.example\r\nTo: b@x.example\r\nSubject: x\r\n\r\ntext \r\n")
	if err := s.Send(context.Background(), "service@gate.example", "b@x.example", mail, "<1@gate.example>"); err != nil {
		t.Fatal(err)
	}
	copied, err := os.ReadFile(filepath.Join(dir, files(t, dir)[0]))
	if err != nil {
		t.Fatal(err)
	}
	sent := strings.Split(p.mails()[0], "|")[2]
	if sent != string(copied) {
		t.Errorf("sent\n%s\nkept\n%s", sent, copied)
	}
	if err := verifyDKIM(t, "rsa", copied); err != nil {
		t.Error(err)
	}
}

// FuzzDKIM: whatever mail is signed, another implementation agrees.
func FuzzDKIM(f *testing.F) {
	f.Add(string(rendered(f, "")))
	f.Add("From: a@x\r\nto :b\r\n\r\n \t\r\n\r\nx")
	f.Add("From:\r\n\r\n\r\n\r\n")
	f.Fuzz(func(t *testing.T, mail string) {
		if !wellFormed(mail) {
			return
		}
		signed, err := signer("ed25519").sign([]byte(mail))
		if err != nil {
			t.Fatal(err)
		}
		if err := verifyDKIM(t, "ed25519", signed); err != nil {
			t.Errorf("%v\n%q", err, signed)
		}
	})
}

// wellFormed: UTF-8, a From, fields of printable names, CRLF only. All mails of
// ours are, and on others implementations differ.
func wellFormed(mail string) bool {
	if !utf8.ValidString(mail) || strings.ContainsAny(strings.ReplaceAll(mail, "\r\n", ""), "\r\n\x00\v\f\u0085") {
		return false
	}
	header, _, ok := strings.Cut(mail, "\r\n\r\n")
	from := false
	for i, line := range strings.Split(header, "\r\n") {
		name, value, colon := strings.Cut(line, ":")
		if folded := i > 0 && (line + " ")[0] == ' ' || (line + " ")[0] == '\t'; folded {
			if strings.TrimSpace(line) == "" {
				return false
			}
			continue
		}
		plain := name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' })
		if !colon || !plain || strings.EqualFold(name, "DKIM-Signature") || strings.TrimSpace(value) != strings.Trim(value, " \t") {
			return false
		}
		from = from || strings.EqualFold(name, "From")
	}
	return ok && from
}
