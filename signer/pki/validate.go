package pki

import (
	"fmt"
	"slices"
	"strings"
)

// validation judges one chain that ends in an anchor (RFC 5280 §6.1).
type validation struct {
	*search
	chain []*Certificate // leaf first, anchor last
	links []linkState    // links[i]: chain[i] under chain[i+1]
	// what settled a status, and what was not settled
	usedCRLs  []*CRL
	usedOCSPs []*OCSPResponse
	unsettled []Unsettled
}

// pathChecks are the checks of a path, in the order of the report.
var pathChecks = []struct {
	name string
	run  func(*validation) (Verdict, string)
}{
	{"path-algorithms", (*validation).algorithms},
	{"validity", (*validation).validity},
	{"basic-constraints", (*validation).basicConstraints},
	{"path-length", (*validation).pathLength},
	{"key-usage", (*validation).keyUsage},
	{"extended-key-usage", (*validation).extendedKeyUsage},
	{"name-constraints", (*validation).nameConstraints},
	{"critical-extensions", (*validation).criticalExtensions},
	{"policy-constraints", (*validation).policyConstraints},
	{"names", (*validation).names},
	{"revocation", (*validation).revocation},
}

// constraintsFailed is the verdict of every broken rule without a word of its own.
func constraintsFailed() Verdict { return Verdict{TotalFailed, ChainConstraintsFailure} }

func (v *validation) judge() Path {
	path := Path{Chain: v.chain, Verdict: Passed()}
	path.Checks = append(path.Checks, Check{"path", StatusPassed, describe(v.chain[len(v.chain)-1])})
	for _, c := range pathChecks {
		verdict, detail := c.run(v)
		status := StatusPassed
		switch verdict.Indication {
		case TotalFailed:
			status = StatusFailed
		case Indeterminate:
			status = StatusIndeterminate
		}
		path.Checks = append(path.Checks, Check{c.name, status, detail})
		path.Verdict = Worst(path.Verdict, verdict)
	}
	path.CRLs, path.OCSPs, path.Unsettled = v.usedCRLs, v.usedOCSPs, v.unsettled
	return path
}

// verified: every signature of the chain holds.
func (v *validation) verified() bool {
	return !slices.ContainsFunc(v.links, func(l linkState) bool { return l != linkGood })
}

// issuers are the certificates of the chain that sign others.
func (v *validation) issuers() []*Certificate { return v.chain[1:] }

func (v *validation) isAnchor(i int) bool { return i == len(v.chain)-1 }

// algorithms: the keys of all certificates, the signatures of all but the
// anchor, whose own signature proves nothing.
func (v *validation) algorithms() (Verdict, string) {
	for i, c := range v.chain {
		if c.Key.weak != "" && !v.store.weakAllowed {
			return Verdict{TotalFailed, CryptoConstraintsFailure}, fmt.Sprintf("%s: %s", describe(c), c.Key.weak)
		}
		if !v.isAnchor(i) && v.links[i] == linkWeak {
			return Verdict{TotalFailed, CryptoConstraintsFailure}, fmt.Sprintf("%s is signed with a weak algorithm", describe(c))
		}
	}
	for i, c := range v.chain {
		if !c.Key.Supported() {
			return Verdict{Indeterminate, CryptoConstraintsFailure}, fmt.Sprintf("%s: %s is not supported", describe(c), c.Key.Name())
		}
		if !v.isAnchor(i) && v.links[i] == linkUnsupported {
			return Verdict{Indeterminate, CryptoConstraintsFailure},
				fmt.Sprintf("%s: signature algorithm %s is not supported", describe(c), c.SignatureAlgorithm.OID)
		}
	}
	return Passed(), ""
}

// validity: §6.1.3 (a)(2), and the same for the anchor.
func (v *validation) validity() (Verdict, string) {
	const layout = "2006-01-02 15:04:05 MST"
	for _, c := range v.chain {
		if v.req.At.After(c.NotAfter) {
			return Verdict{TotalFailed, Expired}, fmt.Sprintf("%s expired at %s", describe(c), c.NotAfter.Format(layout))
		}
	}
	for _, c := range v.chain {
		if v.req.At.Before(c.NotBefore) {
			return Verdict{TotalFailed, NotYetValid}, fmt.Sprintf("%s is valid only from %s", describe(c), c.NotBefore.Format(layout))
		}
	}
	return Passed(), ""
}

// basicConstraints: §6.1.4 (k). An anchor older than version 3 has no extension
// to say that it is a CA; the administrator has said it.
func (v *validation) basicConstraints() (Verdict, string) {
	for i, c := range v.issuers() {
		if !c.ext.isCA && !(v.isAnchor(i+1) && c.Version < 3) {
			return constraintsFailed(), fmt.Sprintf("%s is not a certificate of a CA", describe(c))
		}
	}
	return Passed(), ""
}

