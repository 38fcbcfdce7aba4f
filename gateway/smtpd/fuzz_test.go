package smtpd

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/door"
)

// duplex is a connection of two net.Pipes, so that each side can say that it
// has no more to send.
type duplex struct {
	net.Conn // what is read
	w        net.Conn
}

func newDuplex() (near, far *duplex) {
	a, b := net.Pipe()
	c, d := net.Pipe()
	return &duplex{a, d}, &duplex{c, b}
}

func (d *duplex) Write(b []byte) (int, error)        { return d.w.Write(b) }
func (d *duplex) SetWriteDeadline(t time.Time) error { return d.w.SetWriteDeadline(t) }
func (d *duplex) SetDeadline(t time.Time) error {
	d.w.SetDeadline(t)
	return d.Conn.SetDeadline(t)
}
func (d *duplex) Close() error {
	d.w.Close()
	return d.Conn.Close()
}

// adopt gives the server a connection that did not come through a listener.
// secure ones go to the engine as if they had shaken hands.
func (r *rig) adopt(raw net.Conn, secure bool) {
	d := door.Door{Name: "fuzz"}
	c := newConn(r.Server, raw, d)
	if secure {
		c.security = "fuzz"
	}
	r.hall.Adopt(c, d)
}

// converse sends input in packets of size octets, hangs up, and reads what is
// answered. It returns when the server has let go.
func (r *rig) converse(t testing.TB, input []byte, secure bool, size int) []byte {
	near, far := newDuplex()
	r.adopt(far, secure)
	go func() {
		for p := input; len(p) > 0; {
			n, err := near.Write(p[:min(size, len(p))])
			if err != nil {
				break
			}
			p = p[n:]
		}
		near.w.Close()
	}()
	near.SetReadDeadline(time.Now().Add(patience))
	var out bytes.Buffer
	if _, err := out.ReadFrom(near); err != nil {
		t.Fatalf("reading replies: %v", err)
	}
	near.Close()
	waitFor(t, "the connection's end", r.open0)
	return out.Bytes()
}

// model reads a session as the standard has it, beside the replies it got:
// command lines end in CRLF, a letter after 354 in CRLF.CRLF, a chunk after its
// count. It knows which letters a server that gave these replies has accepted.
type model struct {
	in      []byte
	replies []string // codes
	letters []string
	chunks  []byte
	open    bool // the session goes on
}

func (m *model) run() {
	sasl := false
	for m.open = true; m.open; {
		line, ok := m.until("\r\n")
		if !ok {
			return
		}
		verb := strings.ToUpper(string(line[:min(4, len(line))]))
		if sasl || (len(line) > 4 && line[4] != ' ') {
			verb = ""
		}
		var count int
		if verb == "BDAT" {
			f := strings.Fields(string(line))
			if len(f) > 1 {
				count, _ = strconv.Atoi(f[1])
			}
			if count < 0 || count > len(m.in) {
				count = len(m.in)
			}
			m.chunks = append(m.chunks, m.in[:count]...)
			m.in = m.in[count:]
		}
		code := m.next()
		sasl = code == "334"
		m.take(verb, code, strings.HasSuffix(strings.ToUpper(string(line)), " LAST"))
	}
}

// take draws the consequences of one answered command.
func (m *model) take(verb, code string, last bool) {
	good := strings.HasPrefix(code, "2")
	switch verb {
	case "RSET", "EHLO", "HELO":
		if good {
			m.chunks = nil
		}
	case "BDAT":
		if good && last {
			m.letters = append(m.letters, string(m.chunks))
			m.chunks = nil
		}
		m.open = m.open && good
	case "DATA":
		if code != "354" {
			m.open = false
			return
		}
		m.letter()
	}
}

