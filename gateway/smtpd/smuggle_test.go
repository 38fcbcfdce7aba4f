package smtpd

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// second is what an attacker hides behind the end of a letter: were it taken
// for commands, a letter of his making would be accepted.
const second = "MAIL FROM:<" + anna + ">\r\nRCPT TO:<victim@far.test>\r\nDATA\r\nSubject: forged\r\n\r\nforged\r\n.\r\n"

// TestSmuggling sends every known way to make two readers disagree about
// where a letter ends (RFC 5321 §4.1.1.4: CRLF.CRLF alone does). Each is
// refused as a whole, and what follows is never executed.
func TestSmuggling(t *testing.T) {
	r := startRig(t, Limits{})
	cases := map[string]struct {
		end  string // in place of CRLF.CRLF
		want string
	}{
		"LF.LF":                     {"\n.\n", "550 5.6.11"},
		"LF.CRLF":                   {"\n.\r\n", "550 5.6.11"},
		"CRLF.LF":                   {"\r\n.\n", "550 5.6.11"},
		"CR.CR":                     {"\r.\r", "550 5.6.11"},
		"CRLF.CR":                   {"\r\n.\r", "550 5.6.11"},
		"CR.CRLF":                   {"\r.\r\n", "550 5.6.11"},
		"CR.LF":                     {"\r.\n", "550 5.6.11"},
		"CRCRLF.CRLF":               {"\r\r\n.\r\n", "550 5.6.11"},
		"CRLF.CRCRLF":               {"\r\n.\r\r\n", "550 5.6.11"},
		"LFCR.LFCR":                 {"\n\r.\n\r", "550 5.6.11"},
		"CRLF.NUL CRLF":             {"\r\n.\x00\r\n", "550 5.6.11"},
		"CRLF NUL.CRLF":             {"\r\n\x00.\r\n", "550 5.6.11"},
		"CR NUL LF.CRLF":            {"\r\x00\n.\r\n", "550 5.6.11"},
		"double dot":                {"\r\n..\r\n", "250 2.0.0"},                 // a dot, doubled in transit: letter goes on
		"dot and space":             {"\r\n. \r\n", "250 2.0.0"},                 // the dot is transit's, the space is text
		"dot first in the letter":   {"", "250 2.0.0"},                           // see below: nothing before the hidden part
		"CRLF.CRLF":                 {"\r\n.\r\n", "250 2.0.0"},                  // control: this one does end it
		"vertical tab, NEL, LS, PS": {"\v.\v\u0085.\u2028.\u2029.", "250 2.0.0"}, // none of them ends a line
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			before := len(r.inbox.all())
			cl := r.logIn(t)
			cl.begin()
			cl.say("DATA", "354")
			cl.send("Subject: x\r\n\r\nbody" + c.end + second)
			if name != "dot first in the letter" {
				cl.want(c.want)
			}
			after := r.inbox.all()[before:]
			switch {
			case name == "CRLF.CRLF":
				cl.want("250 2.1.0")
				cl.want("250 2.1.5")
				cl.want("354")
				cl.want("250 2.0.0")
				if after = r.inbox.all()[before:]; len(after) != 2 || after[1].env.Recipients[0] != "victim@far.test" {
					t.Errorf("%d letters: the control does not work", len(after))
				}
				return
			case strings.HasPrefix(c.want, "250"):
				// One letter, the hidden part its text.
				waitFor(t, "the letter", func() bool { return len(r.inbox.all()) > before })
				after = r.inbox.all()[before:]
				if len(after) != 1 || !bytes.Contains(after[0].body, []byte("Subject: forged")) {
					t.Errorf("%d letters, first %q", len(after), after[0].body)
				}
			default:
				cl.wantClosed()
				if len(r.inbox.all()) != before {
					t.Errorf("accepted %q", after)
				}
			}
			for _, l := range r.inbox.all()[before:] {
				if l.env.Recipients[0] == "victim@far.test" {
					t.Error("a hidden command was executed")
				}
			}
		})
	}
}

