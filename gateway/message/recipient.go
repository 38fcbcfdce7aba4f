package message

import (
	"fmt"
	"strings"
	"time"
)

// RecipientHeader is what a recipient's letter says of itself. Subject and the
// names are outside text. Fields without a value are left out.
type RecipientHeader struct {
	From, To           Address
	Subject, MessageID string
	Date               time.Time
}

// RecipientLetter makes the letter that a recipient gets: our header (From, To,
// Subject, Date, Message-ID, in this order), the submitted MIME-Version and
// Content-* fields byte-exact, a blank line; then the octets of body. So its
// signature verifies as submitted, and no other recipient is named by us.
//
// ErrHeaderValue for an address or id that is none; ErrMalformed when a field
// that must be kept byte-exact has line ends that are not CRLF.
func RecipientLetter(letter *Letter, h RecipientHeader) (header []byte, body Span, err error) {
	var w fieldWriter
	h.From.Name, h.To.Name = HeaderText(h.From.Label()), HeaderText(h.To.Label())
	w.addresses("From", h.From)
	w.addresses("To", h.To)
	w.text("Subject", HeaderText(h.Subject))
	if !h.Date.IsZero() {
		w.date("Date", h.Date)
	}
	w.id("Message-ID", h.MessageID)
	if w.err != nil {
		return nil, Span{}, w.err
	}
	for _, f := range letter.Root.Header {
		if !f.describesContent() {
			continue
		}
		if !f.wellFolded() {
			return nil, Span{}, fmt.Errorf("%w: line ends of the field %s", ErrMalformed, f.Name)
		}
		w.b.WriteString(f.Raw)
	}
	w.b.WriteString("\r\n")
	return w.b.Bytes(), letter.Root.Body, nil
}

func (f Field) describesContent() bool {
	const prefix = "Content-"
	return f.Is("MIME-Version") || len(f.Name) > len(prefix) && strings.EqualFold(f.Name[:len(prefix)], prefix)
}

var folds = strings.NewReplacer("\r\n ", "", "\r\n\t", "")

// wellFolded reports whether the field is one field to every reader: it ends
// with CRLF, and each CRLF within is followed by white space.
func (f Field) wellFolded() bool {
	text, ended := strings.CutSuffix(f.Raw, "\r\n")
	text = folds.Replace(text) // one pass: what is left cannot make a new fold
	return ended && !strings.ContainsAny(text, "\r\n\x00")
}
