package rem

import (
	"bytes"
	"slices"
	"time"
)

// Verdict is the one-word answer of a whole letter or file.
type Verdict string

// The four verdicts and, beside them, the exit codes of `cryptogramm verify`.
const (
	Passed        Verdict = "passed"        // 0
	Failed        Verdict = "failed"        // 1
	Indeterminate Verdict = "indeterminate" // 2
	Unsigned      Verdict = "unsigned"      // 3
)

// Check is one named step of a validation. Names are stable, in kebab-case.
type Check struct {
	Name   string `json:"name"`
	Status string `json:"status"` // "passed", "failed", "indeterminate"
	Detail string `json:"detail,omitempty"`
}

// Signature is what was found out about one SignerInfo.
// Indication and SubIndication are the words of ETSI EN 319 102-1.
type Signature struct {
	Format        string     `json:"format"`    // "CMS", "CAdES-BES"
	Algorithm     string     `json:"algorithm"` // "RSA-2048 with SHA-256"
	Signer        string     `json:"signer"`    // subject of the certificate, RFC 4514
	Email         string     `json:"email"`     // addresses the certificate names, comma separated
	Serial        string     `json:"serial"`    // hex
	Issuer        string     `json:"issuer"`
	AnchorKind    string     `json:"anchor_kind,omitempty"` // "qualified", "unqualified", "foreign"
	ClaimedTime   *time.Time `json:"claimed_time"`          // signingTime attribute: the signer's claim
	BestTime      time.Time  `json:"best_time"`             // the time the certificate was judged at
	Indication    string     `json:"indication"`
	SubIndication string     `json:"subindication"`
	Checks        []Check    `json:"checks"`
	Covers        []string   `json:"covers"` // names of what is signed, as the reader sees them

	Place             string `json:"place"` // where the signature stands: a file name, or "letter"
	SignatureSHA256   Digest `json:"signature_sha256"`
	CertificateSHA256 Digest `json:"certificate_sha256"`
	Bound             string `json:"bound,omitempty"` // "address", "registered" when it binds the sender
	Certificate       []byte `json:"-"`               // DER; nil when it was absent
	Part              Range  `json:"-"`               // the signature's bytes in the letter; zero for a file
	Raw               []byte `json:"-"`               // the CMS itself when it is small enough to lie in the database
}

// Document is one file of a letter, or the letter's own text when the
// signature is over the whole letter (S4.6).
//
// Where its bytes are: Part of the letter, decoded; when Container is set those
// bytes are a CMS SignedData and the document is its content, or the range
// Within of that content when the content is itself a MIME entity.
type Document struct {
	Name         string `json:"name"` // display text from outside: never a path
	MediaType    string `json:"media_type"`
	Part         Range  `json:"part"`
	Container    bool   `json:"container,omitempty"`
	Within       *Range `json:"within,omitempty"`
	SHA256       Digest `json:"sha256"`        // of the decoded file
	Size         int64  `json:"size"`          // octets of the decoded file
	SignedSHA256 Digest `json:"signed_sha256"` // of the octets the signature was made over
	Signatures   []int  `json:"signatures"`    // indexes into Finding.Signatures
	Note         bool   `json:"note"`          // the unnamed covering text, which may stay unsigned
}

// Finding is the verdict on one letter or one file, in the shape that
// `verify --json` prints.
type Finding struct {
	Verdict       Verdict     `json:"verdict"`
	Indication    string      `json:"indication"`
	SubIndication string      `json:"subindication"`
	Reason        Reason      `json:"reason,omitempty"` // set unless passed
	Detail        string      `json:"detail,omitempty"` // what is wrong, with the name of the document or signature; one line, English
	Signatures    []Signature `json:"signatures"`
	Uncovered     []string    `json:"uncovered"`            // shown, yet not signed: makes the letter partly covered
	Unsigned      []string    `json:"not_signed,omitempty"` // permitted unsigned: header fields, the covering note
	Documents     []Document  `json:"documents,omitempty"`
	Used          []Material  `json:"-"` // each once
}

// Material is something from outside that a finding rests on, in its exact
// octets: with it the finding can be made again when nobody serves it any more.
type Material struct {
	Kind    MaterialKind
	Source  string // the address it was fetched from; "" when it was given
	DER     []byte
	Expires time.Time // when it no longer speaks for the present; zero: not said
}

// MaterialKind tells what Material is.
type MaterialKind string

// The kinds of material.
const (
	MaterialCRL         MaterialKind = "crl"
	MaterialOCSP        MaterialKind = "ocsp"
	MaterialCertificate MaterialKind = "certificate"
)

// SignedOctets are the digests of the octets that the signatures were made
// over, each once and in one order.
func (f Finding) SignedOctets() []Digest {
	var out []Digest
	for _, d := range f.Documents {
		if !d.SignedSHA256.IsZero() {
			out = append(out, d.SignedSHA256)
		}
	}
	slices.SortFunc(out, func(a, b Digest) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(out)
}

// Exit is the exit code of `cryptogramm verify` for a finding.
func (f Finding) Exit() int {
	switch f.Verdict {
	case Passed:
		return 0
	case Failed:
		return 1
	case Indeterminate:
		return 2
	}
	return 3
}

// Reason says in one word why a letter was not accepted.
type Reason string

// Reasons of rejection. Each is one row of the verdict table or one rule of
// the door; Refuse gives the SMTP reply that belongs to it.
const (
	ReasonSignatureFailed   Reason = "signature-failed"       // digest, signature, structure, weak algorithm, chain constraints
	ReasonCertificateTime   Reason = "certificate-not-valid"  // expired, not yet valid, revoked
	ReasonSignerNotSender   Reason = "signer-not-sender"      // a certificate of somebody else
	ReasonSignerUnbound     Reason = "signer-unbound"         // the certificate names no e-mail and no account binds it
	ReasonNotCovered        Reason = "not-covered"            // something shown is not signed
	ReasonUntrusted         Reason = "no-trusted-chain"       // no chain to an anchor
	ReasonNoSignedAttrs     Reason = "no-signed-attributes"   //
	ReasonUnsupported       Reason = "algorithm-unsupported"  //
	ReasonNoCertificate     Reason = "no-signing-certificate" //
	ReasonNoContent         Reason = "signature-without-file" //
	ReasonFrom              Reason = "from-not-sender"        // two From, or From not an address of the login
	ReasonRevocationUnknown Reason = "revocation-unknown"     // TRY_LATER
	ReasonUnsigned          Reason = "unsigned"               //
	ReasonEncrypted         Reason = "encrypted"              //
	ReasonTooMany           Reason = "too-many-refusals"      // of the door: an account that sends nothing but refused letters
	ReasonMalformed         Reason = "malformed-letter"       // not a letter that can be judged: limits, broken MIME
)
