package cms

import (
	"bytes"
	"sync"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

const text = "Договор № 7. Contract no. 7.\r\n"

// parties returns one signer per kind of key under one root, made once for the whole test run. It outlives every test, so that it has a
// T of its own, which can only panic.
var parties = sync.OnceValue(func() map[cmstest.KeyKind]cmstest.Party {
	t := new(testing.T)
	root, made := cmstest.NewRoot(t, "Root"), map[cmstest.KeyKind]cmstest.Party{}
	for _, kind := range []cmstest.KeyKind{cmstest.RSA2048, cmstest.P256, cmstest.P384, cmstest.P521, cmstest.Ed25519} {
		made[kind] = root.Issue(t, cmstest.NewKey(t, kind), string(kind), nil)
	}
	return made
})

func party(t testing.TB, kind cmstest.KeyKind) cmstest.Party {
	t.Helper()
	p, ok := parties()[kind]
	if !ok {
		t.Fatalf("no party with key %s", kind)
	}
	return p
}

// certificate is a party's certificate as pki reads it.
func certificate(t testing.TB, p cmstest.Party) *pki.Certificate {
	t.Helper()
	c, err := pki.ParseCertificate(p.Certificate.Raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sample is a detached signature with a P-256 key.
func sample(t testing.TB) []byte {
	t.Helper()
	return cmstest.Message{
		Content: []byte(text), Signatures: []cmstest.Signature{{Party: party(t, cmstest.P256)}},
	}.Encode(t)
}

func parse(t testing.TB, b []byte) *SignedData {
	t.Helper()
	sd, err := Parse(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return sd
}

// check1 checks the only signature of sd over content; nil: the content is not at hand.
func check1(t testing.TB, sd *SignedData, content []byte) Checked {
	t.Helper()
	if len(sd.Signers) != 1 {
		t.Fatalf("%d signers", len(sd.Signers))
	}
	return sd.Signers[0].Check(CheckRequest{
		ContentType: sd.ContentType, Certificates: sd.Certificates,
		Digest: func(h *pki.Hash) []byte {
			if content == nil {
				return nil
			}
			state := h.New()
			state.Write(content)
			return state.Sum(nil)
		},
	})
}
