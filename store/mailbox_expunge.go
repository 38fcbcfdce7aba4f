package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// everyUID is all of a mailbox.
var everyUID = UIDRange{1, 1<<32 - 1}

// Expunge removes from a mailbox the messages flagged \Deleted, of the given
// UIDs or (nil) of all, and answers their UIDs, ascending. Mails that the
// exchange delivered stay; one of the user's own goes with its last message.
// Great many are removed by several transactions. ErrNotFound.
func (db *DB) Expunge(ctx context.Context, mailbox string, uids []UIDRange) ([]uint32, error) {
	if uids == nil {
		uids = []UIDRange{everyUID}
	}
	var gone []uint32
	status, err := db.MailboxStatus(ctx, mailbox)
	if err == nil && status.Deleted > 0 {
		err = pieces(uids, func(ranges []UIDRange) (last uint32, more bool, err error) {
			var piece []uint32
			err = db.write(ctx, func(t *tx) error {
				piece, err = t.expunge(mailbox, ranges)
				return err
			})
			if gone = append(gone, piece...); len(piece) == manyMessages {
				return piece[len(piece)-1], true, err
			}
			return 0, false, err
		})
	}
	if err != nil {
		return gone, fmt.Errorf("expunge mailbox %s: %w", mailbox, err)
	}
	return gone, nil
}

func (t *tx) expunge(mailbox string, ranges []UIDRange) ([]uint32, error) {
	box, err := t.lockOwner(mailbox)
	if err != nil || len(ranges) == 0 {
		return nil, err
	}
	condition, args := inRanges(ranges, 2)
	rows, err := t.messageRows("x.mailbox = $1 AND x.deleted = 1 AND "+condition+fmt.Sprintf(" ORDER BY x.uid LIMIT %d", manyMessages),
		append([]any{mailbox}, args...)...)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	var gone []uint32
	for _, r := range rows {
		gone = append(gone, r.uid)
	}
	return gone, t.removeMessages(box, rows)
}

func (s *session) messageRows(where string, args ...any) ([]messageRow, error) {
	var out []messageRow
	err := s.each(func(scan func(...any) error) error {
		var r messageRow
		var flags string
		err := scan(&r.uid, &r.mail, &r.size, &r.internal, &r.added, &flags)
		r.flags = splitFlags(flags)
		out = append(out, r)
		return err
	}, "SELECT x.uid, x.mail, x.size, x.internal, x.added, x.flags FROM messages x WHERE "+where, args...)
	return out, err
}

// removeMessages removes messages of a mailbox whose account is locked, leaves
// tombstones, and drops the user's own mails that lie nowhere any more.
func (t *tx) removeMessages(box *Mailbox, rows []messageRow) error {
	var d delta
	for _, r := range rows {
		d.count(-1, r.flags, r.size)
	}
	c, err := t.advance(d, byID, box.ID)
	if err != nil {
		return err
	}
	var uids []uint32
	var mails []any
	stones := make([][]any, len(rows))
	for i, r := range rows {
		uids, mails = append(uids, r.uid), append(mails, r.mail)
		stones[i] = []any{box.ID, c.modseq, r.uid, r.added, t.now}
	}
	if _, err := t.insert(insertion{into: "tombstones (mailbox, modseq, uid, added, time)", rows: stones}); err != nil {
		return err
	}
	for _, table := range []string{"outlines", "messages"} {
		if err := t.eachUID(uids, "DELETE FROM "+table+" WHERE mailbox = $1 AND ", box.ID); err != nil {
			return err
		}
	}
	return t.dropMails(box.Account, mails)
}

// dropMails removes those of mails that are the account's own and lie in no
// mailbox. Their blobs are removed when nothing refers to them. A mail may be
// named several times, once for each copy.
func (t *tx) dropMails(account string, mails []any) error {
	var orphans []any
	var octets int64
	for block := range blocks(unique(mails)) {
		err := t.each(func(scan func(...any) error) error {
			var id string
			var size int64
			err := scan(&id, &size)
			orphans, octets = append(orphans, id), octets+size
			return err
		}, "SELECT l.id, l.size FROM mails l WHERE l.home = '' AND l.id IN ("+dollars(1, len(block))+
			") AND NOT EXISTS (SELECT 1 FROM messages x WHERE x.mail = l.id)", block...)
		if err != nil {
			return err
		}
	}
	if len(orphans) == 0 {
		return nil
	}
	if err := t.eachKey(orphans, "DELETE FROM mails WHERE home = '' AND id IN (%s)"); err != nil {
		return err
	}
	_, err := t.exec("UPDATE mail_accounts SET octets = octets - $2 WHERE account = $1", account, octets)
	return err
}

// unique drops what is named again.
func unique(keys []any) (out []any) {
	seen := make(map[any]struct{}, len(keys))
	for _, k := range keys {
		if _, again := seen[k]; !again {
			seen[k] = struct{}{}
			out = append(out, k)
		}
	}
	return out
}

// manyTombstones is how many of one mailbox are kept: who copies and expunges
// without end would fill the disk with them.
const manyTombstones = 100_000

// PruneTombstones forgets what was expunged before a time, and of mailboxes with
// very many tombstones everything: whoever has not looked since reads its
// mailbox anew.
func (db *DB) PruneTombstones(ctx context.Context, before time.Time) error {
	for {
		more := false
		err := db.write(ctx, func(t *tx) (err error) {
			more, err = t.pruneTombstones(before)
			return err
		})
		if err != nil {
			return fmt.Errorf("forget expunged messages: %w", err)
		}
		if !more {
			return nil
		}
	}
}

// pruneTombstones forgets those of one mailbox. It changes nothing that a
// session sees, so it tells no watcher.
func (t *tx) pruneTombstones(before time.Time) (more bool, err error) {
	var mailbox string
	var modseq int64
	err = t.get([]any{&mailbox}, "SELECT mailbox FROM tombstones WHERE time < $1 ORDER BY time LIMIT 1", before)
	if errors.Is(err, ErrNotFound) {
		before = t.now.Add(time.Microsecond)
		err = t.get([]any{&mailbox}, "SELECT mailbox FROM tombstones GROUP BY mailbox HAVING COUNT(*) > $1 LIMIT 1", manyTombstones)
	}
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err == nil {
		_, err = t.lockMailbox(mailbox)
	}
	if err == nil {
		err = t.get([]any{&modseq}, "SELECT COALESCE(MAX(modseq), 0) FROM tombstones WHERE mailbox = $1 AND time < $2", mailbox, before)
	}
	if err == nil {
		_, err = t.exec("UPDATE mailboxes SET pruned = CASE WHEN pruned < $2 THEN $2 ELSE pruned END WHERE id = $1", mailbox, modseq)
	}
	if err == nil {
		_, err = t.exec("DELETE FROM tombstones WHERE mailbox = $1 AND modseq <= $2", mailbox, modseq)
	}
	return true, err
}
