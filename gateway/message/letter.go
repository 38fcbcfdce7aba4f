package message

import (
	"fmt"
	"io"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// Limits bound the structure of a letter. All are inclusive.
type Limits struct {
	Depth       int // multiparts within one another
	Parts       int // entities in all, the letter itself among them
	HeaderBytes int // octets of all headers of the letter together
	Parameters  int // parameters of one header field
	Addresses   int // mailboxes of From, To and Cc together
}

// DefaultLimits are the limits of the front door.
func DefaultLimits() Limits {
	return Limits{Depth: 50, Parts: 1000, HeaderBytes: 256 << 10, Parameters: 100, Addresses: 1000}
}

// Span is a range of octets of a letter.
type Span struct{ Offset, Length int64 }

// End is the offset after the last octet.
func (s Span) End() int64 { return s.Offset + s.Length }

// Contains reports whether o lies within s.
func (s Span) Contains(o Span) bool { return s.Offset <= o.Offset && o.End() <= s.End() }

// between is the span from start to end; an end before start gives an empty
// span at end.
func between(start, end int64) Span {
	start = min(start, end)
	return Span{start, end - start}
}

// Letter is a parsed letter. It stays tied to the bytes it was parsed from.
// All of its text is outside text: decoded, on one line, not made safe to show
// (SafeDisplay does that).
type Letter struct {
	Root *Part
	Size int64

	From       []Address // mailboxes of all From fields, in order
	FromFields int       // how many From fields there are; one is right
	FromError  error     // why a From field could not be read; its mailboxes are absent
	To, Cc     []Address // what could be read of them; claims, not recipients
	Subject    string
	MessageID  string    // with its angle brackets; "" when absent or not one
	Date       time.Time // UTC; zero when absent or unreadable

	// BareLineEnd is set when a CR or LF stands alone or a NUL occurs. An LF
	// ends a line all the same, so that a letter saved by a mail program can
	// be looked at; mail programs disagree on such letters.
	BareLineEnd bool

	r io.ReaderAt
}

// Part is one MIME entity (RFC 2045 §2.4).
type Part struct {
	Path string // as IMAP counts: "1.2"; "" for the root

	Header      Header
	Entity      Span // header, blank line and body: what a signature over the part covers
	HeaderRange Span // the header fields, without the blank line
	Body        Span // without the line end that belongs to the next delimiter (RFC 2046 §5.1.1)

	MediaType   string            // lower case, "text/plain" when absent
	Params      map[string]string // of Content-Type: lower-case names, decoded values
	Encoding    string            // lower case, "7bit" when absent
	Disposition string            // lower case: "attachment", "inline", other, or ""
	FileName    string            // decoded (RFC 2231, RFC 2047), outside text; "" when there is none
	HiddenName  bool              // FileName is "", and yet some programs may read a file name

	Parts              []*Part // of a multipart
	Prologue, Epilogue Span    // of a multipart: octets before the first and after the last delimiter
	Unterminated       bool    // a multipart whose close delimiter is missing

	// Ambiguous lists what mail programs are known to read in different ways,
	// in words for the sender. Empty for a clean part.
	Ambiguous []string
}

// Range says where the part's content lies and how it is encoded.
func (p *Part) Range() rem.Range {
	return rem.Range{Offset: p.Body.Offset, Length: p.Body.Length, Encoding: p.Encoding}
}

// Multipart reports whether the part was taken apart.
func (p *Part) Multipart() bool { return isMultipart(p.MediaType) }

// Walk calls f for the part and everything in it, parents first, as long as f
// answers true.
func (p *Part) Walk(f func(*Part) bool) bool {
	if !f(p) {
		return false
	}
	for _, child := range p.Parts {
		if !child.Walk(f) {
			return false
		}
	}
	return true
}

// Ambiguity names the first thing in the letter that mail programs read in
// different ways, a missing close delimiter and bare line ends among them; ""
// for a clean letter. Several From fields are not named here: FromFields has them.
func (l *Letter) Ambiguity() string {
	if l.BareLineEnd {
		return ErrBareLineEnd.Error()
	}
	found := ""
	l.Root.Walk(func(p *Part) bool {
		switch {
		case len(p.Ambiguous) > 0:
			found = p.Ambiguous[0]
		case p.Unterminated:
			found = "multipart without its close delimiter"
		default:
			return true
		}
		if p.Path != "" {
			found = fmt.Sprintf("part %s: %s", p.Path, found)
		}
		return false
	})
	return found
}

// Raw reads a span of the letter as it came over the wire.
func (l *Letter) Raw(s Span) io.Reader {
	if s.Offset < 0 || s.Length < 0 || s.Offset > l.Size || s.Length > l.Size-s.Offset {
		return failed(fmt.Errorf("%w: octets %d+%d of %d", ErrMalformed, s.Offset, s.Length, l.Size))
	}
	return io.NewSectionReader(l.r, s.Offset, s.Length)
}

// Open reads a range of the letter with its transfer encoding undone. Errors
// come with the reading: a range outside the letter, an unknown encoding, or
// content that is not in its encoding (all ErrMalformed).
func (l *Letter) Open(r rem.Range) io.ReadCloser {
	return io.NopCloser(Decode(l.Raw(Span{r.Offset, r.Length}), r.Encoding))
}

// failed is a reader that answers with err.
func failed(err error) io.Reader { return errReader{err} }

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }
