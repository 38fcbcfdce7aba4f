package pki

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Limits of one request.
const (
	maxDepth      = 10   // certificates in a path, leaf and anchor included
	maxExtra      = 64   // certificates, and CRLs, that come with a signature
	maxResponses  = 16   // OCSP responses looked into for one certificate
	maxOperations = 100  // public-key operations
	maxSteps      = 1000 // issuers tried; cached signatures cost nothing else
	maxJudged     = 32   // chains that reached an anchor
)

// linkState says how far one certificate's signature under a candidate issuer can be relied on.
type linkState int

const (
	linkGood        linkState = iota
	linkWeak                  // an algorithm that must not be relied on
	linkUnsupported           // cannot be checked here
	linkBad                   // not signed by that key
)

// search looks for the best path of one request.
type search struct {
	store      *TrustStore
	req        PathRequest
	purposes   []objectID
	extra      map[string][]*Certificate // by subject
	crls       map[string][]*CRL         // by issuer, those of the request
	states     map[signatureID]linkState
	operations int
	steps      int
	judged     int
	// comparisons left for name constraints
	comparisons int
	exhausted   bool // a limit ended the search early

	best     *Path
	bestRank int
	longest  []*Certificate // for the report when no anchor is reached
	rejected *Certificate   // an issuer whose key did not fit
}

// Validate finds a path from req.Leaf to an anchor and judges it by RFC 5280 §6
// at req.At. Of several paths the one with the best verdict is returned. The
// leaf must be given; everything else may be empty.
func (t *TrustStore) Validate(req PathRequest) Path {
	s := &search{
		store:  t,
		req:    req,
		extra:  make(map[string][]*Certificate),
		crls:   make(map[string][]*CRL),
		states: make(map[signatureID]linkState),

		comparisons: maxComparisons,
	}
	for _, oid := range req.ExtKeyUsages {
		s.purposes = append(s.purposes, encodeOID(oid))
	}
	if len(s.purposes) == 0 {
		s.purposes = []objectID{purposeEmailProtection}
	}
	seen := make(map[[32]byte]bool)
	for _, c := range req.Extra[:min(len(req.Extra), maxExtra)] {
		if !seen[c.SHA256] && !t.known[c.SHA256] {
			seen[c.SHA256] = true
			s.extra[c.subjectKey] = append(s.extra[c.subjectKey], c)
		}
	}
	for _, c := range req.ExtraCRLs[:min(len(req.ExtraCRLs), maxExtra)] {
		s.crls[c.issuerKey] = append(s.crls[c.issuerKey], c)
	}
	s.extend([]*Certificate{req.Leaf}, nil)
	path := s.answer()
	path.publicKeyOperations = s.operations
	return path
}

// extend grows the chain by every issuer that fits, until a path passes. links
// holds the state of each signature in the chain.
func (s *search) extend(chain []*Certificate, links []linkState) {
	last := chain[len(chain)-1]
	if anchor, ok := s.store.anchors[last.SHA256]; ok {
		s.consider(chain, links, anchor)
		return
	}
	if len(chain) > len(s.longest) && !slices.Contains(links, linkUnsupported) {
		s.longest = slices.Clone(chain)
	}
	if len(chain) == maxDepth {
		return
	}
	for _, issuer := range s.candidates(last) {
		if s.best != nil && s.best.Verdict.Indication == TotalPassed {
			return
		}
		if s.steps++; s.steps > maxSteps {
			s.exhausted = true
			return
		}
		if loops(chain, issuer) {
			continue
		}
		state := s.link(last, issuer)
		if state == linkBad {
			s.rejected = issuer
			continue
		}
		s.extend(append(slices.Clip(chain), issuer), append(slices.Clip(links), state))
	}
}

// loops refuses a certificate that is in the chain, and one that is the same
// entity again: name and key are what a path chains by (RFC 4158 §2.4.2).
func loops(chain []*Certificate, c *Certificate) bool {
	return slices.ContainsFunc(chain, func(o *Certificate) bool {
		return o.SHA256 == c.SHA256 || o.subjectKey == c.subjectKey && o.Key.sha256 == c.Key.sha256
	})
}

// candidates are the certificates whose subject is the issuer of c, likeliest first.
func (s *search) candidates(c *Certificate) []*Certificate {
	all := slices.Concat(s.store.bySubject[c.issuerKey], s.extra[c.issuerKey])
	slices.SortStableFunc(all, func(a, b *Certificate) int {
		return cmp.Compare(s.likelihood(b, c), s.likelihood(a, c))
	})
	return all
}

