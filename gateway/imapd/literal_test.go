package imapd

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// orders is what a letter may hold that reads like commands. Whoever runs them
// destroys mail.
const orders = "x1 STORE 1:* +FLAGS (\\Deleted)\r\nx2 EXPUNGE\r\nx3 DELETE work\r\nx4 CREATE pwned\r\nx5 UNSUBSCRIBE work\r\n"

// refused are commands that are wrong before their literal, at it, or that
// fail behind it; every command of the protocol is among them.
func refused() []string {
	return []string{
		"BOGUS %s", "NOOP %s", "CHECK %s", "CAPABILITY %s", "STARTTLS %s", "STARTTLS x%s", "LOGOUT x %s", "UNAUTHENTICATE %s", "NAMESPACE %s",
		"AUTHENTICATE %s", "AUTHENTICATE PLAIN %s", "AUTHENTICATE PLAIN = %s", "LOGIN %s", "LOGIN x %s", "LOGIN x y %s", "LOGIN %s x", "LOGIN (%s",
		"ENABLE %s", "ENABLE X %s", "CREATE %s", "CREATE x %s", "CREATE (%s", "CREATE x (USE (%s", "DELETE %s", "DELETE absent %s", "DELETE work %s",
		"RENAME %s", "RENAME absent %s", "RENAME work %s", "RENAME work play %s", "SUBSCRIBE %s", "SUBSCRIBE absent %s", "UNSUBSCRIBE %s", "UNSUBSCRIBE work %s",
		"STATUS %s", "STATUS Drafts %s", "STATUS Drafts (%s", "STATUS Drafts (MESSAGES) %s", "STATUS %s (BOGUS)",
		"LIST %s", `LIST "" %s`, `LIST (%s`, `LIST "" (%s`, `LIST "" * RETURN (%s`, `LIST "" * RETURN (STATUS (%s`, "LSUB %s", `LSUB "" %s`, `LSUB "" * %s`,
		"SELECT %s", "SELECT Drafts %s", "EXAMINE %s", "EXAMINE Drafts %s", "IDLE %s", "CLOSE %s", "UNSELECT %s", "EXPUNGE %s", "UID EXPUNGE %s", "UID EXPUNGE 1:* %s",
		"APPEND %s", "APPEND absent %s", "APPEND Drafts (%s", "APPEND Drafts (\\Seen) x %s", `APPEND Drafts "yesterday" %s`, "APPEND Drafts BOGUS (%s", "APPEND INBOX %s", "APPEND Drafts ~x%s",
		"FETCH %s", "FETCH 1 %s", "FETCH 1 (%s", "FETCH 1 BODY.PEEK[%s", "FETCH 1 BODY.PEEK[BOGUS] %s", "FETCH 1 BODY.PEEK[HEADER.FIELDS (%s", "FETCH 1 BODY.PEEK[HEADER.FIELDS (%s)] x", "FETCH x %s", "FETCH 1 FLAGS %s",
		"STORE %s", "STORE 1 %s", "STORE 1 +FLAGS %s", "STORE 1 +FLAGS (%s", "STORE 1 +FLAGS (\\Deleted) %s", "STORE 1 BOGUS (\\Deleted) %s", "UID STORE 1 +FLAGS (%s",
		"COPY %s", "COPY 1 %s", "COPY 1 Trash %s", "COPY x %s", "MOVE %s", "MOVE 1 %s", "MOVE 1 Trash %s", "UID MOVE 1 %s", "UID COPY 1 %s",
		"SEARCH %s", "SEARCH BOGUS %s", "SEARCH CHARSET KOI8-R TEXT %s", "SEARCH CHARSET %s", "SEARCH TEXT x y %s", "SEARCH TEXT %s BOGUS", "SEARCH HEADER %s", "SEARCH ((((%s", "SEARCH RETURN (%s", "SEARCH RETURN (ALL) %s", "SEARCH SINCE %s", "SEARCH OR %s", "SEARCH NOT (%s",
		"UID %s", "UID BOGUS %s", "UID FETCH %s", "UID SEARCH TEXT (%s", "ID %s", "%s", "(%s", `"%s`, `LOGIN "x%s`, "SEARCH TEXT \"x\\%s", "COMPRESS DEFLATE %s", "GETQUOTA %s",
	}
}

