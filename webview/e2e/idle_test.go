package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// idle waits in IDLE (RFC 9051 §6.3.13) until the folder is said to hold n
// messages, and tells when that was. The connection may be used again when
// pushed is closed.
func (w *wire) idle(n int) (ready chan struct{}, pushed chan time.Time) {
	ready, pushed = make(chan struct{}), make(chan time.Time, 1)
	tag := w.tag()
	w.write([]byte(tag + " IDLE\r\n"))
	go func() {
		defer close(pushed)
		for {
			l, err := w.tryRead()
			if err != nil {
				w.t.Errorf("IDLE: %v", err)
				return
			}
			if strings.HasPrefix(l.text, "+") {
				close(ready)
			}
			if l.text == fmt.Sprintf("* %d EXISTS", n) {
				pushed <- time.Now()
				break
			}
		}
		fmt.Fprint(w.conn, "DONE\r\n")
		for {
			l, err := w.tryRead()
			if err != nil || strings.HasPrefix(l.text, tag+" ") {
				return
			}
		}
	}()
	return ready, pushed
}

// TestIdle waits for letters in two folders: the sender's Sent at the moment
// of the 250, the recipient's INBOX when the notice is delivered.
func TestIdle(t *testing.T) {
	d := running(t)
	p, q := d.newParty(t, "idle"), d.newParty(t, "idle-recipient")
	sent, inbox := d.mailbox(p).open(t, "Sent"), d.mailbox(q).open(t, "INBOX")
	const rounds = 3
	for n := 1; n <= rounds; n++ {
		ready, pushed := sent.idle(n)
		<-ready
		readyInbox, pushedInbox := inbox.idle(n)
		<-readyInbox
		letter := signedLetter(t, p, q.Email, file{"a.pdf", []byte("%PDF idle\n")})
		if r := d.submit(t, p, letter, q.Email); r.code != 250 {
			t.Fatalf("%d %s", r.code, r.text)
		}
		answered := time.Now()
		for folder, at := range map[string]time.Time{"Sent": within(t, pushed), "INBOX": within(t, pushedInbox)} {
			if late := at.Sub(answered); folder == "Sent" && late > time.Second || late > 20*time.Second {
				t.Errorf("%s was pushed %v after the 250", folder, late)
			}
		}
		// What was pushed can be read at once.
		got := sent.body(sent.await("ALL"), "[]")
		if string(got) != string(letter) {
			t.Errorf("%d octets in Sent, %d were sent", len(got), len(letter))
		}
		fetched := inbox.ok(fmt.Sprintf("FETCH %d (ENVELOPE FLAGS)", n))
		if len(fetched.lines) == 0 || !regexp.MustCompile(`ENVELOPE \(`).MatchString(fetched.lines[0].text) {
			t.Errorf("the notice: %v", fetched)
		}
	}
	// Flags that another session sets are pushed as well.
	ready, pushed := sent.idle(rounds + 1)
	<-ready
	other := d.mailbox(p).open(t, "Sent")
	other.ok(`UID STORE 1:* +FLAGS (\Flagged)`)
	letter := signedLetter(t, p, q.Email, file{"a.pdf", []byte("%PDF idle\n")})
	if r := d.submit(t, p, letter, q.Email); r.code != 250 {
		t.Fatalf("%d %s", r.code, r.text)
	}
	within(t, pushed)
	for uid, flags := range sent.flags() {
		if old := strings.Contains(flags, `\Flagged`); old != (uid <= rounds) {
			t.Errorf("UID %d has flags %s", uid, flags)
		}
	}
}

func within(t *testing.T, pushed chan time.Time) time.Time {
	t.Helper()
	select {
	case at, ok := <-pushed:
		if !ok {
			t.Fatal("the connection ended in IDLE")
		}
		for range pushed { // closed when IDLE has ended
		}
		return at
	case <-time.After(patience):
		t.Fatal("nothing was pushed")
	}
	return time.Time{}
}
