// Package signer judges signatures: it puts together what cms says of a signature and what pki says of its certificate.
//
// Invariants:
//
//   - A bad signature is a value, never an error; an error means that something could not be read.
//
//   - A panic while judging is a failed verdict, never a passed one and never the end of the process.
//
//   - Every signature must pass and the worst verdict is the report's; a report of nothing signed has not passed.
//
//   - A signature is attributed to the certificate that its sid names and that it verified under, or to nobody.
//
//   - Content and signature are streamed; memory does not grow with the content.
//
//   - Nothing is fetched but what could change the verdict: the status of certificates whose path is in order, and the
//     issuer of a certificate without a path.
//
// Deliberately absent: MIME and mail addresses (gateway/judge), timestamps, the network itself (fetch).
package signer

import (
	"context"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/fetch"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// Verifier is safe for concurrent use and keeps nothing between jobs but what Trust remembers.
type Verifier struct {
	Trust        *pki.TrustStore         // nil trusts nobody
	ExtKeyUsages []asn1.ObjectIdentifier // one of which a present extended key usage must name; nil: emailProtection alone
	ContentTypes []asn1.ObjectIdentifier // accepted besides id-data
	Given        Material                // at hand besides what a signature carries
	Fetch        *fetch.Session          // nil: offline
}

// Material is what helps to judge certificates; none of it is trusted by itself.
type Material struct {
	Certificates []*pki.Certificate
	CRLs         []*pki.CRL
	OCSPs        []*pki.OCSPResponse
}

// Verify judges one signature. The error is the sources' or the context's own.
func (v *Verifier) Verify(ctx context.Context, job Job) (report *Report, err error) {
	report = new(Report)
	defer func() {
		if p := recover(); p != nil {
			fault := fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			report, err = &Report{SHA256: report.SHA256, Fault: fault}, nil
			report.refuse(Malformed, "internal error")
		}
	}()
	sd, err := report.read(ctx, job.Signature)
	if err != nil {
		return nil, fmt.Errorf("verify signature: %w", err)
	}
	if sd == nil {
		return report, nil
	}
	c, err := readContent(ctx, job, sd)
	if err != nil {
		return nil, fmt.Errorf("verify content: %w", err)
	}
	if c.found {
		copy(report.ContentSHA256[:], c.sums[0].value)
		report.ContentSize, report.ContentIsAttributes = c.size, c.isSet
	}
	j := judgement{
		Verifier: v, ctx: ctx, at: job.At, known: job.StatusAt, effort: job.Effort, sd: sd, content: c, paths: map[[32]byte]path{},
	}
	for i := range sd.Signers {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		validation, err := j.validate(&sd.Signers[i])
		if err != nil {
			return nil, fmt.Errorf("verify certificate: %w", err)
		}
		report.Validations = append(report.Validations, validation)
		report.Verdict = pki.Worst(report.Verdict, validation.Verdict)
	}
	return report, nil
}

// read parses the signature octets and hashes all of them. When it returns neither a SignedData nor an error, the report
// is complete.
func (r *Report) read(ctx context.Context, source cms.Source) (*cms.SignedData, error) {
	in, err := source()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	hash := sha256.New()
	tee := io.TeeReader(contextReader{ctx, in}, hash)
	sd, parseErr := cms.Parse(tee)
	if parseErr != nil && !isDefect(parseErr) {
		return nil, parseErr
	}
	if _, err := io.Copy(io.Discard, tee); err != nil && !undecodable(err) {
		return nil, err
	}
	hash.Sum(r.SHA256[:0])
	switch {
	case errors.Is(parseErr, cms.ErrEnveloped):
		r.refuse(Enveloped, parseErr.Error())
	case errors.Is(parseErr, cms.ErrNotSignedData):
		r.refuse(NotCMS, parseErr.Error())
	case parseErr != nil:
		r.refuse(Malformed, parseErr.Error())
	case len(sd.Signers) == 0:
		r.refuse(CertsOnly, "nobody has signed")
	default:
		r.Kind, r.Attached, r.ContentType = Signed, sd.Attached, sd.ContentType
		r.BadCertificates = sd.BadCertificates
		return sd, nil
	}
	return nil, nil
}

// isDefect says whether the octets are at fault and not their reader.
func isDefect(err error) bool {
	return errors.Is(err, cms.ErrMalformed) || errors.Is(err, cms.ErrTooLarge) || errors.Is(err, cms.ErrNotSignedData)
}

// refuse completes the report of octets that hold no signature to judge.
func (r *Report) refuse(kind Kind, defect string) {
	r.Kind, r.Defect = kind, defect
	r.Verdict = pki.Verdict{Indication: pki.TotalFailed, SubIndication: pki.FormatFailure}
}
