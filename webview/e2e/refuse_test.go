package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRefusals sends what must not pass; each is refused in the transaction for
// its own reason, with evidence, and nothing is sent.
func TestRefusals(t *testing.T) {
	d := running(t)
	anna, boris := d.party(t, "anna"), d.party(t, "boris")
	contract := file{"contract.pdf", []byte("%PDF-1.4 the price is 100 EUR\n")}
	annex := file{"annex.pdf", []byte("%PDF-1.4 annex\n")}
	good := signedLetter(t, anna, boris.Email, contract)
	inner := mixed("inner", note("x"), contract.entity())

	pair := func(a, b, sigA, sigB file) []byte {
		return headers(anna.Email, boris.Email, "Two files", mixed("outer", note("two files"),
			a.entity(), file{a.name + ".p7s", sign(t, anna, sigA.body)}.entity(),
			b.entity(), file{b.name + ".p7s", sign(t, anna, sigB.body)}.entity()))
	}
	tests := []struct {
		name   string
		login  party
		letter []byte
		code   int
		status string // enhanced
		reason string // of the evidence
		names  string // what the text must name
	}{
		{"flipped byte", anna, bytes.Replace(good, []byte("document attached"), []byte("document attachet"), 1), 550, "5.7.7", "signature-failed", ""},
		{"expired", d.party(t, "expired"), signedLetter(t, d.party(t, "expired"), boris.Email, contract), 550, "5.7.7", "certificate-not-valid", "expired"},
		{"revoked", d.party(t, "revoked"), signedLetter(t, d.party(t, "revoked"), boris.Email, contract), 550, "5.7.7", "certificate-not-valid", "revoked"},
		{"untrusted", anna, signedLetter(t, stranger(t, anna.Email), boris.Email, contract), 550, "5.7.7", "no-trusted-chain", ""},
		{"wrong address", anna, headers(anna.Email, boris.Email, "x", smime(inner, sign(t, boris, inner))), 550, "5.7.1", "signer-not-sender", "boris@demo.test"},
		{"partly signed", anna, headers(anna.Email, boris.Email, "x", mixed("outer", smime(inner, sign(t, anna, inner)), annex.entity())), 550, "5.7.7", "not-covered", "annex.pdf"},
		{"one of two files unsigned", anna, headers(anna.Email, boris.Email, "x", mixed("outer", note("x"), contract.entity(),
			file{"contract.pdf.p7s", sign(t, anna, contract.body)}.entity(), annex.entity())), 550, "5.7.7", "not-covered", "annex.pdf"},
		{"swapped documents", anna, pair(contract, annex, annex, contract), 550, "5.7.7", "signature-failed", "contract.pdf"},
		{"two From", anna, append([]byte("From: ceo@demo.test\r\n"), good...), 550, "5.7.1", "from-not-sender", ""},
		{"another's From", boris, good, 550, "5.7.1", "from-not-sender", "anna@demo.test"},
		{"unsigned", anna, headers(anna.Email, boris.Email, "x", note("hello")), 550, "5.7.0", "unsigned", "S/MIME"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mails, accepted := len(d.mails(t)), len(d.evidenceOf(t, "SubmissionAcceptance"))
			rejected := len(d.evidenceOf(t, "SubmissionRejection"))
			r := d.submit(t, tt.login, tt.letter, boris.Email)
			if r.code != tt.code || !strings.Contains(r.text, tt.names) {
				t.Errorf("%d %s", r.code, r.text)
			}
			for _, line := range strings.Split(strings.TrimSpace(r.text), "\n") {
				if !strings.HasPrefix(line, tt.status+" ") {
					t.Errorf("line without %s: %q", tt.status, line)
				}
			}
			list := d.evidenceOf(t, "SubmissionRejection")
			if len(list) != rejected+1 || list[len(list)-1].Reason != tt.reason {
				t.Errorf("evidence: %+v", list[len(list)-1])
			}
			if !strings.Contains(r.text, list[len(list)-1].Submission) {
				t.Errorf("the reply does not name %s: %s", list[len(list)-1].Submission, r.text)
			}
			if len(d.mails(t)) != mails || len(d.evidenceOf(t, "SubmissionAcceptance")) != accepted {
				t.Error("something was sent")
			}
		})
	}
	d.fsck(t)
}

// stranger is somebody with a certificate of nobody's for another's address.
func stranger(t *testing.T, email string) party {
	t.Helper()
	dir := t.TempDir()
	p := party{Email: email, Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	must(t, nil, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", p.Key, "-out", p.Cert, "-days", "2",
		"-subj", "/CN=Stranger", "-addext", "subjectAltName=email:"+email)
	return p
}

// TestVerifyAgrees judges accepted and refused bytes offline: the same judge.
func TestVerifyAgrees(t *testing.T) {
	d := running(t)
	anna := d.party(t, "anna")
	good := signedLetter(t, anna, "boris@demo.test", file{"a.txt", []byte("a\n")})
	dir := t.TempDir()
	crl := filepath.Join(filepath.Dir(d.CA), "crl.pem")
	for name, tt := range map[string]struct {
		letter []byte
		exit   int
	}{
		"good":     {good, 0},
		"changed":  {bytes.Replace(good, []byte("document attached"), []byte("document attachet"), 1), 1},
		"unsigned": {headers(anna.Email, "b@b.test", "x", note("x")), 3},
	} {
		path := filepath.Join(dir, name+".eml")
		if err := os.WriteFile(path, tt.letter, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, code := d.cryptogramm(t, "verify", "--json", "--trust", d.CA, "--crl", crl, path); code != tt.exit {
			t.Errorf("%s: exit %d\n%s", name, code, out)
		}
		if _, code := d.cryptogramm(t, "verify", "--json", path); name == "good" && code != 2 {
			t.Errorf("without anchors: exit %d", code)
		}
	}
}
