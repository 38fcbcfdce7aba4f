package smtpd

import (
	"io"
	"sync/atomic"
)

// body counts the octets of a letter on its way to the gateway.
type body struct {
	r io.Reader
	n atomic.Int64
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.n.Add(int64(n))
	return n, err
}

// size is how many octets were read.
func (b *body) size() int64 {
	if b == nil {
		return 0
	}
	return b.n.Load()
}
