package imapd

import (
	"net"
	"os"
	"strings"
	"testing"
)

// TestEndedLogin: with a new password, or when the owner ends all logins,
// every connection of the account is closed: one in IDLE and a silent one at
// once, one with commands on their way before the next of them.
func TestEndedLogin(t *testing.T) {
	r := startRig(t, Limits{})
	const ended = "* BYE [EXPIRED]"
	for name, end := range map[string]func() error{
		"all sessions":   func() error { return r.Accounts.EndSessions(t.Context(), r.user.ID) },
		"a new password": func() error { return r.Accounts.SetPassword(t.Context(), r.user.ID, secret) },
	} {
		idle, silent, fresh := r.open(t, "INBOX"), r.open(t, "Drafts"), r.logIn(t)
		stranger := r.connect(t)
		idle.send("i IDLE\r\n")
		idle.want("+ ")
		silent.send("a APPEND Drafts {5}\r\n")
		silent.want("+ ")
		if err := end(); err != nil {
			t.Fatal(err)
		}
		idle.want(ended)
		idle.wantClosed()
		fresh.want(ended)
		fresh.wantClosed()
		silent.send("a\r\nb\r\n")
		silent.wantEnd()
		stranger.ok("NOOP")
		again := r.open(t, "Drafts")
		again.ok("NOOP")
		again.ok("LOGOUT")
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

// TestAborted: connections that break off at any stage leave nothing behind, no
// descriptor and (TestMain) no goroutine.
func TestAborted(t *testing.T) {
	r := startRig(t, Limits{PerPeer: 1000})
	big := "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("y", 98)+"\r\n", 10_000)
	if got := r.logIn(t).append("Drafts", big); !strings.HasPrefix(got, "OK") {
		t.Fatal(got)
	}
	descriptors := func() int {
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(open)
	}
	served := func() int { return strings.Count(r.log.String(), `"msg":"imap session"`) }
	stages := []func() *client{
		func() *client { return dial(t, r.tls) },
		func() *client { c := dial(t, r.tls); c.send("\x16\x03\x01\x02\x00\x01"); return c },
		func() *client {
			c := dial(t, r.plain)
			c.send("a STARTTLS\r\n")
			c.want("* OK")
			c.want("a OK")
			return c
		},
		func() *client { return r.connect(t) },
		func() *client { c := r.connect(t); c.send("a LOGIN {5}\r\nab"); return c },
		func() *client { return r.logIn(t) },
		func() *client { c := r.open(t, "Drafts"); c.send("i IDLE\r\n"); c.want("+ "); return c },
		func() *client { c := r.open(t, "Drafts"); c.send("a APPEND Drafts {100000+}\r\nabc"); return c },
		func() *client { c := r.open(t, "Drafts"); c.send("a FETCH 1 BODY.PEEK[]\r\n"); return c },
		func() *client {
			c := r.open(t, "Drafts")
			c.send("a SEARCH BODY zzz\r\nb SEARCH BODY zzz\r\n")
			return c
		},
	}
	before := 0
	for round := range 12 {
		var all []*client
		for _, stage := range stages {
			all = append(all, stage())
		}
		for i, c := range all {
			if i%2 == 0 {
				c.raw.(*net.TCPConn).SetLinger(0) // a reset
			}
			c.raw.Close()
		}
		// Seven of them came to TLS; the first of all stays.
		waitFor(t, "the end of all", func() bool { return served() == 7*(round+1) && r.hall.Guests() == 1 })
		if round == 1 {
			before = descriptors()
		}
	}
	waitFor(t, "the descriptors", func() bool { return descriptors() <= before+5 })
}
