package message

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Decode undoes a transfer encoding (RFC 2045 §6) while it is read. It is
// strict, so that one file has one reading: base64 may hold line ends and
// blanks besides its alphabet and is padded to the end; quoted-printable holds
// printable ASCII, blanks, line ends and escapes. Anything else, or an unknown
// encoding, is ErrMalformed. "" is "7bit".
func Decode(r io.Reader, encoding string) io.Reader {
	switch strings.ToLower(encoding) {
	case "", "7bit", "8bit", "binary":
		return r
	case "base64":
		return &decoder{r: r, step: &base64Step{clean: make([]byte, 0, decodeChunk+3)}, in: make([]byte, decodeChunk), out: make([]byte, 0, decodeChunk)}
	case "quoted-printable":
		return &decoder{r: r, step: &quotedStep{}, in: make([]byte, decodeChunk)}
	}
	return failed(fmt.Errorf("%w: transfer encoding %s is not known", ErrMalformed, quoted(encoding)))
}

const decodeChunk = 8 << 10

// step decodes piece by piece: it appends to dst what src adds, and at the end
// what is still due.
type step interface {
	decode(dst, src []byte) ([]byte, error)
	end(dst []byte) ([]byte, error)
}

// decoder drives a step over a reader.
type decoder struct {
	r    io.Reader
	step step
	in   []byte
	out  []byte // room for decoded octets
	due  []byte // the part of out that has not been read
	err  error
}

func (d *decoder) Read(b []byte) (int, error) {
	for len(d.due) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		if len(b) == 0 {
			return 0, nil
		}
		d.fill()
	}
	n := copy(b, d.due)
	d.due = d.due[n:]
	return n, nil
}

func (d *decoder) fill() {
	n, err := d.r.Read(d.in)
	var fault error
	d.out, fault = d.step.decode(d.out[:0], d.in[:n])
	if fault == nil && errors.Is(err, io.EOF) {
		d.out, fault = d.step.end(d.out)
	}
	if d.err = err; fault != nil {
		d.err = fault
	}
	d.due = d.out
}

// base64Step gathers groups of four characters (RFC 2045 §6.8).
type base64Step struct {
	clean  []byte // characters of the alphabet that make no whole group yet
	padded bool   // a group with padding was the last
}

var errBase64 = fmt.Errorf("%w: base64", ErrMalformed)

func (s *base64Step) decode(dst, src []byte) ([]byte, error) {
	for _, c := range src {
		if c != '\r' && c != '\n' && c != ' ' && c != '\t' {
			s.clean = append(s.clean, c)
		}
	}
	whole := len(s.clean) &^ 3
	if s.padded && len(s.clean) > 0 {
		return dst, fmt.Errorf("%w goes on after its padding", errBase64)
	}
	if whole == 0 {
		return dst, nil
	}
	dst, err := base64.StdEncoding.Strict().AppendDecode(dst, s.clean[:whole])
	if err != nil {
		return dst, fmt.Errorf("%w has a character outside its alphabet or wrong padding", errBase64)
	}
	s.padded = s.clean[whole-1] == '='
	s.clean = append(s.clean[:0], s.clean[whole:]...)
	if s.padded && len(s.clean) > 0 {
		return dst, fmt.Errorf("%w goes on after its padding", errBase64)
	}
	return dst, nil
}

func (s *base64Step) end(dst []byte) ([]byte, error) {
	if len(s.clean) > 0 {
		return dst, fmt.Errorf("%w ends within a group of four", errBase64)
	}
	return dst, nil
}

// maxBlanks is how many blanks in a row quoted-printable may hold: they are
// kept until it is known whether the line ends after them.
const maxBlanks = 1000

// quotedStep undoes quoted-printable (RFC 2045 §6.7) octet by octet. pending
// is what cannot be decided yet: blanks, a CR, or an escape begun.
type quotedStep struct {
	pending []byte
}

var errQuoted = fmt.Errorf("%w: quoted-printable", ErrMalformed)

func (s *quotedStep) decode(dst, src []byte) ([]byte, error) {
	var err error
	for _, c := range src {
		if len(s.pending) == 0 && c > ' ' && c <= '~' && c != '=' {
			dst = append(dst, c)
			continue
		}
		if dst, err = s.octet(dst, c); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func (s *quotedStep) octet(dst []byte, c byte) ([]byte, error) {
	n := len(s.pending)
	switch {
	case n > 0 && s.pending[0] == '=':
		return s.escape(dst, c)
	case n > 0 && s.pending[n-1] == '\r' && c != '\n':
		return dst, fmt.Errorf("%w has a bare CR", errQuoted)
	case c == '\n':
		// Blanks before a line end were added on the way (§6.7 rule 3).
		if n > 0 && s.pending[n-1] == '\r' {
			dst = append(dst, '\r')
		}
		s.pending = s.pending[:0]
		return append(dst, '\n'), nil
	case c == '\r' || c == ' ' || c == '\t':
		if n >= maxBlanks {
			return dst, fmt.Errorf("%w has more than %d blanks in a row", errQuoted, maxBlanks)
		}
		s.pending = append(s.pending, c)
		return dst, nil
	}
	dst = append(dst, s.pending...)
	s.pending = s.pending[:0]
	switch {
	case c == '=':
		s.pending = append(s.pending, c)
	case c > ' ' && c <= '~':
		dst = append(dst, c)
	default:
		return dst, fmt.Errorf("%w has octet %#02x", errQuoted, c)
	}
	return dst, nil
}

// escape goes on with what began with "=": two hex digits, or a soft line
// break with blanks before its line end.
func (s *quotedStep) escape(dst []byte, c byte) ([]byte, error) {
	n := len(s.pending)
	last := s.pending[n-1]
	switch {
	case c == '\n':
		s.pending = s.pending[:0]
		return dst, softBreak(last)
	case last == '\r', n >= maxBlanks:
	case c == '\r':
		if softBreak(last) == nil {
			s.pending = append(s.pending, c)
			return dst, nil
		}
	case c == ' ' || c == '\t':
		if softBreak(last) == nil {
			s.pending = append(s.pending, c)
			return dst, nil
		}
	case n == 1 && unhex(c) >= 0:
		s.pending = append(s.pending, c)
		return dst, nil
	case n == 2 && unhex(c) >= 0 && unhex(last) >= 0:
		s.pending = s.pending[:0]
		return append(dst, byte(unhex(last)<<4|unhex(c))), nil
	}
	return dst, fmt.Errorf("%w has an escape that is none", errQuoted)
}

// softBreak tells whether a soft line break may follow last.
func softBreak(last byte) error {
	if unhex(last) >= 0 {
		return fmt.Errorf("%w has an escape that is none", errQuoted)
	}
	return nil
}

// end allows a soft line break whose line end belongs to the delimiter.
func (s *quotedStep) end(dst []byte) ([]byte, error) {
	n := len(s.pending)
	switch {
	case n == 0:
		return dst, nil
	case s.pending[n-1] == '\r':
		return dst, fmt.Errorf("%w has a bare CR", errQuoted)
	case s.pending[0] == '=':
		return dst, softBreak(s.pending[n-1])
	}
	return dst, nil // blanks at the end of the last line
}
