package store

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// hub tells watchers in this process what has been committed, here and, as far
// as the relay hears of it, by other nodes. A token says no more than "look
// again", so tokens that nobody has taken yet are one.
type hub struct {
	wake chan struct{}

	mu       sync.Mutex
	watchers map[string]map[chan struct{}]struct{} // by mailbox
	alarms   map[string]map[*func()]struct{}       // by user
	relay    *relay                                // nil: no other node
	closed   bool
}

func newHub() *hub {
	return &hub{
		wake: make(chan struct{}, 1), watchers: make(map[string]map[chan struct{}]struct{}), alarms: make(map[string]map[*func()]struct{}),
	}
}

// Watch delivers a token after each commit that changed a mailbox, by this
// process or another node; several may come as one, and one may come for
// nothing. stop ends it. A watch costs a channel and a map entry.
func (db *DB) Watch(mailbox string) (changed <-chan struct{}, stop func()) {
	db.hub.listen()
	token := make(chan struct{}, 1)
	return token, db.hub.watch(mailbox, token)
}

// Wake delivers a token when jobs were added, by this process or, on PostgreSQL,
// another node: a hint to claim, not a promise.
func (db *DB) Wake() <-chan struct{} {
	db.hub.listen()
	return db.hub.wake
}

func (h *hub) watch(mailbox string, token chan struct{}) (stop func()) {
	return register(h, h.watchers, mailbox, token)
}

func (h *hub) alarm(user string, f *func()) (stop func()) { return register(h, h.alarms, user, f) }

func register[T comparable](h *hub, all map[string]map[T]struct{}, id string, one T) (stop func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if all[id] == nil {
		all[id] = make(map[T]struct{})
	}
	all[id][one] = struct{}{}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if delete(all[id], one); len(all[id]) == 0 {
			delete(all, id)
		}
	}
}

func give(token chan struct{}) {
	select {
	case token <- struct{}{}:
	default:
	}
}

// committed tells this process and the others.
func (h *hub) committed(changed []string, woke bool) {
	h.tell(changed, woke)
	if h.relay != nil && (woke || len(changed) > 0) {
		h.relay.send(changed, woke)
	}
}

func (h *hub) tell(changed []string, woke bool) {
	if woke {
		give(h.wake)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range changed {
		for token := range h.watchers[id] {
			give(token)
		}
		for f := range h.alarms[id] {
			(*f)()
		}
	}
}

// tellAll is for when changes may have been missed.
func (h *hub) tellAll() { h.tell(h.watched(), true) }

func (h *hub) watched() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append(slices.Sorted(maps.Keys(h.watchers)), slices.Sorted(maps.Keys(h.alarms))...)
}

// listen starts the relay when the first watcher comes: a command that only
// reads needs none.
func (h *hub) listen() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.relay != nil && !h.closed {
		h.relay.start(h)
	}
}

func (h *hub) close() {
	h.mu.Lock()
	first := !h.closed
	h.closed = true
	h.mu.Unlock()
	if first && h.relay != nil {
		h.relay.close()
	}
}

// touch notes that a mailbox, or who is logged in as a user, was changed.
func (t *tx) touch(id string) {
	if !slices.Contains(t.touched, id) {
		t.touched = append(t.touched, id)
	}
}

// versions answers the ModSeq of mailboxes and the Logins of users.
func (s *session) versions(ids []string, f func(id string, version int64)) error {
	keys := make([]any, len(ids))
	for i, id := range ids {
		keys[i] = id
	}
	for block := range blocks(keys) {
		err := s.each(func(scan func(...any) error) error {
			var id string
			var version int64
			err := scan(&id, &version)
			f(id, version)
			return err
		}, "SELECT id, modseq FROM mailboxes WHERE id IN ("+dollars(1, len(block))+
			") UNION ALL SELECT id, logins FROM users WHERE id IN ("+dollars(1, len(block))+")", block...)
		if err != nil {
			return err
		}
	}
	return nil
}

// sweep tells the watchers of what is not of the version seen last, for
// messages of other nodes may get lost.
func (h *hub) sweep(ctx context.Context, db *DB, seen map[string]int64) (map[string]int64, error) {
	now := make(map[string]int64)
	var changed []string
	err := db.read(ctx).versions(h.watched(), func(id string, version int64) {
		if last, known := seen[id]; known && last != version {
			changed = append(changed, id)
		}
		now[id] = version
	})
	h.tell(changed, false)
	return now, err
}
