package signer

import (
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

const text = "Договор № 7. Contract no. 7.\r\n"

// world is a trusted root with signers, and a stranger's root with one.
type world struct {
	root, strange    cmstest.Party
	rsa, ecdsa       cmstest.Party
	p384, p521, ed   cmstest.Party
	mallory, expired cmstest.Party
	revoked          cmstest.Party
	crl, strangeCRL  []byte
}

// theWorld is made once for a test run. It outlives every test, so that it has a
// T of its own, which can only panic.
var theWorld = sync.OnceValue(func() world {
	t := new(testing.T)
	w := world{root: cmstest.NewRoot(t, "Root"), strange: cmstest.NewRoot(t, "Strange Root")}
	w.rsa = w.root.Issue(t, cmstest.NewKey(t, cmstest.RSA2048), "alice", nil)
	w.ecdsa = w.root.Issue(t, cmstest.NewKey(t, cmstest.P256), "alice", nil)
	w.p384 = w.root.Issue(t, cmstest.NewKey(t, cmstest.P384), "bob", nil)
	w.p521 = w.root.Issue(t, cmstest.NewKey(t, cmstest.P521), "dave", nil)
	w.ed = w.root.Issue(t, cmstest.NewKey(t, cmstest.Ed25519), "carol", nil)
	w.mallory = w.strange.Issue(t, cmstest.NewKey(t, cmstest.P256), "mallory", nil)
	w.expired = w.root.Issue(t, cmstest.NewKey(t, cmstest.P256), "eve", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = cmstest.NotBefore, cmstest.At.AddDate(0, -1, 0)
	})
	w.revoked = w.root.Issue(t, cmstest.NewKey(t, cmstest.P256), "rick", nil)
	w.crl = w.root.CRL(t, w.revoked.Certificate.SerialNumber)
	w.strangeCRL = w.strange.CRL(t)
	return w
})

// verifier trusts the DER certificate of one root and knows its DER revocation list.
func verifier(t testing.TB, root, crl []byte) *Verifier {
	t.Helper()
	certificate, err := pki.ParseCertificate(root)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pki.ParseCRL(crl)
	if err != nil {
		t.Fatal(err)
	}
	anchor := pki.Anchor{Certificate: certificate, Kind: pki.Unqualified}
	return &Verifier{Trust: pki.NewTrustStore([]pki.Anchor{anchor}, nil, []*pki.CRL{list})}
}

func (w world) verifier(t testing.TB) *Verifier { return verifier(t, w.root.Certificate.Raw, w.crl) }

// source opens octets; nil octets are no source.
func source(b []byte) cms.Source {
	if b == nil {
		return nil
	}
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}

// verify judges octets at the usual time and demands what holds of every report.
func verify(t testing.TB, v *Verifier, job Job) *Report {
	t.Helper()
	if job.At.IsZero() {
		job.At = cmstest.At
	}
	report, err := v.Verify(context.Background(), job)
	if err != nil {
		t.Fatal(err)
	}
	if report.Fault != nil {
		t.Fatal(report.Fault)
	}
	wellFormed(t, report)
	return report
}

// wellFormed demands the invariants of a report.
func wellFormed(t testing.TB, r *Report) {
	t.Helper()
	if (r.Kind == Signed) != (len(r.Validations) > 0) || (r.Kind != Signed) != (r.Defect != "") {
		t.Fatalf("kind %s with %d validations, defect %q", r.Kind, len(r.Validations), r.Defect)
	}
	worst := pki.Verdict{}
	for _, v := range r.Validations {
		worst = pki.Worst(worst, v.Verdict)
		if !slices.Equal(names(v.Checks), checkNames()) {
			t.Errorf("checks %v", names(v.Checks))
		}
		if passed := v.Verdict == pki.Passed(); passed != (len(objections(v)) == 0) || passed && (v.Certificate == nil || v.Anchor == nil) {
			t.Errorf("verdict %v with objections %v, certificate %v", v.Verdict, objections(v), v.Certificate)
		}
		if v.Certificate != nil && v.Claimed != nil {
			t.Error("both attributed and merely claimed")
		}
	}
	if r.Kind == Signed && worst != r.Verdict || r.Kind != Signed && r.Verdict.Indication != pki.TotalFailed {
		t.Errorf("verdict %v of a report of kind %s, worst %v", r.Verdict, r.Kind, worst)
	}
}

// checkNames are all checks of a validation in their order.
func checkNames() []string {
	return slices.Concat([]string{CheckContent, CheckContentConflict, CheckContentIsAttributes, CheckSignedContentType,
		cms.CheckSignedAttributes, cms.CheckContentType, cms.CheckMessageDigest, cms.CheckSignerCertificate,
		cms.CheckAlgorithm, cms.CheckSignature, cms.CheckSigningCertificate, cms.CheckAlgorithmProtection,
		CheckSignerIdentity}, pathChecks())
}

func names(checks []pki.Check) (names []string) {
	for _, c := range checks {
		names = append(names, c.Name)
	}
	return names
}

// objections are the checks that did not pass because of a finding of their own, not because they were not made.
func objections(v Validation) (names []string) {
	for _, c := range v.Checks {
		if c.Status != pki.StatusPassed && !strings.HasPrefix(c.Detail, "not checked") && c.Detail != "no path to check" {
			names = append(names, c.Name)
		}
	}
	return names
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
