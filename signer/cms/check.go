package cms

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"cryptogramm.ru/cryptogramm/signer/pki"
)

// The checks of one SignerInfo, in the order in which they are made and always reported.
const (
	CheckSignedAttributes    = "signed-attributes"    // present, DER, none of the known ones twice
	CheckContentType         = "content-type"         // the attribute equals eContentType
	CheckMessageDigest       = "message-digest"       // the attribute equals the content's digest
	CheckSignerCertificate   = "signer-certificate"   // a certificate that the sid names is at hand
	CheckAlgorithm           = "algorithm"            // known, strong enough, and fits the key
	CheckSignature           = "signature"            // verifies under that certificate
	CheckSigningCertificate  = "signing-certificate"  // the ESS attribute names the same certificate (RFC 5035)
	CheckAlgorithmProtection = "algorithm-protection" // the attribute names the same algorithms (RFC 6211)
)

// CheckRequest is what a SignerInfo is checked against.
type CheckRequest struct {
	ContentType  asn1.ObjectIdentifier  // eContentType
	Certificates []*pki.Certificate     // that may hold the signer's; none is trusted for being here
	Digest       func(*pki.Hash) []byte // of the content; nil result: the content is not at hand
	Effort       *pki.Effort            // nil: no limit but that of one SignerInfo
}

// Checked is what can be said of one SignerInfo before its certificate's path is looked at.
type Checked struct {
	Verdict     pki.Verdict // TotalPassed: every check passed
	Checks      []pki.Check
	Format      string             // "CMS" or "CAdES-BES"
	Algorithm   string             // "" when the algorithms or the certificate are unknown
	Verified    []*pki.Certificate // those of the sid that the signature verified under; several hold the same key
	Named       []*pki.Certificate // all those of the sid
	ClaimedTime *time.Time
}

// check collects the outcome of one SignerInfo. When several verdicts are equally bad the first one stands.
type check struct {
	si  *SignerInfo
	req CheckRequest
	Checked
	attributes known
	unread     string // why attributes is empty
}

// Check checks one signature over the content. It is pure: the result depends on its arguments alone.
func (si *SignerInfo) Check(req CheckRequest) Checked {
	c := &check{si: si, req: req}
	c.Verdict, c.Format, c.Checks = pki.Passed(), "CMS", make([]pki.Check, 0, 8)
	c.signedAttributes()
	c.contentType()
	c.messageDigest()
	best := c.signature()
	c.signingCertificate(best)
	c.algorithmProtection()
	return c.Checked
}

func (c *check) passed(name, detail string) {
	c.Checks = append(c.Checks, pki.Check{Name: name, Status: pki.StatusPassed, Detail: detail})
}

// unknown reports a check that could not be made because of another one's finding.
func (c *check) unknown(name, why string) {
	c.Checks = append(c.Checks, pki.Check{Name: name, Status: pki.StatusIndeterminate, Detail: "not checked: " + why})
}

func (c *check) failed(name string, sub pki.SubIndication, detail string) {
	c.Checks = append(c.Checks, pki.Check{Name: name, Status: pki.StatusFailed, Detail: detail})
	c.Verdict = pki.Worst(c.Verdict, pki.Verdict{Indication: pki.TotalFailed, SubIndication: sub})
}

func (c *check) indeterminate(name string, sub pki.SubIndication, detail string) {
	c.Checks = append(c.Checks, pki.Check{Name: name, Status: pki.StatusIndeterminate, Detail: detail})
	c.Verdict = pki.Worst(c.Verdict, pki.Verdict{Indication: pki.Indeterminate, SubIndication: sub})
}

// signedAttributes: RFC 5652 §5.3, §11. Without them a signature does not say what kind of content it is over, and can be
// made from one over the attributes of another message; it is never passed.
func (c *check) signedAttributes() {
	var err error
	switch c.attributes, err = c.si.known(); {
	case c.si.SignedAttributesDER == nil && c.req.ContentType.Equal(OIDData):
		c.unread = "no signed attributes"
		c.indeterminate(CheckSignedAttributes, pki.SigConstraintsFailure, c.unread)
	case c.si.SignedAttributesDER == nil:
		c.unread = "no signed attributes over content that is not id-data"
		c.failed(CheckSignedAttributes, pki.FormatFailure, c.unread)
	case err != nil:
		c.unread, c.attributes = "signed attributes are malformed", known{}
		c.failed(CheckSignedAttributes, pki.FormatFailure, err.Error())
	default:
		c.ClaimedTime = c.attributes.signingTime
		if len(c.attributes.certificates) > 0 {
			c.Format = "CAdES-BES"
		}
		c.passed(CheckSignedAttributes, "")
	}
}