// TestSmugglingByOctet repeats the worst of them one octet at a time: a
// boundary that depends on what arrives together is no boundary.
func TestSmugglingByOctet(t *testing.T) {
	r := startRig(t, Limits{})
	for _, end := range []string{"\n.\n", "\r\n.\n", "\r.\r", "\r\r\n.\r\n"} {
		c := r.logIn(t)
		c.begin()
		c.say("DATA", "354")
		for _, b := range []byte("S: x\r\n\r\nb" + end + second) {
			c.send(string(b))
		}
		c.want("550 5.6.11")
		c.wantClosed()
	}
	if got := r.inbox.all(); len(got) != 0 {
		t.Errorf("accepted %q", got)
	}
}

// TestCommandsAfterRefusedData: a client that pipelines its letter behind a
// DATA that was refused must not have it read as commands.
func TestCommandsAfterRefusedData(t *testing.T) {
	r := startRig(t, Limits{})
	for name, c := range map[string]struct {
		before []step
		send   string
		want   string
	}{
		"no MAIL":           {nil, "DATA\r\n", "502 5.5.1"},
		"no recipient":      {[]step{{"MAIL FROM:<" + anna + ">", "250"}}, "DATA\r\n", "502 5.5.1"},
		"refused recipient": {[]step{{"MAIL FROM:<" + anna + ">", "250"}, {"RCPT TO:<bad>", "501"}}, "data\r\n", "502 5.5.1"},
		"parameters":        {[]step{{"MAIL FROM:<" + anna + ">", "250"}, {"RCPT TO:<b@far.test>", "250"}}, "DATA x\r\n", "501 5.5.4"},
		"BDAT, no MAIL":     {nil, "BDAT 4\r\nbody", "502 5.5.1"},
		"BDAT LAST":         {nil, "BDAT 4 LAST\r\nbody", "502 5.5.1"},
	} {
		t.Run(name, func(t *testing.T) {
			cl := r.logIn(t)
			for _, s := range c.before {
				cl.say(s.line, s.want)
			}
			cl.send(c.send + "RSET\r\n" + second)
			cl.want(c.want)
			cl.wantClosed()
		})
	}
	if got := r.inbox.all(); len(got) != 0 {
		t.Errorf("accepted %q", got)
	}
}

// TestBareLineEndsInCommands: a command line ends in CRLF.
func TestBareLineEndsInCommands(t *testing.T) {
	r := startRig(t, Limits{})
	for _, line := range []string{
		"NOOP\n", "NOOP\r\r\n", "NO\rOP\r\n", "NOOP\x00\r\n", "\nNOOP\r\n", "RCPT TO:<a@b.test>\nDATA\r\n",
		"HELO \x1b[2J\r\n", "HELO a\tb\r\n", "DATA\n",
	} {
		c := r.logIn(t)
		c.send(line + second)
		c.want("500 5.5.2")
		c.wantClosed()
	}
	for name, line := range map[string]string{"long": strings.Repeat("x", maxLine), "endless": strings.Repeat("x", 1<<16)} {
		c := r.logIn(t)
		c.send("HELO " + line + "\r\n" + second)
		if c.want("500 5.5.2"); true {
			c.wantClosed()
		}
		_ = name
	}
	if got := r.inbox.all(); len(got) != 0 {
		t.Errorf("accepted %q", got)
	}
}

