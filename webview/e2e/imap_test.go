package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// mailbox is what a mail client is told of one person's account.
type mailbox struct{ IMAPS, IMAP, SMTP, CA, User, Password string }

func (d *demo) mailbox(p party) mailbox {
	return mailbox{IMAPS: named(d.IMAP.IMAPS), IMAP: named(d.IMAP.IMAP), SMTP: named(d.SMTP.Submissions), CA: d.CA, User: p.Email, Password: p.Password}
}

// named is a loopback address by the name its certificate has.
func named(address string) string { return strings.Replace(address, "127.0.0.1", "localhost", 1) }

func port(address string) string {
	_, p, _ := net.SplitHostPort(address)
	return p
}

// patience is how long one answer may take; it only ends a test that hangs.
const patience = time.Minute

// wire is an IMAP connection of which the tests see every octet.
type wire struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
	tags int
}

// line is one answer of the server with its literals in place of {n}.
type line struct {
	text     string
	literals [][]byte
}

// answer is everything up to the tagged line of a command.
type answer struct {
	status, text string // OK, NO or BAD and what follows
	lines        []line
}

// trust is the demo's root and nothing else.
func (m mailbox) trust(t testing.TB) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(m.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots, ServerName: "localhost"}
}

func (m mailbox) dial(t testing.TB) *wire {
	t.Helper()
	conn, err := tls.Dial("tcp", m.IMAPS, m.trust(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	w := &wire{t: t, conn: conn, r: bufio.NewReaderSize(conn, 1<<16)}
	if greeting := w.read(); !strings.HasPrefix(greeting.text, "* OK") {
		t.Fatalf("greeting %q", greeting.text)
	}
	return w
}

func (m mailbox) login(t testing.TB) *wire {
	t.Helper()
	w := m.dial(t)
	w.ok(fmt.Sprintf("LOGIN %s %s", m.User, m.Password))
	return w
}

// open is a session with one folder selected.
func (m mailbox) open(t testing.TB, folder string) *wire {
	t.Helper()
	w := m.login(t)
	w.ok("SELECT " + folder)
	return w
}

func (w *wire) write(b []byte) {
	w.t.Helper()
	w.conn.SetDeadline(time.Now().Add(patience))
	if _, err := w.conn.Write(b); err != nil {
		w.t.Fatalf("write: %v", err)
	}
}

var literalEnd = regexp.MustCompile(`\{(\d+)\}$`)

func (w *wire) tryRead() (line, error) {
	w.conn.SetDeadline(time.Now().Add(patience))
	var l line
	for {
		s, err := w.r.ReadString('\n')
		if err != nil {
			return l, err
		}
		s = strings.TrimSuffix(s, "\r\n")
		l.text += s
		m := literalEnd.FindStringSubmatch(s)
		if m == nil {
			return l, nil
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return l, err
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(w.r, b); err != nil {
			return l, err
		}
		l.literals = append(l.literals, b)
	}
}

func (w *wire) read() line {
	w.t.Helper()
	l, err := w.tryRead()
	if err != nil {
		w.t.Fatalf("read: %v after %.200q", err, l.text)
	}
	return l
}

func (w *wire) tag() string {
	w.tags++
	return fmt.Sprintf("t%d", w.tags)
}

// until reads up to the tagged answer.
func (w *wire) until(tag string) answer {
	w.t.Helper()
	var a answer
	for {
		l := w.read()
		if rest, ok := strings.CutPrefix(l.text, tag+" "); ok {
			a.status, a.text, _ = strings.Cut(rest, " ")
			return a
		}
		a.lines = append(a.lines, l)
	}
}

// command sends one command and reads its answer.
func (w *wire) command(text string) answer {
	w.t.Helper()
	tag := w.tag()
	w.write([]byte(tag + " " + text + "\r\n"))
	return w.until(tag)
}

// ok is a command that must succeed.
func (w *wire) ok(text string) answer {
	w.t.Helper()
	a := w.command(text)
	if a.status != "OK" {
		w.t.Fatalf("%.200s: %s %s", text, a.status, a.text)
	}
	return a
}

// append stores a message with a synchronizing literal and returns its UID
// (RFC 4315 §3); status is the answer's.
func (w *wire) append(folder string, message []byte) (uid uint32, status string) {
	w.t.Helper()
	tag := w.tag()
	w.write([]byte(fmt.Sprintf("%s APPEND %s {%d}\r\n", tag, folder, len(message))))
	for {
		l := w.read()
		if strings.HasPrefix(l.text, tag+" ") {
			return 0, strings.Fields(l.text)[1]
		}
		if strings.HasPrefix(l.text, "+") {
			break
		}
	}
	w.write(message)
	w.write([]byte("\r\n"))
	a := w.until(tag)
	if m := regexp.MustCompile(`APPENDUID \d+ (\d+)`).FindStringSubmatch(a.text); m != nil {
		n, _ := strconv.ParseUint(m[1], 10, 32)
		uid = uint32(n)
	}
	return uid, a.status
}

// stored is an append that must succeed.
func (w *wire) stored(folder string, message []byte) uint32 {
	w.t.Helper()
	uid, status := w.append(folder, message)
	if status != "OK" || uid == 0 {
		w.t.Fatalf("APPEND %s of %d octets: %s, uid %d", folder, len(message), status, uid)
	}
	return uid
}

// body fetches one section of one message without a trace.
func (w *wire) body(uid uint32, section string) []byte {
	w.t.Helper()
	a := w.ok(fmt.Sprintf("UID FETCH %d BODY.PEEK%s", uid, section))
	for _, l := range a.lines {
		if strings.Contains(l.text, "FETCH") && strings.Contains(l.text, "BODY[") {
			if len(l.literals) == 1 {
				return l.literals[0]
			}
			if m := regexp.MustCompile(`BODY\[[^]]*\](?:<\d+>)? "((?:[^"\\]|\\.)*)"`).FindStringSubmatch(l.text); m != nil {
				return []byte(regexp.MustCompile(`\\(.)`).ReplaceAllString(m[1], "$1"))
			}
			return nil
		}
	}
	w.t.Fatalf("BODY%s of %d is not answered: %v", section, uid, a)
	return nil
}

// search is UID SEARCH in the form every client understands.
func (w *wire) search(keys string) []uint32 {
	w.t.Helper()
	var uids []uint32
	for _, l := range w.ok("UID SEARCH " + keys).lines {
		rest, ok := strings.CutPrefix(l.text, "* SEARCH")
		if !ok {
			continue
		}
		for _, s := range strings.Fields(rest) {
			n, err := strconv.ParseUint(s, 10, 32)
			if err != nil {
				w.t.Fatalf("SEARCH answers %q", l.text)
			}
			uids = append(uids, uint32(n))
		}
	}
	return uids
}

var (
	fetchedUID   = regexp.MustCompile(`\bUID (\d+)`)
	fetchedFlags = regexp.MustCompile(`FLAGS \(([^)]*)\)`)
)

// flags are the flags of every message of the selected folder by UID.
func (w *wire) flags() map[uint32]string {
	w.t.Helper()
	out := map[uint32]string{}
	if len(w.search("ALL")) == 0 {
		return out
	}
	for _, l := range w.ok("UID FETCH 1:* (FLAGS)").lines {
		uid, flags := fetchedUID.FindStringSubmatch(l.text), fetchedFlags.FindStringSubmatch(l.text)
		if uid == nil || flags == nil {
			continue
		}
		n, _ := strconv.ParseUint(uid[1], 10, 32)
		out[uint32(n)] = flags[1]
	}
	return out
}

// await is a message that a search finds at last; the one of the highest UID.
func (w *wire) await(keys string) uint32 {
	w.t.Helper()
	var found []uint32
	err := wait(20*time.Second, func() bool {
		w.ok("NOOP")
		found = w.search(keys)
		return len(found) > 0
	})
	if err != nil {
		w.t.Fatalf("no message for %s: %v", keys, err)
	}
	return found[len(found)-1]
}

// field is one header field of a message in full, unfolded.
func field(message []byte, name string) string {
	head, _, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	unfolded := regexp.MustCompile(`\r\n[ \t]`).ReplaceAll(head, []byte(" "))
	for l := range strings.SplitSeq(string(unfolded), "\r\n") {
		if n, value, ok := strings.Cut(l, ":"); ok && strings.EqualFold(n, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
