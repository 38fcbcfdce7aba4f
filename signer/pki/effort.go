package pki

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
)

// ErrEffort: the signatures of one whole would cost more than may be spent on it.
var ErrEffort = fmt.Errorf("too much to compute: %w", ErrUnsupported)

// Effort is what the public-key operations of all requests that share it may
// still cost, in microseconds of a common processor: the limits of one path
// bound one signature, and a letter may bring a hundred. nil has no limit. It
// is not for concurrent use.
type Effort struct{ left int }

// NewEffort is an effort of so many microseconds.
func NewEffort(microseconds int) *Effort { return &Effort{microseconds} }

// Spend takes one operation with a key off the effort. It is false when not
// enough is left, now and from then on.
func (e *Effort) Spend(k *PublicKey) bool {
	if e == nil {
		return true
	}
	e.left = max(e.left-k.cost(), -1)
	return e.left >= 0
}

// cost of one verification. Only the order of magnitude matters: the dearest
// key costs a hundred times the cheapest.
func (k *PublicKey) cost() int {
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		kilobits := key.N.BitLen()/1024 + 1
		if key.E > 1<<16+1 {
			return 48 * kilobits * kilobits
		}
		return 16 * kilobits * kilobits
	case *ecdsa.PublicKey:
		return map[int]int{256: 90, 384: 650, 521: 1700}[key.Curve.Params().BitSize]
	}
	return 60
}
