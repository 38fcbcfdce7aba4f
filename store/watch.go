package store

import (
	"context"
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
	relay    *relay                                // nil: no other node
	closed   bool
}

func newHub() *hub {
	return &hub{wake: make(chan struct{}, 1), watchers: make(map[string]map[chan struct{}]struct{})}
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
	h.mu.Lock()
	defer h.mu.Unlock()
	of := h.watchers[mailbox]
	if of == nil {
		of = make(map[chan struct{}]struct{})
		h.watchers[mailbox] = of
	}
	of[token] = struct{}{}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if delete(of, token); len(of) == 0 {
			delete(h.watchers, mailbox)
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
func (h *hub) committed(mailboxes []string, woke bool) {
	h.tell(mailboxes, woke)
	if h.relay != nil && (woke || len(mailboxes) > 0) {
		h.relay.send(mailboxes, woke)
	}
}

func (h *hub) tell(mailboxes []string, woke bool) {
	if woke {
		give(h.wake)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range mailboxes {
		for token := range h.watchers[m] {
			give(token)
		}
	}
}

// tellAll is for when changes may have been missed.
func (h *hub) tellAll() { h.tell(h.watched(), true) }

func (h *hub) watched() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]string, 0, len(h.watchers))
	for m := range h.watchers {
		out = append(out, m)
	}
	slices.Sort(out)
	return out
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

// touch notes that a mailbox was changed.
func (t *tx) touch(mailbox string) {
	if !slices.Contains(t.boxes, mailbox) {
		t.boxes = append(t.boxes, mailbox)
	}
}

// modSeqs answers the ModSeq of mailboxes.
func (s *session) modSeqs(mailboxes []string, f func(mailbox string, modseq int64)) error {
	keys := make([]any, len(mailboxes))
	for i, m := range mailboxes {
		keys[i] = m
	}
	for block := range blocks(keys) {
		err := s.each(func(scan func(...any) error) error {
			var id string
			var modseq int64
			err := scan(&id, &modseq)
			f(id, modseq)
			return err
		}, "SELECT id, modseq FROM mailboxes WHERE id IN ("+dollars(1, len(block))+")", block...)
		if err != nil {
			return err
		}
	}
	return nil
}

// sweep tells the watchers of mailboxes whose ModSeq is not the one seen last,
// for messages of other nodes may get lost.
func (h *hub) sweep(ctx context.Context, db *DB, seen map[string]int64) (map[string]int64, error) {
	now := make(map[string]int64)
	var changed []string
	err := db.read(ctx).modSeqs(h.watched(), func(mailbox string, modseq int64) {
		if last, known := seen[mailbox]; known && last != modseq {
			changed = append(changed, mailbox)
		}
		now[mailbox] = modseq
	})
	h.tell(changed, false)
	return now, err
}
