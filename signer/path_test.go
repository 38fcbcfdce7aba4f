package signer

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/fetch"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// web is a site on loopback with files, and the order in which they were asked for.
type web struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte
	asked []string
}

func newWeb(t *testing.T) *web {
	w := &web{files: map[string][]byte{}}
	w.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked = append(w.asked, r.URL.Path)
		b, ok := w.files[r.URL.Path]
		if !ok {
			out.WriteHeader(http.StatusNotFound)
		}
		out.Write(b)
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *web) put(path string, b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files[path] = b
}

// session fetches from the site, as of the usual time.
func (w *web) session() *fetch.Session {
	port := netip.MustParseAddrPort(w.Listener.Addr().String()).Port()
	return fetch.New(fetch.Config{
		Now: func() time.Time { return cmstest.At }, AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Ports: []uint16{port},
	}).Session(nil)
}

// below makes a certificate that names what the site has of its issuer.
func (w *web) below(t *testing.T, ca cmstest.Party, name string, change func(*x509.Certificate)) cmstest.Party {
	return ca.Issue(t, cmstest.NewKey(t, cmstest.P256), name, func(c *x509.Certificate) {
		issuer := ca.Certificate.Subject.CommonName
		c.IssuingCertificateURL = []string{w.URL + "/" + issuer + ".cer"}
		c.CRLDistributionPoints = []string{w.URL + "/" + issuer + ".crl"}
		if change != nil {
			change(c)
		}
	})
}

func asCA(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.EmailAddresses, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil, nil
}

// climbing is a root, two authorities below it that no signature carries, and a signer.
type climbing struct {
	*web
	root, upper, lower, anna cmstest.Party
}

func newClimbing(t *testing.T) climbing {
	c := climbing{web: newWeb(t), root: cmstest.NewRoot(t, "Root")}
	c.upper = c.below(t, c.root, "Upper", asCA)
	c.lower = c.below(t, c.upper, "Lower", asCA)
	c.anna = c.below(t, c.lower, "anna", nil)
	for _, p := range []cmstest.Party{c.root, c.upper, c.lower} {
		name := p.Certificate.Subject.CommonName
		c.put("/"+name+".cer", p.Certificate.Raw)
		c.put("/"+name+".crl", p.CRL(t))
	}
	return c
}

// judge verifies a signature by a party that carries his certificate alone.
func (c climbing) judge(t *testing.T, v *Verifier, m cmstest.Message) Validation {
	t.Helper()
	m.Content, m.Attached = []byte(text), true
	r := verify(t, v, Job{Signature: source(m.Encode(t))})
	if len(r.Validations) != 1 {
		t.Fatalf("%+v", r)
	}
	return r.Validations[0]
}

func (c climbing) verifier(t *testing.T, crls ...[]byte) *Verifier {
	root, err := pki.ParseCertificate(c.root.Certificate.Raw)
	if err != nil {
		t.Fatal(err)
	}
	var lists []*pki.CRL
	for _, b := range crls {
		l, err := pki.ParseCRL(b)
		if err != nil {
			t.Fatal(err)
		}
		lists = append(lists, l)
	}
	return &Verifier{Trust: pki.NewTrustStore([]pki.Anchor{{Certificate: root, Kind: pki.Unqualified}}, nil, lists)}
}

func signedBy(p cmstest.Party) cmstest.Message {
	return cmstest.Message{Signatures: []cmstest.Signature{{Party: p}}}
}

