package imapd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/store"
)

// Config is what New needs. All but Limits and Now is required.
type Config struct {
	Gateway  *gateway.Gateway
	Accounts *account.Accounts
	DB       *store.DB // read only: changes go through Gateway
	TLS      *tls.Config
	Limits   Limits
	Now      func() time.Time // nil: time.Now
	Log      *slog.Logger
}

// door is one of the two ways in.
type door struct {
	name     string // RFC 8314's service name
	implicit bool   // TLS from the first octet
}

// ErrClosed is the answer of Serve after Shutdown.
var ErrClosed = errors.New("imap server closed")

// Server serves any number of listeners until Shutdown.
type Server struct {
	Config
	ctx       context.Context // of every command; ends when Shutdown loses patience
	cancel    context.CancelFunc
	engine    *imapserver.Server
	feed      *feed
	ended     chan struct{} // the engine takes no more connections
	searching chan struct{} // a token for each search that reads bodies
	buffers   sync.Pool     // of *[]byte, output of connections that have some

	working sync.WaitGroup // connections
	turned  chan struct{}  // how many clients are being turned away

	mu        sync.Mutex
	running   bool // the engine
	closing   bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	peers     map[string]int
}

// New makes a server; Serve and ServeTLS give it listeners.
func New(c Config) *Server {
	s := &Server{Config: c}
	s.Limits = c.Limits.withDefaults()
	if s.Now == nil {
		s.Now = time.Now
	}
	s.TLS = c.TLS.Clone()
	s.TLS.MinVersion = max(s.TLS.MinVersion, tls.VersionTLS12)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.turned = make(chan struct{}, 32)
	s.searching = make(chan struct{}, s.Limits.Searches)
	s.buffers.New = func() any { b := make([]byte, 0, outputBuffer+outputBuffer/4); return &b }
	s.listeners, s.conns, s.peers = map[net.Listener]struct{}{}, map[*conn]struct{}{}, map[string]int{}
	s.feed = &feed{conns: make(chan net.Conn), done: make(chan struct{})}
	s.ended = make(chan struct{})
	s.engine = imapserver.New(&imapserver.Options{
		NewSession: s.newSession,
		Caps:       capabilities(),
		Logger:     engineLog{s.Log},
		// Every connection of the feed is TLS, which the engine cannot see.
		InsecureAuth: true,
	})
	return s
}

// capabilities are those the engine leaves to us (RFC 9051 §6.1.1). SASL-IR,
// IDLE, UNSELECT, ENABLE and LITERAL- it adds; LITERAL+ would let a client send
// 100 MiB unasked.
func capabilities() imap.CapSet {
	set := imap.CapSet{}
	for _, c := range []imap.Cap{
		imap.CapIMAP4rev1, imap.CapIMAP4rev2, imap.CapNamespace, imap.CapUIDPlus, imap.CapESearch, imap.CapSearchRes,
		imap.CapListExtended, imap.CapListStatus, imap.CapMove, imap.CapStatusSize, imap.CapChildren, imap.CapSpecialUse,
	} {
		set[c] = struct{}{}
	}
	return set
}

func (s *Server) newSession(c *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
	guard, ok := c.NetConn().(*conn)
	if !ok || !guard.secure {
		return nil, nil, &imap.Error{Type: imap.StatusResponseTypeBye, Code: imap.ResponseCodePrivacyRequired, Text: "TLS is not available"}
	}
	return &session{srv: s, conn: guard, engine: c, began: s.Now()}, nil, nil
}

// ServeTLS serves TLS from the first octet ("imaps", 993) until Shutdown
// closes l, which gives nil.
func (s *Server) ServeTLS(l net.Listener) error {
	return s.serve(l, door{name: "imaps", implicit: true})
}

// Serve serves STARTTLS ("imap", 143) until Shutdown closes l, which gives nil.
func (s *Server) Serve(l net.Listener) error { return s.serve(l, door{name: "imap"}) }

