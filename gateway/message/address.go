package message

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Address is a mailbox (RFC 5322 §3.4): Mailbox is "local@domain" as
// CanonicalAddress has it, Name the display name, decoded; outside text.
type Address struct{ Name, Mailbox string }

// Label is the display name, or "" for one that holds an address of its own:
// programs that show the name alone would show that address as the sender's.
func (a Address) Label() string {
	if strings.ContainsAny(a.Name, "@\uFE6B\uFF20") {
		return ""
	}
	return a.Name
}

// ValidAddress reports whether s is an address as accounts and envelopes may
// have it: RFC 5321 §4.1.2 with a dot-string for the local part and a domain
// of letters, digits and hyphens, both extended by RFC 6531. No quoted strings,
// no address literals. And nothing that a careless reader of our headers would
// decode (RFC 2047). CanonicalAddress is the form to keep it in.
func ValidAddress(s string) bool {
	_, ok := CanonicalAddress(s)
	return ok
}

// isDotAtom is dot-atom-text of RFC 5322 §3.2.3 as RFC 6532 §3.2 extends it.
// No atom begins with a mark, which would fall on the character before it.
func isDotAtom(s string) bool {
	for _, atom := range strings.Split(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool { return !isAtext(r) && !beyondASCII(r) }) {
			return false
		}
		if first, _ := utf8.DecodeRuneInString(atom); unicode.Is(unicode.M, first) {
			return false
		}
	}
	return true
}

func isAtext(r rune) bool {
	return isAlphanumeric(r) || r < 0x80 && strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// validDomain is Domain of RFC 5321 §4.1.2; a last label of digits alone would
// be an IP address.
func validDomain(s string) bool {
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		if strings.ContainsFunc(l, func(r rune) bool { return r != '-' && !isAlphanumeric(r) }) {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// parseMailboxes reads a mailbox-list (RFC 5322 §3.4) strictly: groups, source
// routes, quoted local parts and anything that does not parse are errors
// (ErrMalformed). It takes the mailboxes from *room and stops below zero.
func parseMailboxes(s string, room *int) ([]Address, error) {
	var list []Address
	for s != "" {
		item, rest, end := nextItem(s)
		if end == ':' || end == ';' {
			return nil, fmt.Errorf("%w: a group among the addresses", ErrMalformed)
		}
		if s = rest; dropComments(item) == "" {
			continue // RFC 5322 §4.4 has empty elements
		}
		if *room--; *room < 0 {
			return nil, fmt.Errorf("%w: too many addresses", ErrLimit)
		}
		a, ok := parseMailbox(item)
		if !ok {
			return nil, fmt.Errorf("%w: %s is not an address", ErrMalformed, quoted(item))
		}
		list = append(list, a)
	}
	return list, nil
}

// readableMailboxes are the mailboxes of an address-list that can be read,
// those of groups among them.
func readableMailboxes(s string, room *int) []Address {
	var list []Address
	for s != "" && *room >= 0 {
		item, rest, end := nextItem(s)
		if s = rest; end == ':' {
			continue // the name of a group
		}
		if a, ok := parseMailbox(item); ok {
			*room--
			list = append(list, a)
		}
	}
	return list
}

func errTooManyAddresses(n int) error {
	return fmt.Errorf("%w: more than %d addresses", ErrLimit, n)
}

// quoted shows a part of a letter in an error.
func quoted(s string) string {
	const most = 80
	s = cleanLine(s)
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// nextItem cuts s at the next comma, or the colon and semicolon of a group,
// that stands outside quoted strings, comments and angle brackets; end is that
// character, 0 at the end of s.
func nextItem(s string) (item, rest string, end byte) {
	inAngle := false
	for i := 0; i < len(s); {
		n := skipQuoted(s[i:])
		if n > 0 {
			i += n
			continue
		}
		switch c := s[i]; {
		case c == '<':
			inAngle = true
		case c == '>':
			inAngle = false
		case !inAngle && (c == ',' || c == ':' || c == ';'):
			return s[:i], s[i+1:], c
		}
		i++
	}
	return s, "", 0
}

// skipQuoted is the length of the quoted-string or comment that s begins with,
// 0 when there is none. An open one reaches to the end.
func skipQuoted(s string) int {
	if s[0] != '"' && s[0] != '(' {
		return 0
	}
	depth := 1
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case s[0] == '"' && c == '"', s[0] == '(' && c == ')':
			depth--
		case s[0] == '(' && c == '(':
			depth++
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(s)
}

// parseMailbox reads one mailbox: name-addr or addr-spec.
func parseMailbox(s string) (Address, bool) {
	open := indexOutside(s, '<')
	if open < 0 {
		spec, ok := CanonicalAddress(dropComments(s))
		return Address{Mailbox: spec}, ok
	}
	phrase := s[:open]
	spec, tail, closed := strings.Cut(s[open+1:], ">")
	spec = strings.Trim(spec, " \t")
	name, ok := phraseText(phrase)
	mailbox, valid := CanonicalAddress(spec)
	if !ok || !closed || dropComments(tail) != "" || !valid {
		return Address{}, false
	}
	return Address{Name: name, Mailbox: mailbox}, true
}

func indexOutside(s string, c byte) int {
	for i := 0; i < len(s); {
		if n := skipQuoted(s[i:]); n > 0 {
			i += n
			continue
		}
		if s[i] == c {
			return i
		}
		i++
	}
	return -1
}

// phraseText is the text of a phrase (RFC 5322 §3.2.5): words and quoted
// strings, with the dots of §4.1 and text beyond ASCII. What would look like
// an address outside quotes is refused.
func phraseText(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '"':
			text, rest, closed := quotedString(s[i:])
			if !closed {
				return "", false
			}
			b.WriteString(text)
			i = len(s) - len(rest)
		case c == '(':
			n := skipQuoted(s[i:])
			if dropComments(s[i:i+n]) != "" {
				return "", false
			}
			i += n
		case strings.IndexByte(`<>[]:;@\,)`, c) >= 0 || c < ' ' && c != '\t' || c == 0x7F:
			return "", false
		default:
			b.WriteByte(c)
			i++
		}
	}
	return strings.TrimSpace(DecodeHeader(strings.Trim(b.String(), " \t"))), true
}
