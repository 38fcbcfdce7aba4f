// Package cmstest makes certificates and signatures for tests, right and wrong ones. It is written over the standard
// library alone, so that what it builds does not share a mistake with the packages under test.
//
// Deliberately absent: anything that a program would need. Its keys are made for one run and its dates are fixed.
package cmstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// Every certificate is valid from NotBefore to NotAfter, and At lies between.
var (
	NotBefore = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	At        = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	NotAfter  = time.Date(2046, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Party is a key with its certificate.
type Party struct {
	Key         crypto.Signer
	Certificate *x509.Certificate
}

// KeyKind names a kind of key.
type KeyKind string

// The kinds that NewKey makes.
const (
	RSA1024 KeyKind = "rsa-1024"
	RSA2048 KeyKind = "rsa"
	P256    KeyKind = "ecdsa"
	P384    KeyKind = "p384"
	P521    KeyKind = "p521"
	Ed25519 KeyKind = "ed25519"
)

// NewKey makes a key.
func NewKey(t testing.TB, kind KeyKind) crypto.Signer {
	t.Helper()
	var (
		key crypto.Signer
		err error
	)
	switch kind {
	case RSA1024:
		t.Setenv("GODEBUG", "rsa1024min=0")
		key, err = rsa.GenerateKey(rand.Reader, 1024)
	case RSA2048:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case P256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case P521:
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatalf("unknown kind of key %q", kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// NewRoot makes a self-signed authority with a P-256 key.
func NewRoot(t testing.TB, name string) Party {
	t.Helper()
	return NewRootOf(t, P256, name)
}

// NewRootOf is NewRoot with another kind of key.
func NewRootOf(t testing.TB, kind KeyKind, name string) Party {
	t.Helper()
	return issue(t, NewKey(t, kind), nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	})
}

// Issue makes a mail signer's certificate. change, when given, edits the template first.
func (ca Party) Issue(t testing.TB, key crypto.Signer, name string, change func(*x509.Certificate)) Party {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, EmailAddresses: []string{name + "@example.net"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}
	if change != nil {
		change(template)
	}
	return issue(t, key, &ca, template)
}

func issue(t testing.TB, key crypto.Signer, ca *Party, template *x509.Certificate) Party {
	t.Helper()
	if template.SerialNumber == nil {
		serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
		if err != nil {
			t.Fatal(err)
		}
		template.SerialNumber = serial
	}
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = NotBefore, NotAfter
	}
	if template.SubjectKeyId == nil {
		spki, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		id := sha1.Sum(spki)
		template.SubjectKeyId = id[:]
	}
	self := Party{Key: key, Certificate: template}
	if ca == nil {
		ca = &self
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Certificate, key.Public(), ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return Party{Key: key, Certificate: certificate}
}

// CRL makes a revocation list that is valid as long as the certificates are.
func (ca Party) CRL(t testing.TB, revoked ...*big.Int) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: NotBefore, NextUpdate: NotAfter}
	for _, serial := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: serial, RevocationTime: NotBefore.AddDate(1, 0, 0)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, ca.Certificate, ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
