package store

import "slices"

// keptRoles is Role.Kept in SQL.
const keptRoles = "('inbox', 'received', 'sent', 'receipts')"

// mailboxFaults are queries whose every row (an id, a detail) is a problem.
var mailboxFaults = [...]struct{ problem, text string }{
	{"mailbox %s: its counts or its numbers do not fit its messages (%s)",
		`SELECT b.id, b.name FROM mailboxes b LEFT JOIN (SELECT mailbox, COUNT(*) AS n, SUM(1 - seen) AS unseen, SUM(deleted) AS deleted,
			SUM(size) AS size, MAX(uid) AS uid, MAX(modseq) AS modseq, MIN(uid) AS least FROM messages GROUP BY mailbox) m ON m.mailbox = b.id
		WHERE b.messages <> COALESCE(m.n, 0) OR b.unseen <> COALESCE(m.unseen, 0) OR b.deleted <> COALESCE(m.deleted, 0)
		OR b.size <> COALESCE(m.size, 0) OR b.uid_next <= COALESCE(m.uid, 0) OR b.modseq < COALESCE(m.modseq, 0) OR COALESCE(m.least, 1) < 1
		OR b.pruned > b.modseq`},
	{"mailbox %s: has forgotten what it gave out (%s)",
		`SELECT b.id, b.name FROM mailboxes b JOIN mail_accounts a ON a.account = b.account WHERE b.uid_validity > a.validity OR b.uid_validity < 1
		OR EXISTS (SELECT 1 FROM tombstones t WHERE t.mailbox = b.id AND (t.modseq > b.modseq OR t.uid >= b.uid_next))
		OR EXISTS (SELECT 1 FROM mailboxes o WHERE o.account = b.account AND o.uid_validity = b.uid_validity AND o.id <> b.id)`},
	{"account %s: does not have each of its folders (%s)",
		`SELECT a.account, CAST(COUNT(b.id) AS TEXT) FROM mail_accounts a LEFT JOIN mailboxes b ON b.account = a.account AND b.role <> ''
		GROUP BY a.account HAVING COUNT(b.id) <> 6`},
	{"account %s: its own mail is not the octets it is charged with (%s)",
		`SELECT a.account, CAST(a.octets AS TEXT) FROM mail_accounts a WHERE a.octets <>
			(SELECT COALESCE(SUM(l.size), 0) FROM mails l WHERE l.account = a.account AND l.home = '')`},
	{"mail %s: its parts do not make its octets (%s)",
		`SELECT id, home FROM mails WHERE size <> LENGTH(head) + length OR skip < 0 OR length < 0 OR skip + length > blob_size
		OR (length > 0) <> (sha256 IS NOT NULL)`},
	{"mail %s: is the user's own and lies nowhere (%s)",
		`SELECT l.id, l.account FROM mails l WHERE l.home = '' AND NOT EXISTS (SELECT 1 FROM messages x WHERE x.mail = l.id)`},
	{"mail %s: is shown with another outline in mailbox %s",
		`SELECT x.mail, x.mailbox FROM messages x JOIN mails l ON l.id = x.mail LEFT JOIN outlines o ON o.mailbox = x.mailbox AND o.uid = x.uid
		WHERE o.outline IS NULL OR o.outline <> ` + outlineBeside},
	{"mailbox %s: has the outline of a message that is not there (%s)",
		`SELECT o.mailbox, CAST(o.uid AS TEXT) FROM outlines o LEFT JOIN messages x ON x.mailbox = o.mailbox AND x.uid = o.uid WHERE x.uid IS NULL`},
	{"mail %s: lies where it may not, or with another size, added or changed at the wrong time (%s)",
		`SELECT x.mail, b.name FROM messages x JOIN mails l ON l.id = x.mail JOIN mailboxes b ON b.id = x.mailbox
		WHERE b.account <> l.account OR x.size <> l.size OR x.added > x.modseq OR x.added < 1 OR b.role IN ` + keptRoles + ` AND l.home <> b.role`},
	{"mail %s: does not show the submission %s",
		`SELECT l.id, l.submission FROM mails l LEFT JOIN submissions s ON s.id = l.submission
		WHERE l.home = 'sent' AND (s.id IS NULL OR l.id <> s.id OR l.account <> s.account OR l.sha256 <> s.sha256
			OR l.blob_size <> s.size OR l.size <> s.size OR l.skip + l.length <> l.blob_size)`},
	{"mail %s: does not show what was received of the submission %s",
		`SELECT l.id, l.submission FROM mails l LEFT JOIN consignments c ON c.id = l.id LEFT JOIN submissions s ON s.id = l.submission
		WHERE l.home = 'received' AND (c.id IS NULL OR s.id IS NULL OR c.submission <> s.id OR c.received_by IS NULL OR c.received_by <> l.account
			OR l.sha256 <> s.sha256 OR l.blob_size <> s.size OR l.skip + l.length <> l.blob_size)`},
	// Databases older than mailboxes have submissions without copies, all of them
	// before the first copy until the job that makes them runs: the oldest first.
	{"submission %s: its Sent copy is gone (%s)",
		`SELECT s.id, s.account FROM submissions s WHERE NOT EXISTS (SELECT 1 FROM mails l WHERE l.id = s.id)
		AND EXISTS (SELECT 1 FROM mails l JOIN submissions e ON e.id = l.id WHERE l.account = s.account AND l.home = 'sent' AND e.time < s.time)
		AND NOT EXISTS (SELECT 1 FROM jobs WHERE kind = 'copies')`},
	{"consignment %s: its Received copy is gone (%s)",
		`SELECT c.id, c.received_by FROM consignments c WHERE c.received_at <> 0 AND c.received_by IS NOT NULL AND NOT EXISTS (SELECT 1 FROM mails l WHERE l.id = c.id)
		AND EXISTS (SELECT 1 FROM mails l WHERE l.id = c.submission AND l.home = 'sent') AND NOT EXISTS (SELECT 1 FROM jobs WHERE kind = 'copies')`},
}

