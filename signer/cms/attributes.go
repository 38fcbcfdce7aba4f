package cms

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cryptogramm.ru/cryptogramm/signer/pki"
)

// CertificateID names the signer's certificate inside the signature (ESSCertID and ESSCertIDv2, RFC 5035 §4).
type CertificateID struct {
	Hash     asn1.ObjectIdentifier // SHA-1 for the first version, by its definition
	CertHash []byte
	Issuer   pki.Name // zero when absent, as is Serial
	Serial   *big.Int
	V2       bool
}

// known holds the signed attributes that verification reads.
type known struct {
	contentType   asn1.ObjectIdentifier
	messageDigest []byte
	signingTime   *time.Time
	certificates  []CertificateID
	protection    *protection
}

// protection is CMSAlgorithmProtection (RFC 6211 §2).
type protection struct{ digest, signature pki.AlgorithmIdentifier }

// ContentType returns the content-type attribute (RFC 5652 §11.1), nil when there is none.
func (si *SignerInfo) ContentType() (asn1.ObjectIdentifier, error) {
	value, err := si.single(oidContentType, "content-type")
	var oid asn1.ObjectIdentifier
	if value != nil && (!value.ReadASN1ObjectIdentifier(&oid) || !value.Empty()) {
		return nil, errors.New("content-type attribute is not an object identifier")
	}
	return oid, err
}

// MessageDigest returns the message-digest attribute (RFC 5652 §11.2), nil when there is none.
func (si *SignerInfo) MessageDigest() ([]byte, error) {
	value, err := si.single(oidMessageDigest, "message-digest")
	var digest cryptobyte.String
	if value != nil && (!value.ReadASN1(&digest, casn1.OCTET_STRING) || !value.Empty()) {
		return nil, errors.New("message-digest attribute is not an octet string")
	}
	return digest, err
}

// SigningTime returns the time the signer claims (RFC 5652 §11.3), nil when there is none. It proves nothing.
func (si *SignerInfo) SigningTime() (*time.Time, error) {
	value, err := si.single(oidSigningTime, "signing-time")
	if value == nil {
		return nil, err
	}
	var t time.Time
	read := value.ReadASN1GeneralizedTime
	if value.PeekASN1Tag(casn1.UTCTime) {
		read = value.ReadASN1UTCTime
	}
	if !read(&t) || !value.Empty() {
		return nil, errors.New("signing-time attribute is not a time")
	}
	t = t.UTC()
	return &t, nil
}