// letter reads to CRLF.CRLF and undoes the doubling of dots.
func (m *model) letter() {
	var text []byte
	ok := bytes.HasPrefix(m.in, []byte(".\r\n"))
	if ok {
		m.in = m.in[3:]
	} else if text, ok = m.until("\r\n.\r\n"); ok {
		text = append(bytes.Clone(text), "\r\n"...)
	}
	if code := m.next(); strings.HasPrefix(code, "2") {
		if !ok {
			m.letters = append(m.letters, "a letter without an end")
		}
		s := strings.TrimPrefix("\r\n"+strings.ReplaceAll("\r\n"+string(text), "\r\n.", "\r\n"), "\r\n\r\n")
		m.letters = append(m.letters, s)
	} else {
		m.open = false
	}
}

func (m *model) until(end string) ([]byte, bool) {
	i := bytes.Index(m.in, []byte(end))
	if i < 0 {
		return nil, false
	}
	s := m.in[:i]
	m.in = m.in[i+len(end):]
	return s, true
}

func (m *model) next() string {
	if len(m.replies) == 0 {
		m.open = false
		return ""
	}
	code := m.replies[0]
	m.replies = m.replies[1:]
	return code
}

// codes checks the form of every reply and gives their codes.
func codes(t testing.TB, out []byte) (list []string) {
	c := &client{t: t, in: bufio.NewReader(bytes.NewReader(out))}
	for {
		reply, err := c.reply()
		if err != nil {
			if reply != "" {
				t.Errorf("half a reply: %q", reply)
			}
			return list
		}
		list = append(list, reply[:3])
	}
}

func seeds() []string {
	begin := "MAIL FROM:<" + anna + ">\r\nRCPT TO:<bob@far.test>\r\n"
	list := []string{
		"", "NOOP\r\nQUIT\r\n", "\r\n\r\n\r\n\r\n\r\n", begin + "DATA\r\n" + goodLetter + ".\r\n", begin + "DATA\r\n.\r\n" + begin + "DATA\r\n..\r\n.\r\n",
		begin + "DATA\r\n..a\r\n...\r\n.\r\nQUIT\r\n", begin + "RSET\r\nDATA\r\nx\r\n.\r\n", "AUTH LOGIN\r\nQUE=\r\nQg==\r\n*\r\n",
		begin + "BDAT 5\r\nabc\r\nBDAT 2 LAST\r\n\r\n", begin + "BDAT 0 LAST\r\n" + begin + "BDAT 3\r\nabcRSET\r\n" + second,
		begin + "BDAT 3\r\nabcEHLO x\r\n" + begin + "BDAT 5 LAST\r\nabc\r\n", begin + begin + "DATA\r\nx\r\n.\r\n",
		"DATA\r\n" + second, "BDAT 99999999999 LAST\r\n" + second, begin + "BDAT 5 LAST\r\nab", "STARTTLS\r\n" + second,
		"EHLO a\nNOOP\r\n", "HELO \xff\x1b[2J\r\n", "EHLO x\r\nVRFY y\r\nHELP\r\nXXXX\r\n",
	}
	for _, end := range []string{"\n.\n", "\r.\r", "\r\n.\r", "\r\n.\n", "\n.\r\n", "\r\r\n.\r\n", "\r\n\x00.\r\n", "\r\n.\r\r\n"} {
		list = append(list, begin+"DATA\r\nS: x\r\n\r\nb"+end+second)
	}
	return list
}

// FuzzSession: whole sessions with a real server. Every reply is well-formed;
// the letters accepted are exactly those that a plain reading of the standard
// finds, octet by octet; no panic; the connection ends.
func FuzzSession(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s), true, uint16(7))
		f.Add([]byte(s), false, uint16(4096))
	}
	r := startRig(f, Limits{})
	f.Fuzz(func(t *testing.T, input []byte, loggedIn bool, size uint16) {
		session := []byte("EHLO c.test\r\n")
		if loggedIn {
			session = fmt.Appendf(session, "AUTH PLAIN %s\r\n", plainResponse("", anna, secret))
		}
		r.checkSession(t, append(session, input...), size)
	})
}

