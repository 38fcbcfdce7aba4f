package imapd

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// has wants a response among those that came.
func has(t *testing.T, got []string, want string) {
	t.Helper()
	if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, want) }) {
		t.Errorf("no %q in %.600q", want, got)
	}
}

func TestCapabilities(t *testing.T) {
	r := startRig(t, Limits{})
	c := r.connect(t)
	before := strings.Join(c.ok("CAPABILITY"), "")
	if !strings.Contains(before, "AUTH=PLAIN") || strings.Contains(before, "STARTTLS") || strings.Contains(before, "LOGINDISABLED") {
		t.Errorf("before login: %s", before)
	}
	c.ok("LOGIN " + anna + ` "` + secret + `"`)
	got := strings.Fields(strings.Join(c.ok("CAPABILITY"), ""))
	for _, want := range strings.Fields("IMAP4rev1 IMAP4rev2 SASL-IR IDLE UNSELECT ENABLE NAMESPACE UIDPLUS ESEARCH SEARCHRES LIST-EXTENDED LIST-STATUS MOVE STATUS=SIZE CHILDREN SPECIAL-USE APPENDLIMIT=134217728") {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not offered: %q", want, got)
		}
	}
	for _, never := range []string{"LITERAL+", "BINARY", "UNAUTHENTICATE"} {
		if slices.Contains(got, never) {
			t.Errorf("%s is offered", never)
		}
	}
}

func TestFoldersAndStatus(t *testing.T) {
	r := startRig(t, Limits{})
	c := r.logIn(t)
	list := c.ok(`LIST "" "*"`)
	for _, want := range []string{`"/" INBOX`, `(\HasNoChildren \Sent) "/" "Sent"`, `(\HasNoChildren \Drafts) "/" "Drafts"`, `(\HasNoChildren \Trash) "/" "Trash"`, `"Received"`, `"Receipts"`} {
		has(t, list, want)
	}
	has(t, c.ok(`LIST "" ""`), `* LIST (\Noselect) "/" ""`)
	has(t, c.ok("NAMESPACE"), `* NAMESPACE (("" "/")) NIL NIL`)
	c.ok("CREATE work/2026/")
	has(t, c.ok(`LIST "" %`), `(\HasChildren) "/" "work"`)
	if got := c.ok(`LIST "" work/*`); len(got) != 1 {
		t.Errorf("%q", got)
	}
	c.ok(`CREATE "&BBIEMAQ2BD0EPgQ1-"`) // modified UTF-7
	has(t, c.ok(`LIST "" "*"`), `"&BBIEMAQ2BD0EPgQ1-"`)
	c.no("CREATE work/2026", "NO [ALREADYEXISTS]")
	c.no("DELETE Sent", "NO [CANNOT]")
	c.no("DELETE absent", "NO [NONEXISTENT]")
	c.no("SELECT absent", "NO [NONEXISTENT]")
	c.no("CREATE x (USE (\\Sent))", "NO [CANNOT]")
	c.ok("UNSUBSCRIBE work")
	if got := c.ok(`LSUB "" "work"`); len(got) != 0 {
		t.Errorf("%q", got)
	}
	has(t, c.ok(`LIST (SUBSCRIBED RECURSIVEMATCH) "" "work"`), `"work" (CHILDINFO ("SUBSCRIBED"))`)
	c.ok("RENAME work play")
	has(t, c.ok(`LIST "" "*" RETURN (STATUS (MESSAGES SIZE) SPECIAL-USE CHILDREN SUBSCRIBED)`), `* STATUS "play/2026" (MESSAGES 0 SIZE 0)`)
	r.put(t, "Drafts", plainMail, `\Deleted`)
	got := c.ok("STATUS Drafts (MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE APPENDLIMIT RECENT)")
	has(t, got, "MESSAGES 1 UIDNEXT 2 UIDVALIDITY ")
	has(t, got, fmt.Sprintf("UNSEEN 1 DELETED 1 SIZE %d APPENDLIMIT 134217728 RECENT 0", len(plainMail)))
	c.no("STATUS Drafts (DELETED-STORAGE)", "NO")
	c.no("STATUS Drafts (BOGUS)", "BAD")
}

