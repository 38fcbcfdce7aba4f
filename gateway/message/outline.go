package message

import (
	"io"
	"strings"
)

// Bounds of an Outline. What lies beyond them is not an error: it is still in
// the mail, as octets of the part around it.
const (
	outlineDepth     = 50        // multiparts and mails within one another
	outlineParts     = 1000      // entities in all
	outlineHeader    = 256 << 10 // octets of one header that are read for fields
	outlineText      = 256 << 10 // octets of text kept in all
	outlineParams    = 100       // parameters of one field
	outlineAddresses = 1000      // of one address field
)

// Outline is everything IMAP shows of a mail without reading it again: the
// spans of every header and body, what BODYSTRUCTURE tells of each part and
// what ENVELOPE tells of each mail (RFC 9051 §7.5.2). Unlike a Letter it
// descends into message/rfc822, and it exists for junk too.
//
// All of its text is that of the header fields: unfolded, without line ends and
// NUL, else as it came; in any charset and not decoded.
type Outline struct {
	Size int64
	// Entities stand in the order of their headers, the mail itself first. The
	// entity after a message/rfc822 is the mail that it holds.
	Entities []Entity
}

// Entity is one part, or one mail.
type Entity struct {
	Header Span // fields and blank line
	Body   Span // begins where Header ends; without the line end of the next delimiter
	Lines  int64
	After  int // index after the last entity within this one

	Type, Subtype string // lower case
	Params        []Param
	Encoding      string // lower case, "7bit" when absent
	ID            string
	Description   string
	MD5           string
	Disposition   string // lower case; "" when absent
	DispParams    []Param
	Language      []string
	Location      string

	Envelope *Envelope // of a mail; nil for a part
}

// Param is a parameter as written (RFC 2231 not undone); names in lower case.
type Param struct{ Name, Value string }

// Envelope holds the fields that ENVELOPE shows.
type Envelope struct {
	Date, Subject                      string
	From, Sender, ReplyTo, To, Cc, Bcc []EnvelopeAddress
	InReplyTo, MessageID               string
}

// EnvelopeAddress is an address; with no Host the begin of the group that
// Mailbox names; all empty the end of a group.
type EnvelopeAddress struct{ Name, Mailbox, Host string }

// OutlineOf reads size octets of r once, front to back. It takes everything for
// a mail: a multipart that has no parts is text/plain, one beyond the bounds
// application/octet-stream. The only errors are those of r.
func OutlineOf(r io.ReaderAt, size int64) (*Outline, error) {
	p := outliner{in: newScanner(r, size), out: &Outline{Size: size}, text: outlineText}
	if err := p.run(); err != nil {
		return nil, err
	}
	return p.out, nil
}

// HeaderSize is the length of the mail's own header with its blank line.
func (o *Outline) HeaderSize() int64 { return o.Entities[0].Header.Length }

// WithHeader is the outline of the same body behind another header, which ends
// with its blank line. Its ENVELOPE is read from there; what the header says of
// the content has to be the same.
func (o *Outline) WithHeader(header []byte) *Outline {
	by := int64(len(header)) - o.HeaderSize()
	n := &Outline{Size: o.Size + by, Entities: append([]Entity(nil), o.Entities...)}
	for i := range n.Entities {
		e := &n.Entities[i]
		e.Header.Offset += by
		e.Body.Offset += by
	}
	root := &n.Entities[0]
	root.Header = Span{0, int64(len(header))}
	p := outliner{out: n, text: outlineText}
	fields, _ := splitHeader(string(header[:min(len(header), outlineHeader)]))
	root.Envelope = p.envelope(fields)
	return n
}

// Multipart reports whether the entity was taken apart into parts.
func (e *Entity) Multipart() bool { return e.Type == "multipart" }

// Message reports whether the entity holds the mail that stands after it.
func (e *Entity) Message() bool {
	return e.Type == "message" && (e.Subtype == "rfc822" || e.Subtype == "global")
}

// Text reports a part whose lines BODYSTRUCTURE counts.
func (e *Entity) Text() bool { return e.Type == "text" }

// Find is the index of the part with an IMAP part number (RFC 9051 §6.4.5.1):
// the body of a mail that is no multipart is its part 1.
func (o *Outline) Find(path []int) (int, bool) {
	at, mail := 0, true
	for _, n := range path {
		if !mail && o.Entities[at].Message() {
			at, mail = at+1, true
		}
		switch {
		case o.Entities[at].Multipart():
			child, ok := o.child(at, n)
			if !ok {
				return 0, false
			}
			at, mail = child, false
		case mail && n == 1:
			mail = false
		default:
			return 0, false
		}
	}
	return at, true
}

// child is the index of the n-th part of a multipart, counted from 1.
func (o *Outline) child(at, n int) (int, bool) {
	for i := at + 1; i < o.Entities[at].After; i = o.Entities[i].After {
		if n--; n == 0 {
			return i, true
		}
	}
	return 0, false
}

var noLine = strings.NewReplacer("\r", "", "\n", "", "\x00", "")

// oneLine drops what no IMAP string may hold.
func oneLine(s string) string {
	if strings.ContainsAny(s, "\r\n\x00") {
		s = noLine.Replace(s)
	}
	return s
}
