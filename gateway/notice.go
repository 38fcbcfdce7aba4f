package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/gateway/notify"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// noticeLife is how long a notice is tried before its failure is attested.
const noticeLife = 5 * 24 * time.Hour

// notice mails a recipient his link (S4.7). The mail's Message-ID is that of
// the evidence it will leave, so a mail sent twice around a crash is the same
// mail. Where the letter has been received since such a crash, its link has
// reached the recipient and is not sent again.
func (g *Gateway) notice(ctx context.Context, j *store.Job) (store.Outcome, error) {
	c, err := g.DB.Consignment(ctx, j.Subject)
	if err != nil {
		return store.Outcome{}, err
	}
	record := rem.Record{Submission: c.Submission, Consignment: c.ID, Sender: c.Sender, Recipient: c.Recipient}
	if c.ReceivedBy == "" {
		err = g.notify(ctx, c)
	}
	now := g.Now()
	if err == nil {
		failpoint("notify/after-send")
		return store.Outcome{
			Notified: c.ID,
			Evidence: []rem.Evidence{rem.Attest(rem.NotificationForAcceptance, c.ID, 0, now, record)},
		}, nil
	}
	var permanent *notify.PermanentError
	if !errors.As(err, &permanent) && now.Sub(j.Created) < noticeLife {
		return store.Outcome{}, err
	}
	record.Reason, record.Detail = "notice-not-delivered", cause(err)
	return store.Outcome{
		FailedNotice: c.ID,
		Evidence:     []rem.Evidence{rem.Attest(rem.NotificationForAcceptanceFailure, c.ID, 0, now, record)},
	}, nil
}

func (g *Gateway) notify(ctx context.Context, c *store.ConsignmentRow) error {
	documents, err := g.DB.Documents(ctx, c.Submission)
	if err != nil {
		return err
	}
	n := g.compose(ctx, c, documents)
	mail, err := notify.Render(n)
	if err != nil {
		return err
	}
	return g.Notify.Send(ctx, g.serviceAddress(), n.To, mail, n.MessageID)
}

func (g *Gateway) compose(ctx context.Context, c *store.ConsignmentRow, documents []rem.Document) notify.Notice {
	n := notify.Notice{
		MessageID: g.messageID(rem.ExpectedID(rem.NotificationForAcceptance, c.ID, 0)),
		From:      message.Address{Mailbox: g.serviceAddress()},
		To:        c.Recipient,
		Sender:    message.Address{Name: c.SenderName, Mailbox: c.Sender},
		Subject:   c.Subject,
		Link:      g.BaseURL + "/l/" + g.LinkToken(c.ID),
		Expires:   c.Expires,
		Date:      c.Time,
	}
	for _, d := range documents {
		if !d.Note {
			n.Documents = append(n.Documents, d.Name)
		}
	}
	if u, err := g.DB.UserByAddress(ctx, c.Recipient); err == nil {
		n.Language = u.Language
	}
	return n
}

// messageID is the Message-ID of our mail about an evidence, with brackets.
func (g *Gateway) messageID(evidence string) string { return "<" + evidence + "@" + g.Domain + ">" }

func (g *Gateway) serviceAddress() string { return "cryptogramm@" + g.Domain }

// registration is the payload of a jobRegister. It lies in the queue only
// until the mail is out.
type registration struct {
	Address, Token, Language string
	Time                     time.Time
}

// Register mails a registration link to an address (S3.2a). Its answer does
// not tell whether the address has an account.
func (g *Gateway) Register(ctx context.Context, address, language, peer string) error {
	token, err := g.Accounts.BeginRegistration(ctx, address, language, peer)
	if err != nil || token == "" {
		return err
	}
	now := g.Now()
	payload, err := json.Marshal(registration{address, token, language, now})
	if err != nil {
		return err
	}
	id := rem.DigestOf([]byte(token)).String()
	return g.DB.AddJobs(ctx, []store.Job{{
		ID: jobRegister + "-" + id, Kind: jobRegister, Subject: id, Payload: payload, Due: now, Created: now,
	}})
}

func (g *Gateway) sendRegistration(ctx context.Context, j *store.Job) (store.Outcome, error) {
	var r registration
	if err := json.Unmarshal(j.Payload, &r); err != nil {
		return store.Outcome{}, fmt.Errorf("registration payload: %w", err)
	}
	id := g.messageID(j.Subject[:26])
	mail, err := notify.RenderRegistration(notify.Registration{
		MessageID: id, From: message.Address{Mailbox: g.serviceAddress()}, To: r.Address,
		Link: g.BaseURL + "/register/" + r.Token, Language: r.Language, Expires: r.Time.Add(account.RegistrationLife), Date: r.Time,
	})
	if err == nil {
		err = g.Notify.Send(ctx, g.serviceAddress(), r.Address, mail, id)
	}
	var permanent *notify.PermanentError
	if errors.As(err, &permanent) || g.Now().Sub(j.Created) > 24*time.Hour {
		g.Log.Warn("registration mail given up", "job", j.ID, "error", err)
		return store.Outcome{}, nil
	}
	return store.Outcome{}, err
}
