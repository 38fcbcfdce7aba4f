package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// manyMessages is how many messages one transaction changes: others wait for it.
const manyMessages = 2000

// SetFlags changes the flags of those messages of a mailbox that are there;
// state keywords stay. Great many are changed by several transactions.
// ErrNotFound, ErrFlag.
func (db *DB) SetFlags(ctx context.Context, c FlagChange) error {
	flags, err := CanonicalFlags(c.Flags)
	if err == nil {
		err = pieces(c.UIDs, func(ranges []UIDRange) (last uint32, more bool, err error) {
			err = db.write(ctx, func(t *tx) error {
				last, more, err = t.setFlags(c.Mailbox, ranges, func(have []string) []string { return changeFlags(have, c.Op, flags) })
				return err
			})
			return last, more, err
		})
	}
	if err != nil {
		return fmt.Errorf("set flags in mailbox %s: %w", c.Mailbox, err)
	}
	return nil
}

// pieces runs step over ranges of UIDs, at most manyMessages messages at a time:
// as long as step says that there are more, it is run again from after the last
// UID.
func pieces(uids []UIDRange, step func(ranges []UIDRange) (last uint32, more bool, err error)) error {
	for _, ranges := range batches(uids) {
		for {
			last, more, err := step(ranges)
			if err != nil {
				return err
			}
			if ranges = after(ranges, last); !more || len(ranges) == 0 {
				break
			}
		}
	}
	return nil
}

// after is what of sorted ranges lies beyond a UID.
func after(ranges []UIDRange, last uint32) []UIDRange {
	var out []UIDRange
	for _, r := range ranges {
		if r.To > last {
			out = append(out, UIDRange{max(r.From, last+1), r.To})
		}
	}
	return out
}

func (t *tx) setFlags(mailbox string, ranges []UIDRange, f func([]string) []string) (last uint32, more bool, err error) {
	if _, err := t.lockMailbox(mailbox); err != nil || len(ranges) == 0 {
		return 0, false, err
	}
	condition, args := inRanges(ranges, 2)
	rows, err := t.flagRows("SELECT x.uid, x.flags FROM messages x WHERE x.mailbox = $1 AND "+condition+
		fmt.Sprintf(" ORDER BY x.uid LIMIT %d", manyMessages), append([]any{mailbox}, args...)...)
	if err != nil || len(rows) == 0 {
		return 0, false, err
	}
	return rows[len(rows)-1].UID, len(rows) == manyMessages, t.changeRows(mailbox, rows, f)
}

func (s *session) flagRows(text string, args ...any) ([]FlagRow, error) {
	var out []FlagRow
	err := s.each(func(scan func(...any) error) error {
		var r FlagRow
		var flags string
		err := scan(&r.UID, &flags)
		r.Flags = splitFlags(flags)
		out = append(out, r)
		return err
	}, text, args...)
	return out, err
}

// changeRows gives messages the flags that f makes of theirs. The mailbox is
// locked; one that nothing changes in keeps its ModSeq.
func (t *tx) changeRows(mailbox string, rows []FlagRow, f func([]string) []string) error {
	made := make(map[string][]string)    // flags → what f makes of them
	changed := make(map[string][]uint32) // new flags → UIDs
	var d delta
	for _, r := range rows {
		old := joinFlags(r.Flags)
		flags, known := made[old]
		if !known {
			flags = f(r.Flags)
			made[old] = flags
		}
		text := joinFlags(flags)
		if text == old {
			continue
		}
		changed[text] = append(changed[text], r.UID)
		d.count(1, flags, 0)
		d.count(-1, r.Flags, 0)
	}
	if len(changed) == 0 {
		return nil
	}
	c, err := t.advance(d, byID, mailbox)
	for text, uids := range changed {
		flags := splitFlags(text)
		if err == nil {
			err = t.eachUID(uids, "UPDATE messages SET flags = $1, modseq = $2, seen = $3, deleted = $4 WHERE mailbox = $5 AND ",
				text, c.modseq, slices.Contains(flags, `\Seen`), slices.Contains(flags, `\Deleted`), mailbox)
		}
	}
	return err
}

// longRun is from how many UIDs in a row a statement names them as a range.
const longRun = 16

// eachUID runs a statement, which ends where its condition on uid goes, over
// ascending UIDs.
func (s *session) eachUID(uids []uint32, text string, fixed ...any) error {
	var single []any
	for len(uids) > 0 {
		n := 1
		for n < len(uids) && uids[n] == uids[n-1]+1 {
			n++
		}
		run := uids[:n]
		uids = uids[n:]
		if n < longRun {
			for _, uid := range run {
				single = append(single, uid)
			}
			continue
		}
		between := fmt.Sprintf("uid BETWEEN $%d AND $%d", len(fixed)+1, len(fixed)+2)
		if _, err := s.exec(text+between, append(slices.Clone(fixed), run[0], run[n-1])...); err != nil {
			return err
		}
	}
	return s.eachKey(single, text+"uid IN (%s)", fixed...)
}

