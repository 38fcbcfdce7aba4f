package rem

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"time"
)

// An id is 26 characters for 128 bits. It begins with a time, and what is
// derived from a subject begins with the subject's: so rows that are written
// together lie together in every index, and an index grows at its end, however
// many letters there are. The other bits are random or a hash. An id is no
// secret.
const (
	idLength = 26
	idPrefix = 8 // characters, 5 octets: seconds and their 256ths
)

// idEncoding is base32 with the characters in the order in which text sorts.
var idEncoding = base32.NewEncoding("234567abcdefghijklmnopqrstuvwxyz").WithPadding(base32.NoPadding)

// NewID is an id of this moment; later ids sort after it.
func NewID(now time.Time, random [11]byte) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], (uint64(now.Unix())<<8|uint64(now.Nanosecond())*256/1e9)<<24)
	copy(b[16-len(random):], random[:])
	return IDText(b)
}

// IDText writes 16 octets as an id.
func IDText(b [16]byte) string { return idEncoding.EncodeToString(b[:]) }

// deriveID is a stable id for something of a subject, told apart by words:
// SHA-256 over the length-prefixed subject and words, behind the subject's time
// when that is an id.
func deriveID(subject string, words ...string) string {
	h := sha256.New()
	for _, w := range append([]string{subject}, words...) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(w)))
		h.Write(n[:])
		h.Write([]byte(w))
	}
	id := IDText([16]byte(h.Sum(nil)))
	if len(subject) == idLength {
		return subject[:idPrefix] + id[idPrefix:]
	}
	return id
}
