package message

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"
)

// Mail is a letter of ours. Text and HTML are UTF-8 with any line ends; one of
// them must be there. A Message-ID may lack its angle brackets.
type Mail struct {
	From, ReplyTo      Address // ReplyTo may be zero
	To                 []Address
	Subject, MessageID string
	Date               time.Time
	InReplyTo          string // Message-ID, or ""
	AutoSubmitted      bool   // RFC 3834: nobody is to answer by machine
	Language           string // RFC 5646 tags, comma separated, or ""
	Text, HTML         string
	Attachments        []Attachment
}

// Attachment is a file of a Mail. MediaType is "type/subtype", neither
// multipart nor message; Name has at most 255 octets.
type Attachment struct {
	Name, MediaType string
	Content         []byte
}

// Compose writes a letter: 7-bit, CRLF, the same octets for the same Mail. Its
// header fields are, in this order and as far as they have a value: From,
// Reply-To, To, Subject, Date, Message-ID, In-Reply-To, References,
// Auto-Submitted, Content-Language, MIME-Version, Content-Type,
// Content-Transfer-Encoding. ErrHeaderValue for a value that could become
// anything else, or an address, id, date or body that is missing.
func Compose(m Mail) ([]byte, error) {
	header, err := m.header()
	if err != nil {
		return nil, err
	}
	body, err := m.content(textEntity)
	if err != nil {
		return nil, err
	}
	return append(header, body...), nil
}

// header is every field of the letter but those of its entity.
func (m Mail) header() ([]byte, error) {
	var w fieldWriter
	if len(m.To) == 0 || m.Date.IsZero() || m.Text == "" && m.HTML == "" {
		return nil, fmt.Errorf("%w: a letter needs To, Date and a text", ErrHeaderValue)
	}
	if len(m.To) > DefaultLimits().Addresses {
		return nil, fmt.Errorf("%w: more than %d addresses", ErrHeaderValue, DefaultLimits().Addresses)
	}
	w.addresses("From", m.From)
	if m.ReplyTo != (Address{}) {
		w.addresses("Reply-To", m.ReplyTo)
	}
	w.addresses("To", m.To...)
	w.text("Subject", m.Subject)
	w.date("Date", m.Date)
	w.id("Message-ID", m.MessageID)
	w.id("In-Reply-To", m.InReplyTo)
	w.id("References", m.InReplyTo)
	if m.AutoSubmitted {
		w.text("Auto-Submitted", "auto-generated")
	}
	if strings.Trim(m.Language, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-, ") != "" {
		w.fail("Content-Language", "is no list of language tags")
	}
	w.text("Content-Language", m.Language)
	w.text("MIME-Version", "1.0")
	return w.b.Bytes(), w.err
}

// content is the entity of the letter: Content-* fields, blank line, body.
func (m Mail) content(text func(subtype, text string) []byte) ([]byte, error) {
	var alternatives [][]byte
	if m.Text != "" {
		alternatives = append(alternatives, text("plain", m.Text))
	}
	if m.HTML != "" {
		alternatives = append(alternatives, text("html", m.HTML))
	}
	body := alternatives[0]
	if len(alternatives) > 1 {
		body = multipartEntity("alternative", alternatives)
	}
	if len(m.Attachments) == 0 {
		return body, nil
	}
	parts := [][]byte{body}
	for _, a := range m.Attachments {
		e, err := a.entity()
		if err != nil {
			return nil, err
		}
		parts = append(parts, e)
	}
	return multipartEntity("mixed", parts), nil
}

// textEntity writes text as it is when that is 7-bit lines, else
// quoted-printable: a link stays in sight either way.
func textEntity(subtype, text string) []byte {
	text = mailText(text)
	var b bytes.Buffer
	b.Grow(2*len(text) + 100)
	b.WriteString("Content-Type: text/" + subtype + "; charset=utf-8\r\n")
	if sevenBit(text) {
		b.WriteString("Content-Transfer-Encoding: 7bit\r\n\r\n" + text)
		return b.Bytes()
	}
	b.WriteString("Content-Transfer-Encoding: quoted-printable\r\n\r\n")
	b.Write(quotedPrintable(text))
	return b.Bytes()
}

// mailText is text of valid UTF-8 whose every line ends with CRLF.
func mailText(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\r\n", "\n")
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r", "\n"), "\n", "\r\n")
	if !strings.HasSuffix(text, "\r\n") {
		text += "\r\n"
	}
	return text
}

func quotedPrintable(text string) []byte {
	var b bytes.Buffer
	b.Grow(2 * len(text))
	q := quotedprintable.NewWriter(&b) // a bytes.Buffer does not fail
	_, _ = q.Write([]byte(text))
	_ = q.Close()
	return b.Bytes()
}

// sevenBit is RFC 2045 §2.7 without control characters.
func sevenBit(text string) bool {
	for _, line := range strings.Split(text, "\r\n") {
		if len(line) > 998 || strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }) {
			return false
		}
	}
	return true
}

// multipartEntity joins parts. The boundary is a hash of them, so it is the
// same each time and none of them can hold it.
func multipartEntity(subtype string, parts [][]byte) []byte {
	h := sha256.New()
	size := 300
	for _, p := range parts {
		h.Write(p)
		size += len(p) + 50
	}
	boundary := "=_" + hex.EncodeToString(h.Sum(nil)[:16])
	var b bytes.Buffer
	b.Grow(size)
	b.WriteString("Content-Type: multipart/" + subtype + ";\r\n boundary=\"" + boundary + "\"\r\n\r\n")
	for _, p := range parts {
		b.WriteString("--" + boundary + "\r\n")
		b.Write(p)
		b.WriteString("\r\n")
	}
	b.WriteString("--" + boundary + "--\r\n")
	return b.Bytes()
}

func (a Attachment) entity() ([]byte, error) {
	kind, sub, _ := strings.Cut(strings.ToLower(a.MediaType), "/")
	if !isToken(kind) || !isToken(sub) || kind == "multipart" || kind == "message" || len(kind)+len(sub) > 250 {
		return nil, fmt.Errorf("%w: an attachment of type %s", ErrHeaderValue, quoted(a.MediaType))
	}
	if !fits(a.Name) || len(a.Name) > 255 {
		return nil, fmt.Errorf("%w: the file name %s", ErrHeaderValue, quoted(a.Name))
	}
	disposition := "attachment"
	if a.Name != "" {
		disposition = mime.FormatMediaType("attachment", map[string]string{"filename": a.fileName()})
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "Content-Type: %s/%s\r\nContent-Disposition: %s\r\nContent-Transfer-Encoding: base64\r\n\r\n", kind, sub, disposition)
	writeBase64(&b, a.Content)
	return b.Bytes(), nil
}

// writeBase64 writes lines of 76 letters (RFC 2045 §6.8).
func writeBase64(b *bytes.Buffer, content []byte) {
	text := base64.StdEncoding.EncodeToString(content)
	b.Grow(len(text) + len(text)/38 + 4)
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	b.WriteString(text + "\r\n")
}

// fileName keeps readers from decoding encoded words in a quoted name.
func (a Attachment) fileName() string { return strings.ReplaceAll(a.Name, "=?", "= ?") }
