package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"cryptogramm.ru/cryptogramm/store/rem"
)

const mailboxColumns = "SELECT id, account, name, role, uid_validity, uid_next, modseq, subscribed FROM mailboxes "

func mailboxRow(m *Mailbox) []any {
	return []any{&m.ID, &m.Account, &m.Name, &m.Role, &m.UIDValidity, &m.UIDNext, &m.ModSeq, &m.Subscribed}
}

// Mailboxes lists an account's mailboxes by name.
func (db *DB) Mailboxes(ctx context.Context, account string) ([]Mailbox, error) {
	out, err := list(db.read(ctx), mailboxRow, mailboxColumns+"WHERE account = $1 ORDER BY name", account)
	if err != nil {
		return nil, fmt.Errorf("mailboxes of %s: %w", account, err)
	}
	return out, nil
}

// MailboxByName finds a mailbox by its name, which is made canonical first:
// ErrNotFound.
func (db *DB) MailboxByName(ctx context.Context, account, name string) (*Mailbox, error) {
	m, err := db.read(ctx).mailbox("WHERE account = $1 AND name = $2", account, CanonicalName(name))
	if err != nil {
		return nil, fmt.Errorf("mailbox: %w", err)
	}
	return m, nil
}

// Mailbox finds a mailbox by id: ErrNotFound.
func (db *DB) Mailbox(ctx context.Context, id string) (*Mailbox, error) {
	m, err := db.read(ctx).mailbox("WHERE id = $1", id)
	if err != nil {
		return nil, fmt.Errorf("mailbox %s: %w", id, err)
	}
	return m, nil
}

func (s *session) mailbox(where string, args ...any) (*Mailbox, error) {
	var m Mailbox
	return &m, s.get(mailboxRow(&m), mailboxColumns+where, args...)
}

// MailboxStatus answers from counts that every change keeps: ErrNotFound.
func (db *DB) MailboxStatus(ctx context.Context, mailbox string) (MailboxStatus, error) {
	var m MailboxStatus
	err := db.read(ctx).get([]any{&m.Messages, &m.Unseen, &m.Deleted, &m.Size, &m.UIDNext, &m.UIDValidity},
		"SELECT messages, unseen, deleted, size, uid_next, uid_validity FROM mailboxes WHERE id = $1", mailbox)
	if err != nil {
		return MailboxStatus{}, fmt.Errorf("status of mailbox %s: %w", mailbox, err)
	}
	return m, nil
}

// MessageUIDs is the view of a SELECT, in one consistent read: every UID,
// ascending, and the ModSeq that MailboxChanges goes on from. ErrNotFound.
func (db *DB) MessageUIDs(ctx context.Context, mailbox string) (uids []uint32, modseq int64, err error) {
	var text sql.NullString // one row is read in a fifth of the time of 100,000
	err = db.read(ctx).get([]any{&modseq, &text}, `SELECT b.modseq, (SELECT string_agg(CAST(u.uid AS TEXT), ' ')
		FROM (SELECT uid FROM messages WHERE mailbox = b.id ORDER BY uid) u) FROM mailboxes b WHERE b.id = $1`, mailbox)
	if err != nil {
		return nil, 0, fmt.Errorf("messages of mailbox %s: %w", mailbox, err)
	}
	for word := range strings.FieldsSeq(text.String) {
		n, err := strconv.ParseUint(word, 10, 32)
		if err != nil {
			return nil, 0, fmt.Errorf("messages of mailbox %s: %w", mailbox, err)
		}
		uids = append(uids, uint32(n))
	}
	slices.Sort(uids) // in order already, though SQL does not promise it
	return uids, modseq, nil
}

// Messages reads messages in order of UID: those of the ranges, as many as the
// query allows. When the answer is not Full there are no more; to go on, ask for
// what follows the last UID. Memory is that of the answer: Head may be 256 KiB
// each, Outline 320 KiB.
func (db *DB) Messages(ctx context.Context, q MessageQuery) ([]Message, error) {
	r := messageReader{session: db.read(ctx), MessageQuery: q}
	for _, ranges := range batches(q.Ranges) {
		if r.Full(r.out) {
			break
		}
		if err := r.read(ranges); err != nil {
			return nil, fmt.Errorf("messages of mailbox %s: %w", q.Mailbox, err)
		}
	}
	return r.out, nil
}

