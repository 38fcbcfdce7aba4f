package pki

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxCRL is the limit of one CRL in octets.
const maxCRL = 20 << 20

// CRL is a parsed certificate revocation list (RFC 5280 §5). Its byte slices
// share memory with Raw. The issuer's signature is not checked yet.
type CRL struct {
	Raw                []byte
	RawTBS             []byte
	SHA256             [32]byte
	Issuer             Name
	ThisUpdate         time.Time
	NextUpdate         time.Time // zero if absent: the list is then never current
	Number             *big.Int  // nil if absent
	SignatureAlgorithm AlgorithmIdentifier
	Signature          []byte
	AuthorityKeyID     []byte
	Source             string // for the report: where it came from; "" when it was given

	issuerKey string
	entries   cryptobyte.String
	index     []crlIndex
	scope     crlScope
	unusable  string // why the list says nothing about any certificate; "" if it does
}

// crlIndex finds an entry by its serial number in O(log n) and 16 octets.
type crlIndex struct {
	serial uint64 // the last octets of the serial number
	offset uint32 // of the entry in CRL.entries
}

// Revocation is what a CRL says about one certificate.
type Revocation struct {
	Time   time.Time
	Reason string // RFC 5280 §5.3.1, e.g. "keyCompromise"; "unspecified" if not given
}

// ParseCRL reads one DER CRL of at most 20 MiB and nothing after it.
func ParseCRL(der []byte) (*CRL, error) {
	c, err := parseCRL(der)
	if err != nil {
		return nil, fmt.Errorf("CRL: %w", err)
	}
	return c, nil
}

// ParseCRLs reads PEM blocks of type X509 CRL, or one DER CRL.
func ParseCRLs(b []byte) ([]*CRL, error) {
	blocks, err := pemOrDER(b, "X509 CRL", "CRL")
	if err != nil {
		return nil, err
	}
	out := make([]*CRL, 0, len(blocks))
	for i, der := range blocks {
		c, err := ParseCRL(der)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", i+1, err)
		}
		out = append(out, c)
	}
	return out, nil
}

func parseCRL(der []byte) (*CRL, error) {
	if len(der) > maxCRL {
		return nil, fmt.Errorf("%d octets, limit %d", len(der), maxCRL)
	}
	in := cryptobyte.String(slices.Clone(der))
	c := &CRL{Raw: in, SHA256: sha256.Sum256(der)}
	signed, err := readSigned(in)
	if err != nil {
		return nil, err
	}
	c.RawTBS, c.SignatureAlgorithm, c.Signature = signed.tbs, signed.algorithm, signed.signature
	return c, c.readTBS(signed.body)
}

// readTBS reads TBSCertList (§5.1.2) in order.
func (c *CRL) readTBS(in cryptobyte.String) error {
	version := 1
	if in.PeekASN1Tag(cbasn1.INTEGER) {
		if v, ok := readSmallInteger(&in, cbasn1.INTEGER, 2); !ok || v != 1 {
			return fmt.Errorf("version: %w", errDER)
		}
		version = 2
	}
	inner, ok := readAlgorithm(&in)
	if !ok || !inner.equal(c.SignatureAlgorithm) {
		return fmt.Errorf("signature algorithm differs inside and outside: %w", errDER)
	}
	var err error
	if c.Issuer, c.issuerKey, _, err = readName(&in); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	if c.ThisUpdate, ok = readTime(&in); !ok {
		return fmt.Errorf("this update: %w", errDER)
	}
	if in.PeekASN1Tag(cbasn1.UTCTime) || in.PeekASN1Tag(cbasn1.GeneralizedTime) {
		if c.NextUpdate, ok = readTime(&in); !ok {
			return fmt.Errorf("next update: %w", errDER)
		}
	}
	var present bool
	if !in.ReadOptionalASN1(&c.entries, &present, cbasn1.SEQUENCE) {
		return fmt.Errorf("entries: %w", errDER)
	}
	if err := c.indexEntries(); err != nil {
		return err
	}
	return c.readTail(in, version)
}

func (c *CRL) readTail(in cryptobyte.String, version int) error {
	var field, list cryptobyte.String
	var present bool
	if !in.ReadOptionalASN1(&field, &present, cbasn1.Tag(0).Constructed().ContextSpecific()) || !in.Empty() ||
		present && (version < 2 || !field.ReadASN1(&list, cbasn1.SEQUENCE) || !field.Empty()) {
		return fmt.Errorf("extensions: %w", errDER)
	}
	if !present {
		return nil
	}
	extensions, err := readExtensions(list)
	if err != nil {
		return err
	}
	for _, e := range extensions {
		if err := c.readExtension(e); err != nil {
			return fmt.Errorf("extension %s: %w", e.id, err)
		}
	}
	return nil
}

