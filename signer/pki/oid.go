package pki

import (
	"encoding/asn1"
	"math/big"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// objectID is the content octets of an OBJECT IDENTIFIER. Unlike
// asn1.ObjectIdentifier it holds arcs of any size (the 2.25 arc carries 128-bit
// UUIDs), compares with == and costs nothing to read.
type objectID string

// maxObjectID bounds the content octets of an OBJECT IDENTIFIER.
const maxObjectID = 128

// Certificate and CRL extensions, RFC 5280 §4.2 and §5.2: 2.5.29.x.
const (
	extSubjectKeyID        objectID = "\x55\x1d\x0e"
	extKeyUsage            objectID = "\x55\x1d\x0f"
	extSubjectAltName      objectID = "\x55\x1d\x11"
	extBasicConstraints    objectID = "\x55\x1d\x13"
	extCRLNumber           objectID = "\x55\x1d\x14"
	extReasonCode          objectID = "\x55\x1d\x15"
	extInvalidityDate      objectID = "\x55\x1d\x18"
	extDeltaCRLIndicator   objectID = "\x55\x1d\x1b"
	extIssuingDistribution objectID = "\x55\x1d\x1c"
	extNameConstraints     objectID = "\x55\x1d\x1e"
	extDistributionPoints  objectID = "\x55\x1d\x1f"
	extCertificatePolicies objectID = "\x55\x1d\x20"
	extPolicyMappings      objectID = "\x55\x1d\x21"
	extAuthorityKeyID      objectID = "\x55\x1d\x23"
	extPolicyConstraints   objectID = "\x55\x1d\x24"
	extExtendedKeyUsage    objectID = "\x55\x1d\x25"
	extInhibitAnyPolicy    objectID = "\x55\x1d\x36"
	anyPolicy              objectID = "\x55\x1d\x20\x00"
	attributeCommonName    objectID = "\x55\x04\x03"
	attributeEmailAddress  objectID = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"
	purposeEmailProtection objectID = "\x2b\x06\x01\x05\x05\x07\x03\x04"
	purposeOCSPSigning     objectID = "\x2b\x06\x01\x05\x05\x07\x03\x09"
	extAuthorityInfo       objectID = "\x2b\x06\x01\x05\x05\x07\x01\x01"
	accessOCSP             objectID = "\x2b\x06\x01\x05\x05\x07\x30\x01"
	accessIssuers          objectID = "\x2b\x06\x01\x05\x05\x07\x30\x02"
	ocspBasic              objectID = "\x2b\x06\x01\x05\x05\x07\x30\x01\x01"
	extOCSPNonce           objectID = "\x2b\x06\x01\x05\x05\x07\x30\x01\x02"
	extOCSPNoCheck         objectID = "\x2b\x06\x01\x05\x05\x07\x30\x01\x05"
)

func readObjectID(in *cryptobyte.String) (objectID, bool) {
	var b cryptobyte.String
	if !in.ReadASN1(&b, cbasn1.OBJECT_IDENTIFIER) || len(b) == 0 || len(b) > maxObjectID || b[len(b)-1] >= 0x80 {
		return "", false
	}
	for i, c := range b {
		if c == 0x80 && (i == 0 || b[i-1] < 0x80) { // a sub-identifier with a leading zero
			return "", false
		}
	}
	return objectID(b), true
}

// encodeOID returns "" for what cannot be encoded.
func encodeOID(oid asn1.ObjectIdentifier) objectID {
	der, err := asn1.Marshal(oid)
	if err != nil {
		return ""
	}
	in := cryptobyte.String(der)
	id, _ := readObjectID(&in)
	return id
}

// String is the dotted form.
func (o objectID) String() string {
	var parts []string
	arc := new(big.Int)
	for i := range len(o) {
		arc.Lsh(arc, 7).Or(arc, big.NewInt(int64(o[i]&0x7f)))
		if o[i] >= 0x80 {
			continue
		}
		if parts == nil { // the first two arcs share a sub-identifier (X.690 §8.19.4)
			top := int64(2)
			if arc.Cmp(big.NewInt(80)) < 0 {
				top = arc.Int64() / 40
			}
			parts = append(parts, strconv.FormatInt(top, 10))
			arc.Sub(arc, big.NewInt(40*top))
		}
		parts = append(parts, arc.String())
		arc.SetInt64(0)
	}
	return strings.Join(parts, ".")
}
