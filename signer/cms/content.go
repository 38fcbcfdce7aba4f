package cms

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math"
)

// ContentTypeOf reads as far as the content type of a ContentInfo (RFC 5652 §3): OIDSignedData or another. Octets that
// do not begin as a ContentInfo are ErrNotSignedData.
func ContentTypeOf(r io.Reader) (asn1.ObjectIdentifier, error) {
	d := newDecoder(r)
	contentType := d.contentInfo()
	return contentType, d.err
}

// Content streams the eContent octets of an attached SignedData, whether they are one OCTET STRING or divided. Of a
// detached one it returns nil. The reader stops at the end of the content and does not judge what follows it.
func Content(r io.Reader) (io.Reader, error) {
	d := newDecoder(r)
	d.signedData()
	d.skip() // digestAlgorithms
	if _, attached := d.encapsulated(); d.err != nil || !attached {
		return nil, d.err
	}
	return d.octetReader(tagOctetString), nil
}

// IsAttributes says whether content is what a signature over signed attributes is made of: a SET OF Attribute, in BER or
// DER. Nothing in a SignerInfo separates a signature over content from one over attributes (RFC 5652 §5.4), so either can
// be presented as the other when the content has this form. The content is streamed; errors are the reader's.
func IsAttributes(content io.Reader) (bool, error) {
	d := newDecoder(content)
	d.limit = math.MaxInt64
	d.enter(tagSet)
	n := 0
	for ; d.more(); n++ {
		d.attribute(func() { d.skip() })
	}
	d.leave()
	switch err := d.finish(); {
	case err == nil:
		return n > 0, nil
	case errors.Is(err, ErrMalformed) || errors.Is(err, ErrTooLarge):
		return false, nil
	default:
		return false, err
	}
}

// contentInfo enters a ContentInfo and reads its type.
func (d *decoder) contentInfo() asn1.ObjectIdentifier {
	d.enter(tagSequence)
	contentType := d.oid()
	if errors.Is(d.err, ErrMalformed) {
		d.err = fmt.Errorf("%w: %w", ErrNotSignedData, d.err)
	}
	return contentType
}

// signedData enters ContentInfo and SignedData and reads the version.
func (d *decoder) signedData() {
	contentType := d.contentInfo()
	switch {
	case d.err != nil || contentType.Equal(OIDSignedData):
	case encrypted(contentType):
		d.fail(ErrEnveloped)
	default:
		d.fail(fmt.Errorf("%w: content type %s", ErrNotSignedData, contentType))
	}
	d.enter(tagContext0)
	d.enter(tagSequence)
	d.version()
}

// encapsulated enters EncapsulatedContentInfo and, when there is an eContent, its explicit tag; the next element is
// then the OCTET STRING. The caller leaves both.
func (d *decoder) encapsulated() (contentType asn1.ObjectIdentifier, attached bool) {
	d.enter(tagSequence)
	contentType = d.oid()
	if d.peek() == tagContext0 {
		d.enter(tagContext0)
		attached = true
	}
	return contentType, attached
}

// attribute reads one Attribute (RFC 5652 §5.3); value reads each of its values.
func (d *decoder) attribute(value func()) asn1.ObjectIdentifier {
	d.enter(tagSequence)
	oid := d.oid()
	d.enter(tagSet)
	for d.more() {
		value()
	}
	d.leave()
	d.leave()
	return oid
}

// octetReader streams the contents of an OCTET STRING. Its headers and octets do not count against the decoder's limit:
// nothing of them is kept.
type octetReader struct {
	d     *decoder
	base  int   // frames that are not the string's own
	left  int64 // octets of the primitive piece being read
	begun bool
	id    byte // identifier of the string itself: universal 4 or an implicit tag
}

// octetReader returns a reader of the next element, which is an OCTET STRING with identifier id when primitive.
func (d *decoder) octetReader(id byte) *octetReader {
	return &octetReader{d: d, base: len(d.frames), id: id}
}

func (o *octetReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for o.left == 0 {
		if o.begun && len(o.d.frames) == o.base {
			return 0, io.EOF
		}
		if o.advance(); o.d.err != nil {
			return 0, o.d.err
		}
	}
	n, err := o.d.src.Read(p[:min(int64(len(p)), o.left)])
	o.d.off += int64(n)
	o.left -= int64(n)
	if err != nil {
		o.d.readError(err)
		return n, o.d.err
	}
	return n, nil
}

// advance reads the next piece's header, or the end of a divided string.
func (o *octetReader) advance() {
	d := o.d
	kept := d.kept
	defer func() { d.kept = kept }()
	if o.begun && !d.more() {
		d.leave()
		return
	}
	id := byte(tagOctetString)
	if !o.begun {
		id, o.begun = o.id, true
	}
	switch h := d.header(); {
	case d.err != nil:
	case h.id == id:
		o.left = h.length
	case h.id == id|tagConstructed:
		d.ber = true
		d.push(h)
	default:
		d.malformed("element %#02x where an octet string is expected", h.id)
	}
}
