package gateway

import (
	"context"
	"errors"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/gateway/notify"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// noticeLife is how long a notice is tried before its failure is attested.
const noticeLife = 5 * 24 * time.Hour

// notice tells a recipient that a letter waits for him, with his link (S4.7):
// by mail, or in the mailbox that he has here. The mail's Message-ID is that of
// the evidence it will leave, so a mail sent twice around a crash is the same
// mail. Where the letter has been received since such a crash, its link has
// reached the recipient and is not sent again.
func (g *Gateway) notice(ctx context.Context, j *store.Job) (store.Outcome, error) {
	c, err := g.DB.Consignment(ctx, j.Subject)
	if err != nil {
		return store.Outcome{}, err
	}
	record := rem.Record{Submission: c.Submission, Consignment: c.ID, Sender: c.Sender, Recipient: c.Recipient}
	var inbox []store.Delivery
	if c.ReceivedBy == "" {
		inbox, err = g.notify(ctx, c)
	}
	now := g.Now()
	if err == nil {
		failpoint("notify/after-send")
		evidence := []rem.Evidence{rem.Attest(rem.NotificationForAcceptance, c.ID, 0, now, record)}
		return store.Outcome{Notified: c.ID, Evidence: evidence, Mails: inbox, Jobs: g.receiptJobs(evidence, now)}, nil
	}
	var permanent *notify.PermanentError
	if !errors.As(err, &permanent) && now.Sub(j.Created) < noticeLife {
		return store.Outcome{}, errors.Join(err, g.warnOfDelay(ctx, j, err))
	}
	record.Reason, record.Detail = "notice-not-delivered", cause(err)
	evidence := []rem.Evidence{rem.Attest(rem.NotificationForAcceptanceFailure, c.ID, 0, now, record)}
	return store.Outcome{FailedNotice: c.ID, Evidence: evidence, Jobs: g.receiptJobs(evidence, now)}, nil
}

// notify sends the notice. Where the recipient has a mailbox here it goes there
// and nowhere else: the delivery is for the caller to commit with the evidence.
func (g *Gateway) notify(ctx context.Context, c *store.ConsignmentRow) ([]store.Delivery, error) {
	documents, err := g.DB.Documents(ctx, c.Submission)
	if err != nil {
		return nil, err
	}
	owner, err := g.DB.UserByAddress(ctx, c.Recipient)
	if errors.Is(err, store.ErrNotFound) {
		owner, err = &store.User{}, nil
	}
	if err != nil {
		return nil, err
	}
	n := g.compose(c, documents, owner.Language)
	octets, err := notify.Render(n)
	if err != nil {
		return nil, err
	}
	if !owner.Claimed || !g.Local(c.Recipient) {
		return nil, g.Notify.Send(ctx, g.serviceAddress(), n.To, octets, n.MessageID)
	}
	d, err := ownDelivery(owner, ownMail{octets, n.MessageID}, store.RoleInbox)
	if err != nil {
		return nil, err
	}
	d.Mail.ID, d.Internal = strings.Trim(n.MessageID, "<>"), g.Now()
	return []store.Delivery{d}, g.Notify.Copy(octets, n.MessageID)
}

func (g *Gateway) compose(c *store.ConsignmentRow, documents []rem.Document, language string) notify.Notice {
	n := notify.Notice{
		MessageID: g.messageID(rem.ExpectedID(rem.NotificationForAcceptance, c.ID, 0)),
		From:      message.Address{Mailbox: g.serviceAddress()},
		To:        c.Recipient,
		Sender:    message.Address{Name: c.SenderName, Mailbox: c.Sender},
		Subject:   c.Subject,
		Link:      g.BaseURL + "/l/" + g.LinkToken(c.ID),
		Expires:   c.Expires,
		Date:      c.Time,
		Language:  language,
	}
	for _, d := range documents {
		if !d.Note {
			n.Documents = append(n.Documents, d.Name)
		}
	}
	return n
}

// messageID is the Message-ID of our mail about an evidence, with brackets.
func (g *Gateway) messageID(evidence string) string { return "<" + evidence + "@" + g.Domain + ">" }

// inDomain is what Local is when it is not given.
func (g *Gateway) inDomain(address string) bool {
	return strings.EqualFold(rem.Domain(address), g.Domain)
}

func (g *Gateway) serviceAddress() string { return "cryptogramm@" + g.Domain }
