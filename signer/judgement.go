package signer

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// Checks that this package makes. A validation lists the first four, those of package cms, CheckSignerIdentity and those
// of the path, always all and in this order.
const (
	CheckContent             = "content"               // the signed content is at hand
	CheckContentConflict     = "content-conflict"      // it is in one place only, the one that was expected
	CheckContentIsAttributes = "content-is-attributes" // it cannot be taken for signed attributes
	CheckSignedContentType   = "signed-content-type"   // it is id-data or another accepted type
	CheckSignerIdentity      = "signer-identity"       // the certificates that verify it name one subject
)

// pathChecks names what pki.TrustStore.Validate reports, for a signature whose certificate was never put to it.
func pathChecks() []string {
	return []string{
		"path", "path-algorithms", "validity", "basic-constraints", "path-length", "key-usage", "extended-key-usage",
		"name-constraints", "critical-extensions", "policy-constraints", "names", "revocation",
	}
}

// judgement is one job under way.
type judgement struct {
	*Verifier
	ctx     context.Context
	at      time.Time
	known   time.Time // see Job.StatusAt
	effort  *pki.Effort
	sd      *cms.SignedData
	content *content
	paths   map[[32]byte]path // by leaf, since many signatures may name the same one
}

// validate judges one SignerInfo. Findings on the content and the cryptography come before those on the path, and of
// equally bad ones the first stands.
func (j *judgement) validate(si *cms.SignerInfo) (Validation, error) {
	v := Validation{Verdict: pki.Passed(), BestTime: j.at, Checks: make([]pki.Check, 0, 32)}
	j.checkContent(&v)
	checked := si.Check(cms.CheckRequest{
		ContentType:  j.sd.ContentType,
		Certificates: j.sd.Certificates,
		Digest:       j.content.digest,
		Effort:       j.effort,
	})
	v.merge(checked.Verdict, checked.Checks)
	v.Format, v.Algorithm, v.ClaimedTime = checked.Format, checked.Algorithm, checked.ClaimedTime
	if len(checked.Verified) == 0 {
		if len(checked.Named) > 0 {
			v.Claimed = checked.Named[0]
		}
		v.unknown(CheckSignerIdentity)
		for _, name := range pathChecks() {
			v.unknown(name)
		}
		return v, nil
	}
	return v, j.identify(&v, checked.Verified)
}

// checkContent judges what all signatures of the job have in common.
func (j *judgement) checkContent(v *Validation) {
	c, contentType := j.content, j.sd.ContentType
	v.check(CheckContent, finding{!c.found, pki.Indeterminate, pki.SignedDataNotFound, "the signed content is not at hand"})
	v.check(CheckContentConflict, finding{c.conflict, pki.TotalFailed, pki.FormatFailure,
		"the signature carries content of its own beside the content it was sent with"})
	v.check(CheckContentIsAttributes, finding{c.isSet, pki.TotalFailed, pki.FormatFailure,
		"the content has the form of signed attributes"})
	accepted := contentType.Equal(cms.OIDData) || slices.ContainsFunc(j.ContentTypes, contentType.Equal)
	v.check(CheckSignedContentType, finding{!accepted, pki.Indeterminate, pki.SigConstraintsFailure,
		fmt.Sprintf("content type %s is not a document", contentType)})
}

// identify takes the certificate with the best path among those that the signature verifies under. They hold one key,
// so that only the subject could be in doubt: a certificate for someone else's key proves nothing.
func (j *judgement) identify(v *Validation, verified []*pki.Certificate) error {
	ambiguous := slices.ContainsFunc(verified, func(c *pki.Certificate) bool { return !c.Subject.Equal(verified[0].Subject) })
	v.check(CheckSignerIdentity, finding{ambiguous, pki.Indeterminate, pki.NoSigningCertificateFound,
		"certificates of several subjects verify the signature"})
	var best path
	for i, certificate := range verified {
		path, err := j.path(certificate)
		if err != nil {
			return err
		}
		if i == 0 || path.Verdict != best.Verdict && pki.Worst(path.Verdict, best.Verdict) == best.Verdict {
			best, v.Certificate = path, certificate
		}
	}
	if ambiguous {
		v.Certificate, v.Claimed = nil, v.Certificate
	}
	v.merge(best.Verdict, best.Checks)
	v.Chain, v.Anchor, v.CRLs, v.OCSPs, v.Fetched = best.Chain, best.Anchor, best.CRLs, best.OCSPs, best.fetched
	return nil
}

// path is a certificate's path, with what had to be fetched for it.
type path struct {
	pki.Path
	fetched []*pki.Certificate
}

func (j *judgement) path(leaf *pki.Certificate) (path, error) {
	if known, ok := j.paths[leaf.SHA256]; ok {
		return known, nil
	}
	p, fetched, err := j.Path(j.ctx, pki.PathRequest{
		Leaf: leaf, Extra: j.above(leaf), ExtraCRLs: j.sd.CRLs, At: j.at, StatusAt: j.known, Effort: j.effort,
	})
	j.paths[leaf.SHA256] = path{p, fetched}
	return j.paths[leaf.SHA256], err
}

// manySigners are so many that each one's path may use only a share of the carried certificates.
const manySigners = 4

// above returns the carried certificates from which a leaf's path may be built. pki bounds the public-key operations of
// one path; of many paths they are bounded here, by taking those alone that the issuers' names lead to, nearest first.
func (j *judgement) above(leaf *pki.Certificate) []*pki.Certificate {
	if len(j.sd.Signers) <= manySigners {
		return j.sd.Certificates
	}
	share, chain := 100/len(j.sd.Signers), []*pki.Certificate{leaf}
	for i := 0; i < len(chain); i++ {
		for _, c := range j.sd.Certificates {
			if len(chain) <= share && bytes.Equal(c.Subject.Raw, chain[i].Issuer.Raw) && !slices.Contains(chain, c) {
				chain = append(chain, c)
			}
		}
	}
	return chain[1:]
}

func (v *Verifier) trust() *pki.TrustStore {
	if v.Trust == nil {
		return pki.NewTrustStore(nil, nil, nil)
	}
	return v.Trust
}

// finding is an objection, when it applies.
type finding struct {
	applies bool
	pki.Indication
	pki.SubIndication
	detail string
}

func (v *Validation) check(name string, f finding) {
	if !f.applies {
		v.Checks = append(v.Checks, pki.Check{Name: name, Status: pki.StatusPassed})
		return
	}
	status := pki.StatusIndeterminate
	if f.Indication == pki.TotalFailed {
		status = pki.StatusFailed
	}
	v.merge(pki.Verdict{Indication: f.Indication, SubIndication: f.SubIndication},
		[]pki.Check{{Name: name, Status: status, Detail: f.detail}})
}

func (v *Validation) unknown(name string) {
	v.merge(pki.Passed(), []pki.Check{{Name: name, Status: pki.StatusIndeterminate, Detail: "not checked: nobody is known to have signed"}})
}

func (v *Validation) merge(verdict pki.Verdict, checks []pki.Check) {
	v.Verdict = pki.Worst(v.Verdict, verdict)
	v.Checks = append(v.Checks, checks...)
}
