package cms

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
)

func TestParseFields(t *testing.T) {
	p := party(t, cmstest.RSA2048)
	unsigned := cmstest.Attribute(t, cmstest.OIDSigningTime, cmstest.TLV(0x13, []byte("anything")))
	for _, form := range []struct {
		name       string
		indefinite bool
	}{{"DER", false}, {"BER", true}} {
		t.Run(form.name, func(t *testing.T) {
			m := cmstest.Message{
				Content: []byte(text), Attached: true, Indefinite: form.indefinite,
				CRLs: [][]byte{cmstest.NewRoot(t, "Root").CRL(t), {0x30, 0}},
				Signatures: []cmstest.Signature{
					{Party: p, Unsigned: [][]byte{unsigned}},
					{Party: p, KeyID: p.Certificate.SubjectKeyId},
					{Party: p, NoAttributes: true},
				},
			}
			sd := parse(t, m.Encode(t))
			if !sd.Attached || sd.ContentSize != int64(len(text)) || !sd.ContentType.Equal(OIDData) || sd.BER != form.indefinite {
				t.Errorf("content: %+v", sd)
			}
			if len(sd.Certificates) != 3 || len(sd.CRLs) != 1 || sd.BadCRLs != 1 || len(sd.DigestAlgorithms) != 3 || len(sd.Signers) != 3 {
				t.Fatalf("sets: %+v", sd)
			}
			first, second, third := sd.Signers[0], sd.Signers[1], sd.Signers[2]
			if first.Serial.Cmp(p.Certificate.SerialNumber) != 0 || !bytes.Equal(first.Issuer.Raw, p.Certificate.RawIssuer) || first.Version != 1 {
				t.Errorf("sid: %+v", first)
			}
			if len(first.SignedAttributes) != 3 || len(first.UnsignedAttributes) != 1 || first.SignedAttributesDER[0] != 0x31 {
				t.Errorf("attributes: %+v", first)
			}
			if second.Serial != nil || !bytes.Equal(second.SubjectKeyID, p.Certificate.SubjectKeyId) || second.Version != 3 {
				t.Errorf("key identifier: %+v", second)
			}
			if third.SignedAttributes != nil || third.SignedAttributesDER != nil {
				t.Errorf("no attributes: %+v", third)
			}
			content, err := Content(bytes.NewReader(m.Encode(t)))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(content); err != nil || string(got) != text {
				t.Errorf("content %q, %v", got, err)
			}
		})
	}
}

func TestDetachedHasNoContent(t *testing.T) {
	if r, err := Content(bytes.NewReader(sample(t))); r != nil || err != nil {
		t.Errorf("%v, %v", r, err)
	}
	empty := cmstest.Message{Attached: true, Signatures: []cmstest.Signature{{Party: party(t, cmstest.P256)}}}.Encode(t)
	if sd := parse(t, empty); !sd.Attached || sd.ContentSize != 0 {
		t.Errorf("empty content: %+v", sd)
	}
}

func TestContentInfoKinds(t *testing.T) {
	info := func(oid string) []byte { return cmstest.TLV(0x30, unhex(t, oid), cmstest.TLV(0xa0, cmstest.TLV(0x30))) }
	for _, tc := range []struct {
		name string
		in   []byte
		err  error
		not  error
	}{
		{"data", info("06092a864886f70d010701"), ErrNotSignedData, ErrEnveloped},
		{"enveloped", info("06092a864886f70d010703"), ErrEnveloped, ErrMalformed},
		{"encrypted", info("06092a864886f70d010706"), ErrEnveloped, ErrMalformed},
		{"auth-enveloped", info("060b2a864886f70d0109100117"), ErrEnveloped, ErrMalformed},
		{"certificate", party(t, cmstest.P256).Certificate.Raw, ErrNotSignedData, ErrEnveloped},
		{"text", []byte(text), ErrNotSignedData, ErrEnveloped},
		{"nothing", nil, ErrNotSignedData, ErrEnveloped},
		{"signed, but empty", info("06092a864886f70d010702"), ErrMalformed, ErrNotSignedData},
	} {
		_, err := Parse(bytes.NewReader(tc.in))
		if !errors.Is(err, tc.err) || errors.Is(err, tc.not) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if _, err := Content(bytes.NewReader(tc.in)); !errors.Is(err, tc.err) {
			t.Errorf("content of %s: %v", tc.name, err)
		}
	}
	if oid, err := ContentTypeOf(bytes.NewReader(sample(t))); err != nil || !oid.Equal(OIDSignedData) {
		t.Errorf("content type: %v, %v", oid, err)
	}
	if _, err := ContentTypeOf(strings.NewReader("MIME-Version: 1.0")); !errors.Is(err, ErrNotSignedData) {
		t.Errorf("content type of text: %v", err)
	}
}

