package imapd

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/door"
)

var (
	errDrained = errors.New("shutting down")
	errNoTLS   = errors.New("left before TLS")
)

// conn is the guard of one connection; see the package comment. It keeps no
// buffers while the client has nothing to say: most connections idle.
//
// The goroutine that serves the connection is the only one to use it, except
// for Drain and Cut, and for output, which IDLE's goroutine has too.
type conn struct {
	net.Conn // the stream: plain at first, then TLS
	srv      *Server
	raw      net.Conn
	door     door.Door
	peer     string // IP address
	secure   bool   // TLS is up
	accepted time.Time

	in       []byte // read but not yet looked at
	scratch  []byte // the engine's own buffer, while it waits in Read
	line     []byte // rest of the line being handed to the engine
	mode     mode
	verb     string // of the command being served
	tag      string
	literal  literal // announced at the end of the line
	letter   bool    // it is what APPEND stores
	utf8     bool    // in the UTF8 extension
	left     int64   // octets of the literal not yet read
	size     int     // octets of the command so far, without literals
	commands int
	mistakes int   // lines that were no command
	fail     error // permanent
	login    *login
	failures int  // of logging in
	hangUp   bool // close after the next tagged response
	linger   bool // closing with input unread

	closing sync.Once
	mu      sync.Mutex
	waiting bool // for the client to speak
	between bool // waiting between two commands, where Drain may cut in
	drained bool // the server is shutting down
	doubt   bool // the login may have ended

	outMu   sync.Mutex
	out     *[]byte       // not yet sent; nil when there is none
	outErr  error         // permanent
	sent    atomic.Int64  // octets
	capture *bytes.Buffer // takes what the engine writes, see labels
	hush    bool          // drop the engine's greeting: STARTTLS gets no second one
	midLine bool          // the engine's last write did not end a response
}

func newConn(s *Server, raw net.Conn, d door.Door) *conn {
	return &conn{Conn: raw, raw: raw, srv: s, door: d, peer: door.Peer(raw.RemoteAddr()), accepted: time.Now()}
}

// The engine's deadlines are not ours.

// SetDeadline is part of net.Conn.
func (c *conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline is part of net.Conn.
func (c *conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline is part of net.Conn.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// fill reads more of the stream behind c.in, after sending what the client may
// be waiting for.
func (c *conn) fill() error {
	buf := c.scratch
	if len(buf) == 0 {
		buf = make([]byte, readChunk)
	}
	n, err := c.receive(buf[:min(len(buf), readChunk)])
	c.in = append(c.in, buf[:n]...)
	if n > 0 {
		return nil
	}
	return err
}

// receive reads from the stream, as long as the client is logged in.
func (c *conn) receive(b []byte) (int, error) {
	for {
		n, err := c.receiveOnce(b)
		if err != errDoubt {
			return n, err
		}
		if !c.goesOn() {
			return 0, errEnded
		}
	}
}

func (c *conn) receiveOnce(b []byte) (int, error) {
	if err := c.wait(time.Now()); err != nil {
		return 0, err
	}
	var n int
	err := c.flush() // waiting already: what is written from here on is sent at once
	if err == nil {
		n, err = c.Conn.Read(b)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cut := c.interrupted(c.between)
	c.waiting, c.between = false, false
	if err != nil && n == 0 && cut != nil {
		return 0, cut
	}
	return n, err
}

// interrupted is why a client between two commands, IDLE among them, is not
// waited for: the server is shutting down, or its login may have ended.
func (c *conn) interrupted(between bool) error {
	switch {
	case between && c.drained:
		return errDrained
	case between && c.doubt:
		return errDoubt
	}
	return nil
}

// wait sets the deadline of the next read, unless that is interrupted.
func (c *conn) wait(now time.Time) error {
	between := len(c.in) == 0 && (c.mode == atCommand || c.mode == atResponse)
	d := now.Add(c.srv.Limits.Input)
	if between && c.login != nil {
		d = now.Add(c.srv.Limits.Idle)
	}
	if by := c.accepted.Add(c.srv.Limits.Login); c.login == nil && by.Before(d) {
		d = by
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.interrupted(between); err != nil {
		return err
	}
	c.waiting, c.between = true, between
	c.raw.SetReadDeadline(d)
	return nil
}

// Peer is part of door.Guest.
func (c *conn) Peer() string { return c.peer }

// Secure is part of door.Guest: a handshake, or STARTTLS before it.
func (c *conn) Secure(ctx context.Context) error {
	switch {
	case c.secure:
		return nil
	case c.door.Implicit:
		return c.handshake(ctx, c.srv.Limits.Handshake)
	}
	return c.plain(ctx)
}

// TurnAway says BYE, on the implicit door after a handshake, since the client
// would not understand it before.
func (c *conn) TurnAway(ctx context.Context, why string) {
	if !c.door.Implicit || c.handshake(ctx, turnAway) == nil {
		c.end("[UNAVAILABLE] " + why)
	}
}

// Cut is part of door.Guest.
func (c *conn) Cut() { c.raw.Close() }

// Drain tells the client to go as soon as it is between two commands.
func (c *conn) Drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drained = true
	if c.between {
		c.raw.SetReadDeadline(time.Unix(1, 0))
	}
}

// isWaiting reports whether nobody but the caller will send what is written.
func (c *conn) isWaiting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting
}

// during answers a context that ends when the client goes away while a command
// is worked on. What the client says meanwhile is kept. stop has to be called
// before anything else is read.
func (c *conn) during(ctx context.Context) (watched context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	if len(c.in) > readChunk || c.raw.SetReadDeadline(time.Time{}) != nil {
		return ctx, cancel
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, readChunk)
		n, err := c.Conn.Read(buf)
		c.in = append(c.in, buf[:n]...)
		if n == 0 && err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			cancel()
		}
	}()
	return ctx, func() {
		c.raw.SetReadDeadline(time.Unix(1, 0))
		<-done
		cancel()
	}
}

// handshake turns the stream into TLS within a time, or fails for good.
func (c *conn) handshake(ctx context.Context, within time.Duration) error {
	c.mu.Lock()
	if c.drained {
		c.mu.Unlock()
		return errDrained
	}
	c.between = true // Drain cuts it short
	c.raw.SetDeadline(time.Now().Add(within))
	c.mu.Unlock()
	t := tls.Server(c.raw, c.srv.TLS)
	err := t.HandshakeContext(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.between = false
	if err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	c.raw.SetDeadline(time.Time{})
	c.Conn, c.secure = t, true
	c.mode, c.mistakes = atCommand, 0
	return nil
}

// end says BYE and lets nothing more be read.
func (c *conn) end(text string) error {
	c.say("* BYE " + text)
	c.fail, c.linger = io.EOF, true
	return c.fail
}

// Close sends what is left to say and closes.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.closing.Do(func() {
		if c.fail == nil {
			c.fail = io.EOF
		}
		c.farewell()
		if c.linger {
			door.Linger(c.Conn, c.raw, closeWait)
		}
		err = c.Conn.Close()
		c.raw.Close()
		c.srv.hall.Leave(c)
	})
	return err
}
