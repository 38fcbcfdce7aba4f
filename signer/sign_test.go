package signer

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// What SignDetached makes passes our own verifier, with SHA-256 whatever the
// key, the claimed time in it, and over these octets alone.
func TestSignDetached(t *testing.T) {
	w := theWorld()
	v := verifier(t, w.root.Certificate.Raw, w.crl)
	chain := func(p cmstest.Party) (list []*pki.Certificate) {
		for _, c := range []cmstest.Party{p, w.root} {
			parsed, err := pki.ParseCertificate(c.Certificate.Raw)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, parsed)
		}
		return list
	}
	at := time.Date(2026, 5, 31, 10, 0, 0, 0, time.UTC)
	for name, p := range map[string]cmstest.Party{"RSA": w.rsa, "P-256": w.ecdsa, "P-384": w.p384, "P-521": w.p521} {
		t.Run(name, func(t *testing.T) {
			s := Signing{Key: p.Key, Chain: chain(p), Time: at}
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
			der, err := SignDetached(strings.NewReader(text), s)
			if err != nil {
				t.Fatal(err)
			}
			judge := func(content string) *Report {
				source := func(b string) func() (io.ReadCloser, error) {
					return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(b)), nil }
				}
				r, err := v.Verify(t.Context(), Job{Signature: source(string(der)), Content: source(content), At: cmstest.At})
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			r := judge(text)
			if r.Verdict.Indication != pki.TotalPassed || len(r.Validations) != 1 || !bytes.Contains(der, []byte("\x17\r260531100000Z")) {
				t.Errorf("judged %+v", r)
			}
			if !strings.Contains(r.Validations[0].Algorithm, "SHA-256") {
				t.Errorf("signed with %s", r.Validations[0].Algorithm)
			}
			if r := judge(text + "x"); r.Verdict.SubIndication != pki.HashFailure {
				t.Errorf("other content: %+v", r.Verdict)
			}
		})
	}
	for name, s := range map[string]Signing{
		"Ed25519": {Key: w.ed.Key, Chain: chain(w.ed)}, "another key": {Key: w.p384.Key, Chain: chain(w.ecdsa)},
		"no chain": {Key: w.ecdsa.Key}, "no key": {Chain: chain(w.ecdsa)},
	} {
		if err := s.Check(); err == nil {
			t.Errorf("%s: signs", name)
		}
	}
}
