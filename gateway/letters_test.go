package gateway

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// contract is what is sent: octets that no transfer may change.
const contract = "%PDF-1.7\n\x00\x01\xff contract no. 7\n"

// sign makes a detached signature.
func sign(t testing.TB, p cmstest.Party, content string) string {
	return signature(t, p, content, true)
}

func signature(t testing.TB, p cmstest.Party, content string, detached bool) string {
	t.Helper()
	cert, err := pki.ParseCertificate(p.Certificate.Raw)
	if err != nil {
		t.Fatal(err)
	}
	der, err := cms.Sign(strings.NewReader(content), cms.SignOptions{Signer: p.Key, Certificate: cert, Detached: detached, SigningTime: cmstest.At})
	if err != nil {
		t.Fatal(err)
	}
	return string(der)
}

// forge makes a detached signature that differs from a good one.
func forge(t testing.TB, p cmstest.Party, content string, change func(*cmstest.Signature, *cmstest.Message)) string {
	m := cmstest.Message{Content: []byte(content), Signatures: []cmstest.Signature{{Party: p}}}
	change(&m.Signatures[0], &m)
	return string(m.Encode(t))
}

// header is the usual head of a letter, with a Message-ID of its own.
func header(fields ...string) string {
	head := append([]string{
		"From: Anna Ivanova <anna@in.test>", "To: bob@out.test", "Subject: Contract 7",
		"Date: Mon, 01 Jun 2026 11:59:00 +0000", "Message-ID: <" + rand.Text() + "@in.test>", "MIME-Version: 1.0",
	}, fields...)
	return strings.Join(head, "\r\n") + "\r\n"
}

func wrap(s string) string {
	text := base64.StdEncoding.EncodeToString([]byte(s))
	var b strings.Builder
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	return b.String() + text
}

func text(s string) string { return "Content-Type: text/plain; charset=utf-8\r\n\r\n" + s }

func attach(name, mediaType, content string) string {
	return fmt.Sprintf("Content-Type: %s; name=\"%s\"\r\nContent-Disposition: attachment; filename=\"%s\"\r\n"+
		"Content-Transfer-Encoding: base64\r\n\r\n%s", mediaType, name, name, wrap(content))
}

func file(name, content string) string { return attach(name, "application/octet-stream", content) }

func multipart(kind, boundary string, parts ...string) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Content-Type: multipart/%s; boundary=\"%s\"\r\n\r\n", kind, boundary)
	for _, p := range parts {
		b.WriteString("--" + boundary + "\r\n" + p + "\r\n")
	}
	return b.String() + "--" + boundary + "--\r\n"
}

func mixed(parts ...string) string { return multipart("mixed", "mix", parts...) }

// signedWith is a multipart/signed of an entity and a signature.
func signedWith(entity, sig string) string {
	return multipart("signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256", "sgn", entity,
		attach("smime.p7s", "application/pkcs7-signature", sig))
}

// body is what most letters carry.
func body() string { return mixed(text("Please sign."), file("contract.pdf", contract)) }

// signed is a letter that p has signed as a whole.
func signed(t testing.TB, p cmstest.Party, fields ...string) string {
	return header(fields...) + signedWith(body(), sign(t, p, body()))
}

// beside is a letter with a file and a signature beside it.
func beside(sig string, more ...string) string {
	return header() + mixed(append([]string{text("Please sign."), file("contract.pdf", contract), file("contract.pdf.sig", sig)}, more...)...)
}

// opaque is a letter whose whole content lies in its signature.
func opaque(t testing.TB, p cmstest.Party, entity string) string {
	return header() + strings.Replace(attach("smime.p7m", "application/pkcs7-mime", signature(t, p, entity, false)),
		"pkcs7-mime;", "pkcs7-mime; smime-type=signed-data;", 1)
}

// nothing is what forge changes where key and certificate do not belong together.
func nothing(*cmstest.Signature, *cmstest.Message) {}
