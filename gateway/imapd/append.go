package imapd

import (
	"io"

	"github.com/emersion/go-imap/v2"

	"cryptogramm.ru/cryptogramm/gateway"
)

// Append is APPEND. Nothing is stored of a letter that broke off, nor of one
// that does not end its command.
func (s *session) Append(name string, r imap.LiteralReader, options *imap.AppendOptions) (*imap.AppendData, error) {
	body := &literalBody{r: r, left: r.Size(), conn: s.conn}
	at, err := s.srv.Gateway.Append(s.srv.ctx, gateway.AppendRequest{
		User: s.user, Mailbox: name, Flags: plainFlags(options.Flags), Internal: options.Time, Body: body, Size: r.Size(),
	})
	if err == nil && !body.whole {
		err = errTruncated
	}
	if err != nil {
		return nil, s.into(err)
	}
	return &imap.AppendData{UIDValidity: at.UIDValidity, UID: imap.UID(at.UID)}, nil
}

// literalBody is io.EOF only behind the last octet of a literal that ends its
// command. The engine's own reader takes a client's death for that.
type literalBody struct {
	r     io.Reader
	left  int64
	conn  *conn
	whole bool
	err   error // permanent
}

func (b *literalBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.left > 0 {
		n, err := b.r.Read(p)
		if b.left -= int64(n); b.left > 0 && err != nil {
			b.err = errTruncated
		}
		if n > 0 || len(p) == 0 {
			return n, nil
		}
	}
	switch {
	case b.left > 0 && b.err == nil:
		return 0, nil
	case b.err == nil && !b.conn.closed():
		b.err = errTrailing
	case b.err == nil:
		b.err, b.whole = io.EOF, true
	}
	return 0, b.err
}
