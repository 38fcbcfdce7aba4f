package main

import (
	"io"
	"net"
	"testing"
)

// queue is a listener to which tests bring connections from anywhere.
type queue chan net.Conn

func (q queue) Accept() (net.Conn, error) {
	c, ok := <-q
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (q queue) Close() error   { close(q); return nil }
func (q queue) Addr() net.Addr { return &net.TCPAddr{} }

type from struct {
	net.Conn
	addr string
}

func (c from) RemoteAddr() net.Addr {
	a, err := net.ResolveTCPAddr("tcp", c.addr)
	if err != nil {
		panic(err)
	}
	return a
}

func TestPeersAreLimited(t *testing.T) {
	q := make(queue, 20)
	l := limitPeers(q, 2)
	knock := func(addr string) net.Conn {
		there, here := net.Pipe()
		q <- from{here, addr}
		return there
	}
	for _, addr := range []string{
		"192.0.2.1:1", "192.0.2.1:2", "[2001:db8:1:2::1]:1", "[2001:db8:1:2:3::1]:1", "[::ffff:192.0.2.2]:1",
		"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "[::1]:1", "[::1]:2", "[::1]:3",
	} {
		knock(addr)
	}
	var in []net.Conn
	for range 11 {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		in = append(in, c)
	}
	// A third of the same address or network is closed, and the next one served.
	for _, addr := range []string{"192.0.2.1:3", "[2001:db8:1:2:ffff::]:9"} {
		refused := knock(addr)
		knock("127.0.0.1:9")
		if c, err := l.Accept(); err != nil || c.RemoteAddr().String() != "127.0.0.1:9" {
			t.Fatalf("after %s: %v", addr, err)
		}
		if _, err := refused.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s is not closed: %v", addr, err)
		}
	}
	// A place is given back once, however often it is closed.
	for range 3 {
		in[0].Close()
	}
	knock("192.0.2.1:4")
	if c, err := l.Accept(); err != nil || c.RemoteAddr().String() != "192.0.2.1:4" {
		t.Fatalf("a free place is not given: %v", err)
	}
	knock("192.0.2.1:5")
	knock("192.0.2.2:2")
	if c, err := l.Accept(); err != nil || c.RemoteAddr().String() != "192.0.2.2:2" {
		t.Fatalf("a place was given back twice: %v", err)
	}
	for _, c := range in {
		c.Close()
	}
	if q.Close(); len(l.open) != 2 {
		t.Errorf("left: %v", l.open)
	}
	if _, err := l.Accept(); err != net.ErrClosed {
		t.Errorf("closed: %v", err)
	}
}
