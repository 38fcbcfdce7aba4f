package judge

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store/rem"
)

func notCovered(detail string) want {
	return failedWith(PartlyCovered, rem.ReasonNotCovered, detail)
}

// TestNote: only what every mail program shows as the letter's own text may
// stay unsigned beside signed files.
func TestNote(t *testing.T) {
	note := func(part string) func(kit) string {
		return func(k kit) string {
			return letter(mixed(part, file("contract.pdf", pdf), file("contract.pdf.p7s", string(k.sign(pdf, k.anna)))))
		}
	}
	const html = "Content-Type: text/html\r\n"
	const body = "\r\n<b>pay 1000</b>"
	runGolden(t, []golden{
		{name: "inline", only: cmstest.P256, build: note(html + "Content-Disposition: inline\r\n" + body), want: passed},
		{name: "attachment", only: cmstest.P256, build: note(html + "Content-Disposition: attachment\r\n" + body), want: notCovered("part 1")},
		{name: "attachment in quotes", only: cmstest.P256, build: note(html + "Content-Disposition: \"attachment\"\r\n" + body), want: notCovered("part 1")},
		{name: "unknown disposition", only: cmstest.P256, build: note(html + "Content-Disposition: x-file\r\n" + body), want: notCovered("part 1")},
		{name: "a name that some read", only: cmstest.P256, build: note(html + "Content-Disposition: inline; filename*1=a.html\r\n" + body), want: notCovered("part 1")},
		{name: "begin", only: cmstest.P256, build: note(text("begin here\r\nbegin 644\r\nbegin 999 x\r\nI begin 644 x\r\n=y")), want: passed},
		{name: "uuencode", only: cmstest.P256, build: note(text("See.\r\n\r\nbegin 644 contract.pdf\r\n#86)C\r\n`\r\nend")), want: notCovered("letter.txt with a file inside")},
		{name: "uuencode, stuffed and encoded", only: cmstest.P256, build: note("Content-Type: text/plain; format=flowed\r\n" +
			"Content-Transfer-Encoding: base64\r\n\r\n" + base64Lines([]byte("x\n begin 0644 a.pdf\n#86)C\n`\nend\n"))), want: notCovered("with a file inside")},
		{name: "begin-base64", only: cmstest.P256, build: note(text("begin-base64 644 contract.pdf\r\nYQ==\r\n====")), want: notCovered("with a file inside")},
		{name: "yEnc", only: cmstest.P256, build: note(text("=ybegin line=128 size=3 name=a.pdf\r\n")), want: notCovered("with a file inside")},
		{name: "uuencode, signed", only: cmstest.P256, build: func(k kit) string {
			return letter(k.signed(text("begin 644 contract.pdf\r\n#86)C\r\n`\r\nend"), k.anna))
		}, want: passed},
	})
}

// TestEnclosure: how the text is cut into writes makes no difference.
func TestEnclosure(t *testing.T) {
	for _, c := range []struct {
		text string
		want bool
	}{{"a\r\n  begin 644 b\r\n", true}, {strings.Repeat(" ", 100) + "begin 600 b", true}, {"begin 644 \r\nb", false}, {"xbegin 644 b", false}} {
		for n := range len(c.text) {
			var e enclosure
			e.Write([]byte(c.text[:n]))
			e.Write([]byte(c.text[n:]))
			if e.found != c.want {
				t.Errorf("%q cut at %d: %t", c.text, n, e.found)
			}
		}
	}
}

// TestSignatureUnderAnotherName: a part whose octets are a good signature and
// whose name is that of a document is shown as that document.
func TestSignatureUnderAnotherName(t *testing.T) {
	body := text("I agree.")
	beside := func(name, mediaType string) func(kit) string {
		return func(k kit) string {
			return letter(mixed(text("See."), file("a.pdf", pdf), attach(name, mediaType, string(k.sign(pdf, k.anna)))))
		}
	}
	second := func(name, mediaType string) func(kit) string {
		return func(k kit) string {
			return letter(signedWith(body, attach(name, mediaType, string(k.sign(body, k.anna)))))
		}
	}
	runGolden(t, []golden{
		{name: "beside", only: cmstest.P256, build: beside("contract.pdf", "application/pkcs7-signature"), want: want{rem.Unsigned, "", rem.ReasonUnsigned, "nothing in the letter is signed"}},
		{name: "beside, by extension", only: cmstest.P256, build: beside("a.pdf.p7s", "application/pdf"), want: passed},
		{name: "beside, without one", only: cmstest.P256, build: beside("signature", "application/pkcs7-signature"), want: passed},
		{name: "second part", only: cmstest.P256, build: second("contract.pdf", "application/pkcs7-signature"), want: notCovered("contract.pdf is not signed")},
		{name: "second part of another type", only: cmstest.P256, build: second("contract.pdf", "application/pdf"), want: notCovered("contract.pdf is not signed")},
		{name: "second part, octets", only: cmstest.P256, build: second("smime.p7s", "application/octet-stream"), want: passed},
		{name: "second part with two names", only: cmstest.P256, build: func(k kit) string {
			return strings.Replace(second("smime.p7s", "application/pkcs7-signature")(k), "; name=\"smime.p7s\"", "; name=\"contract.pdf\"", 1)
		}, want: notCovered("smime.p7s is not signed")},
		{name: "opaque", only: cmstest.P256, build: func(k kit) string {
			return letter(attach("contract.pdf", "application/pkcs7-mime", string(k.envelop(pdf, k.anna))))
		}, want: want{rem.Unsigned, "", rem.ReasonUnsigned, "nothing in the letter is signed"}},
	})
}

