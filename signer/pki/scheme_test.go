package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
)

// weakRSA is a key of 1024 bits, made once.
var weakRSA = sync.OnceValue(func() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	return key
})

func oid(arcs ...int) asn1.ObjectIdentifier { return arcs }

var null = []byte{5, 0}

func publicKey(t testing.TB, pub crypto.PublicKey) *PublicKey {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParsePublicKey(spki)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// oidDER encodes an OBJECT IDENTIFIER.
func oidDER(t testing.TB, o asn1.ObjectIdentifier) []byte {
	t.Helper()
	der, err := asn1.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// pssParams makes RSASSA-PSS-params; nil fields are left out.
func pssParams(t testing.TB, hash, mask asn1.ObjectIdentifier, salt, trailer []byte) []byte {
	fields := [][]byte{tlv(0xa0, tlv(0x30, oidDER(t, hash), null)), tlv(0xa1, tlv(0x30, oidDER(t, oidMGF1), tlv(0x30, oidDER(t, mask), null)))}
	if salt != nil {
		fields = append(fields, tlv(0xa2, tlv(2, salt)))
	}
	if trailer != nil {
		fields = append(fields, tlv(0xa3, tlv(2, trailer)))
	}
	return tlv(0x30, fields...)
}

func TestResolveScheme(t *testing.T) {
	rsaKey, ecKey, edKey := publicKey(t, rings[1].keys()[0].Public()), publicKey(t, rings[0].keys()[0].Public()), publicKey(t, rings[2].keys()[0].Public())
	small := publicKey(t, weakRSA().Public())
	digest := func(o asn1.ObjectIdentifier, params []byte) *AlgorithmIdentifier {
		return &AlgorithmIdentifier{o, params}
	}
	rsaWith := func(n int) asn1.ObjectIdentifier { return oid(1, 2, 840, 113549, 1, 1, n) }
	ecWith := func(n int) asn1.ObjectIdentifier { return oid(1, 2, 840, 10045, 4, 3, n) }
	for _, c := range []struct {
		name   string
		sig    AlgorithmIdentifier
		digest *AlgorithmIdentifier
		key    *PublicKey
		want   string // scheme name
		err    error
	}{
		{"RSA in a certificate", AlgorithmIdentifier{rsaWith(11), null}, nil, rsaKey, "RSA-2048 with SHA-256", nil},
		{"parameters absent", AlgorithmIdentifier{rsaWith(12), nil}, nil, rsaKey, "RSA-2048 with SHA-384", nil},
		{"parameters of another kind", AlgorithmIdentifier{rsaWith(11), []byte{0x30, 0}}, nil, rsaKey, "", ErrUnsupported},
		{"RSA in CMS", AlgorithmIdentifier{rsaWith(1), null}, digest(oidSHA512, null), rsaKey, "RSA-2048 with SHA-512", nil},
		{"RSA without a digest", AlgorithmIdentifier{rsaWith(1), null}, nil, rsaKey, "", ErrUnsupported},
		{"digest agrees", AlgorithmIdentifier{rsaWith(11), null}, digest(oidSHA256, nil), rsaKey, "RSA-2048 with SHA-256", nil},
		{"digest disagrees", AlgorithmIdentifier{rsaWith(11), null}, digest(oidSHA512, nil), rsaKey, "", ErrMismatch},
		{"digest with parameters", AlgorithmIdentifier{rsaWith(1), null}, digest(oidSHA256, []byte{0x30, 0}), rsaKey, "", ErrUnsupported},
		{"unknown digest", AlgorithmIdentifier{rsaWith(1), null}, digest(oid(1, 2, 643, 7, 1, 1, 2, 2), nil), rsaKey, "", ErrUnsupported},
		{"SHA-1", AlgorithmIdentifier{rsaWith(5), null}, nil, rsaKey, "RSA-2048 with SHA-1", ErrWeak},
		{"MD5", AlgorithmIdentifier{rsaWith(4), null}, nil, rsaKey, "RSA-2048 with MD5", ErrWeak},
		{"SHA-1 in CMS", AlgorithmIdentifier{rsaWith(1), null}, digest(oidSHA1, null), rsaKey, "RSA-2048 with SHA-1", ErrWeak},
		{"small key", AlgorithmIdentifier{rsaWith(11), null}, nil, small, "RSA-1024 with SHA-256", ErrWeak},
		{"key of another family", AlgorithmIdentifier{rsaWith(11), null}, nil, ecKey, "", ErrMismatch},
		{"ECDSA", AlgorithmIdentifier{ecWith(3), nil}, nil, ecKey, "ECDSA P-256 with SHA-384", nil},
		{"ECDSA SHA-1", AlgorithmIdentifier{oid(1, 2, 840, 10045, 4, 1), nil}, nil, ecKey, "ECDSA P-256 with SHA-1", ErrWeak},
		{"ECDSA digest disagrees", AlgorithmIdentifier{ecWith(2), nil}, digest(oidSHA384, nil), ecKey, "", ErrMismatch},
		{"Ed25519", AlgorithmIdentifier{oidEd25519, nil}, nil, edKey, "Ed25519", nil},
		{"Ed25519 in CMS", AlgorithmIdentifier{oidEd25519, nil}, digest(oidSHA512, nil), edKey, "Ed25519", nil},
		{"Ed25519 beside SHA-256", AlgorithmIdentifier{oidEd25519, nil}, digest(oidSHA256, nil), edKey, "", ErrMismatch},
		{"Ed25519 with NULL", AlgorithmIdentifier{oidEd25519, null}, nil, edKey, "", ErrUnsupported},
		{"PSS", AlgorithmIdentifier{oidPSS, pssParams(t, oidSHA256, oidSHA256, []byte{32}, nil)}, nil, rsaKey, "RSASSA-PSS RSA-2048 with SHA-256", nil},
		{"PSS trailer written out", AlgorithmIdentifier{oidPSS, pssParams(t, oidSHA256, oidSHA256, []byte{32}, []byte{1})}, nil, rsaKey, "RSASSA-PSS RSA-2048 with SHA-256", nil},
		{"PSS other trailer", AlgorithmIdentifier{oidPSS, pssParams(t, oidSHA256, oidSHA256, []byte{32}, []byte{2})}, nil, rsaKey, "", ErrUnsupported},
		{"PSS two hashes", AlgorithmIdentifier{oidPSS, pssParams(t, oidSHA256, oidSHA1, []byte{32}, nil)}, nil, rsaKey, "", ErrUnsupported},
		{"PSS no salt", AlgorithmIdentifier{oidPSS, pssParams(t, oidSHA256, oidSHA256, []byte{0}, nil)}, nil, rsaKey, "", ErrUnsupported},
		{"PSS defaults are SHA-1", AlgorithmIdentifier{oidPSS, []byte{0x30, 0}}, nil, rsaKey, "RSASSA-PSS RSA-2048 with SHA-1", ErrWeak},
		{"PSS parameters absent", AlgorithmIdentifier{oidPSS, nil}, nil, rsaKey, "", ErrUnsupported},
		{"PSS digest disagrees", AlgorithmIdentifier{oidPSS, pssParams(t, oidSHA256, oidSHA256, []byte{32}, nil)}, digest(oidSHA384, nil), rsaKey, "", ErrMismatch},
		{"unknown algorithm", AlgorithmIdentifier{oid(1, 2, 643, 7, 1, 1, 3, 2), nil}, nil, rsaKey, "", ErrUnsupported},
		{"no key", AlgorithmIdentifier{rsaWith(11), null}, nil, nil, "", ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := ResolveScheme(c.sig, c.digest, c.key)
			if !errors.Is(err, c.err) || err != nil && c.err == nil {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if got := ""; s != nil {
				if got = s.Name; got != c.want {
					t.Errorf("%q, want %q", got, c.want)
				}
			} else if c.want != "" {
				t.Error("no scheme")
			}
		})
	}
}

// Signatures made by the standard library verify, and no change of message, digest or signature does.
func TestSchemeVerify(t *testing.T) {
	message := []byte("what was signed")
	type made struct {
		alg    AlgorithmIdentifier
		digest *AlgorithmIdentifier
		key    crypto.Signer
		opts   crypto.SignerOpts
	}
	for name, m := range map[string]made{
		"RSA":     {AlgorithmIdentifier{oidRSA, null}, &AlgorithmIdentifier{oidSHA256, nil}, rings[1].keys()[0], crypto.SHA256},
		"PSS":     {AlgorithmIdentifier{oidPSS, pssParams(t, oidSHA384, oidSHA384, []byte{48}, nil)}, nil, rings[1].keys()[0], &rsa.PSSOptions{SaltLength: 48, Hash: crypto.SHA384}},
		"ECDSA":   {AlgorithmIdentifier{oid(1, 2, 840, 10045, 4, 3, 4), nil}, nil, rings[0].keys()[0], crypto.SHA512},
		"Ed25519": {AlgorithmIdentifier{oidEd25519, nil}, nil, rings[2].keys()[0], crypto.Hash(0)},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := ResolveScheme(m.alg, m.digest, publicKey(t, m.key.Public()))
			if err != nil {
				t.Fatal(err)
			}
			input := message
			if m.opts.HashFunc() != 0 {
				input = s.Hash.sum(message)
			}
			sig, err := m.key.Sign(rand.Reader, input, m.opts)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(message, sig); err != nil {
				t.Error(err)
			}
			if err := s.VerifyDigest(input, sig); m.opts.HashFunc() != 0 && err != nil || m.opts.HashFunc() == 0 && !errors.Is(err, ErrUnsupported) {
				t.Errorf("by digest: %v", err)
			}
			for what, bad := range map[string][]byte{
				"empty": {}, "longer": append(slices.Clone(sig), 0), "shorter": sig[:len(sig)-1], "zero before": append([]byte{0}, sig...),
			} {
				if err := s.Verify(message, bad); !errors.Is(err, ErrBadSignature) {
					t.Errorf("%s: %v", what, err)
				}
			}
			for i := range sig {
				bad := slices.Clone(sig)
				bad[i] ^= 0x10
				if s.Verify(message, bad) == nil {
					t.Errorf("octet %d changed: accepted", i)
				}
			}
			if err := s.Verify([]byte("what was not"), sig); !errors.Is(err, ErrBadSignature) {
				t.Errorf("other message: %v", err)
			}
		})
	}
}

