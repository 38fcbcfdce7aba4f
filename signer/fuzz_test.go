package signer

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// essence is what a passed signature vouches for: nothing of it may differ from what the signer made.
type essence struct {
	content    [32]byte
	attributes [32]byte // in DER order: the order on the wire says nothing
	signature  [32]byte // RSA only; an ECDSA signature has a second form that anyone can compute
	signer     [32]byte
}

// essences lists those of all signatures of a message that was parsed.
func essences(t testing.TB, r *Report, encoded []byte) (all []essence) {
	t.Helper()
	sd, err := cms.Parse(bytes.NewReader(encoded))
	if err != nil {
		t.Fatalf("a passed signature does not parse: %v", err)
	}
	for i, si := range sd.Signers {
		e := essence{content: r.ContentSHA256, attributes: setDigest(si.SignedAttributes), signer: r.Validations[i].Certificate.SHA256}
		if r.Validations[i].Algorithm[:3] == "RSA" {
			e.signature = sha256.Sum256(si.SignatureValue)
		}
		all = append(all, e)
	}
	return all
}

func setDigest(attributes []cms.Attribute) [32]byte {
	var members [][]byte
	for _, a := range attributes {
		members = append(members, []byte(a.OID.String()+" "+string(bytes.Join(a.Values, nil))))
	}
	slices.SortFunc(members, bytes.Compare)
	return sha256.Sum256(bytes.Join(members, []byte{0}))
}

// What passes after any change of the encoded signature or of the content is still what was signed: the same content,
// the same signed attributes, the same signer.
func FuzzVerifyMutation(f *testing.F) {
	w := theWorld()
	v := w.verifier(f)
	var originals [][]byte
	signed := map[essence]bool{}
	for _, m := range []cmstest.Message{
		{Content: []byte(text), Signatures: []cmstest.Signature{{Party: w.rsa}}},
		{Content: []byte(text), Signatures: []cmstest.Signature{{Party: w.ecdsa}}},
		{Content: []byte(text), Signatures: []cmstest.Signature{{Party: w.ed}}},
		{Content: []byte(text), Attached: true, Indefinite: true, Signatures: []cmstest.Signature{{Party: w.rsa}, {Party: w.ecdsa, KeyID: w.ecdsa.Certificate.SubjectKeyId}}},
	} {
		b := m.Encode(f)
		r := verify(f, v, mutationJob(b, []byte(text), m.Attached))
		if r.Verdict != pki.Passed() {
			f.Fatalf("original: %v", r.Verdict)
		}
		for _, e := range essences(f, r, b) {
			signed[e] = true
		}
		originals = append(originals, b)
	}
	for i, b := range originals {
		for _, at := range []int{0, 20, len(b) / 3, len(b) / 2, len(b) - 300, len(b) - 1} {
			f.Add(uint8(i), uint16(at), []byte{b[at] ^ 1}, uint8(1), text)
			f.Add(uint8(i), uint16(at), []byte{}, uint8(1), text)
			f.Add(uint8(i), uint16(at), []byte{0}, uint8(0), text)
		}
		f.Add(uint8(i), uint16(0), []byte{}, uint8(0), text+"x")
	}
	f.Fuzz(func(t *testing.T, which uint8, at uint16, put []byte, drop uint8, content string) {
		b := originals[int(which)%len(originals)]
		from := int(at) % len(b)
		mutated := slices.Replace(slices.Clone(b), from, min(len(b), from+int(drop)), put...)
		for _, attached := range []bool{false, true} {
			r := verify(t, v, mutationJob(mutated, []byte(content), attached))
			if r.Verdict != pki.Passed() {
				continue
			}
			for _, e := range essences(t, r, mutated) {
				if !signed[e] {
					t.Fatalf("passed, and not what was signed: %+v\n%x", e, mutated)
				}
			}
		}
	})
}

func mutationJob(signature, content []byte, attached bool) Job {
	if attached {
		return Job{Signature: source(signature), Attached: Enveloping}
	}
	return Job{Signature: source(signature), Content: source(content), Attached: Detached}
}

// Every single octet of a signature matters or says nothing: with each one changed in turn, what passes is unchanged.
func TestEveryOctet(t *testing.T) {
	w := theWorld()
	v := w.verifier(t)
	for name, p := range map[string]cmstest.Party{"rsa": w.rsa, "ecdsa": w.ecdsa} {
		b := cmstest.Message{Content: []byte(text), Signatures: []cmstest.Signature{{Party: p}}}.Encode(t)
		original := essences(t, verify(t, v, mutationJob(b, []byte(text), false)), b)
		passed := 0
		for i := range b {
			for _, change := range []byte{1, 0x80, 0xff} {
				mutated := slices.Clone(b)
				mutated[i] ^= change
				r := verify(t, v, mutationJob(mutated, []byte(text), false))
				if r.Verdict != pki.Passed() {
					continue
				}
				passed++
				if !slices.Equal(essences(t, r, mutated), original) {
					t.Errorf("%s: octet %d ^ %#x passes as something else", name, i, change)
				}
			}
		}
		t.Logf("%s: %d of %d changes say nothing", name, passed, 3*len(b))
		if passed > 3*60 {
			t.Errorf("%s: %d changes pass", name, passed)
		}
	}
}
