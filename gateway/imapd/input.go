package imapd

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
)

// mode says what the guard is at.
type mode int

const (
	atCommand  mode = iota // the next octets are a command
	atMore                 // the next octets continue a command after a literal
	atResponse             // the next octets answer "+": SASL, DONE
	inLine                 // a line is being handed to the engine
	announced              // it was; a literal follows if the engine wants it
	inLiteral              // the engine wants it
	complete               // a whole command was handed over
)

// literal is what the end of a line announces (RFC 9051 §4.3).
type literal struct {
	there bool
	size  int64
	wait  bool // the client waits for "+"
	utf8  bool // in APPEND's UTF8 extension (RFC 6855 §4), which a parenthesis closes
	third bool // as third word of a command, where APPEND has its mailbox
}

// Read gives the engine the next octets, never across a boundary.
func (c *conn) Read(b []byte) (int, error) {
	c.scratch = b
	defer func() { c.scratch = nil }()
	for c.fail == nil {
		switch c.mode {
		case atCommand, atMore, atResponse:
			if err := c.next(); err != nil {
				return 0, err
			}
		case inLine:
			return c.readLine(b), nil
		case announced:
			if c.literal.wait { // it did not ask
				return 0, c.end("Cannot go on")
			}
			c.mode = inLiteral
		case inLiteral:
			if c.left == 0 {
				c.mode = atMore
				continue
			}
			return c.readLiteral(b)
		case complete: // the engine has dropped a command without an answer
			return 0, c.end("Syntax error")
		}
	}
	return 0, c.fail
}

func (c *conn) readLine(b []byte) int {
	n := copy(b, c.line)
	if c.line = c.line[n:]; len(c.line) == 0 {
		c.line, c.mode = nil, complete
		if c.literal.there {
			c.mode, c.left = announced, c.literal.size
		}
	}
	return n
}

func (c *conn) readLiteral(b []byte) (int, error) {
	b = b[:min(int64(len(b)), c.left)]
	n := copy(b, c.in)
	if c.take(n); n == 0 {
		var err error
		if n, err = c.receive(b); n == 0 && err != nil {
			return 0, c.broken(err)
		}
	}
	c.left -= int64(n)
	return n, nil
}

// take drops n octets of c.in, and its memory with the last.
func (c *conn) take(n int) {
	if c.in = c.in[n:]; len(c.in) == 0 {
		c.in = nil
	}
}

// next reads and checks one line for the engine.
func (c *conn) next() error {
	line, err := c.readTo('\n')
	if err != nil {
		return err
	}
	if c.mode == atResponse {
		c.line, c.literal, c.mode = line, literal{}, inLine
		return nil
	}
	if !oneLine(line) {
		return c.end("A command is one line of text")
	}
	if c.mode == atCommand && !c.goesOn() {
		return c.broken(errEnded)
	}
	c.size += len(line)
	c.literal = announcement(line)
	switch {
	case c.mode == atCommand:
		if c.size = len(line); !c.begin(line) {
			return c.mistake()
		}
	case c.letter && !closes(line, c.utf8):
		return c.end("A letter ends its command")
	}
	c.letter = c.verb == "APPEND" && c.literal.there && !(c.mode == atCommand && c.literal.third)
	c.utf8 = c.literal.utf8
	c.line, c.mode = line, inLine
	return nil
}

// closes reports whether a line ends an APPEND behind its letter. The engine
// looks only when the letter has been stored, and then says nothing at all.
func closes(line []byte, utf8 bool) bool {
	want := ""
	if utf8 {
		want = ")"
	}
	return string(bytes.TrimRight(line, "\r\n")) == want
}

// readTo reads up to and including an octet, within the limits of the mode.
func (c *conn) readTo(end byte) ([]byte, error) {
	room := maxCommand
	switch c.mode {
	case atResponse:
		room = maxResponse
	case atMore:
		room -= c.size
	}
	for looked := 0; ; {
		if i := bytes.IndexByte(c.in[looked:], end); i >= 0 && looked+i < room {
			line := c.in[: looked+i+1 : looked+i+1]
			c.take(len(line))
			return line, nil
		}
		if looked = len(c.in); looked >= room {
			return nil, c.end("Line too long")
		}
		if err := c.fill(); err != nil {
			return nil, c.broken(err)
		}
	}
}