// Full reports whether an answer may have been cut off by the query's bounds.
func (q *MessageQuery) Full(answer []Message) bool {
	octets := 0
	for i := range answer {
		octets += answer[i].weight()
	}
	return len(answer) >= q.Limit || q.Octets > 0 && octets >= q.Octets
}

// weight is what of a message is not bounded by little.
func (m *Message) weight() int { return len(m.Head) + len(m.Outline) }

// messageReader is a query under way.
type messageReader struct {
	*session
	MessageQuery
	out    []Message
	octets int
}

// Ranges that one statement reads: one of any width, or several that hold few
// UIDs together, so that what has to be sorted stays small.
const (
	batchRanges = 32
	batchUIDs   = 1024
)

// batches sorts ranges, joins those that touch, and parts them into statements.
func batches(ranges []UIDRange) [][]UIDRange {
	var out [][]UIDRange
	width := uint64(0) // of the last batch
	for _, r := range mergeRanges(ranges) {
		w := uint64(r.To-r.From) + 1
		if n := len(out) - 1; n >= 0 && len(out[n]) < batchRanges && width+w <= batchUIDs {
			out[n], width = append(out[n], r), width+w
			continue
		}
		out, width = append(out, []UIDRange{r}), w
	}
	return out
}

// mergeRanges sorts ranges and joins those that overlap or touch; empty ones
// and UID 0, which no message has, are dropped.
func mergeRanges(ranges []UIDRange) []UIDRange {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b UIDRange) int { return cmp.Compare(a.From, b.From) })
	var out []UIDRange
	for _, r := range sorted {
		r.From = max(r.From, 1)
		if r.From > r.To {
			continue
		}
		if n := len(out) - 1; n >= 0 && uint64(r.From) <= uint64(out[n].To)+1 {
			out[n].To = max(out[n].To, r.To)
			continue
		}
		out = append(out, r)
	}
	return out
}

// inRanges is a condition on x.uid whose parameters begin with $from. Ranges are
// filled up to a few counts, so that there are few texts.
func inRanges(ranges []UIDRange, from int) (condition string, args []any) {
	if len(ranges) == 1 {
		return fmt.Sprintf("x.uid BETWEEN $%d AND $%d", from, from+1), []any{int64(ranges[0].From), int64(ranges[0].To)}
	}
	var b strings.Builder
	n := 1 << bits.Len(uint(len(ranges)-1))
	for i := range n {
		r := UIDRange{1, 0}
		if i < len(ranges) {
			r = ranges[i]
		}
		if i > 0 {
			b.WriteString(" OR ")
		}
		fmt.Fprintf(&b, "x.uid BETWEEN $%d AND $%d", from+2*i, from+2*i+1)
		args = append(args, int64(r.From), int64(r.To))
	}
	return "(" + b.String() + ")", args
}

// errEnough ends a reading early.
var errEnough = errors.New("enough rows")

func (s *messageReader) read(ranges []UIDRange) error {
	want, limit := s.Want, s.Limit-len(s.out)
	condition, args := inRanges(ranges, 2)
	columns, join := "x.uid, x.mail, x.size, x.internal, x.modseq, x.flags", ""
	switch want {
	case 0:
	case WantOutline: // alone, they lie in order
		join = " JOIN outlines l ON l.mailbox = x.mailbox AND l.uid = x.uid"
	default:
		join = " JOIN mails l ON l.id = x.mail"
	}
	for _, w := range wanted {
		switch {
		case want == WantOutline && w.want == want:
			columns += outlineWhole
		case want&w.want != 0:
			columns += w.columns
		}
	}
	text := "SELECT " + columns + " FROM messages x" + join + " WHERE x.mailbox = $1 AND " + condition + " ORDER BY x.uid"
	if r := ranges[0]; len(ranges) == 1 && uint64(r.To-r.From) >= uint64(limit) {
		text += fmt.Sprintf(" LIMIT %d", 1<<bits.Len(uint(limit-1))) // of few sizes, see ClaimJobs
	}
	var flags string
	m := new(Message)
	dest := m.columns(&flags, want)
	err := s.each(func(scan func(...any) error) error {
		*m = Message{}
		if err := scan(dest...); err != nil {
			return err
		}
		m.Flags = splitFlags(flags)
		s.out, s.octets = append(s.out, *m), s.octets+m.weight()
		if len(s.out) == s.Limit || s.Octets > 0 && s.octets >= s.Octets {
			return errEnough
		}
		return nil
	}, text, append([]any{s.Mailbox}, args...)...)
	if errors.Is(err, errEnough) {
		err = nil
	}
	return err
}

