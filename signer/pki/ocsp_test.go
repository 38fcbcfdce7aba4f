package pki

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// single is one SingleResponse to be made.
type single struct {
	hash       asn1.ObjectIdentifier
	status     []byte // the CHOICE
	this, next time.Time
	serial     []byte // nil: the leaf's
	extensions []byte
}

func good() []byte { return tlv(0x80) }

func revokedAt(at time.Time, reason byte) []byte {
	return tlv(0xa1, generalized(at), tlv(0xa0, []byte{0x0a, 1, reason}))
}

func generalized(t time.Time) []byte { return tlv(0x18, []byte(t.UTC().Format("20060102150405Z"))) }

// answering makes an OCSP response of the issuing CA about the leaf, as a
// template that a case may change before it is made.
type answering struct {
	singles    []single
	produced   time.Time
	signer     crypto.Signer
	by         *x509.Certificate // delegate, made for keys[3]; nil: the issuing CA itself
	byIssuer   crypto.Signer     // signs the delegate's certificate; nil: the issuing CA's key
	id         []byte            // responder id; nil: that of the signer
	extensions []byte
	copies     int // further ones of the delegate's certificate
}

// about is the certificate's name to a responder.
func (s single) id(w *world) []byte {
	issuer := w.parse(w.interDER)
	id, err := newCertID(w.parse(w.leafDER), issuer, s.hash)
	if err != nil {
		w.t.Fatal(err)
	}
	if s.serial != nil {
		id.serial = s.serial
	}
	oid, err := asn1.Marshal(s.hash)
	if err != nil {
		w.t.Fatal(err)
	}
	return tlv(0x30, tlv(0x30, oid, []byte{5, 0}), tlv(4, id.nameHash), tlv(4, id.keyHash), tlv(2, id.serial))
}

func (a *answering) make(w *world) []byte {
	w.t.Helper()
	key, certificates := a.signer, []byte{}
	responder := w.parse(w.interDER)
	if a.by != nil {
		key = w.keys[3]
		issuerKey := w.keys[1]
		if a.byIssuer != nil {
			issuerKey = a.byIssuer
		}
		der := w.sign(a.by, w.issuer(w.inter, w.interDER), key.Public(), issuerKey)
		responder = w.parse(der)
		certificates = tlv(0xa0, tlv(0x30, bytes.Repeat(der, 1+a.copies)))
	}
	if key == nil {
		key = w.keys[1]
	}
	id := a.id
	if id == nil {
		sum := sha1.Sum(responder.Key.bits())
		id = tlv(0xa2, tlv(4, sum[:]))
	}
	var list []byte
	for _, s := range a.singles {
		fields := [][]byte{s.id(w), s.status, generalized(s.this)}
		if !s.next.IsZero() {
			fields = append(fields, tlv(0xa0, generalized(s.next)))
		}
		list = append(list, tlv(0x30, append(fields, s.extensions)...)...)
	}
	tbs := tlv(0x30, id, generalized(a.produced), tlv(0x30, list), a.extensions)
	digest := crypto.SHA256.New()
	digest.Write(tbs)
	signature, err := key.Sign(rand.Reader, digest.Sum(nil), crypto.SHA256)
	if err != nil {
		w.t.Fatal(err)
	}
	algorithm := tlv(0x30, []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2})
	return wrapBasic(tlv(0x30, tbs, algorithm, tlv(3, []byte{0}, signature), certificates))
}

func wrapBasic(basic []byte) []byte {
	return tlv(0x30, []byte{0x0a, 1, 0}, tlv(0xa0, tlv(0x30, append([]byte{6, 9}, ocspBasic...), tlv(4, basic))))
}

func newAnswering() *answering {
	return &answering{produced: noon, singles: []single{{
		hash: oidSHA1, status: good(), this: noon.Add(-time.Hour), next: noon.Add(time.Hour),
	}}}
}

// delegate is the certificate of a responder that may answer.
func delegate() *x509.Certificate {
	c := *newWorld(nil, rings[0]).leaf
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
	c.ExtraExtensions = []pkix.Extension{ext("1.3.6.1.5.5.7.48.1.5", false, 5, 0)}
	c.EmailAddresses = nil
	return &c
}

// critical is an Extensions field of one unknown critical extension.
func critical() []byte {
	return tlv(0xa1, tlv(0x30, tlv(0x30, []byte{6, 3, 0x2a, 3, 4}, []byte{1, 1, 0xff}, tlv(4, []byte{5, 0}))))
}

