package imapd

import (
	"context"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"

	"cryptogramm.ru/cryptogramm/store"
)

// view is a selected mailbox as the client knows it.
type view struct {
	box      store.Mailbox
	readOnly bool
	uids     []uint32            // ascending; place + 1 is the sequence number
	modseq   int64               // what the client knows of
	gone     map[uint32]struct{} // expunged, not yet said
	told     map[uint32]uint64   // flags that the client knows without having been told by update
	saved    []store.UIDRange    // result of SEARCH RETURN (SAVE) (RFC 5182)
	changed  <-chan struct{}
	unwatch  func()
	synced   time.Time // when changes were last read
}

// place is the index of a UID.
func (v *view) place(uid uint32) (int, bool) { return slices.BinarySearch(v.uids, uid) }

// resolve makes ranges of UIDs, of which each end is a message of the view, of
// what a client named: sequence numbers, UIDs or "$", with "*" for the last.
func (v *view) resolve(set imap.NumSet) []store.UIDRange {
	if imap.IsSearchRes(set) {
		return v.pack(v.saved)
	}
	var ranges []store.UIDRange
	n := uint32(len(v.uids))
	if n == 0 {
		return nil
	}
	switch set := set.(type) {
	case imap.UIDSet:
		for _, r := range set {
			from, to := order(uint32(r.Start), uint32(r.Stop), v.uids[n-1])
			ranges = append(ranges, store.UIDRange{From: from, To: to})
		}
	case imap.SeqSet:
		for _, r := range set {
			from, to := order(r.Start, r.Stop, n)
			if from <= n {
				ranges = append(ranges, store.UIDRange{From: v.uids[max(from, 1)-1], To: v.uids[min(to, n)-1]})
			}
		}
	}
	return v.pack(ranges)
}

// order puts the ends of a range in order; 0 is "*", the last.
func order(from, to, last uint32) (uint32, uint32) {
	if from == 0 {
		from = last
	}
	if to == 0 {
		to = last
	}
	return min(from, to), max(from, to)
}

// pack sorts ranges, cuts them to messages of the view, and joins those that
// have none between them.
func (v *view) pack(ranges []store.UIDRange) []store.UIDRange {
	ranges = slices.Clone(ranges)
	slices.SortFunc(ranges, func(a, b store.UIDRange) int { return int(int64(a.From) - int64(b.From)) })
	var out []store.UIDRange
	last := -1 // place of the last message taken
	for _, r := range ranges {
		from, _ := v.place(r.From)
		to, found := v.place(r.To)
		if !found {
			to--
		}
		if from = max(from, last+1); from > to {
			continue
		}
		if len(out) > 0 && from == last+1 {
			out[len(out)-1].To = v.uids[to]
		} else {
			out = append(out, store.UIDRange{From: v.uids[from], To: v.uids[to]})
		}
		last = to
	}
	return out
}

// page is how many rows are read at a time, pageOctets how much of headers and
// outlines, which may have 256 KiB each.
const (
	page       = 256
	pageHeads  = 64
	pageOctets = 1 << 20
)

// runs are the ranges that make up ascending UIDs.
func runs(uids []uint32) (out []store.UIDRange) {
	for _, r := range uidSet(uids) {
		out = append(out, store.UIDRange{From: uint32(r.Start), To: uint32(r.Stop)})
	}
	return out
}

// reading is one pass over messages.
type reading struct {
	ranges []store.UIDRange
	want   store.Want
}

// each calls f for the messages of the view in ranges, ascending. No query is
// open while f works. What was expunged meanwhile is left out.
func (s *session) each(ctx context.Context, r reading, f func(rows []store.Message) error) error {
	v, limit := s.view, page
	if r.want&store.WantHead != 0 {
		limit = pageHeads
	}
	for ranges := r.ranges; len(ranges) > 0; {
		some := ranges[:min(len(ranges), page)]
		query := store.MessageQuery{Mailbox: v.box.ID, Ranges: some, Want: r.want, Limit: limit, Octets: pageOctets}
		rows, err := s.srv.DB.Messages(ctx, query)
		if err != nil {
			return err
		}
		if !query.Full(rows) {
			ranges = ranges[len(some):]
		} else {
			ranges = after(ranges, rows[len(rows)-1].UID)
		}
		rows = slices.DeleteFunc(rows, func(m store.Message) bool { _, ok := v.place(m.UID); return !ok })
		if len(rows) == 0 {
			continue
		}
		if err := f(rows); err != nil {
			return err
		}
	}
	return nil
}

// after is what is left of ascending ranges behind a UID.
func after(ranges []store.UIDRange, uid uint32) []store.UIDRange {
	for len(ranges) > 0 && ranges[0].To <= uid {
		ranges = ranges[1:]
	}
	if len(ranges) > 0 && ranges[0].From <= uid {
		ranges = slices.Clone(ranges)
		ranges[0].From = uid + 1
	}
	return ranges
}