// TestMissingIssuers: two certificates above the signer's are fetched, then the
// lists of a chain that has reached the anchor.
func TestMissingIssuers(t *testing.T) {
	c := newClimbing(t)
	certsOnly := cmstest.Message{Certificates: [][]byte{c.root.Certificate.Raw, c.upper.Certificate.Raw}}.Encode(t)
	armoured := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.upper.Certificate.Raw})
	for form, b := range map[string][]byte{"DER": c.upper.Certificate.Raw, "certs-only": certsOnly, "PEM": armoured} {
		c.put("/Upper.cer", b)
		c.asked = nil
		v := c.verifier(t)
		v.Fetch = c.session()
		got := c.judge(t, v, signedBy(c.anna))
		if got.Verdict != pki.Passed() || len(got.Chain) != 4 || len(got.Fetched) != 2 || len(got.CRLs) != 3 {
			t.Fatalf("%s: %v, chain of %d, %d fetched, %d lists: %+v", form, got.Verdict, len(got.Chain), len(got.Fetched), len(got.CRLs), got.Checks)
		}
		if want := []string{"/Lower.cer", "/Upper.cer", "/Lower.crl", "/Upper.crl", "/Root.crl"}; !slices.Equal(c.asked, want) {
			t.Errorf("%s: asked for %q", form, c.asked)
		}
		if detail := got.Checks[len(got.Checks)-1].Detail; !strings.Contains(detail, c.URL+"/Root.crl") {
			t.Errorf("%s: %s", form, detail)
		}
		// What was fetched settles the same again, with no network.
		again := c.verifier(t)
		again.Given = Material{Certificates: got.Fetched, CRLs: got.CRLs, OCSPs: got.OCSPs}
		if v := c.judge(t, again, signedBy(c.anna)); v.Verdict != pki.Passed() {
			t.Errorf("%s: again: %v", form, v.Verdict)
		}
	}
	if got := c.judge(t, c.verifier(t), signedBy(c.anna)); got.Verdict.SubIndication != pki.NoCertificateChainFound {
		t.Errorf("offline: %v", got.Verdict)
	}
}

// TestIssuersThatHelpNobody: what is fetched is trusted for nothing, and leads
// round in a circle no longer than the letter's share.
func TestIssuersThatHelpNobody(t *testing.T) {
	for name, change := range map[string]func(*testing.T, climbing){
		"of another key": func(t *testing.T, c climbing) {
			forged := c.below(t, cmstest.NewRoot(t, "Upper"), "Lower", asCA)
			c.put("/Lower.cer", forged.Certificate.Raw)
		},
		"a root of its own": func(t *testing.T, c climbing) {
			c.put("/Lower.cer", cmstest.NewRoot(t, "Lower").Certificate.Raw)
		},
		"a circle": func(t *testing.T, c climbing) { // Lower and Upper have signed one another
			template := *c.below(t, c.lower, "Upper", asCA).Certificate
			der, err := x509.CreateCertificate(rand.Reader, &template, c.lower.Certificate, c.upper.Key.Public(), c.lower.Key)
			if err != nil {
				t.Fatal(err)
			}
			c.put("/Upper.cer", der)
		},
		"itself":  func(_ *testing.T, c climbing) { c.put("/Lower.cer", c.anna.Certificate.Raw) },
		"absent":  func(_ *testing.T, c climbing) { c.files = map[string][]byte{} },
		"rubbish": func(_ *testing.T, c climbing) { c.put("/Lower.cer", []byte("0 rubbish")) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newClimbing(t)
			change(t, c)
			v := c.verifier(t)
			v.Fetch = c.session()
			got := c.judge(t, v, signedBy(c.anna))
			if got.Verdict.SubIndication != pki.NoCertificateChainFound || got.Anchor != nil {
				t.Errorf("%v", got.Verdict)
			}
			if len(c.asked) == 0 || len(c.asked) > 4 || slices.ContainsFunc(c.asked, func(p string) bool { return strings.HasSuffix(p, ".crl") }) {
				t.Errorf("asked for %q", c.asked)
			}
		})
	}
}

