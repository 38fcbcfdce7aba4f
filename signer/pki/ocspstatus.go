package pki

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Windows of an answer.
const (
	maxSkew = 5 * time.Minute // how far a responder's clock may be ahead of ours
	// withoutNext is how long an answer without nextUpdate counts: it says that
	// newer ones are to be had at any time (RFC 6960 §4.2.2.1).
	withoutNext = time.Hour
)

// Expires is when the response no longer speaks for the present: the first
// moment at which one of its answers does not. Zero if it has no answers.
func (r *OCSPResponse) Expires() time.Time {
	var first time.Time
	for _, a := range r.answers {
		if end := a.end(); first.IsZero() || end.Before(first) {
			first = end
		}
	}
	return first
}

// Keys are the OCSPRequest.Key of the requests that the response may answer.
func (r *OCSPResponse) Keys() []string {
	var out []string
	for _, a := range r.answers {
		out = append(out, a.id.key())
	}
	return out
}

// ThisUpdate is the time of the youngest answer.
func (r *OCSPResponse) ThisUpdate() time.Time {
	var last time.Time
	for _, a := range r.answers {
		if a.thisUpdate.After(last) {
			last = a.thisUpdate
		}
	}
	return last
}

func (a *ocspAnswer) end() time.Time {
	if a.nextUpdate.IsZero() {
		return a.thisUpdate.Add(withoutNext)
	}
	return a.nextUpdate
}

// ErrUnsettled: a list or an answer does not settle the status of a certificate.
var ErrUnsettled = errors.New("does not settle the certificate's status")

// Settles tells whether the response, alone, says good or revoked of c, issued
// by issuer, as of a time: nil, or an ErrUnsettled that says why not.
func (r *OCSPResponse) Settles(c, issuer *Certificate, at time.Time) error {
	_, reason := r.answer(c, issuer, at, alone)
	return unsettled(reason)
}

// Settles tells whether the list, alone, says something of c as OCSPResponse.Settles does.
func (c *CRL) Settles(cert, issuer *Certificate, at time.Time) error {
	return unsettled(c.useless(cert, issuer, at, alone))
}

func unsettled(reason string) error {
	if reason == "" {
		return nil
	}
	return fmt.Errorf("%s: %w", reason, ErrUnsettled)
}

// alone checks one signature outside of any search.
func alone(o signed, key *PublicKey) linkState {
	scheme, err := ResolveScheme(o.algorithm, nil, key)
	switch {
	case errors.Is(err, ErrWeak):
		return linkWeak
	case errors.Is(err, ErrMismatch):
		return linkBad
	case err != nil:
		return linkUnsupported
	case scheme.Verify(o.tbs, o.signature) != nil:
		return linkBad
	}
	return linkGood
}

// checkSignature is search.signature, or alone.
type checkSignature func(signed, *PublicKey) linkState

// answer finds what the response says of c at a time, or why it says nothing.
// Signatures are checked last, since they alone are dear.
func (r *OCSPResponse) answer(c, issuer *Certificate, at time.Time, check checkSignature) (*ocspAnswer, string) {
	switch {
	case r.unusable != "":
		return nil, r.unusable
	case r.ProducedAt.After(at.Add(maxSkew)):
		return nil, "it is from a later time"
	}
	a, reason := r.about(c, issuer, at)
	if a == nil {
		return nil, reason
	}
	if reason := r.authorised(issuer, at, check); reason != "" {
		return nil, reason
	}
	if a.status == statusUnknown {
		return nil, "the responder does not know the certificate"
	}
	return a, ""
}

// about is the newest answer about c that speaks for the time.
func (r *OCSPResponse) about(c, issuer *Certificate, at time.Time) (*ocspAnswer, string) {
	var best *ocspAnswer
	reason := "it is about other certificates"
	known := map[string]certID{}
	for i := range r.answers {
		a := &r.answers[i]
		switch {
		case !a.id.names(c, issuer, known):
		case a.unusable != "":
			reason = a.unusable
		case a.thisUpdate.After(at.Add(maxSkew)):
			reason = "it is from a later time"
		case at.After(a.end()), a.end().Before(a.thisUpdate):
			reason = "it is out of date"
		case best == nil, a.thisUpdate.After(best.thisUpdate), a.thisUpdate.Equal(best.thisUpdate) && a.status == statusRevoked:
			best = a
		}
	}
	return best, reason
}

// authorised says why whoever signed the response may not speak for the issuer
// (RFC 6960 §4.2.2.2); "" if he may: the issuer itself, or a responder to which
// the issuer has issued a certificate for it, under the key that signed c.
func (r *OCSPResponse) authorised(issuer *Certificate, at time.Time, check checkSignature) string {
	reason := "its signer is not the issuer nor authorised by it"
	response := signed{r.SHA256, r.SignatureAlgorithm, r.tbs, r.signature}
	if r.responder.is(issuer) {
		if check(response, issuer.Key) == linkGood {
			return ""
		}
		reason = "its signature does not verify under the key of the issuer"
	}
	for _, d := range r.certificates {
		if !r.responder.is(d) || d.SHA256 == issuer.SHA256 {
			continue
		}
		if objection := d.mayAnswerFor(issuer, at); objection != "" {
			reason = objection
			continue
		}
		if check(signed{d.SHA256, d.SignatureAlgorithm, d.RawTBS, d.Signature}, issuer.Key) != linkGood {
			reason = "the certificate of its responder was not issued by the issuer"
			continue
		}
		if check(response, d.Key) == linkGood {
			return ""
		}
		reason = "its signature does not verify under the key of its responder"
	}
	return reason
}

func (id responderID) is(c *Certificate) bool {
	if id.byName {
		return id.name == c.subjectKey
	}
	sum := sha1.Sum(c.Key.bits()) // RFC 6960 §4.2.1 leaves no other hash
	return bytes.Equal(id.keyHash, sum[:])
}

// mayAnswerFor says what a responder's certificate lacks; its signature aside.
// Without nocheck its own status would have to be known, and a list that could
// tell it would settle the question itself.
func (c *Certificate) mayAnswerFor(issuer *Certificate, at time.Time) string {
	switch {
	case c.issuerKey != issuer.subjectKey:
		return "the certificate of its responder was not issued by the issuer"
	case !slices.Contains(c.ext.purposes, purposeOCSPSigning):
		return "the certificate of its responder is not meant for OCSP"
	case c.ext.hasKeyUsage && c.ext.keyUsage&(usageDigitalSignature|usageNonRepudiation) == 0:
		return "the key of its responder is not meant for signatures"
	case !c.ext.noCheck:
		return "the certificate of its responder could be revoked itself"
	case at.Before(c.NotBefore) || at.After(c.NotAfter):
		return "the certificate of its responder is not valid at the time"
	case len(c.ext.unprocessed) > 0:
		return "the certificate of its responder has critical extensions that are not understood"
	case c.Key.weak != "" || !c.Key.Supported():
		return "the key of its responder cannot be relied on"
	}
	return ""
}

// revocation is what the answer says, with the time it names. Revoked with a
// reason and time in the future is not yet revoked.
func (a *ocspAnswer) revocation(at time.Time) (Revocation, bool) {
	if a.status != statusRevoked || a.revokedAt.After(at) {
		return Revocation{}, false
	}
	return Revocation{Time: a.revokedAt, Reason: reasonName(a.reason)}, true
}
