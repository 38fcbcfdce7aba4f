package pki

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// parts are the fields of a certificate as raw DER; a case changes one and the
// rest stays well-formed. The signature is not one: parsing does not check it.
type parts struct {
	version, serial, inner, outer, issuer, validity, subject, spki, tail []byte
	extensions                                                           [][]byte
	afterExtensions, signature, afterSignature                           []byte
}

func newParts(t testing.TB) *parts {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(rings[0].keys()[0].Public())
	if err != nil {
		t.Fatal(err)
	}
	alg := tlv(0x30, oidDER(t, oid(1, 2, 840, 10045, 4, 3, 2)))
	name := tlv(0x30, rdn(cn, 12, "Alice"))
	return &parts{
		version: []byte{0xa0, 3, 2, 1, 2}, serial: []byte{2, 1, 5}, inner: alg, outer: alg, issuer: name, subject: name, spki: spki,
		validity:   tlv(0x30, tlv(0x17, []byte("250101000000Z")), tlv(0x17, []byte("260101000000Z"))),
		extensions: [][]byte{tlv(0x30, []byte{6, 3, 0x55, 0x1d, 0x0f}, tlv(4, []byte{3, 2, 7, 0x80}))},
		signature:  []byte{3, 3, 0, 1, 1},
	}
}

func (p *parts) der() []byte {
	tail := p.tail
	if p.extensions != nil {
		tail = append(slices.Clone(tail), tlv(0xa3, tlv(0x30, p.extensions...), p.afterExtensions)...)
	}
	tbs := tlv(0x30, p.version, p.serial, p.inner, p.issuer, p.validity, p.subject, p.spki, tail)
	return tlv(0x30, tbs, p.outer, p.signature, p.afterSignature)
}

func rawExt(id byte, critical []byte, value ...byte) []byte {
	return tlv(0x30, []byte{6, 3, 0x55, 0x1d, id}, critical, tlv(4, value))
}

func TestParseCertificateStrictness(t *testing.T) {
	validity := func(tag byte, from, to string) func(*parts) {
		return func(p *parts) { p.validity = tlv(0x30, tlv(tag, []byte(from)), tlv(tag, []byte(to))) }
	}
	for _, c := range []struct {
		name   string
		change func(*parts)
		ok     bool
	}{
		{"as it is", func(*parts) {}, true},
		{"octets after the signature", func(p *parts) { p.afterSignature = []byte{5, 0} }, false},
		{"octets after the extensions", func(p *parts) { p.afterExtensions = []byte{5, 0} }, false},
		{"field before the extensions", func(p *parts) { p.tail = []byte{5, 0} }, false},
		{"unique identifiers", func(p *parts) { p.tail = []byte{0x81, 2, 0, 1, 0x82, 2, 0, 1} }, true},
		{"extension twice", func(p *parts) { p.extensions = append(p.extensions, p.extensions[0]) }, false},
		{"another extension", func(p *parts) { p.extensions = append(p.extensions, rawExt(0x0e, nil, 4, 1, 1)) }, true},
		{"no extension in the list", func(p *parts) { p.extensions = [][]byte{} }, false},
		{"version 1 without extensions", func(p *parts) { p.version, p.extensions = nil, nil }, true},
		{"version 1 with extensions", func(p *parts) { p.version = nil }, false},
		{"version 2 with identifiers", func(p *parts) { p.version[4], p.extensions, p.tail = 1, nil, []byte{0x81, 2, 0, 1} }, true},
		{"version 4", func(p *parts) { p.version[4] = 3 }, false},
		{"negative serial number", func(p *parts) { p.serial = []byte{2, 1, 0xff} }, true},
		{"serial number zero", func(p *parts) { p.serial = []byte{2, 1, 0} }, true},
		{"serial number with a leading zero", func(p *parts) { p.serial = []byte{2, 2, 0, 5} }, false},
		{"serial number of 65 octets", func(p *parts) { p.serial = tlv(2, bytes.Repeat([]byte{1}, 65)) }, false},
		{"serial number of 64 octets", func(p *parts) { p.serial = tlv(2, bytes.Repeat([]byte{1}, 64)) }, true},
		{"other algorithm outside", func(p *parts) { p.outer = tlv(0x30, p.outer[2:], []byte{5, 0}) }, false},
		{"explicit FALSE", func(p *parts) { p.extensions[0] = rawExt(0x0f, []byte{1, 1, 0}, 3, 2, 7, 0x80) }, true},
		{"TRUE that is not DER", func(p *parts) { p.extensions[0] = rawExt(0x0f, []byte{1, 1, 1}, 3, 2, 7, 0x80) }, false},
		{"padding bits set", func(p *parts) { p.extensions[0] = rawExt(0x0f, nil, 3, 2, 7, 0x81) }, false},
		{"octets after an extension value", func(p *parts) { p.extensions[0] = rawExt(0x0f, nil, 3, 2, 7, 0x80, 0) }, false},
		{"negative path length", func(p *parts) { p.extensions[0] = rawExt(0x13, nil, 0x30, 6, 1, 1, 0xff, 2, 1, 0xff) }, false},
		{"path length", func(p *parts) { p.extensions[0] = rawExt(0x13, nil, 0x30, 6, 1, 1, 0xff, 2, 1, 7) }, true},
		{"no purpose in the list", func(p *parts) { p.extensions[0] = rawExt(0x25, nil, 0x30, 0) }, false},
		{"general name of no form", func(p *parts) { p.extensions[0] = rawExt(0x11, nil, 0x30, 3, 0x89, 1, 1) }, false},
		{"subtree with a maximum", func(p *parts) {
			p.extensions[0] = rawExt(0x1e, nil, tlv(0x30, tlv(0xa0, tlv(0x30, ia5(2, "x"), []byte{0x81, 1, 5})))...)
		}, false},
		{"subtree with minimum 1", func(p *parts) {
			p.extensions[0] = rawExt(0x1e, nil, tlv(0x30, tlv(0xa0, tlv(0x30, ia5(2, "x"), []byte{0x80, 1, 1})))...)
		}, false},
		{"subtree with minimum 0", func(p *parts) {
			p.extensions[0] = rawExt(0x1e, nil, tlv(0x30, tlv(0xa0, tlv(0x30, ia5(2, "x"), []byte{0x80, 1, 0})))...)
		}, true},
		{"no constraint at all", func(p *parts) { p.extensions[0] = rawExt(0x1e, nil, 0x30, 0) }, false},
		{"GeneralizedTime", validity(0x18, "20250101000000Z", "21000101000000Z"), true},
		{"time without seconds", validity(0x17, "2501010000Z", "2601010000Z"), false},
		{"time with a zone", validity(0x17, "250101000000+0000", "260101000000+0000"), false},
		{"time with a fraction", validity(0x18, "20250101000000.5Z", "20260101000000Z"), false},
		{"31 February", validity(0x17, "250231000000Z", "260101000000Z"), false},
		{"second 60", validity(0x17, "250101000060Z", "260101000000Z"), false},
		{"signature of odd bits", func(p *parts) { p.signature = []byte{3, 3, 1, 1, 0} }, false},
		{"unknown key algorithm", func(p *parts) { p.spki = tlv(0x30, tlv(0x30, []byte{6, 2, 0x2a, 3}), []byte{3, 2, 0, 1}) }, true},
		{"key with octets after it", func(p *parts) { p.spki = tlv(0x30, p.spki[2:], []byte{5, 0}) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newParts(t)
			c.change(p)
			cert, err := ParseCertificate(p.der())
			if (err == nil) != c.ok {
				t.Fatalf("%v", err)
			}
			if c.ok && !bytes.Equal(cert.Raw, p.der()) {
				t.Error("raw octets differ")
			}
		})
	}
}

