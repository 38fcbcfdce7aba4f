package pki

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// NonceSize is how many octets of chance a request carries (RFC 9654 §2.1).
const NonceSize = 32

const (
	maxNonce       = 128 // octets, RFC 9654 §2.1
	maxOCSPQueries = 100 // certificates asked about at once
	maxOCSPRequest = 64 << 10
)

// certID names a certificate to a responder (RFC 6960 §4.1.1).
type certID struct {
	hash              asn1.ObjectIdentifier
	nameHash, keyHash []byte
	serial            []byte // content octets of the INTEGER
	raw               []byte // as it was read; nil when it was made here
}

// identifying are the hashes by which certificates are named. That SHA-1 is
// weak does no harm here: what is named is signed with its serial number, and
// the name is compared with a certificate that is known.
var identifying = []asn1.ObjectIdentifier{oidSHA1, oidSHA256, oidSHA384, oidSHA512}

// newCertID names c, issued by issuer, by a hash.
func newCertID(c, issuer *Certificate, hash asn1.ObjectIdentifier) (certID, error) {
	h, err := HashByOID(hash)
	if err != nil {
		return certID{}, err
	}
	return certID{hash: hash, nameHash: h.sum(c.Issuer.Raw), keyHash: h.sum(issuer.Key.bits()), serial: c.serial}, nil
}

// names tells whether an id is that of c, issued by issuer. known holds the id
// of c by each hash that was needed.
func (id certID) names(c, issuer *Certificate, known map[string]certID) bool {
	if !bytes.Equal(id.serial, c.serial) || !slices.ContainsFunc(identifying, id.hash.Equal) {
		return false
	}
	own, ok := known[id.hash.String()]
	if !ok {
		var err error
		if own, err = newCertID(c, issuer, id.hash); err != nil {
			return false
		}
		known[id.hash.String()] = own
	}
	return bytes.Equal(id.nameHash, own.nameHash) && bytes.Equal(id.keyHash, own.keyHash)
}

// bits is the content of the key's BIT STRING, which key hashes are taken of.
func (k *PublicKey) bits() []byte {
	in := cryptobyte.String(k.Raw)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.SkipASN1(cbasn1.SEQUENCE) {
		return nil
	}
	bits, _ := readOctetBits(&seq)
	return bits
}

func readCertID(in *cryptobyte.String) (certID, error) {
	var id certID
	var seq, name, key cryptobyte.String
	var element cryptobyte.String
	if !in.ReadASN1Element(&element, cbasn1.SEQUENCE) {
		return id, errDER
	}
	raw := element
	if !element.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return id, errDER
	}
	algorithm, ok := readAlgorithm(&seq)
	if !ok || !seq.ReadASN1(&name, cbasn1.OCTET_STRING) || !seq.ReadASN1(&key, cbasn1.OCTET_STRING) {
		return id, errDER
	}
	id = certID{hash: algorithm.OID, nameHash: name, keyHash: key, raw: raw}
	if id.serial, ok = readIntegerBytes(&seq, maxSerial); !ok || !seq.Empty() {
		return id, errDER
	}
	return id, nil
}

func (id certID) marshal(b *cryptobyte.Builder) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(id.hash)
			b.AddASN1NULL()
		})
		b.AddASN1OctetString(id.nameHash)
		b.AddASN1OctetString(id.keyHash)
		b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(id.serial) })
	})
}

// OCSPRequest asks about certificates (RFC 6960 §4.1); one made here asks about one.
type OCSPRequest struct {
	Raw   []byte
	ids   []certID
	nonce []byte // content of the extension; nil if absent
}

// NewOCSPRequest asks about c, issued by issuer. The certificate is named by
// SHA-1, which is the only hash every responder knows (RFC 5019 §2.1.1). The
// nonce is NonceSize random octets.
func NewOCSPRequest(c, issuer *Certificate, nonce []byte) (*OCSPRequest, error) {
	id, err := newCertID(c, issuer, oidSHA1)
	if err != nil {
		return nil, fmt.Errorf("OCSP request: %w", err)
	}
	r := &OCSPRequest{ids: []certID{id}}
	if r.nonce, err = asn1.Marshal(nonce); err != nil {
		return nil, fmt.Errorf("OCSP request: %w", err)
	}
	if r.Raw, err = r.marshal(); err != nil {
		return nil, fmt.Errorf("OCSP request: %w", err)
	}
	return r, nil
}

func (r *OCSPRequest) marshal() ([]byte, error) {
	nonceOID := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, id := range r.ids {
					b.AddASN1(cbasn1.SEQUENCE, id.marshal)
				}
			})
			if r.nonce == nil {
				return
			}
			b.AddASN1(cbasn1.Tag(2).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(nonceOID)
						b.AddASN1OctetString(r.nonce)
					})
				})
			})
		})
	})
	return b.Bytes()
}

