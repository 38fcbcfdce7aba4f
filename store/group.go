package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// group is SQLite's one writer. Transactions that arrive while a commit is
// under way share the next one: each runs inside its own savepoint, so that a
// failure rolls back itself alone, and none is answered before the COMMIT.
type group struct {
	db    *sql.DB
	conn  *sql.Conn
	d     *dialect
	q     *statements
	fixed fixedStatements
	queue chan *request // unbuffered: what is taken off is always answered
	quit  chan struct{}
	ended chan struct{}
	once  sync.Once
	err   error // a commit has failed with an unknown outcome: stays
}

type request struct {
	ctx  context.Context
	f    func(*tx) error
	done chan error
}

// fixedStatements are the transaction commands.
type fixedStatements struct {
	begin, savepoint, undo, release, commit, rollback *sql.Stmt
}

// maxGroup bounds how many transactions share a commit, and with it how long
// the first of them waits.
const maxGroup = 256

var errClosed = errors.New("database is closed")

func newGroup(db *sql.DB, conn *sql.Conn, d *dialect) (*group, error) {
	g := &group{
		db: db, conn: conn, d: d, q: &statements{on: conn},
		queue: make(chan *request), quit: make(chan struct{}), ended: make(chan struct{}),
	}
	for _, s := range []struct {
		to   **sql.Stmt
		text string
	}{
		{&g.fixed.begin, "BEGIN IMMEDIATE"}, {&g.fixed.savepoint, "SAVEPOINT one"},
		{&g.fixed.undo, "ROLLBACK TO one"}, {&g.fixed.release, "RELEASE one"},
		{&g.fixed.commit, "COMMIT"}, {&g.fixed.rollback, "ROLLBACK"},
	} {
		st, err := conn.PrepareContext(context.Background(), s.text)
		if err != nil {
			return nil, err
		}
		*s.to = st
	}
	go g.loop()
	return g, nil
}

// write waits for the end even when ctx is done, once its turn has come: the
// caller's variables belong to f until then.
func (g *group) write(ctx context.Context, f func(*tx) error) error {
	r := &request{ctx, f, make(chan error, 1)}
	select {
	case g.queue <- r:
		return <-r.done
	case <-g.quit:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *group) close() error {
	var err error
	g.once.Do(func() {
		close(g.quit)
		<-g.ended
		err = errors.Join(g.conn.Close(), g.db.Close())
	})
	return err
}

func (g *group) loop() {
	defer close(g.ended)
	for {
		select {
		case <-g.quit:
			return
		case first := <-g.queue:
			g.serve(g.gather(first))
		}
	}
}

// gather takes everybody who is waiting already. It lets the others run once
// when nobody is left: those whom the last commit has just answered are about
// to come back, and a commit costs the same for all of them.
func (g *group) gather(first *request) []*request {
	batch := []*request{first}
	for yielded := false; len(batch) < maxGroup; {
		select {
		case r := <-g.queue:
			batch, yielded = append(batch, r), false
		default:
			if yielded {
				return batch
			}
			runtime.Gosched()
			yielded = true
		}
	}
	return batch
}

// serve runs a batch as one transaction and answers everyone in it.
func (g *group) serve(batch []*request) {
	own := make([]error, len(batch))
	whole := g.err
	if whole == nil {
		whole = g.run(batch, own)
	}
	for i, r := range batch {
		if own[i] == nil {
			own[i] = whole
		}
		r.done <- own[i]
	}
}

// run fills in each request's own outcome; its answer is the batch's.
func (g *group) run(batch []*request, own []error) error {
	if err := g.do(g.fixed.begin); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	for i, r := range batch {
		var lost error
		if own[i], lost = g.step(r); lost != nil {
			g.do(g.fixed.rollback) // SQLite may have done so itself
			return lost
		}
	}
	err := g.do(g.fixed.commit)
	if err == nil {
		return nil
	}
	g.do(g.fixed.rollback)
	return g.failed(fmt.Errorf("commit: %w", g.d.explain(err)))
}

// failed keeps R4: after a commit that failed otherwise than for want of room,
// what the disk holds is unknown and nothing more is accepted by this process.
func (g *group) failed(err error) error {
	if errors.Is(err, ErrFull) || sqliteBusy(err) {
		return err
	}
	g.err = fmt.Errorf("%w: %w", ErrStopped, err)
	return g.err
}

// step runs one request in a savepoint. lost means that the whole batch is: an
// error so severe that SQLite rolled everything back.
func (g *group) step(r *request) (own, lost error) {
	if err := r.ctx.Err(); err != nil {
		return err, nil
	}
	if err := g.do(g.fixed.savepoint); err != nil {
		return nil, fmt.Errorf("savepoint: %w", err)
	}
	t := &tx{session: session{context.Background(), g.q, g.d}}
	if own = guarded(r.f, t); own != nil {
		if err := g.do(g.fixed.undo); err != nil {
			return own, fmt.Errorf("a transaction of the same commit: %w", own)
		}
	}
	if err := g.do(g.fixed.release); err != nil {
		return own, fmt.Errorf("release: %w", err)
	}
	return own, nil
}

func (g *group) do(st *sql.Stmt) error {
	_, err := st.ExecContext(context.Background())
	return g.d.explain(err)
}
