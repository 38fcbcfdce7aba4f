package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/document"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/gateway/notify"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

const (
	receiptLife = 5 * 24 * time.Hour // how long a receipt is tried at an outside mailbox
	// maxReceiptFile is the largest evidence file that goes into a mail. That of
	// a letter with hundreds of signed files stays below.
	maxReceiptFile = 2 << 20
	// punctual is how late a receipt may be and still bear the event's time as
	// its Date: mail programs show a signature as wrong whose signing time is
	// not about that of the mail.
	punctual = 10 * time.Minute
)

// receiptJobs queue the receipts that an evidence becomes: one mail each, into
// the folder of the letter's sender. They are added in the transaction that
// records the evidence, so that neither is there without the other.
func (g *Gateway) receiptJobs(evidence []rem.Evidence, now time.Time) []store.Job {
	jobs := make([]store.Job, len(evidence))
	for i, e := range evidence {
		jobs[i] = store.Job{ID: jobReceipt + "-" + e.ID, Kind: jobReceipt, Subject: e.ID, Due: now, Created: now}
	}
	return jobs
}

// refusedLetter is the payload of a refusal's receipt: what is known of the
// letter by its header alone, which is not stored otherwise.
type refusedLetter struct{ MessageID, Subject string }

// refusalReceipt is receiptJobs for a refused letter.
func (g *Gateway) refusalReceipt(e rem.Evidence, facts rem.LetterFacts) ([]store.Job, error) {
	payload, err := json.Marshal(refusedLetter{
		MessageID: message.FieldID(facts.MessageID), Subject: cut(facts.Subject, 2000),
	})
	if err != nil {
		return nil, err
	}
	jobs := g.receiptJobs([]rem.Evidence{e}, e.Time)
	jobs[0].Payload = payload
	return jobs, nil
}

func cut(s string, n int) string { return s[:min(len(s), n)] }

// receipt mails the sender the evidence that the job names. The mail's id is
// the evidence's, so whatever dies meanwhile it is delivered once.
func (g *Gateway) receipt(ctx context.Context, j *store.Job) (store.Outcome, error) {
	rows, err := g.DB.Evidence(ctx, store.EvidenceFilter{ID: j.Subject})
	if err != nil {
		return store.Outcome{}, err
	}
	if len(rows) != 1 {
		return store.Outcome{}, fmt.Errorf("receipt of %s: no such evidence", j.Subject)
	}
	if rows[0].Record == nil {
		g.Log.Info("no receipt of an erased record", "evidence", j.Subject)
		return store.Outcome{}, nil
	}
	out, err := g.receiptOf(ctx, rows[0], j.Payload)
	if err != nil {
		return store.Outcome{}, fmt.Errorf("receipt of %s: %w", j.Subject, err)
	}
	failpoint("receipt/composed")
	return out, nil
}

func (g *Gateway) receiptOf(ctx context.Context, row store.EvidenceRow, payload []byte) (out store.Outcome, err error) {
	e, err := evidenceOf(row)
	if err != nil {
		return out, err
	}
	about, err := g.about(ctx, e, payload)
	if err != nil {
		return out, err
	}
	mail, err := g.composeReceipt(row, about)
	if err != nil {
		return out, err
	}
	d, err := ownDelivery(about.sender, mail, store.RoleReceipts)
	if err != nil {
		return out, err
	}
	d.Mail.ID, d.Mail.Submission, d.Internal = e.ID+".receipt", about.submission, e.Time
	out.Mails = []store.Delivery{d}
	if about.sender.ReceiptsOutside && !g.Local(about.sender.Email) {
		out.Jobs = []store.Job{outsideJob(e, about.sender, mail, g.Now())}
	}
	return out, nil
}

// evidenceOf reads a row whose record has not been erased.
func evidenceOf(row store.EvidenceRow) (rem.Evidence, error) {
	e := rem.Evidence{ID: row.ID, Event: row.Event, Time: row.Time, Subject: row.Subject, Attempt: row.Attempt}
	if err := json.Unmarshal(row.Record, &e.Record); err != nil {
		return e, fmt.Errorf("evidence %s: %w", row.ID, err)
	}
	return e, nil
}

// letterAbout is what a receipt says besides its evidence.
type letterAbout struct {
	sender     *store.User
	submission string // "" for a refused letter: there is no such row
	document.Receipt
}

