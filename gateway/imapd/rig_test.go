package imapd

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
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/door"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/gateway/notify"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("database/sql.(*DB).connectionOpener"))
}

const (
	anna     = "anna@one.test"
	secret   = "correct horse battery"
	patience = 60 * time.Second
	limit    = 128 << 20 // octets of a letter
)

// certificate is the server's, and the gateway's own: no test looks at it.
func certificate(t testing.TB) (tls.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gate.test"}, NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"gate.test"}, EmailAddresses: []string{"cryptogramm@gate.test"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, key
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

// after is what was logged behind the first n octets.
func (l *logBook) after(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b.Bytes()[n:])
}

func (l *logBook) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Len()
}

// rig is a whole gateway with both doors of the mailboxes on loopback, and an
// account.
type rig struct {
	*Server
	user   *store.User
	log    *logBook
	tls    string // addresses
	plain  string
	served sync.WaitGroup
	down   sync.Once
}

func startRig(t testing.TB, l Limits) *rig {
	t.Helper()
	return startNode(t, store.Config{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "db")}, l)
}

// startNode is startRig on a database, which other nodes may be on as well.
func startNode(t testing.TB, c store.Config, l Limits) *rig {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, dir, r := context.Background(), t.TempDir(), &rig{log: &logBook{}}
	db, err := store.Open(ctx, c)
	must(err)
	t.Cleanup(func() { db.Close() })
	blobs, err := blob.NewDir(filepath.Join(dir, "blobs"))
	must(err)
	log := slog.New(slog.NewJSONHandler(r.log, nil))
	accounts := account.New(account.Config{DB: db, Domain: "gate.test", Log: log})
	r.user, err = accounts.Create(ctx, store.User{Email: anna}, secret)
	if errors.Is(err, account.ErrClaimed) {
		r.user, err = db.UserByAddress(ctx, anna)
	}
	must(err)
	cert, key := certificate(t)
	g, err := gateway.New(gateway.Config{
		Identity: &gateway.Identity{Chain: cert.Certificate, Key: key},
		DB:       db, Blobs: blobs, Spool: filepath.Join(dir, "spool"), Trust: &gateway.Trust{DB: db}, Accounts: accounts,
		Notify: &notify.Sender{Outbox: filepath.Join(dir, "outbox")}, Policy: rem.Policy{DocumentSigner: "sender", Revocation: "hard"},
		Limits: gateway.Limits{Letter: limit}, LinkKey: make([]byte, 32), BaseURL: "https://gate.test", Domain: "gate.test", Node: "n1",
		Now: time.Now, Log: log,
	})
	must(err)
	must(g.EnsureMailboxes(ctx, r.user.ID))
	r.Server = New(Config{Gateway: g, Accounts: accounts, DB: db, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Limits: l, Log: log})
	r.tls, r.plain = r.listen(t, r.ServeTLS), r.listen(t, r.Serve)
	return r
}

// listen opens a door and closes it at the test's end.
func (r *rig) listen(t testing.TB, serve func(net.Listener) error) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.served.Add(1)
	go func() {
		defer r.served.Done()
		if err := serve(l); err != nil && !errors.Is(err, door.ErrClosed) { // a test may end before it begins
			t.Errorf("serve: %v", err)
		}
	}()
	t.Cleanup(func() { r.stop(t); r.served.Wait() })
	return l.Addr().String()
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