// TestOrderOfSources: lists that were given are enough; those that came with
// the signature are not, when there are newer ones.
func TestOrderOfSources(t *testing.T) {
	c := newClimbing(t)
	direct := c.below(t, c.root, "direct", nil)
	young := func(serials ...*x509.Certificate) []byte {
		l := &x509.RevocationList{Number: direct.Certificate.SerialNumber, ThisUpdate: cmstest.At.Add(-time.Minute), NextUpdate: cmstest.At.Add(time.Hour)}
		for _, s := range serials {
			l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: s.SerialNumber, RevocationTime: cmstest.At.Add(-time.Hour)})
		}
		der, err := x509.CreateRevocationList(rand.Reader, l, c.root.Certificate, c.root.Key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	revoked := pki.Verdict{Indication: pki.TotalFailed, SubIndication: pki.Revoked}
	tryLater := pki.Verdict{Indication: pki.Indeterminate, SubIndication: pki.TryLater}
	old := c.root.CRL(t)
	for _, s := range []struct {
		name           string
		given, carried [][]byte
		served         []byte
		want           pki.Verdict
		requests       int
	}{
		{"given", [][]byte{old}, nil, young(direct.Certificate), pki.Passed(), 0},
		{"carried, a newer one is served", nil, [][]byte{old}, young(direct.Certificate), revoked, 1},
		{"carried, nothing is served", nil, [][]byte{old}, nil, pki.Passed(), 1},
		{"carried is the newer one", nil, [][]byte{young(direct.Certificate)}, old, revoked, 1},
		{"served", nil, nil, young(), pki.Passed(), 1},
		{"nothing", nil, nil, nil, tryLater, 1},
	} {
		c.put("/Root.crl", s.served)
		c.asked = nil
		v := c.verifier(t, s.given...)
		v.Fetch = c.session()
		m := signedBy(direct)
		m.CRLs = s.carried
		if got := c.judge(t, v, m); got.Verdict != s.want || len(c.asked) != s.requests {
			t.Errorf("%s: %v, asked for %q", s.name, got.Verdict, c.asked)
		}
	}
}

// TestNothingIsDialledForStrangers: a certificate without a path says where to
// dial, and nobody does; nor for one that has failed already.
func TestNothingIsDialledForStrangers(t *testing.T) {
	c := newClimbing(t)
	status := func(x *x509.Certificate) {
		x.IssuingCertificateURL, x.OCSPServer = nil, []string{c.URL + "/ocsp"}
	}
	stranger := c.below(t, cmstest.NewRoot(t, "Strange Root"), "mallory", status)
	expired := c.below(t, c.root, "eve", func(x *x509.Certificate) {
		status(x)
		x.NotBefore, x.NotAfter = cmstest.NotBefore, cmstest.At.AddDate(0, -1, 0)
	})
	broken := signedBy(c.below(t, c.root, "anna", status))
	broken.Signatures[0].Change = func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	for name, m := range map[string]cmstest.Message{"stranger": signedBy(stranger), "expired": signedBy(expired), "broken signature": broken} {
		v := c.verifier(t)
		v.Fetch = c.session()
		if got := c.judge(t, v, m); got.Verdict == pki.Passed() || len(c.asked) != 0 {
			t.Errorf("%s: %v, asked for %q", name, got.Verdict, c.asked)
		}
	}
}

// TestHostileAddresses: a certificate that names 40 addresses of this machine
// in every form, for each purpose, has nobody dial them.
func TestHostileAddresses(t *testing.T) {
	c := newClimbing(t)
	hosts := []string{
		"127.0.0.1", "127.0.0.2", "127.1", "0.0.0.0", "2130706433", "0x7f000001", "017700000001", "localhost", "localhost.", "LOCALHOST",
		"[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]",
		"[2001::7f00:1]", "[fe80::1]", "[fec0::1]", "[fd00::1]", "[ff02::1]", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1",
		"169.254.169.254", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "255.255.255.255", "[2001:db8::1]",
		"[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[3fff::1]", "user@127.0.0.1",
	}
	port := netip.MustParseAddrPort(c.Listener.Addr().String()).Port()
	for len(hosts) > 0 {
		four := hosts[:4]
		hosts = hosts[4:]
		var urls []string
		for _, h := range four {
			urls = append(urls, fmt.Sprintf("http://%s:%d/x", h, port))
		}
		known := c.root.Issue(t, cmstest.NewKey(t, cmstest.P256), "anna", func(x *x509.Certificate) {
			x.OCSPServer, x.CRLDistributionPoints = urls, urls
		})
		unknown := c.lower.Issue(t, cmstest.NewKey(t, cmstest.P256), "anna", func(x *x509.Certificate) { x.IssuingCertificateURL = urls })
		for _, p := range []cmstest.Party{known, unknown} {
			v := c.verifier(t)
			v.Fetch = fetch.New(fetch.Config{Ports: []uint16{port}, Timeout: time.Second}).Session(nil)
			if got := c.judge(t, v, signedBy(p)); got.Verdict.Indication != pki.Indeterminate {
				t.Errorf("%q: %v", four, got.Verdict)
			}
		}
	}
	if len(c.asked) != 0 {
		t.Errorf("asked for %q", c.asked)
	}
}
