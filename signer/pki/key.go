package pki

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// keyFamily says which signature rows a key can serve.
type keyFamily string

const (
	familyUnknown keyFamily = ""
	familyRSA     keyFamily = "RSA"
	familyPSS     keyFamily = "RSA-PSS" // an RSA key that its owner confined to PSS (RFC 4055 §1.2)
	familyECDSA   keyFamily = "ECDSA"
	familyEd25519 keyFamily = "Ed25519"
)

// RSA keys outside these sizes (bits of the modulus) are weak, or too dear to check.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// PublicKey is a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7). A key that no row of
// the table reads is still a key: it has a name and verifies nothing.
type PublicKey struct {
	Raw []byte // DER of the SubjectPublicKeyInfo

	family keyFamily
	name   string
	key    any          // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey
	weak   string       // why the key must not be relied on; "" if it may
	pss    *pssSettings // limits a familyPSS key sets for its signatures
	sha256 [32]byte     // of Raw
}

// keyRow reads keys of one algorithm. A reader returns an error for octets that
// are no such key, and a key of familyUnknown for a variant it does not know.
type keyRow struct {
	oid  asn1.ObjectIdentifier
	read func(alg AlgorithmIdentifier, bits []byte) (*PublicKey, error)
}

// OIDs of keys: RFC 3279, RFC 4055, RFC 5480, RFC 8410.
var (
	oidRSA     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidPSS     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidEC      = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidEd25519 = asn1.ObjectIdentifier{1, 3, 101, 112}
)

// keyTable is the key half of the algorithm table. It is never written to.
var keyTable = []keyRow{
	{oidRSA, readRSA},
	{oidPSS, readPSSKey},
	{oidEC, readEC},
	{oidEd25519, readEd25519},
}

// ParsePublicKey reads one DER SubjectPublicKeyInfo and nothing after it.
func ParsePublicKey(spki []byte) (*PublicKey, error) {
	in := cryptobyte.String(spki)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, fmt.Errorf("public key: %w", errDER)
	}
	alg, ok := readAlgorithm(&seq)
	if !ok {
		return nil, fmt.Errorf("public key algorithm: %w", errDER)
	}
	bits, ok := readOctetBits(&seq)
	if !ok || !seq.Empty() {
		return nil, fmt.Errorf("public key bits: %w", errDER)
	}
	key := &PublicKey{name: "unknown key " + alg.OID.String()}
	for _, row := range keyTable {
		if row.oid.Equal(alg.OID) {
			var err error
			if key, err = row.read(alg, bits); err != nil {
				return nil, fmt.Errorf("public key %s: %w", alg.OID, err)
			}
		}
	}
	key.Raw = spki
	key.sha256 = sha256.Sum256(spki)
	return key, nil
}

// Name is "RSA-2048", "ECDSA P-256", "Ed25519", or "unknown key 1.2.3" for a
// key that is not supported.
func (k *PublicKey) Name() string { return k.name }

// Supported tells whether signatures of this key can be checked at all.
func (k *PublicKey) Supported() bool { return k != nil && k.family != familyUnknown }

func readRSA(alg AlgorithmIdentifier, bits []byte) (*PublicKey, error) {
	if !alg.absentOrNull() { // RFC 3279 §2.3.1 wants NULL; absent occurs
		return nil, fmt.Errorf("parameters: %w", errDER)
	}
	return readRSABits(bits, familyRSA)
}

// readRSABits reads RSAPublicKey (RFC 8017 A.1.1). Strength follows FIPS 186-5
// §5.1: an odd modulus of at least 2048 bits, an odd exponent above 2^16.
func readRSABits(bits []byte, family keyFamily) (*PublicKey, error) {
	in := cryptobyte.String(bits)
	var seq cryptobyte.String
	n, e := new(big.Int), new(big.Int)
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() ||
		!seq.ReadASN1Integer(n) || !seq.ReadASN1Integer(e) || !seq.Empty() || n.Sign() <= 0 || e.Sign() <= 0 {
		return nil, errDER
	}
	key := &PublicKey{family: family, name: fmt.Sprintf("RSA-%d", n.BitLen())}
	if e.BitLen() > 31 { // more than the standard library computes with
		key.family = familyUnknown
		return key, nil
	}
	key.key = &rsa.PublicKey{N: n, E: int(e.Int64())}
	switch {
	case n.BitLen() < minRSABits:
		key.weak = fmt.Sprintf("RSA key of %d bits", n.BitLen())
	case n.BitLen() > maxRSABits:
		key.weak = fmt.Sprintf("RSA key of %d bits is over the limit of %d", n.BitLen(), maxRSABits)
	case n.Bit(0) == 0:
		key.weak = "RSA key with an even modulus"
	case e.Bit(0) == 0 || e.Int64() <= 1<<16:
		key.weak = fmt.Sprintf("RSA key with the exponent %s", e)
	}
	return key, nil
}

func readPSSKey(alg AlgorithmIdentifier, bits []byte) (*PublicKey, error) {
	key, err := readRSABits(bits, familyPSS)
	if err != nil || alg.Parameters == nil {
		return key, err
	}
	if key.pss, err = readPSSSettings(alg.Parameters); err != nil {
		key.family = familyUnknown
	}
	return key, nil
}

// curveTable holds the named curves in use (RFC 5480 §2.1.1.1).
var curveTable = []struct {
	oid   asn1.ObjectIdentifier
	curve elliptic.Curve
}{
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}, elliptic.P256()},
	{asn1.ObjectIdentifier{1, 3, 132, 0, 34}, elliptic.P384()},
	{asn1.ObjectIdentifier{1, 3, 132, 0, 35}, elliptic.P521()},
}

// readEC reads a point and checks that it is on its curve. Explicit curve
// parameters are not supported: they let an attacker choose the group.
func readEC(alg AlgorithmIdentifier, bits []byte) (*PublicKey, error) {
	var oid asn1.ObjectIdentifier
	params := cryptobyte.String(alg.Parameters)
	if !params.ReadASN1ObjectIdentifier(&oid) || !params.Empty() {
		return &PublicKey{name: "ECDSA without a named curve"}, nil
	}
	for _, row := range curveTable {
		if row.oid.Equal(oid) {
			key, err := readPoint(row.curve, bits)
			if err != nil {
				return nil, err
			}
			return &PublicKey{family: familyECDSA, name: "ECDSA " + row.curve.Params().Name, key: key}, nil
		}
	}
	return &PublicKey{name: "ECDSA on curve " + oid.String()}, nil
}

func readPoint(curve elliptic.Curve, bits []byte) (*ecdsa.PublicKey, error) {
	if len(bits) > 0 && (bits[0] == 2 || bits[0] == 3) { // RFC 5480 §2.2: compressed MAY be supported
		x, y := elliptic.UnmarshalCompressed(curve, bits)
		if x == nil {
			return nil, fmt.Errorf("point not on curve %s", curve.Params().Name)
		}
		size := (curve.Params().BitSize + 7) / 8
		bits = append([]byte{4}, append(x.FillBytes(make([]byte, size)), y.FillBytes(make([]byte, size))...)...)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, bits)
	if err != nil {
		return nil, fmt.Errorf("point on curve %s: %w", curve.Params().Name, err)
	}
	return key, nil
}

func readEd25519(alg AlgorithmIdentifier, bits []byte) (*PublicKey, error) {
	if alg.Parameters != nil || len(bits) != ed25519.PublicKeySize { // RFC 8410 §3, §4
		return nil, errDER
	}
	return &PublicKey{family: familyEd25519, name: "Ed25519", key: ed25519.PublicKey(bits)}, nil
}
