package smtpd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("database/sql.(*DB).connectionOpener"))
}

const (
	anna     = "anna@one.test"
	annaAlso = "a.ivanova@one.test"
	secret   = "correct horse battery"
	limit    = 1 << 20 // octets of a letter
	patience = 20 * time.Second
)

// certificate is the server's, made once: no test looks at it.
func certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gate.test"}, NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"gate.test"}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// letterIn is one letter that the door let through.
type letterIn struct {
	env  rem.Envelope
	body []byte
}

// inbox is where the doors' letters end in tests of the wire: it reads as the
// gateway does (message.StrictCRLF) and accepts everything, so that whatever is
// smuggled past the door is seen.
type inbox struct {
	mu      sync.Mutex
	letters []letterIn
	answer  func(env rem.Envelope) error // a refusal after the whole letter was read
	hold    chan struct{}                // when set, letters wait for it
	busy    chan struct{}                // gets a token when a letter waits
	discard bool
}

func (b *inbox) receive(ctx context.Context, env rem.Envelope, r io.Reader) (string, error) {
	var body bytes.Buffer
	var w io.Writer = &body
	if b.discard {
		w = io.Discard
	}
	if _, err := io.Copy(w, message.StrictCRLF(r, limit)); err != nil {
		return "", fmt.Errorf("spool: %w", err)
	}
	if b.hold != nil {
		b.busy <- struct{}{}
		select {
		case <-b.hold:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	if b.answer != nil {
		if err := b.answer(env); err != nil {
			return "", err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.letters = append(b.letters, letterIn{env, body.Bytes()})
	return env.ID, nil
}

func (b *inbox) all() []letterIn {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]letterIn(nil), b.letters...)
}

// logBook is a log that tests read while it is written.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// rig is a running server with real accounts and, on loopback, both doors.
type rig struct {
	*Server
	inbox *inbox
	log   *logBook
	tls   string // addresses
	plain string
	down  sync.Once
}

func openAccounts(t testing.TB) *account.Accounts {
	t.Helper()
	db, err := store.Open(context.Background(), store.Config{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	a := account.New(account.Config{DB: db})
	_, err = a.Create(context.Background(), store.User{Email: anna, Addresses: []string{anna, annaAlso}}, secret)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// startRig starts a server whose letters go to an inbox.
func startRig(t testing.TB, l Limits) *rig {
	t.Helper()
	cert, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{inbox: &inbox{busy: make(chan struct{}, 1)}, log: &logBook{}}
	var ids int
	var mu sync.Mutex
	s := &Server{
		accounts: openAccounts(t), letter: limit, tls: &tls.Config{Certificates: []tls.Certificate{cert}},
		domain: "gate.test", limits: l.withDefaults(), log: slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		receive: func(ctx context.Context, env rem.Envelope, b io.Reader) (string, error) {
			return r.inbox.receive(ctx, env, b)
		},
		newID: func() string {
			mu.Lock()
			defer mu.Unlock()
			ids++
			return fmt.Sprintf("id%024d", ids)
		},
	}
	r.Server = s.init()
	r.listen(t)
	return r
}

// listen opens both doors and closes them at the test's end.
func (r *rig) listen(t testing.TB) {
	t.Helper()
	open := func(serve func(net.Listener) error) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := serve(l); err != nil {
				t.Errorf("serve: %v", err)
			}
		}()
		t.Cleanup(func() { r.stop(t); <-done })
		return l.Addr().String()
	}
	r.tls, r.plain = open(r.ServeTLS), open(r.Serve)
}

func (r *rig) stop(t testing.TB) {
	r.down.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
}

// client is a raw socket: it sends what it is told and checks every reply's
// form.
type client struct {
	t testing.TB
	net.Conn
	raw net.Conn
	in  *bufio.Reader
}

func clientTLS() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

func newClient(t testing.TB, raw net.Conn) *client {
	t.Cleanup(func() { raw.Close() })
	raw.SetDeadline(time.Now().Add(patience))
	return &client{t: t, Conn: raw, raw: raw, in: bufio.NewReader(raw)}
}

// dial connects without reading the greeting.
func dial(t testing.TB, addr string) *client {
	t.Helper()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, raw)
}

func (c *client) startTLS() *client {
	c.t.Helper()
	s := tls.Client(c.raw, clientTLS())
	if err := s.Handshake(); err != nil {
		c.t.Fatalf("handshake: %v", err)
	}
	c.Conn, c.in = s, bufio.NewReader(s)
	return c
}

// connect is a client on the implicit door after EHLO.
func (r *rig) connect(t testing.TB) *client {
	t.Helper()
	c := dial(t, r.tls).startTLS()
	c.want("220 gate.test")
	c.say("EHLO client.test", "250")
	return c
}

// logIn is a client that is logged in.
func (r *rig) logIn(t testing.TB) *client {
	t.Helper()
	c := r.connect(t)
	c.say("AUTH PLAIN "+plainResponse("", anna, secret), "235 2.0.0")
	return c
}

func plainResponse(authzid, authcid, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(authzid + "\x00" + authcid + "\x00" + password))
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatalf("send %.60q: %v", s, err)
	}
}

