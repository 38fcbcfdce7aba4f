package document

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/rangetable"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// maxShown is how many characters of one outside string a page shows. The
// JSON has all of it.
const maxShown = 1000

// display makes outside text safe to look at: what is invisible or turns its
// surroundings around is shown by its code, ‹U+202E›, the way the rest of the
// gateway shows it, and what is cut says so. The joiners that Indic and Persian
// script and emoji need stay as they are.
func display(s string) string {
	if len(s) <= maxShown && utf8.ValidString(s) && !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	n := 0
	for i, r := range s {
		if n++; n > maxShown {
			fmt.Fprintf(&b, "… (+%d)", utf8.RuneCountInString(s[i:]))
			break
		}
		if hidden(r) {
			fmt.Fprintf(&b, "‹U+%04X›", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

var unseen = rangetable.Merge(unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Variation_Selector)

func hidden(r rune) bool {
	switch r {
	case '\u200C', '\u200D', '\uFE0E', '\uFE0F': // joiners, the two selectors of common text
		return false
	case '\u034F', '\u115F', '\u1160', '\u17B4', '\u17B5', '\u3164', '\uFFA0': // blank fillers
		return true
	}
	return unicode.Is(unseen, r)
}

// when writes a time the way the language has it, always in UTC.
func (w *words) when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.UTC()
	return fmt.Sprintf("%d %s %d%s, %s UTC", t.Day(), w.Months[t.Month()-1], t.Year(), w.YearMark, t.Format("15:04:05"))
}

// size writes octets with groups of three set apart by a no-break space.
func (w *words) size(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u00a0')
		}
		b.WriteRune(c)
	}
	return b.String() + "\u00a0" + w.count(n, w.Bytes)
}

// count picks the form of a word that goes with n: one, few, many. English
// uses the first and the last.
func (w *words) count(n int64, forms [3]string) string {
	if w.Lang != "ru" {
		if n == 1 {
			return forms[0]
		}
		return forms[2]
	}
	switch ten, hundred := n%10, n%100; {
	case ten == 1 && hundred != 11:
		return forms[0]
	case ten >= 2 && ten <= 4 && (hundred < 12 || hundred > 14):
		return forms[1]
	}
	return forms[2]
}

func (w *words) yesNo(b bool) string {
	if b {
		return w.Yes
	}
	return w.No
}

// person is an address with the name its owner gives himself behind it.
func person(p Person) string {
	if p.Name == "" {
		return p.Address
	}
	return p.Address + " (" + p.Name + ")"
}

func digest(d rem.Digest) string {
	if d.IsZero() {
		return ""
	}
	return d.String()
}
