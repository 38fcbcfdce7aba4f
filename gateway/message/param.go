package message

import (
	"fmt"
	"strconv"
	"strings"
)

// structured is a value with parameters (RFC 2045 §5.1, RFC 2183, RFC 2231).
type structured struct {
	value    string            // lower case
	params   map[string]string // lower-case names; file names decoded, boundary exact
	doubt    bool              // something stands there that is no parameter
	doubtful map[string]bool   // parameters that programs read differently
}

// attribute gathers the forms in which one parameter may be written: plainly,
// extended ("name*"), or in numbered sections ("name*0*").
type attribute struct {
	plain, extended *string
	sections        map[int]section
}

type section struct {
	text    string
	encoded bool // percent-encoded; the first names the charset
}

func parseStructured(s string, maxParams int) (structured, error) {
	out := structured{params: map[string]string{}, doubtful: map[string]bool{}}
	head, rest, _ := strings.Cut(s, ";")
	out.value = strings.ToLower(dropComments(head))
	attributes := map[string]*attribute{}
	for n := 0; rest != ""; {
		var name, value string
		var sure bool
		name, value, sure, rest = nextParameter(rest)
		if name == "" {
			out.doubt = out.doubt || !sure
			continue
		}
		if n++; n > maxParams {
			return structured{}, fmt.Errorf("%w: more than %d parameters", ErrLimit, maxParams)
		}
		base, again := collect(attributes, name, value)
		if again || !sure {
			out.doubtful[base] = true
		}
	}
	for name, a := range attributes {
		text, plain := a.text(name)
		out.params[name] = text
		if !plain {
			out.doubtful[name] = true
		}
	}
	return out, nil
}

// nextParameter reads `name=value` up to the next semicolon. sure is false
// when it is written in a way that programs read differently; name is "" for
// an empty parameter (sure) and for what is none.
func nextParameter(s string) (name, value string, sure bool, rest string) {
	i := strings.IndexAny(s, "=;")
	if i < 0 || s[i] == ';' {
		text, rest := cutAt(s, i)
		return "", "", dropComments(text) == "", rest
	}
	name = strings.ToLower(dropComments(s[:i]))
	s = strings.TrimLeft(s[i+1:], " \t")
	if strings.HasPrefix(s, `"`) {
		value, s, sure = quotedString(s)
		tail, rest := cutAt(s, strings.IndexByte(s, ';'))
		return orNone(name), value, sure && dropComments(tail) == "" && isToken(name), rest
	}
	value, rest = cutAt(s, strings.IndexByte(s, ';'))
	value = strings.Trim(value, " \t")
	if bare := dropComments(value); isToken(bare) && !isFileName(name) {
		return orNone(name), bare, bare == value && isToken(name), rest
	}
	return orNone(name), value, isToken(value) && isToken(name), rest
}

// orNone drops a name that is no token: what it belongs to is no parameter.
func orNone(name string) string {
	if isToken(name) {
		return name
	}
	return ""
}

// cutAt is strings.Cut at a known index; at < 0 takes all.
func cutAt(s string, at int) (head, tail string) {
	if at < 0 {
		return s, ""
	}
	return s[:at], s[at+1:]
}

// quotedString reads the quoted-string that s begins with (RFC 5322 §3.2.4).
func quotedString(s string) (text, rest string, closed bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), "", false
}

// collect files a parameter under its base name (RFC 2231 §3, §4); again
// means that the same was given before, and the first stays.
func collect(all map[string]*attribute, name, value string) (base string, again bool) {
	base, index, encoded, ok := splitAttribute(name)
	if !ok {
		base = name
	}
	a := all[base]
	if a == nil {
		a = &attribute{sections: map[int]section{}}
		all[base] = a
	}
	switch {
	case !ok || index < 0 && !encoded:
		if a.plain != nil {
			return base, true
		}
		a.plain = &value
	case index < 0:
		if a.extended != nil {
			return base, true
		}
		a.extended = &value
	default:
		if _, had := a.sections[index]; had {
			return base, true
		}
		a.sections[index] = section{value, encoded}
	}
	return base, false
}

// splitAttribute takes "name", "name*", "name*2" or "name*2*" apart; index is
// -1 without a section number.
func splitAttribute(s string) (base string, index int, encoded, ok bool) {
	base, tail, starred := strings.Cut(s, "*")
	if !starred {
		return base, -1, false, true
	}
	if base == "" {
		return "", 0, false, false
	}
	if tail == "" {
		return base, -1, true, true
	}
	digits, encoded := strings.CutSuffix(tail, "*")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || strconv.Itoa(n) != digits {
		return "", 0, false, false
	}
	return base, n, encoded, true
}

// text is the parameter's value: the extended form before sections before the
// plain one (RFC 6266 §4.3). plain is false when programs that do not know
// RFC 2231 would see another value.
func (a *attribute) text(name string) (text string, plain bool) {
	switch {
	case a.extended != nil:
		return cleanLine(decodeExtended([]section{{*a.extended, true}})), false
	case len(a.sections) > 0:
		var list []section
		for i := range len(a.sections) {
			s, ok := a.sections[i]
			if !ok {
				break
			}
			list = append(list, s)
		}
		return cleanLine(decodeExtended(list)), false
	case isFileName(name):
		return DecodeHeader(*a.plain), true
	}
	return cleanLine(*a.plain), true
}

func isFileName(parameter string) bool { return parameter == "filename" || parameter == "name" }

// decodeExtended joins sections, the octets first and their charset after, for
// a character may be split between sections.
func decodeExtended(list []section) string {
	charset := ""
	var octets []byte
	for i, s := range list {
		if !s.encoded {
			octets = append(octets, s.text...)
			continue
		}
		if parts := strings.SplitN(s.text, "'", 3); i == 0 && len(parts) == 3 {
			charset, s.text = parts[0], parts[2]
		}
		octets = appendHexDecoded(octets, s.text, '%')
	}
	return decodeCharset(charset, octets)
}

// appendHexDecoded undoes escapes of two hex digits; what is none stays.
func appendHexDecoded(b []byte, s string, escape byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == escape && i+2 < len(s) {
			if hi, lo := unhex(s[i+1]), unhex(s[i+2]); hi >= 0 && lo >= 0 {
				b = append(b, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return b
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c - 'A' + 10)
	case c >= 'a' && c <= 'f':
		return int(c - 'a' + 10)
	}
	return -1
}

// isToken is token of RFC 2045 §5.1.
func isToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || strings.IndexByte(`()<>@,;:\"/[]?=`, s[i]) >= 0 {
			return false
		}
	}
	return s != ""
}

// dropComments trims s and puts a blank for every comment of RFC 5322 §3.2.2,
// so that no comment can join two tokens to one. A comment that does not end
// stays, so that what is left is no token.
func dropComments(s string) string {
	if strings.IndexByte(s, '(') < 0 {
		return strings.Trim(s, " \t")
	}
	var b strings.Builder
	depth, start := 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && depth > 0:
			i++
		case c == '(':
			if depth == 0 {
				start = i
				b.WriteByte(' ')
			}
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth == 0:
			b.WriteByte(c)
		}
	}
	if depth > 0 {
		b.WriteString(s[start:])
	}
	return strings.Trim(b.String(), " \t")
}
