package pki

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Limits of one certificate, in octets. RFC 5280 wants serial numbers of up to
// 20 octets read; longer and negative ones exist and are read as well.
const (
	maxCertificate = 64 << 10
	maxSerial      = 64
)

// maxBundle is the largest number of certificates or CRLs in one PEM bundle.
const maxBundle = 4096

// Certificate is a parsed X.509 certificate. Its byte slices share memory with
// Raw and must not be written to. The issuer's signature is not checked yet.
type Certificate struct {
	Raw                 []byte // the whole DER
	RawTBS              []byte // the part that is signed
	SHA256              [32]byte
	Version             int // 1, 2 or 3
	Serial              *big.Int
	Issuer, Subject     Name
	NotBefore, NotAfter time.Time
	Key                 *PublicKey
	SignatureAlgorithm  AlgorithmIdentifier
	Signature           []byte
	SubjectKeyID        []byte // nil if absent
	AuthorityKeyID      []byte // nil if absent

	serial                []byte // content octets of the INTEGER
	issuerKey, subjectKey string // for name chaining
	subjectRDNs           []string
	ext                   certExtensions
	unclean               string // which name carries what no name may carry; "" for none
}

// ParseCertificate reads one DER certificate of at most 64 KiB and nothing after
// it. Every field ends where its parent ends, extensions are unique, and those
// that validation relies on are well-formed.
func ParseCertificate(der []byte) (*Certificate, error) {
	c, err := parseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return c, nil
}

func parseCertificate(der []byte) (*Certificate, error) {
	if len(der) > maxCertificate {
		return nil, fmt.Errorf("%d octets, limit %d", len(der), maxCertificate)
	}
	in := cryptobyte.String(slices.Clone(der))
	c := &Certificate{Raw: in, SHA256: sha256.Sum256(der)}
	signed, err := readSigned(in)
	if err != nil {
		return nil, err
	}
	c.RawTBS, c.SignatureAlgorithm, c.Signature = signed.tbs, signed.algorithm, signed.signature
	if err := c.readTBS(signed.body); err != nil {
		return nil, err
	}
	c.noteUncleanNames()
	return c, nil
}

// signedDER is the outer SEQUENCE that certificates and CRLs share.
type signedDER struct {
	tbs       []byte            // element, as it was signed
	body      cryptobyte.String // its content
	algorithm AlgorithmIdentifier
	signature []byte
}

func readSigned(in cryptobyte.String) (signedDER, error) {
	var s signedDER
	var outer, tbs cryptobyte.String
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !in.Empty() || !outer.ReadASN1Element(&tbs, cbasn1.SEQUENCE) {
		return s, fmt.Errorf("outer structure: %w", errDER)
	}
	s.tbs = tbs
	var okAlgorithm, okSignature bool
	s.algorithm, okAlgorithm = readAlgorithm(&outer)
	if okAlgorithm {
		s.signature, okSignature = readOctetBits(&outer)
	}
	if !okAlgorithm || !okSignature || !outer.Empty() || !tbs.ReadASN1(&s.body, cbasn1.SEQUENCE) {
		return s, fmt.Errorf("signature fields: %w", errDER)
	}
	return s, nil
}

// readTBS reads TBSCertificate (RFC 5280 §4.1.2) in order.
func (c *Certificate) readTBS(in cryptobyte.String) error {
	if err := c.readHead(&in); err != nil {
		return err
	}
	var err error
	if c.Issuer, c.issuerKey, _, err = readName(&in); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	var validity, spki cryptobyte.String
	var okFrom, okTo bool
	if in.ReadASN1(&validity, cbasn1.SEQUENCE) {
		c.NotBefore, okFrom = readTime(&validity)
		c.NotAfter, okTo = readTime(&validity)
	}
	if !okFrom || !okTo || !validity.Empty() {
		return fmt.Errorf("validity: %w", errDER)
	}
	if c.Subject, c.subjectKey, c.subjectRDNs, err = readName(&in); err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	if !in.ReadASN1Element(&spki, cbasn1.SEQUENCE) {
		return fmt.Errorf("public key: %w", errDER)
	}
	if c.Key, err = ParsePublicKey(spki); err != nil {
		return err
	}
	return c.readTail(in)
}

