package imapd

import (
	"context"
	"errors"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store"
)

// Search is SEARCH (RFC 9051 §6.4.4). It ends when the client goes away.
func (s *session) Search(kind imapserver.NumKind, criteria *imap.SearchCriteria, options *imap.SearchOptions) (*imap.SearchData, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if options.ReturnSave {
		s.view.saved = nil // RFC 5182 §2.1: of a search that fails
	}
	found, err := s.search(criteria)
	if err != nil {
		return nil, s.no(err)
	}
	data := &imap.SearchData{Count: uint32(len(found))}
	if options.ReturnSave {
		s.view.saved = saved(found, options)
	}
	var numbers []uint32
	for _, uid := range found {
		if kind == imapserver.NumKindSeq {
			i, _ := s.view.place(uid)
			uid = uint32(i + 1)
		}
		numbers = append(numbers, uid)
	}
	if n := len(numbers); n > 0 {
		data.Min, data.Max = numbers[0], numbers[n-1]
	}
	set := uidSet(numbers)
	data.All = set
	if kind == imapserver.NumKindSeq {
		var seqs imap.SeqSet
		for _, r := range set {
			seqs = append(seqs, imap.SeqRange{Start: uint32(r.Start), Stop: uint32(r.Stop)})
		}
		data.All = seqs
	}
	return data, nil
}

// saved is what "$" stands for (RFC 5182 §2.4): everything found, or with MIN
// or MAX alone those.
func saved(found []uint32, o *imap.SearchOptions) []store.UIDRange {
	if n := len(found); n > 0 && (o.ReturnMin || o.ReturnMax) && !o.ReturnAll && !o.ReturnCount {
		var ends []uint32
		if o.ReturnMin {
			ends = append(ends, found[0])
		}
		if o.ReturnMax {
			ends = append(ends, found[n-1])
		}
		found = ends
	}
	return runs(found)
}

// search answers the UIDs of the view that match, ascending.
func (s *session) search(criteria *imap.SearchCriteria) ([]uint32, error) {
	v := s.view
	q := query{view: v}
	root, err := q.compile(criteria)
	if err != nil || len(v.uids) == 0 {
		return nil, err
	}
	all := []store.UIDRange{{From: v.uids[0], To: v.uids[len(v.uids)-1]}}
	if q.want == 0 && !q.rows {
		return q.inView(root), nil
	}
	ctx, stop := s.conn.during(s.srv.ctx)
	defer stop()
	if len(q.needles) > 0 {
		select {
		case s.srv.searching <- struct{}{}:
			defer func() { <-s.srv.searching }()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	var found []uint32
	err = s.each(ctx, reading{ranges: q.narrow(root, all), want: q.want}, func(rows []store.Message) error {
		for i := range rows {
			ok, err := s.matches(ctx, &q, root, &rows[i])
			if err != nil {
				return err
			}
			if ok {
				found = append(found, rows[i].UID)
			}
		}
		return ctx.Err()
	})
	return found, err
}

// matches sets one message against the criteria. A message whose octets are
// gone meanwhile, or cannot be read, is an error: "not found" would be a lie.
func (s *session) matches(ctx context.Context, q *query, root *node, m *store.Message) (bool, error) {
	c := &candidate{m: m, l: &letter{ctx: ctx, srv: s.srv, m: &m.Mail}, q: q}
	defer c.l.close()
	ok := root.match(c)
	if c.err != nil && errors.Is(c.err, store.ErrNotFound) { // expunged meanwhile
		return false, nil
	}
	return ok, c.err
}

// candidate is a message that is set against criteria, with what was read of
// it so far.
type candidate struct {
	m      *store.Message
	l      *letter
	q      *query
	fields message.Header
	read   bool   // fields
	hits   []bool // by needle; nil until the letter was searched
	err    error
}

// header is the mail's own header, read once.
func (c *candidate) header() message.Header {
	if c.read || c.err != nil {
		return c.fields
	}
	c.read = true
	if c.outline() {
		c.fields, c.err = c.l.header()
	}
	return c.fields
}

func (c *candidate) outline() bool {
	if c.l.o == nil && c.err == nil {
		c.err = c.l.outline()
	}
	return c.err == nil
}

// day is a date without its time; search knows no zones (RFC 9051 §6.4.4).
func day(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}
