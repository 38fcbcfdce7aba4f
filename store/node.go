package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrNodeTaken means that another process runs under this node's name.
var ErrNodeTaken = errors.New("another process runs under this name")

const (
	nodePatience = 10 * time.Second       // for a name whose holder has just died
	nodeRetry    = 200 * time.Millisecond // between two tries
	nodeLook     = 2 * time.Second        // between two looks at the connection that holds the name
)

// NodeName is a node's name, held for this process. Jobs that belong to a
// node's own disk carry its name: two processes with one name would take each
// other's.
type NodeName struct {
	lost chan struct{}
	stop context.CancelFunc
	done sync.WaitGroup
}

// Lost is closed when another process has taken the name, which can happen
// while the database is away: this one must then end.
func (n *NodeName) Lost() <-chan struct{} { return n.lost }

// Release gives the name back.
func (n *NodeName) Release() {
	n.stop()
	n.done.Wait()
}

// HoldNode takes the name of a node, or answers ErrNodeTaken after some
// patience. Processes on a SQLite file share a machine and are kept apart by a
// lock on their directory: there the name is always given.
func (db *DB) HoldNode(ctx context.Context, name string) (*NodeName, error) {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	n := &NodeName{lost: make(chan struct{}), stop: stop}
	if db.d.hold == "" {
		return n, nil
	}
	var conn *sql.Conn
	for end := time.Now().Add(nodePatience); ; {
		var err error
		if conn, err = db.hold(ctx, name); err == nil {
			break
		}
		if !errors.Is(err, ErrNodeTaken) || time.Now().After(end) || !pause(ctx, nodeRetry) {
			stop()
			return nil, fmt.Errorf("node %q: %w", name, err)
		}
	}
	n.done.Go(func() { db.keep(run, n, name, conn) })
	return n, nil
}

// hold takes the name's lock on a connection of its own: the lock ends with
// the connection, and the connection with the process.
func (db *DB) hold(ctx context.Context, name string) (*sql.Conn, error) {
	conn, err := db.reads.Conn(ctx)
	if err != nil {
		return nil, err
	}
	var got bool
	if err = conn.QueryRowContext(ctx, db.d.hold, name).Scan(&got); err == nil && got {
		return conn, nil
	}
	if err == nil {
		err = ErrNodeTaken
	}
	return nil, errors.Join(err, conn.Close())
}

// keep looks after the lock: a restart of the database drops it, and the first
// look after that takes it again.
func (db *DB) keep(ctx context.Context, n *NodeName, name string, conn *sql.Conn) {
	for pause(ctx, nodeLook) {
		if conn != nil && conn.PingContext(ctx) == nil {
			continue
		}
		if conn != nil {
			conn.Close()
		}
		var err error
		if conn, err = db.hold(ctx, name); errors.Is(err, ErrNodeTaken) {
			close(n.lost)
			return
		}
	}
	if conn != nil {
		discard(conn)
	}
}

// discard ends a connection instead of giving it back to the pool, where it
// would go on holding the lock.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	conn.Close()
}

// pause waits; false means that ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