var statusRules = []struct {
	name   string
	change func(*world, *answering)
	want   Verdict
	detail string
}{
	{"good", func(*world, *answering) {}, Passed(), "good by the OCSP response"},
	{"named by SHA-256", func(_ *world, a *answering) { a.singles[0].hash = oidSHA256 }, Passed(), ""},
	{"named by MD5", func(_ *world, a *answering) { a.singles[0].hash = oidMD5 }, tryLater(), "other certificates"},
	{"revoked", func(_ *world, a *answering) { a.singles[0].status = revokedAt(noon.Add(-time.Minute), 1) },
		Verdict{TotalFailed, Revoked}, "keyCompromise"},
	{"on hold", func(_ *world, a *answering) { a.singles[0].status = revokedAt(noon.Add(-time.Minute), 6) },
		Verdict{TotalFailed, Revoked}, "on hold"},
	{"revoked only later", func(_ *world, a *answering) { a.singles[0].status = revokedAt(noon.Add(time.Second), 1) }, Passed(), ""},
	{"unknown", func(_ *world, a *answering) { a.singles[0].status = tlv(0x82) }, tryLater(), "does not know"},
	{"current to the second", func(_ *world, a *answering) { a.singles[0].next = noon }, Passed(), ""},
	{"stale", func(_ *world, a *answering) { a.singles[0].next = noon.Add(-time.Second) }, tryLater(), "out of date"},
	{"ends before it begins", func(_ *world, a *answering) { a.singles[0].this, a.singles[0].next = noon.Add(time.Minute), noon }, tryLater(), "out of date"},
	{"without an end, young", func(_ *world, a *answering) { a.singles[0].next = time.Time{} }, Passed(), ""},
	{"without an end, old", func(_ *world, a *answering) {
		a.singles[0].this, a.singles[0].next = noon.Add(-time.Hour-time.Second), time.Time{}
	}, tryLater(), "out of date"},
	{"clock a little ahead", func(_ *world, a *answering) { a.singles[0].this, a.produced = noon.Add(maxSkew), noon.Add(maxSkew) }, Passed(), ""},
	{"this update ahead", func(_ *world, a *answering) { a.singles[0].this = noon.Add(maxSkew + time.Second) }, tryLater(), "later time"},
	{"produced ahead", func(_ *world, a *answering) { a.produced = noon.Add(maxSkew + time.Second) }, tryLater(), "later time"},
	{"another serial number", func(_ *world, a *answering) { a.singles[0].serial = []byte{1} }, tryLater(), "no CRL is at hand"},
	{"the newest of several", func(_ *world, a *answering) {
		older := a.singles[0]
		older.this, older.status = older.this.Add(-time.Minute), revokedAt(noon.Add(-time.Hour), 6)
		a.singles = append(a.singles, older, single{hash: oidSHA1, serial: []byte{9}, status: good(), this: noon})
	}, Passed(), ""},
	{"two of one time", func(_ *world, a *answering) {
		other := a.singles[0]
		other.status = revokedAt(noon.Add(-time.Hour), 1)
		a.singles = append(a.singles, other)
	}, Verdict{TotalFailed, Revoked}, ""},
	{"critical extension", func(_ *world, a *answering) { a.extensions = critical() }, tryLater(), "critical extension 1.2.3.4"},
	{"critical extension of the answer", func(_ *world, a *answering) { a.singles[0].extensions = critical() }, tryLater(), "critical extension 1.2.3.4"},
	{"signed by a stranger", func(w *world, a *answering) { a.signer = w.keys[4] }, tryLater(), "does not verify"},
	{"signed by the root", func(w *world, a *answering) {
		a.signer = w.keys[0]
		a.id = tlv(0xa1, w.parse(w.rootDER).Subject.Raw)
	}, tryLater(), "not the issuer nor authorised"},
	{"issuer by its name", func(w *world, a *answering) { a.id = tlv(0xa1, w.parse(w.interDER).Subject.Raw) }, Passed(), ""},
	{"delegate", func(_ *world, a *answering) { a.by = delegate() }, Passed(), ""},
	{"delegate by his name", func(_ *world, a *answering) {
		a.by = delegate()
		a.id = tlv(0xa1, tlv(0x30, rdn([]byte{0x55, 4, 6}, 0x13, "DE"), rdn([]byte{0x55, 4, 10}, 0x13, "Example"), rdn(cn, 0x13, "Alice")))
	}, Passed(), ""},
	{"delegate for other purposes", func(_ *world, a *answering) {
		a.by = delegate()
		a.by.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageAny}
	}, tryLater(), "not meant for OCSP"},
	{"delegate without purposes", func(_ *world, a *answering) { a.by = delegate(); a.by.ExtKeyUsage = nil }, tryLater(), "not meant for OCSP"},
	{"delegate that could be revoked", func(_ *world, a *answering) { a.by = delegate(); a.by.ExtraExtensions = nil }, tryLater(), "could be revoked itself"},
	{"delegate expired", func(_ *world, a *answering) { a.by = delegate(); a.by.NotAfter = noon.Add(-time.Second) }, tryLater(), "not valid at the time"},
	{"delegate not yet valid", func(_ *world, a *answering) { a.by = delegate(); a.by.NotBefore = noon.Add(time.Second) }, tryLater(), "not valid at the time"},
	{"delegate's key for encryption", func(_ *world, a *answering) { a.by = delegate(); a.by.KeyUsage = x509.KeyUsageKeyEncipherment }, tryLater(), "not meant for signatures"},
	{"delegate of another CA", func(w *world, a *answering) { a.by = delegate(); a.byIssuer = w.keys[0] }, tryLater(), "not issued by the issuer"},
	{"delegate with critical extensions", func(_ *world, a *answering) {
		a.by = delegate()
		a.by.ExtraExtensions = append(a.by.ExtraExtensions, ext("1.2.3.4", true, 5, 0))
	}, tryLater(), "not understood"},
	{"certificate of another responder", func(w *world, a *answering) {
		a.by = delegate()
		sum := sha1.Sum([]byte("another"))
		a.id = tlv(0xa2, tlv(4, sum[:]))
	}, tryLater(), "not the issuer nor authorised"},
}

