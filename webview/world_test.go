package webview

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/notify"
	"cryptogramm.ru/cryptogramm/signer/ca"
	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// person of the tests, with a key and certificate of the tests' authority.
type party struct {
	user *store.User
	key  crypto.Signer
	cert *pki.Certificate
}

// world is a whole installation: the real gateway over SQLite and a directory,
// behind a real TLS server.
type world struct {
	t       *testing.T
	db      *store.DB
	gw      *gateway.Gateway
	acc     *account.Accounts
	srv     *httptest.Server
	outbox  string
	log     *syncBuffer
	issuing *ca.Authority

	mu  sync.Mutex
	now time.Time

	alice, carol party // claimed; alice sends, carol is a recipient with an account
	bob          string
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

const testPassword = "correct horse battery"

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, ctx := t.TempDir(), t.Context()
	w := &world{t: t, now: time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC), outbox: filepath.Join(dir, "outbox"), log: &syncBuffer{}, bob: "bob@out.test"}
	logger := slog.New(slog.NewJSONHandler(w.log, nil))
	var err error
	w.db, err = store.Open(ctx, store.Config{Driver: "sqlite", DSN: filepath.Join(dir, "meta.db"), Now: w.clock})
	w.check(err)
	t.Cleanup(func() { w.db.Close() })
	blobs, err := blob.NewDir(dir)
	w.check(err)
	w.acc = account.New(account.Config{DB: w.db, Domain: "demo.test", Now: w.clock, Log: logger})
	w.authority()
	own := w.certificate("cryptogramm@demo.test", "Gateway")

	// The server's address has to be known before the handler is made.
	w.srv = httptest.NewUnstartedServer(nil)
	base := "https://" + w.srv.Listener.Addr().String()
	w.gw, err = gateway.New(gateway.Config{
		DB: w.db, Blobs: blobs, Spool: filepath.Join(dir, "spool"), Trust: &gateway.Trust{DB: w.db}, Accounts: w.acc,
		Notify: &notify.Sender{Outbox: w.outbox}, LinkKey: bytes.Repeat([]byte{7}, 32), BaseURL: base,
		Domain: "demo.test", Node: "node", Now: w.clock, Log: logger,
		Policy:   rem.Policy{DocumentSigner: "sender", Revocation: "hard"},
		Identity: &gateway.Identity{Chain: [][]byte{own.cert.Raw, w.issuing.Certificate()}, Key: own.key},
	})
	w.check(err)
	w.srv.Config.Handler = New(Config{
		Gateway: w.gw, Accounts: w.acc, DB: w.db, BaseURL: base, Outbox: w.outbox, Log: logger, Now: w.clock,
	})
	w.srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	w.srv.StartTLS()
	t.Cleanup(w.srv.Close)

	w.alice = w.person("alice@demo.test", "Alice Ivanova")
	w.carol = w.person("carol@demo.test", "Кэрол Петрова")
	return w
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// authority makes a root and an issuing authority with fresh CRLs.
func (w *world) authority() {
	ctx, now := w.t.Context(), w.clock()
	root, err := ca.NewRoot(ca.Request{Subject: pkix.Name{CommonName: "Test Root"}, NotBefore: now.Add(-time.Hour)}, now)
	w.check(err)
	w.issuing, err = root.NewIssuing(ca.Request{Subject: pkix.Name{CommonName: "Test Issuing CA"}, NotBefore: now.Add(-time.Hour)}, now)
	w.check(err)
	w.check(w.db.AddAnchor(ctx, store.Anchor{SHA256: rem.DigestOf(root.Certificate()), DER: root.Certificate(), Kind: "foreign", Subject: "CN=Test Root", Added: now}))
	w.check(w.db.AddIntermediate(ctx, store.Intermediate{SHA256: rem.DigestOf(w.issuing.Certificate()), DER: w.issuing.Certificate(), Subject: "CN=Test Issuing CA", Added: now}))
	for name, a := range map[string]*ca.Authority{"CN=Test Root": root, "CN=Test Issuing CA": w.issuing} {
		der, err := a.CRL(nil, now, 90*24*time.Hour)
		w.check(err)
		w.check(w.db.PutCRL(ctx, store.CRL{
			SHA256: rem.DigestOf(der), DER: der, Issuer: name, Number: "1", ThisUpdate: now, NextUpdate: now.Add(90 * 24 * time.Hour), Added: now,
		}))
	}
}