func TestParseCertificateOuterForm(t *testing.T) {
	good := newParts(t).der()
	for name, der := range map[string][]byte{
		"empty": nil, "cut": good[:len(good)-1], "trailing octet": append(slices.Clone(good), 0),
		"length with a leading zero": append([]byte{0x30, 0x83, 0}, good[2:]...),
		"indefinite length":          append(append([]byte{0x30, 0x80}, good[3:]...), 0, 0),
		"over the limit":             tlv(0x30, bytes.Repeat([]byte{0}, maxCertificate)),
	} {
		if _, err := ParseCertificate(der); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	c, err := ParseCertificate(good)
	if err != nil {
		t.Fatal(err)
	}
	good[len(good)-1] ^= 1
	if bytes.Equal(c.Raw, good) {
		t.Error("the certificate shares memory with the caller's slice")
	}
}

func TestFields(t *testing.T) {
	w := newWorld(t, rings[1])
	w.build()
	c := w.parse(w.leafDER)
	std, err := x509.ParseCertificate(w.leafDER)
	if err != nil {
		t.Fatal(err)
	}
	if c.Version != 3 || c.Serial.Cmp(std.SerialNumber) != 0 || !c.NotBefore.Equal(std.NotBefore) || !c.NotAfter.Equal(std.NotAfter) ||
		!bytes.Equal(c.RawTBS, std.RawTBSCertificate) || !bytes.Equal(c.Signature, std.Signature) || !bytes.Equal(c.Issuer.Raw, std.RawIssuer) ||
		!bytes.Equal(c.Subject.Raw, std.RawSubject) || !bytes.Equal(c.Key.Raw, std.RawSubjectPublicKeyInfo) || !bytes.Equal(c.AuthorityKeyID, std.AuthorityKeyId) {
		t.Errorf("%+v", c)
	}
	if c.Key.Name() != "RSA-2048" || c.Subject.String() != "CN=Alice,O=Example,C=DE" || c.SerialHex() != "1003" {
		t.Errorf("%s %s %s", c.Key.Name(), c.Subject, c.SerialHex())
	}
	for n, want := range map[int64]string{0: "00", 5: "05", -5: "-05", 0x1003: "1003"} {
		if got := (&Certificate{Serial: big.NewInt(n)}).SerialHex(); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// UTCTime covers 1950 to 2049 (RFC 5280 §4.1.2.5.1).
func TestUTCTimeCentury(t *testing.T) {
	p := newParts(t)
	p.validity = tlv(0x30, tlv(0x17, []byte("500101000000Z")), tlv(0x17, []byte("491231235959Z")))
	c, err := ParseCertificate(p.der())
	if err != nil || c.NotBefore.Year() != 1950 || !c.NotAfter.Equal(time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC)) {
		t.Errorf("%v, %v, %v", c, c.NotBefore, err)
	}
}

func TestEmails(t *testing.T) {
	inSubject := func(addresses ...string) pkix.Name {
		n := pkix.Name{CommonName: "Alice"}
		for _, a := range addresses {
			n.ExtraNames = append(n.ExtraNames, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: a})
		}
		return n
	}
	for _, c := range []struct {
		name    string
		subject pkix.Name
		alt     [][]byte
		want    []string
		clean   bool
	}{
		{"alternative name", inSubject(), [][]byte{ia5(1, "Alice@EXAMPLE.com")}, []string{"Alice@example.com"}, true},
		{"subject alone", inSubject("a@example.com"), nil, []string{"a@example.com"}, true},
		{"subject beside a DNS name", inSubject("a@example.com"), [][]byte{ia5(2, "example.com")}, []string{"a@example.com"}, true},
		{"subject beside an e-mail", inSubject("a@example.com"), [][]byte{ia5(1, "b@example.com")}, []string{"b@example.com"}, true},
		{"subject beside a wrong e-mail", inSubject("a@example.com"), [][]byte{ia5(1, "nobody")}, nil, true},
		{"each once", inSubject(), [][]byte{ia5(1, "a@b.c"), ia5(1, "a@B.C"), ia5(1, "d@b.c")}, []string{"a@b.c", "d@b.c"}, true},
		{"no plain addresses", inSubject(), [][]byte{ia5(1, "a@b@c"), ia5(1, "<a@b.c>"), ia5(1, "a b@c.d"), ia5(1, `"a"@b.c`),
			ia5(1, "a@[192.0.2.1]"), ia5(1, "a..b@c.d"), ia5(1, "@c.d"), ia5(1, "a@"), ia5(1, "a@b..c"), ia5(1, "a@b.c "), ia5(1, strings.Repeat("a", 65)+"@b.c")}, nil, true},
		{"NUL", inSubject(), [][]byte{ia5(1, "good@b.c"), ia5(1, "a@b.c\x00.d")}, nil, false},
		{"line feed", inSubject(), [][]byte{ia5(1, "a@b.c\n")}, nil, false},
		{"not ASCII", inSubject(), [][]byte{ia5(1, "\xd0\xb0@b.c")}, nil, false},
		{"control character elsewhere", pkix.Name{CommonName: "A\x07"}, [][]byte{ia5(1, "a@b.c")}, nil, false},
		{"control character in a DNS name", inSubject(), [][]byte{ia5(1, "a@b.c"), ia5(2, "x\x00y")}, nil, false},
		{"delete", inSubject(), [][]byte{ia5(1, "a\x7f@b.c")}, nil, false},
		{"none", inSubject(), nil, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, rings[0])
			w.leaf.Subject, w.leaf.EmailAddresses = c.subject, nil
			if c.alt != nil {
				w.leaf.ExtraExtensions = []pkix.Extension{altNames(c.alt...)}
			}
			store, req := w.build()
			if got := req.Leaf.Emails(); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			if p := store.Validate(req); (p.Verdict == Passed()) != c.clean {
				t.Errorf("%v %v", p.Verdict, notPassed(p))
			}
		})
	}
}

