package door

import (
	"net"
	"sync"
)

// feed is the engine's listener: connections come to it once they are TLS.
type feed struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// push is false when the engine is gone.
func (f *feed) push(c net.Conn) bool {
	select {
	case f.conns <- c:
		return true
	case <-f.done:
		return false
	}
}

// Accept is part of net.Listener.
func (f *feed) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close is part of net.Listener.
func (f *feed) Close() error {
	f.once.Do(func() { close(f.done) })
	return nil
}

// Addr is part of net.Listener.
func (f *feed) Addr() net.Addr { return feedAddr{} }

type feedAddr struct{}

func (feedAddr) Network() string { return "door" }
func (feedAddr) String() string  { return "door" }
