package door

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// caller is a Guest of a protocol that echoes lines.
type caller struct {
	net.Conn
	hall  *Hall
	panic bool
	once  sync.Once
}

func (c *caller) Peer() string { return Peer(c.RemoteAddr()) }

func (c *caller) Secure(context.Context) error {
	if c.panic {
		panic("before TLS")
	}
	return nil
}

func (c *caller) TurnAway(_ context.Context, why string) { io.WriteString(c, "away: "+why+"\n") }
func (c *caller) Drain()                                 { c.SetReadDeadline(time.Unix(1, 0)) }
func (c *caller) Cut()                                   { c.Conn.Close() }

func (c *caller) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { c.hall.Leave(c) })
	return err
}

// office is a Hall with its engine behind a listener.
type office struct {
	*Hall
	address string
	served  chan error
	stopped bool
}

func open(t *testing.T, c Config, panics bool) *office {
	t.Helper()
	o := &office{served: make(chan error, 1)}
	c.Log, c.Stop = slog.New(slog.DiscardHandler), func() { o.stopped = true }
	c.Guest = func(raw net.Conn, _ Door) Guest { return &caller{Conn: raw, hall: o.Hall, panic: panics} }
	c.Serve = func(l net.Listener) error {
		for {
			conn, err := l.Accept()
			if err != nil {
				return nil
			}
			go func() {
				defer conn.Close()
				io.Copy(conn, conn)
			}()
		}
	}
	o.Hall = New(c)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.address = l.Addr().String()
	go func() { o.served <- o.Serve(l, Door{Name: "echo"}) }()
	t.Cleanup(func() { o.Shutdown(context.Background()) })
	return o
}

// says is what a new client is told after a line of its own; "" when the
// connection ends.
func (o *office) says(t *testing.T) (net.Conn, string) {
	t.Helper()
	c, err := net.Dial("tcp", o.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "hello\n")
	line, _ := bufio.NewReader(c).ReadString('\n')
	return c, line
}

func (o *office) await(t *testing.T, n int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); o.Guests() != n; {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%d guests, want %d", o.Guests(), n)
		}
	}
}

// TestLimits: one too many is told so, and has the place of the next who goes.
func TestLimits(t *testing.T) {
	for want, c := range map[string]Config{
		"away: Too many connections, try again later\n":  {Connections: 2, PerPeer: 9},
		"away: Too many connections from your address\n": {Connections: 9, PerPeer: 2},
	} {
		o := open(t, c, false)
		first, got := o.says(t)
		if _, second := o.says(t); got != "hello\n" || second != "hello\n" {
			t.Fatalf("%q, %q", got, second)
		}
		if _, got := o.says(t); got != want {
			t.Errorf("the third is told %q, want %q", got, want)
		}
		first.Close()
		o.await(t, 1)
		if _, got := o.says(t); got != "hello\n" {
			t.Errorf("the next is told %q", got)
		}
	}
}

// TestShutdown: who waits is asked to go, who stays is cut off, and nobody is
// let in any more.
func TestShutdown(t *testing.T) {
	o := open(t, Config{Connections: 9, PerPeer: 9}, false)
	o.says(t)
	if err := o.Shutdown(t.Context()); err != nil || o.Guests() != 0 || !o.stopped || o.Context().Err() == nil {
		t.Errorf("%v, %d guests, engine stopped: %v", err, o.Guests(), o.stopped)
	}
	if err := <-o.served; err != nil {
		t.Errorf("serve: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Serve(l, Door{}); !errors.Is(err, ErrClosed) {
		t.Errorf("serve again: %v", err)
	}
	if len(o.peers) != 0 {
		t.Errorf("peers that are counted for ever: %v", o.peers)
	}

	o = open(t, Config{Connections: 9, PerPeer: 9}, false)
	o.says(t)
	o.Working.Add(1) // a letter that goes on
	context.AfterFunc(o.Context(), o.Working.Done)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("no patience"))
	if err := o.Shutdown(ctx); !errors.Is(err, context.Canceled) || o.Guests() != 0 {
		t.Errorf("%v, %d guests", err, o.Guests())
	}
}

// TestPanicBeforeTLS ends its connection alone.
func TestPanicBeforeTLS(t *testing.T) {
	o := open(t, Config{Connections: 9, PerPeer: 9}, true)
	for range 3 {
		if _, got := o.says(t); got != "" {
			t.Errorf("told %q", got)
		}
	}
	o.await(t, 0)
}

func TestPeerKey(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::/64", "2001:db8::ffff": "2001:db8::/64", "": "",
	} {
		if got := peerKey(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := Peer(&net.TCPAddr{IP: net.ParseIP("::ffff:192.0.2.1"), Port: 9}); got != "192.0.2.1" {
		t.Errorf("mapped address: %q", got)
	}
}
