package pki

import (
	"crypto/x509"
	"testing"
)

// A signer who can make the search end at its limit must not thereby keep the
// CRL that revokes him from being looked at and pass for "revocation unknown",
// which a policy may accept.
func TestRevokedWhateverTheEffort(t *testing.T) {
	for _, r := range rings {
		w := newWorld(t, r)
		w.interCRL.RevokedCertificateEntries = []x509.RevocationListEntry{entry(0x1003, 1)}
		_, req := w.build()
		enough := 4 * req.Leaf.Key.cost()
		for left := 0; left <= enough; left += req.Leaf.Key.cost() / 2 {
			store, req := w.build() // nothing remembered
			req.Effort = NewEffort(left)
			p := store.Validate(req)
			if p.Verdict == Passed() || p.Verdict == tryLater() {
				t.Errorf("%s, effort %d of %d: %v %v", r.name, left, enough, p.Verdict, notPassed(p))
			}
			if revoked := p.Verdict.SubIndication == Revoked; revoked && left < enough/4 || !revoked && left == enough {
				t.Errorf("%s, effort %d of %d: %v", r.name, left, enough, p.Verdict)
			}
		}
	}
}

// The effort is that of all requests together, and what is remembered is free.
func TestEffortIsShared(t *testing.T) {
	w := newWorld(t, rings[0])
	store, req := w.build()
	req.Effort = NewEffort(4 * req.Leaf.Key.cost())
	for range 3 {
		if p := store.Validate(req); p.Verdict != Passed() {
			t.Errorf("remembered: %v", p.Verdict)
		}
	}
	other, _ := w.build()
	if p := other.Validate(req); p.Verdict != (Verdict{Indeterminate, NoCertificateChainFound}) {
		t.Errorf("spent: %v", p.Verdict)
	}
	if req.Effort.Spend(req.Leaf.Key) || !(*Effort)(nil).Spend(req.Leaf.Key) {
		t.Error("spent is not spent, or none is a limit")
	}
}
