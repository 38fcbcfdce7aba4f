package imapd

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

var responseLine = regexp.MustCompile(`^(\*|\+|[!-~]{1,64}) [^\x00\r\n]*\r\n`)

// FuzzSession: whatever a client says, every response is one, nothing panics,
// and without a login nothing changes.
func FuzzSession(f *testing.F) {
	f.Add([]byte("a LOGIN x y\r\nb SELECT INBOX\r\n"), false)
	f.Add([]byte("a AUTHENTICATE PLAIN\r\n=\r\nb NOOP\r\n"), false)
	f.Add([]byte("a SELECT Drafts\r\nb FETCH 1:* (UID BODY[HEADER.FIELDS (TO)]<0.9>)\r\nc SEARCH OR TEXT {1+}\r\nx NOT 1:*\r\nd LOGOUT\r\n"), true)
	f.Add([]byte("a APPEND Drafts (\\Seen) {5+}\r\nhello\r\nb IDLE\r\nDONE\r\nc LIST (SUBSCRIBED) \"\" (* %) RETURN (STATUS (MESSAGES))\r\n"), true)
	f.Add([]byte("a SELECT Drafts\r\nb UID MOVE 1:* Trash\r\nc SEARCH RETURN (SAVE) ALL\r\nd STORE $ -FLAGS.SILENT (\\Seen)\r\ne CLOSE\r\nf UNSELECT\r\n"), true)
	for _, command := range refused() {
		f.Add([]byte("a "+strings.Replace(command, "%s", "{4+}\r\nabcd", 1)+"\r\nz LOGOUT\r\n"), true)
	}
	r := startRig(f, Limits{PerPeer: 1000})
	r.put(f, "Drafts", plainMail)
	addr := r.listen(f, r.servePlain) // TLS would take most of the time
	f.Fuzz(func(t *testing.T, input []byte, loggedIn bool) {
		before, logged := r.state(t), r.log.size()
		c := dial(t, addr)
		c.want("* OK")
		if loggedIn {
			c.ok("LOGIN " + anna + ` "` + secret + `"`)
		}
		go func() {
			c.Write(input)
			c.Write([]byte("\r\nDONE\r\nzz LOGOUT\r\n"))
			c.Conn.Close()
		}()
		for {
			got, err := c.response()
			if err != nil {
				break
			}
			if !responseLine.MatchString(got) {
				t.Fatalf("%q is answered with %q", input, got)
			}
			if strings.HasPrefix(got, "zz ") {
				break
			}
		}
		c.raw.Close()
		waitFor(t, "the end of the session", func() bool { return r.hall.Guests() == 0 })
		if after := r.state(t); !loggedIn && after != before {
			t.Fatalf("changed without a login\n%sto\n%s", before, after)
		}
		if log := r.log.after(logged); strings.Contains(log, "panic") || strings.Contains(log, `"internal`) || strings.Contains(log, "imap command") {
			t.Fatalf("%q: %s", input, log[max(0, len(log)-2000):])
		}
	})
}

// FuzzMatchName: a pattern without wildcards matches itself alone, "*" and what
// it stands for match.
func FuzzMatchName(f *testing.F) {
	f.Add("a/b", "a/b", 1)
	f.Add("INBOX", "*", 3)
	f.Fuzz(func(t *testing.T, pattern, name string, cut int) {
		if len(pattern) > 200 || len(name) > 200 {
			return
		}
		if !strings.ContainsAny(pattern, "*%") && matchName(pattern, name) != (pattern == name) {
			t.Fatalf("%q %q", pattern, name)
		}
		cut = min(max(cut, 0), len(name))
		if !strings.ContainsAny(name, "*%") && !matchName(name[:cut]+"*", name) {
			t.Fatalf("%q*", name[:cut])
		}
		if matchName(pattern, name) && !matchName(strings.ReplaceAll(pattern, "%", "*"), name) {
			t.Fatalf("%q %q with *", pattern, name)
		}
	})
}

// FuzzText: what is written reads back.
func FuzzText(f *testing.F) {
	f.Add("plain")
	f.Add("\"\\\xff\r\n")
	f.Fuzz(func(t *testing.T, s string) {
		got := appendText(nil, s)
		if got[0] == '{' {
			if !bytes.HasSuffix(got, []byte("}\r\n"+s)) {
				t.Fatalf("%q: %q", s, got)
			}
			return
		}
		var b strings.Builder
		for i := 1; i < len(got)-1; i++ {
			if got[i] == '\\' {
				i++
			}
			b.WriteByte(got[i])
		}
		if b.String() != s || got[0] != '"' || got[len(got)-1] != '"' {
			t.Fatalf("%q: %q", s, got)
		}
	})
}
