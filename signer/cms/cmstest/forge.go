package cmstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	_ "crypto/md5" // the weak digests that a verifier has to refuse
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"
)

// Object identifiers that forged messages use.
var (
	OIDData                 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	OIDSignedData           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	OIDContentType          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	OIDMessageDigest        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	OIDSigningTime          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	OIDSigningCertificateV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	OIDAlgorithmProtection  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 52}
)

// Signature describes one SignerInfo. Only Party is needed; every other field makes it differ from a good one.
type Signature struct {
	Party
	Digest       crypto.Hash // 0: SHA-256, SHA-512 for Ed25519
	Content      []byte      // what its digest is made of; nil: the message's
	Attributes   [][]byte    // members of the signed attributes; nil: DefaultAttributes; empty: an empty set
	NoAttributes bool
	KeyID        []byte                // names the signer by key identifier
	Serial       *big.Int              // in the sid; nil: the certificate's
	SignWith     crypto.Signer         // nil: the party's key
	Algorithm    []byte                // DER signatureAlgorithm; nil: by the key
	Change       func(b []byte) []byte // of the signature value
	Unsigned     [][]byte
}

// Message describes a SignedData.
type Message struct {
	Content      []byte
	Attached     bool
	Type         asn1.ObjectIdentifier // eContentType; nil: id-data
	Certificates [][]byte              // nil: those of the signatures' parties
	CRLs         [][]byte
	Signatures   []Signature
	Indefinite   bool // BER: indefinite lengths around a divided content
}