// certificate is a fresh key with a certificate for an address.
func (w *world) certificate(email, name string) party {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.check(err)
	der, err := w.issuing.Issue(ca.Request{
		Subject: pkix.Name{CommonName: name, Country: []string{"RU"}}, Emails: []string{email}, Usage: ca.Client,
		Key: key.Public(), NotBefore: w.clock().Add(-time.Hour),
	}, w.clock())
	w.check(err)
	cert, err := pki.ParseCertificate(der)
	w.check(err)
	return party{key: key, cert: cert}
}

func (w *world) person(email, name string) party {
	p := w.certificate(email, name)
	var err error
	user := store.User{
		ID: w.gw.NewID(), Email: email, Name: name, Language: "en", Claimed: true, Created: w.clock(), Addresses: []string{email},
	}
	w.check(w.db.AddUser(w.t.Context(), user, cheapHash(testPassword)))
	p.user, err = w.db.UserByID(w.t.Context(), user.ID)
	w.check(err)
	return p
}

// cheapHash is a password's hash that costs no time; its parameters stand in it.
func cheapHash(password string) string {
	salt := []byte("salt of the test")
	key := argon2.IDKey([]byte(password), salt, 1, 64, 1, 32)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=64,t=1,p=1$%s$%s", b64(salt), b64(key))
}

// register puts a party's certificate into his account.
func (w *world) register(p party) rem.Digest {
	sha := rem.DigestOf(p.cert.Raw)
	w.check(w.db.AddUserCertificate(w.t.Context(), store.UserCertificate{
		User: p.user.ID, SHA256: sha, DER: p.cert.Raw, Subject: p.cert.Subject.String(), Issuer: p.cert.Issuer.String(),
		Serial: p.cert.SerialHex(), NotAfter: p.cert.NotAfter, Added: w.clock(),
	}))
	return sha
}

// sign makes a detached signature.
func (w *world) sign(p party, content []byte) []byte {
	w.t.Helper()
	sig, err := cms.Sign(bytes.NewReader(content), cms.SignOptions{
		Signer: p.key, Certificate: p.cert, SigningTime: w.clock(), Detached: true, CAdES: true,
	})
	w.check(err)
	return sig
}

// attachment of a letter.
type attachment struct {
	name string // header text as it stands, already quoted or encoded
	body []byte
}

