package imapd

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"cryptogramm.ru/cryptogramm/store"
)

// Store is STORE (RFC 9051 §6.4.6).
func (s *session) Store(_ *imapserver.FetchWriter, set imap.NumSet, change *imap.StoreFlags, _ *imap.StoreOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.view
	if v.readOnly {
		return s.no(errReadOnly)
	}
	op := map[imap.StoreFlagsOp]store.FlagOp{imap.StoreFlagsAdd: store.FlagsAdd, imap.StoreFlagsDel: store.FlagsRemove}[change.Op] // else FlagsSet
	c := store.FlagChange{Mailbox: v.box.ID, UIDs: v.resolve(set), Op: op, Flags: plainFlags(change.Flags)}
	if slices.Contains(change.Flags, imap.FlagWildcard) {
		return s.no(store.ErrFlag)
	}
	if len(c.UIDs) == 0 {
		return nil
	}
	if change.Silent {
		if err := s.expect(c); err != nil {
			return s.no(err)
		}
	}
	err := s.srv.Gateway.SetFlags(s.srv.ctx, c)
	v.stale()
	if err != nil {
		v.told = nil
		return s.no(err)
	}
	if change.Silent {
		return nil
	}
	return s.no(s.tell(c.UIDs))
}

// tell writes the flags that messages have now.
func (s *session) tell(ranges []store.UIDRange) error {
	return s.each(s.srv.ctx, reading{ranges: ranges}, func(rows []store.Message) error {
		return s.conn.respond(func(out []byte) []byte {
			for _, m := range rows {
				i, _ := s.view.place(m.UID)
				out = fetchFlags(out, i+1, store.FlagRow{UID: m.UID, Flags: m.Flags})
				s.view.knows(m.UID, m.Flags)
			}
			return out
		})
	})
}

// expect notes the flags that a silent change will lead to, where the client
// knows those there are. Where somebody else's change comes in between, Poll
// finds other flags and tells them.
func (s *session) expect(c store.FlagChange) error {
	change, err := store.CanonicalFlags(c.Flags)
	if err != nil {
		return err
	}
	return s.each(s.srv.ctx, reading{ranges: c.UIDs}, func(rows []store.Message) error {
		for _, m := range rows {
			if m.ModSeq <= s.view.modseq {
				s.view.knows(m.UID, changed(m.Flags, c.Op, change))
			}
		}
		return nil
	})
}

// changed is what a client takes a change of flags to lead to. State keywords
// stay as they are.
func changed(have []string, op store.FlagOp, change []string) []string {
	named := func(f string) bool {
		return slices.ContainsFunc(change, func(c string) bool { return strings.EqualFold(c, f) })
	}
	var out []string
	for _, f := range have {
		if op == store.FlagsAdd || op == store.FlagsRemove && !named(f) || slices.Contains(stateKeywords(), imap.Flag(f)) {
			out = append(out, f)
		}
	}
	if op == store.FlagsRemove {
		return out
	}
	for _, f := range change {
		if !slices.ContainsFunc(out, func(h string) bool { return strings.EqualFold(h, f) }) {
			out = append(out, f)
		}
	}
	return out
}
