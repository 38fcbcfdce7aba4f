package pki

import "sync"

// maxVerified is how many verified signatures a TrustStore remembers at least.
const maxVerified = 4096

// signatureID names a signed object and the key it verified under.
type signatureID struct {
	object [32]byte // SHA-256 of the certificate or CRL, which includes its signature
	key    [32]byte // SHA-256 of the issuer's SubjectPublicKeyInfo
}

// signatureCache remembers signatures that verified, and no others: a failure
// is never remembered, so a full cache can cost time but not a verdict. Two
// generations bound it; what is in use moves to the young one.
type signatureCache struct {
	mu         sync.Mutex
	young, old map[signatureID]struct{}
	limit      int // of one generation
}

func newSignatureCache(limit int) *signatureCache {
	return &signatureCache{young: make(map[signatureID]struct{}), limit: limit}
}

func (c *signatureCache) has(id signatureID) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.young[id]; ok {
		return true
	}
	_, ok := c.old[id]
	if ok {
		c.put(id)
	}
	return ok
}

func (c *signatureCache) add(id signatureID) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(id)
}

func (c *signatureCache) put(id signatureID) {
	if len(c.young) >= c.limit {
		c.old, c.young = c.young, make(map[signatureID]struct{})
	}
	c.young[id] = struct{}{}
}
