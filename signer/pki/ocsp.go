package pki

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Limits of one OCSP response.
const (
	maxOCSP           = 1 << 20 // octets
	maxOCSPResponders = 16      // certificates in it
)

// ErrOCSPStatus: the responder has answered that it does not answer (RFC 6960 §4.2.1).
var ErrOCSPStatus = errors.New("the OCSP responder gave no answer")

// OCSPResponse is a successful, basic OCSP response (RFC 6960 §4.2). Its byte
// slices share memory with Raw. Nothing says yet that its signer may answer:
// Status does.
type OCSPResponse struct {
	Raw                []byte
	SHA256             [32]byte
	Source             string // for the report: where it came from; "" when it was given
	ProducedAt         time.Time
	SignatureAlgorithm AlgorithmIdentifier

	tbs, signature []byte
	responder      responderID
	answers        []ocspAnswer
	nonce          []byte // content of the extension; nil if absent
	certificates   []*Certificate
	unusable       string // why nothing in it counts; "" if it does
}

// responderID names the signer by one of the two.
type responderID struct {
	name    string // key for chaining; set when byName
	keyHash []byte // SHA-1 of the key's bits
	byName  bool
}

// certStatus is the CHOICE CertStatus.
type certStatus uint8

const (
	statusGood certStatus = iota
	statusRevoked
	statusUnknown
)

// ocspAnswer is one SingleResponse.
type ocspAnswer struct {
	id         certID
	status     certStatus
	revokedAt  time.Time
	reason     int
	thisUpdate time.Time
	nextUpdate time.Time // zero if absent
	unusable   string    // a critical extension that is not understood; "" if none
}

// ParseOCSPResponse reads one DER OCSPResponse of at most 1 MiB and nothing
// after it. ErrOCSPStatus: it is a refusal and holds no statement.
func ParseOCSPResponse(der []byte) (*OCSPResponse, error) {
	r, err := parseOCSPResponse(der)
	if err != nil {
		return nil, fmt.Errorf("OCSP response: %w", err)
	}
	return r, nil
}

// ParseOCSPResponses reads PEM blocks of type OCSP RESPONSE, or one DER response.
func ParseOCSPResponses(b []byte) ([]*OCSPResponse, error) {
	blocks, err := pemOrDER(b, "OCSP RESPONSE")
	if err != nil {
		return nil, err
	}
	out := make([]*OCSPResponse, 0, len(blocks))
	for i, der := range blocks {
		r, err := ParseOCSPResponse(der)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", i+1, err)
		}
		out = append(out, r)
	}
	return out, nil
}

// ocspStatuses are the words of OCSPResponseStatus.
var ocspStatuses = map[int]string{1: "malformedRequest", 2: "internalError", 3: "tryLater", 5: "sigRequired", 6: "unauthorized"}

func parseOCSPResponse(der []byte) (*OCSPResponse, error) {
	if len(der) > maxOCSP {
		return nil, fmt.Errorf("%d octets, limit %d", len(der), maxOCSP)
	}
	in := cryptobyte.String(slices.Clone(der))
	r := &OCSPResponse{Raw: in, SHA256: sha256.Sum256(der)}
	var outer, field, bytes, basic cryptobyte.String
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, fmt.Errorf("outer structure: %w", errDER)
	}
	status, ok := readSmallInteger(&outer, cbasn1.ENUM, 255)
	if !ok {
		return nil, fmt.Errorf("status: %w", errDER)
	}
	if status != 0 {
		word, known := ocspStatuses[status]
		if !known {
			word = fmt.Sprintf("status %d", status)
		}
		return nil, fmt.Errorf("%s: %w", word, ErrOCSPStatus)
	}
	if !outer.ReadASN1(&field, cbasn1.Tag(0).Constructed().ContextSpecific()) || !outer.Empty() ||
		!field.ReadASN1(&bytes, cbasn1.SEQUENCE) || !field.Empty() {
		return nil, fmt.Errorf("response bytes: %w", errDER)
	}
	if kind, ok := readObjectID(&bytes); !ok || kind != ocspBasic {
		return nil, fmt.Errorf("not a basic response: %w", errDER)
	}
	if !bytes.ReadASN1(&basic, cbasn1.OCTET_STRING) || !bytes.Empty() {
		return nil, fmt.Errorf("response bytes: %w", errDER)
	}
	return r, r.readBasic(basic)
}

// readBasic reads BasicOCSPResponse.
func (r *OCSPResponse) readBasic(in cryptobyte.String) error {
	var outer, tbs, body, certificates, list cryptobyte.String
	var present bool
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !in.Empty() || !outer.ReadASN1Element(&tbs, cbasn1.SEQUENCE) {
		return fmt.Errorf("basic response: %w", errDER)
	}
	r.tbs = tbs
	var okAlgorithm, okSignature bool
	if r.SignatureAlgorithm, okAlgorithm = readAlgorithm(&outer); okAlgorithm {
		r.signature, okSignature = readOctetBits(&outer)
	}
	if !okAlgorithm || !okSignature ||
		!outer.ReadOptionalASN1(&certificates, &present, cbasn1.Tag(0).Constructed().ContextSpecific()) || !outer.Empty() ||
		present && (!certificates.ReadASN1(&list, cbasn1.SEQUENCE) || !certificates.Empty()) ||
		!tbs.ReadASN1(&body, cbasn1.SEQUENCE) {
		return fmt.Errorf("signature fields: %w", errDER)
	}
	if err := r.readCertificates(list); err != nil {
		return err
	}
	return r.readData(body)
}

