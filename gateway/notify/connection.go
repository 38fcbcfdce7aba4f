package notify

import (
	"bytes"
	"context"
	"errors"
	"net"
	"time"

	"github.com/emersion/go-smtp"
)

const (
	idleTime  = 30 * time.Second // how long an unused connection is kept
	idleMost  = 4                // how many are
	partingIn = 5 * time.Second  // for the relay's answer to QUIT
)

// connection is a connection on which the relay has greeted us and taken our login.
type connection struct {
	conn   net.Conn
	client *smtp.Client
	dirty  bool // the last transaction was refused and may still be open
	timer  *time.Timer
}

// take is a connection kept from an earlier mail, nil when there is none.
func (r *Relay) take() *connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.idle)
	if n == 0 {
		return nil
	}
	l := r.idle[n-1]
	r.idle = r.idle[:n-1]
	l.timer.Stop()
	return l
}

// keep holds a connection for the next mail, for a while.
func (r *Relay) keep(l *connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.idle) >= idleMost {
		go l.part()
		return
	}
	l.timer = time.AfterFunc(idleTime, func() { r.expire(l) })
	r.idle = append(r.idle, l)
}

// expire ends a connection that was not taken in time.
func (r *Relay) expire(l *connection) {
	r.mu.Lock()
	mine := false
	for i, x := range r.idle {
		if x == l {
			r.idle, mine = append(r.idle[:i], r.idle[i+1:]...), true
			break
		}
	}
	r.mu.Unlock()
	if mine {
		l.part()
	}
}

// Close says goodbye on the connections that are kept. The Relay goes on to
// work: the next mail opens another one.
func (r *Relay) Close() error {
	for l := r.take(); l != nil; l = r.take() {
		l.part()
	}
	return nil
}

// part says goodbye; what the relay answers changes nothing.
func (l *connection) part() {
	l.client.CommandTimeout = partingIn
	if l.client.Quit() != nil {
		l.client.Close()
	}
}

// carry hands a mail over on a connection and keeps that for the next one if it
// is still good. stage names where an error happened.
func (r *Relay) carry(ctx context.Context, l *connection, m *mailing) (stage string, err error) {
	// The client has a deadline per command but none while a body is written:
	// closing the connection ends whatever is under way.
	stop := context.AfterFunc(ctx, func() { l.conn.Close() })
	stage, err = l.transact(m)
	if l.dirty = err != nil; stop() && (err == nil || refusedBy(err) && stage != "RSET") {
		r.keep(l)
	} else {
		l.client.Close()
	}
	return stage, err
}

// refusedBy reports whether the relay said no and goes on to listen.
func refusedBy(err error) bool {
	var reply *smtp.SMTPError
	return errors.As(err, &reply) && reply.Code != 421 || errors.Is(err, errUnable)
}

// stale reports whether a kept connection turned out to be over before any of
// the mail was on its way, so that another one may take the mail.
func stale(stage string, err error) bool {
	return err != nil && (stage == "RSET" || stage != "DATA" && !refusedBy(err))
}

func (l *connection) transact(m *mailing) (stage string, err error) {
	c := l.client
	if l.dirty {
		if err := c.Reset(); err != nil {
			return "RSET", err
		}
	}
	if err := m.able(c); err != nil {
		return "MAIL", err
	}
	if err := c.Mail(m.from, &smtp.MailOptions{Size: int64(len(m.octets)), UTF8: m.utf8}); err != nil {
		return "MAIL", err
	}
	if err := c.Rcpt(m.to, nil); err != nil {
		return "RCPT", err
	}
	w, err := c.Data()
	if err != nil {
		return "DATA", err
	}
	if _, err := bytes.NewReader(m.octets).WriteTo(w); err != nil {
		return "DATA", err
	}
	return "DATA", w.Close()
}