// readHead reads version, serial number and the algorithm, which must be the
// one named beside the signature (§4.1.1.2).
func (c *Certificate) readHead(in *cryptobyte.String) error {
	c.Version = 1
	tag := cbasn1.Tag(0).Constructed().ContextSpecific()
	if in.PeekASN1Tag(tag) {
		var field cryptobyte.String
		ok := in.ReadASN1(&field, tag)
		v, okVersion := readSmallInteger(&field, cbasn1.INTEGER, 3)
		if !ok || !okVersion || !field.Empty() || v > 2 {
			return fmt.Errorf("version: %w", errDER)
		}
		c.Version = v + 1
	}
	var ok bool
	if c.serial, ok = readIntegerBytes(in, maxSerial); !ok {
		return fmt.Errorf("serial number: %w", errDER)
	}
	c.Serial = signedInteger(c.serial)
	inner, ok := readAlgorithm(in)
	if !ok || !inner.equal(c.SignatureAlgorithm) {
		return fmt.Errorf("signature algorithm differs inside and outside: %w", errDER)
	}
	return nil
}

// readTail reads the unique identifiers and the extensions, each allowed from
// its version on (§4.1.2.8, §4.1.2.9).
func (c *Certificate) readTail(in cryptobyte.String) error {
	if c.Version >= 2 {
		for _, tag := range []cbasn1.Tag{1, 2} {
			if !in.SkipOptionalASN1(tag.ContextSpecific()) {
				return fmt.Errorf("unique identifier: %w", errDER)
			}
		}
	}
	var field, list cryptobyte.String
	present := false
	if c.Version == 3 && !in.ReadOptionalASN1(&field, &present, cbasn1.Tag(3).Constructed().ContextSpecific()) {
		return fmt.Errorf("extensions: %w", errDER)
	}
	if !in.Empty() {
		return fmt.Errorf("fields after the last one: %w", errDER)
	}
	var extensions []extension
	if present {
		var err error
		if !field.ReadASN1(&list, cbasn1.SEQUENCE) || !field.Empty() {
			return fmt.Errorf("extensions: %w", errDER)
		}
		if extensions, err = readExtensions(list); err != nil {
			return err
		}
	}
	return c.processExtensions(extensions)
}

// readName reads a Name, its key for chaining and the keys of its parts.
func readName(in *cryptobyte.String) (Name, string, []string, error) {
	var raw cryptobyte.String
	if !in.ReadASN1Element(&raw, cbasn1.SEQUENCE) {
		return Name{}, "", nil, errDER
	}
	rdns, err := parseRDNs(raw)
	if err != nil {
		return Name{}, "", nil, err
	}
	keys := canonical(rdns)
	return Name{Raw: raw}, nameKey(keys), keys, nil
}

// noteUncleanNames looks for NUL and other control characters, and octets that
// do not fit their string type, in every name the certificate asserts.
func (c *Certificate) noteUncleanNames() {
	for _, n := range []struct {
		what string
		name Name
	}{{"subject", c.Subject}, {"issuer", c.Issuer}} {
		if rdns, _ := parseRDNs(n.name.Raw); !cleanNames(rdns) {
			c.unclean = n.what
			return
		}
	}
	for _, g := range c.ext.names {
		if !g.clean {
			c.unclean = "alternative name (" + g.form.String() + ")"
			return
		}
	}
}

// selfIssued: subject and issuer are one name (§3.2), whoever signed it.
func (c *Certificate) selfIssued() bool { return c.subjectKey == c.issuerKey }

// SerialHex is the serial number in upper-case hexadecimal with whole octets, as
// openssl prints it; negative numbers carry a minus sign.
func (c *Certificate) SerialHex() string {
	magnitude := new(big.Int).Abs(c.Serial).Bytes()
	if len(magnitude) == 0 {
		magnitude = []byte{0}
	}
	text := strings.ToUpper(hex.EncodeToString(magnitude))
	if c.Serial.Sign() < 0 {
		return "-" + text
	}
	return text
}

// ParsePEMOrDER reads a PEM bundle (blocks of other types are passed over) or
// one DER certificate. A bundle without a certificate is an error.
func ParsePEMOrDER(b []byte) ([]*Certificate, error) {
	blocks, err := pemOrDER(b, "CERTIFICATE", "X509 CERTIFICATE")
	if err != nil {
		return nil, err
	}
	out := make([]*Certificate, 0, len(blocks))
	for i, der := range blocks {
		c, err := ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", i+1, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// pemOrDER returns the contents of the PEM blocks of the given types, or b itself if it is not PEM.
func pemOrDER(b []byte, types ...string) ([][]byte, error) {
	if len(b) > 0 && b[0] == 0x30 { // a DER SEQUENCE; the digit 0 never begins PEM armour
		return [][]byte{b}, nil
	}
	var out [][]byte
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if !slices.Contains(types, block.Type) {
			continue
		}
		if len(out) == maxBundle {
			return nil, fmt.Errorf("more than %d blocks of type %s", maxBundle, block.Type)
		}
		out = append(out, block.Bytes)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no %s in it, neither PEM nor DER", types[0])
	}
	return out, nil
}
