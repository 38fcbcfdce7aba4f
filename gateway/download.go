package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"cryptogramm.ru/cryptogramm/gateway/judge"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// ErrChanged ends a download whose bytes are not the recorded ones.
var ErrChanged = errors.New("the stored bytes differ from their recorded digest")

// changed adds ErrChanged to what goes wrong only with bytes other than those
// that were accepted.
func changed(err error) error {
	for _, e := range []error{blob.ErrCorrupt, message.ErrMalformed, message.ErrLimit} {
		if errors.Is(err, e) {
			return errors.Join(ErrChanged, err)
		}
	}
	return err
}

// visible finds a letter by the id of a submission (its sender) or of a
// consignment (its sender, or the recipient who received it).
func (g *Gateway) visible(ctx context.Context, user *store.User, id string) (*View, error) {
	s, err := g.ViewSubmission(ctx, user, id)
	if err == nil {
		return &View{Role: RoleSender, Submission: s.Submission}, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	return g.View(ctx, user, id)
}

// OpenDocument hands out the n-th document (from 0), decoded, byte for byte
// the file that was attached.
func (g *Gateway) OpenDocument(ctx context.Context, user *store.User, id string, n int) (*Download, error) {
	v, err := g.visible(ctx, user, id)
	if err != nil {
		return nil, err
	}
	docs := v.Submission.Finding.Documents
	if n < 0 || n >= len(docs) {
		return nil, ErrNotFound
	}
	return g.open(ctx, v.Submission, docs[n].Name, rem.Ref{SHA256: docs[n].SHA256, Size: docs[n].Size},
		func(l *message.Letter) (io.ReadCloser, error) { return judge.OpenDocument(l, docs[n]) })
}

// OpenSignature hands out the n-th signature (from 0) as CMS in DER or BER.
func (g *Gateway) OpenSignature(ctx context.Context, user *store.User, id string, n int) (*Download, error) {
	v, err := g.visible(ctx, user, id)
	if err != nil {
		return nil, err
	}
	sigs := v.Submission.Finding.Signatures
	if n < 0 || n >= len(sigs) {
		return nil, ErrNotFound
	}
	return g.open(ctx, v.Submission, fmt.Sprintf("signature-%d.p7s", n+1), rem.Ref{SHA256: sigs[n].SignatureSHA256, Size: -1},
		func(l *message.Letter) (io.ReadCloser, error) { return judge.OpenSignature(l, sigs[n]) })
}

func (g *Gateway) open(ctx context.Context, s *rem.Submission, name string, ref rem.Ref, part func(*message.Letter) (io.ReadCloser, error)) (*Download, error) {
	letter, closeLetter, err := g.letter(ctx, s)
	if err != nil {
		return nil, err
	}
	r, err := part(letter)
	if err != nil {
		closeLetter()
		return nil, err
	}
	return &Download{Name: name, Size: ref.Size, ReadCloser: &checked{
		r: r, want: ref.SHA256, hash: sha256.New(), close: func() error { return errors.Join(r.Close(), closeLetter()) },
	}}, nil
}

// OpenLetter hands out the letter: to the sender the exact bytes he submitted,
// to a recipient our header block over the submitted body, in which no other
// recipient is named and the signature still verifies.
func (g *Gateway) OpenLetter(ctx context.Context, user *store.User, id string) (*Download, error) {
	v, err := g.visible(ctx, user, id)
	if err != nil {
		return nil, err
	}
	s := v.Submission
	letter, closeLetter, err := g.letter(ctx, s)
	if err != nil {
		return nil, err
	}
	if v.Role == RoleSender {
		whole := letter.Raw(message.Span{Offset: 0, Length: s.Letter.Ref.Size})
		return &Download{Name: "letter.eml", Size: s.Letter.Ref.Size, ReadCloser: &checked{
			r: whole, want: s.Letter.Ref.SHA256, hash: sha256.New(), close: closeLetter,
		}}, nil
	}
	header, body, err := message.RecipientLetter(letter, message.RecipientHeader{
		From: message.Address{Name: s.SenderName, Mailbox: s.Sender}, To: message.Address{Mailbox: v.Consignment.Recipient},
		Subject: s.Letter.Subject, MessageID: g.messageID(v.Consignment.ID), Date: s.Time,
	})
	if err != nil {
		closeLetter()
		return nil, err
	}
	// The digest is that of the whole submitted letter: what is not handed out
	// is read for it.
	sum := sha256.New()
	if _, err := io.Copy(sum, letter.Raw(message.Span{Length: body.Offset})); err != nil {
		closeLetter()
		return nil, err
	}
	rest := letter.Raw(message.Span{Offset: body.End(), Length: s.Letter.Ref.Size - body.End()})
	return &Download{Name: "letter.eml", Size: int64(len(header)) + body.Length, ReadCloser: struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(header), &checked{r: letter.Raw(body), rest: rest, want: s.Letter.Ref.SHA256, hash: sum}), closer(closeLetter)}}, nil
}

type closer func() error

func (c closer) Close() error { return c() }

// checked passes bytes through and turns the end into ErrChanged when their
// digest is not the recorded one, so a damaged copy never ends cleanly.
type checked struct {
	r     io.Reader
	rest  io.Reader // hashed after r, not handed out; may be nil
	hash  hash.Hash
	want  rem.Digest
	close func() error
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.hash.Write(p[:n])
	if err != io.EOF {
		return n, changed(err)
	}
	if c.rest != nil {
		if _, err := io.Copy(c.hash, c.rest); err != nil {
			return n, err
		}
		c.rest = nil
	}
	if rem.Digest(c.hash.Sum(nil)) != c.want {
		return n, ErrChanged
	}
	return n, io.EOF
}

func (c *checked) Close() error { return c.close() }

func parseCertificate(der []byte) (*pki.Certificate, error) { return pki.ParseCertificate(der) }
