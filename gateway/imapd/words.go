package imapd

import (
	"bytes"
	"errors"
	"io"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/transform"

	"cryptogramm.ru/cryptogramm/gateway/message"
)

// maxHeader is how much of a header SEARCH reads.
const maxHeader = 256 << 10

// header reads the fields of the mail's own header.
func (l *letter) header() (message.Header, error) {
	b := make([]byte, min(l.o.HeaderSize(), maxHeader))
	if _, err := l.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return message.Fields(string(b)), nil
}

// sent is the date of the letter by its own account, in its own zone; zero
// when it has none.
func (c *candidate) sent() time.Time {
	if !c.outline() {
		return time.Time{}
	}
	t, err := mail.ParseDate(c.l.o.Entities[0].Envelope.Date)
	if err != nil {
		return time.Time{}
	}
	return t
}

// hit reports whether a needle is in the letter. The first question searches
// for all of them: the letter is read once.
func (c *candidate) hit(needle int) bool {
	if c.hits == nil {
		c.hits = make([]bool, len(c.q.needles))
		if c.outline() {
			c.err = c.searchText()
		}
	}
	return c.err == nil && c.hits[needle]
}

func (c *candidate) searchText() error {
	for _, f := range c.header() {
		c.find([]byte(fold(f.Name+": "+f.Text())), true)
	}
	o := c.l.o
	for i := range o.Entities {
		if c.done() {
			return nil
		}
		e := &o.Entities[i]
		if i > 0 && e.Header.Length > 0 { // of a part, or of a letter within the letter
			b := make([]byte, min(e.Header.Length, maxHeader))
			if _, err := c.l.ReadAt(b, e.Header.Offset); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			c.find([]byte(fold(message.DecodeHeader(string(b)))), false)
		}
		if e.Text() {
			if err := c.searchPart(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// done reports whether everything was found.
func (c *candidate) done() bool {
	for _, h := range c.hits {
		if !h {
			return false
		}
	}
	return true
}

// find looks for the needles in folded text.
func (c *candidate) find(text []byte, header bool) {
	for i, n := range c.q.needles {
		if !c.hits[i] && (n.headers || !header) {
			c.hits[i] = bytes.Contains(text, []byte(n.text))
		}
	}
}

// searchPart reads a text part decoded: transfer encoding, then charset. What
// cannot be decoded is searched as far as it can; a fault of storage is an
// error.
func (c *candidate) searchPart(e *message.Entity) error {
	raw := &faults{r: io.NewSectionReader(c.l, e.Body.Offset, e.Body.Length), ctx: c.l.ctx}
	r := inUTF8(message.Decode(raw, e.Encoding), e)
	overlap := 0
	for _, n := range c.q.needles {
		overlap = max(overlap, len(n.text))
	}
	buf := make([]byte, 0, searchChunk)
	var window []byte // folded
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		whole := len(buf)
		if err == nil {
			whole = wholeRunes(buf)
		}
		if whole > 0 || err != nil {
			window = appendFolded(window, buf[:whole])
			c.find(window, false)
			window = window[:copy(window, window[max(0, len(window)-overlap):])]
			buf = buf[:copy(buf, buf[whole:])]
		}
		if err != nil || c.done() {
			return raw.err
		}
	}
}

const searchChunk = 32 << 10

// faults keeps the errors of storage apart from those of decoding.
type faults struct {
	r   io.Reader
	ctx interface{ Err() error }
	err error
}

func (f *faults) Read(b []byte) (int, error) {
	if err := f.ctx.Err(); err != nil {
		f.err = err
		return 0, err
	}
	n, err := f.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// inUTF8 undoes the charset of a part; an unknown one is taken for UTF-8.
func inUTF8(r io.Reader, e *message.Entity) io.Reader {
	for _, p := range e.Params {
		if p.Name != "charset" || strings.EqualFold(p.Value, "utf-8") || strings.EqualFold(p.Value, "us-ascii") {
			continue
		}
		if enc, err := htmlindex.Get(p.Value); err == nil {
			return transform.NewReader(r, enc.NewDecoder())
		}
	}
	return r
}

// wholeRunes is how many octets of b end with a whole character.
func wholeRunes(b []byte) int {
	for i := 1; i <= min(len(b), utf8.UTFMax-1); i++ {
		if tail := b[len(b)-i:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return len(b)
			}
			return len(b) - i
		}
	}
	return len(b)
}

// fold makes texts comparable without case.
func fold(s string) string { return string(appendFolded(nil, []byte(s))) }

func appendFolded(out, text []byte) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			out = append(out, c)
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		out = utf8.AppendRune(out, unicode.ToLower(unicode.ToUpper(r)))
		i += n
	}
	return out
}
