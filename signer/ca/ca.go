// Package ca is a small embedded certification authority: a root, issuing
// authorities under it, certificates for persons, servers and gateways, CRLs and
// OCSP answers.
//
// Invariants: serial numbers are 128 random bits; every certificate says what
// its key is for (critical key usage and basic constraints, extended key usage,
// key identifiers); nothing is issued beyond the authority's own validity.
//
// Deliberately absent: storage of what was issued (the caller keeps the DER and
// the list of revocations), requests (PKCS#10) and GOST keys. What it
// issues is never "qualified".
package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Usage is what a certificate is for.
type Usage string

const (
	// Client signs mail and documents: emailProtection, digitalSignature and nonRepudiation.
	Client Usage = "client"
	// Server identifies a TLS server: serverAuth.
	Server Usage = "server"
	// Gateway seals evidence and notices: emailProtection.
	Gateway Usage = "gateway"
)

// Default validity where a request names none.
const (
	rootValidity    = 20 * 365 * 24 * time.Hour
	issuingValidity = 10 * 365 * 24 * time.Hour
	leafValidity    = 365 * 24 * time.Hour
)

// Request describes a certificate to be made.
type Request struct {
	Subject  pkix.Name
	Emails   []string
	DNSNames []string
	IPs      []net.IP
	Usage    Usage // of leaf certificates; ignored for authorities
	// Validity counts from NotBefore; zero means 20 years for a root, 10 for an
	// issuing authority, one for the rest. It ends with the issuer's at the latest.
	Validity time.Duration
	// Key is the subject's public key. For authorities it is a crypto.Signer, or
	// nil to have an ECDSA P-256 key made.
	Key       crypto.PublicKey
	NotBefore time.Time // zero: five minutes before now, for clocks that lag
}

// Authority is a CA certificate with its key.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// NewRoot makes a self-signed authority.
func NewRoot(req Request, now time.Time) (*Authority, error) {
	key, err := authorityKey(req)
	if err != nil {
		return nil, err
	}
	template, err := authorityTemplate(req, now, rootValidity)
	if err != nil {
		return nil, err
	}
	return sign(template, &Authority{cert: template, key: key}, key)
}

// NewIssuing makes an authority under a that can issue leaf certificates only.
func (a *Authority) NewIssuing(req Request, now time.Time) (*Authority, error) {
	key, err := authorityKey(req)
	if err != nil {
		return nil, err
	}
	template, err := authorityTemplate(req, now, issuingValidity)
	if err != nil {
		return nil, err
	}
	template.MaxPathLenZero = true
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	if err := a.limit(template); err != nil {
		return nil, err
	}
	return sign(template, a, key)
}

// Issue makes a leaf certificate and returns its DER.
func (a *Authority) Issue(req Request, now time.Time) ([]byte, error) {
	if req.Key == nil {
		return nil, errors.New("issue certificate: no public key")
	}
	template, err := newTemplate(req, now, leafValidity)
	if err != nil {
		return nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	switch req.Usage {
	case Client:
		template.KeyUsage |= x509.KeyUsageContentCommitment
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	case Gateway:
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	case Server:
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	default:
		return nil, fmt.Errorf("issue certificate: unknown usage %q", req.Usage)
	}
	if template.SubjectKeyId, err = keyIdentifier(req.Key); err != nil {
		return nil, err
	}
	if err := a.limit(template); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, req.Key, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	return der, nil
}

// Certificate is the DER of the authority's own certificate.
func (a *Authority) Certificate() []byte { return a.cert.Raw }

// Key signs as the authority.
func (a *Authority) Key() crypto.Signer { return a.key }

// authorityKey takes the key of the request, or makes one.
func authorityKey(req Request) (crypto.Signer, error) {
	if req.Key == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make authority key: %w", err)
		}
		return key, nil
	}
	key, ok := req.Key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("authority key of type %T cannot sign", req.Key)
	}
	return key, nil
}

func authorityTemplate(req Request, now time.Time, validity time.Duration) (*x509.Certificate, error) {
	template, err := newTemplate(req, now, validity)
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return template, nil
}

// newTemplate fills what every certificate has. Times are whole seconds, as certificates hold no more.
func newTemplate(req Request, now time.Time, validity time.Duration) (*x509.Certificate, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	if req.Validity > 0 {
		validity = req.Validity
	}
	from := req.NotBefore
	if from.IsZero() {
		from = now.Add(-5 * time.Minute)
	}
	from = from.UTC().Truncate(time.Second)
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               req.Subject,
		NotBefore:             from,
		NotAfter:              from.Add(validity),
		EmailAddresses:        req.Emails,
		DNSNames:              req.DNSNames,
		IPAddresses:           req.IPs,
		BasicConstraintsValid: true,
	}, nil
}

// newSerial is 128 random bits, positive, never zero.
func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	return serial.Add(serial, big.NewInt(1)), nil
}

// keyIdentifier is method 1 of RFC 7093 §2. The standard library makes one for
// authorities only, and mail clients look for it in the signer's certificate.
func keyIdentifier(key crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	var spki struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &spki); err != nil {
		return nil, fmt.Errorf("read public key: %w", err)
	}
	sum := sha256.Sum256(spki.Key.Bytes)
	return sum[:20], nil
}

// limit keeps a certificate within its issuer's validity.
func (a *Authority) limit(template *x509.Certificate) error {
	if template.NotAfter.After(a.cert.NotAfter) {
		template.NotAfter = a.cert.NotAfter
	}
	if !template.NotBefore.Before(template.NotAfter) {
		return fmt.Errorf("issue certificate: the authority's own ends at %s", a.cert.NotAfter.Format(time.RFC3339))
	}
	return nil
}

// sign makes an authority out of a template.
func sign(template *x509.Certificate, issuer *Authority, key crypto.Signer) (*Authority, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, key.Public(), issuer.key)
	if err != nil {
		return nil, fmt.Errorf("sign authority certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read authority certificate: %w", err)
	}
	return &Authority{cert: cert, key: key}, nil
}

// MarshalKey encodes a private key as PEM PKCS#8. The result is a secret.
func MarshalKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// MarshalCertificate encodes the DER of a certificate as PEM.
func MarshalCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// Load reads an authority from PEM. The key must belong to the certificate, and
// the certificate must be one of a CA.
func Load(certPEM, keyPEM []byte) (*Authority, error) {
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, errors.New("load authority: certificate or key is not PEM")
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("load authority certificate: %w", err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("load authority key: %w", err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("load authority: key of type %T cannot sign", parsed)
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(cert.PublicKey) {
		return nil, errors.New("load authority: the key does not belong to the certificate")
	}
	if !cert.IsCA {
		return nil, errors.New("load authority: not a certificate of a CA")
	}
	return &Authority{cert: cert, key: key}, nil
}
