package notify

import (
	"fmt"
	"slices"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/message"
)

// AccountMail is about somebody's own account: it brings a link to the owner of
// an address.
type AccountMail struct {
	MessageID string
	From      message.Address
	To        string
	Link      string
	Language  string
	Expires   time.Time // of the link; zero leaves the line out
	Date      time.Time
}

// RenderRegistration writes the mail of a registration.
func RenderRegistration(m AccountMail) ([]byte, error) {
	return m.render(accountWords{
		subject: func(w *words) string { return w.RegisterSubject },
		button:  func(w *words) string { return w.Continue },
		block: func(w *words) block {
			return block{Opening: []string{w.RegisterOpening}, Notes: []string{w.RegisterOnce, m.until(w), w.RegisterUnexpected}}
		},
	})
}

// RenderReset writes the mail with the link to a new password.
func RenderReset(m AccountMail) ([]byte, error) {
	return m.render(accountWords{
		subject: func(w *words) string { return w.ResetSubject },
		button:  func(w *words) string { return w.NewPassword },
		block: func(w *words) block {
			return block{Opening: []string{w.ResetOpening}, Notes: []string{w.RegisterOnce, m.until(w), w.ResetEnds, w.ResetUnexpected}}
		},
	})
}

// RenderPasswordChanged writes the mail that tells of a new password. Its link
// leads to where another one can be asked for.
func RenderPasswordChanged(m AccountMail) ([]byte, error) {
	return m.render(accountWords{
		subject: func(w *words) string { return w.ChangedSubject },
		button:  func(w *words) string { return w.AnotherPassword },
		block: func(w *words) block {
			return block{Opening: []string{fmt.Sprintf(w.ChangedOpening, w.date(m.Date)), w.ChangedEnds}, Notes: []string{w.ChangedUnexpected}}
		},
	})
}

// accountWords chooses what an AccountMail says.
type accountWords struct {
	subject, button func(*words) string
	block           func(*words) block
}

func (m AccountMail) render(say accountWords) ([]byte, error) {
	l := letter{Languages: languages(m.Language), Link: m.Link, ButtonOf: say.button}
	for _, w := range l.Languages {
		b := say.block(w)
		b.Lang = w.Lang
		b.Notes = slices.DeleteFunc(b.Notes, func(s string) bool { return s == "" })
		l.Blocks = append(l.Blocks, b)
	}
	l.row(func(w *words) string { return w.Address }, m.To, "")
	return l.compose(message.Mail{
		From: message.Address{Name: service(m.From), Mailbox: m.From.Mailbox},
		To:   []message.Address{{Mailbox: m.To}}, MessageID: m.MessageID, Date: m.Date,
		Subject: l.join(say.subject),
	})
}

// until says how long the link works, "" where that is not known.
func (m AccountMail) until(w *words) string {
	if m.Expires.IsZero() {
		return ""
	}
	return fmt.Sprintf(w.RegisterUntil, w.date(m.Expires))
}