// outlineWhole is the outline beside the message, or in place of a long one the
// mail's.
const outlineWhole = ", CASE WHEN LENGTH(l.outline) > 0 THEN l.outline ELSE (SELECT m.outline FROM mails m WHERE m.id = x.mail) END"

// wanted are the columns that each Want reads.
var wanted = [...]struct {
	want    Want
	columns string
}{
	{WantMail, ", l.account, l.home, l.submission, l.sha256, l.blob_size, l.skip, l.length, l.message_id, l.signed"},
	{WantOutline, ", l.outline"},
	{WantHead, ", l.head"},
}

func (m *Message) columns(flags *string, want Want) []any {
	dest := []any{&m.UID, &m.ID, &m.Size, instant{&m.Internal}, &m.ModSeq, flags}
	if want&WantMail != 0 {
		dest = append(dest, &m.Account, &m.Home, &m.Submission, octets{&m.Blob.SHA256}, &m.Blob.Size, &m.Offset, &m.Length,
			&m.MessageID, octets{&m.SignedSHA256})
	}
	if want&WantOutline != 0 {
		dest = append(dest, &m.Outline)
	}
	if want&WantHead != 0 {
		dest = append(dest, &m.Head)
	}
	return dest
}

// Mail reads a mail whole: ErrNotFound.
func (db *DB) Mail(ctx context.Context, id string) (*Mail, error) {
	var m Mail
	err := db.read(ctx).get([]any{&m.ID, &m.Account, &m.Home, &m.Submission, octets{&m.Blob.SHA256}, &m.Blob.Size, &m.Offset,
		&m.Length, &m.Size, &m.MessageID, octets{&m.SignedSHA256}, &m.Outline, &m.Head},
		`SELECT id, account, home, submission, sha256, blob_size, skip, length, size, message_id, signed, outline, head
		FROM mails WHERE id = $1`, id)
	if err != nil {
		return nil, fmt.Errorf("mail %s: %w", id, err)
	}
	return &m, nil
}

// MailboxChanges tells what has become of a mailbox since, in one consistent
// read: ErrNotFound. The flags of what was changed are left to Messages, which
// reads them a page at a time: they may be gigabytes.
func (db *DB) MailboxChanges(ctx context.Context, mailbox string, since int64) (Changes, error) {
	const (
		itself = iota
		added
		changed
		gone
	)
	var c Changes
	found := false
	err := db.read(ctx).each(func(scan func(...any) error) error {
		var kind int
		var n int64
		var stale bool
		if err := scan(&kind, &n, &stale); err != nil {
			return err
		}
		switch kind {
		case itself:
			found, c.ModSeq, c.Stale = true, n, stale
		case added:
			c.Added = append(c.Added, uint32(n))
		case changed:
			c.Changed = append(c.Changed, uint32(n))
		case gone:
			c.Gone = append(c.Gone, uint32(n))
		}
		return nil
	}, `SELECT 0, modseq, CASE WHEN pruned > $2 THEN 1 ELSE 0 END FROM mailboxes WHERE id = $1
		UNION ALL SELECT CASE WHEN added > $2 THEN 1 ELSE 2 END, uid, 0 FROM messages WHERE mailbox = $1 AND modseq > $2
		UNION ALL SELECT 3, uid, 0 FROM tombstones WHERE mailbox = $1 AND modseq > $2 AND added <= $2`, mailbox, since)
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return Changes{}, fmt.Errorf("changes of mailbox %s: %w", mailbox, err)
	}
	slices.Sort(c.Added)
	slices.Sort(c.Gone)
	slices.Sort(c.Changed)
	return c, nil
}

// SentCopy is a letter of an account among those it has submitted.
type SentCopy struct {
	ID           string // of mail and submission
	SignedSHA256 rem.Digest
}
