package imapd

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"cryptogramm.ru/cryptogramm/store"
)

// session is one connection's state above the wire. The engine calls it from
// one goroutine, and runs Idle beside it: mu keeps the two off the view.
type session struct {
	srv    *Server
	conn   *conn
	engine *imapserver.Conn
	user   *store.User // logged in
	began  time.Time

	mu   sync.Mutex
	view *view // selected
}

var _ interface {
	imapserver.SessionIMAP4rev2
	imapserver.SessionSASL
	imapserver.SessionAppendLimit
} = (*session)(nil)

func (s *session) account() string {
	if s.user == nil {
		return ""
	}
	return s.user.ID
}

// Close ends the session with its connection, and writes its one event.
func (s *session) Close() error {
	s.srv.Log.LogAttrs(s.srv.ctx, slog.LevelInfo, "imap session",
		slog.String("door", s.conn.door.Name), slog.String("peer", s.conn.peer), slog.String("account", s.account()),
		slog.Int("commands", s.conn.commands), slog.Int64("sent", s.conn.sent.Load()), slog.Duration("duration", s.srv.Now().Sub(s.began)))
	if l := s.conn.login; l != nil {
		l.unwatch()
	}
	return s.Unselect()
}

// AppendLimit is APPENDLIMIT (RFC 7889).
func (s *session) AppendLimit() uint32 { return uint32(min(s.srv.Gateway.Limits.Letter, 1<<32-1)) }

// Namespace is NAMESPACE: one's own, nothing else.
func (s *session) Namespace() (*imap.NamespaceData, error) {
	return &imap.NamespaceData{Personal: []imap.NamespaceDescriptor{{Delim: separator}}}, nil
}

// Select is SELECT and EXAMINE. The change watch begins before the view is
// read, so that nothing falls between them.
func (s *session) Select(name string, options *imap.SelectOptions) (*imap.SelectData, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	box, err := s.srv.DB.MailboxByName(s.srv.ctx, s.user.ID, name)
	if err != nil {
		return nil, s.no(err)
	}
	v := &view{box: *box, readOnly: options.ReadOnly, synced: s.srv.Now()}
	v.changed, v.unwatch = s.srv.DB.Watch(box.ID)
	if v.uids, v.modseq, err = s.srv.DB.MessageUIDs(s.srv.ctx, box.ID); err != nil {
		v.unwatch()
		return nil, s.no(err)
	}
	s.view = v
	next := box.UIDNext
	if n := len(v.uids); n > 0 {
		next = max(next, v.uids[n-1]+1)
	}
	data := &imap.SelectData{
		Flags: append(systemFlags(), stateKeywords()...), NumMessages: uint32(len(v.uids)),
		UIDNext: imap.UID(next), UIDValidity: box.UIDValidity,
	}
	if !options.ReadOnly {
		data.PermanentFlags = append(systemFlags(), imap.FlagWildcard)
	}
	if s.engine.EnabledCaps().Has(imap.CapIMAP4rev2) { // RFC 9051 §6.3.2; others would take it for an answer to LIST
		data.List = &imap.ListData{Mailbox: box.Name, Delim: separator}
	}
	return data, nil
}

func systemFlags() []imap.Flag {
	return []imap.Flag{imap.FlagSeen, imap.FlagAnswered, imap.FlagFlagged, imap.FlagDeleted, imap.FlagDraft}
}

// stateKeywords tell how far a letter's recipients have come; no client sets
// them, so they are no PERMANENTFLAGS.
func stateKeywords() []imap.Flag {
	return []imap.Flag{store.KeywordNotified, store.KeywordReceived, store.KeywordVerified, store.KeywordFailed}
}

// Unselect ends the view.
func (s *session) Unselect() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.view != nil {
		s.view.unwatch()
		s.view = nil
	}
	return nil
}

// Create is CREATE; a name may end in the separator (RFC 9051 §6.3.4).
func (s *session) Create(name string, options *imap.CreateOptions) error {
	if len(options.SpecialUse) > 0 {
		return s.no(errUse)
	}
	return s.no(s.srv.Gateway.CreateMailbox(s.srv.ctx, s.user, trimSeparator(name)))
}

// Delete is DELETE.
func (s *session) Delete(name string) error {
	return s.no(s.srv.Gateway.DeleteMailbox(s.srv.ctx, s.user, name))
}

// Rename is RENAME.
func (s *session) Rename(name, to string, _ *imap.RenameOptions) error {
	return s.no(s.srv.Gateway.RenameMailbox(s.srv.ctx, s.user, name, trimSeparator(to)))
}

