package imapd

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strconv"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store"
)

// Fetch is FETCH (RFC 9051 §6.4.5). It writes its responses beside the engine,
// whose buffer is empty while it is here.
func (s *session) Fetch(w *imapserver.FetchWriter, set imap.NumSet, options *imap.FetchOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.conn.newPlan(w, options)
	err := s.each(s.srv.ctx, reading{ranges: s.view.resolve(set), want: p.want}, func(rows []store.Message) error {
		seen, err := s.setSeen(p, rows)
		if err != nil {
			return err
		}
		for i := range rows {
			if err := s.fetch(p, &rows[i], seen[rows[i].UID]); err != nil {
				return err
			}
		}
		return nil
	})
	return s.no(err)
}

// setSeen sets \Seen where the plan does so, and answers on which messages.
func (s *session) setSeen(p plan, rows []store.Message) (map[uint32]bool, error) {
	if !p.sets || s.view.readOnly {
		return nil, nil
	}
	seen := map[uint32]bool{}
	var uids []store.UIDRange
	for i := range rows {
		m := &rows[i]
		if !slices.Contains(m.Flags, string(imap.FlagSeen)) {
			seen[m.UID] = true
			uids = append(uids, store.UIDRange{From: m.UID, To: m.UID})
			m.Flags = append([]string{string(imap.FlagSeen)}, m.Flags...)
		}
	}
	if len(uids) == 0 {
		return nil, nil
	}
	s.view.stale()
	return seen, s.srv.Gateway.SetFlags(s.srv.ctx, store.FlagChange{
		Mailbox: s.view.box.ID, UIDs: uids, Op: store.FlagsAdd, Flags: []string{string(imap.FlagSeen)},
	})
}

// fetch writes the response for one message.
func (s *session) fetch(p plan, m *store.Message, seen bool) error {
	i, _ := s.view.place(m.UID)
	l := &letter{ctx: s.srv.ctx, srv: s.srv, m: &m.Mail}
	defer l.close()
	if p.want&store.WantOutline != 0 {
		if err := l.outline(); err != nil {
			return err
		}
	}
	if seen {
		s.view.knows(m.UID, m.Flags)
	}
	return s.conn.compose(func(w *writer) error {
		b := strconv.AppendInt(append(*w.c.out, "* "...), int64(i+1), 10)
		*w.c.out = p.facts(append(b, " FETCH ("...), m, l.o, seen)
		for n, item := range p.sections {
			if n > 0 || p.any(seen) {
				w.text(" ")
			}
			if err := l.write(w, item); err != nil {
				return err
			}
		}
		w.text(")\r\n")
		return nil
	})
}

// any reports whether facts writes something.
func (p plan) any(seen bool) bool {
	return p.uid || p.flags || seen || p.date || p.size || p.envelope || p.body || p.structure
}

// facts are the items that need no octets of the mail.
func (p plan) facts(out []byte, m *store.Message, o *message.Outline, seen bool) []byte {
	start := len(out)
	name := func(s string) {
		if len(out) > start {
			out = append(out, ' ')
		}
		out = append(out, s...)
	}
	if p.uid {
		name("UID ")
		out = strconv.AppendUint(out, uint64(m.UID), 10)
	}
	if p.flags || seen {
		name("FLAGS (")
		out = append(appendFlags(out, m.Flags), ')')
	}
	if p.date {
		name(`INTERNALDATE "`)
		out = append(m.Internal.AppendFormat(out, "_2-Jan-2006 15:04:05 -0700"), '"')
	}
	if p.size {
		name("RFC822.SIZE ")
		out = strconv.AppendInt(out, m.Size, 10)
	}
	if p.envelope {
		name("ENVELOPE ")
		out = appendEnvelope(out, o.Entities[0].Envelope)
	}
	if p.body {
		name("BODY ")
		out = structure{o, false}.append(out, 0)
	}
	if p.structure {
		name("BODYSTRUCTURE ")
		out = structure{o, true}.append(out, 0)
	}
	return out
}

