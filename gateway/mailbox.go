package gateway

import (
	"context"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"cryptogramm.ru/cryptogramm/store"
)

// Answers of the mailbox methods.
var (
	ErrKept          = errors.New("this folder is filled by the exchange alone")
	ErrMailboxExists = errors.New("there is a mailbox of this name")
	ErrNoMailbox     = errors.New("there is no such mailbox")
	ErrMailboxName   = errors.New("not a name for a mailbox")
	ErrOverQuota     = errors.New("over quota")
	ErrFlag          = errors.New("not a flag that can be kept")
)

// mailboxError names an error of store for the doors.
func mailboxError(err error) error {
	for _, known := range []struct{ of, is error }{
		{store.ErrKept, ErrKept}, {store.ErrExists, ErrMailboxExists}, {store.ErrNotFound, ErrNoMailbox},
		{store.ErrQuota, ErrOverQuota}, {store.ErrFlag, ErrFlag}, {store.ErrFull, ErrFull},
	} {
		if errors.Is(err, known.of) {
			return errors.Join(known.is, err)
		}
	}
	return err
}

// EnsureMailboxes makes the folders of an account unless it has them. A door
// calls it at each login.
func (g *Gateway) EnsureMailboxes(ctx context.Context, account string) error {
	return mailboxError(g.DB.EnsureMailboxes(ctx, account))
}

// SetFlags changes flags of messages; the keywords that show a letter's state
// stay as they are. ErrNoMailbox, ErrFlag.
func (g *Gateway) SetFlags(ctx context.Context, c store.FlagChange) error {
	return mailboxError(g.DB.SetFlags(ctx, c))
}

// Expunge removes the messages flagged \Deleted, of the given UIDs or (nil) of
// the whole mailbox, and answers their UIDs. Of what the exchange delivered only
// the message goes: letter, evidence and bytes stay. ErrNoMailbox.
func (g *Gateway) Expunge(ctx context.Context, mailbox string, uids []store.UIDRange) ([]uint32, error) {
	gone, err := g.DB.Expunge(ctx, mailbox, uids)
	return gone, mailboxError(err)
}

// CopyMessages copies or moves messages between mailboxes of one account. Into a
// folder that the exchange fills only mail goes that belongs there: ErrKept.
// ErrNoMailbox, ErrOverQuota.
func (g *Gateway) CopyMessages(ctx context.Context, r store.CopyRequest) (store.Copied, error) {
	c, err := g.DB.CopyMessages(ctx, r, g.quota())
	return c, mailboxError(err)
}

func (g *Gateway) quota() store.Quota {
	return store.Quota{Octets: g.Limits.OwnMail, Messages: g.Limits.OwnMessages, Mailboxes: g.Limits.Mailboxes}
}

// CreateMailbox makes a mailbox and what is missing above it. ErrMailboxName,
// ErrMailboxExists, ErrOverQuota.
func (g *Gateway) CreateMailbox(ctx context.Context, user *store.User, name string) error {
	// A trailing separator only says that there will be mailboxes below (RFC 9051 §6.3.4).
	name, err := mailboxName(strings.TrimSuffix(name, store.Separator))
	if err != nil {
		return err
	}
	return mailboxError(g.DB.CreateMailbox(ctx, user.ID, name, g.quota()))
}

// DeleteMailbox removes a mailbox that the user made; those below it stay.
// ErrNoMailbox, ErrKept.
func (g *Gateway) DeleteMailbox(ctx context.Context, user *store.User, name string) error {
	if !utf8.ValidString(name) {
		return ErrNoMailbox
	}
	return mailboxError(g.DB.DeleteMailbox(ctx, user.ID, store.CanonicalName(name)))
}

// RenameMailbox renames a mailbox that the user made, and all below it.
// ErrNoMailbox, ErrKept, ErrMailboxName, ErrMailboxExists, ErrOverQuota.
func (g *Gateway) RenameMailbox(ctx context.Context, user *store.User, from, to string) error {
	if !utf8.ValidString(from) {
		return ErrNoMailbox
	}
	from = store.CanonicalName(from)
	to, err := mailboxName(strings.TrimSuffix(to, store.Separator))
	if err == nil && strings.HasPrefix(to, from+store.Separator) {
		err = ErrMailboxName
	}
	if err != nil {
		return err
	}
	return mailboxError(g.DB.RenameMailbox(ctx, user.ID, store.Rename{From: from, To: to}, g.quota()))
}

// Subscribe notes whether the user wants to see a mailbox: ErrNoMailbox.
func (g *Gateway) Subscribe(ctx context.Context, user *store.User, name string, on bool) error {
	if !utf8.ValidString(name) {
		return ErrNoMailbox
	}
	return mailboxError(g.DB.SetSubscribed(ctx, user.ID, store.CanonicalName(name), on))
}

// Bounds of mailbox names.
const (
	maxMailboxName   = 255 // octets
	maxMailboxLevels = 10
)

// mailboxName is the canonical spelling of a name that a mailbox may have: no
// empty level, no control characters, and none of the wildcards that LIST could
// not tell from the name.
func mailboxName(name string) (string, error) {
	if !utf8.ValidString(name) {
		return "", ErrMailboxName
	}
	name = store.CanonicalName(name)
	levels := strings.Split(name, store.Separator)
	if len(name) > maxMailboxName || len(levels) > maxMailboxLevels {
		return "", ErrMailboxName
	}
	for _, l := range levels {
		if strings.TrimSpace(l) != l || l == "" || strings.ContainsFunc(l, func(r rune) bool {
			return unicode.IsControl(r) || r == '%' || r == '*' || r == 0x2028 || r == 0x2029 // RFC 9051 §5.1
		}) {
			return "", ErrMailboxName
		}
	}
	return name, nil
}
