package store

import (
	"context"
	"fmt"
	"slices"
)

// CopyMessages copies or moves messages to another mailbox of the account.
// A folder that the exchange fills takes only mail whose home it is, and holds
// each mail once: a message that is there already is answered as the copy. Of a
// copy all or nothing happens; great many are moved by several transactions, and
// what was moved before an error is answered with it. ErrKept, ErrQuota (copies into folders that the user
// fills), ErrNotFound.
func (db *DB) CopyMessages(ctx context.Context, r CopyRequest, q Quota) (c Copied, err error) {
	if r.Move {
		err = pieces(r.UIDs, c.piece(func(ranges []UIDRange) (done Copied, err error) {
			err = db.write(ctx, func(t *tx) error {
				done, err = t.copyMessages(r, ranges, q)
				return err
			})
			return done, err
		}))
	} else {
		err = db.write(ctx, func(t *tx) error {
			c = Copied{}
			from, err := t.lockOwner(r.From)
			if err != nil {
				return err
			}
			// What is copied into the mailbox itself is not copied again.
			uids := clipRanges(r.UIDs, from.UIDNext-1)
			return pieces(uids, c.piece(func(ranges []UIDRange) (Copied, error) { return t.copyMessages(r, ranges, q) }))
		})
		if err != nil {
			c = Copied{}
		}
	}
	if err != nil {
		err = fmt.Errorf("copy from mailbox %s to %s: %w", r.From, r.To, err)
	}
	return c, err
}

// piece is a step of pieces that adds what was copied to c.
func (c *Copied) piece(step func(ranges []UIDRange) (Copied, error)) func([]UIDRange) (uint32, bool, error) {
	return func(ranges []UIDRange) (last uint32, more bool, err error) {
		done, err := step(ranges)
		if err != nil {
			return 0, false, err
		}
		c.UIDValidity = done.UIDValidity
		n := len(done.Source)
		if n == 0 {
			return 0, false, nil
		}
		c.Source, c.Dest = append(c.Source, done.Source...), append(c.Dest, done.Dest...)
		return done.Source[n-1], n == manyMessages, nil
	}
}

// clipRanges are ranges up to a UID.
func clipRanges(ranges []UIDRange, last uint32) []UIDRange {
	out := slices.Clone(ranges)
	for i := range out {
		out[i].To = min(out[i].To, last)
	}
	return out
}

// copying is one COPY or MOVE under way.
type copying struct {
	from, to *Mailbox
	rows     []messageRow
	there    map[string]uint32 // mail → UID in a target that the exchange fills
}

// copyMessages copies or moves the first messages of ranges, manyMessages at
// most: their flags may be 4 KiB each.
func (t *tx) copyMessages(r CopyRequest, ranges []UIDRange, q Quota) (Copied, error) {
	from, err := t.lockOwner(r.From)
	if err != nil {
		return Copied{}, err
	}
	c := copying{from: from, there: make(map[string]uint32)}
	if c.to, err = t.lockMailbox(r.To); err != nil {
		return Copied{}, err
	}
	if c.to.Account != c.from.Account {
		return Copied{}, ErrNotFound
	}
	condition, args := inRanges(ranges, 2)
	c.rows, err = t.messageRows("x.mailbox = $1 AND "+condition+fmt.Sprintf(" ORDER BY x.uid LIMIT %d", manyMessages),
		append([]any{r.From}, args...)...)
	if err != nil {
		return Copied{}, err
	}
	if c.to.Role.Kept() {
		err = t.homeward(&c)
	} else if !r.Move || c.from.Role.Kept() {
		err = t.roomFor(c.to.Account, len(c.rows), q)
	}
	if err != nil {
		return Copied{}, err
	}
	return t.finishCopy(c, r.Move)
}

// homeward checks that the target is every mail's home, and finds those that
// lie there already.
func (t *tx) homeward(c *copying) error {
	mails := make(map[string]struct{})
	for _, r := range c.rows {
		mails[r.mail] = struct{}{}
	}
	var keys []any
	for mail := range mails {
		keys = append(keys, mail)
	}
	for block := range blocks(keys) {
		n := 0
		err := t.each(func(scan func(...any) error) error {
			n++
			var mail string
			var uid uint32
			err := scan(&mail, &uid)
			if uid > 0 {
				c.there[mail] = uid
			}
			return err
		}, "SELECT l.id, COALESCE(MIN(x.uid), 0) FROM mails l LEFT JOIN messages x ON x.mail = l.id AND x.mailbox = $1 WHERE l.home = $2 AND l.id IN ("+
			dollars(3, len(block))+") GROUP BY l.id", append([]any{c.to.ID, c.to.Role}, block...)...)
		if err != nil {
			return err
		}
		if n != len(block) {
			return ErrKept
		}
	}
	return nil
}

func (t *tx) finishCopy(c copying, move bool) (Copied, error) {
	var fresh []messageRow
	var d delta
	for _, r := range c.rows {
		if _, ok := c.there[r.mail]; ok && c.to.Role.Kept() {
			continue
		}
		c.there[r.mail] = 0 // of a folder that the exchange fills: once
		fresh = append(fresh, r)
		d.count(1, r.flags, r.size)
	}
	out := Copied{UIDValidity: c.to.UIDValidity}
	if len(c.rows) == 0 {
		return out, nil
	}
	if len(fresh) > 0 {
		d.uids = len(fresh)
		change, err := t.advance(d, byID, c.to.ID)
		if err != nil {
			return Copied{}, err
		}
		for i := range fresh {
			fresh[i].uid = change.uid + uint32(i)
			c.there[fresh[i].mail] = fresh[i].uid
		}
		if err := t.addMessages(change, fresh); err != nil {
			return Copied{}, err
		}
	}
	var moved []messageRow
	next := 0
	for _, r := range c.rows {
		dest := c.there[r.mail]
		if !c.to.Role.Kept() {
			dest = fresh[next].uid
			next++
		}
		out.Source, out.Dest = append(out.Source, r.uid), append(out.Dest, dest)
		if move && (c.from.ID != c.to.ID || dest != r.uid) {
			moved = append(moved, r)
		}
	}
	if len(moved) == 0 {
		return out, nil
	}
	return out, t.removeMessages(c.from, moved)
}