// mailboxes holds what IMAP shows against what it was made from.
func (c *checker) mailboxes() error {
	for _, q := range mailboxFaults {
		err := c.each(func(scan func(...any) error) error {
			var id, detail string
			if err := scan(&id, &detail); err != nil {
				return err
			}
			c.problem(q.problem, id, detail)
			return nil
		}, q.text)
		if err != nil {
			return err
		}
	}
	err := c.each(func(scan func(...any) error) error {
		var mail, text string
		var seen, deleted bool
		if err := scan(&mail, &text, &seen, &deleted); err != nil {
			return err
		}
		flags := splitFlags(text)
		if joinFlags(sortFlags(slices.Clone(flags))) != text || seen != slices.Contains(flags, `\Seen`) || deleted != slices.Contains(flags, `\Deleted`) {
			c.problem("mail %s: its flags are not as they are kept", mail)
		}
		return nil
	}, "SELECT mail, flags, seen, deleted FROM messages")
	if err != nil {
		return err
	}
	return c.stateKeywords()
}

// stateKeywords compares the keywords of Sent copies with the states that they
// tell of.
func (c *checker) stateKeywords() error {
	return c.each(func(scan func(...any) error) error {
		var mail, text string
		var least, failed int
		if err := scan(&mail, &text, &least, &failed); err != nil {
			return err
		}
		flags := splitFlags(text)
		if joinFlags(withState(flags, keywordsOf(least, failed))) != text {
			c.problem("mail %s: its keywords do not follow from the states of its consignments", mail)
		}
		return nil
	}, `SELECT x.mail, x.flags, `+stateProgress+` FROM messages x JOIN mails l ON l.id = x.mail AND l.home = 'sent'
		JOIN consignments c ON c.submission = x.mail GROUP BY x.mailbox, x.uid, x.mail, x.flags`)
}
