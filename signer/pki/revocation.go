package pki

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// revocation asks the CRLs and OCSP responses at hand about every certificate
// but the anchor.
//
// A certificate without a usable one is indeterminate, also one that carries
// noRevAvail (RFC 9608): that its issuer publishes nothing is no statement that
// its key is still in the right hands, and the product's rule is that unknown
// does not pass.
func (v *validation) revocation() (Verdict, string) {
	verdict := Passed()
	var details []string
	for i, c := range v.chain[:len(v.chain)-1] {
		one, detail := v.status(c, v.chain[i+1])
		details = append(details, detail)
		verdict = Worst(verdict, one)
	}
	return verdict, strings.Join(details, "; ")
}

// statement is what one list or response says of one certificate.
type statement struct {
	Revocation
	revoked bool
	since   *Revocation // not yet at the time that is judged, but at that of the statement
	from    string      // the kind of source
	source  string      // its address
	made    time.Time
	use     func() // notes that the verdict rests on it
}

func (s *statement) onHold() bool { return s.revoked && s.Reason == reasonNames[6] }

// status settles one certificate by the newest usable CRL and the newest usable
// OCSP response. The younger of the two decides, but a revocation that is no
// hold is for good, whoever says it.
func (v *validation) status(c, issuer *Certificate) (Verdict, string) {
	list, whyList := v.listed(c, issuer)
	answer, whyAnswer := v.answered(c, issuer)
	one := younger(list, answer)
	if one == nil {
		if v.exhausted { // by whoever made the certificates: another try would end alike
			return constraintsFailed(), fmt.Sprintf("%s: the search was ended at its limit before its CRL was found", describe(c))
		}
		v.unsettled = append(v.unsettled, Unsettled{Certificate: c, Issuer: issuer})
		return Verdict{Indeterminate, TryLater}, fmt.Sprintf("%s: %s", describe(c), cmp.Or(whyAnswer, whyList, "no CRL is at hand"))
	}
	one.use()
	by := one.from
	if one.source != "" {
		by += " of " + one.source
	}
	by += ", " + one.made.UTC().Format(revocationTime)
	if one.since != nil {
		return Passed(), fmt.Sprintf("%s: good then by the %s; revoked since, at %s (%s)", describe(c), by, one.since.Time.Format(revocationTime), one.since.Reason)
	}
	if !one.revoked {
		return Passed(), fmt.Sprintf("%s: good by the %s", describe(c), by)
	}
	word := "was revoked at"
	if one.onHold() {
		word = "is on hold since"
	}
	return Verdict{TotalFailed, Revoked},
		fmt.Sprintf("%s %s %s (%s) by the %s", describe(c), word, one.Time.Format(revocationTime), one.Reason, by)
}

const revocationTime = "2006-01-02 15:04:05 MST"

// younger picks the statement that decides; either may be nil.
func younger(a, b *statement) *statement {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.revoked && !a.onHold():
		return a
	case b.revoked && !b.onHold(), b.made.After(a.made):
		return b
	}
	return a
}

// listed is what the newest usable CRL says, or why none does.
func (v *validation) listed(c, issuer *Certificate) (*statement, string) {
	why := ""
	for _, crl := range v.listsOf(c) {
		if reason := crl.useless(c, issuer, v.req.statusAt(), v.published); reason != "" {
			why = "its CRL is not usable: " + reason
			continue
		}
		s := &statement{from: "CRL", source: crl.Source, made: crl.ThisUpdate}
		s.Revocation, s.revoked = crl.revoked(c.serial, v.req.At)
		if later, revoked := crl.revoked(c.serial, v.req.statusAt()); revoked && !s.revoked {
			s.since = &later
		}
		s.use = func() { v.usedCRLs = appendOnce(v.usedCRLs, crl) }
		return s, ""
	}
	return nil, why
}

// answered is what the usable OCSP responses say, or why none does.
func (v *validation) answered(c, issuer *Certificate) (*statement, string) {
	why := ""
	var best *statement
	for _, r := range v.responses(c) {
		a, reason := r.answer(c, issuer, v.req.statusAt(), v.published)
		if reason != "" {
			why = "its OCSP response is not usable: " + reason
			continue
		}
		one := &statement{from: "OCSP response", source: r.Source, made: a.thisUpdate}
		one.Revocation, one.revoked = a.revocation(v.req.At)
		if later, revoked := a.revocation(v.req.statusAt()); revoked && !one.revoked {
			one.since = &later
		}
		one.use = func() { v.usedOCSPs = appendOnce(v.usedOCSPs, r) }
		best = younger(best, one)
	}
	return best, why
}

// responses are those at hand that speak of the certificate's serial number.
func (v *validation) responses(c *Certificate) []*OCSPResponse {
	var out []*OCSPResponse
	for _, r := range v.req.OCSPs {
		about := func(a ocspAnswer) bool { return string(a.id.serial) == string(c.serial) }
		if slices.ContainsFunc(r.answers, about) && len(out) < maxResponses {
			out = append(out, r)
		}
	}
	return out
}

// published checks the signature of a list, an answer or a responder's
// certificate, and remembers it: all three are good only under keys that the
// issuers of a verified chain vouch for.
func (v *validation) published(o signed, key *PublicKey) linkState {
	state := v.signature(o, key)
	if state == linkGood && v.verified() {
		v.remember(o.sha256, key)
	}
	return state
}

func appendOnce[T comparable](list []T, x T) []T {
	if slices.Contains(list, x) {
		return list
	}
	return append(list, x)
}

// listsOf are the CRLs in the name of a certificate's issuer, newest first. The
// newest decides: a hold may have been lifted, and a signer must not choose an
// older list in which he is not yet named.
func (v *validation) listsOf(c *Certificate) []*CRL {
	all := slices.Concat(v.store.crls[c.issuerKey], v.crls[c.issuerKey])
	slices.SortStableFunc(all, func(a, b *CRL) int {
		if order := b.ThisUpdate.Compare(a.ThisUpdate); order != 0 {
			return order
		}
		if a.Number != nil && b.Number != nil {
			return b.Number.Cmp(a.Number)
		}
		return cmp.Compare(len(b.index), len(a.index))
	})
	return all
}

// useless says why a CRL does not settle the status of a certificate (RFC 5280
// §6.3.3); "" if it does. The signature is checked last, since it alone is dear.
func (c *CRL) useless(cert, issuer *Certificate, at time.Time, check checkSignature) string {
	switch {
	case c.unusable != "":
		return c.unusable
	case c.issuerKey != issuer.subjectKey:
		return "it is the list of another issuer"
	case at.Before(c.ThisUpdate):
		return "it is from a later time"
	case !c.current(at):
		return "it is out of date"
	case issuer.ext.hasKeyUsage && issuer.ext.keyUsage&usageCRLSign == 0:
		return "the key of its issuer is not meant to sign CRLs"
	}
	if reason := c.scope.excludes(cert); reason != "" {
		return reason
	}
	switch check(signed{c.SHA256, c.SignatureAlgorithm, c.RawTBS, c.Signature}, issuer.Key) {
	case linkGood:
		return ""
	case linkWeak:
		return "it is signed with a weak algorithm"
	case linkUnsupported:
		return "its signature algorithm is not supported"
	}
	return "its signature does not verify under the key of the issuer"
}