func TestSelectAndExamine(t *testing.T) {
	r := startRig(t, Limits{})
	r.put(t, "Drafts", plainMail)
	c := r.logIn(t)
	got := c.ok("SELECT Drafts")
	has(t, got, "* 1 EXISTS")
	has(t, got, `PERMANENTFLAGS (\Seen \Answered \Flagged \Deleted \Draft \*)`)
	has(t, got, `* FLAGS (\Seen \Answered \Flagged \Deleted \Draft $Notified $Received $Verified $Failed)`)
	has(t, got, "UIDNEXT 2")
	if strings.Contains(strings.Join(got, ""), "* LIST") {
		t.Error("LIST for a client of IMAP4rev1")
	}
	before := r.state(t)
	has(t, c.ok("EXAMINE Drafts"), "PERMANENTFLAGS ()")
	for _, command := range []string{`STORE 1 +FLAGS (\Deleted)`, "EXPUNGE", "UID EXPUNGE 1", "MOVE 1 Trash", `UID STORE 1 FLAGS.SILENT (\Seen)`} {
		c.no(command, "NO [NOPERM]")
	}
	has(t, c.ok("FETCH 1 BODY[]"), "body")
	c.ok("CLOSE")
	if after := r.state(t); after != before {
		t.Errorf("EXAMINE changed\n%sto\n%s", before, after)
	}
	c.ok("ENABLE IMAP4rev2")
	has(t, c.ok("SELECT Drafts"), `* LIST () "/" "Drafts"`)
}

func TestStoreAndExpunge(t *testing.T) {
	r := startRig(t, Limits{})
	for range 4 {
		r.put(t, "Drafts", plainMail)
	}
	c := r.open(t, "Drafts")
	has(t, c.ok(`STORE 1:2 +FLAGS (\dELeted \SEEN $Work)`), `* 2 FETCH (UID 2 FLAGS (\Seen \Deleted $Work))`)
	if got := c.ok(`STORE 3 +FLAGS.SILENT (\Deleted)`); len(got) != 0 {
		t.Errorf("silent: %q", got)
	}
	has(t, c.ok(`UID STORE 3 -FLAGS \Deleted`), `* 3 FETCH (UID 3 FLAGS ())`)
	c.no(`STORE 1 +FLAGS (\Bogus)`, "NO [CANNOT]")
	c.no(`STORE 1 +FLAGS (\*)`, "NO [CANNOT]")
	c.ok(`STORE 9 +FLAGS (\Seen)`)
	c.ok(`UID STORE 99 +FLAGS (\Seen)`)
	c.ok("UID EXPUNGE 99")
	if got := c.ok("UID EXPUNGE 2:4"); len(got) != 1 || got[0] != "* 2 EXPUNGE\r\n" {
		t.Errorf("%q", got)
	}
	if got := c.ok("EXPUNGE"); len(got) != 1 || got[0] != "* 1 EXPUNGE\r\n" {
		t.Errorf("%q", got)
	}
	has(t, c.ok("FETCH * UID"), "* 2 FETCH (UID 4)")
	has(t, c.ok("UID FETCH 100:* FLAGS"), "* 2 FETCH (UID 4 FLAGS ())")
	c.ok(`STORE * +FLAGS.SILENT (\Deleted)`)
	c.ok("CLOSE")
	has(t, c.ok("STATUS Drafts (MESSAGES)"), "MESSAGES 1")
}

func TestCopyAndMove(t *testing.T) {
	r := startRig(t, Limits{})
	for range 3 {
		r.put(t, "Drafts", plainMail)
	}
	c := r.open(t, "Drafts")
	_, tagged := c.do("COPY 1:2 Trash")
	if !strings.HasPrefix(tagged, "OK [COPYUID ") || !strings.Contains(tagged, " 1:2 1:2]") {
		t.Errorf("%q", tagged)
	}
	for _, nothing := range []string{"COPY 9 Trash", "UID COPY 99 Trash", "MOVE 9 Trash", "UID MOVE 99 Trash"} {
		if got, tagged := c.do(nothing); len(got) != 0 || !strings.HasPrefix(tagged, "OK ") || strings.Contains(tagged, "COPYUID") {
			t.Errorf("%s: %q %q", nothing, got, tagged)
		}
	}
	c.no("COPY 1 absent", "NO [TRYCREATE]")
	c.no("MOVE 1 absent", "NO [TRYCREATE]")
	c.no("COPY 1 Sent", "NO [CANNOT]")
	got := c.ok("MOVE 2 Trash")
	if len(got) != 2 || !strings.HasPrefix(got[0], "* OK [COPYUID ") || got[1] != "* 2 EXPUNGE\r\n" {
		t.Errorf("%q", got)
	}
}

