package judge

import (
	"fmt"
	"strings"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// maxDetail is how long an explanation gets, in octets.
const maxDetail = 1000

// complaint is the line for one objection to one signer.
func (s *seal) complaint(reason rem.Reason, v signer.Validation) string {
	return oneLine(s.line(s.trouble(reason, v)))
}

// line puts the document and the signature before what is wrong.
func (s *seal) line(trouble string) string {
	switch {
	case s.ofLetter && s.place == "letter":
		return "the letter: its signature " + trouble
	case s.ofLetter:
		return "the letter: the signature of " + s.place + " " + trouble
	case s.subject == "":
		return s.place + ": the signature " + trouble
	}
	return fmt.Sprintf("%s: the signature %s %s", s.subject, s.place, trouble)
}

// trouble says what is wrong, in words that go on from "the signature".
func (s *seal) trouble(reason rem.Reason, v signer.Validation) string {
	who := ""
	if v.Certificate != nil {
		who = " (" + v.Certificate.Subject.String() + ")"
	}
	why := reasonText(v.Checks, reason)
	switch reason {
	case rem.ReasonCertificateTime:
		return map[pki.SubIndication]string{
			pki.Expired:     "was made with a certificate that has expired",
			pki.NotYetValid: "was made with a certificate that is not yet valid",
			pki.Revoked:     "was made with a certificate that is revoked",
		}[v.Verdict.SubIndication] + who + why
	case rem.ReasonUntrusted:
		return "has no chain to a trusted authority" + who + why
	case rem.ReasonNoSignedAttrs:
		return "has no signed attributes"
	case rem.ReasonUnsupported:
		return "uses something this gateway does not support" + why
	case rem.ReasonNoCertificate:
		return "does not say for certain whose it is: the signer's certificate is absent" + why
	case rem.ReasonNoContent:
		return "has no file that it belongs to"
	case rem.ReasonRevocationUnknown:
		return "cannot be judged now: whether its certificate is revoked is not known" + who + why
	}
	return s.failure(v) + why
}

// failure words a TOTAL-FAILED verdict.
func (s *seal) failure(v signer.Validation) string {
	object := "file"
	if s.ofLetter {
		object = "letter"
	}
	switch v.Verdict.SubIndication {
	case pki.HashFailure:
		return "does not match the " + object + ": it was changed after signing"
	case pki.SigCryptoFailure:
		return "is wrong: it was not made with the key of its certificate, or was changed"
	case pki.CryptoConstraintsFailure:
		return "uses an algorithm or a key that is too weak"
	case pki.ChainConstraintsFailure:
		return "was made with a certificate that its authorities do not allow for this"
	case pki.SigConstraintsFailure:
		return "was made for another certificate"
	}
	return "is malformed"
}

// reasonText is the detail of the first check that stands for the verdict.
func reasonText(list []pki.Check, reason rem.Reason) string {
	status := pki.StatusFailed
	for _, r := range table() {
		if r.reason == reason && r.verdict == rem.Indeterminate {
			status = pki.StatusIndeterminate
		}
	}
	for _, c := range list {
		if c.Status != status || c.Detail == "" {
			continue
		}
		if status == pki.StatusIndeterminate && reasonOfCheck(c.Name) != reason {
			continue
		}
		return " [" + c.Name + ": " + c.Detail + "]"
	}
	return ""
}

// oneLine makes outside text fit a line of a report.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(message.SafeDisplay(s)), " ")
	if len(s) > maxDetail {
		s = strings.ToValidUTF8(s[:maxDetail], "") + "…"
	}
	return s
}
