package signer

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

func TestVerifyReport(t *testing.T) {
	w := theWorld()
	for name, p := range map[string]cmstest.Party{"RSA-2048 with SHA-256": w.rsa, "ECDSA P-256 with SHA-256": w.ecdsa, "Ed25519": w.ed} {
		for _, attached := range []bool{false, true} {
			signature := cmstest.Message{Content: []byte(text), Attached: attached, Signatures: []cmstest.Signature{{Party: p}}}.Encode(t)
			job := Job{Signature: source(signature), Content: source([]byte(text)), Attached: Detached}
			if attached {
				job.Content, job.Attached = nil, Enveloping
			}
			r := verify(t, w.verifier(t), job)
			if r.Verdict != pki.Passed() || r.Attached != attached || r.SHA256 != sha256.Sum256(signature) {
				t.Fatalf("%s: %+v", name, r)
			}
			if r.ContentSHA256 != sha256.Sum256([]byte(text)) || r.ContentSize != int64(len(text)) || !r.ContentType.Equal(cms.OIDData) {
				t.Errorf("%s: content %x of %d", name, r.ContentSHA256, r.ContentSize)
			}
			v := r.Validations[0]
			if v.Algorithm != name || v.Certificate.SHA256 != sha256.Sum256(p.Certificate.Raw) || v.Claimed != nil ||
				v.ClaimedTime == nil || !v.BestTime.Equal(cmstest.At) || len(v.Chain) != 2 || len(v.CRLs) != 1 || v.Format != "CMS" {
				t.Errorf("%s: %+v", name, v)
			}
		}
	}
}

func TestVerifyDefaults(t *testing.T) {
	w := theWorld()
	signature := cmstest.Message{Content: []byte(text), Attached: true, Signatures: []cmstest.Signature{{Party: w.rsa}}}.Encode(t)
	r := verify(t, new(Verifier), Job{Signature: source(signature)})
	if (r.Verdict != pki.Verdict{Indication: pki.Indeterminate, SubIndication: pki.NoCertificateChainFound}) {
		t.Errorf("a verifier that trusts nobody: %v", r.Verdict)
	}
	other := cmstest.Message{Content: []byte(text), Attached: true, Type: cmstest.OIDSigningTime, Signatures: []cmstest.Signature{{Party: w.rsa}}}.Encode(t)
	v := w.verifier(t)
	if r := verify(t, v, Job{Signature: source(other)}); r.Verdict.SubIndication != pki.SigConstraintsFailure {
		t.Errorf("an unknown content type: %v", r.Verdict)
	}
	v.ContentTypes = append(v.ContentTypes, cmstest.OIDSigningTime)
	if r := verify(t, v, Job{Signature: source(other)}); r.Verdict != pki.Passed() {
		t.Errorf("an accepted content type: %v", r.Verdict)
	}
}

// An error is the source's own; whatever the octets are is a report.
func TestVerifyErrors(t *testing.T) {
	w, broken := theWorld(), errors.New("disk on fire")
	good := cmstest.Message{Content: []byte(text), Signatures: []cmstest.Signature{{Party: w.rsa}}}.Encode(t)
	closed := func() (io.ReadCloser, error) { return nil, broken }
	breaking := func(b []byte, err error) cms.Source {
		return func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader(string(b)), iotest.ErrReader(err))), nil
		}
	}
	for name, job := range map[string]Job{
		"signature not opened":          {Signature: closed, Content: source([]byte(text))},
		"content not opened":            {Signature: source(good), Content: closed},
		"signature not read":            {Signature: breaking(good[:100], broken), Content: source([]byte(text))},
		"signature not read at its end": {Signature: breaking(good, broken), Content: source([]byte(text))},
		"content not read":              {Signature: source(good), Content: breaking([]byte(text), broken)},
		"no signature and not read":     {Signature: breaking([]byte("text"), broken)},
	} {
		if r, err := w.verifier(t).Verify(context.Background(), job); !errors.Is(err, broken) || r != nil {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	job := Job{Signature: breaking(good[:100], base64.CorruptInputError(7)), Content: source([]byte(text))}
	if r := verify(t, w.verifier(t), job); r.Kind != Malformed {
		t.Errorf("a signature that is no base64: %s", r.Kind)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := w.verifier(t).Verify(ctx, Job{Signature: source(good), Content: source([]byte(text))}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestPanicIsAFailedVerdict(t *testing.T) {
	w := theWorld()
	good := cmstest.Message{Content: []byte(text), Signatures: []cmstest.Signature{{Party: w.rsa}}}.Encode(t)
	panics := func() (io.ReadCloser, error) { panic("at the disco") }
	for name, job := range map[string]Job{
		"signature": {Signature: panics, At: cmstest.At},
		"content":   {Signature: source(good), Content: panics, At: cmstest.At},
	} {
		r, err := w.verifier(t).Verify(context.Background(), job)
		if err != nil {
			t.Fatal(err)
		}
		if r.Fault == nil || !strings.Contains(r.Fault.Error(), "at the disco") || strings.Contains(r.Defect, "disco") {
			t.Errorf("%s: fault %v, defect %q", name, r.Fault, r.Defect)
		}
		wellFormed(t, r)
	}
}

// Every signature must pass; the order does not matter.
func TestWorstSignatureWins(t *testing.T) {
	w := theWorld()
	good, bad := cmstest.Signature{Party: w.rsa}, cmstest.Signature{Party: w.ecdsa, Content: []byte("x")}
	unsure := cmstest.Signature{Party: w.mallory}
	for name, signatures := range map[string][]cmstest.Signature{
		"bad last": {good, unsure, bad}, "bad first": {bad, good, unsure}, "bad between": {unsure, bad, good},
	} {
		b := cmstest.Message{Content: []byte(text), Signatures: signatures}.Encode(t)
		r := verify(t, w.verifier(t), Job{Signature: source(b), Content: source([]byte(text)), Attached: Detached})
		if (r.Verdict != pki.Verdict{Indication: pki.TotalFailed, SubIndication: pki.HashFailure}) || len(r.Validations) != 3 {
			t.Errorf("%s: %v of %d", name, r.Verdict, len(r.Validations))
		}
	}
}

func TestPathChecksAreKnown(t *testing.T) {
	w := theWorld()
	leaf, err := pki.ParseCertificate(w.rsa.Certificate.Raw)
	if err != nil {
		t.Fatal(err)
	}
	path := w.verifier(t).Trust.Validate(pki.PathRequest{Leaf: leaf, At: cmstest.At})
	if got := strings.Join(names(path.Checks), " "); got != strings.Join(pathChecks(), " ") {
		t.Errorf("pki reports %s", got)
	}
}