// readCertificates keeps what can be read as certificates; the others cannot
// have signed the response.
func (r *OCSPResponse) readCertificates(list cryptobyte.String) error {
	for n := 0; !list.Empty(); n++ {
		var der cryptobyte.String
		if !list.ReadASN1Element(&der, cbasn1.SEQUENCE) {
			return fmt.Errorf("certificates: %w", errDER)
		}
		if n == maxOCSPResponders {
			return fmt.Errorf("more than %d certificates", maxOCSPResponders)
		}
		if c, err := ParseCertificate(der); err == nil {
			r.certificates = append(r.certificates, c)
		}
	}
	return nil
}

// readData reads ResponseData in order.
func (r *OCSPResponse) readData(in cryptobyte.String) error {
	var version, list, field cryptobyte.String
	var present, extended, ok bool
	if !in.ReadOptionalASN1(&version, &present, cbasn1.Tag(0).Constructed().ContextSpecific()) {
		return fmt.Errorf("version: %w", errDER)
	}
	if present { // v1 is the default and only one; some encode it all the same
		if v, ok := readSmallInteger(&version, cbasn1.INTEGER, 1); !ok || v != 0 || !version.Empty() {
			return fmt.Errorf("version: %w", errDER)
		}
	}
	if err := r.responder.read(&in); err != nil {
		return fmt.Errorf("responder: %w", err)
	}
	if r.ProducedAt, ok = readGeneralizedTime(&in); !ok {
		return fmt.Errorf("produced at: %w", errDER)
	}
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) ||
		!in.ReadOptionalASN1(&field, &extended, cbasn1.Tag(1).Constructed().ContextSpecific()) || !in.Empty() {
		return fmt.Errorf("response data: %w", errDER)
	}
	for !list.Empty() {
		a, err := readAnswer(&list)
		if err != nil {
			return fmt.Errorf("single response: %w", err)
		}
		r.answers = append(r.answers, a)
	}
	if !extended {
		return nil
	}
	extensions, err := readExplicitExtensions(field)
	if err != nil {
		return err
	}
	for _, e := range extensions {
		switch {
		case e.id == extOCSPNonce:
			r.nonce = e.value
		case e.critical:
			r.unusable = "it has the unknown critical extension " + e.id.String()
		}
	}
	return nil
}

func (id *responderID) read(in *cryptobyte.String) error {
	var field, hash cryptobyte.String
	var tag cbasn1.Tag
	if !in.ReadAnyASN1(&field, &tag) {
		return errDER
	}
	var err error
	switch tag {
	case cbasn1.Tag(1).Constructed().ContextSpecific():
		_, id.name, _, err = readName(&field)
		id.byName = true
	case cbasn1.Tag(2).Constructed().ContextSpecific():
		if !field.ReadASN1(&hash, cbasn1.OCTET_STRING) {
			return errDER
		}
		id.keyHash = hash
	default:
		return errDER
	}
	if err != nil || !field.Empty() {
		return errDER
	}
	return nil
}

func readAnswer(in *cryptobyte.String) (ocspAnswer, error) {
	var a ocspAnswer
	var seq, next, field cryptobyte.String
	var hasNext, extended, ok bool
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return a, errDER
	}
	var err error
	if a.id, err = readCertID(&seq); err != nil {
		return a, err
	}
	if err = a.readStatus(&seq); err != nil {
		return a, err
	}
	if a.thisUpdate, ok = readGeneralizedTime(&seq); !ok ||
		!seq.ReadOptionalASN1(&next, &hasNext, cbasn1.Tag(0).Constructed().ContextSpecific()) ||
		!seq.ReadOptionalASN1(&field, &extended, cbasn1.Tag(1).Constructed().ContextSpecific()) || !seq.Empty() {
		return a, errDER
	}
	if hasNext {
		if a.nextUpdate, ok = readGeneralizedTime(&next); !ok || !next.Empty() {
			return a, errDER
		}
	}
	if !extended {
		return a, nil
	}
	extensions, err := readExplicitExtensions(field)
	for _, e := range extensions {
		if e.critical {
			a.unusable = "it has the unknown critical extension " + e.id.String()
		}
	}
	return a, err
}

// readStatus reads CertStatus: good [0] NULL, revoked [1] RevokedInfo, unknown [2] NULL.
func (a *ocspAnswer) readStatus(in *cryptobyte.String) error {
	var field, reason cryptobyte.String
	var tag cbasn1.Tag
	if !in.ReadAnyASN1(&field, &tag) {
		return errDER
	}
	switch tag {
	case cbasn1.Tag(0).ContextSpecific():
		a.status = statusGood
	case cbasn1.Tag(2).ContextSpecific():
		a.status = statusUnknown
	case cbasn1.Tag(1).ContextSpecific().Constructed():
		a.status = statusRevoked
		var ok, present bool
		if a.revokedAt, ok = readGeneralizedTime(&field); !ok ||
			!field.ReadOptionalASN1(&reason, &present, cbasn1.Tag(0).Constructed().ContextSpecific()) {
			return errDER
		}
		if present {
			if a.reason, ok = readSmallInteger(&reason, cbasn1.ENUM, 255); !ok || !reason.Empty() {
				return errDER
			}
		}
	default:
		return errDER
	}
	if !field.Empty() {
		return errDER
	}
	return nil
}

// readExplicitExtensions reads the content of an explicitly tagged Extensions.
func readExplicitExtensions(field cryptobyte.String) ([]extension, error) {
	list, err := sequence(field)
	if err != nil {
		return nil, fmt.Errorf("extensions: %w", errDER)
	}
	if list.Empty() { // some responders write an empty list
		return nil, nil
	}
	return readExtensions(list)
}

func readGeneralizedTime(in *cryptobyte.String) (time.Time, bool) {
	if !in.PeekASN1Tag(cbasn1.GeneralizedTime) {
		return time.Time{}, false
	}
	return readTime(in)
}
