package smtpd

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
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
// for drain and what it shares under mu.
type conn struct {
	net.Conn // the stream: plain at first, then TLS
	srv      *Server
	raw      net.Conn
	door     door
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
	body     int64         // octets of the letter read after DATA
	tail     [2]byte       // last two octets of it
	dirty    atomic.Bool   // the letter holds a bare CR, a bare LF or a NUL
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
	waiting bool // a read may be cut short by drain
	drained bool // the server is shutting down
}

func newConn(s *Server, raw net.Conn, d door) *conn {
	c := &conn{Conn: raw, raw: raw, srv: s, door: d, peer: host(raw.RemoteAddr()), accepted: time.Now(), begun: make(chan struct{}, 1)}
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
		return c.readLetter(b)
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

// readLetter stops after every line that ends in a dot: the end of the letter
// is one of them (RFC 5321 §4.1.1.4), and which one is the engine's to say.
func (c *conn) readLetter(b []byte) (int, error) {
	if _, err := c.in.Peek(1); err != nil {
		return 0, c.broken(err)
	}
	p, _ := c.in.Peek(min(len(b), c.in.Buffered()))
	p = p[:c.stop(p)]
	n := copy(b, p)
	if !strict(c.tail[1], p) {
		c.dirty.Store(true)
	}
	c.tail = lastTwo(c.tail, p)
	c.in.Discard(n)
	// Dots double in transit, and a refused letter is read to its end: twice
	// the limit is enough for both.
	if c.body += int64(n); c.body > 2*c.srv.letter+letterLine {
		c.fail = replyTooLarge()
		return 0, c.fail
	}
	return n, nil
}

// stop is the length of p up to and with the first line end after a dot.
func (c *conn) stop(p []byte) int {
	for i := 0; ; {
		j := bytes.IndexByte(p[i:], '\n')
		if j < 0 {
			return len(p)
		}
		i += j
		t := lastTwo(c.tail, p[:i])
		if t[1] == '.' || t == [2]byte{'.', '\r'} {
			return i + 1
		}
		i++
	}
}

// strict says whether p, which is not empty and comes after prev, has CR and LF
// in pairs alone, and no NUL. The engine cannot be left to hand bad ones on to
// whoever reads the letter: it drops the CR of a CRLF.CR that is no end.
func strict(prev byte, p []byte) bool {
	cr, lf := bytes.Count(p, []byte{'\r'}), bytes.Count(p, []byte{'\n'})
	if prev == '\r' {
		if p[0] != '\n' {
			return false
		}
		lf--
	}
	if p[len(p)-1] == '\r' {
		cr--
	}
	pairs := bytes.Count(p, []byte("\r\n"))
	return cr == pairs && lf == pairs && bytes.IndexByte(p, 0) < 0
}

// lastTwo are the last two octets of what ended in t and goes on with p.
func lastTwo(t [2]byte, p []byte) [2]byte {
	switch n := len(p); n {
	case 0:
		return t
	case 1:
		return [2]byte{t[1], p[0]}
	default:
		return [2]byte{p[n-2], p[n-1]}
	}
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

// drain tells the client to go as soon as it is between two commands. A letter
// on its way is finished first.
func (c *conn) drain() {
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

// Close sends what is left to say and closes. With input unread a plain close
// would reset the connection and take the last reply with it, so it waits a
// moment for the client to go first.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.closing.Do(func() {
		if c.fail == nil {
			c.fail = io.EOF
		}
		c.raw.SetWriteDeadline(time.Now().Add(closeWait))
		c.send()
		if half, ok := c.raw.(interface{ CloseWrite() error }); ok && c.linger {
			if t, ok := c.Conn.(*tls.Conn); ok {
				t.CloseWrite()
			}
			half.CloseWrite()
			c.raw.SetReadDeadline(time.Now().Add(closeWait))
			io.CopyN(io.Discard, c.raw, 1<<20)
		}
		err = c.Conn.Close()
		c.raw.Close()
		c.srv.forget(c)
	})
	return err
}