func TestEveryTruncationIsRefused(t *testing.T) {
	whole := cmstest.Message{
		Content: []byte(text), Attached: true, Indefinite: true,
		Signatures: []cmstest.Signature{{Party: party(t, cmstest.P256)}},
	}.Encode(t)
	parse(t, whole)
	for n := range whole {
		if _, err := Parse(bytes.NewReader(whole[:n])); !errors.Is(err, ErrMalformed) {
			t.Fatalf("%d of %d octets: %v", n, len(whole), err)
		}
	}
	for _, tail := range []string{"\x00", "\n", "\x00\x00", "\x30\x00"} {
		if _, err := Parse(io.MultiReader(bytes.NewReader(whole), strings.NewReader(tail))); !errors.Is(err, ErrMalformed) {
			t.Errorf("tail %q: %v", tail, err)
		}
	}
}

func TestLimits(t *testing.T) {
	p := party(t, cmstest.P256)
	signatures := func(n int) (s []cmstest.Signature) {
		for range n {
			s = append(s, cmstest.Signature{Party: p})
		}
		return s
	}
	repeat := func(b []byte, n int) (out [][]byte) {
		for range n {
			out = append(out, b)
		}
		return out
	}
	attribute := cmstest.Attribute(t, cmstest.OIDSigningTime, []byte{5, 0})
	values := cmstest.Attribute(t, cmstest.OIDSigningTime, repeat([]byte{5, 0}, MaxAttributes)...)
	tooMany := cmstest.Attribute(t, cmstest.OIDSigningTime, repeat([]byte{5, 0}, MaxAttributes+1)...)
	one := func(change func(*cmstest.Signature)) cmstest.Message {
		s := cmstest.Signature{Party: p}
		change(&s)
		return cmstest.Message{Signatures: []cmstest.Signature{s}}
	}
	for _, tc := range []struct {
		name      string
		good, bad cmstest.Message
	}{
		{"signers", cmstest.Message{Signatures: signatures(MaxSigners)}, cmstest.Message{Signatures: signatures(MaxSigners + 1)}},
		{"certificates", cmstest.Message{Signatures: signatures(1), Certificates: repeat(p.Certificate.Raw, MaxCertificates)},
			cmstest.Message{Signatures: signatures(1), Certificates: repeat(p.Certificate.Raw, MaxCertificates+1)}},
		{"bad certificates count too", cmstest.Message{Signatures: signatures(1), Certificates: repeat([]byte{0xa1, 0}, MaxCertificates)},
			cmstest.Message{Signatures: signatures(1), Certificates: repeat([]byte{0xa1, 0}, MaxCertificates+1)}},
		{"revocation lists", cmstest.Message{Signatures: signatures(1), CRLs: repeat([]byte{0x30, 0}, MaxCRLs)},
			cmstest.Message{Signatures: signatures(1), CRLs: repeat([]byte{0x30, 0}, MaxCRLs+1)}},
		{"signed attributes", one(func(s *cmstest.Signature) { s.Attributes = repeat(attribute, MaxAttributes) }),
			one(func(s *cmstest.Signature) { s.Attributes = repeat(attribute, MaxAttributes+1) })},
		{"signed values", one(func(s *cmstest.Signature) { s.Attributes = [][]byte{values} }),
			one(func(s *cmstest.Signature) { s.Attributes = [][]byte{tooMany} })},
		{"unsigned attributes", one(func(s *cmstest.Signature) { s.Unsigned = repeat(attribute, MaxAttributes) }),
			one(func(s *cmstest.Signature) { s.Unsigned = repeat(attribute, MaxAttributes+1) })},
		{"unsigned values", one(func(s *cmstest.Signature) { s.Unsigned = [][]byte{values} }),
			one(func(s *cmstest.Signature) { s.Unsigned = [][]byte{tooMany} })},
		{"signature", one(func(s *cmstest.Signature) { s.Change = func([]byte) []byte { return make([]byte, maxSignature) } }),
			one(func(s *cmstest.Signature) { s.Change = func([]byte) []byte { return make([]byte, maxSignature+1) } })},
		{"key identifier", one(func(s *cmstest.Signature) { s.KeyID = make([]byte, maxKeyID) }),
			one(func(s *cmstest.Signature) { s.KeyID = make([]byte, maxKeyID+1) })},
		{"octets", one(func(s *cmstest.Signature) {
			s.Unsigned = [][]byte{cmstest.Attribute(t, cmstest.OIDSigningTime, cmstest.TLV(4, make([]byte, MaxStructure-4096)))}
		}), one(func(s *cmstest.Signature) {
			s.Unsigned = [][]byte{cmstest.Attribute(t, cmstest.OIDSigningTime, cmstest.TLV(4, make([]byte, MaxStructure)))}
		})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := Parse(bytes.NewReader(tc.good.Encode(t))); err != nil {
				t.Errorf("at the limit: %v", err)
			}
			if _, err := Parse(bytes.NewReader(tc.bad.Encode(t))); !errors.Is(err, ErrTooLarge) {
				t.Errorf("beyond it: %v", err)
			}
		})
	}
}

