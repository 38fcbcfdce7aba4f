package judge

import (
	"fmt"
	"io"

	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// seal is one CMS signature and what it is about.
type seal struct {
	ofLetter bool   // a or b: binds the sender; otherwise c or d
	outer    *seal  // the innermost signature of a letter around it
	place    string // "letter", "part 1.2" or the name of its file
	subject  string // the file it claims to sign; "" for a letter
	at       location

	unsigned    bool // certificates only: nothing is signed
	report      *signer.Report
	signatures  []int // indexes into Finding.Signatures
	validations []signer.Validation
}

// verify judges one signature and reports each of its signers. job.Signature
// may be armoured.
func (j *judgement) verify(s *seal, job signer.Job) error {
	s.report = &signer.Report{}
	if !j.spend() {
		return nil
	}
	job.Signature, job.At, job.StatusAt, job.Effort = armoured(job.Signature), j.Now, j.StatusAt, j.effort
	report, err := j.Verifier.Verify(j.ctx, job)
	switch {
	case err == nil:
	case j.ctx.Err() != nil || !isDefect(err):
		return err
	default:
		report = &signer.Report{Kind: signer.Malformed, Defect: err.Error()}
	}
	if report.Fault != nil {
		j.Log.Error("panic while verifying", "err", report.Fault)
	}
	if s.report = report; report.Kind == signer.CertsOnly {
		s.unsigned = true
		return nil
	}
	raw, err := readRaw(job.Signature)
	if err != nil && !isDefect(err) {
		return err
	}
	j.seals = append(j.seals, s)
	if len(report.Validations) == 0 {
		j.broken(s, report.Defect, raw)
	}
	for i, v := range report.Validations {
		if i > 0 {
			j.spend()
		}
		j.record(s, v, raw)
		raw = nil // once is enough
	}
	return nil
}

// spend counts signatures: looked at, and signers beyond the first of each. It
// says whether one more may be looked at.
func (j *judgement) spend() bool {
	j.spent++
	if j.spent > maxSignatures && !j.overspent {
		j.object(rem.ReasonMalformed, fmt.Sprintf("the letter has more than %d signatures", maxSignatures))
		j.overspent = true
	}
	return !j.overspent
}

// readRaw gives a small signature whole, of a larger one nothing.
func readRaw(open Source) ([]byte, error) {
	in, err := open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, maxRaw+1))
	if err != nil || len(b) > maxRaw {
		return nil, err
	}
	return b, nil
}

// record adds one signer to the finding, and what is to be said against him.
func (j *judgement) record(s *seal, v signer.Validation, raw []byte) {
	sig := rem.Signature{
		Format: v.Format, Algorithm: v.Algorithm, ClaimedTime: v.ClaimedTime, BestTime: v.BestTime,
		Indication: string(v.Verdict.Indication), SubIndication: string(v.Verdict.SubIndication),
		Checks: checks(v.Checks), Covers: []string{}, Raw: raw,
		Place: s.place, SignatureSHA256: s.report.SHA256, Part: s.at.signature(),
	}
	if c := v.Certificate; c != nil {
		describe(&sig, c)
		sig.Bound = j.bound(s, c)
	}
	if v.Anchor != nil {
		sig.AnchorKind = string(v.Anchor.Kind)
	}
	j.append(s, sig)
	j.use(v)
	s.validations = append(s.validations, v)
	if v.Verdict != pki.Passed() {
		j.objections = append(j.objections, j.against(s, v)...)
	}
}

// broken adds a signature of which nothing could be judged.
func (j *judgement) broken(s *seal, defect string, raw []byte) {
	j.append(s, rem.Signature{
		Format: "CMS", BestTime: j.Now, Indication: string(failed.Indication), SubIndication: string(failed.SubIndication),
		Checks: []rem.Check{{Name: "format", Status: string(pki.StatusFailed), Detail: defect}}, Covers: []string{}, Raw: raw,
		Place: s.place, SignatureSHA256: s.report.SHA256, Part: s.at.signature(),
	})
	j.objections = append(j.objections, objection{rem.ReasonSignatureFailed, failed, oneLine(s.line("cannot be read: " + defect))})
}

func (j *judgement) append(s *seal, sig rem.Signature) {
	s.signatures = append(s.signatures, len(j.finding.Signatures))
	j.finding.Signatures = append(j.finding.Signatures, sig)
}

// describe fills in what the certificate says of its holder.
func describe(sig *rem.Signature, c *pki.Certificate) {
	sig.Signer, sig.Issuer, sig.Serial = shorten(c.Subject.String(), maxDetail), shorten(c.Issuer.String(), maxDetail), c.SerialHex()
	sig.Email = shorten(emails(c), maxDetail)
	sig.Certificate, sig.CertificateSHA256 = c.Raw, c.SHA256
}

func checks(list []pki.Check) []rem.Check {
	out := make([]rem.Check, 0, len(list))
	for _, c := range list {
		out = append(out, rem.Check{Name: c.Name, Status: string(c.Status), Detail: c.Detail})
	}
	return out
}

// against lists the objections of one signer. A missing set of signed
// attributes may be forgiven by policy, so nothing may hide behind it.
func (j *judgement) against(s *seal, v signer.Validation) []objection {
	reason := reasonOf(v.Verdict)
	if reason != rem.ReasonNoSignedAttrs {
		return []objection{{reason, v.Verdict, s.complaint(reason, v)}}
	}
	var out []objection
	for _, c := range v.Checks {
		if r := reasonOfCheck(c.Name); r != "" && c.Status != pki.StatusPassed {
			out = append(out, objection{reason: r, detail: s.complaint(r, v)})
		}
	}
	if len(out) == 0 {
		out = []objection{{reason: rem.ReasonUnsupported, detail: s.complaint(rem.ReasonUnsupported, v)}}
	}
	return out
}

// reasonOfCheck is the reason that belongs to a check that did not pass, ""
// for the checks that only repeat that there are no signed attributes.
func reasonOfCheck(name string) rem.Reason {
	switch name {
	case "content-type", "message-digest", "signing-certificate", "algorithm-protection":
		return ""
	case "signed-attributes":
		return rem.ReasonNoSignedAttrs
	case "signed-content-type", "algorithm":
		return rem.ReasonUnsupported
	case "content":
		return rem.ReasonNoContent
	case "signer-certificate", "signer-identity":
		return rem.ReasonNoCertificate
	case "revocation":
		return rem.ReasonRevocationUnknown
	}
	return rem.ReasonUntrusted
}
