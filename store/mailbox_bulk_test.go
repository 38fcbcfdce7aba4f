package store

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// TestLongOutlines: an outline of unusual length is kept once, however often
// its mail is copied, and is read from every copy.
func TestLongOutlines(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		o := newOffice(t, p)
		drafts := o.box(t, o.alice, "Drafts")
		for _, n := range []int{0, 1, 2048, 2049, 300_000} {
			m := ownMail(drafts)
			m.Mail.Outline = bytes.Repeat([]byte("o"), n)
			got[Appended](t)(o.db.AddMail(ctx, m, ownQuota))
		}
		got[Copied](t)(o.db.CopyMessages(ctx, CopyRequest{From: drafts.ID, To: drafts.ID, UIDs: []UIDRange{everyUID}}, ownQuota))
		q := MessageQuery{Mailbox: drafts.ID, Ranges: []UIDRange{everyUID}, Limit: 100}
		for _, q.Want = range []Want{WantOutline, WantOutline | WantMail} {
			var have []int
			for _, m := range got[[]Message](t)(o.db.Messages(ctx, q)) {
				have = append(have, len(m.Outline))
			}
			if !slices.Equal(have, []int{0, 1, 2048, 2049, 300_000, 0, 1, 2048, 2049, 300_000}) {
				t.Errorf("%v", have)
			}
		}
		if n := o.count(t, "SELECT CAST(SUM(LENGTH(outline)) AS BIGINT) FROM outlines"); n != 2*2049 {
			t.Errorf("outlines of %d octets beside the messages", n)
		}
		o.sound(t)
	})
}

// TestMessagesByOctets: an answer ends with the message that fills it up, and
// is known not to be all.
func TestMessagesByOctets(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		o := newOffice(t, p)
		drafts := o.box(t, o.alice, "Drafts")
		for range 10 {
			m := ownMail(drafts)
			m.Mail.Outline = bytes.Repeat([]byte("o"), 10_000)
			got[Appended](t)(o.db.AddMail(ctx, m, ownQuota))
		}
		q := MessageQuery{Mailbox: drafts.ID, Want: WantOutline, Limit: 8, Octets: 25_000}
		var pages []int
		for last := uint32(0); ; {
			q.Ranges = []UIDRange{{last + 1, 1<<32 - 1}}
			page := got[[]Message](t)(o.db.Messages(ctx, q))
			pages = append(pages, len(page))
			if !q.Full(page) {
				break
			}
			last = page[len(page)-1].UID
		}
		if !slices.Equal(pages, []int{3, 3, 3, 1}) {
			t.Errorf("pages of %v", pages)
		}
		q.Octets = 1
		if n := len(got[[]Message](t)(o.db.Messages(ctx, q))); n != 0 {
			t.Errorf("%d after the last", n)
		}
		q.Ranges = []UIDRange{{1, 1}, {3, 3}, {5000, 5000}}
		if page := got[[]Message](t)(o.db.Messages(ctx, q)); len(page) != 1 || !q.Full(page) {
			t.Errorf("%d, full: %v", len(page), q.Full(page))
		}
	})
}

// TestCopyManyIntoItself copies more messages than one piece holds: each once,
// in order, or when there is no room for all of them none.
func TestCopyManyIntoItself(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		o := newOffice(t, p)
		drafts := o.box(t, o.alice, "Drafts")
		o.put(t, drafts, "mark")
		all := CopyRequest{From: drafts.ID, To: drafts.ID, UIDs: []UIDRange{everyUID}}
		n := uint32(1)
		for ; n < 2*manyMessages; n *= 2 {
			c := got[Copied](t)(o.db.CopyMessages(ctx, all, ownQuota))
			if len(c.Source) != int(n) || c.Source[n-1] != n || c.Dest[0] != n+1 || c.Dest[n-1] != 2*n {
				t.Fatalf("of %d: %d, %v to %v", n, len(c.Source), c.Source[n-1], c.Dest[n-1])
			}
		}
		quota := ownQuota
		quota.Messages = int(n) + manyMessages + 1
		before := got[MailboxStatus](t)(o.db.MailboxStatus(ctx, drafts.ID))
		c, err := o.db.CopyMessages(ctx, all, quota)
		after := got[MailboxStatus](t)(o.db.MailboxStatus(ctx, drafts.ID))
		if !errors.Is(err, ErrQuota) || after != before || len(c.Source) > 0 {
			t.Errorf("%v; %+v, then %+v, %d told", err, before, after, len(c.Source))
		}
		o.sound(t)
	})
}
