package message

import (
	"strings"
)

// Header holds the fields of one header in their order, every one of them.
type Header []Field

// Field is one header field.
type Field struct {
	Name string // as written, without white space before the colon
	Raw  string // the octets as they came: name, colon, value, folds, line end
}

// Value is the field's text, unfolded (RFC 5322 §2.2.3) and trimmed, not
// decoded. It may hold any octet but line ends.
func (f Field) Value() string {
	_, v, _ := strings.Cut(f.Raw, ":")
	if strings.ContainsAny(v, "\r\n") {
		v = strings.ReplaceAll(strings.ReplaceAll(v, "\r\n", ""), "\n", "")
	}
	return strings.Trim(v, " \t")
}

// Text is the value with its encoded words decoded, as DecodeHeader answers.
func (f Field) Text() string { return DecodeHeader(f.Value()) }

// Is reports whether the field has the given name, without regard to case.
func (f Field) Is(name string) bool { return strings.EqualFold(f.Name, name) }

// All are the fields of a name, in order.
func (h Header) All(name string) []Field {
	var list []Field
	for _, f := range h {
		if f.Is(name) {
			list = append(list, f)
		}
	}
	return list
}

// Get is the Value of the first field of a name, "" when there is none.
func (h Header) Get(name string) string {
	for _, f := range h {
		if f.Is(name) {
			return f.Value()
		}
	}
	return ""
}

// Count is the number of fields of a name.
func (h Header) Count(name string) int {
	n := 0
	for _, f := range h {
		if f.Is(name) {
			n++
		}
	}
	return n
}

// splitHeader cuts a header into fields. doubts are notes on lines that are
// not fields; such lines are left out.
func splitHeader(raw string) (h Header, doubts []string) {
	junk, spaced := false, false
	for raw != "" {
		n := fieldEnd(raw)
		line := raw[:n]
		raw = raw[n:]
		name, _, ok := strings.Cut(line, ":")
		trimmed := strings.TrimRight(name, " \t")
		if !ok || !validFieldName(trimmed) {
			junk = true
			continue
		}
		spaced = spaced || len(trimmed) < len(name)
		h = append(h, Field{Name: trimmed, Raw: line})
	}
	if junk {
		doubts = append(doubts, noteJunk)
	}
	if spaced {
		doubts = append(doubts, noteSpaced)
	}
	return h, doubts
}

// fieldEnd is the offset after the first field of a header: after the line
// end that no white space follows.
func fieldEnd(raw string) int {
	n := 0
	for {
		i := strings.IndexByte(raw[n:], '\n')
		if i < 0 {
			return len(raw)
		}
		n += i + 1
		if n == len(raw) || raw[n] != ' ' && raw[n] != '\t' {
			return n
		}
	}
}

// validFieldName is ftext of RFC 5322 §3.6.8, at least one.
func validFieldName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

// Fields cuts a header into its fields; lines that are none are left out.
func Fields(raw string) Header {
	h, _ := splitHeader(raw)
	return h
}
