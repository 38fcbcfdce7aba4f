package rem

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Digest is a SHA-256 value. Its text form is 64 lower-case hex digits.
type Digest [sha256.Size]byte

// DigestOf hashes b.
func DigestOf(b []byte) Digest { return sha256.Sum256(b) }

// ParseDigest reads the text form.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if err := d.UnmarshalText([]byte(s)); err != nil {
		return Digest{}, err
	}
	return d, nil
}

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether no digest was set.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText writes the text form, "" for the zero digest.
func (d Digest) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return nil, nil
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads the text form; "" is the zero digest.
func (d *Digest) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = Digest{}
		return nil
	}
	if len(b) != hex.EncodedLen(len(d)) {
		return fmt.Errorf("digest: %d characters, want %d", len(b), hex.EncodedLen(len(d)))
	}
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("digest: not lower-case hex")
		}
	}
	_, err := hex.Decode(d[:], b)
	return err
}

// Ref names bytes by their content.
type Ref struct {
	SHA256 Digest `json:"sha256"`
	Size   int64  `json:"size"` // octets
}

func (r Ref) String() string { return r.SHA256.String() }

// Range is a byte range of a stored letter together with the transfer
// encoding that has to be undone to get the file (RFC 2045 §6).
type Range struct {
	Offset   int64  `json:"offset"`
	Length   int64  `json:"length"`
	Encoding string `json:"encoding"` // "7bit", "8bit", "binary", "base64", "quoted-printable"
}
