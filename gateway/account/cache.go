package account

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

const (
	cacheLife = 60 * time.Second
	cacheSize = 4096 // entries
)

// cache remembers successful logins for a minute, so that a connection per
// letter does not cost a hash per letter.
//
// What it keeps is HMAC(process key, address, password, stored hash). The key
// never leaves the process. Because the stored hash is in it, an entry dies
// with the password on every node at once; because a budget is checked before
// the cache is asked, it is no way to guess faster.
type cache struct {
	key [32]byte

	mu      sync.Mutex
	expires map[[sha256.Size]byte]time.Time
}

func newCache() *cache {
	c := &cache{expires: map[[sha256.Size]byte]time.Time{}}
	rand.Read(c.key[:])
	return c
}

func (c *cache) has(now time.Time, l Login, phc string) bool {
	tag := c.tag(l, phc)
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.expires[tag]
	return ok && now.Before(t)
}

func (c *cache) add(now time.Time, l Login, phc string) {
	tag := c.tag(l, phc)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.expires) >= cacheSize {
		c.shrink(now)
	}
	c.expires[tag] = now.Add(cacheLife)
}

// shrink drops what has expired, and half of the rest if nothing has.
func (c *cache) shrink(now time.Time) {
	for tag, t := range c.expires {
		if !now.Before(t) {
			delete(c.expires, tag)
		}
	}
	for tag := range c.expires {
		if len(c.expires) <= cacheSize/2 {
			return
		}
		delete(c.expires, tag)
	}
}

// tag names one proven login. Lengths go in, so that no two logins share a
// text.
func (c *cache) tag(l Login, phc string) (tag [sha256.Size]byte) {
	m := hmac.New(sha256.New, c.key[:])
	var n [8]byte
	for _, s := range []string{rem.FoldAddress(l.Address), l.Password, phc} {
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		m.Write(n[:])
		m.Write([]byte(s))
	}
	m.Sum(tag[:0])
	return tag
}
