package pki

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/asn1"
	"fmt"
	"slices"
)

// Scheme is a signature algorithm resolved for one key: nothing is left open.
// Hash is the digest that the signer's content is hashed with.
type Scheme struct {
	Name string
	Hash *Hash

	key    *PublicKey
	pss    *pssSettings
	verify verifyFunc
	whole  bool // signs the message, not a digest of it (Ed25519)
}

// verifyFunc checks sig over input: the digest, or the message for whole schemes.
type verifyFunc func(s *Scheme, input, sig []byte) error

// signatureRow is one signature algorithm of the table. hash nil means that the
// digest is told elsewhere: in the PSS parameters, or in CMS's digestAlgorithm.
type signatureRow struct {
	oid      asn1.ObjectIdentifier
	families []keyFamily
	hash     asn1.ObjectIdentifier
	verify   verifyFunc
	whole    bool
}

var (
	rsaOnly   = []keyFamily{familyRSA}
	rsaOrPSS  = []keyFamily{familyRSA, familyPSS}
	ecdsaOnly = []keyFamily{familyECDSA}
)

// signatureTable is the signature half of the algorithm table: RFC 8017 A.2,
// RFC 5758, RFC 8410. A key OID as signature algorithm is CMS usage
// (RFC 3370 §3.2) where the digest is named beside it. It is never written to.
var signatureTable = []signatureRow{
	{oid: oidRSA, families: rsaOnly, verify: verifyPKCS1},
	{oid: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}, families: rsaOnly, hash: oidMD5, verify: verifyPKCS1},
	{oid: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}, families: rsaOnly, hash: oidSHA1, verify: verifyPKCS1},
	{oid: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 14}, families: rsaOnly, hash: oidSHA224, verify: verifyPKCS1},
	{oid: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, families: rsaOnly, hash: oidSHA256, verify: verifyPKCS1},
	{oid: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, families: rsaOnly, hash: oidSHA384, verify: verifyPKCS1},
	{oid: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, families: rsaOnly, hash: oidSHA512, verify: verifyPKCS1},
	{oid: oidPSS, families: rsaOrPSS, verify: verifyPSS},
	{oid: oidEC, families: ecdsaOnly, verify: verifyECDSA},
	{oid: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}, families: ecdsaOnly, hash: oidSHA1, verify: verifyECDSA},
	{oid: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 1}, families: ecdsaOnly, hash: oidSHA224, verify: verifyECDSA},
	{oid: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, families: ecdsaOnly, hash: oidSHA256, verify: verifyECDSA},
	{oid: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, families: ecdsaOnly, hash: oidSHA384, verify: verifyECDSA},
	{oid: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, families: ecdsaOnly, hash: oidSHA512, verify: verifyECDSA},
	// RFC 8419 §3.1: with signed attributes the content digest beside Ed25519 is SHA-512.
	{oid: oidEd25519, families: []keyFamily{familyEd25519}, hash: oidSHA512, verify: verifyEd25519, whole: true},
}

// ResolveScheme picks the algorithm of a signature. CMS passes its
// digestAlgorithm, certificates and CRLs pass nil. The error is ErrUnsupported,
// ErrMismatch or ErrWeak; with ErrWeak the scheme is returned as well, so that
// the signature can still be checked.
func ResolveScheme(sig AlgorithmIdentifier, digest *AlgorithmIdentifier, key *PublicKey) (*Scheme, error) {
	if !key.Supported() {
		return nil, fmt.Errorf("key: %w", ErrUnsupported)
	}
	at := slices.IndexFunc(signatureTable, func(r signatureRow) bool { return r.oid.Equal(sig.OID) })
	if at < 0 {
		return nil, fmt.Errorf("signature algorithm %s: %w", sig.OID, ErrUnsupported)
	}
	row := signatureTable[at]
	if !slices.Contains(row.families, key.family) {
		return nil, fmt.Errorf("signature algorithm %s with key %s: %w", sig.OID, key.name, ErrMismatch)
	}
	s := &Scheme{key: key, verify: row.verify, whole: row.whole}
	if err := s.settle(row, sig, digest); err != nil {
		return nil, err
	}
	s.Name = s.describe()
	if key.weak != "" {
		return s, fmt.Errorf("%s: %w", key.weak, ErrWeak)
	}
	if s.Hash.Weak {
		return s, fmt.Errorf("digest %s: %w", s.Hash.Name, ErrWeak)
	}
	return s, nil
}