// put adds a mail to a mailbox beside the protocol, all of it in its row.
func (r *rig) put(t testing.TB, box, mail string, flags ...string) uint32 {
	t.Helper()
	m, err := r.DB.MailboxByName(context.Background(), r.user.ID, box)
	if err != nil {
		t.Fatal(err)
	}
	o, err := message.OutlineOf(strings.NewReader(mail), int64(len(mail)))
	if err != nil {
		t.Fatal(err)
	}
	at, err := r.DB.AddMail(context.Background(), store.NewMessage{
		Mailbox: m.ID, Flags: flags, Internal: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
		Mail: store.Mail{ID: r.Gateway.NewID(), Account: r.user.ID, Head: []byte(mail), Size: int64(len(mail)), Outline: o.Encode()},
	}, store.Quota{Octets: 1 << 40, Messages: 1 << 30, Mailboxes: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return at.UID
}

// state is what is in the account's mailboxes: names, UIDs, flags.
func (r *rig) state(t testing.TB) string {
	t.Helper()
	ctx := context.Background()
	boxes, err := r.DB.Mailboxes(ctx, r.user.ID)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, m := range boxes {
		rows, err := r.DB.Messages(ctx, store.MessageQuery{Mailbox: m.ID, Ranges: []store.UIDRange{{From: 1, To: 1<<32 - 1}}, Limit: 100000})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %v:", m.Name, m.Subscribed)
		for _, row := range rows {
			fmt.Fprintf(&b, " %d%v", row.UID, row.Flags)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// client is a raw socket.
type client struct {
	t testing.TB
	net.Conn
	raw net.Conn
	in  *bufio.Reader
	n   int // tags given out
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	raw.SetDeadline(time.Now().Add(patience))
	return &client{t: t, Conn: raw, raw: raw, in: bufio.NewReaderSize(raw, 64<<10)}
}

func (c *client) startTLS() *client {
	c.t.Helper()
	s := tls.Client(c.raw, &tls.Config{InsecureSkipVerify: true})
	if err := s.Handshake(); err != nil {
		c.t.Fatalf("handshake: %v", err)
	}
	c.Conn, c.in = s, bufio.NewReaderSize(s, 64<<10)
	return c
}

// connect is a client on the implicit door behind the greeting.
func (r *rig) connect(t testing.TB) *client {
	t.Helper()
	c := dial(t, r.tls).startTLS()
	c.want("* OK [CAPABILITY IMAP4rev2 IMAP4rev1")
	return c
}

// logIn is a client that is logged in.
func (r *rig) logIn(t testing.TB) *client {
	t.Helper()
	c := r.connect(t)
	c.ok("LOGIN " + anna + ` "` + secret + `"`)
	return c
}

// open is a client with a mailbox selected.
func (r *rig) open(t testing.TB, box string) *client {
	t.Helper()
	c := r.logIn(t)
	c.ok("SELECT " + box)
	return c
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatalf("send %.60q: %v", s, err)
	}
}

var literalEnd = regexp.MustCompile(`\{([0-9]+)\}\r\n$`)

// response reads one response, its literals with it.
func (c *client) response() (string, error) {
	var all strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		all.WriteString(line)
		if err != nil {
			return all.String(), err
		}
		m := literalEnd.FindStringSubmatch(line)
		if m == nil {
			return all.String(), nil
		}
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			return all.String(), err
		}
		if _, err := io.CopyN(&all, c.in, n); err != nil {
			return all.String(), err
		}
	}
}

// want reads a response that begins with want.
func (c *client) want(want string) string {
	c.t.Helper()
	got, err := c.response()
	if err != nil {
		c.t.Fatalf("want %q: %v after %q", want, err, got)
	}
	if !strings.HasPrefix(got, want) {
		c.t.Fatalf("got %.300q, want %q", got, want)
	}
	return got
}

// result reads up to the response with the tag, or the end of the connection.
func (c *client) result(tag string) (untagged []string, tagged string) {
	c.t.Helper()
	for {
		got, err := c.response()
		switch {
		case err != nil && (got == "" || strings.HasPrefix(got, "*")):
			return untagged, ""
		case err != nil:
			c.t.Fatalf("%v after %q", err, got)
		case strings.HasPrefix(got, tag+" "):
			return untagged, strings.TrimSpace(strings.TrimPrefix(got, tag+" "))
		case !strings.HasPrefix(got, "* ") && !strings.HasPrefix(got, "+ "):
			c.t.Fatalf("neither tagged nor untagged: %q", got)
		}
		untagged = append(untagged, got)
	}
}

func (c *client) tag() string { c.n++; return "t" + strconv.Itoa(c.n) }

// do sends a command and reads all that answers it.
func (c *client) do(command string) (untagged []string, tagged string) {
	c.t.Helper()
	tag := c.tag()
	c.send(tag + " " + command + "\r\n")
	return c.result(tag)
}

// ok is do for commands that succeed.
func (c *client) ok(command string) []string {
	c.t.Helper()
	untagged, tagged := c.do(command)
	if !strings.HasPrefix(tagged, "OK") {
		c.t.Fatalf("%.100s: %q", command, tagged)
	}
	return untagged
}

// no is do for commands that are refused, with these words.
func (c *client) no(command, want string) {
	c.t.Helper()
	if _, tagged := c.do(command); !strings.HasPrefix(tagged, want) {
		c.t.Errorf("%.100s: %q, want %q", command, tagged, want)
	}
}

// append stores a mail with a literal that waits.
func (c *client) append(box, mail string) string {
	c.t.Helper()
	tag := c.tag()
	c.send(fmt.Sprintf("%s APPEND %s {%d}\r\n", tag, box, len(mail)))
	c.want("+ ")
	c.send(mail + "\r\n")
	_, tagged := c.result(tag)
	return tagged
}

// wantClosed reads to the end and wants nothing but BYE.
func (c *client) wantClosed() {
	c.t.Helper()
	for {
		got, err := c.response()
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			c.t.Fatal("the connection stays open")
		}
		if err != nil {
			return
		}
		if !strings.HasPrefix(got, "* BYE") {
			c.t.Fatalf("the connection lives on: %q", got)
		}
	}
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

const plainMail = "From: Anna <anna@one.test>\r\nTo: bob@far.test\r\nSubject: hello\r\nDate: Mon, 4 May 2026 03:02:01 +0000\r\nMessage-ID: <1@one.test>\r\n\r\nbody\r\n"
