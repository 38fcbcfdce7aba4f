package gateway

import (
	"bytes"
	"context"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/notify"
	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// world is a whole installation on disk with a clock of its own.
type world struct {
	*Gateway
	t      *testing.T
	dir    string
	outbox string
	clock  *clock
	log    *lockedBuffer

	root, quiet, strange cmstest.Party // quiet publishes no CRL, strange is trusted by nobody
	anna, carol          person        // claimed accounts; anna sends
}

// person is an account, with a key where he signs.
type person struct {
	cmstest.Party
	user *store.User
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

const bob, dora = "bob@out.test", "dora@elsewhere.test" // nobody's account

// newWorld makes an installation; change edits its configuration first.
func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, dir: dir, outbox: filepath.Join(dir, "outbox"), clock: &clock{now: cmstest.At}, log: &lockedBuffer{}}
	db, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: w.path("meta.db"), Now: w.clock.Now})
	w.must(err)
	t.Cleanup(func() { db.Close() })
	blobs, err := blob.NewDir(w.path("blobs"))
	w.must(err)
	log := slog.New(slog.NewTextHandler(w.log, nil))
	c := Config{
		DB: db, Blobs: blobs, Spool: w.path("spool"), Trust: &Trust{DB: db}, Notify: &notify.Sender{Outbox: w.outbox},
		Accounts: account.New(account.Config{DB: db, Domain: "gate.test", Now: w.clock.Now, Log: log}),
		Policy:   rem.Policy{DocumentSigner: "sender", Revocation: "hard"}, LinkKey: bytes.Repeat([]byte{7}, 32),
		BaseURL: "https://gate.test", Domain: "gate.test", Node: "node", Now: w.clock.Now, Log: log,
	}
	w.root, w.quiet, w.strange = cmstest.NewRoot(t, "Root"), cmstest.NewRoot(t, "Quiet"), cmstest.NewRoot(t, "Strange")
	own := w.root.Issue(t, cmstest.NewKey(t, cmstest.P256), "Gateway", mailSigner("cryptogramm@gate.test"))
	c.Identity = &Identity{Chain: [][]byte{own.Certificate.Raw, w.root.Certificate.Raw}, Key: own.Key}
	for _, f := range change {
		f(&c)
	}
	w.Gateway, err = New(c)
	w.must(err)
	for _, a := range []cmstest.Party{w.root, w.quiet} {
		w.must(db.AddAnchor(t.Context(), store.Anchor{SHA256: rem.DigestOf(a.Certificate.Raw), DER: a.Certificate.Raw, Kind: "foreign", Subject: a.Certificate.Subject.String()}))
	}
	w.revoke()
	w.anna = w.account("anna@in.test", "Anna")
	w.carol = w.account("carol@in.test", "Carol")
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// revoke publishes the root's list, with these certificates on it.
func (w *world) revoke(people ...cmstest.Party) {
	w.t.Helper()
	var serials []*big.Int
	for _, p := range people {
		serials = append(serials, p.Certificate.SerialNumber)
	}
	w.clock.pass(time.Second) // a newer list than the last
	w.must(w.DB.PutCRL(w.t.Context(), store.CRL{
		DER: w.root.CRL(w.t, serials...), Issuer: "CN=Root", Number: "1", ThisUpdate: w.Now(), NextUpdate: cmstest.NotAfter,
	}))
}

// mailSigner changes a certificate's addresses.
func mailSigner(addresses ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.EmailAddresses = addresses }
}

// account makes a claimed account with a certificate that names its address.
func (w *world) account(email, name string) person {
	w.t.Helper()
	u := store.User{ID: w.NewID(), Email: email, Name: name, Language: "en", Claimed: true}
	w.must(w.DB.AddUser(w.t.Context(), u, cheapHash("correct horse battery")))
	user, err := w.DB.UserByID(w.t.Context(), u.ID)
	w.must(err)
	return person{w.root.Issue(w.t, cmstest.NewKey(w.t, cmstest.P256), name, mailSigner(email)), user}
}

// cheapHash is a password's hash that costs no time; its parameters stand in it.
func cheapHash(password string) string {
	salt := []byte("salt of the test")
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=64,t=1,p=1$%s$%s", b64(salt), b64(argon2.IDKey([]byte(password), salt, 1, 64, 1, 32)))
}

// envelope is a transaction of p's.
func (w *world) envelope(p person, recipients ...string) rem.Envelope {
	return rem.Envelope{
		ID: w.NewID(), Account: p.user.ID, Login: p.user.Email, Addresses: p.user.Addresses, From: p.user.Email,
		Recipients: recipients, Peer: "192.0.2.1", TLS: "1.3", Door: "submissions",
	}
}

// send submits anna's letter and wants it accepted.
func (w *world) send(letter string, recipients ...string) string {
	w.t.Helper()
	id, err := w.Receive(w.t.Context(), w.envelope(w.anna, recipients...), strings.NewReader(letter))
	w.must(err)
	return id
}

