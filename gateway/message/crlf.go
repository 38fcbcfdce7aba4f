package message

import (
	"bytes"
	"io"
)

// MaxLine is how many octets a line may have, without its CRLF.
const MaxLine = 256 << 10

// StrictCRLF passes the octets of r through unchanged and ends with an error
// at the first that must not be in a letter: ErrBareLineEnd at a CR without
// LF, an LF without CR or a NUL (RFC 5321 §2.3.8, §4.1.1.4); ErrLineTooLong at
// the octet after MaxLine of a line; ErrTooLarge at the octet after max of
// all. All octets before come first; of a bare CR, the CR too. How the reads
// of r are split makes no difference. Errors of r are passed on, and every
// error stays.
func StrictCRLF(r io.Reader, max int64) io.Reader {
	return &strictReader{r: r, left: max}
}

type strictReader struct {
	r    io.Reader
	left int64 // octets that may still come
	line int   // octets of the line so far
	cr   bool  // the last octet was a CR
	err  error
}

func (s *strictReader) Read(b []byte) (int, error) {
	if s.err != nil || len(b) == 0 {
		return 0, s.err
	}
	n, err := s.r.Read(b)
	good, fault := s.check(b[:n])
	switch {
	case fault != nil:
		s.err = fault
	case err == io.EOF && s.cr:
		s.err = ErrBareLineEnd
	default:
		s.err = err
	}
	return good, s.err
}

// check answers how many octets of b may pass and why the next may not.
func (s *strictReader) check(b []byte) (int, error) {
	var fault error
	if int64(len(b)) > s.left {
		b, fault = b[:s.left], ErrTooLarge
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b, fault = b[:i], ErrBareLineEnd
	}
	n, err := s.checkLines(b)
	s.left -= int64(n)
	if err != nil {
		return n, err
	}
	return n, fault
}

func (s *strictReader) checkLines(b []byte) (int, error) {
	for n := 0; n < len(b); {
		if s.cr {
			if b[n] != '\n' {
				return n, ErrBareLineEnd
			}
			s.cr, s.line = false, 0
			n++
			continue
		}
		end := lineLength(b[n:min(len(b), n+MaxLine-s.line+1)])
		if s.line += end; s.line > MaxLine {
			return n + end - 1, ErrLineTooLong
		}
		if n += end; n == len(b) {
			break
		}
		if b[n] == '\n' {
			return n, ErrBareLineEnd
		}
		s.cr = true
		n++
	}
	return len(b), nil
}

// lineLength is the offset of the first CR or LF, or all of b.
func lineLength(b []byte) int {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i]
	}
	if i := bytes.IndexByte(b, '\r'); i >= 0 {
		b = b[:i]
	}
	return len(b)
}