func (s *Server) serve(l net.Listener, d door) error {
	if !s.open(l) {
		l.Close()
		return ErrClosed
	}
	delay := 5 * time.Millisecond
	for {
		raw, err := l.Accept()
		switch {
		case err == nil:
			delay = 5 * time.Millisecond
			s.admit(raw, d)
		case s.isClosing():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept: %w", err)
		default: // out of descriptors: the next try may do better
			s.Log.Error("accept", "door", d.name, "error", err)
			select {
			case <-time.After(delay):
			case <-s.feed.done:
			}
			delay = min(2*delay, time.Second)
		}
	}
}

// open registers a listener and starts the engine with the first.
func (s *Server) open(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.listeners[l] = struct{}{}
	if !s.running {
		s.running = true
		go func() {
			defer close(s.ended)
			s.engine.Serve(s.feed)
		}()
	}
	return true
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// admit starts a connection, or turns it away with BYE.
func (s *Server) admit(raw net.Conn, d door) {
	c := newConn(s, raw, d)
	key := peerKey(c.peer)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		raw.Close()
	case len(s.conns) >= s.Limits.Connections:
		s.turnAway(c, "Too many connections, try again later")
	case s.peers[key] >= s.Limits.PerPeer:
		s.turnAway(c, "Too many connections from your address")
	default:
		s.conns[c] = struct{}{}
		s.peers[key]++
		s.working.Add(1)
		go s.welcome(c)
	}
}

// forget takes a closed connection off the books.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	_, known := s.conns[c]
	if known {
		delete(s.conns, c)
		key := peerKey(c.peer)
		if s.peers[key]--; s.peers[key] == 0 {
			delete(s.peers, key)
		}
	}
	s.mu.Unlock()
	if known {
		s.working.Done()
	}
}

// welcome brings a connection to TLS and hands it to the engine.
func (s *Server) welcome(c *conn) {
	err := s.secure(c)
	if err == nil && s.feed.push(c) {
		return
	}
	if err != nil {
		s.Log.Debug("no TLS", "door", c.door.name, "peer", c.peer, "error", err)
	}
	c.Close()
}

// secure recovers a panic, so that one connection cannot end the process.
func (s *Server) secure(c *conn) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
			s.Log.Error("panic before TLS", "peer", c.peer, "panic", fmt.Sprint(p))
		}
	}()
	if c.door.implicit {
		return c.handshake(s.ctx, s.Limits.Handshake)
	}
	return c.plain(s.ctx)
}

// turnAway says BYE to a few clients at a time, on the implicit door after a
// handshake, since they would not understand it before; to more than that it
// says nothing.
func (s *Server) turnAway(c *conn, why string) {
	s.Log.Warn("connection turned away", "door", c.door.name, "peer", c.peer, "why", why)
	select {
	case s.turned <- struct{}{}:
	default:
		c.raw.Close()
		return
	}
	s.working.Add(1)
	go func() {
		defer func() { <-s.turned; s.working.Done() }()
		if !c.door.implicit || c.handshake(s.ctx, 5*time.Second) == nil {
			c.end("[UNAVAILABLE] " + why)
		}
		c.Close()
	}()
}

// Shutdown stops listening, says BYE to clients between two commands, waits for
// commands on their way, and returns nil. When ctx ends first, what is left is
// cut off: the error of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	running := s.running
	s.closing = true
	for l := range s.listeners {
		l.Close()
		delete(s.listeners, l)
	}
	for c := range s.conns {
		c.drain()
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() { s.working.Wait(); close(done) }()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
		s.cut()
		<-done
	}
	s.feed.Close()
	if running {
		<-s.ended
		s.engine.Close()
	}
	s.cancel()
	return err
}

// cut ends everything at once. Commands not yet committed fail.
func (s *Server) cut() {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.raw.Close()
	}
}
