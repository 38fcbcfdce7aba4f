package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// ErrRefused: the address is one that is never dialled.
var ErrRefused = errors.New("the address may not be dialled")

// reserved4 are the nets of IANA's registry of special IPv4 addresses that are
// not globally reachable, with multicast and the old class E.
var reserved4 = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
)

// Of IPv6 only global unicast is dialled, less what is reserved or stands for
// something else in it: protocol assignments with Teredo, benchmarks and
// ORCHID, documentation, 6to4.
var (
	unicast6  = netip.MustParsePrefix("2000::/3")
	reserved6 = prefixes("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
	nat64     = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: the IPv4 address is in the last 32 bits
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func within(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

// public tells whether an address is one of the public Internet, in whatever
// form it stands for an IPv4 address.
func public(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	switch {
	case a.Is4():
		return !within(reserved4, a)
	case nat64.Contains(a):
		bytes := a.As16()
		return public(netip.AddrFrom4([4]byte(bytes[12:])))
	}
	return unicast6.Contains(a) && !within(reserved6, a)
}

// control is asked by the dialler about every address it is about to connect
// to, after resolution.
func (c *Client) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !strings.HasPrefix(network, "tcp") {
		return fmt.Errorf("%s %s: %w", network, address, ErrRefused)
	}
	if !slices.Contains(c.Ports, to.Port()) || !public(to.Addr()) && !within(c.AllowNets, to.Addr().Unmap()) {
		return fmt.Errorf("%s: %w", address, ErrRefused)
	}
	return nil
}

// allowed checks an address as far as it can be without resolving it.
func (c *Client) allowed(u *url.URL) error {
	port := u.Port()
	switch {
	case u.Scheme == "http" && port == "":
		port = "80"
	case u.Scheme == "https" && port == "":
		port = "443"
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme %q: %w", u.Scheme, ErrRefused)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || !slices.Contains(c.Ports, uint16(n)) {
		return fmt.Errorf("port %q: %w", port, ErrRefused)
	}
	if u.Hostname() == "" || u.User != nil {
		return fmt.Errorf("host of %q: %w", u.Redacted(), ErrRefused)
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && !public(a) && !within(c.AllowNets, a.Unmap()) {
		return fmt.Errorf("%s: %w", a, ErrRefused)
	}
	return nil
}
