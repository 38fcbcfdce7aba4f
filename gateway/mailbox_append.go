package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// AppendRequest is a mail that a user puts into one of his mailboxes.
type AppendRequest struct {
	User     *store.User
	Mailbox  string // name
	Flags    []string
	Internal time.Time // zero: now
	Body     io.Reader
	Size     int64 // octets that Body has to have
}

// Append stores a mail that a client made, its octets exactly as they came.
// Drafts, Trash and mailboxes that the user made take any mail; Sent only a
// letter that was submitted (same Message-ID, same signed octets), of which it
// answers the copy that is there.
//
// Errors: ErrNoMailbox, ErrKept, ErrFlag, ErrOverQuota, message.ErrTooLarge,
// io.ErrUnexpectedEOF when Body is shorter or longer than Size, ErrFull,
// ErrStopped. Nothing is stored then.
func (g *Gateway) Append(ctx context.Context, r AppendRequest) (store.Appended, error) {
	if g.stopped.Load() {
		return store.Appended{}, ErrStopped
	}
	if !utf8.ValidString(r.Mailbox) {
		return store.Appended{}, ErrNoMailbox
	}
	box, err := g.DB.MailboxByName(ctx, r.User.ID, r.Mailbox)
	if err == nil {
		_, err = store.CanonicalFlags(r.Flags)
	}
	switch {
	case err != nil:
		return store.Appended{}, mailboxError(err)
	case box.Role.Kept() && box.Role != store.RoleSent:
		return store.Appended{}, ErrKept
	case r.Size > g.Limits.Letter:
		return store.Appended{}, message.ErrTooLarge
	}
	sp, err := g.spoolMail(io.LimitReader(r.Body, r.Size+1))
	if err != nil {
		return store.Appended{}, err
	}
	defer sp.remove()
	if sp.ref.Size != r.Size {
		return store.Appended{}, fmt.Errorf("mail of %d octets announced as %d: %w", sp.ref.Size, r.Size, io.ErrUnexpectedEOF)
	}
	// From here on the work is finished even if the client hangs up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.letterTime(sp.ref.Size))
	defer cancel()
	if box.Role == store.RoleSent {
		return g.appendSent(ctx, r.User.ID, sp)
	}
	if !g.appends.take(r.User.ID, sp.ref.Size, g.Limits.OwnMail, g.Now()) {
		return store.Appended{}, ErrOverQuota
	}
	return g.appendOwn(ctx, box, r, sp)
}

// appendOwn stores a mail of the user's own.
func (g *Gateway) appendOwn(ctx context.Context, box *store.Mailbox, r AppendRequest, sp *spooled) (store.Appended, error) {
	m, err := newMail(sp.file, sp.ref)
	if err != nil {
		return store.Appended{}, err
	}
	m.ID = g.NewID()
	if err := sp.durable(); err != nil {
		return store.Appended{}, err
	}
	g.linking.RLock()
	defer g.linking.RUnlock()
	pending := false
	if m.Length > 0 {
		if pending, err = g.keepBlob(ctx, sp.ref, sp.path); err != nil {
			return store.Appended{}, err
		}
	}
	n := store.NewMessage{Mailbox: box.ID, Mail: *m, Flags: r.Flags, Internal: r.Internal}
	if pending {
		if n.Jobs, err = g.uploadMail(m); err != nil {
			return store.Appended{}, err
		}
	}
	at, err := g.DB.AddMail(ctx, n, g.quota())
	if errors.Is(err, store.ErrStopped) {
		return at, g.commit(err)
	}
	return at, mailboxError(err)
}

// uploadMail is the upload of a mail's blob, which this node alone has.
func (g *Gateway) uploadMail(m *store.Mail) ([]store.Job, error) {
	payload, err := json.Marshal(upload{Ref: m.Blob})
	now := g.Now()
	return []store.Job{{
		ID: jobUpload + "-" + m.ID, Kind: jobUpload, Subject: m.Blob.String(), Node: g.Node, Payload: payload, Due: now, Created: now,
	}}, err
}

// appendSent finds the letter that a client files as sent.
func (g *Gateway) appendSent(ctx context.Context, account string, sp *spooled) (store.Appended, error) {
	letter, facts, err := read(sp)
	if err != nil {
		return store.Appended{}, err
	}
	if letter == nil || facts.MessageID == "" {
		return store.Appended{}, ErrKept
	}
	signed, err := signedDigest(letter)
	if err != nil {
		return store.Appended{}, err
	}
	copies, err := g.DB.SentCopies(ctx, account, facts.MessageID)
	if err != nil {
		return store.Appended{}, err
	}
	for _, c := range copies {
		if c.SignedSHA256 == signed {
			at, err := g.DB.AddBack(ctx, account, c.ID)
			return at, mailboxError(err)
		}
	}
	return store.Appended{}, ErrKept
}

// maxHead is the longest header that is kept beside a mail's row: every header of
// a letter that was accepted, with its blank line.
const maxHead = 256<<10 + 2

// newMail makes the row of a mail whose octets lie in r and will lie in the blob
// ref. It reads r twice: the outline, then the header.
func newMail(r io.ReaderAt, ref rem.Ref) (*store.Mail, error) {
	o, err := message.OutlineOf(r, ref.Size)
	if err != nil {
		return nil, err
	}
	m := &store.Mail{Blob: ref, Length: ref.Size, Size: ref.Size, Outline: o.Encode()}
	if e := o.Entities[0].Envelope; e != nil {
		m.MessageID = e.MessageID
	}
	if h := o.HeaderSize(); h <= maxHead {
		m.Head = make([]byte, h)
		if _, err := io.ReadFull(io.NewSectionReader(r, 0, h), m.Head); err != nil {
			return nil, err
		}
		m.Offset, m.Length = h, ref.Size-h
	}
	if m.Length == 0 {
		m.Blob, m.Offset = rem.Ref{}, 0
	}
	return m, nil
}

// signedDigest tells letters apart by what is signed in them, whatever a client
// does to the header of its own copy: the signed entity of a multipart/signed
// letter, else the whole body.
func signedDigest(l *message.Letter) (rem.Digest, error) {
	span := l.Root.Body
	if l.Root.MediaType == "multipart/signed" && len(l.Root.Parts) > 0 {
		span = l.Root.Parts[0].Entity
	}
	h := sha256.New()
	if _, err := io.Copy(h, l.Raw(span)); err != nil {
		return rem.Digest{}, err
	}
	return rem.Digest(h.Sum(nil)), nil
}