// to is the consignment of a submission to an address.
func (w *world) to(submission, address string) store.ConsignmentRow {
	w.t.Helper()
	rows, err := w.DB.Consignments(w.t.Context(), submission)
	w.must(err)
	i := slices.IndexFunc(rows, func(c store.ConsignmentRow) bool { return c.Recipient == address })
	if i < 0 {
		w.t.Fatalf("no consignment of %s to %s", submission, address)
	}
	return rows[i]
}

// row reads a consignment as it is now.
func (w *world) row(consignment string) store.ConsignmentRow {
	w.t.Helper()
	c, err := w.DB.Consignment(w.t.Context(), consignment)
	w.must(err)
	return *c
}

// take confirms a consignment: claimed accounts by their session, others by
// typing the address.
func (w *world) take(c store.ConsignmentRow) *store.User {
	w.t.Helper()
	h := HandoverRequest{Consignment: c.ID, Address: c.Recipient, Language: "en"}
	if u, err := w.DB.UserByAddress(w.t.Context(), c.Recipient); err == nil && u.Claimed {
		h.User = u
	}
	u, err := w.Handover(w.t.Context(), h)
	w.must(err)
	return u
}

// events are the events attested of a submission and its consignments, or of
// one consignment, sorted.
func (w *world) events(f store.EvidenceFilter) []string {
	w.t.Helper()
	rows, err := w.evidence(w.t.Context(), f)
	w.must(err)
	var out []string
	for _, e := range rows {
		out = append(out, string(e.Event))
	}
	slices.Sort(out)
	return out
}

func (w *world) wantEvents(consignment string, want ...string) {
	w.t.Helper()
	slices.Sort(want)
	if got := w.events(store.EvidenceFilter{Consignment: consignment}); !slices.Equal(got, want) {
		w.t.Fatalf("attested %v, want %v", got, want)
	}
}

// spoolFiles are the names in the spool.
func (w *world) spoolFiles() []string {
	w.t.Helper()
	entries, err := os.ReadDir(w.Spool)
	w.must(err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (w *world) wantSpool(want ...string) {
	w.t.Helper()
	if got := w.spoolFiles(); !slices.Equal(got, want) {
		w.t.Errorf("the spool holds %q, want %q", got, want)
	}
}

// blobFile is where a blob lies.
func (w *world) blobFile(ref rem.Ref) string {
	name := ref.SHA256.String()
	return filepath.Join(w.path("blobs"), "sha256", name[:2], name)
}

// rewrite changes a blob's bytes on the disk.
func (w *world) rewrite(ref rem.Ref, change func(b []byte) []byte) {
	w.t.Helper()
	path := w.blobFile(ref)
	b, err := os.ReadFile(path)
	w.must(err)
	w.must(os.Chmod(path, 0o600))
	w.must(os.WriteFile(path, change(bytes.Clone(b)), 0o600))
}

// count counts rows by a query of its own connection.
func (w *world) count(query string, args ...any) int {
	w.t.Helper()
	db := w.sql()
	defer db.Close()
	var n int
	w.must(db.QueryRow(query, args...).Scan(&n))
	return n
}

// sql is a connection beside the store's, as an operator has it.
func (w *world) sql() *sql.DB {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+w.path("meta.db")+"?_pragma=busy_timeout(10000)")
	w.must(err)
	return db
}

// rows are the counts of all that a letter can add.
func (w *world) rows() map[string]int {
	out := map[string]int{}
	for _, table := range []string{"submissions", "consignments", "documents", "signatures", "refusals", "evidence", "evidence_record", "jobs", "protocols"} {
		out[table] = w.count("SELECT COUNT(*) FROM " + table)
	}
	return out
}

// refused wants a refusal and returns it.
func refused(t *testing.T, err error) *rem.Refusal {
	t.Helper()
	var r *rem.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a refusal", err)
	}
	return r
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

// content reads a download to its end.
func content(t *testing.T) func(*Download, error) []byte {
	return func(d *Download, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		b, err := io.ReadAll(d)
		if err != nil {
			t.Fatal(err)
		}
		if d.Size >= 0 && d.Size != int64(len(b)) {
			t.Errorf("%s: %d octets, announced as %d", d.Name, len(b), d.Size)
		}
		return b
	}
}

// together runs n calls at once and waits for all of them.
func together(n int, call func(i int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			call(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

// fsck wants an installation about which there is nothing to report.
func (w *world) fsck() {
	w.t.Helper()
	if got := w.problems(); len(got) > 0 {
		w.t.Errorf("fsck: %s", strings.Join(got, "\n"))
	}
}

func (w *world) problems() (out []string) {
	w.t.Helper()
	f := Fsck{DB: w.DB, Blobs: w.Blobs, Report: func(p string) { out = append(out, p) }}
	w.must(f.Run(context.Background()))
	return out
}
