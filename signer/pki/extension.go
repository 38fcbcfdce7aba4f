package pki

import (
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Bits of the key usage extension (RFC 5280 §4.2.1.3).
const (
	usageDigitalSignature uint16 = 1 << 0
	usageNonRepudiation   uint16 = 1 << 1
	usageCertSign         uint16 = 1 << 5
	usageCRLSign          uint16 = 1 << 6
)

// maxPathLen stands for every longer path length; no path here is as long.
const maxPathLen = 1 << 10

// maxExtensions is far above what certificates carry, and keeps the search for doubles cheap.
const maxExtensions = 128

// unlimited marks an absent counter of an extension.
const unlimited = -1

// extension is one Extension of a certificate, a CRL or a CRL entry.
type extension struct {
	id       objectID
	critical bool
	value    cryptobyte.String // content of extnValue
}

// readExtensions reads the content of a SEQUENCE OF Extension. Two of one kind
// are refused (RFC 5280 §4.2): readers that take the first and the last would differ.
func readExtensions(in cryptobyte.String) ([]extension, error) {
	if in.Empty() {
		return nil, fmt.Errorf("empty extensions: %w", errDER)
	}
	var out []extension
	for !in.Empty() {
		var seq cryptobyte.String
		var e extension
		ok := in.ReadASN1(&seq, cbasn1.SEQUENCE)
		if ok {
			e.id, ok = readObjectID(&seq)
		}
		if ok && seq.PeekASN1Tag(cbasn1.BOOLEAN) {
			ok = seq.ReadASN1Boolean(&e.critical)
			// An explicit FALSE is not DER, and very common.
		}
		if !ok || !seq.ReadASN1(&e.value, cbasn1.OCTET_STRING) || !seq.Empty() {
			return nil, fmt.Errorf("extension: %w", errDER)
		}
		if slices.ContainsFunc(out, func(o extension) bool { return o.id == e.id }) {
			return nil, fmt.Errorf("extension %s twice: %w", e.id, errDER)
		}
		if len(out) == maxExtensions {
			return nil, fmt.Errorf("more than %d extensions", maxExtensions)
		}
		out = append(out, e)
	}
	return out, nil
}

// certExtensions is what path validation needs of a certificate's extensions.
type certExtensions struct {
	isCA           bool
	pathLen        int // unlimited if absent
	hasKeyUsage    bool
	keyUsage       uint16
	purposes       []objectID // extended key usages; nil if the extension is absent
	names          []generalName
	constraints    *nameConstraints
	explicitPolicy int  // requireExplicitPolicy skip count; unlimited if absent
	mapsAnyPolicy  bool // policy mapping from or to anyPolicy, forbidden by §6.1.4 (a)
	crlNames       map[string]bool
	addresses      addresses
	noCheck        bool       // id-pkix-ocsp-nocheck, RFC 6960 §4.2.2.2.1
	unprocessed    []objectID // critical and not understood
}

// readers holds one reader for each extension this package processes. Critical
// extensions outside this list fail the path (RFC 5280 §4.2).
//
// certificatePolicies, policyMappings and inhibitAnyPolicy are on the list though
// no policy tree is kept: with any policy acceptable to us they can change the
// outcome only where requireExplicitPolicy holds, and that fails the path anyway.
var readers = map[objectID]func(*Certificate, cryptobyte.String) error{
	extBasicConstraints:    (*Certificate).readBasicConstraints,
	extKeyUsage:            (*Certificate).readKeyUsage,
	extExtendedKeyUsage:    (*Certificate).readPurposes,
	extSubjectAltName:      (*Certificate).readAltNames,
	extNameConstraints:     (*Certificate).readNameConstraints,
	extSubjectKeyID:        (*Certificate).readSubjectKeyID,
	extAuthorityKeyID:      (*Certificate).readAuthorityKeyID,
	extPolicyConstraints:   (*Certificate).readPolicyConstraints,
	extPolicyMappings:      (*Certificate).readPolicyMappings,
	extDistributionPoints:  (*Certificate).readDistributionPoints,
	extCertificatePolicies: skipSequence,
	extInhibitAnyPolicy:    (*Certificate).readInhibitAnyPolicy,
	extAuthorityInfo:       (*Certificate).readAuthorityInfo,
	extOCSPNoCheck:         (*Certificate).readNoCheck,
}

func (c *Certificate) processExtensions(list []extension) error {
	c.ext.pathLen, c.ext.explicitPolicy = unlimited, unlimited
	for _, e := range list {
		read, known := readers[e.id]
		if !known {
			if e.critical {
				c.ext.unprocessed = append(c.ext.unprocessed, e.id)
			}
			continue
		}
		if err := read(c, e.value); err != nil {
			return fmt.Errorf("extension %s: %w", e.id, err)
		}
	}
	return nil
}

func skipSequence(_ *Certificate, v cryptobyte.String) error {
	if !v.SkipASN1(cbasn1.SEQUENCE) || !v.Empty() {
		return errDER
	}
	return nil
}

// sequence unwraps a value that is exactly one SEQUENCE.
func sequence(v cryptobyte.String) (cryptobyte.String, error) {
	var seq cryptobyte.String
	if !v.ReadASN1(&seq, cbasn1.SEQUENCE) || !v.Empty() {
		return nil, errDER
	}
	return seq, nil
}

func (c *Certificate) readBasicConstraints(v cryptobyte.String) error {
	seq, err := sequence(v)
	if err != nil {
		return err
	}
	if seq.PeekASN1Tag(cbasn1.BOOLEAN) && !seq.ReadASN1Boolean(&c.ext.isCA) {
		return errDER
	}
	if seq.PeekASN1Tag(cbasn1.INTEGER) {
		var ok bool
		if c.ext.pathLen, ok = readSmallInteger(&seq, cbasn1.INTEGER, maxPathLen); !ok {
			return errDER
		}
	}
	if !seq.Empty() {
		return errDER
	}
	return nil
}

func (c *Certificate) readKeyUsage(v cryptobyte.String) error {
	var content cryptobyte.String
	if !v.ReadASN1(&content, cbasn1.BIT_STRING) || !v.Empty() {
		return errDER
	}
	var ok bool
	if c.ext.keyUsage, ok = flags(content); !ok {
		return errDER
	}
	c.ext.hasKeyUsage = true
	return nil
}

func (c *Certificate) readPurposes(v cryptobyte.String) error {
	seq, err := sequence(v)
	if err != nil || seq.Empty() {
		return errDER
	}
	for !seq.Empty() {
		id, ok := readObjectID(&seq)
		if !ok {
			return errDER
		}
		c.ext.purposes = append(c.ext.purposes, id)
	}
	return nil
}

func (c *Certificate) readAltNames(v cryptobyte.String) error {
	seq, err := sequence(v)
	if err != nil {
		return err
	}
	c.ext.names, err = readGeneralNames(seq)
	return err
}

func (c *Certificate) readSubjectKeyID(v cryptobyte.String) error {
	var id cryptobyte.String
	if !v.ReadASN1(&id, cbasn1.OCTET_STRING) || !v.Empty() {
		return errDER
	}
	c.SubjectKeyID = id
	return nil
}

func (c *Certificate) readAuthorityKeyID(v cryptobyte.String) (err error) {
	c.AuthorityKeyID, err = readKeyIdentifier(v)
	return err
}

// readKeyIdentifier takes keyIdentifier out of AuthorityKeyIdentifier (§4.2.1.1);
// issuer and serial number are only hints for finding, and not used.
func readKeyIdentifier(v cryptobyte.String) ([]byte, error) {
	seq, err := sequence(v)
	if err != nil {
		return nil, err
	}
	var id cryptobyte.String
	var present bool
	if !seq.ReadOptionalASN1(&id, &present, cbasn1.Tag(0).ContextSpecific()) ||
		!seq.SkipOptionalASN1(cbasn1.Tag(1).Constructed().ContextSpecific()) ||
		!seq.SkipOptionalASN1(cbasn1.Tag(2).ContextSpecific()) || !seq.Empty() {
		return nil, errDER
	}
	return id, nil
}

func (c *Certificate) readPolicyConstraints(v cryptobyte.String) error {
	seq, err := sequence(v)
	if err != nil {
		return err
	}
	tag := cbasn1.Tag(0).ContextSpecific()
	if seq.PeekASN1Tag(tag) {
		var ok bool
		if c.ext.explicitPolicy, ok = readSmallInteger(&seq, tag, maxPathLen); !ok {
			return errDER
		}
	}
	if !seq.SkipOptionalASN1(cbasn1.Tag(1).ContextSpecific()) || !seq.Empty() {
		return errDER
	}
	return nil
}

func (c *Certificate) readPolicyMappings(v cryptobyte.String) error {
	seq, err := sequence(v)
	if err != nil {
		return err
	}
	for !seq.Empty() {
		var pair cryptobyte.String
		if !seq.ReadASN1(&pair, cbasn1.SEQUENCE) {
			return errDER
		}
		from, okFrom := readObjectID(&pair)
		to, okTo := readObjectID(&pair)
		if !okFrom || !okTo || !pair.Empty() {
			return errDER
		}
		c.ext.mapsAnyPolicy = c.ext.mapsAnyPolicy || from == anyPolicy || to == anyPolicy
	}
	return nil
}

func (c *Certificate) readInhibitAnyPolicy(v cryptobyte.String) error {
	if _, ok := readSmallInteger(&v, cbasn1.INTEGER, maxPathLen); !ok || !v.Empty() {
		return errDER
	}
	return nil
}
