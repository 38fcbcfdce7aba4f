package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// relay carries the hub's messages between nodes on one PostgreSQL by NOTIFY
// and LISTEN. What has changed is sent after its commit, all that waits in one
// message: NOTIFY inside the transactions themselves would make all their
// commits wait for each other. What gets lost that way (this node dies right
// after a commit, a connection breaks) is found by looking: at every watched
// mailbox after each reconnection, and at their ModSeqs once in sweepEvery.
type relay struct {
	db   *DB
	dsn  string
	self string // marks our own messages

	mu     sync.Mutex
	boxes  map[string]struct{} // that wait to be sent
	woke   bool
	unsent chan struct{} // a token: there is something to send

	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	sender  sync.Once
	hearer  sync.Once
}

const (
	sweepEvery = time.Minute
	relayMin   = 100 * time.Millisecond // between two tries to connect or send, at first
	relayMax   = 10 * time.Second       // and at most
	perMessage = 200                    // mailboxes named in one message; NOTIFY takes 8,000 octets
)

func newRelay(db *DB, dsn string) *relay {
	r := &relay{db: db, dsn: dsn, self: rand.Text(), boxes: make(map[string]struct{}), unsent: make(chan struct{}, 1)}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// send queues a message: a set, so it does not grow while the server is away.
func (r *relay) send(mailboxes []string, woke bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		return
	}
	for _, m := range mailboxes {
		r.boxes[m] = struct{}{}
	}
	r.woke = r.woke || woke
	give(r.unsent)
	r.sender.Do(func() { r.running.Go(r.sendAll) })
}

func (r *relay) start(h *hub) { r.hearer.Do(func() { r.running.Go(func() { r.hear(h) }) }) }

// close sends what waits, if that can be done at once, and ends.
func (r *relay) close() {
	r.mu.Lock()
	r.stop()
	r.mu.Unlock()
	r.running.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = r.flush(ctx)
}

func (r *relay) sendAll() {
	wait := relayMin
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-r.unsent:
		}
		if err := r.flush(r.ctx); err == nil {
			wait = relayMin
			continue
		}
		give(r.unsent)
		pause(r.ctx, wait)
		wait = min(2*wait, relayMax)
	}
}

// flush sends what waits; what could not be sent waits on. The message is
// committed without waiting for the disk: there is nothing of it to keep.
func (r *relay) flush(ctx context.Context) error {
	r.mu.Lock()
	boxes, woke := slices.Sorted(maps.Keys(r.boxes)), r.woke
	clear(r.boxes)
	r.woke = false
	r.mu.Unlock()
	for woke || len(boxes) > 0 {
		part := boxes[:min(len(boxes), perMessage)]
		text := r.self + " "
		if woke {
			text += "jobs"
		}
		text += " " + strings.Join(part, " ")
		_, err := r.db.reads.ExecContext(ctx, "SELECT set_config('synchronous_commit', 'off', true), pg_notify('cryptogramm_' || current_schema(), $1)", text)
		if err != nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, m := range boxes {
				r.boxes[m] = struct{}{}
			}
			r.woke = r.woke || woke
			return fmt.Errorf("tell other nodes: %w", err)
		}
		boxes, woke = boxes[len(part):], false
	}
	return nil
}

// hear listens until the relay is closed, on a connection of its own.
func (r *relay) hear(h *hub) {
	wait := relayMin
	for {
		start := time.Now()
		_ = r.listen(h)
		if time.Since(start) > relayMax {
			wait = relayMin
		}
		if !pause(r.ctx, wait) {
			return
		}
		wait = min(2*wait, relayMax)
	}
}

func (r *relay) listen(h *hub) error {
	conn, err := pgx.Connect(r.ctx, r.dsn)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		conn.Close(ctx)
	}()
	var schema string
	if err := conn.QueryRow(r.ctx, "SELECT current_schema()").Scan(&schema); err != nil {
		return err
	}
	if _, err := conn.Exec(r.ctx, "LISTEN "+pgx.Identifier{"cryptogramm_" + schema}.Sanitize()); err != nil {
		return err
	}
	seen, err := h.sweep(r.ctx, r.db, nil)
	if err != nil {
		return err
	}
	h.tellAll() // of what changed while nobody listened
	for next := time.Now().Add(sweepEvery); ; {
		ctx, cancel := context.WithDeadline(r.ctx, next)
		n, err := conn.WaitForNotification(ctx)
		cancel()
		if err == nil {
			r.heard(h, n.Payload)
			continue
		}
		if r.ctx.Err() != nil || ctx.Err() == nil || conn.IsClosed() {
			return err
		}
		if seen, err = h.sweep(r.ctx, r.db, seen); err != nil {
			return err
		}
		if err := conn.Ping(r.ctx); err != nil {
			return err
		}
		next = time.Now().Add(sweepEvery)
	}
}

// heard passes on a message of another node.
func (r *relay) heard(h *hub, text string) {
	from, rest, _ := strings.Cut(text, " ")
	if from == r.self {
		return
	}
	jobs, boxes, _ := strings.Cut(rest, " ")
	h.tell(strings.Fields(boxes), jobs == "jobs")
}