// broken makes an error of reading permanent.
func (c *conn) broken(err error) error {
	switch {
	case errors.Is(err, errDrained):
		return c.end("[UNAVAILABLE] Shutting down, try again later")
	case errors.Is(err, errEnded):
		return c.end("[EXPIRED] Your logins were ended, log in again")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return c.end("Waited too long")
	}
	c.fail = io.ErrUnexpectedEOF
	if c.mode == atCommand && len(c.in) == 0 {
		c.fail = io.EOF
	}
	return c.fail
}

// oneLine reports whether a line has no other line end than its last, and no
// NUL: the engine ends some commands at a bare CR.
func oneLine(line []byte) bool {
	text := bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))
	return bytes.IndexByte(text, '\r') < 0 && bytes.IndexByte(text, 0) < 0
}

// announcement reads "{n}" or "{n+}" at the end of a line. More digits than
// any literal has are one that is too long.
func announcement(line []byte) literal {
	text, ok := bytes.CutSuffix(bytes.TrimRight(line, "\r\n"), []byte("}"))
	if !ok {
		return literal{}
	}
	text, now := bytes.CutSuffix(text, []byte("+"))
	open := bytes.LastIndexByte(text, '{')
	if open < 0 || open == len(text)-1 {
		return literal{}
	}
	l := literal{
		there: true, wait: !now, utf8: bytes.HasSuffix(text[:open], []byte("(~")),
		third: bytes.Count(text[:open], []byte(" ")) == 2,
	}
	for _, d := range text[open+1:] {
		if d < '0' || d > '9' {
			return literal{}
		}
		l.size = min(l.size*10+int64(d-'0'), 1<<50)
	}
	return l
}

// begin takes tag and verb of a command; false for a line that has none. The
// engine would hang up on such a line without a word.
func (c *conn) begin(line []byte) bool {
	words := strings.SplitN(strings.TrimRight(string(line), "\r\n"), " ", 4)
	c.tag, c.verb = "", ""
	if len(words) < 2 || !isTag(words[0]) {
		return false
	}
	c.tag = words[0]
	if !isVerb(words[1]) {
		return false
	}
	c.commands++
	c.verb = strings.ToUpper(words[1])
	if c.verb == "UID" {
		if len(words) < 3 || !isVerb(words[2]) {
			return false
		}
		c.verb += " " + strings.ToUpper(words[2])
	}
	return true
}

func isTag(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || strings.IndexByte(`(){%*"\]+`, s[i]) >= 0 {
			return false
		}
	}
	return s != "" && len(s) <= maxTag
}

func isVerb(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return s != ""
}

// mistake answers a line that is no command. Who is not logged in may speak
// another protocol altogether and is not listened to any longer.
func (c *conn) mistake() error {
	tag := "*"
	if c.tag != "" {
		tag = c.tag
	}
	c.say(tag + " BAD [CLIENTBUG] Not a command")
	if c.mistakes++; c.mistakes > maxMistakes || c.login == nil || c.literal.there {
		return c.end("Not a command")
	}
	return nil
}

// discard reads what is left of a command that the engine has answered: its
// literal, the rest of its line, and what that announces. An error when that is
// more than maxDiscard.
func (c *conn) discard() error {
	var dropped int64
	c.hangUp = c.hangUp || c.mode == inLine // the engine may hold a part of the line
	for c.mode != complete {
		switch c.mode {
		case inLine:
			for c.mode == inLine {
				c.readLine(c.line)
			}
		case announced, inLiteral:
			if c.left > maxDiscard-dropped {
				return errTooLong
			}
			if c.mode == announced && c.literal.wait {
				c.say("+ Go ahead, it will be thrown away")
			}
			dropped += c.left
			for c.mode = inLiteral; c.left > 0; {
				if _, err := c.readLiteral(make([]byte, min(c.left, readChunk))); err != nil {
					return err
				}
			}
			c.mode = atMore
		case atMore:
			if err := c.next(); err != nil {
				return err
			}
		case atResponse:
			c.hangUp = true // it may be on its way
			return nil
		default:
			return nil
		}
	}
	return nil
}

var errTooLong = errors.New("literal too long to discard")

// closed reports whether a command ends right after its literal.
func (c *conn) closed() bool {
	if c.mode == inLiteral && c.left == 0 {
		c.mode = atMore
	}
	return c.mode == atMore && c.next() == nil
}