// How a client sends what it has to send.
func ways() map[string]func(c *client, text string) {
	return map[string]func(c *client, text string){
		"at once": func(c *client, text string) { c.send(text) },
		"octet by octet": func(c *client, text string) {
			for i := range len(text) {
				if _, err := c.Write([]byte{text[i]}); err != nil {
					return // closed on us
				}
			}
		},
		"the literal apart": func(c *client, text string) {
			head, rest, _ := strings.Cut(text, "\r\n")
			c.send(head + "\r\n")
			c.Write([]byte(rest))
		},
	}
}

// No octet of a literal is ever run as a command, whatever became of the
// command it belongs to.
func TestLiteralsAreNeverCommands(t *testing.T) {
	r := startRig(t, Limits{PerPeer: 1000})
	r.put(t, "Drafts", plainMail)
	r.put(t, "Drafts", plainMail)
	r.logIn(t).ok("CREATE work")
	before := r.state(t)
	for name, send := range ways() {
		for _, form := range []string{"{%d+}", "{%d}", "~{%d+}"} {
			t.Run(name+" "+form, func(t *testing.T) {
				var c *client
				for _, command := range refused() {
					if c == nil {
						c = r.open(t, "Drafts")
					}
					c = c.literal(send, strings.Replace(command, "%s", fmt.Sprintf(form, len(orders))+"\r\n"+orders, 1))
				}
				if after := r.state(t); after != before {
					t.Fatalf("changed\n%sto\n%s", before, after)
				}
			})
		}
	}
}

// literal runs a command, after which the connection goes on or has ended
// (nil), and wants no response to what the literal holds.
func (c *client) literal(send func(*client, string), command string) *client {
	c.t.Helper()
	send(c, "a "+command+"\r\n")
	z := c.tag()
	c.Write([]byte(z + " SELECT Drafts\r\n"))
	for {
		got, err := c.response()
		switch {
		case len(got) > 1 && got[0] == 'x':
			c.t.Fatalf("%q: an order was run: %q", command, got)
		case err != nil:
			c.Conn.Close()
			return nil
		case strings.HasPrefix(got, z+" OK"):
			return c
		}
	}
}

// Literals of odd sizes end a connection or nothing.
func TestLiteralsOfOddSizes(t *testing.T) {
	r := startRig(t, Limits{PerPeer: 1000})
	r.put(t, "Drafts", plainMail)
	r.logIn(t).ok("CREATE work")
	before := r.state(t)
	for _, size := range []string{"0", "1", "00000000000000000121", "4097", "65537", "4294967296", "9223372036854775807", "99999999999999999999999", "-1", "+", "", "1 ", "0x10"} {
		for _, plus := range []string{"", "+"} {
			for _, command := range []string{"BOGUS", "SEARCH TEXT", "APPEND Drafts", "APPEND absent", "LOGIN", "CREATE", "FETCH 1 BODY.PEEK[HEADER.FIELDS ("} {
				c := r.open(t, "Drafts")
				c.send("a " + command + " {" + size + plus + "}\r\nx1 NOOP\r\n" + "x2 NOOP\r\n")
				c.Conn.Close()
			}
		}
	}
	r.stop(t)
	after := r.state(t)
	// An APPEND of 1 octet that is whole is a letter; that of 0 octets may be.
	if strings.Contains(after, "pwned") || !strings.Contains(after, "work") || strings.Contains(after, `\Deleted`) {
		t.Errorf("changed\n%sto\n%s", before, after)
	}
}

// A client that waits for "+" goes on after a refusal, and one that pipelines
// gets every answer in its turn.
func TestRefusedLiteralsDoNotStopAClient(t *testing.T) {
	r := startRig(t, Limits{})
	c := r.open(t, "Drafts")
	c.send("a SEARCH CHARSET KOI8-R TEXT {5}\r\n")
	c.want("+ ")
	c.send("hello SUBJECT {3}\r\n")
	c.want("+ ")
	c.send("abc\r\nb NOOP\r\n")
	c.want("a NO [BADCHARSET]")
	c.want("b OK")
	c.send("a BOGUS {5+}\r\nb NOO {6+}\r\nc NOOP\r\nd NOOP\r\n")
	c.want("a BAD")
	c.want("d OK")
	c.send("e SEARCH TEXT {4+}\r\nbody SUBJECT {5+}\r\nhello\r\nf NOOP\r\n")
	c.want("* SEARCH")
	c.want("e OK")
	c.want("f OK")
	c.send("g CREATE {4}\r\n")
	c.want("+ ")
	c.send("work\r\nh LIST \"\" {4+}\r\nwork\r\n")
	c.want("g OK")
	c.want("* LIST")
	c.want("h OK")
}

