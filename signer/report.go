package signer

import (
	"encoding/asn1"
	"time"

	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// Attached says where the signed content has to be.
type Attached string

// Either takes the content from wherever it is, but from one place only.
const (
	Either     Attached = ""
	Detached   Attached = "detached"   // beside the signature: the CMS must not carry any (RFC 8551 §3.5.3)
	Enveloping Attached = "enveloping" // inside the CMS
)

// Job is one signature to verify. Both sources are opened more than once and have to give the same octets each time.
type Job struct {
	Signature cms.Source
	Content   cms.Source // the detached content, decoded; nil: none at hand, or it is inside
	Known     *Known     // of Content, which is then read only for a digest that is not in it; nil: nothing
	Attached  Attached
	At        time.Time   // the moment the certificates have to be valid at
	StatusAt  time.Time   // the moment whose lists and answers count; zero: At. See pki.PathRequest
	Effort    *pki.Effort // shared by the jobs of one letter; nil: every job has its own limits alone
}

// Known is what an earlier pass over detached content has found out about it.
type Known struct {
	Size         int64             // octets
	IsAttributes bool              // as cms.IsAttributes answers
	Digests      map[string][]byte // by pki.Hash.Name, SHA-256 among them
}

// Kind is what the signature octets turned out to be.
type Kind string

// Only Signed has validations; of all other kinds nothing is signed.
const (
	Signed    Kind = "signed"
	CertsOnly Kind = "certs-only" // SignedData without a signer (RFC 5652 §5.1)
	Enveloped Kind = "enveloped"  // encrypted
	NotCMS    Kind = "not-cms"    // no ContentInfo, or one of another content type
	Malformed Kind = "malformed"  // a SignedData that is broken or exceeds a limit
)

// Report is the result of one Job.
type Report struct {
	Kind                Kind
	Defect              string // why Kind is not Signed, English prose
	Attached            bool   // the CMS carries content
	ContentType         asn1.ObjectIdentifier
	ContentSHA256       [32]byte // of the content that was verified; zero when there was none
	ContentSize         int64
	ContentIsAttributes bool     // the content has the form of signed attributes
	SHA256              [32]byte // of the encoded signature
	BadCertificates     int      // carried certificates that could not be read
	Verdict             pki.Verdict
	Validations         []Validation // one for each SignerInfo, in their order
	Fault               error        // a recovered panic with its stack, for the operator's log only
}

// Validation is the result of one SignerInfo.
type Validation struct {
	Verdict     pki.Verdict
	Checks      []pki.Check // every check of the package, always, in one order
	Format      string      // "CMS" or "CAdES-BES"
	Algorithm   string      // as "RSA-2048 with SHA-256"; empty when not known
	Certificate *pki.Certificate
	Claimed     *pki.Certificate // named by the sid of a signature that did not verify: proves nothing about its holder
	Chain       []*pki.Certificate
	Anchor      *pki.Anchor
	ClaimedTime *time.Time // the signing time the signer wrote
	BestTime    time.Time  // the moment that was judged
	// What the verdict rests on from outside the signature: with their exact octets
	// it can be made again.
	CRLs    []*pki.CRL
	OCSPs   []*pki.OCSPResponse
	Fetched []*pki.Certificate // of Chain, those that were fetched
}
