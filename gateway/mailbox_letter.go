package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// sentCopy is the sender's copy of a letter, whose octets r reads and the blob
// ref has or will have.
func sentCopy(r io.ReaderAt, ref rem.Ref, letter *message.Letter) (*store.Mail, error) {
	m, err := newMail(r, ref)
	if err != nil {
		return nil, err
	}
	m.MessageID = letter.MessageID
	m.SignedSHA256, err = signedDigest(letter)
	return m, err
}

// receivedCopy is the recipient's copy: our header over the submitted body. It
// is made of what was kept beside the row of the Sent copy, without a look at
// the bytes; a letter that has no Sent copy is read.
func (g *Gateway) receivedCopy(ctx context.Context, c *store.ConsignmentRow) (*store.Mail, error) {
	sent, err := g.DB.Mail(ctx, c.Submission)
	if errors.Is(err, store.ErrNotFound) || err == nil && len(sent.Head) == 0 {
		sent, err = g.mailOfLetter(ctx, c.Submission)
	}
	if err != nil {
		return nil, err
	}
	outline, err := message.DecodeOutline(sent.Outline)
	if err != nil {
		return nil, fmt.Errorf("outline of %s: %w", sent.ID, err)
	}
	header, err := g.recipientHeader(c, sent.Head)
	if err != nil {
		return nil, err
	}
	return &store.Mail{
		Head: header, Blob: sent.Blob, Offset: sent.Offset, Length: sent.Length, Size: int64(len(header)) + sent.Length,
		MessageID: g.messageID(c.ID), Outline: outline.WithHeader(header).Encode(),
	}, nil
}

// recipientHeader is the header of a recipient's letter over the body that
// followed head.
func (g *Gateway) recipientHeader(c *store.ConsignmentRow, head []byte) ([]byte, error) {
	letter, err := message.Parse(bytes.NewReader(head), int64(len(head)), message.DefaultLimits())
	if err != nil {
		return nil, fmt.Errorf("header of %s: %w", c.Submission, err)
	}
	header, _, err := message.RecipientLetter(letter, message.RecipientHeader{
		From: message.Address{Name: c.SenderName, Mailbox: c.Sender}, To: message.Address{Mailbox: c.Recipient},
		Subject: c.Subject, MessageID: g.messageID(c.ID), Date: c.Time,
	})
	return header, err
}

// mailOfLetter makes the row that a submission's Sent copy would have, its
// header of any length.
func (g *Gateway) mailOfLetter(ctx context.Context, submission string) (*store.Mail, error) {
	s, err := g.DB.Submission(ctx, submission)
	if err != nil {
		return nil, err
	}
	b, err := g.openBlob(ctx, s.Letter.Ref)
	if err != nil {
		return nil, fmt.Errorf("letter of %s: %w", s.ID, changed(err))
	}
	defer b.Close()
	m, err := newMail(b, s.Letter.Ref)
	if err != nil {
		return nil, err
	}
	m.ID, m.Submission = s.ID, s.ID
	return m, nil
}

// MailReader reads a mail's octets at any offset.
type MailReader interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// OpenMail opens the octets of a mail, which may have been read without its
// Head. Errors come with the opening when the blob is absent or not whole, and
// with reading; what is read is not checked against the digest.
func (g *Gateway) OpenMail(ctx context.Context, m *store.Mail) (MailReader, error) {
	if int64(len(m.Head))+m.Length != m.Size || m.Length > 0 && m.Blob == (rem.Ref{}) {
		whole, err := g.DB.Mail(ctx, m.ID)
		if err != nil {
			return nil, notFound(err)
		}
		m = whole
	}
	r := &mailReader{head: m.Head, offset: m.Offset, length: m.Length}
	if m.Length == 0 {
		return r, nil
	}
	var err error
	if r.blob, err = g.openBlob(ctx, m.Blob); err != nil {
		return nil, fmt.Errorf("mail %s: %w", m.ID, changed(err))
	}
	return r, nil
}

// mailReader is a head followed by a range of a blob.
type mailReader struct {
	head           []byte
	blob           blob.Blob // nil: there is only the head
	offset, length int64
}

func (r *mailReader) Size() int64 { return int64(len(r.head)) + r.length }

func (r *mailReader) Close() error {
	if r.blob == nil {
		return nil
	}
	return r.blob.Close()
}

// ReadAt is io.ReaderAt over all octets of the mail.
func (r *mailReader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("read mail: negative offset")
	}
	if off >= r.Size() {
		return 0, io.EOF
	}
	if left := r.Size() - off; int64(len(p)) > left {
		p, err = p[:left], io.EOF
	}
	if head := int64(len(r.head)); off < head {
		n = copy(p, r.head[off:])
		off, p = head, p[n:]
	}
	if len(p) == 0 {
		return n, err
	}
	more, failed := r.blob.ReadAt(p, r.offset+off-int64(len(r.head)))
	if n += more; more == len(p) {
		return n, err
	}
	if failed == nil || failed == io.EOF { // the blob is shorter than it said
		failed = io.ErrUnexpectedEOF
	}
	return n, failed
}