// What is no line of text, no command, or never ends, ends the connection, and
// nothing behind it is run.
func TestLinesThatAreNone(t *testing.T) {
	r := startRig(t, Limits{PerPeer: 1000})
	r.put(t, "Drafts", plainMail)
	r.logIn(t).ok("CREATE work")
	before := r.state(t)
	for _, line := range []string{
		"a BOGUS\rx3 DELETE work\r\n", "a NOOP\r\rx3 DELETE work\r\n", "a NOOP \x00\r\n", "a SEARCH TEXT \"a\r\nx3 DELETE work\r\n\"\r\n",
		"a SEARCH TEXT " + strings.Repeat("x", 60000) + "\r\nx3 DELETE work\r\n", strings.Repeat("x", 60000) + "\r\nx3 DELETE work\r\n",
		"a SEARCH " + strings.Repeat("TEXT {1+}\r\nx ", 5000) + "\r\nx3 DELETE work\r\n",
		"+ NOOP {3+}\r\nx3 DELETE work\r\n", "a+ DELETE {4+}\r\nwork\r\n", "* DELETE {4+}\r\nwork\r\n", "\r\n\r\n {5+}\r\nx3 DELETE work\r\n", "\xa0 DELETE {4+}\r\nwork\r\n",
		"a IDLE\r\n" + strings.Repeat("y", 5000) + "x3 DELETE work\r\n",
		"a AUTHENTICATE PLAIN\r\n" + strings.Repeat("y", 5000) + "x3 DELETE work\r\n",
	} {
		c := r.open(t, "Drafts")
		c.send(line)
		c.Write([]byte("z LOGOUT\r\n"))
		for {
			got, err := c.response()
			if err != nil {
				break
			}
			if strings.HasPrefix(got, "x3 OK") {
				t.Fatalf("%.60q: %q", line, got)
			}
		}
	}
	if after := r.state(t); after != before {
		t.Errorf("changed\n%sto\n%s", before, after)
	}
	c := r.logIn(t)
	c.send("\r\nhello\r\na (x\r\n b NOOP\r\nc NOOP\r\n")
	for _, want := range []string{"* BAD", "* BAD", "a BAD", "* BAD", "c OK"} {
		c.want(want)
	}
	c = r.connect(t)
	c.send("GET / HTTP/1.1\r\n")
	c.want("GET BAD")
	c.wantClosed()
}

func TestAnnouncement(t *testing.T) {
	for line, want := range map[string]literal{
		"a X {5}\r\n":       {there: true, size: 5, wait: true, third: true},
		"a X y {5+}\n":      {there: true, size: 5},
		"a X y (~{12+}\r\n": {there: true, size: 12, utf8: true},
		"a X {5} \r\n":      {},
		"a X {}\r\n":        {},
		"a X {+}\r\n":       {},
		"a X {-1}\r\n":      {},
		"a X \"{5}\"\r\n":   {},
		"{{5}\r\n":          {there: true, size: 5, wait: true},
		"a X y {" + strings.Repeat("9", 40) + "}\r\n": {there: true, size: 1 << 50, wait: true},
	} {
		if got := announcement([]byte(line)); got != want {
			t.Errorf("%q: %+v, want %+v", line, got, want)
		}
	}
}

func TestEveryCommandIsRefusedSomewhere(t *testing.T) {
	all := refused()
	for _, verb := range strings.Fields("CAPABILITY NOOP LOGOUT STARTTLS AUTHENTICATE LOGIN ENABLE SELECT EXAMINE CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE LIST LSUB NAMESPACE STATUS APPEND IDLE CLOSE UNSELECT EXPUNGE SEARCH FETCH STORE COPY MOVE UID CHECK UNAUTHENTICATE") {
		if !slices.ContainsFunc(all, func(s string) bool { return strings.HasPrefix(s, verb+" ") }) {
			t.Errorf("%s is in no test", verb)
		}
	}
}