// TestLetterThatStalls: a timeout inside DATA or a chunk ends the connection,
// so what comes late is never read (RFC 5321 §4.5.3.2).
func TestLetterThatStalls(t *testing.T) {
	for name, l := range map[string]Limits{"idle": {Idle: 200 * time.Millisecond}, "whole transaction": {Transaction: 200 * time.Millisecond}} {
		r := startRig(t, l)
		for _, start := range []string{"DATA\r\nSubject: x\r\n\r\nbo", "BDAT 100 LAST\r\nSubject: x\r\n\r\nbo"} {
			c := r.logIn(t)
			c.begin()
			c.send(start)
			if strings.HasPrefix(start, "DATA") {
				c.want("354")
			}
			c.want("421 4.4.2")
			c.Write([]byte("dy\r\n.\r\n" + second)) // may fail: nobody reads it
			c.wantClosed()
		}
		if got := r.inbox.all(); len(got) != 0 {
			t.Errorf("%s: accepted %q", name, got)
		}
	}
}

// TestLetterBrokenOff: a client that dies inside a letter has sent none, under
// BDAT LAST too, where the engine takes the end of input for the end of the
// chunk.
func TestLetterBrokenOff(t *testing.T) {
	r := startRig(t, Limits{})
	for _, start := range []string{
		"DATA\r\n" + goodLetter, "DATA\r\n" + goodLetter + ".", "DATA\r\n" + goodLetter + ".\r",
		"BDAT 100 LAST\r\n" + goodLetter, "BDAT 100 LAST\r\n",
		fmt.Sprintf("BDAT %d\r\n%s", len(goodLetter), goodLetter),
		fmt.Sprintf("BDAT %d\r\n%sBDAT 100 LAST\r\n", len(goodLetter), goodLetter),
		fmt.Sprintf("BDAT %d\r\n%sRSET\r\n", len(goodLetter), goodLetter),
		fmt.Sprintf("BDAT %d\r\n%sEHLO x\r\n", len(goodLetter), goodLetter),
	} {
		c := r.logIn(t)
		c.begin()
		c.send(start)
		c.Close()
		waitFor(t, "the connection's end", func() bool { return r.open0() })
	}
	r.stop(t) // waits for every letter's verdict
	if got := r.inbox.all(); len(got) != 0 {
		t.Errorf("accepted %q", got)
	}
}

// open0 is whether no connection is open.
func (r *rig) open0() bool { return r.hall.Guests() == 0 }

func TestBDAT(t *testing.T) {
	r := startRig(t, Limits{})
	c := r.logIn(t)
	c.begin()
	half := len(goodLetter) / 2
	c.send(fmt.Sprintf("BDAT %d\r\n%sBDAT %d\r\n%sBDAT 0 LAST\r\n", half, goodLetter[:half], len(goodLetter)-half, goodLetter[half:]))
	c.want("250 2.0.0 Continue")
	c.want("250 2.0.0 Continue")
	c.want("250 2.0.0 id")
	c.begin()
	c.send(fmt.Sprintf("bdat %d last\r\n%s", len(goodLetter), goodLetter))
	c.want("250 2.0.0 id")
	// A chunk that looks like commands, dots and all, is text.
	text := "S: x\r\n\r\n.\r\nRSET\r\n" + second
	c.begin()
	c.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(text), text))
	c.want("250 2.0.0 id")
	got := r.inbox.all()
	if len(got) != 3 || string(got[0].body) != goodLetter || string(got[1].body) != goodLetter || string(got[2].body) != text {
		t.Errorf("letters %q", got)
	}
}