func (c *CRL) readExtension(e extension) (err error) {
	switch e.id {
	case extAuthorityKeyID:
		c.AuthorityKeyID, err = readKeyIdentifier(e.value)
	case extCRLNumber:
		number, ok := readIntegerBytes(&e.value, maxSerial)
		if !ok || !e.value.Empty() {
			return errDER
		}
		c.Number = signedInteger(number)
	case extIssuingDistribution:
		err = c.scope.read(e.value, c.Issuer)
	case extDeltaCRLIndicator:
		c.unusable = "it is a delta CRL"
	default:
		if e.critical {
			c.unusable = "it has the unknown critical extension " + e.id.String()
		}
	}
	return err
}

// crlEntry is one revokedCertificates entry.
type crlEntry struct {
	serial []byte
	at     time.Time
	reason int
	// unknown is a critical entry extension that is not understood. It spoils the
	// whole list (§5.3), also for other serial numbers: certificateIssuer changes
	// whom the entries after it speak of.
	unknown objectID
}

// indexEntries reads every entry once, so that lookups meet no malformed one.
func (c *CRL) indexEntries() error {
	rest := c.entries
	for !rest.Empty() {
		offset := len(c.entries) - len(rest)
		e, err := readEntry(&rest)
		if err != nil {
			return fmt.Errorf("entry: %w", err)
		}
		if e.unknown != "" && c.unusable == "" {
			c.unusable = "an entry has the unknown critical extension " + e.unknown.String()
		}
		c.index = append(c.index, crlIndex{serialTail(e.serial), uint32(offset)})
	}
	slices.SortFunc(c.index, func(a, b crlIndex) int { return cmp.Compare(a.serial, b.serial) })
	return nil
}

func serialTail(serial []byte) uint64 {
	var tail [8]byte
	if n := len(serial) - 8; n > 0 {
		serial = serial[n:]
	}
	copy(tail[8-len(serial):], serial)
	return binary.BigEndian.Uint64(tail[:])
}

func readEntry(in *cryptobyte.String) (crlEntry, error) {
	var seq cryptobyte.String
	var e crlEntry
	ok := in.ReadASN1(&seq, cbasn1.SEQUENCE)
	if ok {
		e.serial, ok = readIntegerBytes(&seq, maxSerial)
	}
	if ok {
		e.at, ok = readTime(&seq)
	}
	if !ok {
		return e, errDER
	}
	if seq.Empty() {
		return e, nil
	}
	var list cryptobyte.String
	if !seq.ReadASN1(&list, cbasn1.SEQUENCE) || !seq.Empty() {
		return e, errDER
	}
	extensions, err := readExtensions(list)
	if err != nil {
		return e, err
	}
	for _, x := range extensions {
		switch {
		case x.id == extReasonCode:
			if e.reason, ok = readSmallInteger(&x.value, cbasn1.ENUM, 255); !ok || !x.value.Empty() {
				return e, errDER
			}
		case x.id == extInvalidityDate: // a hint about the key, no statement about the certificate's status
		case x.critical:
			e.unknown = x.id
		}
	}
	return e, nil
}

// reasonNames is CRLReason, §5.3.1.
var reasonNames = map[int]string{
	0: "unspecified", 1: "keyCompromise", 2: "cACompromise", 3: "affiliationChanged", 4: "superseded",
	5: "cessationOfOperation", 6: "certificateHold", reasonRemoved: "removeFromCRL", 9: "privilegeWithdrawn", 10: "aACompromise",
}

func reasonName(reason int) string {
	if name, known := reasonNames[reason]; known {
		return name
	}
	return fmt.Sprintf("reason %d", reason)
}

// reasonRemoved lifts a hold; it belongs in delta CRLs and is no revocation.
const reasonRemoved = 8

// revoked returns the earliest revocation of a serial number that had happened by then.
func (c *CRL) revoked(serial []byte, at time.Time) (Revocation, bool) {
	tail := serialTail(serial)
	i, _ := slices.BinarySearchFunc(c.index, tail, func(x crlIndex, t uint64) int { return cmp.Compare(x.serial, t) })
	var found Revocation
	hit := false
	for ; i < len(c.index) && c.index[i].serial == tail; i++ {
		rest := c.entries[c.index[i].offset:]
		e, err := readEntry(&rest)
		if err != nil || !bytes.Equal(e.serial, serial) || e.reason == reasonRemoved || e.at.After(at) {
			continue // err cannot be: indexEntries has read the same octets
		}
		if !hit || e.at.Before(found.Time) {
			found, hit = Revocation{Time: e.at, Reason: reasonName(e.reason)}, true
		}
	}
	return found, hit
}

// Revoked tells whether the list names a certificate as revoked or on hold by
// the given time. It says nothing about who signed the list; Validate does.
func (c *CRL) Revoked(cert *Certificate, at time.Time) (Revocation, bool) {
	return c.revoked(cert.serial, at)
}

// current tells whether the list speaks for the given time.
func (c *CRL) current(at time.Time) bool {
	return !at.Before(c.ThisUpdate) && !c.NextUpdate.IsZero() && !at.After(c.NextUpdate)
}
