package message

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// scanBuffer is how much of a letter Parse holds at any time.
const scanBuffer = 64 << 10

// scanner cuts a letter into lines, and lines longer than its buffer into
// pieces, each octet read once.
type scanner struct {
	r    *bufio.Reader
	off  int64
	eol  int  // octets of the line end before the next piece; 0 within a line
	cr   bool // the piece before ended in CR, so the next must begin with LF
	bare bool // a bare CR, bare LF or NUL was seen
}

// piece is a line, or a part of a long one. data is good until the next call.
type piece struct {
	off    int64
	data   []byte // with the line end, when it is in this piece
	before int    // octets of the line end before the line; 0 at the start of the letter
	starts bool   // begins a line
	ends   bool   // holds the end of the line
}

func (p piece) end() int64 { return p.off + int64(len(p.data)) }

// text is the piece without its line end.
func (p piece) text() []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(p.data, []byte("\n")), []byte("\r"))
}

func newScanner(r io.ReaderAt, size int64) *scanner {
	n := int(min(scanBuffer, max(size, 0)))
	return &scanner{r: bufio.NewReaderSize(io.NewSectionReader(r, 0, size), n), eol: -1}
}

// next answers io.EOF after the last piece.
func (s *scanner) next() (piece, error) {
	data, err := s.r.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) && (!errors.Is(err, io.EOF) || len(data) == 0) {
		s.bare = s.bare || s.cr
		return piece{}, err
	}
	p := piece{off: s.off, data: data, before: max(s.eol, 0), starts: s.eol != 0, ends: err == nil || errors.Is(err, io.EOF)}
	s.off += int64(len(data))
	s.eol = s.lineEnd(data)
	return p, nil
}

// lineEnd counts the octets of the line end that data closes with and notes
// what is wrong inside.
func (s *scanner) lineEnd(data []byte) int {
	afterCR := s.cr
	if afterCR && data[0] != '\n' {
		s.bare = true
	}
	s.cr = false
	n := 0
	body := data
	switch {
	case data[len(data)-1] != '\n':
		if s.cr = data[len(data)-1] == '\r'; s.cr {
			body = data[:len(data)-1]
		}
	case len(data) > 1 && data[len(data)-2] == '\r':
		n, body = 2, data[:len(data)-2]
	case len(data) == 1 && afterCR:
		n, body = 2, nil
	default:
		n, body = 1, data[:len(data)-1]
		s.bare = true
	}
	if !s.bare {
		s.bare = bytes.IndexByte(body, '\r') >= 0 || bytes.IndexByte(body, 0) >= 0
	}
	return n
}