// PSS with another salt length than the parameters say is another signature.
func TestPSSSaltLengthIsExact(t *testing.T) {
	key := rings[1].keys()[0]
	s, err := ResolveScheme(AlgorithmIdentifier{oidPSS, pssParams(t, oidSHA256, oidSHA256, []byte{32}, nil)}, nil, publicKey(t, key.Public()))
	if err != nil {
		t.Fatal(err)
	}
	digest := s.Hash.sum([]byte("m"))
	for salt, want := range map[int]error{32: nil, 20: ErrBadSignature} {
		sig, err := key.Sign(rand.Reader, digest, &rsa.PSSOptions{SaltLength: salt, Hash: crypto.SHA256})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.VerifyDigest(digest, sig); !errors.Is(err, want) {
			t.Errorf("salt %d: %v", salt, err)
		}
	}
}

func rsaSPKI(t testing.TB, alg []byte, n, e *big.Int) []byte {
	t.Helper()
	key, err := asn1.Marshal(struct{ N, E *big.Int }{n, e})
	if err != nil {
		t.Fatal(err)
	}
	return tlv(0x30, alg, tlv(3, []byte{0}, key))
}

func TestRSAKeyStrength(t *testing.T) {
	n := rings[1].keys()[0].Public().(*rsa.PublicKey).N
	alg := tlv(0x30, oidDER(t, oidRSA), null)
	one := big.NewInt(1)
	for _, c := range []struct {
		name      string
		n         *big.Int
		e         int64
		weak      string
		supported bool
	}{
		{"good", n, 65537, "", true},
		{"exponent 3", n, 3, "exponent 3", true},
		{"exponent 65535", n, 65535, "exponent 65535", true},
		{"exponent 65539", n, 65539, "", true},
		{"even exponent", n, 65538, "exponent 65538", true},
		{"even modulus", new(big.Int).Sub(n, one), 65537, "even modulus", true},
		{"2047 bits", new(big.Int).Rsh(n, 1), 65537, "2047 bits", true},
		{"8193 bits", new(big.Int).SetBit(n, 8192, 1), 65537, "over the limit", true},
		{"exponent of 32 bits", n, 1<<32 + 1, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			key, err := ParsePublicKey(rsaSPKI(t, alg, c.n, big.NewInt(c.e)))
			if err != nil {
				t.Fatal(err)
			}
			if key.Supported() != c.supported || (c.weak == "") != (key.weak == "") || !strings.Contains(key.weak, c.weak) {
				t.Errorf("supported %v, weak %q", key.Supported(), key.weak)
			}
			s, err := ResolveScheme(AlgorithmIdentifier{oidRSA, null}, &AlgorithmIdentifier{oidSHA256, nil}, key)
			if c.weak != "" && (!errors.Is(err, ErrWeak) || s.Verify(nil, make([]byte, 1100)) == nil) {
				t.Errorf("%v", err)
			}
		})
	}
	for name, spki := range map[string][]byte{
		"negative modulus":  rsaSPKI(t, alg, new(big.Int).Neg(n), big.NewInt(65537)),
		"zero exponent":     rsaSPKI(t, alg, n, big.NewInt(0)),
		"strange parameter": rsaSPKI(t, tlv(0x30, oidDER(t, oidRSA), []byte{2, 1, 1}), n, big.NewInt(65537)),
		"trailing octet":    append(rsaSPKI(t, alg, n, big.NewInt(65537)), 0),
	} {
		if _, err := ParsePublicKey(spki); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A key confined to PSS serves PSS only, and within its own settings.
func TestPSSKey(t *testing.T) {
	signer := rings[1].keys()[0]
	n := signer.Public().(*rsa.PublicKey).N
	params := pssParams(t, oidSHA256, oidSHA256, []byte{32}, nil)
	key, err := ParsePublicKey(rsaSPKI(t, tlv(0x30, oidDER(t, oidPSS), params), n, big.NewInt(65537)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		alg AlgorithmIdentifier
		err error
	}{
		{AlgorithmIdentifier{oidPSS, params}, nil},
		{AlgorithmIdentifier{oidPSS, pssParams(t, oidSHA256, oidSHA256, []byte{33}, nil)}, nil},
		{AlgorithmIdentifier{oidPSS, pssParams(t, oidSHA256, oidSHA256, []byte{31}, nil)}, ErrMismatch},
		{AlgorithmIdentifier{oidPSS, pssParams(t, oidSHA384, oidSHA384, []byte{48}, nil)}, ErrMismatch},
		{AlgorithmIdentifier{oid(1, 2, 840, 113549, 1, 1, 11), null}, ErrMismatch},
	} {
		if _, err := ResolveScheme(c.alg, nil, key); !errors.Is(err, c.err) {
			t.Errorf("%v: %v, want %v", c.alg.OID, err, c.err)
		}
	}
}

func TestECKeys(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		signer, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		name := curve.Params().Name
		spki, err := x509.MarshalPKIXPublicKey(signer.Public())
		if err != nil {
			t.Fatal(err)
		}
		key, err := ParsePublicKey(spki)
		if err != nil || key.Name() != "ECDSA "+name {
			t.Errorf("%s: %v, %v", name, key, err)
		}
		off := slices.Clone(spki)
		off[len(off)-1] ^= 1
		if _, err := ParsePublicKey(off); err == nil {
			t.Errorf("%s: point off the curve accepted", name)
		}
		var raw struct {
			Algorithm asn1.RawValue
			Bits      asn1.BitString
		}
		if _, err := asn1.Unmarshal(spki, &raw); err != nil {
			t.Fatal(err)
		}
		point := raw.Bits.RightAlign()
		compressed := append([]byte{2 + point[len(point)-1]&1}, point[1:1+len(point)/2]...)
		short, err := ParsePublicKey(tlv(0x30, raw.Algorithm.FullBytes, tlv(3, []byte{0}, compressed)))
		if err != nil || !short.key.(*ecdsa.PublicKey).Equal(signer.Public()) {
			t.Errorf("%s: compressed point: %v", name, err)
		}
	}
	explicit := tlv(0x30, tlv(0x30, oidDER(t, oidEC), []byte{0x30, 0}), []byte{3, 2, 0, 4})
	if key, err := ParsePublicKey(explicit); err != nil || key.Supported() {
		t.Errorf("explicit curve parameters: %v, %v", key, err)
	}
}

func TestHashByOID(t *testing.T) {
	for name, c := range map[string]struct {
		oid  asn1.ObjectIdentifier
		weak bool
	}{"SHA-256": {oidSHA256, false}, "SHA-512": {oidSHA512, false}, "SHA-1": {oidSHA1, true}, "MD5": {oidMD5, true}} {
		h, err := HashByOID(c.oid)
		if err != nil || h.Name != name || h.Weak != c.weak || h.New().Size() != h.Size {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
	if _, err := HashByOID(oid(1, 2, 3)); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
}
