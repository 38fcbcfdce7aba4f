package judge

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store/rem"
)

func source(b []byte) Source {
	if b == nil {
		return nil
	}
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}

// TestFiles judges signature files without a letter.
func TestFiles(t *testing.T) {
	k := use(t, cmstest.P256)
	entity := mixed(text("n"), file("a.pdf", pdf))
	for _, c := range []struct {
		name, file string
		signature  []byte
		content    []byte
		want       want
		covers     string
	}{
		{"detached", "contract.pdf.p7s", k.sign(pdf, k.boris), []byte(pdf), passed, "content"},
		{"detached, no name", "signature", k.sign(pdf, k.boris), []byte(pdf), passed, "content"},
		{"detached, base64", "signature", []byte(base64Lines(k.sign(pdf, k.boris))), []byte(pdf), passed, "content"},
		{"detached, nameless signer", "signature", k.sign(pdf, k.nameless), []byte(pdf), passed, "content"},
		{"detached, other content", "x.sig", k.sign(pdf, k.boris), []byte("other"),
			failedWith("HASH_FAILURE", rem.ReasonSignatureFailed, "content: the signature x.sig does not match the file"), "content"},
		{"detached, empty content", "x.sig", k.sign("", k.boris), []byte{}, passed, "content"},
		{"detached, no content", "x.sig", k.sign(pdf, k.boris), nil, openWith("SIGNED_DATA_NOT_FOUND", rem.ReasonNoContent, "x.sig"), ""},
		{"enveloping", "contract.pdf.sig", k.envelop(pdf, k.boris), nil, passed, "contract.pdf"},
		{"enveloping with its file", "contract.pdf.sig", k.envelop(pdf, k.boris), []byte(pdf), passed, "contract.pdf,content"},
		{"enveloping with another file", "contract.pdf.sig", k.envelop(pdf, k.boris), []byte("other"), uncovered("content is not signed"), "contract.pdf"},
		{"opaque letter body", "smime.p7m", k.envelop(entity, k.boris), nil, passed, "letter.txt,a.pdf"},
		{"two signers, one revoked", "x.sig", k.sign(pdf, k.boris, k.revoked), []byte(pdf), failedWith("REVOKED", rem.ReasonCertificateTime, "revoked"), "content"},
		{"untrusted", "x.sig", k.sign(pdf, k.mallory), []byte(pdf), openWith("NO_CERTIFICATE_CHAIN_FOUND", rem.ReasonUntrusted, ""), "content"},
		{"rubbish", "x.sig", []byte("rubbish"), []byte(pdf), failedWith("FORMAT_FAILURE", rem.ReasonSignatureFailed, "cannot be read"), ""},
		{"nothing", "signature", []byte{}, []byte(pdf), failedWith("FORMAT_FAILURE", rem.ReasonSignatureFailed, "cannot be read"), ""},
		{"truncated", "x.sig", k.sign(pdf, k.boris)[:100], []byte(pdf), failedWith("FORMAT_FAILURE", rem.ReasonSignatureFailed, ""), ""},
		{"certificates only", "x.p7s", k.certsOnly(), nil, want{rem.Unsigned, "", rem.ReasonUnsigned, "certificates only"}, ""},
		{"encrypted", "x.p7m", enveloped(), nil, want{rem.Unsigned, "", rem.ReasonEncrypted, "encrypted"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := Files(context.Background(), FileRequest{
				Verifier: k.verifier, Now: cmstest.At, TempDir: t.TempDir(), Name: c.file,
				Signature: source(c.signature), ContentName: "content", Content: source(c.content),
			})
			sound(t, f)
			c.want.check(t, f)
			if len(f.Signatures) > 0 && strings.Join(f.Signatures[0].Covers, ",") != c.covers {
				t.Errorf("covers %v", f.Signatures[0].Covers)
			}
			for _, s := range f.Signatures {
				if s.Part != (rem.Range{}) {
					t.Errorf("signature has a place in no letter: %+v", s.Part)
				}
			}
		})
	}
}

