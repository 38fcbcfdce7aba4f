package pki

import (
	"crypto"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
)

// What the algorithm table answers besides yes.
var (
	// ErrUnsupported: no row of the table reads this algorithm, key or parameter.
	ErrUnsupported = errors.New("algorithm not supported")
	// ErrWeak: the algorithm or the key is known and no longer to be relied on.
	ErrWeak = errors.New("algorithm too weak")
	// ErrMismatch: digest, signature algorithm and key do not belong together.
	ErrMismatch = errors.New("algorithms do not agree")
	// ErrBadSignature: the signature is not one of this key over these bytes.
	ErrBadSignature = errors.New("signature does not verify")
)

// Hash is one digest algorithm. Size is in octets. A Weak hash can be computed
// and is never relied on.
type Hash struct {
	OID  asn1.ObjectIdentifier
	Name string
	New  func() hash.Hash
	Size int
	Weak bool

	id crypto.Hash // for the standard library's RSA; zero for hashes that it does not know
}

// OIDs of digests: RFC 5754, RFC 3370.
var (
	oidMD5    = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5}
	oidSHA1   = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA224 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 4}
	oidSHA256 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
)

// hashTable is the digest half of the algorithm table. It is never written to.
var hashTable = []Hash{
	{OID: oidSHA256, Name: "SHA-256", New: sha256.New, Size: 32, id: crypto.SHA256},
	{OID: oidSHA384, Name: "SHA-384", New: sha512.New384, Size: 48, id: crypto.SHA384},
	{OID: oidSHA512, Name: "SHA-512", New: sha512.New, Size: 64, id: crypto.SHA512},
	{OID: oidSHA224, Name: "SHA-224", New: sha256.New224, Size: 28, id: crypto.SHA224},
	{OID: oidSHA1, Name: "SHA-1", New: sha1.New, Size: 20, Weak: true, id: crypto.SHA1},
	{OID: oidMD5, Name: "MD5", New: md5.New, Size: 16, Weak: true, id: crypto.MD5},
}

// HashByOID finds a digest algorithm; the error is ErrUnsupported. A weak hash
// is found too: the caller looks at Weak.
func HashByOID(oid asn1.ObjectIdentifier) (*Hash, error) {
	for i := range hashTable {
		if hashTable[i].OID.Equal(oid) {
			h := hashTable[i]
			return &h, nil
		}
	}
	return nil, fmt.Errorf("digest %s: %w", oid, ErrUnsupported)
}

// hashByIdentifier is HashByOID with the rule for parameters: absent or NULL (RFC 5754 §2).
func hashByIdentifier(alg AlgorithmIdentifier) (*Hash, error) {
	h, err := HashByOID(alg.OID)
	if err != nil {
		return nil, err
	}
	if !alg.absentOrNull() {
		return nil, fmt.Errorf("digest %s with parameters: %w", h.Name, ErrUnsupported)
	}
	return h, nil
}

// sum is the digest of a message.
func (h *Hash) sum(message []byte) []byte {
	d := h.New()
	d.Write(message) // hash.Hash never returns an error
	return d.Sum(nil)
}
