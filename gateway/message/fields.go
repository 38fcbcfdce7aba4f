package message

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxOwnHeader bounds the header of a letter that we write, in octets.
const maxOwnHeader = 64 << 10

// maxFieldID bounds a message id in a field of ours, in octets.
const maxFieldID = 250

// fieldWriter writes header fields: ASCII, folded (RFC 5322 §2.2.3), anything
// else in encoded words, mailboxes apart. The first error stays.
type fieldWriter struct {
	b   bytes.Buffer
	err error
}

func (w *fieldWriter) fail(field, why string) {
	if w.err == nil {
		w.err = fmt.Errorf("%w: %s %s", ErrHeaderValue, field, why)
	}
}

// HeaderText makes any outside text fit for a header field of ours: controls
// become U+FFFD and nothing in it can be taken for an encoded word.
func HeaderText(s string) string {
	return strings.ReplaceAll(cleanLine(s), "=?", "= ?")
}

// fits reports whether text may stand in a header field: valid UTF-8 without
// control characters, also after a careless reader has decoded encoded words.
func fits(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) &&
		!strings.ContainsFunc(decodeWords(s), unicode.IsControl)
}

// text writes an unstructured field; nothing for an empty value.
func (w *fieldWriter) text(name, value string) {
	if value == "" {
		return
	}
	if !fits(value) {
		w.fail(name, "has control characters")
		return
	}
	w.fold(name, encodeText(value))
}

// addresses writes an address field; nothing for an empty list. A mailbox
// beyond ASCII stands as it is (RFC 6532), since nothing else can name it: such
// a letter is sent with SMTPUTF8.
func (w *fieldWriter) addresses(name string, list ...Address) {
	var words []string
	for i, a := range list {
		spec, ok := CanonicalAddress(a.Mailbox)
		if !ok {
			w.fail(name, "has no valid address")
			return
		}
		if !fits(a.Name) {
			w.fail(name, "has control characters")
			return
		}
		if a.Name != "" {
			words = append(words, encodePhrase(a.Name)...)
			spec = "<" + spec + ">"
		}
		if i < len(list)-1 {
			spec += ","
		}
		words = append(words, spec)
	}
	if len(words) > 0 {
		w.fold(name, words)
	}
}

// id writes a field of one message id, which may lack its angle brackets.
func (w *fieldWriter) id(name, id string) {
	if id == "" {
		return
	}
	if !strings.HasPrefix(id, "<") {
		id = "<" + id + ">"
	}
	if !validMessageID(id) || len(id) > maxFieldID {
		w.fail(name, "is no message id")
		return
	}
	w.fold(name, []string{id})
}

// date writes a date-time of RFC 5322 §3.3 in UTC.
func (w *fieldWriter) date(name string, t time.Time) {
	w.fold(name, []string{t.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700")})
}

// fold writes words, separated by a blank or by a fold where the line would
// become longer than 76 characters.
func (w *fieldWriter) fold(name string, words []string) {
	w.b.WriteString(name + ":")
	column := len(name) + 1
	for i, word := range words {
		if i > 0 && column+1+len(word) > 76 {
			w.b.WriteString("\r\n")
			column = 0
		}
		w.b.WriteString(" " + word)
		column += 1 + len(word)
	}
	w.b.WriteString("\r\n")
	if w.b.Len() > maxOwnHeader {
		w.fail(name, "makes the header too long")
	}
}

// plain reports whether text can stand as it is: printable ASCII that no
// reader takes for an encoded word and that folding cannot change.
func plain(s string) bool {
	for _, word := range strings.Split(s, " ") {
		if word == "" || len(word) > 60 {
			return false
		}
	}
	return !strings.Contains(s, "=?") && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

func encodeText(s string) []string {
	if plain(s) {
		return strings.Split(s, " ")
	}
	return encodedWords(s)
}

// encodePhrase writes a display name: atoms, else a quoted string, else
// encoded words.
func encodePhrase(s string) []string {
	if !plain(s) {
		return encodedWords(s)
	}
	if !strings.ContainsFunc(s, func(r rune) bool { return r != ' ' && !isAtext(r) }) {
		return strings.Split(s, " ")
	}
	return strings.Split(`"`+quotedPairs.Replace(s)+`"`, " ")
}

var quotedPairs = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// encodedWords cuts text between characters into encoded words of at most 64
// characters, so that any field name of ours fits before one (RFC 2047 §2).
func encodedWords(s string) []string {
	const most = 39 // octets, which make 52 characters of base64
	var words []string
	for s != "" {
		n := min(len(s), most)
		for n < len(s) && !utf8.RuneStart(s[n]) {
			n--
		}
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(s[:n]))+"?=")
		s = s[n:]
	}
	return words
}
