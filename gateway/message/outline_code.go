package message

import (
	"encoding/binary"
	"fmt"
)

// outlineVersion is the first octet of an encoded outline.
const outlineVersion = 1

// Encode is the outline in few octets: numbers as varints, text behind its
// length. DecodeOutline undoes it.
func (o *Outline) Encode() []byte {
	b := make([]byte, 0, 512)
	b = append(b, outlineVersion)
	b = putNumber(b, o.Size)
	b = putNumber(b, len(o.Entities))
	for i := range o.Entities {
		b = o.Entities[i].encode(b)
	}
	return b
}

func (e *Entity) encode(b []byte) []byte {
	b = putNumber(b, e.Header.Offset)
	b = putNumber(b, e.Header.Length)
	b = putNumber(b, e.Body.Length)
	b = putNumber(b, e.Lines)
	b = putNumber(b, e.After)
	for _, s := range e.texts() {
		b = putText(b, *s)
	}
	b = putParams(b, e.Params)
	b = putParams(b, e.DispParams)
	b = putNumber(b, len(e.Language))
	for _, s := range e.Language {
		b = putText(b, s)
	}
	if e.Envelope == nil {
		return append(b, 0)
	}
	b = append(b, 1)
	for _, s := range e.Envelope.texts() {
		b = putText(b, *s)
	}
	for _, list := range e.Envelope.lists() {
		b = putNumber(b, len(*list))
		for _, a := range *list {
			b = putText(putText(putText(b, a.Name), a.Mailbox), a.Host)
		}
	}
	return b
}

// texts and lists name the fields in the order of the encoding.
func (e *Entity) texts() [8]*string {
	return [...]*string{&e.Type, &e.Subtype, &e.Encoding, &e.ID, &e.Description, &e.MD5, &e.Disposition, &e.Location}
}

func (e *Envelope) texts() [4]*string {
	return [...]*string{&e.Date, &e.Subject, &e.InReplyTo, &e.MessageID}
}

func (e *Envelope) lists() [6]*[]EnvelopeAddress {
	return [...]*[]EnvelopeAddress{&e.From, &e.Sender, &e.ReplyTo, &e.To, &e.Cc, &e.Bcc}
}

func putNumber[T int | int64](b []byte, n T) []byte { return binary.AppendUvarint(b, uint64(n)) }

func putText(b []byte, s string) []byte { return append(putNumber(b, len(s)), s...) }

func putParams(b []byte, list []Param) []byte {
	b = putNumber(b, len(list))
	for _, p := range list {
		b = putText(putText(b, p.Name), p.Value)
	}
	return b
}

// DecodeOutline reads what Encode wrote; ErrMalformed for anything else. What it
// answers has its spans inside the mail and its entities inside one another.
func DecodeOutline(b []byte) (*Outline, error) {
	d := outlineDecoder{in: string(b)}
	if len(b) == 0 || b[0] != outlineVersion {
		return nil, fmt.Errorf("%w: outline of another version", ErrMalformed)
	}
	d.at = 1
	o := &Outline{Size: int64(d.number())}
	n := d.count(6)
	if n < 1 || n > outlineParts || o.Size < 0 {
		return nil, fmt.Errorf("%w: outline", ErrMalformed)
	}
	o.Entities = make([]Entity, n)
	for i := range o.Entities {
		d.entity(&o.Entities[i])
	}
	if d.bad || d.at != len(d.in) || !o.consistent() {
		return nil, fmt.Errorf("%w: outline", ErrMalformed)
	}
	return o, nil
}

// outlineDecoder cuts its text out of one string: an outline is decoded in a
// few allocations.
type outlineDecoder struct {
	in  string
	at  int
	bad bool
}

func (d *outlineDecoder) number() uint64 {
	var n uint64
	for shift := 0; shift < 63; shift += 7 {
		if d.at >= len(d.in) {
			break
		}
		c := d.in[d.at]
		d.at++
		if n |= uint64(c&0x7F) << shift; c < 0x80 {
			if c == 0 && shift > 0 { // not the shortest form
				break
			}
			return n
		}
	}
	d.bad = true
	return 0
}

// count is a number of things of at least size octets each that follow.
func (d *outlineDecoder) count(size int) int {
	n := d.number()
	if n > uint64(len(d.in)-d.at)/uint64(size) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *outlineDecoder) text() string {
	n := d.count(1)
	s := d.in[d.at : d.at+n]
	d.at += n
	return s
}

func (d *outlineDecoder) params() []Param {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	list := make([]Param, n)
	for i := range list {
		list[i].Name = d.text()
		list[i].Value = d.text()
	}
	return list
}

func (d *outlineDecoder) entity(e *Entity) {
	e.Header.Offset = int64(d.number())
	e.Header.Length = int64(d.number())
	e.Body.Offset = e.Header.End()
	e.Body.Length = int64(d.number())
	e.Lines = int64(d.number())
	e.After = int(d.number())
	for _, s := range e.texts() {
		*s = d.text()
	}
	e.Params = d.params()
	e.DispParams = d.params()
	if n := d.count(1); n > 0 {
		e.Language = make([]string, n)
		for i := range e.Language {
			e.Language[i] = d.text()
		}
	}
	switch d.number() {
	case 0:
	case 1:
		e.Envelope = d.envelope()
	default:
		d.bad = true
	}
}

func (d *outlineDecoder) envelope() *Envelope {
	e := &Envelope{}
	for _, s := range e.texts() {
		*s = d.text()
	}
	for _, list := range e.lists() {
		n := d.count(3)
		if n == 0 {
			continue
		}
		*list = make([]EnvelopeAddress, n)
		for i := range *list {
			(*list)[i] = EnvelopeAddress{d.text(), d.text(), d.text()}
		}
	}
	return e
}

// consistent reports whether the spans lie inside the mail and each entity
// inside the one around it, so that nobody who walks the outline can stray.
func (o *Outline) consistent() bool {
	var around []int // entities not yet ended
	for i := range o.Entities {
		e := &o.Entities[i]
		for len(around) > 0 && o.Entities[around[len(around)-1]].After <= i {
			around = around[:len(around)-1]
		}
		whole, after := Span{0, o.Size}, len(o.Entities)
		if n := len(around); n > 0 {
			parent := &o.Entities[around[n-1]]
			whole, after = parent.Body, parent.After
		} else if i > 0 {
			return false
		}
		if e.Header.Offset < 0 || e.Header.Length < 0 || e.Body.Length < 0 || e.Lines < 0 || e.Body.Offset < 0 || e.Body.End() < 0 ||
			!whole.Contains(e.Header) || !whole.Contains(e.Body) || e.After <= i || e.After > after {
			return false
		}
		if mail := i == 0 || o.Entities[i-1].Message() && e.After <= o.Entities[i-1].After; mail != (e.Envelope != nil) {
			return false
		}
		holds := e.After > i+1
		if holds != (e.Multipart() || e.Message()) || e.Message() && o.Entities[i+1 : e.After][0].After != e.After {
			return false
		}
		around = append(around, i)
	}
	return o.Entities[0].Header.Offset == 0 && o.Entities[0].After == len(o.Entities)
}
