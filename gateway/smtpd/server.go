package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// Config is what New needs. All but Limits is required.
type Config struct {
	Gateway  *gateway.Gateway
	Accounts *account.Accounts
	TLS      *tls.Config
	Domain   string // what the greeting names
	Limits   Limits
	Log      *slog.Logger
}

// door is one of the two ways in.
type door struct {
	name     string // RFC 8314's service name
	implicit bool   // TLS from the first octet
}

// Server serves any number of listeners until Shutdown.
type Server struct {
	accounts *account.Accounts
	receive  func(context.Context, rem.Envelope, io.Reader) (string, error)
	newID    func() string
	letter   int64 // octets a letter may have
	tls      *tls.Config
	domain   string
	limits   Limits
	log      *slog.Logger

	ctx    context.Context // of every letter; ends when Shutdown loses patience
	cancel context.CancelFunc
	engine *smtp.Server
	feed   *feed
	ended  chan struct{} // the engine takes no more connections

	working sync.WaitGroup // connections, and letters that outlive theirs
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
	s := &Server{
		accounts: c.Accounts, receive: c.Gateway.Receive, newID: c.Gateway.NewID, letter: c.Gateway.Limits.Letter,
		tls: c.TLS, domain: c.Domain, limits: c.Limits.withDefaults(), log: c.Log,
	}
	return s.init()
}

func (s *Server) init() *Server {
	s.tls = s.tls.Clone()
	s.tls.MinVersion = max(s.tls.MinVersion, tls.VersionTLS12)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.turned = make(chan struct{}, 32)
	s.listeners, s.conns, s.peers = map[net.Listener]struct{}{}, map[*conn]struct{}{}, map[string]int{}
	s.feed = &feed{conns: make(chan net.Conn), done: make(chan struct{})}
	s.ended = make(chan struct{})

	e := smtp.NewServer(smtp.BackendFunc(s.newSession))
	e.Domain = s.domain
	e.MaxMessageBytes = s.letter + 1 // the engine refuses a letter of exactly its limit
	e.MaxLineLength = 0              // the guard's to bound
	e.EnableSMTPUTF8 = true
	e.AllowInsecureAuth = true // the engine cannot see that every conn of the feed is TLS
	e.ErrorLog = engineLog{s.log}
	s.engine = e
	return s
}

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	guard, ok := c.Conn().(*conn)
	if !ok || guard.security == "" {
		return nil, say(454, smtp.EnhancedCode{4, 7, 0}, "TLS is not available")
	}
	return &session{srv: s, conn: guard}, nil
}

// ServeTLS serves TLS from the first octet ("submissions", 465) until Shutdown
// closes l, which gives nil.
func (s *Server) ServeTLS(l net.Listener) error {
	return s.serve(l, door{name: "submissions", implicit: true})
}

// Serve serves STARTTLS ("submission", 587) until Shutdown closes l, which
// gives nil.
func (s *Server) Serve(l net.Listener) error { return s.serve(l, door{name: "submission"}) }

func (s *Server) serve(l net.Listener, d door) error {
	if !s.open(l) {
		l.Close()
		return smtp.ErrServerClosed
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
			s.log.Error("accept", "door", d.name, "error", err)
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

// admit starts a connection, or turns it away with 421.
func (s *Server) admit(raw net.Conn, d door) {
	c := newConn(s, raw, d)
	key := peerKey(c.peer)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		raw.Close()
	case len(s.conns) >= s.limits.Connections:
		s.turnAway(c, "Too many connections, try again later")
	case s.peers[key] >= s.limits.PerPeer:
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
		s.log.Debug("no TLS", "door", c.door.name, "peer", c.peer, "error", err)
	}
	c.Close()
}

// secure recovers a panic, so that one connection cannot end the process.
func (s *Server) secure(c *conn) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
			s.log.Error("panic before TLS", "peer", c.peer, "panic", fmt.Sprint(p))
		}
	}()
	if c.door.implicit {
		return c.handshake(s.ctx, s.limits.Handshake)
	}
	return c.plain(s.ctx)
}

// turnAway says 421 to a few clients at a time, on the implicit door after a
// handshake, since they would not understand it before; to more than that it
// says nothing.
func (s *Server) turnAway(c *conn, why string) {
	s.log.Warn("connection turned away", "door", c.door.name, "peer", c.peer, "why", why)
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
			c.end(say(421, smtp.EnhancedCode{4, 7, 0}, why))
		}
		c.Close()
	}()
}

// Shutdown stops listening, tells clients between two commands to go (421),
// waits for letters on their way to be answered, and returns nil. When ctx ends
// first, what is left is cut off: the error of ctx.
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
		s.engine.Shutdown(context.Background()) // its goroutines, now without connections
	}
	s.cancel()
	return err
}

// cut ends everything at once. Letters not yet committed fail.
func (s *Server) cut() {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.raw.Close()
	}
}
