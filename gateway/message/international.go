package message

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Bounds of an address (RFC 5321 §4.5.3.1), in octets; those of UTF-8 in the
// local part, of A-labels in the domain.
const (
	maxAddress = 254
	maxLocal   = 64
	maxTyped   = 1000 // of one not yet in its kept form: U-labels may be longer
)

// CanonicalAddress is the one form in which an address is kept and compared:
// the local part as it is, in Unicode's composed form (NFC), the domain in
// A-labels where it is internationalized (RFC 5890). An address of ASCII
// stays as it is. What is no address comes back unchanged, with false.
//
// Beyond ASCII a local part (RFC 6531 §3.3) has characters that are seen and
// that no program takes for ASCII: no controls, format or bidirectional
// characters, blanks, private ones, nor compatibility forms of ASCII such as
// the wide "＠".
func CanonicalAddress(s string) (string, bool) {
	if len(s) > maxTyped || !utf8.ValidString(s) {
		return s, false
	}
	local, domain, ok := strings.Cut(norm.NFC.String(s), "@")
	if !ok || len(local) > maxLocal || !isDotAtom(local) || decodeWords(local) != local {
		return s, false
	}
	if domain, ok = asciiDomain(domain); !ok || !validDomain(domain) || len(local)+1+len(domain) > maxAddress {
		return s, false
	}
	return local + "@" + domain, true
}

// asciiDomain writes a domain in A-labels. One that has them already must be
// what its own U-labels become: other forms are made to deceive.
func asciiDomain(s string) (string, bool) {
	if isASCII(s) && !strings.Contains(strings.ToLower(s), "xn--") {
		return s, true
	}
	for _, r := range s {
		if r >= utf8.RuneSelf && !visible(r) {
			return "", false
		}
	}
	p := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.Transitional(false))
	a, err := p.ToASCII(s)
	if err != nil {
		return "", false
	}
	u, err := p.ToUnicode(a)
	if err != nil {
		return "", false
	}
	again, err := p.ToASCII(u)
	return a, err == nil && again == a
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// beyondASCII reports whether a character outside ASCII may stand in the local
// part of an address.
func beyondASCII(r rune) bool {
	return r >= utf8.RuneSelf && visible(r) && !strings.ContainsFunc(norm.NFKC.String(string(r)), isASCIIRune)
}

// visible: letters, marks, digits, signs and punctuation that show.
func visible(r rune) bool {
	return r != utf8.RuneError && !hidden(r) && !emojiSelector(r) &&
		unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S) &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point)
}

func isASCIIRune(r rune) bool { return r < utf8.RuneSelf }
