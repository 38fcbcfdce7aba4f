package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"time"

	"cryptogramm.ru/cryptogramm/signer/pki"
)

// SignOptions says how Sign makes a signature. Signer and Certificate belong together; all else may be zero.
type SignOptions struct {
	Signer      crypto.Signer // RSA, ECDSA or Ed25519
	Certificate *pki.Certificate
	Chain       []*pki.Certificate    // carried beside Certificate
	Digest      asn1.ObjectIdentifier // nil: SHA-256, or what fits the key: SHA-384, SHA-512
	ContentType asn1.ObjectIdentifier // nil: id-data
	SigningTime time.Time             // zero: none is claimed
	Detached    bool                  // the content is not carried
	CAdES       bool                  // with the signing-certificate-v2 attribute (CAdES-BES)
	KeyID       bool                  // named by subject key identifier
	PSS         bool                  // RSASSA-PSS with an RSA key
}

// Sign makes a DER SignedData with one signer and signed attributes. Detached content is streamed, other content is held
// to be copied into the result. What it returns verifies under Certificate.
func Sign(content io.Reader, o SignOptions) ([]byte, error) {
	s := signing{SignOptions: o}
	if err := s.algorithms(); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	digest, body, err := s.read(content)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if err := s.name(); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	s.attributes(digest)
	if err := s.sign(); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	sd := &SignedData{
		ContentType: s.ContentType, Attached: !o.Detached,
		DigestAlgorithms: []pki.AlgorithmIdentifier{s.info.Digest},
		Certificates:     append([]*pki.Certificate{o.Certificate}, o.Chain...),
		Signers:          []SignerInfo{s.info},
	}
	return sd.marshal(body), nil
}

// signing is one Sign under way.
type signing struct {
	SignOptions
	hash *pki.Hash
	opts crypto.SignerOpts
	info SignerInfo
}

var derNull = []byte{5, 0}

// algorithms settles digest and signature algorithm by the key (RFC 5754, RFC 4056, RFC 5753, RFC 8419).
func (s *signing) algorithms() (err error) {
	if s.Signer == nil || s.Certificate == nil {
		return errors.New("signer and certificate are both needed")
	}
	if s.ContentType == nil {
		s.ContentType = OIDData
	}
	key := s.Signer.Public()
	if s.Digest == nil {
		s.Digest = fittingDigest(key)
	}
	if s.hash, err = pki.HashByOID(s.Digest); err != nil {
		return err
	}
	s.info.Digest = pki.AlgorithmIdentifier{OID: s.Digest}
	number := cryptoHash(s.Digest)
	s.opts = number
	switch key.(type) {
	case *rsa.PublicKey:
		s.info.Signature = pki.AlgorithmIdentifier{OID: oidRSA, Parameters: derNull}
		if s.PSS {
			s.info.Signature = pki.AlgorithmIdentifier{OID: oidPSS, Parameters: pssParameters(s.hash)}
			s.opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: number}
		}
	case *ecdsa.PublicKey:
		s.info.Signature.OID = map[crypto.Hash]asn1.ObjectIdentifier{
			crypto.SHA256: oidECDSASHA256, crypto.SHA384: oidECDSASHA384, crypto.SHA512: oidECDSASHA512,
		}[number]
	case ed25519.PublicKey:
		s.info.Signature.OID, s.opts = oidEd25519, crypto.Hash(0)
	default:
		return fmt.Errorf("key %T: %w", key, pki.ErrUnsupported)
	}
	if number == 0 {
		return fmt.Errorf("signing with %s: %w", s.hash.Name, pki.ErrUnsupported)
	}
	return nil
}

// fittingDigest is as strong as the key; RFC 8419 §3.1 fixes Ed25519's.
func fittingDigest(key crypto.PublicKey) asn1.ObjectIdentifier {
	switch key := key.(type) {
	case ed25519.PublicKey:
		return oidSHA512
	case *ecdsa.PublicKey:
		switch bits := key.Curve.Params().BitSize; {
		case bits > 384:
			return oidSHA512
		case bits > 256:
			return oidSHA384
		}
	}
	return oidSHA256
}

// cryptoHash maps the digests that a crypto.Signer is told by number; weak ones are not among them.
func cryptoHash(digest asn1.ObjectIdentifier) crypto.Hash {
	switch {
	case digest.Equal(oidSHA256):
		return crypto.SHA256
	case digest.Equal(oidSHA384):
		return crypto.SHA384
	case digest.Equal(oidSHA512):
		return crypto.SHA512
	}
	return 0
}

// read hashes the content and returns it when the result has to carry it.
func (s *signing) read(content io.Reader) (digest, body []byte, err error) {
	h := s.hash.New()
	if s.Detached {
		_, err = io.Copy(h, content)
	} else {
		body, err = io.ReadAll(io.TeeReader(content, h))
	}
	return h.Sum(nil), body, err
}

// name sets the sid.
func (s *signing) name() error {
	if !s.KeyID {
		s.info.Version, s.info.Issuer, s.info.Serial = 1, s.Certificate.Issuer, s.Certificate.Serial
		return nil
	}
	if len(s.Certificate.SubjectKeyID) == 0 {
		return errors.New("certificate has no subject key identifier")
	}
	s.info.Version, s.info.SubjectKeyID = 3, s.Certificate.SubjectKeyID
	return nil
}

// attributes makes the signed attributes in DER order.
func (s *signing) attributes(digest []byte) {
	add := func(oid asn1.ObjectIdentifier, value []byte) {
		s.info.SignedAttributes = append(s.info.SignedAttributes, Attribute{OID: oid, Values: [][]byte{value}})
	}
	add(oidContentType, encodeOID(s.ContentType))
	add(oidMessageDigest, encode(tagOctetString, digest))
	if !s.SigningTime.IsZero() {
		add(oidSigningTime, encodeTime(s.SigningTime))
	}
	if s.CAdES {
		h := s.hash.New()
		h.Write(s.Certificate.Raw)
		add(oidSigningCertificateV2, encodeCertificateID(s.Digest, h.Sum(nil), s.Certificate))
	}
	s.info.SignedAttributesDER, _ = derOrder(encodeAttributes(tagSet, s.info.SignedAttributes))
}

// sign fills in the signature and checks it: a faulty key, or one that is not the certificate's, gives no result.
func (s *signing) sign() error {
	message := s.info.SignedAttributesDER
	if s.opts.HashFunc() != 0 {
		h := s.hash.New()
		h.Write(message)
		message = h.Sum(nil)
	}
	signature, err := s.Signer.Sign(rand.Reader, message, s.opts)
	if err != nil {
		return err
	}
	s.info.SignatureValue = signature
	scheme, err := pki.ResolveScheme(s.info.Signature, &s.info.Digest, s.Certificate.Key)
	if err != nil {
		return err
	}
	return scheme.Verify(s.info.SignedAttributesDER, signature)
}
