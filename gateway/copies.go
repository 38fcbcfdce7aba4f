package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// Letters that were accepted before accounts had mailboxes are filed into them
// afterwards, a few at a time and the oldest first: a sender looks for all his
// letters in Sent, a recipient for his in Received.
const (
	copiesAtOnce  = 20
	copiesTime    = 30 * time.Second // of one step
	settingCopies = "copies"         // in the database once every letter has its copies
)

// copiesDue reports whether letters may lack their copies.
func (g *Gateway) copiesDue(ctx context.Context) (bool, error) {
	_, err := g.DB.Setting(ctx, settingCopies)
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	return false, err
}

// copiesJob is the one of its kind, on whatever node.
func copiesJob(after string, now time.Time) store.Job {
	return store.Job{ID: jobCopies, Kind: jobCopies, Subject: after, Due: now, Created: now}
}

// makeCopies files the next letters. What is filed stays so, whatever dies
// meanwhile. A letter whose bytes are lost or damaged is passed over: fsck names
// it.
func (g *Gateway) makeCopies(ctx context.Context, j *store.Job) (store.Outcome, error) {
	until, last := g.Now().Add(copiesTime), j.Subject
	letters, err := g.DB.WithoutCopies(ctx, last, copiesAtOnce)
	if err != nil {
		return store.Outcome{}, err
	}
	if len(letters) == 0 {
		_, err := g.DB.PutSettingOnce(ctx, settingCopies, "made")
		return store.Outcome{}, err
	}
	for _, id := range letters {
		err := g.copiesOf(ctx, id)
		if errors.Is(err, blob.ErrNotExist) || errors.Is(changed(err), ErrChanged) {
			g.Log.Error("no copies of a letter whose bytes are not there", "submission", id, "error", err)
			err = nil
		}
		if err != nil {
			return store.Outcome{}, fmt.Errorf("copies of %s: %w", id, err)
		}
		failpoint("copies/made")
		if last = id; g.Now().After(until) {
			break
		}
	}
	return store.Outcome{Jobs: []store.Job{copiesJob(last, g.Now())}}, nil
}

// copiesOf files one letter: for its sender, then for each who has received it.
func (g *Gateway) copiesOf(ctx context.Context, id string) error {
	s, err := g.DB.Submission(ctx, id)
	if err != nil {
		return err
	}
	if err := g.Blobs.Verify(ctx, s.Letter.Ref); err != nil { // a copy never changes afterwards
		return err
	}
	sent, err := g.sentAfterwards(ctx, s)
	if err != nil {
		return err
	}
	err = g.DB.AddCopy(ctx, store.Delivery{
		Account: s.Account, Role: store.RoleSent, Mail: *sent, Flags: []string{`\Seen`}, Internal: s.Time,
	})
	if err != nil {
		return err
	}
	rows, err := g.DB.Consignments(ctx, id)
	if err != nil {
		return err
	}
	for _, c := range rows {
		if c.ReceivedBy == "" {
			continue
		}
		received, err := g.receivedCopy(ctx, &c)
		if err != nil {
			return err
		}
		received.ID, received.Submission = c.ID, id
		if err := g.DB.AddCopy(ctx, store.Delivery{Account: c.ReceivedBy, Role: store.RoleReceived, Mail: *received, Internal: c.ReceivedAt}); err != nil {
			return err
		}
	}
	return nil
}

// sentAfterwards is the Sent copy of a letter that was accepted without one.
func (g *Gateway) sentAfterwards(ctx context.Context, s *rem.Submission) (*store.Mail, error) {
	b, err := g.openBlob(ctx, s.Letter.Ref)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	letter, err := message.Parse(b, s.Letter.Ref.Size, message.DefaultLimits())
	if err != nil {
		return nil, err
	}
	m, err := sentCopy(b, s.Letter.Ref, letter)
	if err != nil {
		return nil, err
	}
	m.ID, m.Submission = s.ID, s.ID
	return m, nil
}