func TestAppend(t *testing.T) {
	r := startRig(t, Limits{})
	c := r.open(t, "Drafts")
	if got := c.append(`Drafts (\seen) " 4-May-2026 03:02:01 +0200"`, plainMail); !strings.HasPrefix(got, "OK [APPENDUID ") {
		t.Fatalf("%q", got)
	}
	has(t, c.ok("FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"), plainMail+")")
	if got := c.append("absent", plainMail); !strings.HasPrefix(got, "NO [TRYCREATE]") {
		t.Errorf("%q", got)
	}
	for _, kept := range []string{"INBOX", "Received", "Receipts", "Sent"} {
		if got := c.append(kept, plainMail); !strings.HasPrefix(got, "NO [CANNOT]") {
			t.Errorf("%s: %q", kept, got)
		}
	}
	c.send(fmt.Sprintf("m APPEND {6+}\r\nDrafts {%d+}\r\n%s\r\n", len(plainMail), plainMail))
	if _, tagged := c.result("m"); !strings.HasPrefix(tagged, "OK [APPENDUID ") {
		t.Errorf("%q", tagged)
	}
	c.ok("ENABLE UTF8=ACCEPT")
	c.send(fmt.Sprintf("u APPEND Drafts UTF8 (~{%d+}\r\n%s)\r\n", len(plainMail), plainMail))
	if _, tagged := c.result("u"); !strings.HasPrefix(tagged, "OK [APPENDUID ") {
		t.Errorf("%q", tagged)
	}
	has(t, c.ok("STATUS Drafts (MESSAGES)"), "MESSAGES 3")
}

// Nothing is stored of a letter whose client dies, that goes on behind its end,
// or that is too long.
func TestAppendOfHalfALetter(t *testing.T) {
	r := startRig(t, Limits{})
	before := r.state(t)
	for _, rest := range []string{"", "half of it"} {
		c := r.logIn(t)
		c.send("a APPEND Drafts {100}\r\n")
		c.want("+ ")
		c.send(rest)
		c.Conn.Close()
	}
	for _, tail := range []string{" {5+}\r\nhello\r\n", " more\r\n", ")\r\n", " {9+}\r\nb DELETE x\r\n", " (\\Seen) {1}\r\n"} {
		c := r.logIn(t)
		c.send("a APPEND Drafts {5+}\r\nhello" + tail)
		c.result("a")
		c.wantClosed()
	}
	c := r.logIn(t)
	c.send(fmt.Sprintf("a APPEND Drafts {%d}\r\n", limit+1))
	c.want("a NO [TOOBIG]")
	c.wantClosed()
	r.stop(t)
	if after := r.state(t); after != before {
		t.Errorf("stored: %s", after)
	}
}

func TestIdleTellsOfChanges(t *testing.T) {
	r := startRig(t, Limits{})
	r.put(t, "Drafts", plainMail)
	idle, other := r.open(t, "Drafts"), r.open(t, "Drafts")
	idle.send("i IDLE\r\n")
	idle.want("+ ")
	r.put(t, "Drafts", plainMail)
	idle.want("* 2 EXISTS")
	other.ok(`STORE 1 +FLAGS (\Flagged)`)
	idle.want(`* 1 FETCH (UID 1 FLAGS (\Flagged))`)
	other.ok(`STORE 1 +FLAGS.SILENT (\Deleted)`)
	idle.want(`* 1 FETCH (UID 1 FLAGS (\Flagged \Deleted))`)
	other.ok("EXPUNGE")
	idle.want("* 1 EXPUNGE")
	idle.send("DONE\r\n")
	idle.want("i OK")
	has(t, idle.ok("FETCH 1:* UID"), "* 1 FETCH (UID 2)")
	idle.send("j IDLE\r\nnonsense\r\n")
	idle.want("+ ")
	idle.want("j BAD")
	idle.ok("NOOP")
}

