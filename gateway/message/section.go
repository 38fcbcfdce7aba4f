package message

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// SectionKind is what of a part a Section names.
type SectionKind int

// The texts of RFC 9051 §6.4.5.1.
const (
	SectionWhole  SectionKind = iota // BODY[] and BODY[n]
	SectionHeader                    // HEADER, of a mail
	SectionText                      // TEXT, of a mail
	SectionMIME                      // MIME, of a part
)

// Section names octets of a mail as IMAP does (RFC 9051 §6.4.5.1).
type Section struct {
	Part   []int // part number; empty for the mail itself
	Kind   SectionKind
	Fields []string // with SectionHeader: only these fields
	Except []string // with SectionHeader: all but these fields
}

// Slice is what a Section comes to: a span of the mail, and of a header perhaps
// only some fields.
type Slice struct {
	Span
	fields map[string]bool // lower case; nil for every octet
	except bool
}

// Slice finds a section. It is false for one that the mail does not have.
func (o *Outline) Slice(s Section) (Slice, bool) {
	at, ok := o.Find(s.Part)
	if !ok {
		return Slice{}, false
	}
	e := &o.Entities[at]
	switch s.Kind {
	case SectionMIME:
		return Slice{Span: e.Header}, len(s.Part) > 0
	case SectionWhole:
		if len(s.Part) == 0 {
			return Slice{Span: Span{0, o.Size}}, true
		}
		return Slice{Span: e.Body}, true
	}
	if len(s.Part) > 0 { // the mail that the part holds
		if !e.Message() {
			return Slice{}, false
		}
		e = &o.Entities[at+1]
	}
	if s.Kind == SectionText {
		return Slice{Span: e.Body}, true
	}
	return filtered(e.Header, s), true
}

func filtered(header Span, s Section) Slice {
	names := s.Fields
	if len(names) == 0 {
		names = s.Except
	}
	if len(names) == 0 {
		return Slice{Span: header}
	}
	slice := Slice{Span: header, fields: make(map[string]bool, len(names)), except: len(s.Fields) == 0}
	for _, n := range names {
		slice.fields[strings.ToLower(n)] = true
	}
	return slice
}

// Whole reports whether the slice is all the octets of its Span.
func (s Slice) Whole() bool { return s.fields == nil }

// Open reads the slice of a mail. What is left out costs reading but no memory.
func (s Slice) Open(r io.ReaderAt) io.Reader {
	section := io.NewSectionReader(r, s.Offset, s.Length)
	if s.Whole() {
		return section
	}
	n := int(min(fieldBuffer, max(s.Length, 16)))
	return &fieldReader{slice: s, in: bufio.NewReaderSize(section, n), atStart: true}
}

const fieldBuffer = 16 << 10

// fieldReader lets through the fields that are wanted, and the blank line.
type fieldReader struct {
	slice   Slice
	in      *bufio.Reader
	due     []byte
	atStart bool // of a line
	pass    bool // the field at hand is wanted
	err     error
}

func (f *fieldReader) Read(b []byte) (int, error) {
	for len(f.due) == 0 {
		if f.err != nil {
			return 0, f.err
		}
		f.next()
	}
	n := copy(b, f.due)
	f.due = f.due[n:]
	return n, nil
}

// next reads a line, or a piece of a long one.
func (f *fieldReader) next() {
	line, err := f.in.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		f.err = err
	}
	if len(line) == 0 {
		return
	}
	if f.atStart {
		f.pass = f.wanted(line)
	}
	f.atStart = line[len(line)-1] == '\n'
	if f.pass {
		f.due = line
	}
}

// wanted decides over a line: a continuation goes with its field, junk is no
// field of any name.
func (f *fieldReader) wanted(line []byte) bool {
	switch text := strings.TrimRight(string(line[:min(len(line), 128)]), "\r\n"); {
	case text == "":
		return true
	case text[0] == ' ' || text[0] == '\t':
		return f.pass
	default:
		name, _, ok := strings.Cut(text, ":")
		return (ok && f.slice.fields[strings.ToLower(strings.TrimRight(name, " \t"))]) != f.slice.except
	}
}
