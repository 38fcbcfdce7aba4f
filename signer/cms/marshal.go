package cms

import (
	"encoding/asn1"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cryptogramm.ru/cryptogramm/signer/pki"
)

// marshal returns the DER ContentInfo of a SignedData around the content. Only the order of sets is as given, because
// signatures cover some of them.
func (sd *SignedData) marshal(content []byte) []byte {
	version := 1 // RFC 5652 §5.1
	var digests, certificates, crls, signers, eContent []byte
	for _, a := range sd.DigestAlgorithms {
		digests = append(digests, encodeAlgorithm(tagSequence, a)...)
	}
	for _, c := range sd.Certificates {
		certificates = append(certificates, c.Raw...)
	}
	for _, c := range sd.CRLs {
		crls = append(crls, c.Raw...)
	}
	for i := range sd.Signers {
		signers = append(signers, sd.Signers[i].marshal()...)
		if sd.Signers[i].Serial == nil {
			version = 3
		}
	}
	if !sd.ContentType.Equal(OIDData) {
		version = 3
	}
	if sd.Attached {
		eContent = encode(tagContext0, encode(tagOctetString, content))
	}
	return encode(tagSequence, encodeOID(OIDSignedData), encode(tagContext0, encode(tagSequence,
		encodeInteger(big.NewInt(int64(version))),
		encode(tagSet, digests),
		encode(tagSequence, encodeOID(sd.ContentType), eContent),
		optional(tagContext0, certificates),
		optional(tagContext1, crls),
		encode(tagSet, signers))))
}

func (si *SignerInfo) marshal() []byte {
	sid := encode(tagKeyID, si.SubjectKeyID)
	if si.Serial != nil {
		sid = encode(tagSequence, si.Issuer.Raw, encodeInteger(si.Serial))
	}
	var signed, unsigned []byte
	if si.SignedAttributesDER != nil {
		// The implicit tag replaces SET's; length and members stay (RFC 5652 §5.4).
		signed = append([]byte{tagContext0}, si.SignedAttributesDER[1:]...)
	}
	if len(si.UnsignedAttributes) > 0 {
		unsigned = encodeAttributes(tagContext1, si.UnsignedAttributes)
	}
	return encode(tagSequence, encodeInteger(big.NewInt(int64(si.Version))), sid,
		encodeAlgorithm(tagSequence, si.Digest), signed,
		encodeAlgorithm(tagSequence, si.Signature), encode(tagOctetString, si.SignatureValue), unsigned)
}

// optional is encode for a set that is absent when empty.
func optional(id byte, contents []byte) []byte {
	if len(contents) == 0 {
		return nil
	}
	return encode(id, contents)
}

func encodeOID(oid asn1.ObjectIdentifier) []byte {
	var b cryptobyte.Builder
	b.AddASN1ObjectIdentifier(oid)
	return b.BytesOrPanic()
}

func encodeInteger(n *big.Int) []byte {
	var b cryptobyte.Builder
	b.AddASN1BigInt(n)
	return b.BytesOrPanic()
}

// encodeTime: UTCTime through 2049, GeneralizedTime after (RFC 5652 §11.3).
func encodeTime(t time.Time) []byte {
	var b cryptobyte.Builder
	if t = t.UTC(); t.Year() >= 1950 && t.Year() < 2050 {
		b.AddASN1UTCTime(t)
	} else {
		b.AddASN1GeneralizedTime(t)
	}
	return b.BytesOrPanic()
}

func encodeAlgorithm(id byte, a pki.AlgorithmIdentifier) []byte {
	return encode(id, encodeOID(a.OID), a.Parameters)
}

func encodeAttributes(id byte, attributes []Attribute) []byte {
	var members []byte
	for _, a := range attributes {
		members = append(members, encode(tagSequence, encodeOID(a.OID), encode(tagSet, a.Values...))...)
	}
	return encode(id, members)
}

// encodeCertificateID returns a SigningCertificateV2 (RFC 5035 §3) that names one certificate.
func encodeCertificateID(digest asn1.ObjectIdentifier, sum []byte, c *pki.Certificate) []byte {
	var algorithm []byte
	if !digest.Equal(oidSHA256) { // DEFAULT, which DER leaves out
		algorithm = encodeAlgorithm(tagSequence, pki.AlgorithmIdentifier{OID: digest})
	}
	directoryName := encode(uint8(casn1.Tag(4).ContextSpecific().Constructed()), c.Issuer.Raw)
	issuerSerial := encode(tagSequence, encode(tagSequence, directoryName), encodeInteger(c.Serial))
	id := encode(tagSequence, algorithm, encode(tagOctetString, sum), issuerSerial)
	return encode(tagSequence, encode(tagSequence, id))
}

// pssParameters names one digest for message and mask, a salt of its size and the default trailer (RFC 4055 §3.1).
func pssParameters(h *pki.Hash) []byte {
	digest := encodeAlgorithm(tagSequence, pki.AlgorithmIdentifier{OID: h.OID, Parameters: derNull})
	return encode(tagSequence,
		encode(tagContext0, digest),
		encode(tagContext1, encode(tagSequence, encodeOID(oidMGF1), digest)),
		encode(tagContext2, encodeInteger(big.NewInt(int64(h.Size)))))
}