// TestOCSPRules: what an answer settles, with no list of the issuing CA at hand.
func TestOCSPRules(t *testing.T) {
	for _, c := range statusRules {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, rings[0])
			store, req := w.build()
			delete(store.crls, w.parse(w.interDER).subjectKey)
			a := newAnswering()
			c.change(w, a)
			r, err := ParseOCSPResponse(a.make(w))
			if err != nil {
				t.Fatal(err)
			}
			req.OCSPs = []*OCSPResponse{r}
			p := store.Validate(req)
			detail := p.Checks[len(p.Checks)-1].Detail
			if p.Verdict != c.want || !strings.Contains(detail, c.detail) {
				t.Errorf("%v: %s", p.Verdict, detail)
			}
			settled := p.Verdict != tryLater()
			if settled != (len(p.OCSPs) == 1) || settled != (len(p.Unsettled) == 0) {
				t.Errorf("%d responses used, %d unsettled", len(p.OCSPs), len(p.Unsettled))
			}
			if err := r.Settles(req.Leaf, w.parse(w.interDER), noon); (err == nil) != settled || err != nil && !errors.Is(err, ErrUnsettled) {
				t.Errorf("alone: %v", err)
			}
			if again := store.Validate(req); again.Verdict != p.Verdict {
				t.Errorf("the second time: %v", again.Verdict)
			}
		})
	}
}

// TestListAndAnswer: the younger decides, but a revocation is for good.
func TestListAndAnswer(t *testing.T) {
	for _, c := range []struct {
		name         string
		list, answer byte          // reason + 1; 0: good
		younger      time.Duration // of the answer
		want         Verdict
	}{
		{"both good", 0, 0, time.Minute, Passed()},
		{"hold lifted by the answer", 7, 0, time.Minute, Passed()},
		{"hold of a younger list", 7, 0, -time.Minute, Verdict{TotalFailed, Revoked}},
		{"hold of a younger answer", 0, 7, time.Minute, Verdict{TotalFailed, Revoked}},
		{"hold of an older answer", 0, 7, -time.Minute, Passed()},
		{"revoked by an older list", 2, 0, time.Minute, Verdict{TotalFailed, Revoked}},
		{"revoked by an older answer", 0, 2, -time.Minute, Verdict{TotalFailed, Revoked}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, rings[0])
			if c.list > 0 {
				w.interCRL.RevokedCertificateEntries = []x509.RevocationListEntry{entry(0x1003, int(c.list-1))}
			}
			store, req := w.build()
			a := newAnswering()
			a.singles[0].this = w.interCRL.ThisUpdate.Add(c.younger)
			if c.answer > 0 {
				a.singles[0].status = revokedAt(noon.Add(-2*time.Hour), c.answer-1)
			}
			r, err := ParseOCSPResponse(a.make(w))
			if err != nil {
				t.Fatal(err)
			}
			req.OCSPs = []*OCSPResponse{r}
			if p := store.Validate(req); p.Verdict != c.want {
				t.Errorf("%v %+v", p.Verdict, p.Checks[len(p.Checks)-1])
			}
		})
	}
}

