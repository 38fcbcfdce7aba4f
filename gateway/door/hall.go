package door

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Door is one of a server's ways in.
type Door struct {
	Name     string // RFC 8314's service name
	Implicit bool   // TLS from the first octet
}

// Guest is a connection. One goroutine uses it, except for Drain and Cut.
type Guest interface {
	net.Conn
	Peer() string                             // IP address; "" where the network has none
	Secure(ctx context.Context) error         // brings the stream to TLS
	TurnAway(ctx context.Context, why string) // says so, where the client can understand it
	Drain()                                   // has the client go as soon as it is between two commands
	Cut()                                     // closes the stream at once
}

// Config is what New needs.
type Config struct {
	Connections int                              // in all
	PerPeer     int                              // from one IP address (IPv6: one /64), loopback too
	Guest       func(raw net.Conn, d Door) Guest // it calls Leave when it is closed
	Serve       func(net.Listener) error         // of the engine, until the listener closes
	Stop        func()                           // ends what the engine has besides connections
	Log         *slog.Logger
}

// ErrClosed is the answer of Serve after Shutdown.
var ErrClosed = errors.New("server closed")

// maxTurned is how many clients are told at a time that there are too many.
const maxTurned = 32

// Hall serves any number of listeners until Shutdown.
type Hall struct {
	// Working is what Shutdown waits for: connections. A protocol adds what
	// outlives its connection, while that is open.
	Working sync.WaitGroup

	c      Config
	ctx    context.Context
	cancel context.CancelFunc
	feed   *feed
	ended  chan struct{} // the engine takes no more connections
	turned chan struct{} // a token for each client that is being turned away

	mu        sync.Mutex
	running   bool // the engine
	closing   bool
	listeners map[net.Listener]struct{}
	guests    map[Guest]struct{}
	peers     map[string]int
}

// New makes a Hall; Serve gives it listeners.
func New(c Config) *Hall {
	h := &Hall{
		c: c, feed: &feed{conns: make(chan net.Conn), done: make(chan struct{})}, ended: make(chan struct{}), turned: make(chan struct{}, maxTurned),
		listeners: map[net.Listener]struct{}{}, guests: map[Guest]struct{}{}, peers: map[string]int{},
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

// Context is that of everything done for a client; it ends when Shutdown loses
// patience, and with it.
func (h *Hall) Context() context.Context { return h.ctx }

// Guests is how many connections are open.
func (h *Hall) Guests() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.guests)
}

// Serve takes connections from l until Shutdown closes it, which gives nil.
func (h *Hall) Serve(l net.Listener, d Door) error {
	if !h.open(l) {
		l.Close()
		return ErrClosed
	}
	delay := 5 * time.Millisecond
	for {
		raw, err := l.Accept()
		switch {
		case err == nil:
			delay = 5 * time.Millisecond
			h.admit(h.c.Guest(raw, d), d)
		case h.isClosing():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept: %w", err)
		default: // out of descriptors: the next try may do better
			h.c.Log.Error("accept", "door", d.Name, "error", err)
			select {
			case <-time.After(delay):
			case <-h.feed.done:
			}
			delay = min(2*delay, time.Second)
		}
	}
}

// open registers a listener and starts the engine with the first.
func (h *Hall) open(l net.Listener) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		return false
	}
	h.listeners[l] = struct{}{}
	if !h.running {
		h.running = true
		go func() {
			defer close(h.ended)
			h.c.Serve(h.feed)
		}()
	}
	return true
}

func (h *Hall) isClosing() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closing
}

// admit lets a connection in, or turns it away.
func (h *Hall) admit(g Guest, d Door) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closing:
		g.Cut()
	case len(h.guests) >= h.c.Connections:
		h.turnAway(g, d, "Too many connections, try again later")
	case h.peers[peerKey(g.Peer())] >= h.c.PerPeer:
		h.turnAway(g, d, "Too many connections from your address")
	default:
		h.enter(g)
		go h.welcome(g, d)
	}
}

// Adopt takes a connection that came through no listener, whatever the limits.
func (h *Hall) Adopt(g Guest, d Door) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.enter(g)
	go h.welcome(g, d)
}

// enter needs mu.
func (h *Hall) enter(g Guest) {
	h.guests[g] = struct{}{}
	h.peers[peerKey(g.Peer())]++
	h.Working.Add(1)
}

// Leave takes a closed connection off the books.
func (h *Hall) Leave(g Guest) {
	h.mu.Lock()
	_, known := h.guests[g]
	if known {
		delete(h.guests, g)
		key := peerKey(g.Peer())
		if h.peers[key]--; h.peers[key] == 0 {
			delete(h.peers, key)
		}
	}
	h.mu.Unlock()
	if known {
		h.Working.Done()
	}
}

// welcome brings a connection to TLS and hands it to the engine.
func (h *Hall) welcome(g Guest, d Door) {
	err := h.secure(g)
	if err == nil && h.feed.push(g) {
		return
	}
	if err != nil {
		h.c.Log.Debug("no TLS", "door", d.Name, "peer", g.Peer(), "error", err)
	}
	g.Close()
}

// secure recovers a panic, so that one connection cannot end the process.
func (h *Hall) secure(g Guest) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			h.c.Log.Error("panic before TLS", "peer", g.Peer(), "panic", fmt.Sprint(p))
		}
	}()
	return g.Secure(h.ctx)
}

// turnAway tells a few clients at a time why; to more than that it says nothing.
func (h *Hall) turnAway(g Guest, d Door, why string) {
	h.c.Log.Warn("connection turned away", "door", d.Name, "peer", g.Peer(), "why", why)
	select {
	case h.turned <- struct{}{}:
	default:
		g.Cut()
		return
	}
	h.Working.Add(1)
	go func() {
		defer func() { <-h.turned; h.Working.Done() }()
		g.TurnAway(h.ctx, why)
		g.Close()
	}()
}

// Shutdown stops listening, has clients go that are between two commands, waits
// for what is on its way, and returns nil. When ctx ends first, what is left is
// cut off: the error of ctx.
func (h *Hall) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	running := h.running
	h.closing = true
	for l := range h.listeners {
		l.Close()
		delete(h.listeners, l)
	}
	for g := range h.guests {
		g.Drain()
	}
	h.mu.Unlock()

	done := make(chan struct{})
	go func() { h.Working.Wait(); close(done) }()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
		h.cut()
		<-done
	}
	h.feed.Close()
	if running {
		<-h.ended
		h.c.Stop()
	}
	h.cancel()
	return err
}

// cut ends everything at once. What is not yet committed fails.
func (h *Hall) cut() {
	h.cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	for g := range h.guests {
		g.Cut()
	}
}