// Subscribe is SUBSCRIBE.
func (s *session) Subscribe(name string) error {
	return s.no(s.srv.Gateway.Subscribe(s.srv.ctx, s.user, name, true))
}

// Unsubscribe is UNSUBSCRIBE.
func (s *session) Unsubscribe(name string) error {
	return s.no(s.srv.Gateway.Subscribe(s.srv.ctx, s.user, name, false))
}

// Status is STATUS. Every item the engine may write is filled in.
func (s *session) Status(name string, options *imap.StatusOptions) (*imap.StatusData, error) {
	if options.DeletedStorage {
		return nil, s.no(errStorage)
	}
	box, err := s.srv.DB.MailboxByName(s.srv.ctx, s.user.ID, name)
	if err != nil {
		return nil, s.no(err)
	}
	return s.status(box)
}

func (s *session) status(box *store.Mailbox) (*imap.StatusData, error) {
	m, err := s.srv.DB.MailboxStatus(s.srv.ctx, box.ID)
	if err != nil {
		return nil, s.no(err)
	}
	limit, recent := s.AppendLimit(), uint32(0)
	return &imap.StatusData{
		Mailbox: box.Name, NumMessages: &m.Messages, NumRecent: &recent, NumUnseen: &m.Unseen, NumDeleted: &m.Deleted,
		Size: &m.Size, UIDNext: imap.UID(m.UIDNext), UIDValidity: m.UIDValidity, AppendLimit: &limit,
	}, nil
}

// Expunge is EXPUNGE, UID EXPUNGE and CLOSE. What has gone is told by Poll.
func (s *session) Expunge(_ *imapserver.ExpungeWriter, set *imap.UIDSet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.view.readOnly {
		if s.conn.verb == "CLOSE" { // RFC 9051 §6.4.1: no error
			return nil
		}
		return s.no(errReadOnly)
	}
	var ranges []store.UIDRange // nil: all
	if set != nil {
		if ranges = s.view.resolve(*set); len(ranges) == 0 {
			return nil
		}
	}
	_, err := s.srv.Gateway.Expunge(s.srv.ctx, s.view.box.ID, ranges)
	s.view.stale()
	return s.no(err)
}

// Copy is COPY. Nothing to copy is no error (RFC 9051 §6.4.7).
func (s *session) Copy(set imap.NumSet, target string) (*imap.CopyData, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copy(set, target, false)
}

// Move is MOVE. What has gone is told by Poll, behind COPYUID (RFC 6851 §4.3).
func (s *session) Move(w *imapserver.MoveWriter, set imap.NumSet, target string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.view.readOnly {
		return s.no(errReadOnly)
	}
	data, err := s.copy(set, target, true)
	if err != nil || data == nil {
		return err
	}
	return w.WriteCopyData(data)
}

func (s *session) copy(set imap.NumSet, target string, move bool) (*imap.CopyData, error) {
	to, err := s.srv.DB.MailboxByName(s.srv.ctx, s.user.ID, target)
	if err != nil {
		return nil, s.into(err)
	}
	ranges := s.view.resolve(set)
	if len(ranges) == 0 {
		return nil, nil
	}
	c, err := s.srv.Gateway.CopyMessages(s.srv.ctx, store.CopyRequest{From: s.view.box.ID, To: to.ID, UIDs: ranges, Move: move})
	s.view.stale()
	if err != nil && len(c.Source) == 0 {
		return nil, s.into(err)
	}
	if len(c.Source) == 0 || len(c.Source) != len(c.Dest) {
		return nil, nil
	}
	return &imap.CopyData{UIDValidity: c.UIDValidity, SourceUIDs: uidSet(c.Source), DestUIDs: uidSet(c.Dest)}, nil
}

// uidSet joins runs of UIDs, in the order given: COPYUID pairs them by place.
func uidSet(uids []uint32) imap.UIDSet {
	var set imap.UIDSet
	for _, u := range uids {
		if n := len(set) - 1; n >= 0 && uint32(set[n].Stop)+1 == u {
			set[n].Stop = imap.UID(u)
			continue
		}
		set = append(set, imap.UIDRange{Start: imap.UID(u), Stop: imap.UID(u)})
	}
	return set
}

func plainFlags(flags []imap.Flag) []string {
	var out []string
	for _, f := range flags {
		out = append(out, string(f))
	}
	return slices.Clip(out)
}
