package pki

import (
	"encoding/asn1"
	"errors"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// errDER is the cause of every structural refusal; the wrapping text names the field.
var errDER = errors.New("malformed DER")

// AlgorithmIdentifier is RFC 5280 §4.1.1.2. Parameters is the raw DER of the
// parameters; nil means absent, which is not the same as NULL.
type AlgorithmIdentifier struct {
	OID        asn1.ObjectIdentifier
	Parameters []byte
}

// ParseAlgorithmIdentifier reads one DER AlgorithmIdentifier and nothing after it.
func ParseAlgorithmIdentifier(der []byte) (AlgorithmIdentifier, error) {
	in := cryptobyte.String(der)
	alg, ok := readAlgorithm(&in)
	if !ok || !in.Empty() {
		return AlgorithmIdentifier{}, errDER
	}
	return alg, nil
}

func readAlgorithm(in *cryptobyte.String) (AlgorithmIdentifier, bool) {
	var seq cryptobyte.String
	var alg AlgorithmIdentifier
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1ObjectIdentifier(&alg.OID) {
		return alg, false
	}
	if seq.Empty() {
		return alg, true
	}
	var params cryptobyte.String
	var tag cbasn1.Tag
	if !seq.ReadAnyASN1Element(&params, &tag) || !seq.Empty() {
		return alg, false
	}
	alg.Parameters = params
	return alg, true
}

func (a AlgorithmIdentifier) equal(b AlgorithmIdentifier) bool {
	return a.OID.Equal(b.OID) && string(a.Parameters) == string(b.Parameters) &&
		(a.Parameters == nil) == (b.Parameters == nil)
}

// absentOrNull tells whether no parameters are given, in either of the two ways.
func (a AlgorithmIdentifier) absentOrNull() bool {
	return a.Parameters == nil || string(a.Parameters) == "\x05\x00"
}

// readTime reads a UTCTime or GeneralizedTime in the one form that DER and
// RFC 5280 §4.1.2.5 leave: seconds present, no fraction, Z. A GeneralizedTime
// before 2050 is against the letter and common, hence accepted.
func readTime(in *cryptobyte.String) (time.Time, bool) {
	var text cryptobyte.String
	var tag cbasn1.Tag
	if !in.ReadAnyASN1(&text, &tag) {
		return time.Time{}, false
	}
	switch {
	case tag == cbasn1.UTCTime && len(text) == 13:
		yy, ok := digits(text[:2])
		century := 1900
		if yy < 50 {
			century = 2000
		}
		return clock(century+yy, text[2:], ok)
	case tag == cbasn1.GeneralizedTime && len(text) == 15:
		year, ok := digits(text[:4])
		return clock(year, text[4:], ok)
	}
	return time.Time{}, false
}

// clock reads MMDDHHMMSSZ.
func clock(year int, text []byte, ok bool) (time.Time, bool) {
	if !ok || text[10] != 'Z' {
		return time.Time{}, false
	}
	var part [5]int
	for i := range part {
		n, ok := digits(text[2*i : 2*i+2])
		if !ok {
			return time.Time{}, false
		}
		part[i] = n
	}
	month, day, hour, minute, second := part[0], part[1], part[2], part[3], part[4]
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	// time.Date carries over what is out of range; a carried value is not what was written.
	same := int(t.Month()) == month && t.Day() == day && t.Hour() == hour && t.Minute() == minute && t.Second() == second
	return t, same
}

func digits(b []byte) (n int, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// readIntegerBytes reads the content octets of a DER INTEGER of any sign and at most limit octets.
func readIntegerBytes(in *cryptobyte.String, limit int) ([]byte, bool) {
	var b cryptobyte.String
	if !in.ReadASN1(&b, cbasn1.INTEGER) || len(b) == 0 || len(b) > limit {
		return nil, false
	}
	if len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) {
		return nil, false
	}
	return b, true
}

// signedInteger turns content octets (two's complement) into a number.
func signedInteger(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

// readSmallInteger reads a non-negative INTEGER; what is above limit reads as limit.
func readSmallInteger(in *cryptobyte.String, tag cbasn1.Tag, limit int) (int, bool) {
	var b cryptobyte.String
	if !in.ReadASN1(&b, tag) || len(b) == 0 || b[0] >= 0x80 || (len(b) > 1 && b[0] == 0 && b[1] < 0x80) {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if n = n<<8 | int(c); n > limit {
			return limit, true
		}
	}
	return n, true
}

// bitString splits content octets of a BIT STRING and checks the padding bits (X.690 §11.2).
func bitString(content []byte) (bits []byte, unused int, ok bool) {
	if len(content) == 0 || content[0] > 7 || (len(content) == 1 && content[0] != 0) {
		return nil, 0, false
	}
	bits, unused = content[1:], int(content[0])
	if unused > 0 && bits[len(bits)-1]&(1<<unused-1) != 0 {
		return nil, 0, false
	}
	return bits, unused, true
}

// readOctetBits reads a BIT STRING that holds whole octets.
func readOctetBits(in *cryptobyte.String) ([]byte, bool) {
	var content cryptobyte.String
	if !in.ReadASN1(&content, cbasn1.BIT_STRING) {
		return nil, false
	}
	bits, unused, ok := bitString(content)
	return bits, ok && unused == 0
}

// flags reads a named-bit BIT STRING into an integer whose bit i is ASN.1 bit i.
func flags(content []byte) (uint16, bool) {
	bits, _, ok := bitString(content)
	if !ok || len(bits) > 2 {
		return 0, false
	}
	var f uint16
	for i := range 8 * len(bits) {
		if bits[i/8]&(0x80>>(i%8)) != 0 {
			f |= 1 << i
		}
	}
	return f, true
}

// skipOptional passes over a field whose presence alone matters.
func skipOptional(in *cryptobyte.String, tag cbasn1.Tag, present *bool) bool {
	var field cryptobyte.String
	return in.ReadOptionalASN1(&field, present, tag)
}
