package message

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// SafeDisplay makes outside text safe to show on one line: characters that
// cannot be seen or that turn the text around (controls, line separators,
// bidirectional overrides and other format characters, tags) are shown by
// their code, ‹U+202E›. The joiners of Indic and Persian script and of emoji
// stay. Octets that are no UTF-8 become U+FFFD. Text made safe is left alone.
func SafeDisplay(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if hidden(r) {
			fmt.Fprintf(&b, "‹U+%04X›", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hidden(r rune) bool {
	switch r {
	case '\u200C', '\u200D': // joiners
		return false
	case '\u034F', '\u115F', '\u1160', '\u17B4', '\u17B5', '\u3164', '\uFFA0': // blank fillers
		return true
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Variation_Selector) && !emojiSelector(r)
}

// emojiSelector is the pair of variation selectors that common text uses.
func emojiSelector(r rune) bool { return r == '\uFE0E' || r == '\uFE0F' }
