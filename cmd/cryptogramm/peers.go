package main

import (
	"net"
	"net/netip"
	"sync"
)

// maxPeerHTTP bounds the web connections of one peer. A browser opens a few, an
// office behind one address some dozens.
const maxPeerHTTP = 100

// peerListener keeps one peer from taking every connection there is: what is
// above most is closed as it comes, before it costs a handshake. Loopback is
// not counted, since a proxy on this machine is one peer for all its clients.
type peerListener struct {
	net.Listener
	most int

	mu   sync.Mutex
	open map[netip.Prefix]int
}

func limitPeers(l net.Listener, most int) *peerListener {
	return &peerListener{Listener: l, most: most, open: map[netip.Prefix]int{}}
}

// Accept waits for a connection of a peer who may have one more.
func (l *peerListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer, counted := peerOf(c.RemoteAddr())
		if !counted {
			return c, nil
		}
		if l.enter(peer) {
			return &peerConn{Conn: c, leave: sync.OnceFunc(func() { l.leave(peer) })}, nil
		}
		c.Close()
	}
}

func (l *peerListener) enter(peer netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[peer] >= l.most {
		return false
	}
	l.open[peer]++
	return true
}

func (l *peerListener) leave(peer netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[peer]--; l.open[peer] == 0 {
		delete(l.open, peer)
	}
}

// peerConn gives its place back when it is closed, once.
type peerConn struct {
	net.Conn
	leave func()
}

func (c *peerConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// peerOf is whom a connection counts for: an IPv4 address, or the /64 of IPv6
// that one customer has.
func peerOf(a net.Addr) (peer netip.Prefix, counted bool) {
	from, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return peer, false
	}
	ip := from.Addr().Unmap().WithZone("")
	if ip.IsLoopback() {
		return peer, false
	}
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	peer, err = ip.Prefix(bits)
	return peer, err == nil
}
