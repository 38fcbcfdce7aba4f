package message

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Parse finds the structure of the letter in the first size octets of r.
//
// It reads r once, front to back. Memory is O(structure): a fixed buffer, the
// headers, and a few spans per part. The letter keeps r for Raw and Open.
//
// Errors: ErrLimit; ErrMalformed when there is no one structure to speak of
// (an empty letter, a multipart without a usable boundary); those of r. What
// has a structure but not the same one for everybody is noted in the parts.
func Parse(r io.ReaderAt, size int64, l Limits) (*Letter, error) {
	if size <= 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrMalformed)
	}
	p := newParser(r, size, l)
	if err := p.run(); err != nil {
		return nil, err
	}
	p.letter.BareLineEnd = p.in.bare
	if err := p.letter.readEnvelope(l.Addresses); err != nil {
		return nil, err
	}
	return p.letter, nil
}

func newParser(r io.ReaderAt, size int64, l Limits) *parser {
	return &parser{limits: l, in: newScanner(r, size), letter: &Letter{Size: size, r: r}}
}

// parser walks down the letter line by line. open is the stack of multiparts
// that surround the line, outermost first; current is the part in the
// innermost of them whose header or body the line belongs to, nil in a
// prologue or epilogue.
type parser struct {
	limits  Limits
	in      *scanner
	letter  *Letter
	open    []multipart
	current *Part
	header  []byte // of current, as far as read; nil when its body has begun
	headers int    // octets of all headers so far
	parts   int
	checked int64 // comparisons of a line with a boundary: what the scan costs beyond reading
}

// multipart is a multipart whose end has not been reached.
type multipart struct {
	part      *Part
	delimiter string // "--" boundary
	start     opening
	state     state
	after     int64 // where the epilogue begins
}

type state int

const (
	inPrologue state = iota
	inParts
	inEpilogue
)

func (p *parser) run() error {
	if err := p.begin("", 0); err != nil {
		return err
	}
	for {
		x, err := p.in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if x.starts && len(p.open) > 0 {
			if level, kind := p.match(x); kind != notDelimiter {
				if err := p.cut(x, level, kind); err != nil {
					return err
				}
				continue
			}
		}
		if p.header != nil {
			if err := p.readHeader(x); err != nil {
				return err
			}
		}
	}
	if p.in.off != p.letter.Size {
		return io.ErrUnexpectedEOF
	}
	if err := p.endHeader(p.letter.Size, p.letter.Size); err != nil {
		return err
	}
	p.end(-1, p.letter.Size)
	return nil
}

// begin starts a part whose header is at off.
func (p *parser) begin(path string, off int64) error {
	if p.parts++; p.parts > p.limits.Parts {
		return fmt.Errorf("%w: more than %d parts", ErrLimit, p.limits.Parts)
	}
	p.current = &Part{Path: path, Entity: Span{Offset: off}, HeaderRange: Span{Offset: off}}
	p.header = []byte{}
	if len(p.open) == 0 {
		p.letter.Root = p.current
		return nil
	}
	parent := p.open[len(p.open)-1].part
	parent.Parts = append(parent.Parts, p.current)
	return nil
}

func (p *parser) readHeader(x piece) error {
	if x.starts && x.ends && len(x.text()) == 0 {
		return p.endHeader(x.off, x.end())
	}
	if p.headers += len(x.data); p.headers > p.limits.HeaderBytes {
		return fmt.Errorf("%w: headers of more than %d octets", ErrLimit, p.limits.HeaderBytes)
	}
	p.header = append(p.header, x.data...)
	return nil
}

// endHeader closes the header of the current part, if one is open, and opens
// the multipart that it may announce.
func (p *parser) endHeader(end, body int64) error {
	if p.header == nil {
		return nil
	}
	part := p.current
	part.HeaderRange = between(part.Entity.Offset, end)
	part.Body.Offset = body
	fallback := "text/plain"
	if n := len(p.open); n > 0 && p.open[n-1].part.MediaType == "multipart/digest" {
		fallback = "message/rfc822" // RFC 2046 §5.1.5
	}
	err := part.describe(string(p.header), fallback, p.limits.Parameters)
	p.header = nil
	if err != nil {
		return part.at(err)
	}
	if part.Multipart() {
		return part.at(p.push(part))
	}
	return nil
}

func (p *parser) push(part *Part) error {
	boundary := part.Params["boundary"]
	if !validBoundary(boundary) {
		return fmt.Errorf("%w: multipart without a usable boundary", ErrMalformed)
	}
	if len(p.open) >= p.limits.Depth {
		return fmt.Errorf("%w: more than %d multiparts within one another", ErrLimit, p.limits.Depth)
	}
	delimiter := "--" + boundary
	for _, m := range p.open {
		if m.delimiter == delimiter { // RFC 2046 §5.1.2
			m.part.note(noteShared)
			part.note(noteShared)
		}
	}
	p.open = append(p.open, multipart{part: part, delimiter: delimiter, start: openingOf([]byte(delimiter))})
	p.current = nil
	return nil
}

