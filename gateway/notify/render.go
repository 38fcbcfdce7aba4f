package notify

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/message"
)

// product is the name the service goes by where From gives none.
const product = "Cryptogramm"

// How much outside text a mail shows, in characters, and how many files.
const (
	maxName    = 64
	maxSubject = 150
	maxFile    = 120
	maxFiles   = 20
)

// ErrLink means that a link is not an absolute http or https address.
var ErrLink = errors.New("not a link")

// Notice tells one recipient of one consignment.
type Notice struct {
	MessageID string          // with its angle brackets; derived from the evidence to come
	From      message.Address // the gateway's service address; Name is the service's, "Cryptogramm" when empty
	To        string
	Sender    message.Address // who sent the letter; Name is outside text
	Subject   string          // of the letter; outside text
	Documents []string        // names of the files; outside text
	Link      string
	Language  string // "ru", "en"; anything else is both
	Expires   time.Time
	Date      time.Time
}

// Render writes the mail of a notice: 7-bit, CRLF, text with an HTML
// alternative. Errors: ErrLink and those of message.Compose.
func Render(n Notice) ([]byte, error) {
	l := letter{Languages: languages(n.Language), Link: n.Link, ButtonOf: func(w *words) string { return w.Open }}
	documents := len(n.Documents) > 0
	for _, w := range l.Languages {
		b := block{Lang: w.Lang, Opening: []string{w.OpeningLetter, w.Checked}}
		if documents {
			b.Opening[0] = w.OpeningDocuments
		}
		b.Notes = []string{w.Free, w.NotReceipt, fmt.Sprintf(w.Site, host(n.Link)), fmt.Sprintf(w.Until, w.date(n.Expires))}
		if n.answerable() {
			b.Notes = append(b.Notes, w.ReplyTo)
		}
		b.Notes = append(b.Notes, w.Unexpected)
		l.Blocks = append(l.Blocks, b)
	}
	l.row(func(w *words) string { return w.Sender }, n.Sender.Mailbox, inert(n.Sender.Name, maxName))
	l.row(func(w *words) string { return w.Subject }, inert(n.Subject, maxSubject), "")
	if documents {
		l.row(func(w *words) string { return w.Files }, fmt.Sprint(len(n.Documents)), "")
	}
	l.files(n.Documents)
	subject := l.join(func(w *words) string { return w.SubjectLetter })
	if documents {
		subject = l.join(func(w *words) string { return w.SubjectDocuments })
	}
	if s := inert(n.Subject, maxSubject); s != "" {
		subject += ": " + s
	}
	m := message.Mail{
		From: n.from(l.Languages), To: []message.Address{{Mailbox: n.To}},
		Subject: subject, MessageID: n.MessageID, Date: n.Date,
	}
	if n.answerable() {
		m.ReplyTo = message.Address{Name: inert(n.Sender.Label(), maxName), Mailbox: n.Sender.Mailbox}
	}
	return l.compose(m)
}

// answerable: a sender's address beyond ASCII in the header would keep the
// notice from every recipient whose server knows ASCII only (RFC 6531 §3.2).
// Such a notice names him in its text alone.
func (n Notice) answerable() bool {
	sender, _ := message.CanonicalAddress(n.Sender.Mailbox)
	return !beyondASCII([]byte(sender)) || beyondASCII([]byte(n.To))
}

// host is the name under which a link leads to the gateway, for readers to
// compare. What is no link has none; compose refuses it.
func host(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	return u.Host
}

// from is the service's own address under the sender's name. A name that holds
// an address of its own would be taken for the address: then the address that
// was checked stands in its place.
func (n Notice) from(list []*words) message.Address {
	name := inert(n.Sender.Label(), maxName)
	if name == "" {
		name = n.Sender.Mailbox
	}
	via := english().Via
	if len(list) == 1 {
		via = list[0].Via
	}
	return message.Address{Name: fmt.Sprintf(via, name, service(n.From)), Mailbox: n.From.Mailbox}
}

func service(a message.Address) string {
	if a.Name == "" {
		return product
	}
	return a.Name
}

// letter is the content of a mail before it is text and HTML. With two
// languages the words stand twice and the facts, and the link, once.
type letter struct {
	Languages []*words
	Blocks    []block
	Rows      []row
	Files     []string
	More      string // how many files are not named
	Link      string
	ButtonOf  func(*words) string
}

type block struct {
	Lang           string
	Opening, Notes []string
}

type row struct{ Label, Value, Note string }

func (l *letter) row(label func(*words) string, value, note string) {
	if value != "" {
		l.Rows = append(l.Rows, row{l.join(label), value, note})
	}
}

func (l *letter) files(names []string) {
	for i, n := range names {
		if i == maxFiles {
			rest := len(names) - maxFiles
			l.More = l.join(func(w *words) string { return fmt.Sprintf(w.More, rest) })
			return
		}
		l.Files = append(l.Files, inert(n, maxFile))
	}
}

// join puts a word of every language side by side, once where they agree.
func (l *letter) join(word func(*words) string) string {
	var list []string
	for _, w := range l.Languages {
		if s := word(w); len(list) == 0 || list[0] != s {
			list = append(list, s)
		}
	}
	return strings.Join(list, " / ")
}

// Button is the label of the link.
func (l *letter) Button() string { return l.join(l.ButtonOf) }

//go:embed mail.html
var page string

var mailTemplate = template.Must(template.New("mail").Parse(page))

func (l *letter) compose(m message.Mail) ([]byte, error) {
	u, err := url.Parse(l.Link)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || strings.ContainsAny(l.Link, " <>\"\t\r\n") {
		return nil, fmt.Errorf("%w of %d octets", ErrLink, len(l.Link)) // never the link itself: it is a secret
	}
	var html bytes.Buffer
	if err := mailTemplate.Execute(&html, l); err != nil {
		return nil, fmt.Errorf("write mail %s: %w", m.MessageID, err)
	}
	m.AutoSubmitted, m.Language = true, l.language()
	m.Text, m.HTML = l.text(), html.String()
	mail, err := message.Compose(m)
	if err != nil {
		return nil, fmt.Errorf("compose mail %s: %w", m.MessageID, err)
	}
	return mail, nil
}

func (l *letter) language() string {
	var list []string
	for _, w := range l.Languages {
		list = append(list, w.Lang)
	}
	return strings.Join(list, ", ")
}

func (l *letter) text() string {
	var b strings.Builder
	paragraph := func(s string) { b.WriteString(s + "\n\n") }
	for _, k := range l.Blocks {
		for _, s := range k.Opening {
			paragraph(s)
		}
	}
	for _, r := range l.Rows {
		b.WriteString(r.Label + ": " + r.Value)
		if r.Note != "" {
			b.WriteString(" (" + r.Note + ")")
		}
		b.WriteByte('\n')
	}
	for _, f := range l.Files {
		b.WriteString("  - " + f + "\n")
	}
	if l.More != "" {
		b.WriteString("  " + l.More + "\n")
	}
	paragraph("\n" + l.Button() + ":\n" + l.Link)
	for _, k := range l.Blocks {
		for _, s := range k.Notes {
			paragraph(s)
		}
	}
	b.WriteString("-- \n" + product + "\n")
	return b.String()
}
