package cms

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"cryptogramm.ru/cryptogramm/signer/pki"
)

// maxNamed bounds the public-key operations of one SignerInfo: certificates of one serial number or key identifier.
const maxNamed = 4

// attempt is what came of one certificate that the sid names. The greater its rank the nearer it came to a pass.
type attempt struct {
	certificate *pki.Certificate
	scheme      *pki.Scheme
	resolveErr  error // from the algorithm table
	verifyErr   error // from the signature; nil without having been checked unless tried
	tried       bool
}

func (a attempt) verified() bool { return a.tried && a.verifyErr == nil }

func (a attempt) rank() int {
	switch {
	case a.verified() && a.resolveErr == nil:
		return 4
	case a.verified():
		return 3
	case a.tried:
		return 2
	case a.certificate != nil:
		return 1
	}
	return 0
}

// explain says why a check that needs a verified certificate was not made.
func (a attempt) explain() string {
	if a.certificate == nil {
		return "the signer's certificate is not at hand"
	}
	return "the signature did not verify"
}

// signature tries every certificate that the sid names and reports the best attempt. Several verify only if they hold
// the same key.
func (c *check) signature() attempt {
	c.Named = c.si.named(c.req.Certificates)
	var best attempt
	for _, certificate := range c.Named {
		a := c.try(certificate)
		if a.verified() {
			c.Verified = append(c.Verified, certificate)
		}
		if a.rank() > best.rank() {
			best = a
		}
	}
	if best.scheme != nil {
		c.Algorithm = best.scheme.Name
	}
	c.report(best)
	return best
}

func (c *check) report(best attempt) {
	if best.certificate == nil {
		c.indeterminate(CheckSignerCertificate, pki.NoSigningCertificateFound, c.si.describe())
		c.unknown(CheckAlgorithm, best.explain())
		c.unknown(CheckSignature, best.explain())
		return
	}
	c.passed(CheckSignerCertificate, "")
	switch err := best.resolveErr; {
	case err == nil:
		c.passed(CheckAlgorithm, best.scheme.Name)
	case errors.Is(err, pki.ErrUnsupported):
		c.indeterminate(CheckAlgorithm, pki.CryptoConstraintsFailure, err.Error())
	default: // too weak, or key, digest and signature do not agree
		c.failed(CheckAlgorithm, pki.CryptoConstraintsFailure, err.Error())
	}
	switch {
	case best.verified():
		c.passed(CheckSignature, "")
	case errors.Is(best.verifyErr, pki.ErrBadSignature):
		c.failed(CheckSignature, pki.SigCryptoFailure, best.verifyErr.Error())
	case best.tried: // a key too weak to compute with, or an algorithm that needs attributes
		c.indeterminate(CheckSignature, pki.CryptoConstraintsFailure, best.verifyErr.Error())
	case best.resolveErr != nil:
		c.unknown(CheckSignature, best.resolveErr.Error())
	default:
		c.unknown(CheckSignature, "the signed content is not at hand")
	}
}

// try verifies the signature under one certificate.
func (c *check) try(certificate *pki.Certificate) attempt {
	a := attempt{certificate: certificate}
	a.scheme, a.resolveErr = pki.ResolveScheme(c.si.Signature, &c.si.Digest, certificate.Key)
	if a.scheme == nil {
		return a
	}
	if !c.req.Effort.Spend(certificate.Key) {
		a.scheme, a.resolveErr = nil, pki.ErrEffort
		return a
	}
	if c.si.SignedAttributesDER == nil {
		content := c.req.Digest(a.scheme.Hash)
		if a.tried = content != nil; a.tried {
			a.verifyErr = a.scheme.VerifyDigest(content, c.si.SignatureValue)
		}
		return a
	}
	a.tried = true
	a.verifyErr = a.scheme.Verify(c.si.SignedAttributesDER, c.si.SignatureValue)
	if a.verifyErr == nil {
		return a
	}
	// Some signers sign the set in DER order and send it in another one, so both orders are what was signed (RFC 5652
	// §5.4); the attributes are the same.
	if ordered, ok := derOrder(c.si.SignedAttributesDER); ok && !bytes.Equal(ordered, c.si.SignedAttributesDER) && c.req.Effort.Spend(certificate.Key) {
		if a.scheme.Verify(ordered, c.si.SignatureValue) == nil {
			a.verifyErr = nil
		}
	}
	return a
}

// named returns the certificates that the sid names, each once (RFC 5652 §5.3). Serial numbers and key identifiers are
// compared first and at most maxNamed that match are looked at, since comparing names is dear.
func (si *SignerInfo) named(certificates []*pki.Certificate) []*pki.Certificate {
	var numbered []*pki.Certificate
	for _, c := range certificates {
		match := len(si.SubjectKeyID) > 0 && bytes.Equal(si.SubjectKeyID, c.SubjectKeyID)
		if si.Serial != nil {
			match = si.Serial.Cmp(c.Serial) == 0
		}
		if match && !slices.ContainsFunc(numbered, func(n *pki.Certificate) bool { return n.SHA256 == c.SHA256 }) {
			numbered = append(numbered, c)
		}
	}
	numbered = numbered[:min(len(numbered), maxNamed)]
	if si.Serial == nil {
		return numbered
	}
	return slices.DeleteFunc(numbered, func(c *pki.Certificate) bool { return !sameName(si.Issuer, c.Issuer) })
}

// foldableName is the longest name that is compared otherwise than octet by octet.
const foldableName = 4 << 10

func sameName(a, b pki.Name) bool {
	return bytes.Equal(a.Raw, b.Raw) || len(a.Raw) <= foldableName && len(b.Raw) <= foldableName && a.Equal(b)
}

// describe shows the sid.
func (si *SignerInfo) describe() string {
	switch {
	case si.Serial == nil:
		return fmt.Sprintf("key identifier %X", si.SubjectKeyID)
	case len(si.Issuer.Raw) > foldableName:
		return fmt.Sprintf("serial %X of an issuer with a name of %d octets", si.Serial, len(si.Issuer.Raw))
	}
	return fmt.Sprintf("serial %X of %s", si.Serial, si.Issuer)
}