type delimiterKind int

const (
	notDelimiter delimiterKind = iota
	nextPart
	closing
)

// match decides whose delimiter a line is: that of the innermost multipart
// whose whole boundary it is, with nothing after it but transport padding. By
// the letter of RFC 2046 §5.1.1 a line that only begins with the boundary is
// one too, and some programs take it so: such a line is noted.
func (p *parser) match(x piece) (level int, kind delimiterKind) {
	if !bytes.HasPrefix(x.data, []byte("--")) {
		return 0, notDelimiter
	}
	text := x.text()
	start := openingOf(text)
	for i := len(p.open) - 1; i >= 0; i-- {
		m := &p.open[i]
		if !start.extends(m.start) {
			continue
		}
		p.checked++
		if len(text) < len(m.delimiter) || string(text[:len(m.delimiter)]) != m.delimiter {
			continue
		}
		k := notDelimiter
		if x.ends {
			k = delimiterTail(text[len(m.delimiter):])
		}
		switch {
		case k == notDelimiter || kind != notDelimiter:
			m.part.note(notePrefix)
		case m.state == inEpilogue:
			m.part.note(noteReopened)
		default:
			level, kind = i, k
		}
	}
	return level, kind
}

// opening is the first octets of a line after its hyphens, in one word, so
// that a line is set against fifty boundaries in no time.
type opening struct{ octets, mask uint64 }

func openingOf(line []byte) opening {
	var b, mask [8]byte
	for i := range copy(b[:], line[len("--"):]) {
		mask[i] = 0xFF
	}
	return opening{binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(mask[:])}
}

// extends reports whether a line that opens with o may begin with one that
// opens with short.
func (o opening) extends(short opening) bool {
	return o.octets&short.mask == short.octets && o.mask&short.mask == short.mask
}

func delimiterTail(tail []byte) delimiterKind {
	closes := bytes.HasPrefix(tail, []byte("--"))
	if closes {
		tail = tail[2:]
	}
	switch {
	case len(bytes.Trim(tail, " \t")) > 0:
		return notDelimiter
	case closes:
		return closing
	}
	return nextPart
}

// cut ends what is open inside the multipart at level where the line end
// before the delimiter begins, for that line end is the delimiter's.
func (p *parser) cut(x piece, level int, kind delimiterKind) error {
	if err := p.endHeader(x.off, x.off); err != nil {
		return err
	}
	m, at := &p.open[level], x.off-int64(x.before)
	p.end(level, at)
	if m.state == inPrologue {
		m.part.Prologue = between(m.part.Body.Offset, max(at, m.part.Body.Offset))
	}
	if kind == closing {
		m.state, m.after = inEpilogue, x.end()
		return nil
	}
	m.state = inParts
	return p.begin(childPath(m.part.Path, len(m.part.Parts)+1), x.end())
}

// end closes every part that is open inside the multipart at level (-1: the
// letter itself and all in it). A part in it never outlasts what it lies in.
func (p *parser) end(level int, at int64) {
	for i := range p.open[level+1:] {
		m := &p.open[level+1+i]
		if i == 0 {
			at = max(at, m.part.Entity.Offset)
		}
		m.part.finish(at)
		m.finish(at)
	}
	if p.current != nil {
		if len(p.open) == level+1 {
			at = max(at, p.current.Entity.Offset)
		}
		p.current.finish(at)
	}
	p.open, p.current = p.open[:level+1], nil
}

func (m *multipart) finish(at int64) {
	switch m.state {
	case inPrologue:
		m.part.Prologue, m.part.Epilogue = m.part.Body, between(at, at)
	case inParts:
		m.part.Epilogue = between(at, at)
	case inEpilogue:
		m.part.Epilogue = between(m.after, at)
		return
	}
	m.part.Unterminated = true
}

func (p *Part) finish(at int64) {
	p.Entity = between(p.Entity.Offset, at)
	p.HeaderRange = between(p.HeaderRange.Offset, min(p.HeaderRange.End(), at))
	p.Body = between(p.Body.Offset, at)
}

func childPath(parent string, n int) string {
	if parent == "" {
		return strconv.Itoa(n)
	}
	return parent + "." + strconv.Itoa(n)
}

// at says in which part err occurred.
func (p *Part) at(err error) error {
	if err == nil || p.Path == "" {
		return err
	}
	return fmt.Errorf("part %s: %w", p.Path, err)
}