func TestParsePEMOrDER(t *testing.T) {
	der := newParts(t).der()
	block := func(kind string, b []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}) }
	for _, c := range []struct {
		name string
		in   []byte
		want int
	}{
		{"DER", der, 1},
		{"PEM", block("CERTIFICATE", der), 1},
		{"bundle with text and a key", slices.Concat([]byte("subject: x\n"), block("CERTIFICATE", der), block("PRIVATE KEY", []byte{1}), block("CERTIFICATE", der)), 2},
		{"only a key", block("PRIVATE KEY", der), 0},
		{"broken block", block("CERTIFICATE", der[1:]), 0},
		{"DER with more after it", append(slices.Clone(der), der...), 0},
		{"empty", nil, 0},
		{"text", []byte("hello"), 0},
	} {
		got, err := ParsePEMOrDER(c.in)
		if len(got) != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%s: %d, %v", c.name, len(got), err)
		}
	}
}

func TestParseCRLs(t *testing.T) {
	w := newWorld(t, rings[0])
	w.build()
	crl := w.list(w.inter, &x509.Certificate{Raw: w.interDER}, w.interCRL, w.keys[1])
	armour := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: crl.Raw})
	for name, in := range map[string][]byte{"DER": crl.Raw, "PEM": armour} {
		got, err := ParseCRLs(in)
		if err != nil || len(got) != 1 || got[0].SHA256 != crl.SHA256 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := ParseCRLs(append(armour, armour...)); err != nil || len(got) != 2 {
		t.Errorf("two: %d, %v", len(got), err)
	}
	if _, err := ParseCRLs(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.leafDER})); err == nil {
		t.Error("a certificate read as a CRL")
	}
}
