package cms

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smallstep/pkcs7"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// signCases are the options that every kind of key has to sign with.
func signCases() map[string]func(*SignOptions) {
	return map[string]func(*SignOptions){
		"detached": func(o *SignOptions) { o.Detached = true },
		"attached": func(*SignOptions) {},
		"CAdES":    func(o *SignOptions) { o.CAdES, o.SigningTime = true, cmstest.At },
		"key id":   func(o *SignOptions) { o.KeyID, o.Detached = true, true },
	}
}

// eachSignature makes a signature with every kind of key and every option.
func eachSignature(t *testing.T, run func(t *testing.T, o SignOptions, p cmstest.Party, der []byte)) {
	for kind, p := range parties() {
		for name, set := range signCases() {
			o := SignOptions{Signer: p.Key, Certificate: certificate(t, p)}
			set(&o)
			variants := []SignOptions{o}
			if kind == cmstest.RSA2048 {
				o.PSS = true
				variants = append(variants, o)
			}
			for _, o := range variants {
				label := string(kind) + "/" + name
				if o.PSS {
					label += "/PSS"
				}
				t.Run(label, func(t *testing.T) {
					der, err := Sign(strings.NewReader(text), o)
					if err != nil {
						t.Fatal(err)
					}
					run(t, o, p, der)
				})
			}
		}
	}
}

func TestSignThenCheck(t *testing.T) {
	eachSignature(t, func(t *testing.T, o SignOptions, p cmstest.Party, der []byte) {
		sd := parse(t, der)
		if sd.BER || sd.Attached == o.Detached {
			t.Errorf("BER %v, attached %v", sd.BER, sd.Attached)
		}
		got := check1(t, sd, []byte(text))
		expectChecked(t, got, passed, "")
		if o.CAdES && (got.Format != "CAdES-BES" || got.ClaimedTime == nil || !got.ClaimedTime.Equal(cmstest.At)) {
			t.Errorf("format %s, time %v", got.Format, got.ClaimedTime)
		}
		if len(got.Verified) != 1 || !bytes.Equal(got.Verified[0].Raw, p.Certificate.Raw) {
			t.Error("not verified under the signer's certificate")
		}
		expectChecked(t, check1(t, sd, []byte("x")), failed(pki.HashFailure), CheckMessageDigest)
	})
}

// OpenSSL has to accept what Sign makes, but for Ed25519, which it knows in CMS only from 3.2 on.
func TestOpenSSLVerifiesSign(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal(err)
	}
	eachSignature(t, func(t *testing.T, o SignOptions, p cmstest.Party, der []byte) {
		if _, ed := p.Key.(ed25519.PrivateKey); ed {
			return
		}
		dir := t.TempDir()
		file := func(name string, b []byte) string {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		trusted := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate.Raw})
		arguments := []string{"cms", "-verify", "-binary", "-inform", "DER", "-in", file("sig", der), "-CAfile", file("ca", trusted),
			"-partial_chain", "-purpose", "any", "-out", filepath.Join(dir, "out")}
		if o.Detached {
			arguments = append(arguments, "-content", file("content", []byte(text)))
		}
		if o.CAdES {
			arguments = append(arguments, "-cades")
		}
		if said, err := exec.Command(openssl, arguments...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "out")); err != nil || string(got) != text {
			t.Errorf("content %q, %v", got, err)
		}
	})
}

// A second implementation, for RSA PKCS #1 1.5 and ECDSA, which is all it knows.
func TestPKCS7VerifiesSign(t *testing.T) {
	for _, kind := range []cmstest.KeyKind{cmstest.RSA2048, cmstest.P256, cmstest.P384} {
		p := party(t, kind)
		der, err := Sign(strings.NewReader(text), SignOptions{Signer: p.Key, Certificate: certificate(t, p)})
		if err != nil {
			t.Fatal(err)
		}
		message, err := pkcs7.Parse(der)
		if err != nil {
			t.Fatal(err)
		}
		if err := message.Verify(); err != nil || string(message.Content) != text {
			t.Errorf("%s: %v, %q", kind, err, message.Content)
		}
		made, err := pkcs7.NewSignedData([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		made.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
		if err := made.AddSigner(p.Certificate, p.Key, pkcs7.SignerInfoConfig{}); err != nil {
			t.Fatal(err)
		}
		if der, err = made.Finish(); err != nil {
			t.Fatal(err)
		}
		expectChecked(t, check1(t, parse(t, der), []byte(text)), passed, "")
	}
}

func TestSignRefuses(t *testing.T) {
	p, other := party(t, cmstest.P256), party(t, cmstest.RSA2048)
	c := certificate(t, p)
	faulty := faultySigner{p.Key}
	for name, o := range map[string]SignOptions{
		"no key":                       {Certificate: c},
		"no certificate":               {Signer: p.Key},
		"a key of another certificate": {Signer: other.Key, Certificate: c},
		"a faulty key":                 {Signer: faulty, Certificate: c},
		"a weak digest":                {Signer: p.Key, Certificate: c, Digest: oidSHA1},
		"an unknown digest":            {Signer: p.Key, Certificate: c, Digest: OIDData},
		"Ed25519 with SHA-256":         {Signer: party(t, cmstest.Ed25519).Key, Certificate: certificate(t, party(t, cmstest.Ed25519)), Digest: oidSHA256},
	} {
		if der, err := Sign(strings.NewReader(text), o); err == nil || der != nil {
			t.Errorf("%s: %x, %v", name, der, err)
		}
	}
	broken := errors.New("no more")
	if _, err := Sign(io.MultiReader(strings.NewReader(text), errReader{broken}), SignOptions{Signer: p.Key, Certificate: c, Detached: true}); !errors.Is(err, broken) {
		t.Errorf("a content that cannot be read: %v", err)
	}
}

// faultySigner signs something else than it was asked to.
type faultySigner struct{ crypto.Signer }

func (f faultySigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	digest = bytes.Clone(digest)
	digest[0] ^= 1
	return f.Signer.Sign(rand.Reader, digest, opts)
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }
