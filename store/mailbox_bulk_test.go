package store

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"
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

// TestManyCopiesGo: a mail whose copies are expunged together gives its octets
// back once.
func TestManyCopiesGo(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		o := newOffice(t, p)
		drafts := o.box(t, o.alice, "Drafts")
		o.put(t, drafts, `\Deleted`)
		for range 9 {
			got[Copied](t)(o.db.CopyMessages(ctx, CopyRequest{From: drafts.ID, To: drafts.ID, UIDs: []UIDRange{everyUID}}, ownQuota))
		}
		if gone := got[[]uint32](t)(o.db.Expunge(ctx, drafts.ID, nil)); len(gone) != 512 {
			t.Errorf("%d have gone", len(gone))
		}
		if n := o.count(t, "SELECT CAST(SUM(octets) AS BIGINT) FROM mail_accounts"); n != 0 {
			t.Errorf("charged with %d octets", n)
		}
		o.sound(t)
	})
}

// TestVeryManyTombstones: they are forgotten early, and who looked before reads
// the mailbox anew.
func TestVeryManyTombstones(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		o := newOffice(t, p)
		drafts, trash := o.box(t, o.alice, "Drafts"), o.box(t, o.alice, "Trash")
		since := map[*Mailbox]int64{}
		for _, box := range []*Mailbox{drafts, trash} {
			o.put(t, box, `\Deleted`)
			o.put(t, box)
			since[box] = got[*Mailbox](t)(o.db.Mailbox(ctx, box.ID)).ModSeq
		}
		for _, box := range []*Mailbox{drafts, trash} {
			got[[]uint32](t)(o.db.Expunge(ctx, box.ID, nil))
		}
		must(t, o.db.write(ctx, func(t *tx) error {
			c, err := t.advance(delta{uids: manyTombstones}, byID, drafts.ID)
			rows := make([][]any, manyTombstones)
			for i := range rows {
				rows[i] = []any{drafts.ID, c.modseq, c.uid + uint32(i), c.modseq, t.now}
			}
			if err == nil {
				_, err = t.insert(insertion{into: "tombstones (mailbox, modseq, uid, added, time)", rows: rows})
			}
			return err
		}))
		must(t, o.db.PruneTombstones(ctx, p.clock.now().Add(-time.Hour)))
		if n := o.count(t, "SELECT COUNT(*) FROM tombstones"); n != 1 {
			t.Errorf("%d tombstones are left", n)
		}
		for box, stale := range map[*Mailbox]bool{drafts: true, trash: false} {
			if c := got[Changes](t)(o.db.MailboxChanges(ctx, box.ID, since[box])); c.Stale != stale {
				t.Errorf("%s: stale %v", box.Name, c.Stale)
			}
		}
		o.sound(t)
	})
}
