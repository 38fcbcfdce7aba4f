package message

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
)

// DecodeHeader decodes the encoded words of a header field (RFC 2047), also
// where they are not allowed but met: inside quoted strings, with blanks in
// them, longer than 75 characters, a character split between two words. What
// is no encoded word stays. The answer is valid UTF-8 on one line: control
// characters become U+FFFD.
func DecodeHeader(s string) string { return cleanLine(decodeWords(s)) }

func decodeWords(s string) string {
	if !strings.Contains(s, "=?") {
		return s
	}
	var d wordJoiner
	for {
		i := strings.Index(s, "=?")
		if i < 0 {
			break
		}
		w, n := encodedWord(s[i:])
		if n == 0 {
			d.literal(s[:i+2])
			s = s[i+2:]
			continue
		}
		if i > 0 {
			d.literal(s[:i])
		}
		d.word(w)
		s = s[i+n:]
	}
	d.literal(s)
	return d.finish()
}

// word is an encoded word with its transfer encoding undone.
type word struct {
	charset string // lower case
	octets  []byte
}

// wordJoiner joins neighbouring words of one charset before it decodes the
// charset, and drops the blanks between words (RFC 2047 §6.2).
type wordJoiner struct {
	out    strings.Builder
	open   bool // a word stands last
	last   word
	blanks string // after the last word
}

func (d *wordJoiner) literal(s string) {
	if d.open && strings.Trim(s, " \t\r\n") == "" {
		d.blanks += s
		return
	}
	d.flush()
	d.out.WriteString(s)
}

func (d *wordJoiner) word(w word) {
	if d.open && d.last.charset == w.charset {
		d.last.octets = append(d.last.octets, w.octets...)
		d.blanks = ""
		return
	}
	if d.open {
		d.blanks = ""
		d.flush()
	}
	d.open, d.last = true, w
}

func (d *wordJoiner) flush() {
	if !d.open {
		return
	}
	d.out.WriteString(decodeCharset(d.last.charset, d.last.octets))
	d.out.WriteString(d.blanks)
	d.open, d.last, d.blanks = false, word{}, ""
}

func (d *wordJoiner) finish() string {
	d.flush()
	return d.out.String()
}

// encodedWord reads the encoded word that s begins with and answers how long
// it is, 0 when there is none. It looks no further than the next "?" after the
// encoding, so that decoding a header is linear.
func encodedWord(s string) (word, int) {
	charset, _, ok := strings.Cut(s[2:min(len(s), 2+80)], "?")
	if !ok || !isToken(charset) {
		return word{}, 0
	}
	rest := s[2+len(charset)+1:]
	if len(rest) < 2 || rest[1] != '?' {
		return word{}, 0
	}
	text := rest[2:]
	end := strings.IndexByte(text, '?')
	if end < 0 || !strings.HasPrefix(text[end:], "?=") {
		return word{}, 0
	}
	octets, ok := decodeWord(rest[0], text[:end])
	if !ok {
		return word{}, 0
	}
	n := len(s) - len(text) + end + len("?=")
	charset, _, _ = strings.Cut(strings.ToLower(charset), "*") // RFC 2231 §5: a language may follow
	return word{charset, octets}, n
}

func decodeWord(encoding byte, text string) ([]byte, bool) {
	switch encoding {
	case 'q', 'Q':
		return appendHexDecoded(nil, strings.ReplaceAll(text, "_", " "), '='), true
	case 'b', 'B':
		text = strings.ReplaceAll(strings.ReplaceAll(text, " ", ""), "\t", "")
		b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
		return b, err == nil
	}
	return nil, false
}

// decodeCharset makes UTF-8 of octets in a charset that goes by any label of
// the WHATWG encoding standard. An unknown charset is read as UTF-8.
func decodeCharset(charset string, octets []byte) string {
	charset = strings.ToLower(charset)
	if charset != "" && charset != "utf-8" {
		if e, err := htmlindex.Get(charset); err == nil {
			if b, err := e.NewDecoder().Bytes(octets); err == nil {
				octets = b
			}
		}
	}
	return strings.ToValidUTF8(string(octets), "\uFFFD")
}

// cleanLine makes valid UTF-8 on one line: a tab becomes a blank, any other
// control character U+FFFD.
func cleanLine(s string) string {
	clean := utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
	if clean {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r):
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
