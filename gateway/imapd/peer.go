package imapd

import (
	"net"
	"net/netip"
)

// host is the IP address of a client, "" where the network has none.
func host(a net.Addr) string {
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
