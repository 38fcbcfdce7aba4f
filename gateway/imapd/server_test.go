package imapd

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/store"
)

func TestTooManyConnections(t *testing.T) {
	r := startRig(t, Limits{Connections: 3, PerPeer: 2})
	a := r.connect(t)
	r.connect(t)
	c := dial(t, r.tls).startTLS()
	c.want("* BYE [UNAVAILABLE] Too many connections from your address")
	c.wantClosed()
	c = dial(t, r.plain)
	c.want("* BYE [UNAVAILABLE]")
	a.ok("LOGOUT")
	a.wantClosed()
	waitFor(t, "room for another", func() bool { return r.hall.Guests() == 1 })
	r.connect(t)
}

// Who does not shake hands, log in, or speak in time is gone.
func TestDeadlines(t *testing.T) {
	r := startRig(t, Limits{Handshake: 50 * time.Millisecond, Login: 300 * time.Millisecond})
	dial(t, r.tls).wantClosed() // no ClientHello
	c := dial(t, r.plain)
	c.want("* OK")
	c.want("* BYE Waited too long")
	c.wantClosed()
	c = r.connect(t)
	c.want("* BYE Waited too long")

	r = startRig(t, Limits{Idle: 200 * time.Millisecond})
	c = r.open(t, "INBOX")
	c.want("* BYE Waited too long")
	c = r.open(t, "INBOX")
	c.send("i IDLE\r\n")
	c.want("+ ")
	c.want("* BYE Waited too long")

	r = startRig(t, Limits{Input: 200 * time.Millisecond})
	for _, half := range []string{"a NOO", "a APPEND Drafts {10+}\r\nhalf", "a BOGUS {10+}\r\nhalf", "a LOGIN {10}\r\n"} {
		c = r.open(t, "INBOX")
		c.send(half)
		c.wantEnd()
	}
}

// wantEnd reads until the server closes.
func (c *client) wantEnd() {
	c.t.Helper()
	for {
		if _, err := c.response(); err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				c.t.Fatal("the connection stays open")
			}
			return
		}
	}
}

// A client that does not read what it asked for is gone, and disturbs nobody.
func TestClientThatDoesNotRead(t *testing.T) {
	r := startRig(t, Limits{Output: 300 * time.Millisecond})
	c := r.open(t, "Drafts")
	mail := "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("y", 98)+"\r\n", 100000)
	if got := c.append("Drafts", mail); !strings.HasPrefix(got, "OK") {
		t.Fatal(got)
	}
	slow := r.open(t, "Drafts")
	slow.send("a FETCH 1 (BODY.PEEK[] BODY.PEEK[TEXT])\r\n")
	c.ok(`STORE 1 +FLAGS (\Seen)`)
	waitFor(t, "the end of the slow session", func() bool { return r.hall.Guests() == 1 })
	c.ok("NOOP")
}

func TestEveryErrorHasAnAnswer(t *testing.T) {
	r := startRig(t, Limits{})
	s := &session{srv: r.Server, conn: &conn{verb: "TEST"}, user: r.user}
	for _, c := range []struct {
		err  error
		code imap.ResponseCode
	}{
		{gateway.ErrKept, imap.ResponseCodeCannot}, {fmt.Errorf("x: %w", gateway.ErrOverQuota), imap.ResponseCodeOverQuota},
		{gateway.ErrStopped, imap.ResponseCodeUnavailable}, {store.ErrNotFound, imap.ResponseCodeNonExistent},
		{errors.Join(gateway.ErrNoMailbox, store.ErrNotFound), imap.ResponseCodeNonExistent}, {errors.New("secret detail"), imap.ResponseCodeServerBug},
	} {
		var got *imap.Error
		if !errors.As(s.no(c.err), &got) || got.Type != imap.StatusResponseTypeNo || got.Code != c.code {
			t.Errorf("%v: %v", c.err, got)
		}
		if strings.Contains(got.Text, "secret") {
			t.Errorf("told: %s", got.Text)
		}
	}
	if !strings.Contains(r.log.String(), "secret detail") {
		t.Error("an unknown error is not in the log")
	}
	if s.no(nil) != nil {
		t.Error("no error is an answer")
	}
}
