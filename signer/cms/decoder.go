package cms

import (
	"bufio"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
)

// Identifier octets that CMS uses; every other one occurs only inside elements that are kept whole.
const (
	tagInteger          = 0x02
	tagOctetString      = 0x04
	tagOctetStringParts = 0x24 // an OCTET STRING divided into several (X.690 §8.7.3), BER only
	tagOID              = 0x06
	tagSequence         = 0x30
	tagSet              = 0x31
	tagContext0         = 0xa0
	tagContext1         = 0xa1
	tagContext2         = 0xa2
	tagKeyID            = 0x80 // [0] IMPLICIT OCTET STRING
	tagConstructed      = 0x20
)

const (
	indefinite   = -1
	allocateOnce = 16 << 10 // a larger element is stored as it arrives, not by what its length claims
)

// header is the identifier and length octets of one element (X.690 §8.1), as values and as received.
type header struct {
	id     byte  // first identifier octet
	length int64 // of the contents, or indefinite
	octets [16]byte
	size   int
}

// decoder walks BER elements in one pass. Its first error sticks: every later call does nothing, every loop over more
// ends, so that a structure is read as straight as its ASN.1 and asked for err once.
type decoder struct {
	src    *bufio.Reader
	off    int64   // octets consumed
	frames []frame // the elements entered and not left; the first stands for the input itself
	kept   int64   // octets consumed that count against limit: all but the content
	limit  int64
	ber    bool // something seen is BER and not DER
	err    error
}

// frame is one element being read. A child may not pass end, whichever form its own length has.
type frame struct {
	end        int64
	indefinite bool
}

