package pki

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Character string types without a constant in cryptobyte.
const (
	tagNumericString   = cbasn1.Tag(18)
	tagVisibleString   = cbasn1.Tag(26)
	tagUniversalString = cbasn1.Tag(28)
	tagBMPString       = cbasn1.Tag(30)
)

// decodeText turns a DirectoryString or a relative of it into UTF-8. ok is false
// for other types. clean is false when the octets do not fit the type or carry
// a control character, NUL among them: such a name may show one thing and mean
// another. T.61 is read as Latin-1, as every issuer that uses it means it.
func decodeText(tag cbasn1.Tag, b []byte) (s string, clean, ok bool) {
	switch tag {
	case cbasn1.UTF8String:
		s, clean = strings.ToValidUTF8(string(b), "\ufffd"), utf8.Valid(b)
	case cbasn1.PrintableString, cbasn1.IA5String, tagNumericString, tagVisibleString:
		// Issuers put '@', '_' and '*' into PrintableString; harmless, hence let pass.
		s, clean = latin1(b), isASCII(b)
	case cbasn1.T61String:
		s, clean = latin1(b), true
	case tagBMPString:
		s, clean = wideText(b, 2)
	case tagUniversalString:
		s, clean = wideText(b, 4)
	default:
		return "", false, false
	}
	return s, clean && !hasControl(s), true
}

func latin1(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		s.WriteRune(rune(c))
	}
	return s.String()
}

// wideText reads big-endian characters of the given width; a surrogate is not a character.
func wideText(b []byte, width int) (s string, clean bool) {
	clean = len(b)%width == 0
	var out strings.Builder
	for ; len(b) >= width; b = b[width:] {
		r := rune(0)
		for _, c := range b[:width] {
			r = r<<8 | rune(c)
		}
		if utf16.IsSurrogate(r) || !utf8.ValidRune(r) {
			r, clean = utf8.RuneError, false
		}
		out.WriteRune(r)
	}
	return out.String(), clean
}

func isASCII[T string | []byte](b T) bool {
	for i := range len(b) {
		if b[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// fold prepares a name for comparison (RFC 5280 §7.1, RFC 4518): compatibility
// forms and case are folded, runs of white space count as one space, outer
// white space does not count.
func fold(s string) string {
	if isASCII(s) {
		return strings.ToLower(strings.Join(strings.Fields(s), " "))
	}
	s = norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s)))
	return strings.Join(strings.Fields(s), " ")
}

// foldASCII lowers the letters of domain names; other alphabets are compared as written.
func foldASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}
