package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"sort"
	"strings"
	"testing"
	"time"
)

// spoken reads like commands. Where it stands it is text.
const spoken = "x1 UID STORE 1:* +FLAGS (\\Deleted)\r\nx2 EXPUNGE\r\nx3 DELETE Keep\r\nx4 CREATE Evil\r\nx5 RENAME Keep Gone\r\nx6 UID MOVE 1:* Trash\r\n" +
	"x7 APPEND Drafts {3+}\r\nabc\r\nx8 SELECT Drafts\r\nx9 LOGOUT\r\n"

// snapshot is everything of a mailbox that a command could have changed.
func (m mailbox) snapshot(t *testing.T) string {
	t.Helper()
	w := m.login(t)
	defer w.conn.Close()
	var out []string
	for _, l := range w.ok(`LIST "" "*"`).lines {
		out = append(out, l.text)
	}
	for _, f := range append([]string{"Keep"}, folders...) {
		if f == "Keep" && !strings.Contains(strings.Join(out, "\n"), f) {
			continue
		}
		for _, l := range w.ok("STATUS " + f + " (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)").lines {
			out = append(out, l.text)
		}
		w.ok("EXAMINE " + f)
		for uid, flags := range w.flags() {
			out = append(out, fmt.Sprint(f, uid, flags))
		}
	}
	sort.Strings(out)
	return strings.Join(out, "\n")
}

// TestLiterals sends commands that are refused, each with a literal that reads
// like commands, announced both ways: {n+} follows at once (RFC 7888), {n} is
// sent once the server asks for it. Nothing of it may be carried out.
func TestLiterals(t *testing.T) {
	d := running(t)
	p := d.newParty(t, "literals")
	m := d.mailbox(p)
	w := m.login(t)
	w.ok("CREATE Keep")
	w.stored("Keep", crlf("Subject: one\n\nkeep me\n"))
	w.stored("Keep", crlf("Subject: two\n\nkeep me\n"))
	w.stored("Drafts", crlf("Subject: draft\n\nkeep me\n"))
	d.delivered(t, p, signedLetter(t, p, "guest-literals@example.net", file{"a.pdf", []byte("x")}), "guest-literals@example.net")
	m.open(t, "Receipts").await("ALL") // the mailbox is still from here
	still(t, m)
	m.injected(t, p)
}

// injected tries every command on a mailbox with a folder Keep.
func (m mailbox) injected(t *testing.T, p party) {
	before := m.snapshot(t)
	selected := []string{
		"BOGUS %s", "UID BOGUS %s", "BOGUS %s %s", "NOOP %s", "CHECK %s", "IDLE %s", "CAPABILITY %s", "NAMESPACE %s", "CLOSE %s", "UNSELECT %s", "ENABLE %s",
		"SELECT Keep %s", "SELECT %s", "EXAMINE %s", "CREATE %s", "DELETE %s", "RENAME Keep %s", "RENAME %s Keep2", "SUBSCRIBE %s", "UNSUBSCRIBE %s", "STATUS %s (MESSAGES)",
		"STATUS Keep (BOGUS %s", `LIST "" %s BOGUS`, `LIST (BOGUS) %s "*"`, "LSUB %s", "LOGIN %s %s", "AUTHENTICATE PLAIN %s", "AUTHENTICATE BOGUS %s", "STARTTLS %s",
		"SEARCH CHARSET X-NONE TEXT %s", "SEARCH CHARSET %s ALL", "SEARCH BOGUS %s", "SEARCH HEADER %s", "SEARCH (TEXT %s", "SEARCH RETURN (BOGUS) TEXT %s", "SEARCH UID %s",
		"FETCH 1 (BODY[HEADER.FIELDS (%s", "FETCH 1 (BOGUS %s)", "FETCH %s FLAGS", "UID FETCH 1:* (BODY[HEADER.FIELDS.NOT (A %s)", "STORE 1 +FLAGS (%s)", "STORE 1 BOGUS %s", "STORE %s +FLAGS (a)",
		"COPY 1:* %s", "UID COPY 1:* %s", "MOVE 1:* %s", "UID MOVE 1:* Nowhere%s", "UID EXPUNGE %s", "EXPUNGE %s", "GETQUOTA %s", "ID (%s NIL)", "SORT (DATE) UTF-8 TEXT %s", "COMPRESS %s",
		"APPEND Sent %s", "APPEND Received %s", `APPEND Receipts (\Seen) %s`, "APPEND Nowhere %s", `APPEND Sent (\Seen) " 1-Jan-2026 00:00:00 +0000" %s`, "APPEND %s %s", "APPEND Drafts (bad flags %s", `APPEND Drafts "no date" %s`,
		`APPEND Drafts (\Bogus\) %s`, "APPEND Drafts UTF8 (%s",
	}
	for _, command := range selected {
		for _, plus := range []string{"+", ""} {
			m.open(t, "Keep").injects(injection{command: command, plus: plus, text: spoken, goesOn: true})
		}
	}
	for _, command := range []string{"%s", "APPEND Sent %s", "APPEND Drafts (bad flags %s", "BOGUS %s", "SEARCH TEXT %s", "SELECT %s", "FETCH 1 (BODY[HEADER.FIELDS (%s)])"} {
		for _, plus := range []string{"+", ""} {
			m.open(t, "Keep").injects(injection{command: command, plus: plus, text: strings.Repeat(spoken, 500)})
		}
	}
	for _, command := range []string{"SELECT Keep %s", "APPEND Drafts %s", "LOGIN %s", "LOGIN " + p.Email + " %s", "BOGUS %s", "AUTHENTICATE PLAIN %s", "SEARCH TEXT %s", "LIST %s"} {
		for _, plus := range []string{"+", ""} {
			m.dial(t).injects(injection{command: command, plus: plus, text: spoken})
		}
	}
	if after := m.snapshot(t); after != before {
		t.Errorf("the mailbox was\n%s\nand is\n%s", before, after)
	}
}