// words are what sessions are made of, and what spoils them.
func words() []string {
	return []string{
		"MAIL FROM:<" + anna + ">\r\nRCPT TO:<bob@far.test>\r\n", "MAIL FROM:<" + anna + ">\r\n", "RCPT TO:<c@far.test>\r\n", "RCPT TO:<bad>\r\n",
		"DATA\r\n", "S: x\r\n\r\ntext\r\n", ".\r\n", "..\r\n", ".", "\r\n", "\n", "\r", "\x00", "text", "..text\r\n",
		"BDAT 4\r\ntext", "BDAT 6 LAST\r\ntext\r\n", "BDAT 0 LAST\r\n", "BDAT 0\r\n", "BDAT 30 LAST\r\n", "BDAT x\r\n", "BDAT 2\r\n\r\n",
		"RSET\r\n", "NOOP\r\n", "EHLO d.test\r\n", "QUIT\r\n", "VRFY x\r\n", "AUTH LOGIN\r\n", "STARTTLS\r\n", "XXXX\r\n", "QUE=\r\n",
	}
}

// FuzzScript is FuzzSession with whole words in place of octets, which get
// deeper into the protocol.
func FuzzScript(f *testing.F) {
	f.Add([]byte{0, 4, 5, 6, 0, 16}, uint16(3))
	f.Add([]byte{0, 15, 22, 0, 16, 0, 15, 17}, uint16(4096))
	f.Add([]byte{0, 4, 5, 11, 6, 0, 4, 5, 6}, uint16(1))
	f.Add([]byte{0, 4, 6, 0, 4, 8, 6, 6, 0, 4, 5, 8, 11, 10, 6}, uint16(100))
	r := startRig(f, Limits{})
	list := words()
	f.Fuzz(func(t *testing.T, script []byte, size uint16) {
		session := fmt.Appendf(nil, "EHLO c.test\r\nAUTH PLAIN %s\r\n", plainResponse("", anna, secret))
		for _, b := range script[:min(len(script), 200)] {
			session = append(session, list[int(b)%len(list)]...)
		}
		r.checkSession(t, session, size)
	})
}

// checkSession is the property of FuzzSession.
func (r *rig) checkSession(t *testing.T, session []byte, size uint16) {
	before, logged := len(r.inbox.all()), len(r.log.String())
	replies := codes(t, r.converse(t, session, true, int(size)+1))
	if len(replies) == 0 || replies[0] != "220" {
		t.Fatalf("replies %q", replies)
	}
	m := model{in: session, replies: replies[1:]}
	m.run()
	var got []string
	for _, l := range r.inbox.all()[before:] {
		got = append(got, string(l.body))
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", m.letters) {
		t.Errorf("accepted %q, the session has %q\nsession %q\nreplies %q", got, m.letters, session, replies)
	}
	if strings.Contains(r.log.String()[logged:], "panic") {
		t.Errorf("panic: %s", r.log.String()[logged:])
	}
}

// FuzzPlain: whatever is said without TLS, nobody logs in, nothing is accepted,
// and replies are well-formed up to the handshake.
func FuzzPlain(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s), uint16(7))
	}
	f.Add([]byte("EHLO a\r\nSTARTTLS\r\n"), uint16(4096))
	f.Add([]byte("STARTTLS\r\nMAIL FROM:<a@b.test>\r\n"), uint16(9))
	r := startRig(f, Limits{})
	f.Fuzz(func(t *testing.T, input []byte, size uint16) {
		before := len(r.inbox.all())
		out := r.converse(t, input, false, int(size)+1)
		out, _, shaking := bytes.Cut(out, []byte("220 2.0.0 Ready to start TLS\r\n"))
		for i, code := range codes(t, out) {
			if i > 0 && (code == "235" || code == "354" || code == "334") {
				t.Errorf("answered %s without TLS", code)
			}
		}
		if !shaking && bytes.Contains(out, []byte("AUTH")) {
			t.Errorf("AUTH offered without TLS: %q", out)
		}
		if len(r.inbox.all()) != before {
			t.Error("accepted a letter without TLS")
		}
	})
}
