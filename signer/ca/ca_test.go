package ca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/signer/pki"
)

// The tests judge at the present time, since openssl reads the clock as well.
var now = time.Now()

func subject(cn string) pkix.Name {
	return pkix.Name{CommonName: cn, Organization: []string{"Example"}, Country: []string{"DE"}}
}

func newKey(t *testing.T, family string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	if family == "RSA" {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func parse(t *testing.T, der []byte) *pki.Certificate {
	t.Helper()
	c, err := pki.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// house is a root, an issuing authority and CRLs of both.
type house struct {
	root, issuing *Authority
	crls          [][]byte
}

func newHouse(t *testing.T, family string, revoked ...Revocation) house {
	t.Helper()
	root, err := NewRoot(Request{Subject: subject("Root"), Key: newKey(t, family)}, now)
	if err != nil {
		t.Fatal(err)
	}
	issuing, err := root.NewIssuing(Request{Subject: subject("Issuing"), Key: newKey(t, family)}, now)
	if err != nil {
		t.Fatal(err)
	}
	h := house{root: root, issuing: issuing}
	for _, a := range []struct {
		by   *Authority
		list []Revocation
	}{{root, nil}, {issuing, revoked}} {
		der, err := a.by.CRL(a.list, now, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		h.crls = append(h.crls, der)
	}
	return h
}

func (h house) validate(t *testing.T, leaf []byte, purposes ...[]int) pki.Path {
	t.Helper()
	var crls []*pki.CRL
	for _, der := range h.crls {
		c, err := pki.ParseCRL(der)
		if err != nil {
			t.Fatal(err)
		}
		crls = append(crls, c)
	}
	store := pki.NewTrustStore([]pki.Anchor{{Certificate: parse(t, h.root.Certificate()), Kind: pki.Unqualified}},
		[]*pki.Certificate{parse(t, h.issuing.Certificate())}, crls)
	req := pki.PathRequest{Leaf: parse(t, leaf), At: now}
	for _, p := range purposes {
		req.ExtKeyUsages = append(req.ExtKeyUsages, p)
	}
	return store.Validate(req)
}

// openssl runs the tool on files made of the house and returns its answer.
func (h house) openssl(t *testing.T, leaf []byte, args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	args = append([]string{"verify", "-CAfile", file("root.pem", MarshalCertificate(h.root.Certificate())),
		"-untrusted", file("issuing.pem", MarshalCertificate(h.issuing.Certificate())), "-x509_strict"}, args...)
	if slices.Contains(args, "-crl_check_all") {
		var list []byte
		for _, der := range h.crls {
			list = append(list, MarshalCRL(der)...)
		}
		args = append(args, "-CRLfile", file("crls.pem", list))
	}
	out, err := exec.Command("openssl", append(args, file("leaf.pem", MarshalCertificate(leaf)))...).CombinedOutput()
	return string(out), err
}

// What is issued passes here and with openssl, and for its own purpose only.
func TestIssuedCertificates(t *testing.T) {
	for _, family := range []string{"ECDSA", "RSA"} {
		h := newHouse(t, family)
		for _, c := range []struct {
			usage          Usage
			req            Request
			purpose, other string
			mail           bool
			wantEmails     []string
		}{
			{Client, Request{Emails: []string{"alice@demo.test"}}, "smimesign", "sslserver", true, []string{"alice@demo.test"}},
			{Gateway, Request{Emails: []string{"gateway@demo.test"}}, "smimesign", "sslserver", true, []string{"gateway@demo.test"}},
			{Server, Request{DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}, "sslserver", "smimesign", false, nil},
		} {
			t.Run(family+"/"+string(c.usage), func(t *testing.T) {
				c.req.Subject, c.req.Usage, c.req.Key = subject("Alice"), c.usage, newKey(t, family).Public()
				der, err := h.issuing.Issue(c.req, now)
				if err != nil {
					t.Fatal(err)
				}
				if p := h.validate(t, der); (p.Verdict == pki.Passed()) != c.mail {
					t.Errorf("%v %+v", p.Verdict, p.Checks)
				}
				if p := h.validate(t, der, []int{1, 3, 6, 1, 5, 5, 7, 3, 1}); (p.Verdict == pki.Passed()) == c.mail {
					t.Errorf("for servers: %v", p.Verdict)
				}
				if out, err := h.openssl(t, der, "-purpose", c.purpose, "-crl_check_all"); err != nil {
					t.Errorf("openssl for %s: %s", c.purpose, out)
				}
				if out, err := h.openssl(t, der, "-purpose", c.other); err == nil {
					t.Errorf("openssl for %s: %s", c.other, out)
				}
				cert := parse(t, der)
				if !slices.Equal(cert.Emails(), c.wantEmails) || cert.SubjectKeyID == nil || !bytes.Equal(cert.AuthorityKeyID, parse(t, h.issuing.Certificate()).SubjectKeyID) {
					t.Errorf("%q, key identifiers %x %x", cert.Emails(), cert.SubjectKeyID, cert.AuthorityKeyID)
				}
			})
		}
	}
}

// Both judges of a revoked certificate, and of its twin that is not.
func TestRevokedCertificate(t *testing.T) {
	h := newHouse(t, "ECDSA")
	issue := func() []byte {
		der, err := h.issuing.Issue(Request{Subject: subject("Alice"), Usage: Client, Key: newKey(t, "ECDSA").Public()}, now)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	revoked, good := issue(), issue()
	crl, err := h.issuing.CRL([]Revocation{{parse(t, revoked).Serial, now, KeyCompromise}}, now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	h.crls[1] = crl
	for _, c := range []struct {
		leaf []byte
		want pki.Verdict
	}{{good, pki.Passed()}, {revoked, pki.Verdict{Indication: pki.TotalFailed, SubIndication: pki.Revoked}}} {
		p := h.validate(t, c.leaf)
		out, err := h.openssl(t, c.leaf, "-crl_check_all")
		if p.Verdict != c.want || (err == nil) != (c.want == pki.Passed()) {
			t.Errorf("%v, want %v; openssl: %s", p.Verdict, c.want, out)
		}
	}
	if p := h.validate(t, revoked); !strings.Contains(p.Checks[len(p.Checks)-1].Detail, "keyCompromise") {
		t.Errorf("%+v", p.Checks)
	}
}

func TestCRLNumbersGrow(t *testing.T) {
	h := newHouse(t, "ECDSA")
	var last *big.Int
	for i := range 3 {
		der, err := h.root.CRL(nil, now.Add(time.Duration(i)*time.Second), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		c, err := pki.ParseCRL(der)
		if err != nil {
			t.Fatal(err)
		}
		if last != nil && c.Number.Cmp(last) <= 0 {
			t.Errorf("number %v after %v", c.Number, last)
		}
		last = c.Number
		if c.NextUpdate.Sub(c.ThisUpdate) != time.Hour {
			t.Errorf("valid for %v", c.NextUpdate.Sub(c.ThisUpdate))
		}
	}
}

func TestSerialNumbers(t *testing.T) {
	seen := make(map[string]bool)
	for range 100 {
		n, err := newSerial()
		if err != nil {
			t.Fatal(err)
		}
		if n.Sign() <= 0 || n.BitLen() > 129 || seen[n.String()] {
			t.Errorf("serial number %v", n)
		}
		seen[n.String()] = true
	}
}

func TestValidityEndsWithTheIssuer(t *testing.T) {
	root, err := NewRoot(Request{Subject: subject("Root"), Validity: time.Hour}, now)
	if err != nil {
		t.Fatal(err)
	}
	req := Request{Subject: subject("Alice"), Usage: Client, Key: newKey(t, "ECDSA").Public()}
	der, err := root.Issue(req, now)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := parse(t, der).NotAfter, parse(t, root.Certificate()).NotAfter; !got.Equal(want) {
		t.Errorf("ends %v, issuer %v", got, want)
	}
	if _, err := root.Issue(req, now.Add(2*time.Hour)); err == nil {
		t.Error("an expired authority issued")
	}
	req.NotBefore, req.Validity = now.Add(-30*time.Minute), 10*time.Minute
	if der, err = root.Issue(req, now); err != nil {
		t.Fatal(err)
	}
	if got := parse(t, der); got.NotAfter.Sub(got.NotBefore) != 10*time.Minute || !got.NotAfter.Before(now) {
		t.Errorf("%v to %v", got.NotBefore, got.NotAfter)
	}
}

func TestIssueRefuses(t *testing.T) {
	h := newHouse(t, "ECDSA")
	for name, req := range map[string]Request{
		"no key":   {Subject: subject("Alice"), Usage: Client},
		"no usage": {Subject: subject("Alice"), Key: newKey(t, "ECDSA").Public()},
	} {
		if _, err := h.issuing.Issue(req, now); err == nil {
			t.Errorf("%s: issued", name)
		}
	}
	if _, err := NewRoot(Request{Subject: subject("Root"), Key: newKey(t, "ECDSA").Public()}, now); err == nil {
		t.Error("an authority without a private key")
	}
	// The issuing authority's path length allows no authority below it.
	below, err := h.issuing.NewIssuing(Request{Subject: subject("Below")}, now)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := below.Issue(Request{Subject: subject("Alice"), Usage: Client, Key: newKey(t, "ECDSA").Public()}, now)
	if err != nil {
		t.Fatal(err)
	}
	store := pki.NewTrustStore([]pki.Anchor{{Certificate: parse(t, h.root.Certificate())}},
		[]*pki.Certificate{parse(t, h.issuing.Certificate()), parse(t, below.Certificate())}, nil)
	if p := store.Validate(pki.PathRequest{Leaf: parse(t, leaf), At: now}); p.Verdict.SubIndication != pki.ChainConstraintsFailure {
		t.Errorf("%v", p.Verdict)
	}
}

func TestLoad(t *testing.T) {
	for _, family := range []string{"ECDSA", "RSA"} {
		h, other := newHouse(t, family), newHouse(t, family)
		keyPEM, err := MarshalKey(h.issuing.Key())
		if err != nil {
			t.Fatal(err)
		}
		otherPEM, err := MarshalKey(other.issuing.Key())
		if err != nil {
			t.Fatal(err)
		}
		certPEM := MarshalCertificate(h.issuing.Certificate())
		loaded, err := Load(certPEM, keyPEM)
		if err != nil {
			t.Fatal(err)
		}
		leafKey := newKey(t, family)
		leaf, err := loaded.Issue(Request{Subject: subject("Alice"), Usage: Client, Key: leafKey.Public()}, now)
		if err != nil {
			t.Fatal(err)
		}
		if p := h.validate(t, leaf); p.Verdict != pki.Passed() {
			t.Errorf("%v", p.Verdict)
		}
		leafPEM, err := MarshalKey(leafKey)
		if err != nil {
			t.Fatal(err)
		}
		for name, in := range map[string][2][]byte{
			"key of another":   {certPEM, otherPEM},
			"no CA":            {MarshalCertificate(leaf), leafPEM},
			"no certificate":   {nil, keyPEM},
			"no key":           {certPEM, nil},
			"key for both":     {keyPEM, keyPEM},
			"certificate both": {certPEM, certPEM},
		} {
			if _, err := Load(in[0], in[1]); err == nil {
				t.Errorf("%s: loaded", name)
			}
		}
	}
}
