package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// post is the last thing a transaction of the exchange does: it delivers mails
// and lets the keywords of a submission's Sent copy follow the states of its
// consignments. A mail whose id is known already changes nothing.
func (t *tx) post(deliveries []Delivery, submission string) error {
	fresh, err := t.addMails(deliveries)
	if err != nil {
		return err
	}
	sender, err := t.sentBy(submission)
	if err != nil {
		return err
	}
	if sender != "" || len(fresh) > 1 { // more than one mailbox
		var accounts []string
		for _, d := range fresh {
			accounts = append(accounts, d.Account)
		}
		if sender != "" {
			accounts = append(accounts, sender)
		}
		if err := t.lockAccounts(accounts...); err != nil {
			return err
		}
	}
	for _, d := range fresh {
		if _, err := t.deliver(d); err != nil {
			return fmt.Errorf("deliver %s: %w", d.Mail.ID, err)
		}
	}
	if sender == "" {
		return nil
	}
	return t.followStates(submission)
}

// addMails answers the deliveries whose mails were new.
func (t *tx) addMails(deliveries []Delivery) (fresh []Delivery, err error) {
	if len(deliveries) > 1 { // rivals with the same mails wait for each other in one order
		deliveries = slices.Clone(deliveries)
		slices.SortFunc(deliveries, func(a, b Delivery) int { return cmp.Compare(a.Mail.ID, b.Mail.ID) })
	}
	for _, d := range deliveries {
		if !d.Role.Kept() {
			return nil, fmt.Errorf("deliver %s: %q is no folder for deliveries", d.Mail.ID, d.Role)
		}
		if d.Flags, err = CanonicalFlags(d.Flags); err != nil {
			return nil, fmt.Errorf("deliver %s: %w", d.Mail.ID, err)
		}
		d.Mail.Account, d.Mail.Home = d.Account, d.Role
		n, err := t.addMail(d.Mail)
		if err != nil {
			return nil, err
		}
		if n == 1 {
			fresh = append(fresh, d)
		}
	}
	return fresh, nil
}

// addMail answers 0 when a mail of this id is there.
func (t *tx) addMail(m Mail) (int, error) {
	if m.ID == "" || m.Account == "" {
		return 0, errors.New("mail without id or account")
	}
	if m.Size != int64(len(m.Head))+m.Length || (m.Length > 0) == m.Blob.SHA256.IsZero() ||
		m.Offset < 0 || m.Length < 0 || m.Offset > m.Blob.Size-m.Length {
		return 0, fmt.Errorf("mail %s: its parts do not make %d octets", m.ID, m.Size)
	}
	if m.Outline == nil {
		m.Outline = []byte{}
	}
	if m.Head == nil {
		m.Head = []byte{}
	}
	return t.insert(insertion{
		into: "mails (id, account, home, submission, sha256, blob_size, skip, length, size, message_id, signed, outline, head)",
		on:   "ON CONFLICT DO NOTHING",
		rows: [][]any{{m.ID, m.Account, m.Home, m.Submission, m.Blob.SHA256, m.Blob.Size, m.Offset, m.Length, m.Size,
			shown(m.MessageID, maxMessageID), m.SignedSHA256, m.Outline, m.Head}},
	})
}

// maxMessageID bounds what a mail is looked for by.
const maxMessageID = 998

// deliver adds a message of a mail to the account's folder of its role, which is
// made when it is not there.
func (t *tx) deliver(d Delivery) (Appended, error) {
	one := delta{uids: 1}
	one.count(1, d.Flags, d.Mail.Size)
	c, err := t.advance(one, byRole, d.Account, d.Role)
	if errors.Is(err, ErrNotFound) {
		if err = t.ensureMailboxes(d.Account); err == nil {
			c, err = t.advance(one, byRole, d.Account, d.Role)
		}
	}
	if err != nil {
		return Appended{}, err
	}
	if d.Internal.IsZero() {
		d.Internal = t.now
	}
	row := messageRow{uid: c.uid, mail: d.Mail.ID, size: d.Mail.Size, internal: micros(d.Internal), flags: d.Flags}
	return Appended{c.validity, c.uid}, t.addMessages(c, []messageRow{row})
}