// TestBDATCounts: wrong sizes. A chunk whose size cannot be known is the end.
func TestBDATCounts(t *testing.T) {
	r := startRig(t, Limits{})
	for _, c := range []struct{ args, want string }{
		{"", "501 5.5.4"}, {" ", "501 5.5.4"}, {" x", "501 5.5.4"}, {" -1", "501 5.5.4"}, {" +5", "501 5.5.4"},
		{" 0x10", "501 5.5.4"}, {" 5 FIRST", "501 5.5.4"}, {" 5 LAST LAST", "501 5.5.4"}, {" 5LAST", "501 5.5.4"},
		{" 99999999999 LAST", "501 5.5.4"}, {" 18446744073709551617", "501 5.5.4"}, {"  5", "501 5.5.4"}, {" 0", "501 5.5.4"},
		{" 4294967295 LAST", "552 5.3.4"}, {" 1048577 LAST", "552 5.3.4"},
	} {
		cl := r.logIn(t)
		cl.begin()
		cl.send("BDAT" + c.args + "\r\n" + second)
		got, err := cl.reply()
		if err != nil || !strings.HasPrefix(got, c.want) {
			t.Errorf("BDAT%s: %q, %v; want %s", c.args, got, err, c.want)
		}
		cl.wantClosed()
	}
	// Too short a count: the rest is no command, and the letter was not LAST.
	cl := r.logIn(t)
	cl.begin()
	cl.send(fmt.Sprintf("BDAT %d\r\n%s", len(goodLetter)-3, goodLetter))
	cl.want("250 2.0.0 Continue")
	cl.want("50") // "y\r\n" is what is left
	// Too long a count swallows the next command.
	cl = r.logIn(t)
	cl.begin()
	cl.send(fmt.Sprintf("BDAT %d LAST\r\n%sRSET\r\n%s", len(goodLetter)+6, goodLetter, "NOOP\r\n"))
	cl.want("250 2.0.0 id")
	cl.want("250 2.0.0 OK") // NOOP; RSET was text
	if got := r.inbox.all(); len(got) != 1 || string(got[0].body) != goodLetter+"RSET\r\n" {
		t.Errorf("letters %q", got)
	}
}

// TestBDATMixed: commands that may not stand between chunks.
func TestBDATMixed(t *testing.T) {
	r := startRig(t, Limits{})
	chunk := fmt.Sprintf("BDAT %d\r\n%s", len(goodLetter), goodLetter)
	for _, line := range []string{"MAIL FROM:<" + anna + ">", "RCPT TO:<victim@far.test>", "DATA"} {
		c := r.logIn(t)
		c.begin()
		c.send(chunk + line + "\r\n")
		c.want("250 2.0.0 Continue")
		c.want("502 5.5.1")
	}
	// Giving a letter up between chunks ends the connection too.
	for _, line := range []string{"RSET", "EHLO c.test", "HELO c.test", "QUIT"} {
		c := r.logIn(t)
		c.begin()
		c.send(chunk + line + "\r\n" + second)
		c.want("250 2.0.0 Continue")
		c.want("2")
		c.wantClosed()
	}
	c := r.logIn(t) // but not the next letter's
	c.begin()
	c.send(chunk + "NOOP\r\nBDAT 0 LAST\r\nRSET\r\n" + second)
	for _, want := range []string{"250 2.0.0 Continue", "250", "250 2.0.0 id", "250 2.0.0 Session reset", "250", "250", "354", "250 2.0.0 id"} {
		c.want(want)
	}
	if got := r.inbox.all(); len(got) != 2 || string(got[0].body) != goodLetter || got[1].env.Recipients[0] != "victim@far.test" {
		t.Errorf("letters %q", got)
	}
	// A bare LF in a chunk is refused like one in DATA.
	c = r.logIn(t)
	c.begin()
	c.send("BDAT 6 LAST\r\nS: x\n\nRSET\r\n")
	c.want("550 5.6.11")
	c.wantClosed()
}

// TestStartTLSInjection: what is sent in plain text behind STARTTLS is never
// read, neither as a command before TLS nor after.
func TestStartTLSInjection(t *testing.T) {
	r := startRig(t, Limits{})
	for _, injected := range []string{"EHLO evil.test\r\n", "NOOP\r\n", "\r\n", "x"} {
		c := dial(t, r.plain)
		c.want("220")
		c.send("EHLO c.test\r\nSTARTTLS\r\n" + injected)
		c.want("250")
		c.want("554 5.5.1")
		c.wantClosed()
	}
	// Sent after the 220, it spoils the handshake, and that closes.
	c := dial(t, r.plain)
	c.want("220")
	c.say("STARTTLS", "220 2.0.0")
	c.send("EHLO evil.test\r\n" + second)
	c.readToEnd()
}

