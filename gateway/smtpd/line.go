package smtpd

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// errDrained is the end of reading at a shutdown.
var errDrained = errors.New("shutting down")

// next reads and checks one command line. What cannot be a command is answered
// here and ends the connection: nobody who sends it means well, and what
// follows it may not be what it seems.
func (c *conn) next() error {
	if c.draining() {
		return c.end(replyShutdown())
	}
	line, err := c.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return c.end(replyLineTooLong())
	case errors.Is(err, errDrained):
		return c.end(replyShutdown())
	case errors.Is(err, os.ErrDeadlineExceeded):
		return c.end(replyIdle())
	case err != nil: // a line without its end is no command
		c.fail = io.EOF
		return c.fail
	}
	if c.lines++; c.lines > maxCommands {
		return c.end(replyTooMany())
	}
	if r := c.check(line); r != nil {
		return c.end(r)
	}
	c.line = line
	return nil
}

// check refuses everything but one line of text ending in CRLF (RFC 5321
// §2.3.8), and notes what it will do to the connection.
func (c *conn) check(line []byte) *smtp.SMTPError {
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok || bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return replyBadLine()
	}
	if c.sasl { // a response of AUTH
		c.verb = ""
		return nil
	}
	c.verb = verb(text)
	if c.verb != "AUTH" && len(line) > maxLine {
		return replyLineTooLong()
	}
	switch c.verb {
	case "BDAT":
		return c.announce(text)
	case "RSET", "EHLO", "HELO":
		// The engine ends a letter given up between two chunks at its leisure,
		// and may take that end for the next letter's. So there is no next.
		c.hangUp = c.hangUp || c.open
	}
	return nil
}

// verb is the command as the engine will understand it: four letters alone or
// before a space.
func verb(text []byte) string {
	if len(text) < 4 || (len(text) > 4 && text[4] != ' ') {
		return ""
	}
	return strings.ToUpper(string(text[:4]))
}

// announce takes the size of a chunk. A BDAT that cannot be understood is
// followed by octets nobody knows the number of (RFC 3030 §2), so it is the
// last line of its connection. An empty chunk may only be the last.
func (c *conn) announce(text []byte) *smtp.SMTPError {
	f := strings.Split(string(text), " ")
	last := len(f) == 3 && strings.EqualFold(f[2], "LAST")
	if len(f) != 2 && !last {
		return replyBadChunk()
	}
	n, err := strconv.ParseUint(f[1], 10, 32)
	if err != nil || f[1][0] == '+' || (n == 0 && !last) {
		return replyBadChunk()
	}
	if int64(n) > c.srv.letter {
		return replyTooLarge()
	}
	c.left, c.last, c.fresh = int64(n), last, !c.open
	if c.fresh {
		select {
		case <-c.begun: // of an earlier letter
		default:
		}
	}
	return nil
}

// end answers and lets nothing more be read.
func (c *conn) end(r *smtp.SMTPError) error {
	c.say(r.Code, enhanced(r.EnhancedCode, r.Message))
	c.fail, c.linger = io.EOF, true
	return c.fail
}

// say writes one reply line.
func (c *conn) say(code int, text string) {
	c.reply([]byte(strconv.Itoa(code) + " " + text))
}

// Write takes the engine's replies. They are sent when the client has nothing
// more to say, so that pipelined commands cost one packet (RFC 2920 §3.2);
// those that end a letter at once.
func (c *conn) Write(b []byte) (int, error) {
	c.partial = append(c.partial, b...)
	for {
		i := bytes.IndexByte(c.partial, '\n')
		if i < 0 {
			return len(b), nil
		}
		line := bytes.TrimRight(c.partial[:i], "\r")
		if c.hush {
			c.hush = false
		} else {
			c.reply(line)
		}
		c.partial = c.partial[:copy(c.partial, c.partial[i+1:])]
	}
}

// reply queues one line: printable ASCII, whatever of the client's words the
// engine repeats in it.
func (c *conn) reply(line []byte) {
	if text := agreed(c.verb); text != "" && bytes.HasPrefix(line, []byte("250 ")) {
		line = []byte("250 " + text)
	}
	line = line[:min(len(line), maxReplyLine)]
	for _, b := range line {
		if b < ' ' || b > '~' {
			b = '?'
		}
		c.out = append(c.out, b)
	}
	c.out = append(c.out, '\r', '\n')
	if len(line) < 4 || line[3] != '-' {
		c.answered(string(line[:min(3, len(line))]))
	}
}

// answered draws the consequences of a whole reply.
func (c *conn) answered(code string) {
	c.sasl = code == "334"
	bad, ends := code == "421", c.mode == letter || c.verb == "BDAT"
	switch {
	case ends:
		bad = !strings.HasPrefix(code, "2")
		c.open = c.mode != letter && !c.last
		c.mode = command
		c.lines = 0
	case c.verb == "DATA" && code == "354":
		c.mode, c.data = letter, dataReader{conn: c, begin: true, end: endOfData}
	case c.verb == "DATA":
		bad = true // the letter may be on its way all the same
	}
	c.verb = ""
	if bad || c.hangUp {
		c.fail, c.linger = io.EOF, true
	}
	if ends {
		c.flush()
	}
}

// flush sends the queued replies. A client that does not take them is gone.
func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	c.raw.SetWriteDeadline(time.Now().Add(c.srv.limits.Idle))
	return c.send()
}

func (c *conn) send() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.out)
	c.out = c.out[:0]
	return err
}