// messageRow is what a message is besides its mailbox and the change it came with.
type messageRow struct {
	uid            uint32
	mail           string
	size, internal int64
	added          int64
	flags          []string
}

// addMessages adds messages with the UIDs that a change gave out, in a row.
func (t *tx) addMessages(c change, list []messageRow) error {
	rows := make([][]any, len(list))
	for i, m := range list {
		rows[i] = []any{c.id, m.uid, m.mail, m.size, m.internal, c.modseq, c.modseq,
			slices.Contains(m.flags, `\Seen`), slices.Contains(m.flags, `\Deleted`), joinFlags(m.flags)}
	}
	_, err := t.insert(insertion{into: "messages (mailbox, uid, mail, size, internal, added, modseq, seen, deleted, flags)", rows: rows})
	if err == nil && len(list) > 0 {
		_, err = t.exec(`INSERT INTO outlines (mailbox, uid, outline) SELECT x.mailbox, x.uid, `+outlineBeside+`
			FROM messages x JOIN mails l ON l.id = x.mail WHERE x.mailbox = $1 AND x.uid BETWEEN $2 AND $3`,
			c.id, list[0].uid, list[len(list)-1].uid)
	}
	return err
}

// outlineBeside is what stands in outlines of a mail's: one that is longer than
// usual is kept with the mail alone. Otherwise copies, which no quota counts by
// their octets, could take hundreds of KiB each.
const outlineBeside = "CASE WHEN LENGTH(l.outline) <= 2048 THEN l.outline ELSE SUBSTR(l.outline, 1, 0) END"

// sentBy is the account that has a Sent copy of a submission; "" when none has.
func (s *session) sentBy(submission string) (account string, err error) {
	if submission == "" {
		return "", nil
	}
	err = s.get([]any{&account}, "SELECT account FROM mails WHERE id = $1 AND home = 'sent'", submission)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return account, err
}

// followStates sets the state keywords of a submission's Sent copy, wherever it
// lies. The account's row is locked, so that no rival adds a message of it, and
// of two that change states at once the second sees what the first has done.
func (t *tx) followStates(submission string) error {
	state, err := t.stateKeywords(submission)
	if err != nil {
		return err
	}
	boxes, err := list(&t.session, func(s *string) []any { return []any{s} }, "SELECT DISTINCT mailbox FROM messages WHERE mail = $1", submission)
	if err != nil {
		return err
	}
	for _, box := range boxes {
		if _, err := t.lockMailbox(box); err != nil {
			return err
		}
		rows, err := t.flagRows("SELECT x.uid, x.flags FROM messages x WHERE x.mailbox = $1 AND x.mail = $2", box, submission)
		if err == nil {
			err = t.changeRows(box, rows, func(have []string) []string { return withState(have, state) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stateProgress is how far the least advanced of the consignments c has come,
// and how many have failed. A recipient has been notified, too, whose consignment
// expired after it.
const stateProgress = `COALESCE(MIN(CASE c.state WHEN 'verified' THEN 3 WHEN 'received' THEN 2 WHEN 'notified' THEN 1
	WHEN 'expired' THEN (SELECT COUNT(*) FROM evidence e WHERE e.subject = c.id AND e.event = 'NotificationForAcceptance' AND e.attempt = 0)
	ELSE 0 END), 0), COUNT(CASE WHEN c.state IN ('failed', 'expired') THEN 1 END)`

// stateKeywords derives the keywords of a Sent copy.
func (s *session) stateKeywords(submission string) ([]string, error) {
	var least, failed int
	err := s.get([]any{&least, &failed}, "SELECT "+stateProgress+" FROM consignments c WHERE c.submission = $1", submission)
	return keywordsOf(least, failed), err
}

func keywordsOf(least, failed int) []string {
	out := slices.Clone(stateKeywords[:least])
	if failed > 0 {
		out = append(out, KeywordFailed)
	}
	return out
}