// What one session does, the other sees between its commands; EXPUNGE only
// where it may be said.
func TestTwoSessions(t *testing.T) {
	r := startRig(t, Limits{})
	for range 3 {
		r.put(t, "Drafts", plainMail)
	}
	one, two := r.open(t, "Drafts"), r.open(t, "Drafts")
	two.ok(`STORE 2 +FLAGS.SILENT (\Deleted)`)
	has(t, one.ok("NOOP"), `* 2 FETCH (UID 2 FLAGS (\Deleted))`)
	two.ok("EXPUNGE")
	got := one.ok("FETCH 1:3 UID")
	if len(got) != 2 || got[1] != "* 3 FETCH (UID 3)\r\n" {
		t.Errorf("%q", got)
	}
	two.ok(`STORE 1 +FLAGS.SILENT ($A)`)
	r.put(t, "Drafts", plainMail)
	got = one.ok(`STORE 1 +FLAGS.SILENT (\Seen)`) // what another has done has to be told
	if len(got) != 2 || got[0] != "* 1 FETCH (UID 1 FLAGS (\\Seen $A))\r\n" || got[1] != "* 4 EXISTS\r\n" {
		t.Errorf("%q", got)
	}
	if got = one.ok("NOOP"); len(got) != 1 || got[0] != "* 2 EXPUNGE\r\n" {
		t.Errorf("%q", got)
	}
	has(t, one.ok("FETCH 1:* UID"), "* 3 FETCH (UID 4)")
	two.ok("CREATE gone")
	one.ok("SELECT gone")
	r.put(t, "gone", plainMail)
	has(t, one.ok("NOOP"), "* 1 EXISTS")
	two.ok("DELETE gone")
	has(t, one.ok("NOOP"), "* 1 EXPUNGE")
	one.no("COPY 1 gone", "NO [TRYCREATE]")
}

func TestSeenIsSetByReading(t *testing.T) {
	r := startRig(t, Limits{})
	r.put(t, "Drafts", plainMail)
	r.put(t, "Drafts", plainMail, `\Seen`)
	c := r.open(t, "Drafts")
	got := c.ok("FETCH 1:2 BODY[TEXT]")
	if len(got) != 2 || got[0] != "* 1 FETCH (FLAGS (\\Seen) BODY[TEXT] {6}\r\nbody\r\n)\r\n" || got[1] != "* 2 FETCH (BODY[TEXT] {6}\r\nbody\r\n)\r\n" {
		t.Errorf("%q", got)
	}
	if got := c.ok("NOOP"); len(got) != 0 {
		t.Errorf("told twice: %q", got)
	}
}

func TestStartTLS(t *testing.T) {
	r := startRig(t, Limits{})
	c := dial(t, r.plain)
	c.want("* OK [CAPABILITY IMAP4rev2 IMAP4rev1 SASL-IR LITERAL- STARTTLS LOGINDISABLED]")
	has(t, c.ok("CAPABILITY"), "LOGINDISABLED")
	c.no("LOGIN "+anna+` "`+secret+`"`, "NO [PRIVACYREQUIRED]")
	c.no("AUTHENTICATE PLAIN", "NO [PRIVACYREQUIRED]")
	c.no("SELECT INBOX", "BAD")
	c.ok("NOOP")
	c.ok("STARTTLS")
	c.startTLS()
	has(t, c.ok("CAPABILITY"), "AUTH=PLAIN")
	c.no("STARTTLS", "NO")
	c.ok("LOGIN " + anna + ` "` + secret + `"`)

	c = dial(t, r.plain)
	c.want("* OK")
	c.send("a STARTTLS\r\nb LOGOUT\r\n") // the rest would be read as if under TLS
	c.wantClosed()
	c = dial(t, r.plain)
	c.want("* OK")
	c.ok("STARTTLS")
	c.send("b NOOP\r\n") // no handshake
	if b, err := io.ReadAll(c.raw); strings.Contains(string(b), "b OK") {
		t.Errorf("%q %v", b, err)
	}
}

