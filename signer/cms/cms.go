// Package cms reads, checks and makes Cryptographic Message Syntax signatures (RFC 5652), as DER or BER octets.
//
// Invariants:
//   - The signed content is never held: Parse measures it, Content streams it. Memory depends on certificates,
//     attributes and revocation lists alone, and those are bounded before they are stored.
//   - Every reader is one pass over its input and linear in it; nesting is at most 32 levels.
//   - Only what RFC 5652 lets be BER may be BER: lengths, indefinite forms and divided octet strings around and in the
//     content. Signed attributes and certificates have to be DER as received and are never rewritten.
//   - A SignerInfo belongs to the certificate that its sid names and under which it verifies, to no other.
//
// Deliberately absent: MIME, PEM and base64 (the caller decodes), trust in certificates (package pki and package
// signer), encryption, countersignatures and timestamps (their attributes are kept raw for other packages), and the
// PKCS #7 1.5 form whose content is not an OCTET STRING.
package cms

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"

	"cryptogramm.ru/cryptogramm/signer/pki"
)

// Limits of one SignedData. What exceeds them is ErrTooLarge.
const (
	MaxDepth        = 32       // nested elements
	MaxSigners      = 16       // SignerInfos
	MaxCertificates = 64       // members of the certificates field, of any kind
	MaxCRLs         = 64       // members of the crls field, of any kind
	MaxAttributes   = 64       // attributes in one set, and values in one attribute
	MaxDigests      = 32       // digestAlgorithms
	MaxStructure    = 10 << 20 // octets of everything but the content
)

// Why octets are not a SignedData that can be judged. Parse and Content wrap exactly one of them; any other error they
// return is the reader's own.
var (
	ErrNotSignedData = errors.New("not a CMS SignedData")
	ErrEnveloped     = fmt.Errorf("encrypted CMS content: %w", ErrNotSignedData)
	ErrMalformed     = errors.New("malformed CMS")
	ErrTooLarge      = errors.New("CMS exceeds a limit")
)

// Source opens the encoded signature, or its content, anew at each call. Octets are DER or BER.
type Source func() (io.ReadCloser, error)

// SignedData is a parsed SignedData without its content (RFC 5652 §5.1).
type SignedData struct {
	ContentType      asn1.ObjectIdentifier // eContentType
	Attached         bool                  // eContent is present, even if empty
	ContentSize      int64                 // octets of eContent, 0 when detached
	DigestAlgorithms []pki.AlgorithmIdentifier
	Certificates     []*pki.Certificate
	BadCertificates  int // members of the certificates field that are not X.509 certificates fit for use
	CRLs             []*pki.CRL
	BadCRLs          int // the same for the crls field
	Signers          []SignerInfo
	BER              bool // some octets around the content are BER and not DER
}

// SignerInfo is one signature (RFC 5652 §5.3). It is named by Issuer and Serial, or by SubjectKeyID.
type SignerInfo struct {
	Version             int
	Issuer              pki.Name
	Serial              *big.Int // nil when SubjectKeyID names the signer
	SubjectKeyID        []byte
	Digest, Signature   pki.AlgorithmIdentifier
	SignedAttributes    []Attribute // nil when SignedAttributesDER is nil or is no DER
	SignedAttributesDER []byte      // the SET OF Attribute that was signed, tag 0x31; nil: there are none
	SignatureValue      []byte
	UnsignedAttributes  []Attribute

	attributesErr error // why SignedAttributesDER could not be read
}

// Attribute is one attribute; each value is a whole encoded element (RFC 5652 §5.3).
type Attribute struct {
	OID    asn1.ObjectIdentifier
	Values [][]byte
}
