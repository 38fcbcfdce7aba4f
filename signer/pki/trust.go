package pki

import (
	"encoding/asn1"
	"time"
)

// AnchorKind says on what grounds an anchor is trusted.
type AnchorKind string

// The kinds of anchors. Only an administrator's word makes one qualified.
const (
	Qualified   AnchorKind = "qualified"
	Unqualified AnchorKind = "unqualified"
	Foreign     AnchorKind = "foreign"
)

// Anchor is a certificate that ends a path. Its own signature is not checked;
// its validity, constraints and key usage are.
type Anchor struct {
	Certificate *Certificate
	Kind        AnchorKind
}

// TrustStore holds anchors, intermediate certificates and CRLs, and remembers
// which signatures it has verified. It is immutable but for that memory, and
// safe for concurrent use. The zero value trusts nothing.
type TrustStore struct {
	anchors   map[[32]byte]*Anchor
	bySubject map[string][]*Certificate
	known     map[[32]byte]bool // what bySubject holds
	crls      map[string][]*CRL // by issuer
	verified  *signatureCache
	// weakAllowed lets tests run historic suites for their path logic.
	weakAllowed bool
}

// NewTrustStore builds a store from what an administrator gave. CRLs here need
// no trust of their own: each use verifies their signature under the path.
func NewTrustStore(a []Anchor, intermediates []*Certificate, crls []*CRL) *TrustStore {
	t := &TrustStore{
		anchors:   make(map[[32]byte]*Anchor, len(a)),
		bySubject: make(map[string][]*Certificate),
		known:     make(map[[32]byte]bool),
		crls:      make(map[string][]*CRL),
		verified:  newSignatureCache(maxVerified),
	}
	add := func(c *Certificate) {
		if !t.known[c.SHA256] {
			t.known[c.SHA256] = true
			t.bySubject[c.subjectKey] = append(t.bySubject[c.subjectKey], c)
		}
	}
	for _, anchor := range a {
		t.anchors[anchor.Certificate.SHA256] = &anchor
		add(anchor.Certificate)
	}
	for _, c := range intermediates {
		add(c)
	}
	for _, c := range crls {
		t.crls[c.issuerKey] = append(t.crls[c.issuerKey], c)
	}
	return t
}

// PathRequest asks whether Leaf leads to an anchor at a time.
type PathRequest struct {
	Leaf      *Certificate
	Extra     []*Certificate  // came with the signature or were fetched; the first 64 count
	ExtraCRLs []*CRL          // likewise
	OCSPs     []*OCSPResponse // likewise
	At        time.Time       // the moment at which every certificate must be valid and not revoked
	// StatusAt is the moment whose lists and answers count; zero: At. A later one
	// knows more: what was published since tells of revocations before At.
	StatusAt time.Time
	// ExtKeyUsages are the purposes of which a certificate with an extended key
	// usage must name one; empty means emailProtection alone. To accept more,
	// list emailProtection too.
	ExtKeyUsages []asn1.ObjectIdentifier
	Effort       *Effort // nil: only the limits of one request
}

// Path is the answer. Checks always has the same names in the same order. Chain
// is leaf first and anchor last; when no anchor was reached it is the longest
// chain of verified signatures, and Anchor is nil.
type Path struct {
	Verdict Verdict
	Chain   []*Certificate
	Anchor  *Anchor
	Checks  []Check
	CRLs    []*CRL          // that settled a certificate's status
	OCSPs   []*OCSPResponse // likewise
	// Unsettled are the certificates whose status nothing at hand settles.
	Unsettled []Unsettled

	publicKeyOperations int // what this request cost
}

// Unsettled is a certificate of a path to an anchor, with its issuer there,
// whose revocation is not known.
type Unsettled struct{ Certificate, Issuer *Certificate }

// statusAt is the moment whose knowledge counts.
func (r *PathRequest) statusAt() time.Time {
	if r.StatusAt.IsZero() {
		return r.At
	}
	return r.StatusAt
}
