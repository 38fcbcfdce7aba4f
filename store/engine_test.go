package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// clock is the injected clock of a test.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// place is an empty database of one engine, made for one test.
type place struct {
	Config
	clock  *clock
	raw    func(t testing.TB) *sql.DB // a connection past all of our code
	server string                     // PostgreSQL's DSN
}

func (p *place) open(t testing.TB) *DB {
	t.Helper()
	db, err := Open(context.Background(), p.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func sqlitePlace(t testing.TB) *place {
	c := newClock()
	path := filepath.Join(t.TempDir(), "meta.db")
	return &place{Config: Config{Driver: "sqlite", DSN: path, Now: c.now}, clock: c, raw: func(t testing.TB) *sql.DB {
		return rawDB(t, "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	}}
}

func rawDB(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// postgresPlace makes a schema of its own in the database that the environment
// names.
func postgresPlace(t testing.TB, dsn string) *place {
	schema := "t_" + strings.ToLower(rand.Text())
	admin := rawDB(t, "pgx", dsn)
	if _, err := admin.Exec("CREATE SCHEMA " + schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Exec("DROP SCHEMA " + schema + " CASCADE") })
	own := dsn + " search_path=" + schema
	if u, err := url.Parse(dsn); err == nil && strings.HasPrefix(u.Scheme, "postgres") {
		q := u.Query()
		q.Set("search_path", schema)
		u.RawQuery = q.Encode()
		own = u.String()
	}
	c := newClock()
	return &place{
		Config: Config{Driver: "postgres", DSN: own, Now: c.now}, clock: c, server: dsn,
		raw: func(t testing.TB) *sql.DB { return rawDB(t, "pgx", own) },
	}
}

// onEveryEngine runs a test on SQLite, and on PostgreSQL when the environment
// names a server.
func onEveryEngine(t *testing.T, f func(t *testing.T, p *place)) {
	t.Run("sqlite", func(t *testing.T) { f(t, sqlitePlace(t)) })
	if dsn := os.Getenv("CRYPTOGRAMM_POSTGRES"); dsn != "" {
		t.Run("postgres", func(t *testing.T) { f(t, postgresPlace(t, dsn)) })
	}
}

var ctx = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func got[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		must(t, err)
		return v
	}
}

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return rem.IDText(b)
}

// addUser adds a claimed user with one address.
func addUser(t testing.TB, db *DB, address string) User {
	t.Helper()
	u := User{ID: newID(), Email: address, Name: "Имя " + address, Language: "ru", Claimed: true, Addresses: []string{address}}
	must(t, db.AddUser(ctx, u, "hash of "+address))
	return *got[*User](t)(db.UserByID(ctx, u.ID))
}

// letter is an accepted letter with one signed document, as rem.Submit makes it.
func letter(sender User, now time.Time, recipients ...string) NewSubmission {
	certificate := []byte("certificate of " + sender.Email)
	raw := []byte("signature " + newID())
	claimed := now.Add(-time.Minute)
	finding := rem.Finding{
		Verdict: rem.Passed, Indication: "TOTAL-PASSED", Uncovered: []string{}, Unsigned: []string{"Subject"},
		Documents: []rem.Document{{
			Name: "договор.pdf", MediaType: "application/pdf", Part: rem.Range{Offset: 900, Length: 15000, Encoding: "base64"},
			SHA256: rem.DigestOf(raw), Size: 11000, SignedSHA256: rem.DigestOf(append(raw, 1)), Signatures: []int{0},
		}},
		Signatures: []rem.Signature{{
			Format: "CAdES-BES", Algorithm: "RSA-2048 with SHA-256", Signer: "CN=Имя", Email: sender.Email, Serial: "01ff",
			Issuer: "CN=Demo CA", AnchorKind: "unqualified", ClaimedTime: &claimed, BestTime: now, Indication: "TOTAL-PASSED",
			Checks: []rem.Check{{Name: "message-digest", Status: "passed"}, {Name: "path", Status: "passed", Detail: "3 certificates"}},
			Covers: []string{"договор.pdf"}, Place: "договор.pdf.p7s", SignatureSHA256: rem.DigestOf(raw),
			CertificateSHA256: rem.DigestOf(certificate), Bound: "address", Certificate: certificate,
			Part: rem.Range{Offset: 16000, Length: 3000, Encoding: "base64"}, Raw: raw,
		}},
	}
	env := rem.Envelope{
		ID: newID(), Account: sender.ID, Login: sender.Email, Addresses: sender.Addresses, From: sender.Email,
		Recipients: recipients, Peer: "192.0.2.1", TLS: "TLS 1.3", Door: "submissions",
	}
	facts := rem.LetterFacts{
		Ref: rem.Ref{SHA256: rem.DigestOf([]byte(env.ID)), Size: 20480}, MessageID: "<" + env.ID + "@client.test>",
		Subject: "Договор № 5", From: []string{sender.Email}, To: recipients[:1], Date: now.Add(-time.Hour).In(time.FixedZone("", 3*3600)),
	}
	accepted, refusal := rem.Submit(env, facts, finding, rem.Policy{LinkLifetime: 30 * 24 * time.Hour}, now)
	if refusal != nil {
		panic(refusal)
	}
	n := NewSubmission{Accepted: accepted, Links: make(map[string]rem.Digest), RetryKey: rem.DigestOf([]byte("retry" + env.ID))}
	n.Evidence = []rem.Evidence{accepted.Evidence()}
	for _, c := range accepted.Consignments {
		n.Links[c.ID] = rem.DigestOf([]byte("link" + c.ID))
		n.Jobs = append(n.Jobs, Job{ID: "notify-" + c.ID, Kind: "notify", Subject: c.ID, Payload: []byte(`{"n":1}`), Due: now, Created: now})
	}
	return n
}

// attest makes the evidence of an event of a consignment.
func attest(event rem.Event, c rem.Consignment, sender string, attempt int, now time.Time) rem.Evidence {
	return rem.Attest(event, c.ID, attempt, now, rem.Record{
		Submission: c.Submission, Consignment: c.ID, Sender: sender, Recipient: c.Recipient, Grade: rem.GradeConfirmed,
	})
}

// handover is the recipient's act on a consignment.
func handover(c rem.Consignment, user User, sender string, now time.Time) Handover {
	return Handover{
		Consignment: c.ID, User: user.ID, Email: user.Email, Grade: rem.GradeConfirmed, Time: now,
		Evidence: []rem.Evidence{
			attest(rem.ConsignmentAcceptance, c, sender, 0, now),
			attest(rem.ContentHandover, c, sender, 0, now),
		},
	}
}