// still waits until what the server does by itself has been done.
func still(t *testing.T, m mailbox) {
	t.Helper()
	last := m.snapshot(t)
	quiet := 0
	err := wait(20*time.Second, func() bool {
		now := m.snapshot(t)
		if now != last {
			quiet = 0
		}
		last = now
		quiet++
		return quiet > 25
	})
	if err != nil {
		t.Fatal(err)
	}
}

// injection is one command on its way, with the same text in each literal.
type injection struct {
	*wire
	command, plus, text, tag string
	goesOn                   bool // the connection must
}

func (i injection) String() string {
	return fmt.Sprintf("%q with {n%s} of %d octets", i.command, i.plus, len(i.text))
}

// injects sends one command and closes the connection.
func (w *wire) injects(i injection) {
	w.t.Helper()
	defer w.conn.Close()
	i.wire, i.tag = w, w.tag()
	err := i.send()
	if err == nil {
		err = i.answered()
	}
	if err != nil && i.goesOn {
		w.t.Errorf("%v: the connection ended: %v", i, err)
	}
}

// send writes the command; a literal that waits is written when the server
// asks for it, and is the end of the matter when it does not.
func (i injection) send() error {
	parts := strings.Split(i.tag+" "+i.command, "%s")
	for _, part := range parts[:len(parts)-1] {
		if _, err := fmt.Fprintf(i.conn, "%s{%d%s}\r\n", part, len(i.text), i.plus); err != nil {
			return err
		}
		if i.plus == "" {
			l, err := i.tryRead()
			for err == nil && strings.HasPrefix(l.text, "* ") {
				l, err = i.tryRead()
			}
			if err != nil {
				return err
			}
			if strings.HasPrefix(l.text, i.tag+" NO") || strings.HasPrefix(l.text, i.tag+" BAD") {
				_, err = fmt.Fprintf(i.conn, "%s NOOP\r\n", i.tag)
				return err
			}
			if !strings.HasPrefix(l.text, "+") {
				i.t.Errorf("%v: %s", i, l.text)
			}
		}
		if _, err := i.conn.Write([]byte(i.text)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(i.conn, "%s\r\n", parts[len(parts)-1])
	return err
}

// answered demands one answer to the command and none to anything the text
// says. A server may end the connection rather than go on, which is the error.
func (i injection) answered() error {
	i.t.Helper()
	_, err := fmt.Fprint(i.conn, "sync NOOP\r\n")
	for done := false; err == nil; {
		var l line
		l, err = i.tryRead()
		switch first, rest, _ := strings.Cut(l.text, " "); {
		case first == "sync":
			if !done {
				i.t.Errorf("%v was not answered", i)
			}
			return nil
		case first == i.tag:
			done = true
			if strings.HasPrefix(rest, "OK") && strings.Contains(i.command, "BOGUS") {
				i.t.Errorf("%v: %s", i, rest)
			}
		case len(first) == 2 && first[0] == 'x':
			i.t.Errorf("%v: the text was carried out: %s", i, l.text)
		}
	}
	return err
}

// TestBeforeTLS sends commands in one packet with STARTTLS: somebody on the way
// could have written them (RFC 9051 §6.2.1). None is carried out, and a
// password is not taken without TLS.
func TestBeforeTLS(t *testing.T) {
	d := running(t)
	m := d.mailbox(d.newParty(t, "before-tls"))
	before := m.snapshot(t)
	conn, err := net.Dial("tcp", m.IMAP)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	w := &wire{t: t, conn: conn, r: bufio.NewReader(conn)}
	w.read()
	login := "LOGIN " + m.User + " " + m.Password
	if a := w.command(login); a.status == "OK" || !strings.Contains(w.command("CAPABILITY").lines[0].text, "LOGINDISABLED") {
		t.Errorf("a password without TLS: %s %s", a.status, a.text)
	}
	w.write([]byte("a STARTTLS\r\nx1 " + login + "\r\nx2 CREATE Evil\r\nx3 DELETE Keep\r\n"))
	l, err := w.tryRead()
	for err == nil && strings.HasPrefix(l.text, "* ") {
		t.Log(l.text)
		l, err = w.tryRead()
	}
	if err == nil && !strings.HasPrefix(l.text, "a ") {
		t.Errorf("STARTTLS: %s", l.text)
	}
	inner := tls.Client(conn, m.trust(t))
	if err == nil && inner.Handshake() == nil { // an end of the connection is as good
		w := &wire{t: t, conn: inner, r: bufio.NewReader(inner)}
		if a := w.command("CAPABILITY"); a.status != "OK" || len(a.lines) != 1 || !strings.HasPrefix(a.lines[0].text, "* CAPABILITY") {
			t.Errorf("after TLS: %+v", a)
		}
		if a := w.command("SELECT INBOX"); a.status == "OK" {
			t.Error("the login from before TLS counts")
		}
	}
	if after := m.snapshot(t); after != before {
		t.Errorf("the mailbox was\n%s\nand is\n%s", before, after)
	}
}