// TestFindingStaysSmall: what a letter says of itself is not written down once
// for every signature that covers it.
func TestFindingStaysSmall(t *testing.T) {
	k := use(t, cmstest.P256)
	var parts []string
	for range 400 {
		parts = append(parts, "Content-Type: a/b; name=\""+strings.Repeat("\u202e", 100)+"\"\r\n\r\nx")
	}
	var people []cmstest.Party
	for range 16 {
		people = append(people, k.anna)
	}
	f := k.judge(letter(k.signed(mixed(parts...), people...)), k.request())
	passed.check(t, f)
	covers, raw := 0, 0
	for i, s := range f.Signatures {
		covers += len(strings.Join(s.Covers, ""))
		raw += len(s.Raw)
		if len(f.Documents[0].Signatures) != 16 || f.Documents[0].Signatures[i] != i {
			t.Errorf("document 0 names the signatures %v", f.Documents[0].Signatures)
		}
	}
	if covers > maxCovers || covers == 0 || raw == 0 || raw > maxRaw {
		t.Errorf("%d octets of names, %d of signatures", covers, raw)
	}
}

// TestShorten: long names are cut between characters.
func TestShorten(t *testing.T) {
	for in, want := range map[string]string{"": "", "дом": "дом", "домик": "дом…"} {
		if got := shorten(in, 3); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// TestEffortOfALetter: many signatures, each within its own limits, do not add
// up: what is computed for a letter has a limit as well.
func TestEffortOfALetter(t *testing.T) {
	k := use(t, cmstest.P256)
	issuer := cmstest.NewRootOf(t, cmstest.RSA2048, "Dear")
	signer := issuer.Issue(t, k.mallory.Key, "Anna", nil)
	octets := make([]byte, 1024)
	rand.Read(octets)
	octets[0] = 0 // a number that an 8192-bit key computes with
	signer.Certificate = certificate(t, cmstest.TLV(0x30, signer.Certificate.RawTBSCertificate,
		cmstest.TLV(0x30, cmstest.DER(t, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}), []byte{5, 0}),
		cmstest.TLV(3, []byte{0}, octets)))
	m := cmstest.Message{Content: []byte(pdf), Signatures: []cmstest.Signature{{Party: signer}}}
	m.Certificates = append(m.Certificates, signer.Certificate.Raw)
	for i := range 60 { // of the name that issued the signer's, with keys as dear as can be
		rand.Read(octets)
		n := new(big.Int).SetBytes(octets)
		key := &rsa.PublicKey{N: n.SetBit(n.SetBit(n, 0, 1), 8191, 1), E: 1<<31 - 1}
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: issuer.Certificate.Subject,
			NotBefore: cmstest.NotBefore, NotAfter: cmstest.NotAfter,
		}, issuer.Certificate, key, issuer.Key)
		if err != nil {
			t.Fatal(err)
		}
		m.Certificates = append(m.Certificates, der)
	}
	sig := string(m.Encode(t))
	parts := []string{text("n"), file("a.pdf", pdf)}
	for i := range 30 {
		parts = append(parts, file(fmt.Sprintf("%d.p7s", i), sig))
	}
	f := k.judge(letter(mixed(parts...)), k.request())
	if f.Verdict == rem.Passed || len(f.Signatures) != 30 {
		t.Fatalf("%s %q, %d signatures", f.Verdict, f.Detail, len(f.Signatures))
	}
	ended := 0
	for _, s := range f.Signatures {
		for _, c := range s.Checks {
			if strings.Contains(c.Detail, "ended at its limit") || strings.HasPrefix(c.Detail, pki.ErrEffort.Error()) {
				ended++
			}
		}
	}
	if ended < 20 {
		t.Errorf("%d of 30 signatures ended at the limit", ended)
	}
}

func certificate(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
