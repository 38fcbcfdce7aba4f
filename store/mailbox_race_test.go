package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestManyHandsOnMailboxes lets sessions change the same mailboxes while
// letters go both ways between their owners: nothing gets lost or counted
// twice, no UID is given out twice, and nobody waits in a circle.
func TestManyHandsOnMailboxes(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		o := newOffice(t, p)
		must(t, o.db.EnsureMailboxes(ctx, o.bob.ID))
		const rounds = 12
		var hands sync.WaitGroup
		hand := func(name string, f func(round int) error) {
			hands.Go(func() {
				for i := range rounds {
					if err := f(i); err != nil {
						t.Errorf("%s, round %d: %v", name, i, err)
						return
					}
				}
			})
		}
		for _, pair := range [][2]User{{o.alice, o.bob}, {o.bob, o.alice}, {o.alice, o.bob}} {
			hand("exchange", func(i int) error { return o.exchange(pair[0], pair[1]) })
		}
		all := []UIDRange{everyUID}
		for _, u := range []User{o.alice, o.bob} {
			sent, trash, received := o.box(t, u, "Sent"), o.box(t, u, "Trash"), o.box(t, u, "Received")
			for _, box := range []*Mailbox{sent, received} {
				hand("throw away", func(int) error {
					_, err := o.db.CopyMessages(ctx, CopyRequest{box.ID, trash.ID, all, true}, ownQuota)
					return err
				})
				hand("look", func(i int) error { return o.watchOut(box.ID) })
			}
			hand("mark", func(i int) error {
				return errors.Join(
					o.db.SetFlags(ctx, FlagChange{trash.ID, all, FlagOp(i % 3), []string{`\Seen`, fmt.Sprint("k", i%4)}}),
					o.db.SetFlags(ctx, FlagChange{sent.ID, all, FlagOp(i % 3), []string{`\Flagged`}}))
			})
			hand("bring back", func(int) error {
				_, err := o.db.CopyMessages(ctx, CopyRequest{trash.ID, sent.ID, all, false}, ownQuota)
				if errors.Is(err, ErrKept) { // received letters among them
					err = nil
				}
				return err
			})
			hand("write", func(i int) error {
				_, err := o.db.AddMail(ctx, ownMail(trash, `\Deleted`), ownQuota)
				return err
			})
			for range 2 {
				hand("expunge", func(int) error {
					_, err := o.db.Expunge(ctx, trash.ID, nil)
					return err
				})
			}
		}
		hands.Wait()
		o.sound(t)
		if pool, ok := o.db.writer.(*pool); ok {
			if n := pool.repeated.Load(); n > 0 {
				t.Errorf("%d transactions were rolled back by the server", n)
			}
		}
		for _, u := range []User{o.alice, o.bob} {
			for _, role := range []Role{RoleSent, RoleReceived} {
				n := o.count(t, fmt.Sprintf("SELECT COUNT(*) FROM mails WHERE account = '%s' AND home = '%s'", u.ID, role))
				if want := map[bool]int{true: 2 * rounds, false: rounds}[(u.ID == o.alice.ID) == (role == RoleSent)]; n != want {
					t.Errorf("%s has %d mails of %s, want %d", u.Email, n, role, want)
				}
			}
		}
	})
}

// exchange sends a letter, notifies and hands it over.
func (o *office) exchange(from, to User) error {
	n := letter(from, o.clock.now(), to.Email)
	n.Sent, n.Jobs = o.sentMail(n), nil
	if err := o.db.AddSubmission(ctx, n); err != nil {
		return err
	}
	c := n.Accepted.Consignments[0]
	if err := o.db.AddJobs(ctx, []Job{{ID: "do-" + c.ID, Kind: c.ID, Subject: c.ID}}); err != nil {
		return err
	}
	j, err := o.db.Claim(ctx, []string{c.ID}, "", "test", time.Minute)
	if err != nil {
		return err
	}
	receipt := func(u User, id string) Delivery {
		return Delivery{Account: u.ID, Role: RoleReceipts, Mail: Mail{ID: id, Head: []byte(id), Size: int64(len(id))}}
	}
	err = o.db.Finish(ctx, j, Outcome{Notified: c.ID, Mails: []Delivery{receipt(from, newID()), receipt(to, newID())}})
	if err != nil {
		return err
	}
	h := handover(c, to, from.Email, o.clock.now())
	h.Received = o.sentMail(n)
	_, err = o.db.AddHandover(ctx, h)
	return err
}

// watchOut follows a mailbox by its changes and compares with reading it anew.
func (o *office) watchOut(mailbox string) error {
	uids, since, err := o.db.MessageUIDs(ctx, mailbox)
	if err != nil {
		return err
	}
	c, err := o.db.MailboxChanges(ctx, mailbox, since)
	if err != nil {
		return err
	}
	for _, gone := range c.Gone {
		if !slices.Contains(uids, gone) {
			return fmt.Errorf("%d is gone, but was not there", gone)
		}
	}
	for _, added := range c.Added {
		if len(uids) > 0 && added <= uids[len(uids)-1] {
			return fmt.Errorf("%d was added after %d", added, uids[len(uids)-1])
		}
	}
	return nil
}
