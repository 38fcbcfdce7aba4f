package smtpd

import (
	"io"
	"sync/atomic"

	"cryptogramm.ru/cryptogramm/gateway/message"
)

// body is a letter on its way from the engine to the gateway. It counts octets,
// and refuses what the guard saw on the wire and the engine may have lost: when
// the last octet has come, so has the guard's word on all of them.
type body struct {
	r    io.Reader
	conn *conn
	n    atomic.Int64
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.n.Add(int64(n))
	if b.conn.dirty.Load() {
		return 0, message.ErrBareLineEnd
	}
	return n, err
}

// size is how many octets were read.
func (b *body) size() int64 {
	if b == nil {
		return 0
	}
	return b.n.Load()
}
