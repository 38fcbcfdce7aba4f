package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// CreateMailbox makes a mailbox and those above it that are missing (RFC 9051
// §6.3.4). The name is canonical and valid. ErrExists, ErrQuota, ErrNotFound
// (account).
func (db *DB) CreateMailbox(ctx context.Context, account, name string, q Quota) error {
	err := db.write(ctx, func(t *tx) error {
		if err := t.lockAccounts(account); err != nil {
			return err
		}
		return t.createMailboxes(account, name, q)
	})
	if err != nil {
		return fmt.Errorf("create mailbox of %s: %w", account, err)
	}
	return nil
}

func (t *tx) createMailboxes(account, name string, q Quota) error {
	have, err := t.mailboxNames(account)
	if err != nil {
		return err
	}
	if _, ok := have[name]; ok {
		return ErrExists
	}
	var rows [][]any
	for _, n := range append(superiors(name), name) {
		if _, ok := have[n]; ok {
			continue
		}
		v, err := t.nextValidity(account)
		if err != nil {
			return err
		}
		rows = append(rows, newMailbox(Mailbox{ID: t.newID(), Account: account, Name: n, UIDValidity: v}))
	}
	if len(have)+len(rows) > q.Mailboxes {
		return ErrQuota
	}
	_, err = t.insert(insertion{into: intoMailboxes, rows: rows})
	return err
}

// superiors are the names above a name, the highest first.
func superiors(name string) (out []string) {
	for i, c := range name {
		if string(c) == Separator {
			out = append(out, name[:i])
		}
	}
	return out
}

func (s *session) mailboxNames(account string) (map[string]Mailbox, error) {
	rows, err := list(s, mailboxRow, mailboxColumns+"WHERE account = $1", account)
	out := make(map[string]Mailbox, len(rows))
	for _, m := range rows {
		out[m.Name] = m
	}
	return out, err
}

// lockOwn finds a mailbox that the user made, and locks it and its account:
// ErrNotFound, ErrKept for one of the folders that every account has.
func (t *tx) lockOwn(account, name string) (*Mailbox, error) {
	if err := t.lockAccounts(account); err != nil {
		return nil, err
	}
	m, err := t.mailbox("WHERE account = $1 AND name = $2"+t.d.forUpdate, account, name)
	if err == nil && m.Role != "" {
		err = ErrKept
	}
	return m, err
}

// DeleteMailbox removes a mailbox that the user made, with its messages; those
// below it stay. ErrNotFound, ErrKept.
func (db *DB) DeleteMailbox(ctx context.Context, account, name string) error {
	err := db.write(ctx, func(t *tx) error {
		m, err := t.lockOwn(account, name)
		if err != nil {
			return err
		}
		var own []any
		err = t.each(func(scan func(...any) error) error {
			var id string
			err := scan(&id)
			own = append(own, id)
			return err
		}, "SELECT DISTINCT l.id FROM messages x JOIN mails l ON l.id = x.mail WHERE x.mailbox = $1 AND l.home = ''", m.ID)
		for _, text := range []string{
			"DELETE FROM outlines WHERE mailbox = $1", "DELETE FROM messages WHERE mailbox = $1", "DELETE FROM tombstones WHERE mailbox = $1", "DELETE FROM mailboxes WHERE id = $1",
		} {
			if err == nil {
				_, err = t.exec(text, m.ID)
			}
		}
		if err != nil {
			return err
		}
		t.touch(m.ID)
		return t.dropMails(account, own)
	})
	if err != nil {
		return fmt.Errorf("delete mailbox of %s: %w", account, err)
	}
	return nil
}

// RenameMailbox renames a mailbox that the user made and all below it (RFC 9051
// §6.3.6); what is missing above the new name is made. ErrNotFound, ErrKept,
// ErrExists, ErrQuota. The new name is not below the old one.
func (db *DB) RenameMailbox(ctx context.Context, account string, rename Rename, q Quota) error {
	err := db.write(ctx, func(t *tx) error {
		if _, err := t.lockOwn(account, rename.From); err != nil {
			return err
		}
		if strings.HasPrefix(rename.To, rename.From+Separator) {
			return ErrExists
		}
		have, err := t.mailboxNames(account)
		if err != nil {
			return err
		}
		if _, ok := have[rename.To]; ok {
			return ErrExists
		}
		if above := superiors(rename.To); len(above) > 0 {
			err = t.createMailboxes(account, above[len(above)-1], q)
			if err != nil && !errors.Is(err, ErrExists) {
				return err
			}
		}
		for name, m := range have {
			rest, below := strings.CutPrefix(name, rename.From+Separator)
			if name != rename.From && !below {
				continue
			}
			to := rename.To
			if below {
				to += Separator + rest
			}
			if len(to) > maxMailboxName {
				return ErrQuota
			}
			if _, err := t.exec("UPDATE mailboxes SET name = $2 WHERE id = $1", m.ID, to); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("rename mailbox of %s: %w", account, err)
	}
	return nil
}

// Rename is a mailbox's name and its new one, both canonical.
type Rename struct{ From, To string }

// maxMailboxName bounds a name, in octets.
const maxMailboxName = 255

// SetSubscribed notes whether the user wants to see a mailbox: ErrNotFound.
func (db *DB) SetSubscribed(ctx context.Context, account, name string, on bool) error {
	err := db.write(ctx, func(t *tx) error {
		return t.changeOne("UPDATE mailboxes SET subscribed = $3 WHERE account = $1 AND name = $2", account, name, on)
	})
	if err != nil {
		return fmt.Errorf("subscribe mailbox of %s: %w", account, err)
	}
	return nil
}