// TestStatusAt: what became known later counts, for what had happened by then.
func TestStatusAt(t *testing.T) {
	for _, c := range []struct {
		name    string
		revoked time.Time
		want    Verdict
		detail  string
	}{
		{"before", noon.Add(-time.Minute), Verdict{TotalFailed, Revoked}, "was revoked"},
		{"after", noon.Add(time.Minute), Passed(), "revoked since"},
	} {
		w := newWorld(t, rings[0])
		later := noon.Add(3 * time.Hour)
		for _, l := range []*x509.RevocationList{w.rootCRL, w.interCRL} {
			l.ThisUpdate, l.NextUpdate = later.Add(-time.Minute), later.Add(time.Hour)
		}
		e := entry(0x1003, 1)
		e.RevocationTime = c.revoked
		w.interCRL.RevokedCertificateEntries = []x509.RevocationListEntry{e}
		store, req := w.build()
		if p := store.Validate(req); p.Verdict != tryLater() {
			t.Errorf("%s: without a later moment: %v", c.name, p.Verdict)
		}
		req.StatusAt = later
		p := store.Validate(req)
		if detail := p.Checks[len(p.Checks)-1].Detail; p.Verdict != c.want || !strings.Contains(detail, c.detail) {
			t.Errorf("%s: %v %s", c.name, p.Verdict, detail)
		}
	}
}

func TestOCSPDefects(t *testing.T) {
	w := newWorld(t, rings[0])
	w.build()
	whole := newAnswering().make(w)
	for name, der := range map[string][]byte{
		"empty":           {},
		"trailing octet":  append(slices.Clone(whole), 0),
		"cut":             whole[:len(whole)-1],
		"over the limit":  append(slices.Clone(whole), make([]byte, maxOCSP)...),
		"indefinite form": append([]byte{0x30, 0x80}, whole[4:]...),
		"a certificate":   w.leafDER,
		"good, no bytes":  {0x30, 3, 0x0a, 1, 0},
		"other kind":      bytes.Replace(whole, []byte(ocspBasic), []byte(ocspBasic[:8]+"\x02"), 1),
		"fraction":        bytes.Replace(whole, generalized(noon), tlv(0x18, []byte("20250601120000.0")), 1),
		"UTCTime":         bytes.Replace(whole, generalized(noon), tlv(0x17, []byte("250601120000Z\x00\x00")), 1),
	} {
		if r, err := ParseOCSPResponse(der); err == nil {
			t.Errorf("%s: accepted as %+v", name, r)
		}
	}
	for status, word := range ocspStatuses {
		if _, err := ParseOCSPResponse([]byte{0x30, 3, 0x0a, 1, byte(status)}); !errors.Is(err, ErrOCSPStatus) || !strings.Contains(err.Error(), word) {
			t.Errorf("status %d: %v", status, err)
		}
	}
	for copies, ok := range map[int]bool{maxOCSPResponders - 1: true, maxOCSPResponders: false} {
		many := newAnswering()
		many.by, many.copies = delegate(), copies
		if _, err := ParseOCSPResponse(many.make(w)); (err == nil) != ok {
			t.Errorf("%d certificates: %v", 1+copies, err)
		}
	}
	r, err := ParseOCSPResponse(whole)
	if err != nil || !r.Expires().Equal(noon.Add(time.Hour)) || !r.ThisUpdate().Equal(noon.Add(-time.Hour)) {
		t.Errorf("%+v %v", r, err)
	}
}

// TestAddresses: what a certificate points to, and what is passed over.
func TestAddresses(t *testing.T) {
	uri := func(method byte, text string) []byte {
		return tlv(0x30, []byte{6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, method}, ia5(6, text))
	}
	w := newWorld(t, rings[0])
	w.leaf.ExtraExtensions = []pkix.Extension{
		ext("1.3.6.1.5.5.7.1.1", false, tlv(0x30,
			uri(1, "http://ocsp.test/a"), uri(2, "https://ca.test/b.cer"), uri(1, "ldap://ca.test/"), uri(3, "http://other.test/"),
			uri(1, "http://user@ca.test/"), uri(1, "http:opaque"), uri(1, "http://"), uri(1, "HTTP://upper.test"), uri(1, "http://a b/"), uri(2, "file:///etc/passwd"),
			uri(2, "http://ca.test/"+strings.Repeat("x", maxAddress)), uri(2, "http://1/"), uri(2, "http://2/"), uri(2, "http://3/"), uri(2, "http://4/"))...),
		ext("2.5.29.31", false, tlv(0x30, tlv(0x30, pointNamed("http://crl.test/1")), tlv(0x30, pointNamed("ldap://crl.test/2")),
			tlv(0x30, pointNamed("http://crl.test/3"), []byte{0x81, 2, 6, 0x40}))...),
	}
	w.build()
	c := w.parse(w.leafDER)
	for _, l := range []struct {
		what       string
		have, want []string
	}{
		{"issuers", c.IssuerURLs(), []string{"https://ca.test/b.cer", "http://1/", "http://2/", "http://3/"}},
		{"OCSP", c.OCSPURLs(), []string{"http://ocsp.test/a", "HTTP://upper.test"}},
		{"CRLs", c.CRLURLs(), []string{"http://crl.test/1"}},
	} {
		if !slices.Equal(l.have, l.want) {
			t.Errorf("%s: %q", l.what, l.have)
		}
	}
}
