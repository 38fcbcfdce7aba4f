package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// ownFolders are the folders that every account has.
var ownFolders = [...]struct {
	name string
	role Role
}{
	{"INBOX", RoleInbox}, {"Received", RoleReceived}, {"Sent", RoleSent},
	{"Receipts", RoleReceipts}, {"Drafts", RoleDrafts}, {"Trash", RoleTrash},
}

// EnsureMailboxes makes the folders of an account unless it has them:
// ErrNotFound when there is no such account. A delivery makes them too.
func (db *DB) EnsureMailboxes(ctx context.Context, account string) error {
	var one int
	err := db.read(ctx).get([]any{&one}, "SELECT 1 FROM mail_accounts WHERE account = $1", account)
	if errors.Is(err, ErrNotFound) {
		err = db.write(ctx, func(t *tx) error { return t.ensureMailboxes(account) })
	}
	if err != nil {
		return fmt.Errorf("mailboxes of %s: %w", account, err)
	}
	return nil
}

// ensureMailboxes waits for whoever is making the same folders.
func (t *tx) ensureMailboxes(account string) error {
	first := t.now.Unix()
	n, err := t.exec("INSERT INTO mail_accounts (account, validity, octets) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING",
		account, first+int64(len(ownFolders))-1)
	if err != nil || n == 0 {
		return err
	}
	rows := make([][]any, len(ownFolders))
	for i, f := range ownFolders {
		rows[i] = newMailbox(Mailbox{ID: t.newID(), Account: account, Name: f.name, Role: f.role, UIDValidity: uint32(first) + uint32(i)})
	}
	_, err = t.insert(insertion{into: intoMailboxes, rows: rows})
	return err
}

const intoMailboxes = `mailboxes (id, account, name, role, uid_validity, uid_next, modseq, pruned, subscribed,
	messages, unseen, deleted, size)`

// newMailbox is the row of an empty mailbox.
func newMailbox(m Mailbox) []any {
	return []any{m.ID, m.Account, m.Name, m.Role, m.UIDValidity, 1, 1, 0, true, 0, 0, 0, 0}
}

func (t *tx) newID() string {
	var b [11]byte
	rand.Read(b[:])
	return rem.NewID(t.now, b)
}

// lockAccounts is the first step of whoever changes more than one mailbox, or
// what an account has of mails: in one order, so that nobody waits in a circle.
// A transaction that has locked a mailbox without it waits for nothing more.
func (t *tx) lockAccounts(accounts ...string) error {
	slices.Sort(accounts)
	for _, account := range slices.Compact(accounts) {
		err := t.lockAccount(account)
		if errors.Is(err, ErrNotFound) {
			if err = t.ensureMailboxes(account); err == nil {
				err = t.lockAccount(account)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) lockAccount(account string) error {
	var one int
	return t.get([]any{&one}, "SELECT 1 FROM mail_accounts WHERE account = $1"+t.d.forUpdate, account)
}

// lockMailbox answers a mailbox that nobody else changes until the end of the
// transaction: ErrNotFound.
func (t *tx) lockMailbox(id string) (*Mailbox, error) {
	return t.mailbox("WHERE id = $1"+t.d.forUpdate, id)
}

// lockOwner locks the account of a mailbox, then the mailbox.
func (t *tx) lockOwner(mailbox string) (*Mailbox, error) {
	m, err := t.mailbox("WHERE id = $1", mailbox)
	if err == nil {
		err = t.lockAccounts(m.Account)
	}
	if err != nil {
		return nil, err
	}
	return t.lockMailbox(mailbox)
}

// nextValidity gives out a UIDVALIDITY that the account has not had. Its row is
// locked.
func (t *tx) nextValidity(account string) (v uint32, err error) {
	err = t.get([]any{&v}, `UPDATE mail_accounts SET validity = CASE WHEN validity < $2 THEN $2 ELSE validity + 1 END
		WHERE account = $1 RETURNING validity`, account, t.now.Unix())
	return v, err
}

// delta is how the counts of a mailbox change.
type delta struct {
	uids, messages, unseen, deleted int
	size                            int64
}

// count adds (sign 1) or takes away (sign -1) one message.
func (d *delta) count(sign int, flags []string, size int64) {
	d.messages += sign
	if !slices.Contains(flags, `\Seen`) {
		d.unseen += sign
	}
	if slices.Contains(flags, `\Deleted`) {
		d.deleted += sign
	}
	d.size += int64(sign) * size
}

// change is a mailbox as the change in hand leaves it.
type change struct {
	id       string
	uid      uint32 // first of those that were asked for
	modseq   int64  // to stamp the rows with
	validity uint32
}

// advance is one change of a mailbox: it takes its lock, gives out UIDs and a
// ModSeq, keeps the counts, and tells the watchers. ErrNotFound.
func (t *tx) advance(d delta, where string, args ...any) (change, error) {
	var c change
	var next uint32
	err := t.get([]any{&c.id, &next, &c.modseq, &c.validity}, `UPDATE mailboxes SET uid_next = uid_next + $1, modseq = modseq + 1,
		messages = messages + $2, unseen = unseen + $3, deleted = deleted + $4, size = size + $5 WHERE `+where+
		" RETURNING id, uid_next, modseq, uid_validity",
		append([]any{d.uids, d.messages, d.unseen, d.deleted, d.size}, args...)...)
	if err != nil {
		return change{}, err
	}
	c.uid = next - uint32(d.uids)
	t.touch(c.id)
	return c, nil
}

const byID, byRole = "id = $6", "account = $6 AND role = $7"
