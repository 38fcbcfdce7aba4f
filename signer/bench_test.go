package signer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// BenchmarkVerify20K is a letter's case: 20 KB of detached content and a store that has seen the chain. Beside it stands
// the least that any verifier has to do: one public-key operation and one digest of the content.
func BenchmarkVerify20K(b *testing.B) {
	w := theWorld()
	content := bytes.Repeat([]byte("0123456789abcde\n"), 20<<10/16)
	for name, p := range map[string]cmstest.Party{"rsa": w.rsa, "ecdsa": w.ecdsa} {
		message := cmstest.Message{Content: content, Signatures: []cmstest.Signature{{Party: p}}}
		job := Job{Signature: source(message.Encode(b)), Content: source(content), Attached: Detached, At: cmstest.At}
		v := w.verifier(b)
		b.Run(name+"/verify", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if r, err := v.Verify(context.Background(), job); err != nil || r.Verdict != pki.Passed() {
					b.Fatal(err)
				}
			}
		})
		sum := sha256.Sum256(content)
		signature := cmstest.Sign(b, p.Key, crypto.SHA256, content)
		b.Run(name+"/bare", func(b *testing.B) {
			for b.Loop() {
				sha256.Sum256(content)
				if !bare(p.Key.Public(), sum[:], signature) {
					b.Fatal("bad signature")
				}
			}
		})
	}
}

func bare(key crypto.PublicKey, digest, signature []byte) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature)
	}
	return false
}
