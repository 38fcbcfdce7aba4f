package judge

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"mime/quotedprintable"
	"slices"
	"strings"
	"sync"
	"testing"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// kit is a small world for one kind of key: Anna is the sender of every letter.
type kit struct {
	t                        testing.TB
	root, quiet, strange     cmstest.Party // quiet publishes no CRL, strange is trusted by nobody
	anna, boris, nameless    cmstest.Party
	expired, early, revoked  cmstest.Party
	mallory, pending, server cmstest.Party
	verifier                 *signer.Verifier
}

var kinds = []cmstest.KeyKind{cmstest.RSA2048, cmstest.P256, cmstest.Ed25519}

// kits are made once for each kind of key.
var kits = map[cmstest.KeyKind]func() kit{
	cmstest.RSA2048: sync.OnceValue(func() kit { return newKit(cmstest.RSA2048) }),
	cmstest.P256:    sync.OnceValue(func() kit { return newKit(cmstest.P256) }),
	cmstest.Ed25519: sync.OnceValue(func() kit { return newKit(cmstest.Ed25519) }),
}

func newKit(kind cmstest.KeyKind) kit {
	t := new(testing.T)
	k := kit{root: cmstest.NewRoot(t, "Root"), quiet: cmstest.NewRoot(t, "Quiet"), strange: cmstest.NewRoot(t, "Strange")}
	key, other := cmstest.NewKey(t, kind), cmstest.NewKey(t, kind)
	mail := func(addresses ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.EmailAddresses = addresses }
	}
	k.anna = k.root.Issue(t, key, "Anna", mail("anna@a.test"))
	k.boris = k.root.Issue(t, other, "Boris", mail("boris@b.test"))
	k.nameless = k.root.Issue(t, other, "Nameless", mail())
	k.revoked = k.root.Issue(t, key, "Anna revoked", mail("anna@a.test"))
	k.expired = k.root.Issue(t, key, "Anna expired", func(c *x509.Certificate) {
		c.EmailAddresses = []string{"anna@a.test"}
		c.NotBefore, c.NotAfter = cmstest.NotBefore, cmstest.At.AddDate(0, -1, 0)
	})
	k.early = k.root.Issue(t, key, "Anna early", func(c *x509.Certificate) {
		c.EmailAddresses = []string{"anna@a.test"}
		c.NotBefore, c.NotAfter = cmstest.At.AddDate(0, 1, 0), cmstest.NotAfter
	})
	k.server = k.root.Issue(t, key, "Anna server", func(c *x509.Certificate) {
		c.EmailAddresses = []string{"anna@a.test"}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	k.mallory = k.strange.Issue(t, key, "Anna", mail("anna@a.test"))
	k.pending = k.quiet.Issue(t, key, "Anna pending", mail("anna@a.test"))
	k.verifier = k.trusting(k.root, k.quiet)
	return k
}

// trusting is a verifier with anchors and the root's CRL.
func (k kit) trusting(roots ...cmstest.Party) *signer.Verifier {
	t := new(testing.T)
	crl, err := pki.ParseCRL(k.root.CRL(t, k.revoked.Certificate.SerialNumber))
	if err != nil {
		panic(err)
	}
	var anchors []pki.Anchor
	for _, r := range roots {
		c, err := pki.ParseCertificate(r.Certificate.Raw)
		if err != nil {
			panic(err)
		}
		anchors = append(anchors, pki.Anchor{Certificate: c, Kind: pki.Unqualified})
	}
	return &signer.Verifier{Trust: pki.NewTrustStore(anchors, nil, []*pki.CRL{crl})}
}

// use ties the shared kit to a test.
func use(t testing.TB, kind cmstest.KeyKind) kit {
	k := kits[kind]()
	k.t = t
	return k
}

// sign signs content, detached, with one signature for each person.
func (k kit) sign(content string, people ...cmstest.Party) []byte {
	m := cmstest.Message{Content: []byte(content)}
	for _, p := range people {
		m.Signatures = append(m.Signatures, cmstest.Signature{Party: p})
	}
	return m.Encode(k.t)
}

// envelop signs content that goes inside.
func (k kit) envelop(content string, people ...cmstest.Party) []byte {
	m := cmstest.Message{Content: []byte(content), Attached: true}
	for _, p := range people {
		m.Signatures = append(m.Signatures, cmstest.Signature{Party: p})
	}
	return m.Encode(k.t)
}

// certsOnly is a SignedData without a signature.
func (k kit) certsOnly() []byte {
	return cmstest.Message{Certificates: [][]byte{k.anna.Certificate.Raw}}.Encode(k.t)
}

// enveloped is an EnvelopedData as far as anyone looks into it.
func enveloped() []byte {
	oid := []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3}
	return cmstest.TLV(0x30, oid, cmstest.TLV(0xa0, cmstest.TLV(0x30, []byte{2, 1, 0})))
}

