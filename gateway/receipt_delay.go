package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/document"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/gateway/notify"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// delayWarning is when a sender is told that a notice is late.
const delayWarning = 4 * time.Hour

// lateNotice is the payload of a jobDelay.
type lateNotice struct {
	Created time.Time // of the notice's job
	Error   string
}

// warnOfDelay queues the warning about a notice that has failed, for when it
// will be late. A warning that waits is left as it is. After it was given every
// failure queues it again, which costs little at a failure an hour, and its
// mail's id sees to it that it is given once.
func (g *Gateway) warnOfDelay(ctx context.Context, j *store.Job, failure error) error {
	if errors.Is(failure, notify.ErrDestinationBusy) { // not tried at all
		return nil
	}
	now, due := g.Now(), j.Created.Add(delayWarning)
	payload, err := json.Marshal(lateNotice{Created: j.Created, Error: cause(failure)})
	if err != nil {
		return err
	}
	err = g.DB.AddJobs(ctx, []store.Job{{
		ID: jobDelay + "-" + j.Subject, Kind: jobDelay, Subject: j.Subject, Payload: payload, Due: due, Created: now,
	}})
	if err != nil {
		return fmt.Errorf("queue delay warning: %w", err)
	}
	return nil
}

// delayed tells the sender that a notice is late, unless it has arrived or
// failed meanwhile. It is a mail and no evidence: nothing has happened.
func (g *Gateway) delayed(ctx context.Context, j *store.Job) (store.Outcome, error) {
	c, err := g.DB.Consignment(ctx, j.Subject)
	if err != nil || c.State != store.StatePending {
		return store.Outcome{}, err
	}
	var late lateNotice
	if err := json.Unmarshal(j.Payload, &late); err != nil {
		return store.Outcome{}, fmt.Errorf("delay of %s: payload: %w", c.ID, err)
	}
	s, err := g.DB.Submission(ctx, c.Submission)
	if err != nil {
		return store.Outcome{}, err
	}
	sender, err := g.DB.UserByID(ctx, s.Account)
	if err != nil {
		return store.Outcome{}, err
	}
	d, err := g.delayMail(sender, s, document.Delay{
		Consignment: c.Consignment, Subject: c.Subject, Sent: c.Time, Now: g.Now(),
		Until: late.Created.Add(noticeLife), LastError: late.Error, Gateway: g.Domain,
	})
	if err != nil {
		return store.Outcome{}, err
	}
	failpoint("receipt/delay-composed")
	return store.Outcome{Mails: []store.Delivery{d}}, nil
}

func (g *Gateway) delayMail(sender *store.User, s *rem.Submission, d document.Delay) (store.Delivery, error) {
	id := d.Consignment.ID + ".delayed"
	mail, err := g.signMail(sender, message.Mail{
		Subject: d.Title(sender.Language), Text: d.Text(sender.Language), Date: d.Now,
		MessageID: g.messageID(id), InReplyTo: message.FieldID(s.Letter.MessageID),
	})
	if err != nil {
		return store.Delivery{}, err
	}
	out, err := ownDelivery(sender, mail, store.RoleReceipts)
	out.Mail.ID, out.Mail.Submission, out.Internal = id, s.ID, d.Now
	return out, err
}