func TestLogin(t *testing.T) {
	r := startRig(t, Limits{})
	c := r.connect(t)
	c.no("LOGIN "+anna+" wrong-password", "NO [AUTHENTICATIONFAILED]")
	c.no("SELECT INBOX", "BAD")
	c.no("AUTHENTICATE LOGIN", "NO")
	c.no("AUTHENTICATE PLAIN !!!", "BAD")
	c.send("a AUTHENTICATE PLAIN\r\n")
	c.want("+ ")
	c.send("*\r\n")
	c.want("a BAD")
	c.send("a AUTHENTICATE PLAIN AGFubmFAb25lLnRlc3QAY29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n")
	c.want("a OK")
	c.no("LOGIN x y", "BAD")
	c.ok("LOGOUT")
	c.wantClosed()

	c = r.connect(t)
	c.no("LOGIN "+anna+" {5+}\r\nwrong", "NO")
	c.no("LOGIN nobody@one.test wrong-password", "NO [AUTHENTICATIONFAILED]")
	c.no("LOGIN x y", "NO")
	c.wantClosed()
	if strings.Contains(r.log.String(), "wrong-password") || strings.Contains(r.log.String(), secret) {
		t.Error("a password is in the log")
	}
}

func TestShutdownSaysBye(t *testing.T) {
	r := startRig(t, Limits{})
	idle, quiet := r.open(t, "INBOX"), r.logIn(t)
	idle.send("i IDLE\r\n")
	idle.want("+ ")
	r.stop(t)
	for _, c := range []*client{idle, quiet} {
		got, _ := io.ReadAll(c.in)
		if !strings.Contains(string(got), "* BYE [UNAVAILABLE]") {
			t.Errorf("%q", got)
		}
	}
}

// Clients that change one mailbox at once each keep a right count of it: what
// they were told makes up what is there.
func TestSessionsAtOnce(t *testing.T) {
	r := startRig(t, Limits{})
	for range 20 {
		r.put(t, "Drafts", plainMail)
	}
	var clients [4]*client
	for i := range clients {
		clients[i] = r.open(t, "Drafts")
	}
	done := make(chan []string, len(clients))
	for i, c := range clients {
		go func() {
			done <- c.meddle(rand.New(rand.NewPCG(uint64(i), 7)))
		}()
	}
	for range clients {
		for _, fault := range <-done {
			t.Error(fault)
		}
	}
	want := r.state(t)
	for _, c := range clients {
		c.ok("NOOP")
		got := c.ok("FETCH 1:* (UID FLAGS)")
		if n := strings.Count(strings.Split(strings.SplitAfter(want, "Drafts true:")[1], "\n")[0], "["); n != len(got) {
			t.Errorf("%d messages, the client has %d", n, len(got))
		}
	}
}

// meddle changes the selected mailbox at random and answers what is wrong with
// what it was told.
func (c *client) meddle(rnd *rand.Rand) (faults []string) {
	known := 20 // messages that the client counts
	for range 60 {
		commands := []string{
			fmt.Sprintf("STORE %d +FLAGS.SILENT (\\Deleted)", 1+rnd.IntN(known+1)), fmt.Sprintf("STORE 1:* -FLAGS (k%d)", rnd.IntN(3)), "EXPUNGE", "NOOP",
			"COPY 1 Drafts", "MOVE 1 Trash", "FETCH 1:* FLAGS", "SEARCH DELETED", fmt.Sprintf("APPEND Drafts {%d+}\r\n%s", len(plainMail), plainMail),
		}
		command := commands[rnd.IntN(len(commands))]
		tag := c.tag()
		if _, err := io.WriteString(c, tag+" "+command+"\r\n"); err != nil {
			return append(faults, err.Error())
		}
		for {
			got, err := c.response()
			if err != nil {
				return append(faults, err.Error())
			}
			var n int
			var word string
			if k, _ := fmt.Sscanf(got, "* %d %s", &n, &word); k == 2 {
				switch {
				case word == "EXISTS" && n >= known:
					known = n
				case word == "EXPUNGE" && n >= 1 && n <= known && !strings.HasPrefix(command, "FETCH") && !strings.HasPrefix(command, "STORE") && !strings.HasPrefix(command, "SEARCH"):
					known--
				case word == "FETCH" && n >= 1 && n <= known:
				default:
					faults = append(faults, fmt.Sprintf("%s: %q with %d messages", command, got, known))
				}
			}
			if strings.HasPrefix(got, tag+" ") {
				if !strings.HasPrefix(got, tag+" OK") {
					faults = append(faults, fmt.Sprintf("%s: %q", command, got))
				}
				break
			}
		}
	}
	return faults
}