func newDecoder(r io.Reader) *decoder {
	d := &decoder{src: bufio.NewReader(r), limit: MaxStructure, frames: make([]frame, 1, MaxDepth/2)}
	d.frames[0].end = math.MaxInt64
	return d
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

func (d *decoder) malformed(format string, args ...any) {
	d.fail(fmt.Errorf("%w at octet %d: "+format, append([]any{ErrMalformed, d.off}, args...)...))
}

// readError tells a bad signature from a bad disk: only the reader's own errors stay errors.
func (d *decoder) readError(err error) {
	var corrupt base64.CorruptInputError // of a source that decodes while it is read
	switch {
	case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
		d.malformed("truncated")
	case errors.As(err, &corrupt):
		d.malformed("%v", err)
	default:
		d.fail(fmt.Errorf("read CMS: %w", err))
	}
}

func (d *decoder) top() frame { return d.frames[len(d.frames)-1] }

func (d *decoder) readByte() byte {
	if d.err != nil {
		return 0
	}
	if d.off >= d.top().end {
		d.malformed("an element is longer than the one that holds it")
		return 0
	}
	b, err := d.src.ReadByte()
	if err != nil {
		d.readError(err)
		return 0
	}
	d.off++
	d.spend(1)
	return b
}

// spend counts n octets against the limit, before they are stored.
func (d *decoder) spend(n int64) {
	if n > d.limit-d.kept {
		d.fail(fmt.Errorf("%w: more than %d octets beside the content", ErrTooLarge, d.limit))
		return
	}
	d.kept += n
}

// peek returns the identifier octet of the next element of the frame, and 0 at its end or after an error.
func (d *decoder) peek() byte {
	f := d.top()
	if d.err != nil || d.off == f.end {
		return 0
	}
	b, err := d.src.Peek(1)
	switch {
	case err == io.EOF && len(d.frames) == 1:
		return 0
	case err != nil:
		d.readError(err)
		return 0
	case b[0] == 0 && !f.indefinite:
		d.malformed("end-of-contents where no indefinite length is open")
	}
	return b[0]
}

// more says whether the frame has another element.
func (d *decoder) more() bool { return d.peek() != 0 }

// header reads identifier and length octets (X.690 §8.1.2, §8.1.3).
func (d *decoder) header() header {
	var h header
	next := func() byte {
		b := d.readByte()
		h.octets[h.size] = b
		h.size++
		return b
	}
	if h.id = next(); h.id == 0 {
		d.malformed("element expected")
	}
	if h.id&0x1f == 0x1f {
		for n := 0; next()&0x80 != 0; n++ {
			if n == 3 {
				d.malformed("tag number too large")
				return h
			}
		}
	}
	switch first := next(); {
	case first < 0x80:
		h.length = int64(first)
	case first == 0x80:
		h.length, d.ber = indefinite, true
		if h.id&tagConstructed == 0 {
			d.malformed("indefinite length of a primitive element")
		}
	case first > 0x88:
		d.malformed("length of more than 8 octets")
	default:
		n := int(first & 0x7f)
		for range n {
			if h.length > math.MaxInt64>>8 {
				d.malformed("length out of range")
				return h
			}
			h.length = h.length<<8 | int64(next())
		}
		if h.length < 0x80 || h.length>>(8*(n-1)) == 0 {
			d.ber = true
		}
	}
	if d.err == nil && h.length > d.top().end-d.off {
		d.malformed("an element is longer than the one that holds it")
	}
	return h
}

// enter reads the header of a constructed element with the given identifier and opens its frame.
func (d *decoder) enter(id byte) {
	h := d.header()
	if d.err == nil && h.id != id {
		d.malformed("element %#02x where %#02x is expected", h.id, id)
	}
	d.push(h)
}

func (d *decoder) push(h header) {
	if d.err != nil {
		return
	}
	if len(d.frames) > MaxDepth {
		d.fail(fmt.Errorf("%w: nested deeper than %d", ErrTooLarge, MaxDepth))
		return
	}
	f := frame{end: d.top().end, indefinite: h.length == indefinite}
	if !f.indefinite {
		f.end = d.off + h.length
	}
	d.frames = append(d.frames, f)
}

// leave closes the frame, which has to be at its end.
func (d *decoder) leave() {
	if d.more() {
		d.malformed("unexpected element %#02x", d.peek())
	}
	if d.err != nil {
		return
	}
	if d.top().indefinite {
		if first, second := d.readByte(), d.readByte(); first != 0 || second != 0 {
			d.malformed("bad end-of-contents")
		}
	}
	if d.err == nil {
		d.frames = d.frames[:len(d.frames)-1]
	}
}

// finish demands that nothing follows the one outermost element.
func (d *decoder) finish() error {
	if d.err == nil {
		if _, err := d.src.Peek(1); err == nil {
			d.malformed("trailing octets")
		} else if err != io.EOF {
			d.readError(err)
		}
	}
	return d.err
}

// raw returns the whole next element as received.
func (d *decoder) raw() []byte {
	h := d.header()
	if d.err != nil {
		return nil
	}
	if h.length != indefinite {
		return d.definite(h)
	}
	var kept memory
	if d.copyElement(&kept, h); d.err != nil {
		return nil
	}
	return kept
}

// memory is a writer whose growth leaves less behind than a bytes.Buffer's.
type memory []byte

func (m *memory) Write(p []byte) (int, error) {
	*m = append(*m, p...)
	return len(p), nil
}

// definite stores an element of known length. Beyond allocateOnce no more is set aside than has arrived already.
func (d *decoder) definite(h header) []byte {
	if d.spend(h.length); d.err != nil {
		return nil
	}
	total, have := h.size+int(h.length), h.size
	b := make([]byte, min(total, have+allocateOnce))
	copy(b, h.octets[:h.size])
	for {
		n, err := io.ReadFull(d.src, b[have:])
		d.off += int64(n)
		if err != nil {
			d.readError(err)
			return nil
		}
		if have = len(b); have == total {
			return b
		}
		grown := make([]byte, min(total, 2*have))
		copy(grown, b)
		b = grown
	}
}

// skip passes over the next element and stores nothing of it.
func (d *decoder) skip() { d.copyElement(io.Discard, d.header()) }

// copyElement writes the element whose header was read. An indefinite one is walked to find its end.
func (d *decoder) copyElement(w io.Writer, h header) {
	if d.err != nil {
		return
	}
	w.Write(h.octets[:h.size]) // to memory or nowhere: cannot be refused
	if h.length != indefinite {
		d.copyContents(w, h.length)
		return
	}
	d.push(h)
	for d.more() {
		d.copyElement(w, d.header())
	}
	d.leave()
	w.Write([]byte{0, 0})
}

// copyContents writes n octets out of the read buffer, a piece at a time.
func (d *decoder) copyContents(w io.Writer, n int64) {
	for d.spend(n); n > 0 && d.err == nil; {
		piece, err := d.src.Peek(int(min(n, int64(d.src.Size()))))
		w.Write(piece)
		d.src.Discard(len(piece)) // what was peeked at
		d.off += int64(len(piece))
		if n -= int64(len(piece)); err != nil {
			d.readError(err)
		}
	}
}

// leaf returns the next element if it has the given identifier and at most max octets.
func (d *decoder) leaf(id byte, max int) cryptobyte.String {
	if got := d.peek(); got != id {
		d.malformed("element %#02x where %#02x is expected", got, id)
	}
	b := d.raw()
	if len(b) > max+4 {
		d.fail(fmt.Errorf("%w: element of more than %d octets", ErrTooLarge, max))
		return nil
	}
	return b
}

func (d *decoder) oid() asn1.ObjectIdentifier {
	var oid asn1.ObjectIdentifier
	if s := d.leaf(tagOID, 128); d.err == nil && !s.ReadASN1ObjectIdentifier(&oid) {
		d.malformed("bad object identifier")
	}
	return oid
}

func (d *decoder) integer() *big.Int {
	n := new(big.Int)
	if s := d.leaf(tagInteger, 128); d.err == nil && !s.ReadASN1Integer(n) {
		d.malformed("bad integer")
	}
	return n
}

func (d *decoder) version() int {
	var n int
	if s := d.leaf(tagInteger, 8); d.err == nil && !s.ReadASN1Integer(&n) {
		d.malformed("bad version")
	}
	return n
}
