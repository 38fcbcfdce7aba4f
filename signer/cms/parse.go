package cms

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cryptogramm.ru/cryptogramm/signer/pki"
)

const (
	maxSignature = 64 << 10
	maxKeyID     = 1 << 10
	maxName      = 64 << 10 // as large as a whole certificate may be
)

// Parse reads one SignedData in one pass. The content is measured and not kept. Errors: ErrNotSignedData, ErrEnveloped,
// ErrMalformed, ErrTooLarge, or the reader's.
func Parse(r io.Reader) (*SignedData, error) {
	d := newDecoder(r)
	sd := new(SignedData)
	d.signedData()
	d.set(tagSet, MaxDigests, func() { sd.DigestAlgorithms = append(sd.DigestAlgorithms, d.algorithm()) })
	d.content(sd)
	if d.peek() == tagContext0 {
		d.set(tagContext0, MaxCertificates, func() { d.certificate(sd) })
	}
	if d.peek() == tagContext1 {
		d.set(tagContext1, MaxCRLs, func() { d.crl(sd) })
	}
	d.set(tagSet, MaxSigners, func() { sd.Signers = append(sd.Signers, d.signerInfo()) })
	for range 3 { // SignedData, its explicit tag, ContentInfo
		d.leave()
	}
	if err := d.finish(); err != nil {
		return nil, fmt.Errorf("parse SignedData: %w", err)
	}
	sd.BER = d.ber
	return sd, nil
}

// set reads a SET OF with at most max members.
func (d *decoder) set(id byte, max int, member func()) {
	d.enter(id)
	for n := 0; d.more(); n++ {
		if n == max {
			d.fail(fmt.Errorf("%w: more than %d members of a set", ErrTooLarge, max))
			return
		}
		member()
	}
	d.leave()
}

func (d *decoder) content(sd *SignedData) {
	sd.ContentType, sd.Attached = d.encapsulated()
	if sd.Attached && d.err == nil {
		n, err := io.Copy(io.Discard, d.octetReader(tagOctetString))
		if err != nil {
			d.fail(err)
		}
		sd.ContentSize = n
		d.leave()
	}
	d.leave()
}

// certificate reads one CertificateChoices (RFC 5652 §10.2.2). What is no X.509 certificate is counted, not refused: the
// signer's own may still be there, and if it is not the verdict says so.
func (d *decoder) certificate(sd *SignedData) {
	der := d.raw()
	if d.err != nil {
		return
	}
	certificate, err := pki.ParseCertificate(der)
	if err != nil {
		sd.BadCertificates++
		return
	}
	sd.Certificates = append(sd.Certificates, certificate)
}

// crl reads one RevocationInfoChoice (RFC 5652 §10.2.1).
func (d *decoder) crl(sd *SignedData) {
	der := d.raw()
	if d.err != nil {
		return
	}
	crl, err := pki.ParseCRL(der)
	if err != nil {
		sd.BadCRLs++
		return
	}
	sd.CRLs = append(sd.CRLs, crl)
}

func (d *decoder) signerInfo() SignerInfo {
	var si SignerInfo
	d.enter(tagSequence)
	si.Version = d.version()
	if d.peek() == tagSequence {
		d.enter(tagSequence)
		si.Issuer.Raw = d.leaf(tagSequence, maxName)
		si.Serial = d.integer()
		d.leave()
	} else {
		si.SubjectKeyID = d.octets(tagKeyID, maxKeyID)
	}
	si.Digest = d.algorithm()
	if d.peek() == tagContext0 {
		d.signedAttributes(&si)
	}
	si.Signature = d.algorithm()
	si.SignatureValue = d.octets(tagOctetString, maxSignature)
	if d.peek() == tagContext1 {
		d.set(tagContext1, MaxAttributes, func() {
			var a Attribute
			a.OID = d.attribute(func() { a.Values = append(a.Values, d.value(len(a.Values))) })
			si.UnsignedAttributes = append(si.UnsignedAttributes, a)
		})
	}
	d.leave()
	return si
}

// value keeps one attribute value, the n-th.
func (d *decoder) value(n int) []byte {
	if n == MaxAttributes {
		d.fail(fmt.Errorf("%w: more than %d values of an attribute", ErrTooLarge, MaxAttributes))
	}
	return d.raw()
}

// signedAttributes keeps the members as received under the tag and length that they were signed with: an EXPLICIT SET OF
// (RFC 5652 §5.4). Only the implicit tag's own length may be BER. Members that are not DER are a finding about this
// signature, made by Check.
func (d *decoder) signedAttributes(si *SignerInfo) {
	var members [][]byte
	d.set(tagContext0, MaxAttributes, func() { members = append(members, d.raw()) })
	if d.err != nil {
		return
	}
	si.SignedAttributesDER = encode(tagSet, members...)
	si.SignedAttributes, si.attributesErr = parseAttributes(si.SignedAttributesDER)
	if errors.Is(si.attributesErr, ErrTooLarge) {
		d.fail(si.attributesErr)
	}
}

// parseAttributes reads a DER SET OF Attribute.
func parseAttributes(der []byte) ([]Attribute, error) {
	if err := checkDER(der, 0); err != nil {
		return nil, err
	}
	set, attributes := cryptobyte.String(der), []Attribute{}
	if !set.ReadASN1(&set, casn1.SET) {
		return nil, errNotAttributes
	}
	for !set.Empty() {
		var (
			a              Attribute
			member, values cryptobyte.String
		)
		if !set.ReadASN1(&member, casn1.SEQUENCE) || !member.ReadASN1ObjectIdentifier(&a.OID) ||
			!member.ReadASN1(&values, casn1.SET) || !member.Empty() {
			return nil, errNotAttributes
		}
		for !values.Empty() {
			var value cryptobyte.String
			if !values.ReadAnyASN1Element(&value, new(casn1.Tag)) {
				return nil, errNotAttributes
			}
			if a.Values = append(a.Values, value); len(a.Values) > MaxAttributes {
				return nil, fmt.Errorf("%w: more than %d values of an attribute", ErrTooLarge, MaxAttributes)
			}
		}
		attributes = append(attributes, a)
	}
	return attributes, nil
}

// algorithm reads an AlgorithmIdentifier (RFC 5280 §4.1.1.2).
func (d *decoder) algorithm() pki.AlgorithmIdentifier {
	var a pki.AlgorithmIdentifier
	d.enter(tagSequence)
	a.OID = d.oid()
	if d.more() {
		a.Parameters = d.raw()
	}
	d.leave()
	return a
}

// octets collects a short OCTET STRING.
func (d *decoder) octets(id byte, max int64) []byte {
	if d.err != nil {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(d.octetReader(id), max+1))
	if err != nil {
		d.fail(err)
	}
	if int64(len(b)) > max {
		d.fail(fmt.Errorf("%w: octet string of more than %d octets", ErrTooLarge, max))
	}
	d.spend(int64(len(b)))
	return b
}