// readToEnd wants the connection closed and no SMTP reply, only TLS records.
func (c *client) readToEnd() {
	c.t.Helper()
	var all bytes.Buffer
	if _, err := all.ReadFrom(c.raw); err != nil && strings.Contains(err.Error(), "timeout") {
		c.t.Fatal("the connection stays open")
	}
	if b := all.Bytes(); len(b) > 0 && b[0] != 21 { // a TLS alert
		c.t.Errorf("answered %q", b)
	}
}

func TestPlainPhase(t *testing.T) {
	r := startRig(t, Limits{})
	c := dial(t, r.plain)
	c.want("220 gate.test")
	for _, s := range []step{
		{"AUTH PLAIN " + plainResponse("", anna, secret), "530 5.7.0"}, {"MAIL FROM:<" + anna + ">", "530 5.7.0"},
		{"RCPT TO:<b@far.test>", "530 5.7.0"}, {"VRFY anna", "530 5.7.0"}, {"HELO c", "250 gate.test"}, {"EHLO", "501 5.5.4"},
		{"NOOP", "250 2.0.0"}, {"RSET", "250 2.0.0"}, {"WHAT", "500 5.5.2"}, {"STARTTLS now", "501 5.5.4"},
	} {
		c.say(s.line, s.want)
	}
	c.say("QUIT", "221 2.0.0")
	c.wantClosed()
	for _, line := range []string{"DATA\r\n", "BDAT 5\r\nhello"} {
		c = dial(t, r.plain)
		c.want("220")
		c.send(line + "STARTTLS\r\n")
		c.want("530 5.7.0")
		c.wantClosed()
	}
	c = dial(t, r.plain)
	c.want("220")
	c.send(strings.Repeat("NOOP\r\n", maxPlain+1))
	for range maxPlain {
		c.want("250")
	}
	c.want("421 4.7.0")
	c.wantClosed()
}

// TestSizes: a letter of exactly the limit passes, one octet more does not,
// whichever way it comes.
func TestSizes(t *testing.T) {
	r := startRig(t, Limits{})
	line := strings.Repeat("x", 62) + "\r\n"
	full := strings.Repeat(line, limit/64)
	for _, verb := range []string{"DATA", "BDAT", "chunks"} {
		for extra, want := range map[int]string{0: "250 2.0.0 id", 1: "552 5.3.4", 5 * limit: "552 5.3.4"} {
			body := full
			if extra > 0 {
				body = full[:limit-2] + strings.Repeat("y", extra%1000) + "\r\n" + strings.Repeat(line, extra/64)
			}
			c := r.logIn(t)
			c.begin()
			go func() { // the reply may come before the last octet
				switch verb {
				case "DATA":
					c.Write([]byte("DATA\r\n" + body + ".\r\n"))
				case "BDAT":
					c.Write(fmt.Appendf(nil, "BDAT %d LAST\r\n%s", len(body), body))
				default:
					c.Write(fmt.Appendf(nil, "BDAT %d\r\n%sBDAT %d LAST\r\n%s", limit/2, body[:limit/2], len(body)-limit/2, body[limit/2:]))
				}
			}()
			if verb == "DATA" {
				c.want("354")
			} else if verb == "chunks" {
				c.want("250 2.0.0 Continue")
			}
			c.want(want)
			if extra > 0 {
				c.wantClosed()
			}
		}
	}
	if got := r.inbox.all(); len(got) != 3 {
		t.Errorf("%d letters", len(got))
	}
	// A line that is too long is named as such.
	c := r.logIn(t)
	c.begin()
	c.say("DATA", "354")
	c.send(strings.Repeat("z", letterLine+10) + "\r\n.\r\n")
	c.want("550 5.6.0")
	c.wantClosed()
}
