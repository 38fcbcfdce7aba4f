package smtpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/door"
	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestConnectionLimits(t *testing.T) {
	for name, l := range map[string]Limits{"in all": {Connections: 3}, "per address": {PerPeer: 3}} {
		t.Run(name, func(t *testing.T) {
			r := startRig(t, l)
			var kept []*client
			for range 3 {
				c := dial(t, r.plain)
				c.want("220")
				kept = append(kept, c)
			}
			over := dial(t, r.plain)
			over.want("421 4.7.0")
			over.wantClosed()
			over = dial(t, r.tls).startTLS() // where 421 can be understood after a handshake alone
			over.want("421 4.7.0")
			over.wantClosed()

			kept[0].say("QUIT", "221")
			kept[0].wantClosed()
			waitFor(t, "a free place", func() bool { return r.hall.Guests() == 2 })
			c := dial(t, r.plain)
			c.want("220")
		})
	}
}

// A client that never finishes its handshake, logs in, or goes on is let go,
// and its place is free.
func TestSlowClients(t *testing.T) {
	short := 150 * time.Millisecond
	for name, c := range map[string]struct {
		l     Limits
		start func(r *rig) *client
		want  string
	}{
		"handshake never begun": {Limits{Handshake: short}, func(r *rig) *client { return dial(t, r.tls) }, ""},
		"handshake stalls": {Limits{Handshake: short}, func(r *rig) *client {
			c := dial(t, r.tls)
			c.send("\x16\x03\x01")
			return c
		}, ""},
		"STARTTLS stalls": {Limits{Handshake: short}, func(r *rig) *client {
			c := dial(t, r.plain)
			c.want("220")
			c.say("STARTTLS", "220")
			return c
		}, ""},
		"silent before TLS": {Limits{Idle: short}, func(r *rig) *client {
			c := dial(t, r.plain)
			c.want("220")
			return c
		}, "421 4.4.2"},
		"half a command": {Limits{Idle: short}, func(r *rig) *client {
			c := r.connect(t)
			c.send("NOO")
			return c
		}, "421 4.4.2"},
		"silent between commands": {Limits{Idle: short}, func(r *rig) *client { return r.connect(t) }, "421 4.4.2"},
		"never logs in":           {Limits{Login: short}, func(r *rig) *client { return r.connect(t) }, "421 4.4.2"},
		"silent in AUTH": {Limits{Idle: short}, func(r *rig) *client {
			c := r.connect(t)
			c.say("AUTH PLAIN", "334")
			return c
		}, "421 4.4.2"},
		"recipients without end": {Limits{Transaction: short}, func(r *rig) *client {
			c := r.logIn(t)
			c.begin()
			return c
		}, "421 4.4.2"},
	} {
		t.Run(name, func(t *testing.T) {
			r := startRig(t, c.l)
			cl := c.start(r)
			if c.want != "" {
				cl.want(c.want)
				cl.wantClosed()
			} else {
				cl.readToEnd()
			}
			waitFor(t, "the place to be free", r.open0)
		})
	}
}

func TestTooManyCommands(t *testing.T) {
	r := startRig(t, Limits{})
	c := r.logIn(t)
	go c.Write([]byte(strings.Repeat("NOOP\r\n", maxCommands+5)))
	n := 0
	for {
		got, err := c.reply()
		if err != nil {
			t.Fatalf("after %d: %v", n, err)
		}
		if strings.HasPrefix(got, "421 4.7.0") {
			break
		}
		n++
	}
	if n < maxCommands/2 || n > maxCommands {
		t.Errorf("%d answered", n)
	}
	c.wantClosed()
}

// Pipelined commands are answered in one packet (RFC 2920 §3.2).
func TestPipelining(t *testing.T) {
	r := startRig(t, Limits{})
	c := r.logIn(t)
	for range 3 {
		c.send("MAIL FROM:<" + anna + ">\r\nRCPT TO:<a@far.test>\r\nRCPT TO:<b@far.test>\r\nDATA\r\n")
		b := make([]byte, 4096)
		n, err := c.Read(b)
		if err != nil || strings.Count(string(b[:n]), "\r\n") != 4 || !strings.Contains(string(b[:n]), "354") {
			t.Fatalf("%q, %v", b[:n], err)
		}
		c.send(goodLetter + ".\r\n")
		c.want("250 2.0.0 id")
	}
	if len(r.inbox.all()) != 3 {
		t.Error("letters lost")
	}
}