// settle finds the digest from wherever this algorithm names it, and has every
// other place that names one agree.
func (s *Scheme) settle(row signatureRow, sig AlgorithmIdentifier, digest *AlgorithmIdentifier) (err error) {
	var beside *Hash
	if digest != nil {
		if beside, err = hashByIdentifier(*digest); err != nil {
			return err
		}
	}
	switch {
	case row.oid.Equal(oidPSS):
		if s.pss, err = readPSSSettings(sig.Parameters); err != nil {
			return err
		}
		if err = s.pss.within(s.key.pss); err != nil {
			return err
		}
		s.Hash = s.pss.hash
	case row.hash == nil:
		s.Hash = beside
	default:
		if s.Hash, err = HashByOID(row.hash); err != nil {
			return err
		}
	}
	switch {
	case s.Hash == nil:
		return fmt.Errorf("signature algorithm %s without a digest: %w", sig.OID, ErrUnsupported)
	case beside != nil && !beside.OID.Equal(s.Hash.OID):
		return fmt.Errorf("digest %s beside a signature over %s: %w", beside.Name, s.Hash.Name, ErrMismatch)
	case s.pss == nil && !parametersFit(row, sig):
		return fmt.Errorf("parameters of signature algorithm %s: %w", sig.OID, ErrUnsupported)
	}
	return nil
}

// parametersFit: NULL or absent for RSA and, leniently, ECDSA; absent for
// Ed25519. A bare EC key OID may name its curve, which the key has fixed already.
func parametersFit(row signatureRow, sig AlgorithmIdentifier) bool {
	if row.whole {
		return sig.Parameters == nil
	}
	return sig.absentOrNull() || row.oid.Equal(oidEC)
}

func (s *Scheme) describe() string {
	switch {
	case s.whole:
		return s.key.name
	case s.pss != nil:
		return "RSASSA-PSS " + s.key.name + " with " + s.Hash.Name
	}
	return s.key.name + " with " + s.Hash.Name
}

// Verify checks a signature over a message; the error is ErrBadSignature, or
// ErrWeak for keys so far out of bounds that they are not computed with.
func (s *Scheme) Verify(message, sig []byte) error {
	if s.whole {
		return s.verify(s, message, sig)
	}
	return s.VerifyDigest(s.Hash.sum(message), sig)
}

// VerifyDigest checks a signature over a digest that the caller computed with
// Hash. The error is ErrUnsupported for schemes that sign the message itself.
func (s *Scheme) VerifyDigest(digest, sig []byte) error {
	if s.whole {
		return fmt.Errorf("%s signs no digest: %w", s.Name, ErrUnsupported)
	}
	if len(digest) != s.Hash.Size {
		return fmt.Errorf("digest of %d octets for %s: %w", len(digest), s.Hash.Name, ErrBadSignature)
	}
	return s.verify(s, digest, sig)
}

// minComputableRSA is the smallest modulus that crypto/rsa computes with.
const minComputableRSA = 1024

// computable returns the key if the library can compute with it at a bounded cost.
func (s *Scheme) computable() (*rsa.PublicKey, error) {
	key := s.key.key.(*rsa.PublicKey)
	if bits := key.N.BitLen(); bits < minComputableRSA || bits > maxRSABits || key.N.Bit(0) == 0 || key.E&1 == 0 || key.E < 3 {
		return nil, fmt.Errorf("%s, signature not computed: %w", s.key.weak, ErrWeak)
	}
	return key, nil
}

func verifyPKCS1(s *Scheme, digest, sig []byte) error {
	key, err := s.computable()
	if err != nil {
		return err
	}
	if rsa.VerifyPKCS1v15(key, s.Hash.id, digest, sig) != nil {
		return ErrBadSignature
	}
	return nil
}

func verifyPSS(s *Scheme, digest, sig []byte) error {
	key, err := s.computable()
	if err != nil {
		return err
	}
	if rsa.VerifyPSS(key, s.Hash.id, digest, sig, &rsa.PSSOptions{SaltLength: s.pss.salt}) != nil {
		return ErrBadSignature
	}
	return nil
}

// verifyECDSA: the library takes (r,s) as strict DER, in range, with nothing after it.
func verifyECDSA(s *Scheme, digest, sig []byte) error {
	if !ecdsa.VerifyASN1(s.key.key.(*ecdsa.PublicKey), digest, sig) {
		return ErrBadSignature
	}
	return nil
}

func verifyEd25519(s *Scheme, message, sig []byte) error {
	if !ed25519.Verify(s.key.key.(ed25519.PublicKey), message, sig) {
		return ErrBadSignature
	}
	return nil
}