func (c *check) contentType() {
	switch got := c.attributes.contentType; {
	case c.unread != "":
		c.unknown(CheckContentType, c.unread)
	case got == nil:
		c.failed(CheckContentType, pki.FormatFailure, "the attribute is missing")
	case !got.Equal(c.req.ContentType):
		c.failed(CheckContentType, pki.FormatFailure, fmt.Sprintf("signed as %s, carried as %s", got, c.req.ContentType))
	default:
		c.passed(CheckContentType, "")
	}
}

func (c *check) messageDigest() {
	hash, err := pki.HashByOID(c.si.Digest.OID)
	var content []byte
	if err == nil {
		content = c.req.Digest(hash)
	}
	switch want := c.attributes.messageDigest; {
	case err == nil && content == nil:
		c.indeterminate(CheckMessageDigest, pki.SignedDataNotFound, "the signed content is not at hand")
	case c.unread != "":
		c.unknown(CheckMessageDigest, c.unread)
	case want == nil:
		c.failed(CheckMessageDigest, pki.FormatFailure, "the attribute is missing")
	case err != nil:
		c.indeterminate(CheckMessageDigest, pki.CryptoConstraintsFailure, fmt.Sprintf("digest %s: %v", c.si.Digest.OID, err))
	case !bytes.Equal(want, content):
		c.failed(CheckMessageDigest, pki.HashFailure, "the content is not what was signed")
	default:
		c.passed(CheckMessageDigest, hash.Name)
	}
}

// signingCertificate narrows the verified certificates to the one that an ESS attribute names, so that a certificate
// for the same key under another name cannot take its place (RFC 5035 §5.4, RFC 2634 §5.4).
func (c *check) signingCertificate(best attempt) {
	ids := c.attributes.certificates
	switch {
	case c.unread != "":
		c.unknown(CheckSigningCertificate, c.unread)
		return
	case len(ids) == 0:
		c.passed(CheckSigningCertificate, "no attribute")
		return
	case len(c.Verified) == 0:
		c.unknown(CheckSigningCertificate, best.explain())
		return
	}
	var fitting []*pki.Certificate
	var reason error
	for _, certificate := range c.Verified {
		if err := matchAll(ids, certificate); err != nil {
			reason = err
			continue
		}
		fitting = append(fitting, certificate)
	}
	switch {
	case fitting != nil:
		c.Verified = fitting
		c.passed(CheckSigningCertificate, "")
	case errors.Is(reason, pki.ErrUnsupported):
		c.indeterminate(CheckSigningCertificate, pki.CryptoConstraintsFailure, reason.Error())
	case errors.Is(reason, pki.ErrWeak):
		c.failed(CheckSigningCertificate, pki.CryptoConstraintsFailure, reason.Error())
	default:
		c.failed(CheckSigningCertificate, pki.SigConstraintsFailure, reason.Error())
	}
}

// algorithmProtection compares the algorithms that were signed with those that were used (RFC 6211 §2).
func (c *check) algorithmProtection() {
	switch p := c.attributes.protection; {
	case c.unread != "":
		c.unknown(CheckAlgorithmProtection, c.unread)
	case p == nil:
		c.passed(CheckAlgorithmProtection, "no attribute")
	case !sameAlgorithm(p.digest, c.si.Digest) || !sameAlgorithm(p.signature, c.si.Signature):
		c.failed(CheckAlgorithmProtection, pki.FormatFailure, "other algorithms were signed")
	default:
		c.passed(CheckAlgorithmProtection, "")
	}
}

// sameAlgorithm takes absent parameters and NULL for the same (RFC 5754 §2).
func sameAlgorithm(a, b pki.AlgorithmIdentifier) bool {
	parameters := func(a pki.AlgorithmIdentifier) []byte {
		if bytes.Equal(a.Parameters, []byte{5, 0}) {
			return nil
		}
		return a.Parameters
	}
	return a.OID.Equal(b.OID) && bytes.Equal(parameters(a), parameters(b))
}