// A length is a claim: what it claims must not be allocated before it has arrived.
func TestClaimedLengthsAllocateNothing(t *testing.T) {
	id := unhex(t, "06092a864886f70d010702")
	data := unhex(t, "300b06092a864886f70d010701")
	for name, hostile := range map[string][]byte{
		"certificate": slices.Concat(claim(0x30, 9<<20), id, claim(0xa0, 8<<20), claim(0x30, 7<<20), unhex(t, "0201013100"), data,
			claim(0xa0, 6<<20), claim(0x30, 5<<20), make([]byte, 9)),
		"content": slices.Concat(claim(0x30, 9<<20), id, claim(0xa0, 8<<20), claim(0x30, 7<<20), unhex(t, "0201013100"),
			claim(0x30, 6<<20), data[2:], claim(0xa0, 5<<20), claim(0x04, 4<<20), make([]byte, 9)),
	} {
		t.Run(name, func(t *testing.T) { claimsNothing(t, hostile) })
	}
}

// claim is an identifier and a length in four octets.
func claim(id byte, n int) []byte {
	return []byte{id, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

func claimsNothing(t *testing.T, hostile []byte) {
	t.Helper()
	const runs = 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		if _, err := Parse(bytes.NewReader(hostile)); !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / runs; got > 64<<10 {
		t.Errorf("%d octets allocated for a message of %d", got, len(hostile))
	}
}

func TestIsAttributes(t *testing.T) {
	member := cmstest.Attribute(t, cmstest.OIDSigningTime, []byte{5, 0})
	for _, tc := range []struct {
		name string
		in   []byte
		want bool
	}{
		{"one", cmstest.TLV(0x31, member), true},
		{"three", cmstest.TLV(0x31, cmstest.DefaultAttributes(t, OIDData, make([]byte, 32))...), true},
		{"BER", cmstest.Open(0x31, member, cmstest.Open(0x30, unhex(t, "06032a0304"), cmstest.Open(0x31, cmstest.Open(0x30, []byte{5, 0})))), true},
		{"no values", cmstest.TLV(0x31, cmstest.TLV(0x30, unhex(t, "06032a0304"), cmstest.TLV(0x31))), true},
		{"large", cmstest.TLV(0x31, cmstest.TLV(0x30, unhex(t, "06032a0304"), cmstest.TLV(0x31, cmstest.TLV(4, make([]byte, 12<<20))))), true},
		{"empty set", cmstest.TLV(0x31), false},
		{"trailing", append(cmstest.TLV(0x31, member), '\n'), false},
		{"truncated", cmstest.TLV(0x31, member)[:12], false},
		{"a sequence", cmstest.TLV(0x30, member), false},
		{"a set of others", cmstest.TLV(0x31, cmstest.TLV(0x30, []byte{5, 0})), false},
		{"text", []byte("1) the parties agree\r\n"), false},
		{"nothing", nil, false},
	} {
		got, err := IsAttributes(bytes.NewReader(tc.in))
		if err != nil || got != tc.want {
			t.Errorf("%s: %v, %v", tc.name, got, err)
		}
	}
}

func TestMarshalRoundTrip(t *testing.T) {
	p := party(t, cmstest.RSA2048)
	der := cmstest.Message{Content: []byte(text), Attached: true, Signatures: []cmstest.Signature{{Party: p}}}.Encode(t)
	if got := parse(t, der).marshal([]byte(text)); !bytes.Equal(got, der) {
		t.Errorf("an independent DER encoding differs:\n%x\n%x", got, der)
	}
	ber := cmstest.Message{Content: []byte(text), Attached: true, Indefinite: true,
		Signatures: []cmstest.Signature{{Party: p, KeyID: []byte("id")}}}.Encode(t)
	first := parse(t, ber)
	second := parse(t, first.marshal([]byte(text)))
	first.BER = false
	if !reflect.DeepEqual(first, second) {
		t.Errorf("BER and DER differ:\n%+v\n%+v", first, second)
	}
}
