package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// refused are addresses of every kind that is never dialled, those first that
// lead to this machine.
var refused = []string{
	"127.0.0.1", "127.0.0.53", "127.255.255.254", "0.0.0.0", "0.1.2.3", "::", "::1", "::ffff:127.0.0.1", "::ffff:0.0.0.0", "::127.0.0.1",
	"::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.1.2.3", "64:ff9b::169.254.169.254", "64:ff9b:1::7f00:1", "64:ff9b:1:abcd::1",
	"2002:7f00:1::", "2002:a01:203::1", "2002:808:808::1", "2001::7f00:1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
	"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.255",
	"169.254.169.254", "169.254.0.1", "192.0.0.1", "192.0.2.1", "198.51.100.7", "203.0.113.9", "198.18.0.1", "198.19.255.255", "192.88.99.1",
	"224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:192.168.0.1",
	"fc00::1", "fd12:3456:789a::1", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1", "3fff::1", "100::1",
	"2001:2::1", "2001:10::1", "2001:20::1", "5f00::1", "4000::1", "fe80::1%lo",
}

var dialled = []string{
	"8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "172.15.255.255", "172.32.0.0",
	"192.0.1.0", "192.167.255.255", "198.17.255.255", "198.20.0.0", "223.255.255.255", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
	"2001:200::1", "2001:4860:4860::8888", "2003::1", "2a00:1450::1", "3ffe::1", "2606:4700::1",
}

func TestPublic(t *testing.T) {
	for _, s := range refused {
		if public(netip.MustParseAddr(s)) {
			t.Errorf("%s counts as public", s)
		}
	}
	for _, s := range dialled {
		if !public(netip.MustParseAddr(s)) {
			t.Errorf("%s does not count as public", s)
		}
	}
}

// TestNoConnectionReachesAListener: no form of an address, written in the URL or
// given by a name server, leads to a listener on this machine.
func TestNoConnectionReachesAListener(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "reached") })
	six := net.Listener(nil)
	if l, err := net.Listen("tcp6", net.JoinHostPort("::1", fmt.Sprint(s.port()))); err == nil {
		six = l
		defer l.Close()
	}
	names := map[string][]string{}
	var urls []string
	for i, a := range refused {
		host := a
		if strings.Contains(a, ":") {
			host = "[" + strings.ReplaceAll(a, "%", "%25") + "]"
		}
		urls = append(urls, fmt.Sprintf("http://%s:%d/", host, s.port()))
		if !strings.Contains(a, "%") {
			name := fmt.Sprintf("n%d.hostile.test", i)
			names[name] = []string{a}
			urls = append(urls, fmt.Sprintf("http://%s:%d/", name, s.port()))
		}
	}
	names["several.test"] = []string{"127.0.0.1", "::1", "10.0.0.1", "::ffff:127.0.0.1"}
	for _, host := range []string{"several.test", "localhost", "2130706433", "0x7f000001", "017700000001", "127.1", "0x7f.1", "127.0.0.1.", "[::ffff:7f00:1]"} {
		urls = append(urls, fmt.Sprintf("http://%s:%d/", host, s.port()), fmt.Sprintf("https://%s:%d/", host, s.port()))
	}
	client := New(Config{Ports: []uint16{s.port()}, Resolver: nameServer(t, func(name string, _ int) []string { return names[name] }), Timeout: time.Second})
	for _, u := range urls {
		if out, err := client.exchange(t.Context(), query{url: u, limit: 100}); err == nil {
			t.Errorf("%s: %q", u, out)
		}
	}
	for _, u := range []string{
		"http://127.0.0.1/", "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1:70/", "http:///", "http://u:p@127.0.0.1/", "//127.0.0.1/",
		fmt.Sprintf("http://8.8.8.8:%d/", s.port()+1), "http://8.8.8.8:22/", "http://8.8.8.8:99999/", "http://8.8.8.8:/x:1", "ldap://8.8.8.8/", "http://[fe80::1%25lo]/",
	} {
		if _, err := client.exchange(t.Context(), query{url: u, limit: 100}); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", u, err)
		}
	}
	if n := s.connections.Load(); n != 0 {
		t.Errorf("%d connections reached the listener", n)
	}
	if six != nil {
		six.(*net.TCPListener).SetDeadline(time.Now())
		if c, err := six.Accept(); err == nil {
			t.Errorf("%s reached the listener", c.RemoteAddr())
		}
	}
	client = New(loopback(s)) // the listener is there
	if out, err := client.exchange(t.Context(), query{url: s.URL, limit: 100}); err != nil || string(out) != "reached" {
		t.Errorf("allowed: %q %v", out, err)
	}
}

// TestRebinding: a name that resolves elsewhere the second time is judged by
// where it leads then.
func TestRebinding(t *testing.T) {
	inner := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/again", http.StatusFound)
			return
		}
		fmt.Fprint(w, "reached")
	})
	config := loopback(inner)
	config.AllowNets = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	config.Resolver = nameServer(t, func(name string, asked int) []string {
		if name == "steady.test" || asked < 2 { // one question each for A and AAAA
			return []string{"127.0.0.1"}
		}
		return []string{"127.0.0.2"}
	})
	fetch := func(name string) (string, error) {
		out, err := New(config).exchange(t.Context(), query{url: fmt.Sprintf("http://%s:%d/", name, inner.port()), limit: 100})
		return string(out), err
	}
	if out, err := fetch("steady.test"); err != nil || out != "reached" {
		t.Fatalf("%q %v", out, err)
	}
	before := inner.requests.Load()
	if out, err := fetch("turning.test"); !errors.Is(err, ErrRefused) {
		t.Errorf("%q %v", out, err)
	}
	if n := inner.requests.Load() - before; n != 1 {
		t.Errorf("%d requests", n)
	}
}

// nameServer is a resolver whose names lead where answer says; it is asked the
// how many-th time of each name.
func nameServer(t *testing.T, answer func(name string, asked int) []string) *net.Resolver {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { udp.Close() })
	asked := map[string]int{}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Authoritative, m.Additionals = true, true, nil
			q := m.Questions[0]
			name := strings.TrimSuffix(q.Name.String(), ".")
			for _, s := range answer(name, asked[name]) {
				head := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
				switch a := netip.MustParseAddr(s); {
				case a.Is4() && q.Type == dnsmessage.TypeA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: a.As4()}})
				case a.Is6() && q.Type == dnsmessage.TypeAAAA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
				}
			}
			asked[name]++
			if out, err := m.Pack(); err == nil {
				udp.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", udp.LocalAddr().String())
	}}
}
