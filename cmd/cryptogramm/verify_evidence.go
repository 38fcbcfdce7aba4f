package main

import (
	"errors"
	"fmt"

	"cryptogramm.ru/cryptogramm/gateway/document"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// evidence judges an evidence file by itself: whether its record is the one
// that its digest was taken over. Passed says no more, and the finding says so:
// whose evidence it is, only the signature of the receipt around it can tell.
func (v *verification) evidence() (rem.Finding, error) {
	f := rem.Finding{Verdict: rem.Passed, Signatures: []rem.Signature{}, Uncovered: []string{}}
	b, err := v.all(document.MaxEvidence)
	if err != nil {
		return f, err
	}
	file, err := document.ParseEvidence(b)
	if errors.Is(err, document.ErrEvidenceDigest) {
		f.Verdict, f.Indication, f.SubIndication = rem.Failed, "TOTAL-FAILED", "HASH_FAILURE"
		f.Reason, f.Detail = rem.ReasonSignatureFailed, v.name+": the record is not the one that the digest was taken over: it was changed"
		return f, nil
	}
	if err != nil {
		return f, fmt.Errorf("%s: %w", v.name, err)
	}
	r, err := file.Evidence()
	if err != nil {
		return f, fmt.Errorf("%s: %w", v.name, err)
	}
	f.Detail = fmt.Sprintf("%s of %s, evidence %s of %s: salt and record give the digest %s; who wrote it, the signature of the receipt tells",
		r.Event, r.Time, r.ID, file.Gateway, file.Digest)
	return f, nil
}
