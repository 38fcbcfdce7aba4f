package notify

import (
	"regexp"
	"strings"

	"cryptogramm.ru/cryptogramm/gateway/message"
)

// www is what mail programs turn into links besides addresses with a scheme.
var www = regexp.MustCompile(`(?i)www\.`)

// inert makes outside text fit for a mail of ours: on one line, invisible
// characters visible, at most n characters, no links that a mail program would
// make clickable, and no text that another program would decode again as an
// encoded word (RFC 2047).
func inert(s string, n int) string {
	s = cut(s, n)
	s = message.SafeDisplay(s)
	s = strings.ReplaceAll(s, "://", "[:]//")
	s = strings.ReplaceAll(s, "=?", "= ?")
	s = www.ReplaceAllStringFunc(s, func(m string) string { return m[:3] + "[.]" })
	return strings.TrimSpace(s)
}

// cut keeps the first n characters; octets that are not UTF-8 count as one
// replacement character each.
func cut(s string, n int) string {
	count := 0
	for i := range s {
		if count == n {
			return strings.ToValidUTF8(s[:i], "\ufffd") + "…"
		}
		count++
	}
	return strings.ToValidUTF8(s, "\ufffd")
}