// ParseOCSPRequest reads one DER request of at most 64 KiB about at most 100
// certificates. A signature over the request is not checked: nothing here is
// answered to some and withheld from others.
func ParseOCSPRequest(der []byte) (*OCSPRequest, error) {
	if len(der) > maxOCSPRequest {
		return nil, fmt.Errorf("OCSP request: %d octets, limit %d", len(der), maxOCSPRequest)
	}
	r := &OCSPRequest{Raw: slices.Clone(der)}
	if err := r.read(cryptobyte.String(r.Raw)); err != nil {
		return nil, fmt.Errorf("OCSP request: %w", err)
	}
	return r, nil
}

func (r *OCSPRequest) read(in cryptobyte.String) error {
	var outer, tbs, version, list, field cryptobyte.String
	var present, extended bool
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !in.Empty() || !outer.ReadASN1(&tbs, cbasn1.SEQUENCE) ||
		!outer.SkipOptionalASN1(cbasn1.Tag(0).Constructed().ContextSpecific()) || !outer.Empty() ||
		!tbs.ReadOptionalASN1(&version, &present, cbasn1.Tag(0).Constructed().ContextSpecific()) ||
		!tbs.SkipOptionalASN1(cbasn1.Tag(1).Constructed().ContextSpecific()) ||
		!tbs.ReadASN1(&list, cbasn1.SEQUENCE) || list.Empty() ||
		!tbs.ReadOptionalASN1(&field, &extended, cbasn1.Tag(2).Constructed().ContextSpecific()) || !tbs.Empty() {
		return errDER
	}
	if present {
		if v, ok := readSmallInteger(&version, cbasn1.INTEGER, 1); !ok || v != 0 || !version.Empty() {
			return fmt.Errorf("version: %w", errDER)
		}
	}
	for !list.Empty() {
		var query cryptobyte.String
		if len(r.ids) == maxOCSPQueries {
			return fmt.Errorf("more than %d certificates", maxOCSPQueries)
		}
		if !list.ReadASN1(&query, cbasn1.SEQUENCE) {
			return errDER
		}
		id, err := readCertID(&query)
		if err != nil || !query.SkipOptionalASN1(cbasn1.Tag(0).Constructed().ContextSpecific()) || !query.Empty() {
			return fmt.Errorf("certificate: %w", errDER)
		}
		r.ids = append(r.ids, id)
	}
	if !extended {
		return nil
	}
	extensions, err := readExplicitExtensions(field)
	for _, e := range extensions {
		if e.id == extOCSPNonce {
			if len(e.value) > maxNonce+2 {
				return fmt.Errorf("a nonce of %d octets", len(e.value))
			}
			r.nonce = e.value
		}
	}
	return err
}

// OCSPQuery is one certificate that a request asks about.
type OCSPQuery struct {
	CertID []byte // DER, as it was asked
	Serial *big.Int
}

// Nonce is the content of the request's nonce extension, nil if it has none.
func (r *OCSPRequest) Nonce() []byte { return r.nonce }

// Queries are the certificates of an authority that are asked about; those of
// others are left out.
func (r *OCSPRequest) Queries(authority *Certificate) []OCSPQuery {
	var out []OCSPQuery
	for _, id := range r.ids {
		h, err := HashByOID(id.hash)
		if err == nil && slices.ContainsFunc(identifying, id.hash.Equal) &&
			bytes.Equal(id.nameHash, h.sum(authority.Subject.Raw)) && bytes.Equal(id.keyHash, h.sum(authority.Key.bits())) {
			out = append(out, OCSPQuery{CertID: id.raw, Serial: signedInteger(id.serial)})
		}
	}
	return out
}

// What is wrong with the nonce of a response.
var (
	ErrNonce = errors.New("the OCSP response answers another request")
	ErrStale = errors.New("the OCSP response has no nonce and is not fresh")
)

// Answered tells whether a response can be the answer to this request, fetched
// at the given time. One with another nonce is someone else's and may be a
// replay. One without is what most public responders give, made beforehand
// (RFC 9654 §3.1, RFC 5019 §4); nothing shows that it is the newest, so it must
// not be older than fresh.
func (r *OCSPRequest) Answered(by *OCSPResponse, now time.Time, fresh time.Duration) error {
	switch {
	case by.nonce != nil && bytes.Equal(by.nonce, r.nonce):
		return nil
	case by.nonce != nil:
		return ErrNonce
	}
	for _, a := range by.answers {
		asked := func(id certID) bool { return bytes.Equal(id.serial, a.id.serial) }
		if slices.ContainsFunc(r.ids, asked) && now.Sub(a.thisUpdate) > fresh {
			return ErrStale
		}
	}
	return nil
}

// Key is the same for two requests about one certificate, whatever their nonces.
func (r *OCSPRequest) Key() string { return r.ids[0].key() }

func (id certID) key() string {
	return lengthPrefixed(string(id.nameHash)) + lengthPrefixed(string(id.keyHash)) + string(id.serial)
}
