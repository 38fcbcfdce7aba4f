package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// noon is the moment of judgement in tests.
var noon = time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)

// keyRing holds keys of one family, made once: RSA keys are slow to make.
type keyRing struct {
	name string
	keys func() []crypto.Signer
}

// ring makes six keys at first use.
func ring(name string, generate func() (crypto.Signer, error)) keyRing {
	return keyRing{name, sync.OnceValue(func() []crypto.Signer {
		keys := make([]crypto.Signer, 6)
		for i := range keys {
			var err error
			if keys[i], err = generate(); err != nil {
				panic(err)
			}
		}
		return keys
	})}
}

var rings = []keyRing{
	ring("ECDSA", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }),
	ring("RSA", func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }),
	ring("Ed25519", func() (crypto.Signer, error) {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		return k, err
	}),
}

// world is a root, an issuing CA and a signer, with a CRL of each CA, all as
// templates that a case may change before they are made. As it stands it passes.
type world struct {
	t                 testing.TB
	keys              []crypto.Signer // 0 root, 1 issuing CA, 2 leaf, 3… spare
	root, inter, leaf *x509.Certificate
	rootCRL, interCRL *x509.RevocationList
	crls              []*x509.RevocationList // further ones of the issuing CA
	at                time.Time
	purposes          []asn1.ObjectIdentifier
	// made by build
	rootDER, interDER, leafDER []byte
	// changes applied to what was made
	noAnchor, noInter, noCRLs bool
	rootCRLKey, interCRLKey   crypto.Signer
	leafSigner                crypto.Signer
	patchLeaf, patchInter     func([]byte) []byte
	extra                     []*Certificate
	intermediates             []*Certificate
	anchors                   []Anchor
}

func newWorld(t testing.TB, r keyRing) *world {
	year := 365 * 24 * time.Hour
	name := func(cn string) pkix.Name {
		return pkix.Name{CommonName: cn, Organization: []string{"Example"}, Country: []string{"DE"}}
	}
	ca := func(serial int64, cn string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: name(cn), NotBefore: noon.Add(-year), NotAfter: noon.Add(year),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(0x1003), Subject: name("Alice"), NotBefore: noon.Add(-year), NotAfter: noon.Add(year),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		EmailAddresses: []string{"alice@example.com"}, BasicConstraintsValid: true,
	}
	crl := func() *x509.RevocationList {
		return &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: noon.Add(-time.Hour), NextUpdate: noon.Add(time.Hour)}
	}
	return &world{
		t: t, keys: r.keys(), at: noon,
		root: ca(0x1001, "Root"), inter: ca(0x1002, "Issuing"), leaf: leaf, rootCRL: crl(), interCRL: crl(),
	}
}

func (w *world) sign(template, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) []byte {
	w.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	if err != nil {
		w.t.Fatalf("make certificate: %v", err)
	}
	return der
}

func (w *world) parse(der []byte) *Certificate {
	w.t.Helper()
	c, err := ParseCertificate(der)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	return c
}

// issuer turns DER into what x509 signs under, for name and key identifier only.
func (w *world) issuer(template *x509.Certificate, der []byte) *x509.Certificate {
	c := w.parse(der)
	return &x509.Certificate{RawSubject: c.Subject.Raw, Subject: template.Subject, SubjectKeyId: c.SubjectKeyID, KeyUsage: x509.KeyUsageCRLSign | x509.KeyUsageCertSign}
}

func (w *world) list(template, issuer *x509.Certificate, l *x509.RevocationList, key crypto.Signer) *CRL {
	w.t.Helper()
	parent := w.issuer(template, issuer.Raw)
	if parent.SubjectKeyId == nil { // x509 insists; validation does not
		parent.SubjectKeyId = []byte{1}
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, parent, key)
	if err != nil {
		w.t.Fatalf("make CRL: %v", err)
	}
	c, err := ParseCRL(der)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	return c
}

func patched(der []byte, f func([]byte) []byte) []byte {
	if f == nil {
		return der
	}
	return f(der)
}

// build makes everything and returns a store and a request for the leaf.
func (w *world) build() (*TrustStore, PathRequest) {
	w.t.Helper()
	rootKey, interKey, leafKey := w.keys[0], w.keys[1], w.keys[2]
	w.rootDER = w.sign(w.root, w.root, rootKey.Public(), rootKey)
	w.interDER = patched(w.sign(w.inter, w.issuer(w.root, w.rootDER), interKey.Public(), rootKey), w.patchInter)
	signer := crypto.Signer(interKey)
	if w.leafSigner != nil {
		signer = w.leafSigner
	}
	w.leafDER = patched(w.sign(w.leaf, w.issuer(w.inter, w.interDER), leafKey.Public(), signer), w.patchLeaf)
	anchors, intermediates := w.anchors, w.intermediates
	if !w.noAnchor {
		anchors = append(anchors, Anchor{w.parse(w.rootDER), Foreign})
	}
	if !w.noInter {
		intermediates = append(intermediates, w.parse(w.interDER))
	}
	var crls []*CRL
	if !w.noCRLs {
		rootCRLKey, interCRLKey := rootKey, interKey
		if w.rootCRLKey != nil {
			rootCRLKey = w.rootCRLKey
		}
		if w.interCRLKey != nil {
			interCRLKey = w.interCRLKey
		}
		crls = append(crls, w.list(w.root, &x509.Certificate{Raw: w.rootDER}, w.rootCRL, rootCRLKey))
		for _, l := range append([]*x509.RevocationList{w.interCRL}, w.crls...) {
			crls = append(crls, w.list(w.inter, &x509.Certificate{Raw: w.interDER}, l, interCRLKey))
		}
	}
	return NewTrustStore(anchors, intermediates, crls),
		PathRequest{Leaf: w.parse(w.leafDER), Extra: w.extra, At: w.at, ExtKeyUsages: w.purposes}
}

// notPassed lists the checks that did not pass.
func notPassed(p Path) []string {
	var out []string
	for _, c := range p.Checks {
		if c.Status != StatusPassed {
			out = append(out, c.Name)
		}
	}
	return out
}

// ext makes a raw extension.
func ext(dotted string, critical bool, value ...byte) pkix.Extension {
	var id asn1.ObjectIdentifier
	for arc := range strings.SplitSeq(dotted, ".") {
		n, err := strconv.Atoi(arc)
		if err != nil {
			panic(err)
		}
		id = append(id, n)
	}
	return pkix.Extension{Id: id, Critical: critical, Value: value}
}

// tlv wraps contents in a tag, short lengths only where they fit.
func tlv(tag byte, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	switch n := len(body); {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, body...)
	case n < 0x100:
		return append([]byte{tag, 0x81, byte(n)}, body...)
	default:
		return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, body...)
	}
}
