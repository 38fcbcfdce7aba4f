package rem

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Canonical writes v as RFC 8785 JSON. v is anything encoding/json marshals;
// numbers must be integers below 2^53 in size, which is all our records hold,
// and strings must be valid UTF-8 (invalid octets become U+FFFD first).
func Canonical(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	return appendCanonical(nil, tree)
}

func appendCanonical(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case json.Number:
		return appendInteger(b, v)
	case string:
		return appendString(b, v), nil
	case []any:
		return appendArray(b, v)
	case map[string]any:
		return appendObject(b, v)
	}
	return nil, fmt.Errorf("canonical JSON: unexpected %T", v)
}

var errNumber = errors.New("canonical JSON: only integers below 2^53")

func appendInteger(b []byte, n json.Number) ([]byte, error) {
	i, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil || i >= 1<<53 || i <= -1<<53 {
		return nil, errNumber
	}
	return strconv.AppendInt(b, i, 10), nil
}

func appendArray(b []byte, list []any) ([]byte, error) {
	b = append(b, '[')
	var err error
	for i, x := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendCanonical(b, x); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

// appendObject sorts member names by UTF-16 code units (RFC 8785 §3.2.3).
func appendObject(b []byte, m map[string]any) ([]byte, error) {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return lessUTF16(keys[i], keys[j]) })
	b = append(b, '{')
	var err error
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, k), ':')
		if b, err = appendCanonical(b, m[k]); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func lessUTF16(a, b string) bool {
	x, y := utf16.Encode([]rune(a)), utf16.Encode([]rune(b))
	for i := 0; i < len(x) && i < len(y); i++ {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return len(x) < len(y)
}

// appendString escapes as RFC 8785 §3.2.2.2 has it: the seven short forms,
// \u00xx for other controls, everything else as it is.
func appendString(b []byte, s string) []byte {
	short := map[rune]byte{'"': '"', '\\': '\\', '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't'}
	b = append(b, '"')
	for _, r := range s {
		switch c, ok := short[r]; {
		case ok:
			b = append(b, '\\', c)
		case r < ' ':
			b = fmt.Appendf(b, "\\u%04x", r)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
