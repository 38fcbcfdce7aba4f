package judge

import (
	"slices"

	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// PartlyCovered is the sub-indication of a letter in which something shown is
// not signed. EN 319 102-1 has no word for it: it judges signatures, not mail.
const PartlyCovered = "PARTLY_COVERED"

// objection is one reason against a letter, with a line for its sender.
type objection struct {
	reason  rem.Reason
	verdict pki.Verdict
	detail  string
}

// row is one line of the verdict table of architecture.md.
type row struct {
	reason  rem.Reason
	verdict rem.Verdict
	words   pki.Verdict // when no signature gives its own
}

var failed = pki.Verdict{Indication: pki.TotalFailed, SubIndication: pki.FormatFailure}

func indeterminate(sub pki.SubIndication) pki.Verdict {
	return pki.Verdict{Indication: pki.Indeterminate, SubIndication: sub}
}

// table lists the reasons, the one that wins first: failed, not covered,
// encrypted, permanently indeterminate, revocation unknown. Among the
// permanent ones the missing attributes come last, since a policy may forgive
// them and must not forgive anything else along with them.
func table() []row {
	return []row{
		{rem.ReasonFrom, rem.Failed, pki.Verdict{}},
		{rem.ReasonSignatureFailed, rem.Failed, failed},
		{rem.ReasonCertificateTime, rem.Failed, failed},
		{rem.ReasonMalformed, rem.Failed, failed},
		{rem.ReasonSignerNotSender, rem.Failed, pki.Verdict{Indication: pki.TotalFailed, SubIndication: pki.SigConstraintsFailure}},
		{rem.ReasonNotCovered, rem.Failed, pki.Verdict{Indication: pki.TotalFailed, SubIndication: PartlyCovered}},
		{rem.ReasonEncrypted, rem.Unsigned, pki.Verdict{}},
		{rem.ReasonUnsigned, rem.Unsigned, pki.Verdict{}},
		{ReasonInterrupted, rem.Indeterminate, indeterminate(pki.TryLater)},
		{rem.ReasonNoContent, rem.Indeterminate, indeterminate(pki.SignedDataNotFound)},
		{rem.ReasonNoCertificate, rem.Indeterminate, indeterminate(pki.NoSigningCertificateFound)},
		{rem.ReasonUnsupported, rem.Indeterminate, indeterminate(pki.CryptoConstraintsFailure)},
		{rem.ReasonUntrusted, rem.Indeterminate, indeterminate(pki.NoCertificateChainFound)},
		{rem.ReasonSignerUnbound, rem.Indeterminate, indeterminate(pki.SigConstraintsFailure)},
		{rem.ReasonNoSignedAttrs, rem.Indeterminate, indeterminate(pki.SigConstraintsFailure)},
		{rem.ReasonRevocationUnknown, rem.Indeterminate, indeterminate(pki.TryLater)},
	}
}

// place is a reason's place in the table, 0 the worst. A policy that accepts
// bare signatures would let a letter pass on that reason alone, so there it
// ranks below an unknown revocation, which has a policy of its own.
func place(r rem.Reason, p rem.Policy) int {
	rows := table()
	if r == rem.ReasonNoSignedAttrs && p.AcceptBare {
		return len(rows)
	}
	return slices.IndexFunc(rows, func(x row) bool { return x.reason == r })
}

// reasonOf is the row of a signature's own verdict. Words that are not in the
// table are failed, so that none can be forgotten into passing.
func reasonOf(v pki.Verdict) rem.Reason {
	switch {
	case v.Indication == pki.TotalFailed:
		switch v.SubIndication {
		case pki.Expired, pki.NotYetValid, pki.Revoked:
			return rem.ReasonCertificateTime
		}
	case v.Indication == pki.Indeterminate:
		switch v.SubIndication {
		case pki.NoCertificateChainFound:
			return rem.ReasonUntrusted
		case pki.SigConstraintsFailure:
			return rem.ReasonNoSignedAttrs
		case pki.CryptoConstraintsFailure:
			return rem.ReasonUnsupported
		case pki.NoSigningCertificateFound:
			return rem.ReasonNoCertificate
		case pki.SignedDataNotFound:
			return rem.ReasonNoContent
		case pki.TryLater:
			return rem.ReasonRevocationUnknown
		}
	}
	return rem.ReasonSignatureFailed
}

// object adds an objection in the table's own words.
func (j *judgement) object(r rem.Reason, detail string) {
	j.objections = append(j.objections, objection{reason: r, detail: oneLine(detail)})
}

// conclude turns what was found into the verdict. Nothing found at all against
// a letter without signatures would be a mistake of this package: unsigned.
func (j *judgement) conclude() rem.Finding {
	f := &j.finding
	f.Signatures = orEmpty(f.Signatures)
	f.Uncovered = orEmpty(f.Uncovered)
	if len(j.objections) == 0 && len(f.Signatures) == 0 {
		j.object(rem.ReasonUnsigned, "nothing is signed")
	}
	if len(j.objections) == 0 {
		f.Verdict, f.Indication = rem.Passed, string(pki.TotalPassed)
		return *f
	}
	worst := slices.MinFunc(j.objections, func(a, b objection) int {
		return place(a.reason, j.Policy) - place(b.reason, j.Policy)
	})
	f.Verdict, f.Reason, f.Detail = rem.Failed, worst.reason, worst.detail
	rows := table()
	if i := slices.IndexFunc(rows, func(x row) bool { return x.reason == worst.reason }); i >= 0 {
		f.Verdict = rows[i].verdict
		if worst.verdict == (pki.Verdict{}) {
			worst.verdict = rows[i].words
		}
	}
	f.Indication, f.SubIndication = string(worst.verdict.Indication), string(worst.verdict.SubIndication)
	return *f
}

// orEmpty keeps JSON arrays from being null.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