// TLV encodes one element.
func TLV(id byte, contents ...[]byte) []byte {
	var body []byte
	for _, c := range contents {
		body = append(body, c...)
	}
	out := []byte{id}
	switch n := len(body); {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 1<<16:
		out = append(out, 0x82, byte(n>>8), byte(n))
		if n < 1<<8 {
			out = []byte{id, 0x81, byte(n)}
		}
	case n < 1<<24:
		out = append(out, 0x83, byte(n>>16), byte(n>>8), byte(n))
	default:
		out = append(out, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, body...)
}

// Open encodes one element of indefinite length.
func Open(id byte, contents ...[]byte) []byte {
	out := []byte{id, 0x80}
	for _, c := range contents {
		out = append(out, c...)
	}
	return append(out, 0, 0)
}

// DER encodes a value of encoding/asn1.
func DER(t testing.TB, value any) []byte {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Attribute encodes one Attribute.
func Attribute(t testing.TB, oid asn1.ObjectIdentifier, values ...[]byte) []byte {
	return TLV(0x30, DER(t, oid), TLV(0x31, values...))
}

// DefaultAttributes are content-type, signing-time and message-digest in DER order.
func DefaultAttributes(t testing.TB, contentType asn1.ObjectIdentifier, digest []byte) [][]byte {
	return [][]byte{
		Attribute(t, OIDContentType, DER(t, contentType)),
		Attribute(t, OIDSigningTime, DER(t, time.Date(2026, 5, 31, 10, 0, 0, 0, time.UTC))),
		Attribute(t, OIDMessageDigest, TLV(0x04, digest)),
	}
}

func digestOID(h crypto.Hash) asn1.ObjectIdentifier {
	return map[crypto.Hash]asn1.ObjectIdentifier{
		crypto.MD5:    {1, 2, 840, 113549, 2, 5},
		crypto.SHA1:   {1, 3, 14, 3, 2, 26},
		crypto.SHA256: {2, 16, 840, 1, 101, 3, 4, 2, 1},
		crypto.SHA384: {2, 16, 840, 1, 101, 3, 4, 2, 2},
		crypto.SHA512: {2, 16, 840, 1, 101, 3, 4, 2, 3},
	}[h]
}

func ecdsaOID(h crypto.Hash) asn1.ObjectIdentifier {
	return map[crypto.Hash]asn1.ObjectIdentifier{
		crypto.SHA1:   {1, 2, 840, 10045, 4, 1},
		crypto.SHA256: {1, 2, 840, 10045, 4, 3, 2},
		crypto.SHA384: {1, 2, 840, 10045, 4, 3, 3},
		crypto.SHA512: {1, 2, 840, 10045, 4, 3, 4},
	}[h]
}

// DigestAlgorithm encodes the AlgorithmIdentifier of a digest.
func DigestAlgorithm(t testing.TB, h crypto.Hash) []byte {
	return TLV(0x30, DER(t, digestOID(h)))
}

// SignatureAlgorithm encodes the AlgorithmIdentifier that goes with a key.
func SignatureAlgorithm(t testing.TB, key crypto.PublicKey, h crypto.Hash) []byte {
	t.Helper()
	switch key.(type) {
	case *rsa.PublicKey:
		return TLV(0x30, DER(t, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}), []byte{5, 0})
	case *ecdsa.PublicKey:
		return TLV(0x30, DER(t, ecdsaOID(h)))
	case ed25519.PublicKey:
		return TLV(0x30, DER(t, asn1.ObjectIdentifier{1, 3, 101, 112}))
	}
	t.Fatalf("no signature algorithm for %T", key)
	return nil
}

func (s *Signature) digest() crypto.Hash {
	if _, ed := s.Key.Public().(ed25519.PublicKey); ed && s.Digest == 0 {
		return crypto.SHA512
	}
	if s.Digest == 0 {
		return crypto.SHA256
	}
	return s.Digest
}

// Sum hashes.
func Sum(h crypto.Hash, b []byte) []byte {
	state := h.New()
	state.Write(b)
	return state.Sum(nil)
}

// Encode builds the message.
func (m Message) Encode(t testing.TB) []byte {
	t.Helper()
	if m.Type == nil {
		m.Type = OIDData
	}
	var digests, infos, certificates [][]byte
	for i := range m.Signatures {
		s := &m.Signatures[i]
		digests = append(digests, DigestAlgorithm(t, s.digest()))
		infos = append(infos, m.signerInfo(t, s))
		certificates = append(certificates, s.Certificate.Raw)
	}
	if m.Certificates != nil {
		certificates = m.Certificates
	}
	wrap, content := TLV, TLV(0x04, m.Content)
	if m.Indefinite {
		wrap = Open
		half := len(m.Content) / 2
		content = Open(0x24, TLV(0x04, m.Content[:half]), TLV(0x24, TLV(0x04), TLV(0x04, m.Content[half:])))
	}
	var eContent []byte
	if m.Attached {
		eContent = wrap(0xa0, content)
	}
	fields := [][]byte{{2, 1, 1}, TLV(0x31, digests...), wrap(0x30, DER(t, m.Type), eContent)}
	if len(certificates) > 0 {
		fields = append(fields, wrap(0xa0, certificates...))
	}
	if len(m.CRLs) > 0 {
		fields = append(fields, wrap(0xa1, m.CRLs...))
	}
	fields = append(fields, wrap(0x31, infos...))
	return wrap(0x30, DER(t, OIDSignedData), wrap(0xa0, wrap(0x30, fields...)))
}

func (m Message) signerInfo(t testing.TB, s *Signature) []byte {
	t.Helper()
	h, content, key := s.digest(), s.Content, s.SignWith
	if content == nil {
		content = m.Content
	}
	if key == nil {
		key = s.Key
	}
	serial := s.Serial
	if serial == nil {
		serial = s.Certificate.SerialNumber
	}
	version, sid := []byte{2, 1, 1}, TLV(0x30, s.Certificate.RawIssuer, DER(t, serial))
	if s.KeyID != nil {
		version, sid = []byte{2, 1, 3}, TLV(0x80, s.KeyID)
	}
	message, signed := content, []byte(nil)
	if !s.NoAttributes {
		members := s.Attributes
		if members == nil {
			members = DefaultAttributes(t, m.Type, Sum(h, content))
		}
		message, signed = TLV(0x31, members...), TLV(0xa0, members...)
	}
	value := Sign(t, key, h, message)
	if s.Change != nil {
		value = s.Change(value)
	}
	algorithm := s.Algorithm
	if algorithm == nil {
		algorithm = SignatureAlgorithm(t, s.Key.Public(), h)
	}
	fields := [][]byte{version, sid, DigestAlgorithm(t, h), signed, algorithm, TLV(0x04, value)}
	if s.Unsigned != nil {
		fields = append(fields, TLV(0xa1, s.Unsigned...))
	}
	return TLV(0x30, fields...)
}

// Sign signs a message with a key: PKCS #1 1.5, ECDSA or Ed25519.
func Sign(t testing.TB, key crypto.Signer, h crypto.Hash, message []byte) []byte {
	t.Helper()
	input, opts := Sum(h, message), crypto.SignerOpts(h)
	if _, ed := key.Public().(ed25519.PublicKey); ed {
		input, opts = message, crypto.Hash(0)
	}
	value, err := key.Sign(rand.Reader, input, opts)
	if err != nil {
		t.Fatal(err)
	}
	return value
}
