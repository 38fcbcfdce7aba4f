package message

import (
	"bytes"
	"errors"
	"io"
)

// outliner walks down a mail line by line, as parser does, but it never says
// no and goes into mails within mails.
type outliner struct {
	in     *scanner
	out    *Outline
	open   []frame // the entities around the line, outermost first
	header []byte  // of the innermost one, as far as it is read for fields
	within bool    // the innermost one's header has not ended
	lines  int64   // line ends before the piece at hand
	text   int     // octets that may still be kept
}

// frame is an entity whose end has not been reached.
type frame struct {
	entity    int
	bodyLines int64  // line ends before the body
	delimiter string // of a multipart; else ""
	start     opening
	ended     bool // a multipart's close delimiter has come
}

func (p *outliner) run() error {
	p.begin(0, true)
	for {
		x, err := p.in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		p.piece(x)
		if x.data[len(x.data)-1] == '\n' {
			p.lines++
		}
	}
	if p.in.off != p.out.Size {
		return io.ErrUnexpectedEOF
	}
	p.close(0, p.out.Size, p.lines)
	return nil
}

func (p *outliner) piece(x piece) {
	if x.starts {
		if level, kind := p.match(x); kind != notDelimiter {
			p.cut(x, level, kind)
			return
		}
	}
	switch {
	case !p.within:
	case x.starts && x.ends && len(x.text()) == 0:
		p.endHeader(x.end(), p.lines+1)
	default:
		p.header = append(p.header, x.data[:min(len(x.data), outlineHeader-len(p.header))]...)
	}
}

// begin starts an entity whose header is at off.
func (p *outliner) begin(off int64, mail bool) {
	e := Entity{Header: Span{Offset: off}}
	if mail {
		e.Envelope = &Envelope{}
	}
	p.out.Entities = append(p.out.Entities, e)
	p.open = append(p.open, frame{entity: len(p.out.Entities) - 1})
	p.header, p.within = p.header[:0], true
}

func (p *outliner) full() bool {
	return len(p.open) >= outlineDepth || len(p.out.Entities) >= outlineParts
}

// endHeader ends the innermost header, and opens what it announces.
func (p *outliner) endHeader(body, lines int64) {
	p.within = false
	f := &p.open[len(p.open)-1]
	e := &p.out.Entities[f.entity]
	e.Header = between(e.Header.Offset, body)
	e.Body.Offset, f.bodyLines = body, lines
	kind, sub := p.fallback()
	boundary := p.describe(e, kind, sub)
	switch {
	case e.Multipart() && p.full(), e.Message() && p.full():
		e.become("application", "octet-stream")
	case e.Multipart() && !validBoundary(boundary):
		e.become("text", "plain")
	case e.Multipart():
		f.delimiter = "--" + boundary
		f.start = openingOf([]byte(f.delimiter))
	case e.Message():
		p.begin(body, true)
	}
}

// fallback is the type of a part that does not say (RFC 2046 §5.1.5).
func (p *outliner) fallback() (kind, sub string) {
	if n := len(p.open); n > 1 {
		if around := &p.out.Entities[p.open[n-2].entity]; around.Multipart() && around.Subtype == "digest" {
			return "message", "rfc822"
		}
	}
	return "text", "plain"
}

// become makes a part that is not taken apart one that need not be.
func (e *Entity) become(kind, sub string) {
	e.Type, e.Subtype, e.Params = kind, sub, nil
}

// match decides whose delimiter a line is, as parser's does.
func (p *outliner) match(x piece) (level int, kind delimiterKind) {
	if !x.ends || !bytes.HasPrefix(x.data, []byte("--")) {
		return 0, notDelimiter
	}
	text := x.text()
	start := openingOf(text)
	for i := len(p.open) - 1; i >= 0; i-- {
		f := &p.open[i]
		if f.delimiter == "" || f.ended || !start.extends(f.start) || !bytes.HasPrefix(text, []byte(f.delimiter)) {
			continue
		}
		if k := delimiterTail(text[len(f.delimiter):]); k != notDelimiter {
			return i, k
		}
	}
	return 0, notDelimiter
}

// cut ends what is open inside the multipart at level before the line end that
// belongs to the delimiter, and begins its next part.
func (p *outliner) cut(x piece, level int, kind delimiterKind) {
	lines := p.lines
	if x.before > 0 {
		lines--
	}
	p.close(level+1, x.off-int64(x.before), lines)
	switch {
	case kind == closing:
		p.open[level].ended = true
	case len(p.out.Entities) < outlineParts:
		p.begin(x.end(), false)
	}
}

// close ends the entities from level on at an offset that lines line ends
// precede. None ends before its own body begins, nor before what is in it.
func (p *outliner) close(level int, at, lines int64) {
	for p.within { // a header without its blank line; it may yet announce a mail
		last := &p.out.Entities[p.open[len(p.open)-1].entity]
		p.endHeader(max(at, last.Header.Offset), lines)
	}
	for i := len(p.open) - 1; i >= level; i-- {
		f := &p.open[i]
		e := &p.out.Entities[f.entity]
		at = max(at, e.Body.Offset)
		e.Body = between(e.Body.Offset, at)
		e.Lines = max(lines-f.bodyLines, 0)
		e.After = len(p.out.Entities)
		if e.Multipart() && e.After == f.entity+1 {
			e.become("text", "plain")
		}
	}
	p.open = p.open[:level]
}