// TestCertificate judges certificates alone.
func TestCertificate(t *testing.T) {
	k := use(t, cmstest.P256)
	for _, c := range []struct {
		who  cmstest.Party
		want want
	}{
		{k.anna, passed},
		{k.nameless, passed},
		{k.expired, failedWith("EXPIRED", rem.ReasonCertificateTime, "CN=Anna expired")},
		{k.revoked, failedWith("REVOKED", rem.ReasonCertificateTime, "")},
		{k.server, failedWith("CHAIN_CONSTRAINTS_FAILURE", rem.ReasonSignatureFailed, "")},
		{k.mallory, openWith("NO_CERTIFICATE_CHAIN_FOUND", rem.ReasonUntrusted, "")},
		{k.pending, openWith("TRY_LATER", rem.ReasonRevocationUnknown, "")},
	} {
		cert, err := pki.ParseCertificate(c.who.Certificate.Raw)
		if err != nil {
			t.Fatal(err)
		}
		f := Certificate(context.Background(), cert, nil, FileRequest{Verifier: k.verifier, Now: cmstest.At, Name: "cert.pem"})
		sound(t, f)
		c.want.check(t, f)
		if f.Signatures[0].Format != "X.509" {
			t.Errorf("format %s", f.Signatures[0].Format)
		}
	}
}

// TestDearmour is the property: what was armoured comes back, what is not
// armour passes through.
func TestDearmour(t *testing.T) {
	k := use(t, cmstest.P256)
	der := k.sign("x", k.anna)
	for name, text := range map[string]string{
		"DER":            string(der),
		"PEM":            pemText("CMS", der),
		"PEM, BOM":       "\ufeff" + pemText("CMS", der),
		"PEM, space":     "\r\n\r\n" + pemText("PKCS #7 SIGNED DATA", der) + "\r\n\r\n",
		"base64":         base64Lines(der),
		"base64, spaces": "  " + strings.ReplaceAll(base64Lines(der), "\r\n", " \n\t") + "\n",
	} {
		got, err := io.ReadAll(dearmour(strings.NewReader(text)))
		if err != nil || !bytes.Equal(got, der) {
			t.Errorf("%s: %v, %d octets of %d", name, err, len(got), len(der))
		}
	}
	pem := pemText("CMS", der)
	for name, text := range map[string]string{
		"no END":        pem[:len(pem)-40],
		"two blocks":    pem + pem,
		"after END":     pem + "x",
		"RFC 1421":      strings.Replace(pem, "CMS-----\n", "CMS-----\nProc-Type: 4\n\n", 1),
		"odd letter":    "MIIB*AAA",
		"short base64":  "MIIBA",
		"many newlines": pem + strings.Repeat("\n", 10_000),
	} {
		if got, err := io.ReadAll(dearmour(strings.NewReader(text))); err == nil {
			t.Errorf("%s: taken for %d octets", name, len(got))
		}
	}
	for _, text := range []string{"", "-----BEGIN PGP SIGNATURE-----\nx", "hello", "%PDF"} {
		if got, err := io.ReadAll(dearmour(strings.NewReader(text))); err != nil || string(got) != text {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// TestOpenRefuses: places that do not fit the letter are errors, not panics.
func TestOpenRefuses(t *testing.T) {
	k := use(t, cmstest.P256)
	l := parse(t, letter(k.opaque(text("I agree."), k.anna)))
	good := Judge(context.Background(), l, k.request()).Documents[0]
	if !good.Container || good.Within == nil {
		t.Fatalf("document %+v", good)
	}
	for name, change := range map[string]func(*rem.Document){
		"outside":         func(d *rem.Document) { d.Part.Offset = 1 << 40 },
		"negative":        func(d *rem.Document) { d.Part.Length = -1 },
		"no container":    func(d *rem.Document) { d.Part.Offset += 99 },
		"within too long": func(d *rem.Document) { d.Within = &rem.Range{Length: 1 << 40, Encoding: "7bit"} },
		"within negative": func(d *rem.Document) { d.Within = &rem.Range{Offset: -1, Encoding: "7bit"} },
		"odd step":        func(d *rem.Document) { d.Within = &rem.Range{Encoding: "7bit 1+x"} },
		"not a container": func(d *rem.Document) { d.Within = &rem.Range{Encoding: "7bit cms"} },
		"unknown coding":  func(d *rem.Document) { d.Within = &rem.Range{Length: 3, Encoding: "rot13"} },
	} {
		d := good
		change(&d)
		r, err := OpenDocument(l, d)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// readSlowly reads in pieces of at most n octets.
func readSlowly(r io.Reader, n int) (string, error) {
	var b strings.Builder
	_, err := io.CopyBuffer(struct{ io.Writer }{&b}, struct{ io.Reader }{r}, make([]byte, n))
	return b.String(), err
}