// likelihood is only an order of trial: key identifiers are hints, and one that
// does not match excludes nobody (RFC 4158 §3.5.12).
func (s *search) likelihood(issuer, c *Certificate) int {
	score := 0
	if _, ok := s.store.anchors[issuer.SHA256]; ok {
		score++
	}
	if !s.req.At.Before(issuer.NotBefore) && !s.req.At.After(issuer.NotAfter) {
		score += 2
	}
	if c.AuthorityKeyID != nil && issuer.SubjectKeyID != nil {
		if string(c.AuthorityKeyID) == string(issuer.SubjectKeyID) {
			score += 4
		} else {
			score -= 4
		}
	}
	return score
}

// link checks the signature of a certificate under an issuer's key.
func (s *search) link(c, issuer *Certificate) linkState {
	return s.signature(signed{c.SHA256, c.SignatureAlgorithm, c.RawTBS, c.Signature}, issuer.Key)
}

// signed is a certificate or CRL as signature checks see it.
type signed struct {
	sha256    [32]byte
	algorithm AlgorithmIdentifier
	tbs       []byte
	signature []byte
}

// signature checks one signature at most once per request, and not at all if
// the store remembers it.
func (s *search) signature(o signed, key *PublicKey) linkState {
	id := signatureID{o.sha256, key.sha256}
	if state, ok := s.states[id]; ok {
		return state
	}
	state := s.check(id, o, key)
	s.states[id] = state
	return state
}

func (s *search) check(id signatureID, o signed, key *PublicKey) linkState {
	scheme, err := ResolveScheme(o.algorithm, nil, key)
	weak := errors.Is(err, ErrWeak)
	switch {
	case errors.Is(err, ErrMismatch):
		return linkBad
	case err != nil && !weak:
		return linkUnsupported
	}
	good := linkGood
	if weak && !s.store.weakAllowed {
		good = linkWeak
	}
	if s.store.verified.has(id) {
		return good
	}
	if s.operations == maxOperations || !s.req.Effort.Spend(key) {
		s.exhausted = true
		return linkBad
	}
	s.operations++
	if err := scheme.Verify(o.tbs, o.signature); errors.Is(err, ErrWeak) {
		return linkWeak // not computed with, and no better for it
	} else if err != nil {
		return linkBad
	}
	return good
}

// remember stores the good signatures of a chain that reached an anchor. Others
// are not kept: anyone can make them, and flush the cache with them.
func (s *search) remember(o [32]byte, key *PublicKey) {
	id := signatureID{o, key.sha256}
	if s.states[id] == linkGood {
		s.store.verified.add(id)
	}
}

// consider judges a chain that reached an anchor and keeps it if it is the best so far.
func (s *search) consider(chain []*Certificate, links []linkState, anchor *Anchor) {
	if s.judged++; s.judged > maxJudged {
		s.exhausted = true
		return
	}
	v := &validation{search: s, chain: slices.Clone(chain), links: links}
	if v.verified() {
		for i := range links {
			s.remember(chain[i].SHA256, chain[i+1].Key)
		}
	}
	path := v.judge()
	path.Anchor = anchor
	rank := path.Verdict.severity()
	if slices.Contains(links, linkUnsupported) {
		rank += 100 // a chain that could be verified says more than one that could not
	}
	if s.best == nil || rank < s.bestRank {
		s.best, s.bestRank = &path, rank
	}
}

// answer is the best path, or the report that there is none.
func (s *search) answer() Path {
	if s.best != nil {
		return *s.best
	}
	last := s.longest[len(s.longest)-1]
	detail := fmt.Sprintf("no trusted issuer of %s is known", describe(last))
	switch {
	case s.exhausted:
		detail = "the search was ended at its limit before it reached a trust anchor"
	case last.selfIssued() && len(s.candidates(last)) <= 1:
		detail = fmt.Sprintf("%s is not a trust anchor", describe(last))
	case s.rejected != nil:
		detail = fmt.Sprintf("the signature of a certificate does not verify under %s", describe(s.rejected))
	}
	path := Path{
		Verdict: Verdict{Indeterminate, NoCertificateChainFound},
		Chain:   s.longest,
		Checks:  []Check{{"path", StatusIndeterminate, detail}},
	}
	for _, c := range pathChecks {
		path.Checks = append(path.Checks, Check{c.name, StatusIndeterminate, "no path to check"})
	}
	return path
}

// describe names a certificate in a report.
func describe(c *Certificate) string {
	name := c.Subject.String()
	if runes := []rune(name); len(runes) > 200 {
		name = string(runes[:200]) + "…"
	}
	if name == "" {
		name = "(no subject)"
	}
	return fmt.Sprintf("%s, serial %s", name, c.SerialHex())
}