func wrapped(b []byte) string {
	text := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	for len(text) > 76 {
		out.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	return out.String() + text + "\r\n"
}

// letter is a multipart/signed letter of p.
func (w *world) letter(p party, subject string, files ...attachment) []byte {
	var in strings.Builder
	in.WriteString("Content-Type: multipart/mixed; boundary=\"in\"\r\n\r\n--in\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nPlease find the contract attached.\r\n")
	for _, f := range files {
		in.WriteString("\r\n--in\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; " + f.name +
			"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + wrapped(f.body))
	}
	in.WriteString("\r\n--in--\r\n")
	return []byte("From: " + p.user.Name + " <" + p.user.Email + ">\r\nTo: " + w.bob + "\r\nSubject: " + subject +
		"\r\nDate: Mon, 02 Mar 2026 09:29:00 +0000\r\nMessage-ID: <" + rand.Text() + "@demo.test>\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=\"out\"\r\n\r\n--out\r\n" +
		in.String() + "\r\n--out\r\nContent-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n" +
		"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n" +
		wrapped(w.sign(p, []byte(in.String()))) + "\r\n--out--\r\n")
}

var contract = bytes.Repeat([]byte("%PDF-1.7 contract \x00\xff\r\n"), 300)

// send submits a letter of alice's and returns its id.
func (w *world) send(subject string, recipients ...string) string {
	w.t.Helper()
	return w.submit(w.letter(w.alice, subject, attachment{`filename="contract.pdf"`, contract}), recipients...)
}

func (w *world) submit(letter []byte, recipients ...string) string {
	w.t.Helper()
	id, err := w.gw.Receive(w.t.Context(), rem.Envelope{
		ID: w.gw.NewID(), Account: w.alice.user.ID, Login: w.alice.user.Email, Addresses: []string{w.alice.user.Email}, From: w.alice.user.Email,
		Recipients: recipients, Peer: "192.0.2.1", Door: "submissions",
	}, bytes.NewReader(letter))
	w.check(err)
	return id
}

// consignment is the one of a submission that goes to an address.
func (w *world) consignment(submission, address string) store.ConsignmentRow {
	w.t.Helper()
	rows, err := w.db.Consignments(w.t.Context(), submission)
	w.check(err)
	for _, c := range rows {
		if c.Recipient == address {
			return c
		}
	}
	w.t.Fatalf("no consignment for %s", address)
	return store.ConsignmentRow{}
}

// events are the events recorded for a consignment.
func (w *world) events(consignment string) []string {
	w.t.Helper()
	rows, err := w.db.Evidence(w.t.Context(), store.EvidenceFilter{Consignment: consignment})
	w.check(err)
	var out []string
	for _, e := range rows {
		out = append(out, string(e.Event))
	}
	return out
}

// browser is one visitor with a cookie jar of his own that stores what the
// server sets, as a browser that navigates by hand.
type browser struct {
	w       *world
	client  *http.Client
	cookies map[string]string
	header  http.Header // sent with every request
}

func (w *world) browser() *browser {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &browser{w: w, cookies: map[string]string{}, header: http.Header{
		"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Site": {"same-origin"}, "User-Agent": {"Test/1"},
	}, client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// as is a browser in which somebody is logged in.
func (w *world) as(u *store.User) *browser {
	w.t.Helper()
	b := w.browser()
	secret, err := w.acc.NewSession(w.t.Context(), u.ID, "", 0)
	w.check(err)
	b.cookies[cookieSession] = secret
	return b
}

// answer is a response, read whole.
type answer struct {
	t *testing.T
	*http.Response
	body string
	err  error // of reading the body
}

func (b *browser) do(method, path string, body io.Reader, contentType string) answer {
	b.w.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, b.w.srv.URL+path, body)
	b.w.check(err)
	for k, v := range b.header {
		r.Header[k] = v
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for k, v := range b.cookies {
		r.AddCookie(&http.Cookie{Name: k, Value: v})
	}
	resp, err := b.client.Do(r)
	b.w.check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	for _, c := range resp.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return answer{t: b.w.t, Response: resp, body: string(text), err: err}
}

func (b *browser) get(path string) answer { b.w.t.Helper(); return b.do("GET", path, nil, "") }

func (b *browser) post(path string, form url.Values) answer {
	b.w.t.Helper()
	return b.do("POST", path, strings.NewReader(form.Encode()), "application/x-www-form-urlencoded")
}

// upload posts a form with a file.
func (b *browser) upload(path string, fields map[string]string, file []byte) answer {
	b.w.t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	for k, v := range fields {
		b.w.check(m.WriteField(k, v))
	}
	if file != nil {
		part, err := m.CreateFormFile("signature", "a.p7s")
		b.w.check(err)
		part.Write(file)
	}
	b.w.check(m.Close())
	return b.do("POST", path, &body, m.FormDataContentType())
}

func (a answer) want(status int, texts ...string) answer {
	a.t.Helper()
	if a.StatusCode != status {
		a.t.Fatalf("%s %s: %d, want %d\n%s", a.Request.Method, a.Request.URL.Path, a.StatusCode, status, brief(a.body))
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			a.t.Errorf("%s %s: no %q in\n%s", a.Request.Method, a.Request.URL.Path, text, brief(a.body))
		}
	}
	return a
}

func (a answer) wantRedirect(to string) answer {
	a.t.Helper()
	a.want(http.StatusSeeOther)
	if got := a.Header.Get("Location"); got != to {
		a.t.Fatalf("%s %s: sent to %s, want %s", a.Request.Method, a.Request.URL.Path, got, to)
	}
	return a
}

// brief is a page without its markup.
func brief(s string) string {
	s = regexp.MustCompile(`<[^>]*>`).ReplaceAllString(s, " ")
	s = regexp.MustCompile(`\s+`).ReplaceAllString(s, " ")
	return s[:min(len(s), 1500)]
}

var tokenField = regexp.MustCompile(`name="token" value="([^"]+)"`)

// open follows the link of a consignment up to the page that asks.
func (b *browser) open(consignment string) answer {
	b.w.t.Helper()
	b.get("/l/" + b.w.gw.LinkToken(consignment)).wantRedirect("/letter")
	return b.get("/letter").want(http.StatusOK)
}

// pageToken is the token of a letter's page.
func (a answer) pageToken() string {
	a.t.Helper()
	m := tokenField.FindStringSubmatch(a.body)
	if m == nil {
		a.t.Fatalf("no token on the page: %s", brief(a.body))
	}
	return m[1]
}

// receive follows a link and confirms as a guest.
func (b *browser) receive(c store.ConsignmentRow) {
	b.w.t.Helper()
	token := b.open(c.ID).pageToken()
	b.post("/letter", url.Values{"token": {token}, "address": {c.Recipient}}).wantRedirect("/received/" + c.ID)
}
