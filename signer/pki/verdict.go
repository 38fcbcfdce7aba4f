package pki

// Indication is the main word of a validation result (ETSI EN 319 102-1 §5.1.3).
type Indication string

// The three main indications.
const (
	TotalPassed   Indication = "TOTAL-PASSED"
	TotalFailed   Indication = "TOTAL-FAILED"
	Indeterminate Indication = "INDETERMINATE"
)

// SubIndication says why a validation did not pass; it is empty for TotalPassed.
type SubIndication string

// The sub-indications in use. EXPIRED and NOT_YET_VALID stand under TOTAL-FAILED:
// without proof of an earlier existence the product treats them as final, a stated
// deviation from EN 319 102-1, which leaves them indeterminate.
const (
	HashFailure               SubIndication = "HASH_FAILURE"
	SigCryptoFailure          SubIndication = "SIG_CRYPTO_FAILURE"
	FormatFailure             SubIndication = "FORMAT_FAILURE"
	CryptoConstraintsFailure  SubIndication = "CRYPTO_CONSTRAINTS_FAILURE"
	ChainConstraintsFailure   SubIndication = "CHAIN_CONSTRAINTS_FAILURE"
	Expired                   SubIndication = "EXPIRED"
	NotYetValid               SubIndication = "NOT_YET_VALID"
	Revoked                   SubIndication = "REVOKED"
	SigConstraintsFailure     SubIndication = "SIG_CONSTRAINTS_FAILURE"
	NoCertificateChainFound   SubIndication = "NO_CERTIFICATE_CHAIN_FOUND"
	NoSigningCertificateFound SubIndication = "NO_SIGNING_CERTIFICATE_FOUND"
	SignedDataNotFound        SubIndication = "SIGNED_DATA_NOT_FOUND"
	TryLater                  SubIndication = "TRY_LATER"
	noSubIndication           SubIndication = ""
)

// Verdict is the outcome of a validation. The zero Verdict is not an outcome.
type Verdict struct {
	Indication    Indication
	SubIndication SubIndication
}

// Passed is the verdict of a validation without objection.
func Passed() Verdict { return Verdict{TotalPassed, noSubIndication} }

// Worst returns the verdict that must be shown when both hold: failed outranks
// indeterminate, which outranks passed, and TRY_LATER is the mildest
// indeterminate. Between equals the first stands. A zero Verdict gives way to
// any other, so that it can start a fold.
func Worst(a, b Verdict) Verdict {
	if b.severity() > a.severity() {
		return b
	}
	return a
}

// severity orders verdicts. A word that is not known ranks as failed, so that
// a mistake in a caller can never raise a verdict.
func (v Verdict) severity() int {
	switch {
	case v == Verdict{}:
		return 0
	case v.Indication == TotalPassed:
		return 1
	case v.Indication == Indeterminate && v.SubIndication == TryLater:
		return 2
	case v.Indication == Indeterminate:
		return 3
	}
	return 4
}

// Status is the result of one check.
type Status string

// The three results of a check.
const (
	StatusPassed        Status = "passed"
	StatusFailed        Status = "failed"
	StatusIndeterminate Status = "indeterminate"
)

// Check is one named step of a validation. Name is kebab-case and stable, since
// reports and tests refer to it; Detail is English prose for a person.
type Check struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Detail string `json:"detail,omitempty"`
}
