package rem

import "strings"

// FoldAddress is the form in which addresses are compared: the domain in
// ASCII lower case, the local part as it is (RFC 5321 §2.4).
func FoldAddress(a string) string {
	i := strings.LastIndexByte(a, '@')
	if i < 0 {
		return a
	}
	return a[:i+1] + lowerASCII(a[i+1:])
}

// SameAddress compares two addresses by FoldAddress.
func SameAddress(a, b string) bool { return a != "" && FoldAddress(a) == FoldAddress(b) }

// Domain is the folded domain of an address, "" when it has none.
func Domain(a string) string {
	i := strings.LastIndexByte(a, '@')
	if i < 0 {
		return ""
	}
	return lowerASCII(a[i+1:])
}

func containsAddress(list []string, a string) bool {
	for _, x := range list {
		if SameAddress(x, a) {
			return true
		}
	}
	return false
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
