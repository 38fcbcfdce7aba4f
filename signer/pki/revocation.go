package pki

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// revocation asks the CRLs at hand about every certificate but the anchor.
//
// A certificate without a usable CRL is indeterminate, also one that carries
// noRevAvail (RFC 9608): that its issuer publishes nothing is no statement that
// its key is still in the right hands, and the product's rule is that unknown
// does not pass.
func (v *validation) revocation() (Verdict, string) {
	verdict := Passed()
	var details []string
	for i, c := range v.chain[:len(v.chain)-1] {
		one, detail := v.status(c, v.chain[i+1])
		if detail != "" {
			details = append(details, detail)
		}
		verdict = Worst(verdict, one)
	}
	return verdict, strings.Join(details, "; ")
}

// status looks up one certificate in the newest usable CRL of its issuer.
func (v *validation) status(c, issuer *Certificate) (Verdict, string) {
	why := "no CRL is at hand"
	for _, crl := range v.listsOf(c) {
		if reason := v.unusable(crl, c, issuer); reason != "" {
			why = "its CRL is not usable: " + reason
			continue
		}
		if !slices.Contains(v.used, crl) {
			v.used = append(v.used, crl)
		}
		if r, revoked := crl.revoked(c.serial, v.req.At); revoked {
			word := "was revoked at"
			if r.Reason == reasonNames[6] {
				word = "is on hold since"
			}
			return Verdict{TotalFailed, Revoked},
				fmt.Sprintf("%s %s %s (%s)", describe(c), word, r.Time.Format("2006-01-02 15:04:05 MST"), r.Reason)
		}
		return Passed(), ""
	}
	if v.exhausted { // by whoever made the certificates: another try would end alike
		return constraintsFailed(), fmt.Sprintf("%s: the search was ended at its limit before its CRL was found", describe(c))
	}
	return Verdict{Indeterminate, TryLater}, fmt.Sprintf("%s: %s", describe(c), why)
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

// unusable says why a CRL does not settle the status of c (RFC 5280 §6.3.3); ""
// if it does. The signature is checked last, since it alone is dear.
func (v *validation) unusable(crl *CRL, c, issuer *Certificate) string {
	switch {
	case crl.unusable != "":
		return crl.unusable
	case v.req.At.Before(crl.ThisUpdate):
		return "it is from a later time"
	case !crl.current(v.req.At):
		return "it is out of date"
	case issuer.ext.hasKeyUsage && issuer.ext.keyUsage&usageCRLSign == 0:
		return "the key of its issuer is not meant to sign CRLs"
	}
	if reason := crl.scope.excludes(c); reason != "" {
		return reason
	}
	switch v.signature(signed{crl.SHA256, crl.SignatureAlgorithm, crl.RawTBS, crl.Signature}, issuer.Key) {
	case linkGood:
		if v.verified() {
			v.remember(crl.SHA256, issuer.Key)
		}
		return ""
	case linkWeak:
		return "it is signed with a weak algorithm"
	case linkUnsupported:
		return "its signature algorithm is not supported"
	}
	return "its signature does not verify under the key of the issuer"
}
