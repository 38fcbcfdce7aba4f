package imapd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// syntaxError is what the engine says when it cannot decode a command; it
// takes the fault upon itself. Errors of sessions have other words.
const syntaxError = " NO [SERVERBUG] Internal server error\r\n"

// Write takes the engine's responses. They are sent when the client has
// nothing more to say, so that pipelined commands cost one packet.
func (c *conn) Write(b []byte) (int, error) {
	if c.fail != nil {
		return 0, c.fail
	}
	if c.capture != nil {
		return c.capture.Write(b)
	}
	starts := !c.midLine
	c.midLine = !bytes.HasSuffix(b, []byte("\r\n"))
	if !starts || len(b) == 0 {
		return len(b), c.put(b)
	}
	switch {
	case c.hush:
		c.hush = false
		return len(b), nil
	case b[0] == '*':
	case b[0] == '+':
		c.asked()
	default:
		return len(b), c.tagged(b)
	}
	return len(b), c.put(b)
}

// asked follows a continuation request.
func (c *conn) asked() {
	switch c.mode {
	case announced:
		c.mode = inLiteral
	case complete:
		c.mode = atResponse
	}
}

// tagged puts out the response that ends a command, after throwing away what
// is left of the command.
func (c *conn) tagged(b []byte) error {
	if err := c.discard(); err != nil {
		if c.fail == nil {
			c.put(b)
			c.end("The literal of a refused command is too long to skip")
		}
		return err
	}
	if text, ok := bytes.CutSuffix(b, []byte(syntaxError)); ok {
		b = append(append([]byte(nil), text...), " BAD [CLIENTBUG] Syntax error\r\n"...)
	}
	if err := c.put(b); err != nil {
		return err
	}
	c.mode, c.verb = atCommand, ""
	if c.hangUp {
		c.end("Too many failures")
	}
	return nil
}

// say puts out one line.
func (c *conn) say(line string) error { return c.put([]byte(line + "\r\n")) }

// put queues whole responses, or parts of one, for the client.
func (c *conn) put(b []byte) error {
	return c.respond(func(out []byte) []byte { return append(out, b...) })
}

// respond lets f append to what is queued.
func (c *conn) respond(f func(out []byte) []byte) error {
	return c.compose(func(w *writer) error {
		*w.c.out = f(*w.c.out)
		return nil
	})
}

// compose lets f write one response. What it has queued when it fails is taken
// back, and the error is f's; when a part was sent already, the connection
// ends.
func (c *conn) compose(f func(*writer) error) error {
	c.outMu.Lock()
	defer c.outMu.Unlock()
	if c.outErr != nil {
		return c.outErr
	}
	c.room()
	w := &writer{c: c}
	mark := len(*c.out)
	if err := f(w); err != nil {
		if w.sent || c.outErr != nil {
			c.outErr = err
			c.raw.Close()
			return err
		}
		*c.out = (*c.out)[:mark]
		return err
	}
	// Asked last: whoever begins to wait after this flushes after this too.
	if c.isWaiting() || len(*c.out) >= outputBuffer {
		return c.send(c.srv.Limits.Output)
	}
	return nil
}

func (c *conn) room() {
	if c.out == nil {
		c.out = c.srv.buffers.Get().(*[]byte)
	}
}

// writer writes one response, see compose.
type writer struct {
	c    *conn
	sent bool // a part of the response is with the client
}

func (w *writer) text(s string) { *w.c.out = append(*w.c.out, s...) }

// copy writes n octets of r, which has to have them.
func (w *writer) copy(r io.Reader, n int64) error {
	for n > 0 {
		if len(*w.c.out) >= outputBuffer {
			if err := w.c.send(w.c.srv.Limits.Output); err != nil {
				return err
			}
			w.sent = true
			w.c.room()
		}
		b := *w.c.out
		space := b[len(b):max(len(b), min(cap(b), len(b)+int(min(n, outputBuffer))))]
		if len(space) == 0 { // labels have filled the buffer up
			*w.c.out = slices.Grow(b, readChunk)
			continue
		}
		got, err := r.Read(space)
		*w.c.out = b[:len(b)+got]
		if n -= int64(got); n > 0 && err != nil {
			return fmt.Errorf("%d octets short: %w", n, noEOF(err))
		}
	}
	return nil
}

// noEOF is err, which came too early.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return errShort
	}
	return err
}

// errClient is a client that does not take what is written to it.
var errClient = errors.New("the client is gone")

// errShort is a mail with fewer octets than its row says.
var errShort = errors.New("the stored letter is too short")

func (c *conn) flush() error {
	c.outMu.Lock()
	defer c.outMu.Unlock()
	return c.send(c.srv.Limits.Output)
}

// farewell is the last flush.
func (c *conn) farewell() {
	c.outMu.Lock()
	defer c.outMu.Unlock()
	c.send(closeWait)
}

// send needs outMu. A client that does not take what it asked for is gone.
func (c *conn) send(within time.Duration) error {
	if c.outErr != nil || c.out == nil {
		return c.outErr
	}
	c.raw.SetWriteDeadline(time.Now().Add(within))
	n, err := c.Conn.Write(*c.out)
	c.sent.Add(int64(n))
	if err != nil {
		c.outErr = fmt.Errorf("%w: %w", errClient, err)
		c.raw.Close()
	}
	if cap(*c.out) <= 2*outputBuffer {
		*c.out = (*c.out)[:0]
		c.srv.buffers.Put(c.out)
	}
	c.out = nil
	return c.outErr
}