// eachKey runs a statement over keys, a block of them at a time: they follow the
// fixed arguments, in place of %s.
func (s *session) eachKey(keys []any, text string, fixed ...any) error {
	for block := range blocks(keys) {
		statement := fmt.Sprintf(text, dollars(len(fixed)+1, len(block)))
		if _, err := s.exec(statement, append(slices.Clone(fixed), block...)...); err != nil {
			return err
		}
	}
	return nil
}

// blocks parts keys into statements of few sizes.
func blocks(keys []any) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for _, size := range insertBlocks {
			for len(keys) >= size {
				if !yield(keys[:size]) {
					return
				}
				keys = keys[size:]
			}
		}
	}
}

// AddMail puts a mail of the user's own into a mailbox that he fills: ErrKept
// for another, ErrQuota, ErrNotFound, ErrFlag.
func (db *DB) AddMail(ctx context.Context, n NewMessage, q Quota) (at Appended, err error) {
	flags, err := CanonicalFlags(n.Flags)
	if err == nil {
		n.Flags = flags
		err = db.write(ctx, func(t *tx) error {
			at, err = t.append(n, q)
			return err
		})
	}
	if err != nil {
		return Appended{}, fmt.Errorf("add to mailbox %s: %w", n.Mailbox, err)
	}
	return at, nil
}

func (t *tx) append(n NewMessage, q Quota) (Appended, error) {
	if err := t.addJobs(n.Jobs); err != nil {
		return Appended{}, err
	}
	box, err := t.lockOwner(n.Mailbox)
	if err != nil {
		return Appended{}, err
	}
	if box.Role.Kept() {
		return Appended{}, ErrKept
	}
	n.Mail.Account, n.Mail.Home = box.Account, ""
	if err := t.roomFor(box.Account, 1, q); err != nil {
		return Appended{}, err
	}
	took, err := t.exec("UPDATE mail_accounts SET octets = octets + $2 WHERE account = $1 AND octets + $2 <= $3", box.Account, n.Mail.Size, q.Octets)
	if err == nil && took == 0 {
		err = ErrQuota
	}
	if err != nil {
		return Appended{}, err
	}
	added, err := t.addMail(n.Mail)
	if err == nil && added == 0 {
		err = ErrExists
	}
	if err != nil {
		return Appended{}, err
	}
	one := delta{uids: 1}
	one.count(1, n.Flags, n.Mail.Size)
	c, err := t.advance(one, byID, n.Mailbox)
	if err != nil {
		return Appended{}, err
	}
	if n.Internal.IsZero() {
		n.Internal = t.now
	}
	row := messageRow{uid: c.uid, mail: n.Mail.ID, size: n.Mail.Size, internal: micros(n.Internal), flags: n.Flags}
	return Appended{c.validity, c.uid}, t.addMessages(c, []messageRow{row})
}

// roomFor reports ErrQuota unless n more messages fit into the folders that the
// user fills.
func (t *tx) roomFor(account string, n int, q Quota) error {
	var have int
	err := t.get([]any{&have}, "SELECT CAST(COALESCE(SUM(messages), 0) AS BIGINT) FROM mailboxes WHERE account = $1 AND role NOT IN "+keptRoles, account)
	if err == nil && have+n > q.Messages {
		err = ErrQuota
	}
	return err
}

// SentCopies lists the Sent copies of an account's submissions that have a
// Message-ID, newest first.
func (db *DB) SentCopies(ctx context.Context, account, messageID string) ([]SentCopy, error) {
	out, err := list(db.read(ctx), func(c *SentCopy) []any { return []any{&c.ID, octets{&c.SignedSHA256}} },
		"SELECT id, signed FROM mails WHERE account = $1 AND message_id = $2 AND home = 'sent' ORDER BY id DESC LIMIT $3",
		account, shown(messageID, maxMessageID), defaultLimit)
	if err != nil {
		return nil, fmt.Errorf("sent copies of %s: %w", account, err)
	}
	return out, nil
}

// AddBack answers where a Sent copy lies in Sent; one that the user has expunged
// or moved away is shown there again. ErrNotFound: no such mail of the account.
func (db *DB) AddBack(ctx context.Context, account, mail string) (at Appended, err error) {
	err = db.write(ctx, func(t *tx) error {
		if err := t.lockAccounts(account); err != nil {
			return err
		}
		err := t.get([]any{&at.UIDValidity, &at.UID}, `SELECT b.uid_validity, x.uid FROM messages x JOIN mailboxes b ON b.id = x.mailbox
			WHERE x.mail = $1 AND b.account = $2 AND b.role = 'sent' ORDER BY x.uid`, mail, account)
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		d := Delivery{Account: account, Role: RoleSent, Mail: Mail{ID: mail}}
		err = t.get([]any{&d.Mail.Size}, "SELECT size FROM mails WHERE id = $1 AND account = $2 AND home = 'sent'", mail, account)
		if err != nil {
			return err
		}
		state, err := t.stateKeywords(mail)
		if err != nil {
			return err
		}
		d.Flags = append([]string{`\Seen`}, state...)
		at, err = t.deliver(d)
		return err
	})
	if err != nil {
		return Appended{}, fmt.Errorf("show mail %s again: %w", mail, err)
	}
	return at, nil
}