// A shutdown tells idle clients to go and lets letters end.
func TestShutdown(t *testing.T) {
	r := startRig(t, Limits{})
	r.inbox.hold = make(chan struct{})
	idle, plain := r.logIn(t), dial(t, r.plain)
	plain.want("220")
	shaking := dial(t, r.tls)
	half := r.logIn(t) // in the middle of its letter
	half.begin()
	half.say("DATA", "354")
	half.send("Subject: x\r\n\r\nbo")
	judged := r.logIn(t) // its letter is being judged
	judged.begin()
	judged.say("DATA", "354")
	judged.send(goodLetter + ".\r\n")
	<-r.inbox.busy

	done := make(chan struct{})
	go func() { defer close(done); r.stop(t) }()
	for _, c := range []*client{idle, plain} {
		c.want("421 4.3.2")
		c.wantClosed()
	}
	shaking.readToEnd()
	if c, err := net.Dial("tcp", r.tls); err == nil {
		t.Error("still listening")
		c.Close()
	}
	select {
	case <-done:
		t.Fatal("did not wait for letters")
	default:
	}
	half.send("dy\r\n.\r\n")
	close(r.inbox.hold)
	judged.want("250 2.0.0 id")
	judged.want("421 4.3.2")
	judged.wantClosed()
	<-r.inbox.busy
	half.want("250 2.0.0 id")
	half.want("421 4.3.2")
	half.wantClosed()
	<-done
	if n := len(r.inbox.all()); n != 2 {
		t.Errorf("%d letters", n)
	}
	if err := r.Serve(closedListener(t)); !errors.Is(err, door.ErrClosed) {
		t.Errorf("serving after a shutdown: %v", err)
	}
}

func closedListener(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// When patience ends, what is left is cut off, and no letter is half taken.
func TestShutdownCuts(t *testing.T) {
	r := startRig(t, Limits{})
	r.inbox.hold = make(chan struct{})
	c := r.logIn(t)
	c.begin()
	c.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(goodLetter), goodLetter))
	<-r.inbox.busy
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.down.Do(func() {
		if err := r.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("shutdown: %v", err)
		}
	})
	if _, err := io.ReadAll(c.raw); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("the connection stays open")
	}
	if n := len(r.inbox.all()); n != 0 {
		t.Errorf("%d letters", n)
	}
}

// Many clients at once, some of them rude: every accepted letter is the one
// that was sent.
func TestManyClients(t *testing.T) {
	r := startRig(t, Limits{})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			c := r.logIn(t)
			for j := range 5 {
				body := fmt.Sprintf("Subject: %d-%d\r\n\r\n%s\r\n", i, j, strings.Repeat("z", 100*i))
				c.begin()
				switch {
				case i%5 == 4 && j == 3:
					c.send("DATA\r\n" + body[:20])
					c.Close()
					return
				case i%2 == 0:
					c.say("DATA", "354")
					c.send(body + ".\r\n")
				default:
					c.send(fmt.Sprintf("BDAT %d\r\n%sBDAT %d LAST\r\n%s", 10, body[:10], len(body)-10, body[10:]))
					c.want("250 2.0.0 Continue")
				}
				c.want("250 2.0.0 id")
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, l := range r.inbox.all() {
		seen[strings.SplitN(string(l.body), "\r\n", 2)[0]] = true
	}
	if want := 16*5 + 4*3; len(seen) != want || len(r.inbox.all()) != want {
		t.Errorf("%d letters, %d different, want %d", len(r.inbox.all()), len(seen), want)
	}
}

// Memory does not grow with the letter.
func TestMemoryOfABigLetter(t *testing.T) {
	r := startRig(t, Limits{})
	const size = 64 << 20
	r.letter, r.engine.MaxMessageBytes = size, size+1
	var grown uint64
	r.receive = func(_ context.Context, env rem.Envelope, b io.Reader) (string, error) {
		base := heap()
		var total int64
		for {
			n, err := io.CopyN(io.Discard, b, 8<<20)
			if h := heap(); h > base {
				grown = max(grown, h-base)
			}
			if total += n; err != nil {
				break
			}
		}
		return fmt.Sprint(total), nil
	}
	line := []byte(strings.Repeat(strings.Repeat("x", 62)+"\r\n", 1024))
	for _, verb := range []string{"DATA", "BDAT"} {
		c := r.logIn(t)
		c.raw.SetDeadline(time.Now().Add(4 * patience))
		c.begin()
		if verb == "DATA" {
			c.say("DATA", "354")
		} else {
			c.send(fmt.Sprintf("BDAT %d LAST\r\n", size))
		}
		for range size / len(line) {
			c.Write(line)
		}
		if verb == "DATA" {
			c.send(".\r\n")
		}
		c.want(fmt.Sprintf("250 2.0.0 %d accepted", size))
	}
	if grown > 4<<20 {
		t.Errorf("the heap grew by %d MiB for a letter of %d MiB", grown>>20, size>>20)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
