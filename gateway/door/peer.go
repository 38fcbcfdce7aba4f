package door

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"time"
)

// Peer is the IP address of a client, "" where the network has none.
func Peer(a net.Addr) string {
	if a == nil {
		return ""
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return ""
	}
	return ap.Addr().Unmap().WithZone("").String()
}

// peerKey is what connections are counted by: one IPv4 address, one /64.
func peerKey(peer string) string {
	ip, err := netip.ParseAddr(peer)
	if err != nil || ip.Is4() {
		return peer
	}
	p, err := ip.Prefix(64)
	if err != nil {
		return peer
	}
	return p.String()
}

// Linger lets a client read the last reply before its connection closes. With
// input unread a plain close would reset the connection and take the reply with
// it, so it ends our side, if that can be done, and waits a while for the client
// to end the other. stream is raw, or TLS over it.
func Linger(stream, raw net.Conn, wait time.Duration) {
	half, ok := raw.(interface{ CloseWrite() error })
	if !ok {
		return
	}
	if t, ok := stream.(*tls.Conn); ok {
		t.CloseWrite()
	}
	half.CloseWrite()
	raw.SetReadDeadline(time.Now().Add(wait))
	io.CopyN(io.Discard, raw, 1<<20)
}
