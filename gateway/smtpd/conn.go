package smtpd

import (
	"bufio"
	"context"
	"io"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"cryptogramm.ru/cryptogramm/gateway/door"
)

// mode says what the octets from the client are.
type mode int

const (
	command mode = iota
	letter       // after 354, up to the reply
	chunk        // of BDAT
)

// conn is the guard of one connection; see the package comment.
//
// The goroutine that serves the connection is the only one to use it, except
// for Drain, Cut and what it shares under mu.
type conn struct {
	net.Conn // the stream: plain at first, then TLS
	srv      *Server
	raw      net.Conn
	door     door.Door
	peer     string // IP address
	security string // TLS version and cipher suite; "" while plain
	accepted time.Time

	in       *bufio.Reader
	line     []byte // rest of the command line being handed to the engine
	verb     string // of the command being served
	sasl     bool   // the next line is a response, not a command
	mode     mode
	left     int64         // octets of the chunk not yet read
	open     bool          // chunks have come, the last has not
	last     bool          // this chunk is the last
	fresh    bool          // the letter's first chunk is not yet read
	begun    chan struct{} // gets a token when Data begins
	data     dataReader    // the letter that DATA began
	lines    int           // command lines since the last letter got on
	fail     error         // permanent
	until    time.Time
	loggedIn bool // logged in

	out      []byte // whole reply lines not yet sent
	partial  []byte // a reply line not yet whole
	hush     bool   // drop the engine's greeting: STARTTLS gets no second one
	hangUp   bool   // close after the next reply
	linger   bool   // closing with input unread
	failures int    // of AUTH

	closing sync.Once
	mu      sync.Mutex
	waiting bool // a read may be cut short by Drain
	drained bool // the server is shutting down
}

func newConn(s *Server, raw net.Conn, d door.Door) *conn {
	c := &conn{Conn: raw, raw: raw, srv: s, door: d, peer: door.Peer(raw.RemoteAddr()), accepted: time.Now(), begun: make(chan struct{}, 1)}
	c.in = bufio.NewReaderSize(readerFunc(c.fill), maxAuthLine)
	return c
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// Read gives the engine the next octets, never across a boundary.
func (c *conn) Read(b []byte) (int, error) {
	if c.fail != nil {
		return 0, c.fail
	}
	if len(b) == 0 {
		return 0, nil
	}
	switch c.mode {
	case letter:
		return c.readEnd(b)
	case chunk:
		return c.readChunk(b)
	}
	if len(c.line) == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, c.line)
	c.line = c.line[n:]
	if len(c.line) == 0 && c.left > 0 {
		c.mode = chunk
	}
	return n, nil
}

// readChunk gives nothing of a letter's first chunk before Data has begun: the
// engine starts it beside the reading, and is not made for a connection that
// ends in between.
func (c *conn) readChunk(b []byte) (int, error) {
	if c.fresh {
		<-c.begun
		c.fresh = false
	}
	n, err := c.in.Read(b[:min(int64(len(b)), c.left)])
	if err != nil {
		return 0, c.broken(err)
	}
	if c.left -= int64(n); c.left == 0 {
		c.mode = command
	}
	return n, nil
}

// broken makes an error inside a letter permanent. It is never io.EOF, which
// the engine takes for the clean end of a chunk, and it is a reply, because
// the engine shows other errors to the client.
func (c *conn) broken(err error) error {
	c.fail = replyBroken(err)
	return c.fail
}

// fill reads from the stream for c.in, after sending what the client may be
// waiting for.
func (c *conn) fill(b []byte) (int, error) {
	if err := c.flush(); err != nil {
		return 0, err
	}
	if !c.wait(time.Now()) {
		return 0, errDrained
	}
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	c.waiting = false
	drained := c.drained && c.mode == command
	c.mu.Unlock()
	if err != nil && n == 0 && drained {
		return 0, errDrained
	}
	return n, err
}

// wait sets the deadline of the next read. It is false when the server is
// shutting down and the client is between two commands.
func (c *conn) wait(now time.Time) bool {
	d := now.Add(c.srv.limits.Idle)
	if by := c.accepted.Add(c.srv.limits.Login); !c.loggedIn && by.Before(d) {
		d = by
	}
	if !c.until.IsZero() && c.until.Before(d) {
		d = c.until
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drained && c.mode == command {
		return false
	}
	c.waiting = c.mode == command
	c.raw.SetReadDeadline(d)
	return true
}

// Peer is part of door.Guest.
func (c *conn) Peer() string { return c.peer }

// Secure is part of door.Guest: a handshake, or STARTTLS before it.
func (c *conn) Secure(ctx context.Context) error {
	switch {
	case c.security != "":
		return nil
	case c.door.Implicit:
		return c.handshake(ctx, c.srv.limits.Handshake)
	}
	return c.plain(ctx)
}

// TurnAway says 421, on the implicit door after a handshake, since the client
// would not understand it before.
func (c *conn) TurnAway(ctx context.Context, why string) {
	if !c.door.Implicit || c.handshake(ctx, turnAway) == nil {
		c.end(say(421, smtp.EnhancedCode{4, 7, 0}, why))
	}
}

// Cut is part of door.Guest.
func (c *conn) Cut() { c.raw.Close() }

// Drain tells the client to go as soon as it is between two commands. A letter
// on its way is finished first.
func (c *conn) Drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drained = true
	if c.waiting {
		c.raw.SetReadDeadline(time.Unix(1, 0))
	}
}

func (c *conn) draining() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drained
}

// Close sends what is left to say and closes.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.closing.Do(func() {
		if c.fail == nil {
			c.fail = io.EOF
		}
		c.raw.SetWriteDeadline(time.Now().Add(closeWait))
		c.send()
		if c.linger {
			door.Linger(c.Conn, c.raw, closeWait)
		}
		err = c.Conn.Close()
		c.raw.Close()
		c.srv.hall.Leave(c)
	})
	return err
}