// pathLength: §6.1.4 (l), (m). Self-issued certificates do not count, the leaf never does.
func (v *validation) pathLength() (Verdict, string) {
	below := 0
	for _, c := range v.issuers() {
		if c.ext.pathLen != unlimited && below > c.ext.pathLen {
			return constraintsFailed(), fmt.Sprintf("%s allows %d CA certificates below it, there are %d", describe(c), c.ext.pathLen, below)
		}
		if !c.selfIssued() {
			below++
		}
	}
	return Passed(), ""
}

// keyUsage: §6.1.4 (n) for issuers. A signer's key must be meant for signatures
// over content, if the certificate says what it is meant for.
func (v *validation) keyUsage() (Verdict, string) {
	leaf := v.chain[0]
	if leaf.ext.hasKeyUsage && leaf.ext.keyUsage&(usageDigitalSignature|usageNonRepudiation) == 0 {
		return constraintsFailed(), fmt.Sprintf("the key of %s is not meant for signatures", describe(leaf))
	}
	for _, c := range v.issuers() {
		if c.ext.hasKeyUsage && c.ext.keyUsage&usageCertSign == 0 {
			return constraintsFailed(), fmt.Sprintf("the key of %s is not meant to sign certificates", describe(c))
		}
	}
	return Passed(), ""
}

// extendedKeyUsage: absent allows everything; present must name one of the
// wanted purposes, in the issuers as well, which narrows what they can hand on.
// anyExtendedKeyUsage names no purpose and is not enough.
func (v *validation) extendedKeyUsage() (Verdict, string) {
	for _, c := range v.chain {
		wanted := func(p objectID) bool { return slices.Contains(v.purposes, p) }
		if c.ext.purposes != nil && !slices.ContainsFunc(c.ext.purposes, wanted) {
			return constraintsFailed(), fmt.Sprintf("%s is meant for other purposes", describe(c))
		}
	}
	return Passed(), ""
}

// nameConstraints: §6.1.3 (b), (c) with the constraints of every issuer, the
// anchor's too. Self-issued certificates are exempt, unless they are the leaf.
// All constraints must hold at once, so intersecting them beforehand is not needed.
func (v *validation) nameConstraints() (Verdict, string) {
	for i, c := range v.chain {
		if i > 0 && c.selfIssued() {
			continue
		}
		names := c.subjectNames()
		for _, issuer := range v.chain[i+1:] {
			if issuer.ext.constraints == nil {
				continue
			}
			if err := issuer.ext.constraints.allows(names, &v.comparisons); err != nil {
				return constraintsFailed(), fmt.Sprintf("%s under the constraints of %s: %v", describe(c), describe(issuer), err)
			}
		}
	}
	return Passed(), ""
}

// criticalExtensions: §6.1.3 and §6.1.4 (o), for the anchor as well: what it
// calls critical and we do not understand might limit what it vouches for.
func (v *validation) criticalExtensions() (Verdict, string) {
	for _, c := range v.chain {
		if len(c.ext.unprocessed) > 0 {
			ids := make([]string, len(c.ext.unprocessed))
			for i, id := range c.ext.unprocessed {
				ids[i] = id.String()
			}
			return constraintsFailed(), fmt.Sprintf("%s has critical extensions that are not understood: %s", describe(c), strings.Join(ids, ", "))
		}
	}
	return Passed(), ""
}

// policyConstraints counts explicit_policy down as §6.1.4 (h), (i) and §6.1.5
// (a), (b) do. Policies are not processed: where a path requires them it fails.
func (v *validation) policyConstraints() (Verdict, string) {
	explicit := len(v.chain) + 1
	for i, c := range slices.Backward(v.chain) {
		if c.ext.mapsAnyPolicy {
			return constraintsFailed(), fmt.Sprintf("%s maps anyPolicy", describe(c))
		}
		if explicit > 0 && (i == 0 || !c.selfIssued()) && !v.isAnchor(i) {
			explicit--
		}
		limit := c.ext.explicitPolicy
		if limit != unlimited && limit < explicit && (i > 0 || limit == 0) {
			explicit = limit
		}
	}
	if explicit == 0 {
		return constraintsFailed(), "the path requires an explicit policy, and policies are not processed"
	}
	return Passed(), ""
}

// names: what a person reads must be what was signed. A NUL or another control
// character in a name is how two readers are made to see two names.
func (v *validation) names() (Verdict, string) {
	for _, c := range v.chain {
		if c.unclean != "" {
			return constraintsFailed(), fmt.Sprintf("%s: control characters or wrong octets in its %s", describe(c), c.unclean)
		}
	}
	return Passed(), ""
}