// letter reads a mail's octets. Its body is opened when it is first needed.
type letter struct {
	ctx context.Context
	srv *Server
	m   *store.Mail
	o   *message.Outline
	r   gateway.MailReader
}

func (l *letter) close() {
	if l.r != nil {
		l.r.Close()
	}
}

// outline decodes what intake has made, or makes it again.
func (l *letter) outline() (err error) {
	if l.o, err = message.DecodeOutline(l.m.Outline); err == nil && l.o.Size == l.m.Size {
		return nil
	}
	if l.m, err = l.srv.DB.Mail(l.ctx, l.m.ID); err != nil {
		return err
	}
	if err = l.open(); err == nil {
		l.o, err = message.OutlineOf(l.r, l.m.Size)
	}
	return err
}

func (l *letter) open() (err error) {
	if l.r == nil {
		l.r, err = l.srv.Gateway.OpenMail(l.ctx, l.m)
	}
	return err
}

// ReadAt is part of io.ReaderAt.
func (l *letter) ReadAt(b []byte, off int64) (int, error) {
	if off >= 0 && off+int64(len(b)) <= int64(len(l.m.Head)) {
		return copy(b, l.m.Head[off:]), nil
	}
	if err := l.open(); err != nil {
		return 0, err
	}
	return l.r.ReadAt(b, off)
}

// write writes one section: NIL for one that the mail does not have.
func (l *letter) write(w *writer, i item) error {
	w.text(i.label)
	c, ok, err := l.content(i)
	if err != nil {
		return err
	}
	switch {
	case !ok && i.length:
		w.text(" 0")
		return nil
	case !ok:
		w.text(" NIL")
		return nil
	case i.length:
		w.text(" " + strconv.FormatInt(c.size, 10))
		return nil
	}
	from, n := int64(0), c.size
	if i.part != nil {
		from = min(max(i.part.Offset, 0), c.size)
		n = min(max(i.part.Size, 0), c.size-from)
	}
	open := " {"
	if i.decoded {
		open = " ~{"
	}
	w.text(open + strconv.FormatInt(n, 10) + "}\r\n")
	r, err := c.from(from)
	if err != nil {
		return err
	}
	return w.copy(r, n)
}

// content is a section's octets.
type content struct {
	size int64
	from func(off int64) (io.Reader, error)
}

func (l *letter) content(i item) (content, bool, error) {
	slice, ok := message.Slice{Span: message.Span{Length: l.m.Size}}, true
	if !i.whole() {
		slice, ok = l.o.Slice(i.section)
	}
	switch {
	case !ok:
		return content{}, false, nil
	case !i.decoded && slice.Whole():
		return content{slice.Length, func(off int64) (io.Reader, error) {
			return io.NewSectionReader(l, slice.Offset+off, slice.Length-off), nil
		}}, true, nil
	}
	open := func() io.Reader { return slice.Open(l) }
	if i.decoded {
		encoding := ""
		if at, _ := l.o.Find(i.section.Part); len(i.section.Part) > 0 {
			encoding = l.o.Entities[at].Encoding
		}
		open = func() io.Reader { return message.Decode(slice.Open(l), encoding) }
	}
	c, err := counted(open, slice.Length)
	return c, true, err
}

// maxHeld bounds what is held of a section whose size has to be counted.
const maxHeld = 256 << 10

// counted is content whose size is known only by reading it: held when it
// comes from few octets, else read twice.
func counted(open func() io.Reader, octets int64) (content, error) {
	if octets <= maxHeld {
		all, err := io.ReadAll(open())
		return content{int64(len(all)), func(off int64) (io.Reader, error) { return bytes.NewReader(all[off:]), nil }}, err
	}
	size, err := io.Copy(io.Discard, open())
	return content{size, func(off int64) (io.Reader, error) {
		r := open()
		_, err := io.CopyN(io.Discard, r, off)
		return r, err
	}}, err
}
