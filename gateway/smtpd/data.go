package smtpd

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// endOfData ends a letter after DATA where it is a line (RFC 5321 §4.1.1.4).
const endOfData = ".\r\n"

// dataReader is the letter after DATA: its octets with the doubling of dots
// undone (RFC 5321 §4.5.2), then io.EOF. A line ends in CRLF alone; a bare CR or
// LF is passed on, since no dot is dropped that could hide one, and
// message.StrictCRLF refuses it. Errors are permanent and replies.
type dataReader struct {
	conn  *conn
	rest  []byte // of the current line, in the buffer of conn.in
	begin bool   // the next octet begins a line
	cr    bool   // rest ends in a CR
	size  int64  // octets read from the wire
	done  bool   // the end has come
	end   string // what the engine has not read of its own end of data
}

// letter is the letter that Data is called for: the guard's own reader of it
// after DATA, r of the engine after BDAT. It is called before Data begins, for
// the mode may change afterwards.
func (c *conn) letter(r io.Reader) io.Reader {
	if c.mode != letter {
		return r
	}
	return &c.data
}

// Read takes as many lines as have arrived and fit.
func (d *dataReader) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		if len(d.rest) == 0 {
			if n > 0 && d.conn.in.Buffered() == 0 {
				return n, nil
			}
			if err := d.next(); err != nil {
				if n > 0 {
					return n, nil // the next Read says it again
				}
				return 0, err
			}
		}
		k := copy(b[n:], d.rest)
		d.rest = d.rest[k:]
		n += k
	}
	return n, nil
}

// next reads a line, or the part of one that fills the buffer, into rest.
func (d *dataReader) next() error {
	c := d.conn
	if d.done {
		return io.EOF
	}
	if c.fail != nil {
		return c.fail
	}
	p, err := c.in.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return c.broken(err)
	}
	// Dots double in transit, and a refused letter is read to its end: twice
	// the limit is enough for both.
	if d.size += int64(len(p)); d.size > 2*c.srv.letter+letterLine {
		c.fail = replyTooLarge()
		return c.fail
	}
	if d.begin && string(p) == endOfData {
		d.done = true
		return io.EOF
	}
	if d.begin && p[0] == '.' {
		p = p[1:]
	}
	d.begin = err == nil && (bytes.HasSuffix(p, []byte("\r\n")) || len(p) == 1 && d.cr)
	d.cr = len(p) > 0 && p[len(p)-1] == '\r'
	d.rest = p
	return nil
}

// readEnd gives the engine, which wants to read the letter itself, an empty one:
// what Data has left of the real one is read to its end first.
func (c *conn) readEnd(b []byte) (int, error) {
	if _, err := io.Copy(io.Discard, &c.data); err != nil {
		return 0, err
	}
	n := copy(b, c.data.end)
	c.data.end = c.data.end[n:]
	return n, nil
}