// about gathers what the evidence is about.
func (g *Gateway) about(ctx context.Context, e rem.Evidence, payload []byte) (a letterAbout, err error) {
	a.Receipt = document.Receipt{Evidence: e, Gateway: g.Domain}
	account := ""
	if e.Event == rem.SubmissionRejection {
		r, err := g.DB.Refusal(ctx, e.Subject)
		if err != nil {
			return a, err
		}
		var letter refusedLetter
		if err := json.Unmarshal(payload, &letter); err != nil {
			return a, fmt.Errorf("receipt of %s: payload: %w", e.ID, err)
		}
		account, a.Finding, a.MessageID, a.Subject = r.Account, r.Finding, letter.MessageID, letter.Subject
	} else {
		s, err := g.DB.Submission(ctx, e.Record.Submission)
		if err != nil {
			return a, err
		}
		account, a.submission, a.Finding = s.Account, s.ID, s.Finding
		a.MessageID, a.Subject = message.FieldID(s.Letter.MessageID), s.Letter.Subject
	}
	if e.Event == rem.NotificationForAcceptance {
		c, err := g.DB.Consignment(ctx, e.Subject)
		if err != nil {
			return a, err
		}
		a.Expires = c.Expires
	}
	a.sender, err = g.DB.UserByID(ctx, account)
	return a, err
}

// ownMail is a mail of ours, whole.
type ownMail struct {
	octets []byte
	id     string
}

// composeReceipt writes the receipt and signs it.
func (g *Gateway) composeReceipt(row store.EvidenceRow, a letterAbout) (ownMail, error) {
	file, err := document.EvidenceFile{Gateway: g.Domain, Salt: row.Salt, Record: row.Record, Digest: row.Digest}.JSON()
	if err != nil {
		return ownMail{}, err
	}
	r := a.Receipt
	r.Digest, r.Salt = row.Digest, row.Salt
	m := message.Mail{InReplyTo: r.MessageID, MessageID: g.messageID(row.ID + ".receipt")}
	if len(file) <= maxReceiptFile {
		r.File = row.ID + ".json"
		m.Attachments = []message.Attachment{{Name: r.File, MediaType: "application/json", Content: file}}
	}
	m.Subject, m.Text, m.Date = r.Title(a.sender.Language), r.Text(a.sender.Language), row.Time
	return g.signMail(a.sender, m)
}

// signMail writes a mail of ours to a user, signed with our certificate.
func (g *Gateway) signMail(to *store.User, m message.Mail) (ownMail, error) {
	now := g.Now()
	if now.Sub(m.Date) > punctual {
		m.Date = now
	}
	m.From = message.Address{Name: "Cryptogramm", Mailbox: g.serviceAddress()}
	m.To = []message.Address{{Mailbox: to.Email}}
	m.Subject, m.AutoSubmitted = message.HeaderText(m.Subject), true
	if m.Language = to.Language; m.Language != "ru" && m.Language != "en" {
		m.Language = "ru, en"
	}
	octets, err := message.ComposeSigned(m, func(entity []byte) ([]byte, error) { return g.own.sign(entity, now) })
	return ownMail{octets, m.MessageID}, err
}

// ownDelivery lays a mail of ours into a folder of a user. The caller gives it
// its id and time.
func ownDelivery(to *store.User, m ownMail, role store.Role) (store.Delivery, error) {
	outline, err := message.OutlineOf(bytes.NewReader(m.octets), int64(len(m.octets)))
	if err != nil {
		return store.Delivery{}, fmt.Errorf("outline of %s: %w", m.id, err)
	}
	return store.Delivery{Account: to.ID, Role: role, Mail: store.Mail{
		Account: to.ID, Home: role, Head: m.octets, Size: int64(len(m.octets)), MessageID: m.id, Outline: outline.Encode(),
	}}, nil
}

// outsideJob queues a copy of a receipt for the sender's mailbox outside: the
// same octets, for a signature made again would differ.
func outsideJob(e rem.Evidence, to *store.User, m ownMail, now time.Time) store.Job {
	return store.Job{ID: jobOutside + "-" + e.ID, Kind: jobOutside, Subject: to.ID, Payload: m.octets, Due: now, Created: now}
}

// sendReceipt mails that copy. The receipt lies in his folder here, so giving
// up costs him nothing.
func (g *Gateway) sendReceipt(ctx context.Context, j *store.Job) (store.Outcome, error) {
	user, err := g.DB.UserByID(ctx, j.Subject)
	if err != nil || !user.ReceiptsOutside { // he has changed his mind
		return store.Outcome{}, err
	}
	id := g.messageID(strings.TrimPrefix(j.ID, jobOutside+"-") + ".receipt")
	err = g.Notify.Send(ctx, g.serviceAddress(), user.Email, j.Payload, id)
	failpoint("receipt-mail/after-send")
	var permanent *notify.PermanentError
	if errors.As(err, &permanent) || err != nil && g.Now().Sub(j.Created) >= receiptLife {
		g.Log.Warn("receipt not mailed outside", "job", j.ID, "error", cause(err))
		return store.Outcome{}, nil
	}
	return store.Outcome{}, err
}
