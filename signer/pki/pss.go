package pki

import (
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var oidMGF1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}

// pssSettings is RSASSA-PSS-params (RFC 4055 §3.1) reduced to what may vary
// here: the mask generator is MGF1 with the same hash, the trailer is 1.
type pssSettings struct {
	hash *Hash
	salt int // octets
}

// maxSalt bounds the salt length; an 8192-bit key has room for less than this.
const maxSalt = 1024

// readPSSSettings reads RSASSA-PSS-params. Parameters must be present: their
// defaults mean SHA-1. Two hashes in one signature, or another trailer, are not supported.
func readPSSSettings(der []byte) (*pssSettings, error) {
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, fmt.Errorf("PSS parameters: %w", ErrUnsupported)
	}
	sha1 := AlgorithmIdentifier{OID: oidSHA1}
	digest, okHash := optionalAlgorithm(&seq, 0, sha1)
	mask, okMask := optionalAlgorithm(&seq, 1, AlgorithmIdentifier{OID: oidMGF1})
	salt, okSalt := optionalNumber(&seq, 2, 20)
	trailer, okTrailer := optionalNumber(&seq, 3, 1)
	if !okHash || !okMask || !okSalt || !okTrailer || !seq.Empty() {
		return nil, fmt.Errorf("PSS parameters: %w", ErrUnsupported)
	}
	maskDigest := sha1
	if mask.Parameters != nil {
		var err error
		if maskDigest, err = ParseAlgorithmIdentifier(mask.Parameters); err != nil {
			return nil, fmt.Errorf("PSS mask parameters: %w", ErrUnsupported)
		}
	}
	h, err := hashByIdentifier(digest)
	if err != nil {
		return nil, err
	}
	switch {
	case !mask.OID.Equal(oidMGF1) || !maskDigest.OID.Equal(digest.OID) || !maskDigest.absentOrNull():
		return nil, fmt.Errorf("PSS mask generator: %w", ErrUnsupported)
	case trailer != 1:
		return nil, fmt.Errorf("PSS trailer: %w", ErrUnsupported)
	case salt == 0 || salt >= maxSalt:
		// crypto/rsa cannot be told to insist on an empty salt (0 means "any" there).
		return nil, fmt.Errorf("PSS salt length %d: %w", salt, ErrUnsupported)
	}
	return &pssSettings{hash: h, salt: salt}, nil
}

// within checks a signature's settings against those its key demands: the same
// hash, at least that much salt (RFC 4055 §3.3).
func (p *pssSettings) within(key *pssSettings) error {
	if key != nil && (!p.hash.OID.Equal(key.hash.OID) || p.salt < key.salt) {
		return fmt.Errorf("PSS parameters of signature and key: %w", ErrMismatch)
	}
	return nil
}

func optionalAlgorithm(seq *cryptobyte.String, n uint8, otherwise AlgorithmIdentifier) (AlgorithmIdentifier, bool) {
	var field cryptobyte.String
	var present bool
	if !seq.ReadOptionalASN1(&field, &present, cbasn1.Tag(n).Constructed().ContextSpecific()) {
		return otherwise, false
	}
	if !present {
		return otherwise, true
	}
	alg, ok := readAlgorithm(&field)
	return alg, ok && field.Empty()
}

func optionalNumber(seq *cryptobyte.String, n uint8, otherwise int) (int, bool) {
	var field cryptobyte.String
	var present bool
	if !seq.ReadOptionalASN1(&field, &present, cbasn1.Tag(n).Constructed().ContextSpecific()) {
		return otherwise, false
	}
	if !present {
		return otherwise, true
	}
	v, ok := readSmallInteger(&field, cbasn1.INTEGER, maxSalt)
	return v, ok && field.Empty()
}
