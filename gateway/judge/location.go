package judge

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// location says where octets lie: a range of the letter, and from there inwards
// steps that are undone from left to right: a transfer encoding, "cms" (the
// content of a signature), "OFFSET+LENGTH" (a range).
//
// A Document has fields for one signature and one range within it, a Signature
// for neither. What lies deeper goes on in the Encoding of the last range: its
// transfer encoding, then further steps, separated by spaces.
type location struct {
	known bool
	first rem.Range
	steps []string
}

const stepContent = "cms"

// inside is the content of the signature that lies here.
func (l location) inside() location { return l.then(stepContent) }

// part is a range of what lies here; of the letter itself at the zero location.
func (l location) part(r rem.Range) location {
	if !l.known {
		return location{known: true, first: r}
	}
	return l.then(rangeStep(r), r.Encoding)
}

func (l location) then(steps ...string) location {
	l.steps = append(l.steps[:len(l.steps):len(l.steps)], steps...)
	return l
}

func rangeStep(r rem.Range) string { return fmt.Sprintf("%d+%d", r.Offset, r.Length) }

// signature is the place of a signature.
func (l location) signature() rem.Range { return lengthen(l.first, l.steps) }

// document fills in the place of a document.
func (l location) document(d *rem.Document) {
	if len(l.steps) == 0 || l.steps[0] != stepContent {
		d.Part = lengthen(l.first, l.steps)
		return
	}
	if len(l.steps) == 1 {
		d.Part, d.Container = l.first, true
		return
	}
	offset, length, err := parseRange(l.steps[1])
	if err != nil { // a signature right inside a signature
		d.Part = lengthen(l.first, l.steps)
		return
	}
	within := lengthen(rem.Range{Offset: offset, Length: length, Encoding: l.steps[2]}, l.steps[3:])
	d.Part, d.Container, d.Within = l.first, true, &within
}

func lengthen(r rem.Range, steps []string) rem.Range {
	r.Encoding = strings.Join(append([]string{r.Encoding}, steps...), " ")
	return r
}

func parseRange(step string) (offset, length int64, err error) {
	o, n, _ := strings.Cut(step, "+")
	if offset, err = strconv.ParseInt(o, 10, 64); err == nil {
		length, err = strconv.ParseInt(n, 10, 64)
	}
	return offset, length, err
}

// OpenDocument reads a document of a judged letter, decoded: the octets that
// Document.SHA256 and Size are of. l is the same letter, parsed again. Errors
// of the content come with the reading.
func OpenDocument(l *message.Letter, d rem.Document) (io.ReadCloser, error) {
	r, err := open(l, d.Part)
	if err == nil && d.Container {
		r, err = unwrap(r)
	}
	if err == nil && d.Within != nil {
		if r, err = cut(r, d.Within.Offset, d.Within.Length); err == nil {
			r, err = undo(r, d.Within.Encoding)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open document %q: %w", d.Name, err)
	}
	return io.NopCloser(r), nil
}

// OpenSignature reads a signature of a judged letter as CMS in DER or BER: the
// octets that Signature.SignatureSHA256 is of.
func OpenSignature(l *message.Letter, s rem.Signature) (io.ReadCloser, error) {
	r, err := open(l, s.Part)
	if err != nil {
		return nil, fmt.Errorf("open signature %q: %w", s.Place, err)
	}
	return io.NopCloser(dearmour(r)), nil
}

func open(l *message.Letter, r rem.Range) (io.Reader, error) {
	encoding, rest, _ := strings.Cut(r.Encoding, " ")
	r.Encoding = encoding
	return undo(l.Open(r), rest)
}

// undo runs the steps of an Encoding.
func undo(r io.Reader, encoding string) (_ io.Reader, err error) {
	for step := range strings.FieldsSeq(encoding) {
		switch {
		case step == stepContent:
			r, err = unwrap(r)
		case strings.Contains(step, "+"):
			var offset, length int64
			if offset, length, err = parseRange(step); err == nil {
				r, err = cut(r, offset, length)
			}
		default:
			r = message.Decode(r, step)
		}
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

// cut reads length octets from offset on; fewer are an error.
func cut(r io.Reader, offset, length int64) (io.Reader, error) {
	if offset < 0 || length < 0 {
		return nil, fmt.Errorf("%w: range %d+%d", message.ErrMalformed, offset, length)
	}
	if _, err := io.CopyN(io.Discard, r, offset); err != nil {
		return nil, unexpected(err)
	}
	return &exactly{r, length}, nil
}

// exactly reads n octets and takes an earlier end for an error.
type exactly struct {
	r io.Reader
	n int64
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.n)])
	if e.n -= int64(n); e.n > 0 {
		err = unexpected(err)
	} else {
		err = nil
	}
	return n, err
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