const head = "From: Anna <anna@a.test>\r\nTo: boris@b.test\r\nSubject: Contract\r\n" +
	"Date: Mon, 01 Jun 2026 12:00:00 +0000\r\nMessage-ID: <1@a.test>\r\nMIME-Version: 1.0\r\n"

const pdf = "%PDF-1.7\n\x00\x01\xff contract no. 7\n"

// letter puts an entity under the usual header.
func letter(entity string) string { return head + entity }

func text(s string) string {
	return "Content-Type: text/plain; charset=utf-8\r\n\r\n" + s
}

func html(s string) string {
	return "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + quoted(s)
}

func quoted(s string) string {
	var b strings.Builder
	w := quotedprintable.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

func base64Lines(b []byte) string {
	s := base64.StdEncoding.EncodeToString(b)
	var lines []string
	for chunk := range slices.Chunk([]byte(s), 76) {
		lines = append(lines, string(chunk))
	}
	return strings.Join(lines, "\r\n")
}

func attach(name, mediaType, content string) string {
	return fmt.Sprintf("Content-Type: %s; name=\"%s\"\r\nContent-Disposition: attachment; filename=\"%s\"\r\n"+
		"Content-Transfer-Encoding: base64\r\n\r\n%s", mediaType, name, name, base64Lines([]byte(content)))
}

func file(name, content string) string { return attach(name, "application/octet-stream", content) }

func multipart(kind, boundary string, parts ...string) string {
	s := fmt.Sprintf("Content-Type: multipart/%s; boundary=\"%s\"\r\n\r\n", kind, boundary)
	for _, p := range parts {
		s += "--" + boundary + "\r\n" + p + "\r\n"
	}
	return s + "--" + boundary + "--\r\n"
}

func mixed(parts ...string) string { return multipart("mixed", "mix", parts...) }

// signedWith is a multipart/signed of any parts.
func signedWith(parts ...string) string {
	boundary := "sgn"
	if n := strings.Count(strings.Join(parts, ""), "multipart/signed"); n > 0 {
		boundary = fmt.Sprint(n, boundary)
	}
	s := multipart("signed", boundary, parts...)
	return strings.Replace(s, "multipart/signed;", "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256;", 1)
}

func (k kit) signed(entity string, people ...cmstest.Party) string {
	return signedWith(entity, p7s(k.sign(entity, people...)))
}

func p7s(sig []byte) string {
	return attach("smime.p7s", "application/pkcs7-signature", string(sig))
}

func p7m(sig []byte) string {
	return strings.Replace(attach("smime.p7m", "application/pkcs7-mime", string(sig)), "pkcs7-mime;", "pkcs7-mime; smime-type=signed-data;", 1)
}

func (k kit) opaque(entity string, people ...cmstest.Party) string {
	return p7m(k.envelop(entity, people...))
}

func pemText(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func (k kit) request() Request {
	return Request{
		Verifier: k.verifier, Party: rem.Party{Addresses: []string{"anna@a.test", "anna@home.test"}},
		Now: cmstest.At, TempDir: k.t.TempDir(), Log: slog.New(slog.DiscardHandler),
	}
}

// judge judges a letter and demands what holds of every finding.
func (k kit) judge(raw string, q Request) rem.Finding {
	k.t.Helper()
	l := parse(k.t, raw)
	f := Judge(context.Background(), l, q)
	sound(k.t, f)
	reopen(k.t, l, f)
	return f
}

func parse(t testing.TB, raw string) *message.Letter {
	t.Helper()
	l, err := message.Parse(strings.NewReader(raw), int64(len(raw)), message.DefaultLimits())
	if err != nil {
		t.Fatalf("parse: %v\n%s", err, raw)
	}
	return l
}

// sound demands the invariants of a finding.
func sound(t testing.TB, f rem.Finding) {
	t.Helper()
	if f.Signatures == nil || f.Uncovered == nil {
		t.Error("a list is null")
	}
	if (f.Verdict == rem.Passed) != (f.Reason == "") || (f.Verdict == rem.Passed) != (f.Detail == "") {
		t.Errorf("verdict %s with reason %q, detail %q", f.Verdict, f.Reason, f.Detail)
	}
	if strings.ContainsAny(f.Detail, "\r\n") {
		t.Errorf("detail of several lines: %q", f.Detail)
	}
	for _, s := range f.Signatures {
		if s.Covers == nil || s.Checks == nil {
			t.Error("a list of a signature is null")
		}
		if f.Verdict == rem.Passed && s.Indication != "TOTAL-PASSED" {
			t.Errorf("passed with a signature that is %s %s", s.Indication, s.SubIndication)
		}
	}
	if f.Verdict != rem.Passed {
		return
	}
	if len(f.Signatures) == 0 || len(f.Uncovered) > 0 {
		t.Errorf("passed with %d signatures, uncovered %v", len(f.Signatures), f.Uncovered)
	}
	for _, d := range f.Documents {
		if len(d.Signatures) == 0 && !d.Note {
			t.Errorf("passed, yet %s is not signed", d.Name)
		}
		if len(d.Signatures) > 0 && (d.SHA256.IsZero() || d.SignedSHA256.IsZero()) {
			t.Errorf("%s: a digest is missing", d.Name)
		}
	}
}

// reopen demands that documents and signatures can be had again from the
// letter alone, octet for octet.
func reopen(t testing.TB, l *message.Letter, f rem.Finding) {
	t.Helper()
	if f.Verdict != rem.Passed {
		return
	}
	for _, d := range f.Documents {
		b := readAll(t)(OpenDocument(l, d))
		if rem.DigestOf(b) != d.SHA256 || int64(len(b)) != d.Size {
			t.Errorf("%s at %+v reopened differs: %q", d.Name, d, b)
		}
	}
	for _, s := range f.Signatures {
		b := readAll(t)(OpenSignature(l, s))
		if rem.DigestOf(b) != s.SignatureSHA256 {
			t.Errorf("signature %s reopened differs", s.Place)
		}
		if s.Raw != nil && !bytes.Equal(s.Raw, b) {
			t.Errorf("signature %s: Raw differs", s.Place)
		}
		if rem.DigestOf(s.Certificate) != s.CertificateSHA256 {
			t.Errorf("signature %s: certificate and digest disagree", s.Place)
		}
	}
}

func readAll(t testing.TB) func(io.ReadCloser, error) []byte {
	return func(r io.ReadCloser, err error) []byte {
		t.Helper()
		if err != nil {
			t.Error(err)
			return nil
		}
		defer r.Close()
		b, err := io.ReadAll(r)
		if err != nil {
			t.Error(err)
		}
		return b
	}
}

// want is the outcome of a case in the table's words.
type want struct {
	verdict rem.Verdict
	words   string // indication and sub-indication
	reason  rem.Reason
	detail  string // part of Detail
}

var passed = want{rem.Passed, "TOTAL-PASSED", "", ""}

func (w want) check(t testing.TB, f rem.Finding) {
	t.Helper()
	got := strings.TrimSpace(f.Indication + " " + f.SubIndication)
	if f.Verdict != w.verdict || got != w.words || f.Reason != w.reason || !strings.Contains(f.Detail, w.detail) {
		t.Errorf("got  %s, %q, %s, %q\nwant %s, %q, %s, %q", f.Verdict, got, f.Reason, f.Detail, w.verdict, w.words, w.reason, w.detail)
		for _, s := range f.Signatures {
			t.Logf("%s: %s %s %+v", s.Place, s.Indication, s.SubIndication, slices.DeleteFunc(s.Checks, func(c rem.Check) bool { return c.Status == "passed" }))
		}
	}
}

// row is one golden case.
type golden struct {
	name  string
	build func(k kit) string
	want  want
	only  cmstest.KeyKind         // "" every kind
	ask   func(k kit, q *Request) // changes the request
}

func runGolden(t *testing.T, cases []golden) {
	t.Helper()
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, kind := range kinds {
		for _, c := range cases {
			if c.only != "" && c.only != kind {
				continue
			}
			t.Run(string(kind)+"/"+c.name, func(t *testing.T) {
				k := use(t, kind)
				q := k.request()
				if c.ask != nil {
					c.ask(k, &q)
				}
				c.want.check(t, k.judge(c.build(k), q))
			})
		}
	}
}