// say sends a line and wants a reply.
func (c *client) say(line, want string) string {
	c.t.Helper()
	c.send(line + "\r\n")
	return c.want(want)
}

// want reads a reply that begins with want.
func (c *client) want(want string) string {
	c.t.Helper()
	got, err := c.reply()
	if err != nil {
		c.t.Fatalf("want %q: %v after %q", want, err, got)
	}
	if !strings.HasPrefix(got, want) {
		c.t.Fatalf("got %q, want %q", got, want)
	}
	return got
}

// wantClosed reads to the end and wants no further reply.
func (c *client) wantClosed() {
	c.t.Helper()
	if got, err := c.reply(); err == nil {
		c.t.Fatalf("the connection lives on: %q", got)
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		c.t.Fatal("the connection stays open")
	}
}

// reply reads one reply of any number of lines, as it came.
func (c *client) reply() (string, error) {
	var all strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		all.WriteString(line)
		if err != nil {
			return all.String(), err
		}
		if problem := badReplyLine(line); problem != "" {
			c.t.Errorf("reply %q: %s", line, problem)
		}
		if len(line) < 4 || line[3] != '-' {
			return badEnd(c.t, all.String()), nil
		}
	}
}

var replyLine = regexp.MustCompile(`^[2345][0-5][0-9][ -]([ -~]*)\r\n$`)
var enhancedCode = regexp.MustCompile(`^([245])\.[0-9]{1,3}\.[0-9]{1,3}( |$)`)

// badReplyLine says what is wrong with a reply line (RFC 5321 §4.2, RFC 2034):
// greetings, 354, 334 and the answers to HELO and EHLO carry no enhanced code.
func badReplyLine(line string) string {
	m := replyLine.FindStringSubmatch(line)
	switch {
	case m == nil:
		return "not a reply line"
	case len(line) > maxReplyLine+2:
		return "too long"
	}
	switch code := line[:3]; code {
	case "220", "354", "334", "250":
		return ""
	}
	e := enhancedCode.FindStringSubmatch(m[1])
	if e == nil {
		return "no enhanced code"
	}
	if e[1] != line[:1] {
		return "enhanced code of another class"
	}
	return ""
}

// badEnd checks that all lines of a reply have one code.
func badEnd(t testing.TB, reply string) string {
	for line := range strings.Lines(reply) {
		if line[:3] != reply[:3] {
			t.Errorf("reply with two codes: %q", reply)
		}
	}
	return reply
}

// begin opens a transaction up to 354.
func (c *client) begin() {
	c.t.Helper()
	c.say("MAIL FROM:<"+anna+">", "250 2.1.0")
	c.say("RCPT TO:<bob@far.test>", "250 2.1.5")
}

// waitFor polls a condition that another goroutine brings about.
func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !cond() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("never: %s", what)
		}
	}
}

const goodLetter = "From: anna@one.test\r\nSubject: x\r\n\r\nbody\r\n"
