package message

import (
	"net/mail"
	"slices"
	"strings"
	"time"
)

// Notes of Part.Ambiguous: what mail programs read differently.
const (
	noteJunk       = "a header line that is not a field"
	noteSpaced     = "white space before the colon of a header field"
	notePrefix     = "a line begins with the boundary without being its delimiter"
	noteReopened   = "the boundary occurs again after the end of its multipart"
	noteShared     = "two multiparts within one another have the same boundary"
	noteType       = "a Content-Type that cannot be read"
	noteEncoding   = "a Content-Transfer-Encoding that cannot be read"
	noteBlank      = "a field of the content with a blank line inside"
	noteEncoded    = "a multipart with a transfer encoding"
	noteBoundary   = "a boundary written in a form that programs read differently"
	noteDuplicates = "more than one field "
)

func (p *Part) note(s string) {
	if !slices.Contains(p.Ambiguous, s) {
		p.Ambiguous = append(p.Ambiguous, s)
	}
}

func (p *Part) noteDuplicates(names ...string) {
	for _, name := range names {
		if p.Header.Count(name) > 1 {
			p.note(noteDuplicates + name)
		}
	}
}

// describe fills in what the header says of the part (RFC 2045, RFC 2183).
func (p *Part) describe(raw, fallback string, maxParams int) error {
	p.Header, p.Ambiguous = splitHeader(raw)
	p.noteDuplicates("Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "MIME-Version")
	p.noteBlankLines()
	if err := p.describeType(fallback, maxParams); err != nil {
		return err
	}
	disposition, err := parseStructured(p.Header.Get("Content-Disposition"), maxParams)
	if err != nil {
		return err
	}
	p.Disposition = disposition.value
	for _, name := range []string{disposition.params["filename"], p.Params["name"]} {
		if p.FileName = name; name != "" {
			break
		}
	}
	p.HiddenName = p.FileName == "" && (mentionsName(p.Header.Get("Content-Type")) || mentionsName(p.Header.Get("Content-Disposition")))
	p.describeEncoding()
	return nil
}

// mentionsName reports whether a field without a readable file name has the
// word in it all the same: a section without the first, a parameter of the
// other field, a parameter that is none. An empty name is nobody's name.
func mentionsName(value string) bool {
	value = strings.ToLower(value)
	for _, empty := range []string{`filename=""`, `name=""`} {
		value = strings.ReplaceAll(value, empty, "")
	}
	return strings.Contains(value, "name")
}

// noteBlankLines looks for folds of nothing but white space (RFC 5322 §4.2) in
// the fields that say what the part is: some programs end the header there.
func (p *Part) noteBlankLines() {
	for _, f := range p.Header {
		if !f.describesContent() {
			continue
		}
		_, folds, _ := strings.Cut(strings.TrimRight(f.Raw, "\r\n"), "\n")
		for line := range strings.SplitSeq(folds, "\n") {
			if folds != "" && strings.Trim(line, " \t\r") == "" {
				p.note(noteBlank)
			}
		}
	}
}

// describeType reads Content-Type. One that cannot be read counts as absent
// (RFC 2045 §5.2).
func (p *Part) describeType(fallback string, maxParams int) error {
	p.MediaType, p.Params = fallback, map[string]string{}
	if p.Header.Count("Content-Type") == 0 {
		return nil
	}
	t, err := parseStructured(p.Header.Get("Content-Type"), maxParams)
	if err != nil {
		return err
	}
	kind, sub, ok := strings.Cut(t.value, "/")
	if !ok || !isToken(kind) || !isToken(sub) {
		p.note(noteType)
		return nil
	}
	p.MediaType, p.Params = t.value, t.params
	if p.Multipart() && (t.doubt || t.doubtful["boundary"]) {
		p.note(noteBoundary)
	}
	return nil
}

// describeEncoding reads Content-Transfer-Encoding (RFC 2045 §6). An unknown
// one is kept: reading the part will then be an error.
func (p *Part) describeEncoding() {
	p.Encoding = "7bit"
	if p.Header.Count("Content-Transfer-Encoding") == 0 {
		return
	}
	text := p.Header.Get("Content-Transfer-Encoding")
	value := strings.ToLower(dropComments(text))
	if !isToken(value) {
		p.note(noteEncoding)
		value = "unreadable"
	}
	p.Encoding = value
	if p.Multipart() && value != "7bit" && value != "8bit" && value != "binary" {
		p.note(noteEncoded) // RFC 2045 §6.4 forbids it, some programs decode it
	}
}

func isMultipart(mediaType string) bool { return strings.HasPrefix(mediaType, "multipart/") }

// validBoundary is that of RFC 2046 §5.1.1, with any printable character and
// more length, as is met.
func validBoundary(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= 200 && s[len(s)-1] != ' '
}

// readEnvelope fills in the letter's own fields.
func (l *Letter) readEnvelope(maxAddresses int) error {
	h := l.Root.Header
	// RFC 5322 §3.6; From is counted apart.
	l.Root.noteDuplicates("Subject", "Date", "Sender", "Reply-To", "To", "Cc", "Message-ID")
	room := maxAddresses
	for _, f := range h.All("From") {
		l.FromFields++
		list, err := parseMailboxes(f.Value(), &room)
		if err != nil {
			l.FromError = err
			continue
		}
		l.From = append(l.From, list...)
	}
	for _, f := range h {
		switch {
		case f.Is("To"):
			l.To = append(l.To, readableMailboxes(f.Value(), &room)...)
		case f.Is("Cc"):
			l.Cc = append(l.Cc, readableMailboxes(f.Value(), &room)...)
		}
	}
	if room < 0 {
		return errTooManyAddresses(maxAddresses)
	}
	l.Subject = DecodeHeader(h.Get("Subject"))
	if id := h.Get("Message-ID"); validMessageID(id) {
		l.MessageID = id
	}
	l.Date = parseDate(h.Get("Date"))
	return nil
}

// validMessageID accepts what is written in the field in practice: printable
// ASCII within angle brackets (RFC 5322 §3.6.4 wants an @ inside).
func validMessageID(s string) bool {
	if len(s) < 3 || len(s) > 998 || s[0] != '<' || s[len(s)-1] != '>' {
		return false
	}
	return !strings.ContainsFunc(s[1:len(s)-1], func(r rune) bool {
		return r <= ' ' || r > '~' || r == '<' || r == '>'
	})
}

// parseDate is the zero time for what is not a date of RFC 5322 §3.3.
func parseDate(s string) time.Time {
	t, err := mail.ParseDate(s)
	if err != nil {
		return time.Time{}
	}
	t = t.UTC().Truncate(time.Microsecond)
	if t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}
