package judge

import (
	"io"
	"strings"

	"cryptogramm.ru/cryptogramm/gateway/message"
)

// maxMargin is how long text outside the parts may be to be boilerplate.
const maxMargin = 512

// boilerplate is what mail programs write before the first part for readers
// without MIME, in lower case without its full stop. It is shown nowhere.
func boilerplate() []string {
	return []string{
		"this is an s/mime signed message",                          // OpenSSL
		"this is a s/mime signed message",                           // S-nail
		"this is a cryptographically signed message in mime format", // Mozilla
		"this is a multi-part message in mime format",
		"this is a multipart message in mime format", // Outlook
		"this is a message with multiple parts in mime format",
		"this is a mime-encapsulated message",
		"this is a mime-formatted message",
		"this message is in mime format",
		"this is a mime-formatted message. if you see this text it means that your e-mail software does not support mime-formatted messages",
		"this message is in mime format. since your mail reader does not understand this format, some or all of this message may not be legible",
	}
}

// margin notes text before the first and after the last delimiter of a
// multipart that no signature covers. MIME says that it is not shown
// (RFC 2046 §5.1.1); mailing lists and some mail programs do otherwise.
func (j *judgement) margin(s scope, p *message.Part) error {
	if len(s.cover) > 0 {
		return nil
	}
	before, err := marginText(s.letter, p.Prologue)
	if err != nil {
		return err
	}
	if before != "" && !isBoilerplate(before) {
		j.margins = append(j.margins, "text before the first part of "+where(s.path(p)))
	}
	after, err := marginText(s.letter, p.Epilogue)
	if err != nil {
		return err
	}
	if after != "" {
		j.margins = append(j.margins, "text after the last part of "+where(s.path(p)))
	}
	return nil
}

// marginText is the text of a span with its white space folded; only its
// beginning when it is long. Leading space may be as long as it likes.
func marginText(l *message.Letter, span message.Span) (string, error) {
	r := l.Raw(span)
	buf := make([]byte, min(span.Length+1, 4096))
	var text strings.Builder
	for text.Len() <= maxMargin {
		n, err := r.Read(buf)
		for _, word := range strings.Fields(string(buf[:n])) {
			text.WriteString(word + " ")
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return strings.TrimSpace(text.String()), nil
}

func isBoilerplate(text string) bool {
	text = strings.TrimRight(strings.ToLower(text), ". ")
	for _, known := range boilerplate() {
		if text == known {
			return true
		}
	}
	return false
}
