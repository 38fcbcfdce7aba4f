package cms

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
)

// seeds are well-formed messages of every shape, and some that are not.
func seeds(f *testing.F) [][]byte {
	p, e := party(f, cmstest.P256), party(f, cmstest.Ed25519)
	unsigned := [][]byte{cmstest.Attribute(f, cmstest.OIDSigningTime, cmstest.Open(0x30, []byte{5, 0}))}
	var out [][]byte
	for _, m := range []cmstest.Message{
		{Content: []byte(text), Signatures: []cmstest.Signature{{Party: p}}},
		{Content: []byte(text), Attached: true, Signatures: []cmstest.Signature{{Party: p, Unsigned: unsigned}, {Party: e}}},
		{Content: []byte(text), Attached: true, Indefinite: true, Signatures: []cmstest.Signature{{Party: p, KeyID: []byte("id")}}},
		{Content: []byte(text), Signatures: []cmstest.Signature{{Party: p, NoAttributes: true}}, CRLs: [][]byte{cmstest.NewRoot(f, "R").CRL(f)}},
		{Certificates: [][]byte{p.Certificate.Raw, {0xa1, 0}}},
		{Attached: true, Type: cmstest.OIDSignedData, Signatures: []cmstest.Signature{{Party: p, Attributes: [][]byte{}}}},
	} {
		out = append(out, m.Encode(f))
	}
	return append(out, []byte{0x30, 0x80}, []byte("MIME-Version: 1.0"), cmstest.TLV(0x31, unsigned...))
}

// What can be parsed encodes to DER that parses to the same, and the content is the same octets.
func FuzzParse(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		first, err := Parse(bytes.NewReader(in))
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrNotSignedData) {
				t.Fatalf("unclassified error: %v", err)
			}
			return
		}
		content := contentOf(t, in, first)
		again := first.marshal(content)
		second, err := Parse(bytes.NewReader(again))
		if err != nil {
			t.Fatalf("what was parsed does not encode: %v\n%x", err, again)
		}
		if !bytes.Equal(contentOf(t, again, second), content) {
			t.Fatal("the content changed")
		}
		if second.BER && !first.BER {
			t.Fatal("DER became BER")
		}
		first.BER, first.BadCertificates, first.BadCRLs = second.BER, second.BadCertificates, second.BadCRLs
		if !reflect.DeepEqual(first, second) {
			t.Fatalf("parsed again differs:\n%+v\n%+v", first, second)
		}
	})
}

// contentOf streams the content and demands that Parse measured the same.
func contentOf(t *testing.T, in []byte, sd *SignedData) []byte {
	t.Helper()
	r, err := Content(bytes.NewReader(in))
	if err != nil || (r != nil) != sd.Attached {
		t.Fatalf("content of a parsed message: %v, %v", r, err)
	}
	if r == nil {
		return nil
	}
	b, err := io.ReadAll(r)
	if err != nil || int64(len(b)) != sd.ContentSize {
		t.Fatalf("%d octets of content, %d measured: %v", len(b), sd.ContentSize, err)
	}
	return b
}

// Limits hold for whatever is parsed; one pass sees the same as another cut into single octets; the signed attributes
// are the set of what was read from them.
func FuzzSignedData(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		oid, err := ContentTypeOf(bytes.NewReader(in))
		sd, parseErr := Parse(&slowReader{b: in})
		if parseErr != nil {
			return
		}
		if err != nil || !oid.Equal(OIDSignedData) {
			t.Fatalf("content type %v, %v", oid, err)
		}
		if len(sd.Signers) > MaxSigners || len(sd.Certificates)+sd.BadCertificates > MaxCertificates || len(sd.CRLs)+sd.BadCRLs > MaxCRLs {
			t.Fatal("a limit does not hold")
		}
		for _, si := range sd.Signers {
			if si.SignedAttributes == nil {
				continue
			}
			if got := encodeAttributes(tagSet, si.SignedAttributes); !bytes.Equal(got, si.SignedAttributesDER) {
				t.Fatalf("attributes as read are not those as signed:\n%x\n%x", got, si.SignedAttributesDER)
			}
			is, err := IsAttributes(bytes.NewReader(si.SignedAttributesDER))
			if err != nil || is != (len(si.SignedAttributes) > 0) {
				t.Fatalf("signed attributes are not recognised: %v, %v", is, err)
			}
			if a, b := si.known(); b == nil && a.messageDigest == nil && hasAttribute(si) {
				t.Fatal("a message digest was overlooked")
			}
		}
	})
}

func hasAttribute(si SignerInfo) bool {
	for _, a := range si.SignedAttributes {
		if a.OID.Equal(oidMessageDigest) && len(a.Values) == 1 && len(a.Values[0]) > 2 {
			return true
		}
	}
	return false
}

// slowReader gives one octet at a time.
type slowReader struct{ b []byte }

func (s *slowReader) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(1, len(p))], s.b)
	s.b = s.b[n:]
	return n, nil
}
