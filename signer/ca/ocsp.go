package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cryptogramm.ru/cryptogramm/signer/pki"
)

// Standing is what an authority knows of a serial number. The zero Standing is
// one it has never issued.
type Standing struct {
	Issued     bool
	Revocation *Revocation // nil: not revoked
}

// Responder answers OCSP requests (RFC 6960) as the authority itself.
type Responder struct {
	Authority *Authority
	Standing  func(serial *big.Int) Standing
	Validity  time.Duration // of an answer; 0: no next update, newer ones are to be had at any time
}

// The refusals of RFC 6960 §4.2.1 that a responder gives.
var (
	malformedRequest = []byte{0x30, 3, 0x0a, 1, 1}
	unauthorized     = []byte{0x30, 3, 0x0a, 1, 6}
)

// Respond answers a DER request in DER. A request that is none, or that asks
// about nobody of this authority, is answered by a refusal; the error is that of
// signing.
func (r *Responder) Respond(request []byte, now time.Time) ([]byte, error) {
	req, err := pki.ParseOCSPRequest(request)
	if err != nil {
		return malformedRequest, nil
	}
	own, err := pki.ParseCertificate(r.Authority.Certificate())
	if err != nil {
		return nil, fmt.Errorf("answer OCSP: %w", err)
	}
	queries := req.Queries(own)
	if len(queries) == 0 {
		return unauthorized, nil
	}
	body := func(b *cryptobyte.Builder) { r.data(b, req.Nonce(), queries, now.UTC().Truncate(time.Second)) }
	var data cryptobyte.Builder
	data.AddASN1(cbasn1.SEQUENCE, body)
	tbs, err := data.Bytes()
	if err != nil {
		return nil, fmt.Errorf("answer OCSP: %w", err)
	}
	algorithm, signature, err := r.Authority.signOver(tbs)
	if err != nil {
		return nil, fmt.Errorf("answer OCSP: %w", err)
	}
	return wrapResponse(tbs, algorithm, signature)
}

// data writes the fields of ResponseData.
func (r *Responder) data(b *cryptobyte.Builder, nonce []byte, queries []pki.OCSPQuery, now time.Time) {
	key := sha1.Sum(r.Authority.keyBits()) // RFC 6960 §4.2.1, KeyHash
	b.AddASN1(cbasn1.Tag(2).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(key[:]) })
	b.AddASN1GeneralizedTime(now)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, q := range queries {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { r.single(b, q, now) })
		}
	})
	if nonce == nil {
		return
	}
	b.AddASN1(cbasn1.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2})
				b.AddASN1OctetString(nonce)
			})
		})
	})
}

// single writes the fields of one SingleResponse.
func (r *Responder) single(b *cryptobyte.Builder, q pki.OCSPQuery, now time.Time) {
	b.AddBytes(q.CertID)
	switch s := r.Standing(q.Serial); {
	case s.Revocation != nil:
		b.AddASN1(cbasn1.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1GeneralizedTime(s.Revocation.Time.UTC().Truncate(time.Second))
			if s.Revocation.Reason != Unspecified {
				b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
					b.AddASN1Int64WithTag(int64(s.Revocation.Reason), cbasn1.ENUM)
				})
			}
		})
	case s.Issued:
		b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(*cryptobyte.Builder) {})
	default:
		b.AddASN1(cbasn1.Tag(2).ContextSpecific(), func(*cryptobyte.Builder) {})
	}
	b.AddASN1GeneralizedTime(now)
	if r.Validity > 0 {
		b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(now.Add(r.Validity)) })
	}
}

func wrapResponse(tbs, algorithm, signature []byte) ([]byte, error) {
	var basic, b cryptobyte.Builder
	basic.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(algorithm)
		b.AddASN1BitString(signature)
	})
	inner, err := basic.Bytes()
	if err != nil {
		return nil, fmt.Errorf("answer OCSP: %w", err)
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(0)
		b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1})
				b.AddASN1OctetString(inner)
			})
		})
	})
	return b.Bytes()
}

// keyBits is the BIT STRING of the authority's public key.
func (a *Authority) keyBits() []byte {
	var spki struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(a.cert.RawSubjectPublicKeyInfo, &spki); err != nil {
		return nil // cannot be: the certificate was parsed
	}
	return spki.Key.Bytes
}

// signOver signs with SHA-256, or as Ed25519 does, and names the algorithm in DER.
func (a *Authority) signOver(message []byte) (algorithm, signature []byte, err error) {
	var oid asn1.ObjectIdentifier
	var null bool
	switch a.key.Public().(type) {
	case *ecdsa.PublicKey:
		oid = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	case *rsa.PublicKey:
		oid, null = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, true
	case ed25519.PublicKey:
		oid = asn1.ObjectIdentifier{1, 3, 101, 112}
	default:
		return nil, nil, errors.New("a key of this kind signs no answers")
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		if null {
			b.AddASN1NULL()
		}
	})
	if algorithm, err = b.Bytes(); err != nil {
		return nil, nil, err
	}
	hash := crypto.SHA256
	if _, whole := a.key.Public().(ed25519.PublicKey); whole {
		hash = 0
	}
	signature, err = crypto.SignMessage(a.key, rand.Reader, message, hash)
	return algorithm, signature, err
}