// SigningCertificates returns what the ESS signing-certificate attributes say: none, one, or one of each version. Only the
// first certificate of an attribute is the signer's (RFC 5035 §3).
func (si *SignerInfo) SigningCertificates() ([]CertificateID, error) {
	var ids []CertificateID
	for _, version := range []struct {
		oid  asn1.ObjectIdentifier
		name string
		v2   bool
	}{{oidSigningCertificate, "signing-certificate", false}, {oidSigningCertificateV2, "signing-certificate-v2", true}} {
		value, err := si.single(version.oid, version.name)
		if err != nil {
			return nil, err
		}
		if value == nil {
			continue
		}
		id, ok := readCertificateID(*value, version.v2)
		if !ok {
			return nil, fmt.Errorf("%s attribute is malformed", version.name)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// single returns the only value of the only attribute of a type: nil when there is none, an error when there are more.
func (si *SignerInfo) single(oid asn1.ObjectIdentifier, name string) (*cryptobyte.String, error) {
	var found *cryptobyte.String
	for i := range si.SignedAttributes {
		a := &si.SignedAttributes[i]
		if !a.OID.Equal(oid) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%s attribute occurs twice", name)
		}
		if len(a.Values) != 1 {
			return nil, fmt.Errorf("%s attribute has %d values", name, len(a.Values))
		}
		found = (*cryptobyte.String)(&a.Values[0])
	}
	if found == nil {
		return nil, nil
	}
	value := *found // reading must not move the attribute's own bounds
	return &value, nil
}

// known reads all attributes that verification looks at; an error is a breach of form (RFC 5652 §5.3, §11).
func (si *SignerInfo) known() (k known, err error) {
	if si.attributesErr != nil {
		return k, si.attributesErr
	}
	for _, a := range si.SignedAttributes {
		if len(a.Values) == 0 {
			return k, fmt.Errorf("attribute %s has no value", a.OID)
		}
	}
	var errs [5]error
	k.contentType, errs[0] = si.ContentType()
	k.messageDigest, errs[1] = si.MessageDigest()
	k.signingTime, errs[2] = si.SigningTime()
	k.certificates, errs[3] = si.SigningCertificates()
	k.protection, errs[4] = si.algorithmProtection()
	return k, errors.Join(errs[:]...)
}

func (si *SignerInfo) algorithmProtection() (*protection, error) {
	value, err := si.single(oidAlgorithmProtection, "algorithm-protection")
	if value == nil {
		return nil, err
	}
	var (
		p                       protection
		body, digest, signature cryptobyte.String
	)
	// The MAC alternative [2] has no place in a signature.
	if !value.ReadASN1(&body, casn1.SEQUENCE) || !value.Empty() ||
		!body.ReadASN1(&digest, casn1.SEQUENCE) || !readAlgorithm(digest, &p.digest) ||
		!body.ReadASN1(&signature, tagContext1) || !readAlgorithm(signature, &p.signature) || !body.Empty() {
		return nil, errors.New("algorithm-protection attribute is malformed")
	}
	return &p, nil
}

// readAlgorithm reads the contents of an AlgorithmIdentifier.
func readAlgorithm(in cryptobyte.String, a *pki.AlgorithmIdentifier) bool {
	if !in.ReadASN1ObjectIdentifier(&a.OID) {
		return false
	}
	if !in.Empty() {
		var parameters cryptobyte.String
		if !in.ReadAnyASN1Element(&parameters, new(casn1.Tag)) {
			return false
		}
		a.Parameters = parameters
	}
	return in.Empty()
}

// readCertificateID reads SigningCertificate or SigningCertificateV2 as far as its first identifier.
func readCertificateID(value cryptobyte.String, v2 bool) (CertificateID, bool) {
	id := CertificateID{Hash: oidSHA1, V2: v2}
	var body, list, first cryptobyte.String
	if !value.ReadASN1(&body, casn1.SEQUENCE) || !value.Empty() ||
		!body.ReadASN1(&list, casn1.SEQUENCE) || !list.ReadASN1(&first, casn1.SEQUENCE) {
		return id, false
	}
	if v2 {
		id.Hash = oidSHA256 // DEFAULT
		if first.PeekASN1Tag(casn1.SEQUENCE) {
			var algorithm pki.AlgorithmIdentifier
			var contents cryptobyte.String
			if !first.ReadASN1(&contents, casn1.SEQUENCE) || !readAlgorithm(contents, &algorithm) {
				return id, false
			}
			id.Hash = algorithm.OID
		}
	}
	var hash cryptobyte.String
	if !first.ReadASN1(&hash, casn1.OCTET_STRING) {
		return id, false
	}
	id.CertHash = hash
	return id, first.Empty() || readIssuerSerial(first, &id)
}

// readIssuerSerial reads IssuerSerial, whose issuer is one directoryName (RFC 5035 §4).
func readIssuerSerial(in cryptobyte.String, id *CertificateID) bool {
	var body, names, directory cryptobyte.String
	id.Serial = new(big.Int)
	if !in.ReadASN1(&body, casn1.SEQUENCE) || !in.Empty() || !body.ReadASN1(&names, casn1.SEQUENCE) ||
		!body.ReadASN1Integer(id.Serial) || !names.ReadASN1(&directory, casn1.Tag(4).ContextSpecific().Constructed()) {
		return false
	}
	id.Issuer = pki.Name{Raw: directory}
	return names.Empty() && (body.Empty() || body.SkipASN1(casn1.BIT_STRING) && body.Empty()) // issuerUID
}

// matchAll says why a certificate is not the one that every identifier names.
func matchAll(ids []CertificateID, certificate *pki.Certificate) error {
	for _, id := range ids {
		hash, err := pki.HashByOID(id.Hash)
		if err != nil {
			return fmt.Errorf("digest %s: %w", id.Hash, err)
		}
		if id.V2 && hash.Weak {
			return fmt.Errorf("digest %s: %w", hash.Name, pki.ErrWeak)
		}
		h := hash.New()
		h.Write(certificate.Raw)
		switch {
		case !bytes.Equal(h.Sum(nil), id.CertHash):
			return errors.New("the signer named another certificate")
		case id.Serial != nil && (id.Serial.Cmp(certificate.Serial) != 0 || !sameName(id.Issuer, certificate.Issuer)):
			return errors.New("the signer named another issuer or serial number")
		}
	}
	return nil
}
