package imapd

import (
	"errors"
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	"github.com/emersion/go-imap/v2/imapserver"

	"cryptogramm.ru/cryptogramm/store"
)

// resync is how old a view may get without a look at the database, whatever
// the watch says.
const resync = time.Second

// stale has the next Poll look at the database.
func (v *view) stale() { v.synced = time.Time{} }

// Poll tells the client what has become of the selected mailbox. It answers no
// error: the engine would drop the connection for it.
func (s *session) Poll(_ *imapserver.UpdateWriter, expunge bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.view
	if v == nil {
		return nil
	}
	due := s.srv.Now().Sub(v.synced) > resync
	select {
	case <-v.changed:
		due = true
	default:
	}
	s.update(polling{look: due, expunge: expunge})
	return nil
}

// Idle is IDLE (RFC 2177): it tells of changes as they come.
func (s *session) Idle(_ *imapserver.UpdateWriter, stop <-chan struct{}) error {
	var changed <-chan struct{}
	s.mu.Lock()
	if s.view != nil {
		changed = s.view.changed
		s.update(polling{expunge: true})
	}
	s.mu.Unlock()
	for {
		select {
		case <-stop:
			return nil
		case <-changed:
		}
		s.mu.Lock()
		select {
		case <-stop: // the view may be another by now
			s.mu.Unlock()
			return nil
		default:
		}
		if s.view != nil {
			s.update(polling{look: true, expunge: true})
		}
		s.mu.Unlock()
	}
}

// polling is what an update may do.
type polling struct {
	look    bool // at the database
	expunge bool // say EXPUNGE
}

// update brings the view up to date and tells the client. EXPUNGE, which would
// shift the numbers of a command under way, waits until it may be said (RFC
// 9051 §7.5.1).
func (s *session) update(p polling) {
	v := s.view
	var c store.Changes
	if p.look {
		var err error
		if c, err = s.changes(); err != nil {
			s.no(err) // for the log
			return
		}
		v.synced = s.srv.Now()
	}
	for _, uid := range c.Gone {
		if _, ok := v.place(uid); ok {
			if v.gone == nil {
				v.gone = map[uint32]struct{}{}
			}
			v.gone[uid] = struct{}{}
		}
	}
	if err := s.tellFlags(c.Changed); err != nil {
		s.no(err) // for the log
		return
	}
	v.told, v.modseq = nil, max(v.modseq, c.ModSeq)
	if len(c.Added) == 0 && (len(v.gone) == 0 || !p.expunge) {
		return
	}
	s.conn.respond(func(out []byte) []byte {
		if p.expunge {
			out = v.tellGone(out)
		}
		return v.tellAdded(out, c.Added)
	})
}

// changes reads what is new. A mailbox that is no more has lost everything.
func (s *session) changes() (store.Changes, error) {
	v := s.view
	c, err := s.srv.DB.MailboxChanges(s.srv.ctx, v.box.ID, v.modseq)
	if errors.Is(err, store.ErrNotFound) {
		return store.Changes{Gone: v.uids}, nil
	}
	if err == nil && c.Stale {
		c, err = s.everything()
	}
	return c, err
}

// everything is the difference to the view when what has gone is forgotten.
func (s *session) everything() (c store.Changes, err error) {
	v := s.view
	var now []uint32
	if now, c.ModSeq, err = s.srv.DB.MessageUIDs(s.srv.ctx, v.box.ID); err != nil {
		return c, err
	}
	for _, uid := range v.uids {
		if _, ok := slices.BinarySearch(now, uid); ok {
			c.Changed = append(c.Changed, uid)
		} else {
			c.Gone = append(c.Gone, uid)
		}
	}
	for _, uid := range now {
		if _, ok := v.place(uid); !ok {
			c.Added = append(c.Added, uid)
		}
	}
	return c, nil
}

// tellFlags tells the flags of changed messages, a page at a time: those of a
// whole mailbox would not fit into memory.
func (s *session) tellFlags(changed []uint32) error {
	v := s.view
	return s.each(s.srv.ctx, reading{ranges: runs(changed)}, func(rows []store.Message) error {
		return s.conn.respond(func(out []byte) []byte {
			for _, m := range rows {
				if h, told := v.told[m.UID]; told && h == flagsHash(m.Flags) {
					continue
				}
				i, _ := v.place(m.UID)
				out = fetchFlags(out, i+1, store.FlagRow{UID: m.UID, Flags: m.Flags})
			}
			return out
		})
	})
}

// fetchFlags is the FETCH response of a message's flags.
func fetchFlags(out []byte, seq int, row store.FlagRow) []byte {
	out = append(strconv.AppendInt(append(out, "* "...), int64(seq), 10), " FETCH (UID "...)
	out = strconv.AppendUint(out, uint64(row.UID), 10)
	out = appendFlags(append(out, " FLAGS ("...), row.Flags)
	return append(out, "))\r\n"...)
}

func appendFlags(out []byte, flags []string) []byte {
	for i, f := range flags {
		if i > 0 {
			out = append(out, ' ')
		}
		out = append(out, f...)
	}
	return out
}

// tellGone says EXPUNGE from the last to the first, so that each number still
// means what it did.
func (v *view) tellGone(out []byte) []byte {
	if len(v.gone) == 0 {
		return out
	}
	for i := len(v.uids) - 1; i >= 0; i-- {
		if _, ok := v.gone[v.uids[i]]; ok {
			out = strconv.AppendInt(append(out, "* "...), int64(i+1), 10)
			out = append(out, " EXPUNGE\r\n"...)
		}
	}
	v.uids = slices.DeleteFunc(v.uids, func(uid uint32) bool { _, ok := v.gone[uid]; return ok })
	v.gone = nil
	return out
}

func (v *view) tellAdded(out []byte, added []uint32) []byte {
	n := len(v.uids)
	for _, uid := range added {
		if len(v.uids) == 0 || uid > v.uids[len(v.uids)-1] {
			v.uids = append(v.uids, uid)
		}
	}
	if len(v.uids) == n {
		return out
	}
	out = strconv.AppendInt(append(out, "* "...), int64(len(v.uids)), 10)
	return append(out, " EXISTS\r\n"...)
}

// knows notes flags that the client has been told, or has set without wanting
// to be told, so that Poll does not repeat them.
func (v *view) knows(uid uint32, flags []string) {
	if v.told == nil {
		v.told = map[uint32]uint64{}
	}
	v.told[uid] = flagsHash(flags)
}

func flagsHash(flags []string) uint64 {
	sorted := slices.Sorted(slices.Values(flags))
	h := fnv.New64a()
	for _, f := range sorted {
		h.Write([]byte(f))
		h.Write([]byte{' '})
	}
	return h.Sum64()
}
