package smtpd

import (
	"context"
	"crypto"
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
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/notify"
	"cryptogramm.ru/cryptogramm/signer/ca"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// world is a whole gateway behind the doors, and a sender with a certificate.
type world struct {
	*rig
	db   *store.DB
	cert *x509.Certificate
	key  crypto.Signer
}

func startWorld(t *testing.T) *world {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, dir, now := context.Background(), t.TempDir(), time.Now()
	w := &world{rig: &rig{log: &logBook{}}}
	var err error
	w.db, err = store.Open(ctx, store.Config{Driver: "sqlite", DSN: filepath.Join(dir, "db")})
	must(err)
	t.Cleanup(func() { w.db.Close() })
	blobs, err := blob.NewDir(filepath.Join(dir, "blobs"))
	must(err)
	log := slog.New(slog.NewJSONHandler(w.log, nil))
	accounts := account.New(account.Config{DB: w.db, Domain: "gate.test", Log: log})
	_, err = accounts.Create(ctx, store.User{Email: anna}, secret)
	must(err)

	root, err := ca.NewRoot(ca.Request{Subject: pkix.Name{CommonName: "Test root"}}, now)
	must(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	der, err := root.Issue(ca.Request{Subject: pkix.Name{CommonName: "Anna"}, Emails: []string{anna}, Usage: ca.Client, Key: key.Public()}, now)
	must(err)
	w.key = key
	w.cert, err = x509.ParseCertificate(der)
	must(err)
	crl, err := root.CRL(nil, now, time.Hour)
	must(err)
	must(w.db.AddAnchor(ctx, store.Anchor{SHA256: rem.DigestOf(root.Certificate()), DER: root.Certificate(), Kind: "unqualified", Subject: "CN=Test root", Added: now}))
	must(w.db.PutCRL(ctx, store.CRL{SHA256: rem.DigestOf(crl), DER: crl, Issuer: "CN=Test root", ThisUpdate: now, NextUpdate: now.Add(time.Hour), Added: now}))

	ownKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	own, err := root.Issue(ca.Request{Subject: pkix.Name{CommonName: "Gateway"}, Emails: []string{"cryptogramm@gate.test"}, Usage: ca.Client, Key: ownKey.Public()}, now)
	must(err)
	g, err := gateway.New(gateway.Config{
		Identity: &gateway.Identity{Chain: [][]byte{own, root.Certificate()}, Key: ownKey},
		DB:       w.db, Blobs: blobs, Spool: filepath.Join(dir, "spool"), Trust: &gateway.Trust{DB: w.db}, Accounts: accounts,
		Notify: &notify.Sender{Outbox: filepath.Join(dir, "outbox")}, Policy: rem.Policy{DocumentSigner: "sender", Revocation: "hard"},
		Limits: gateway.Limits{Letter: 32 << 20}, LinkKey: make([]byte, 32), BaseURL: "https://gate.test", Domain: "gate.test", Node: "n1",
		Now: time.Now, Log: log,
	})
	must(err)
	tlsCert, err := certificate()
	must(err)
	w.Server = New(Config{Gateway: g, Accounts: accounts, TLS: &tls.Config{Certificates: []tls.Certificate{tlsCert}}, Domain: "gate.test", Log: log})
	w.listen(t)
	return w
}

// signed is a multipart/signed letter (RFC 8551 §3.5.3) with text in it.
func (w *world) signed(t *testing.T, text string) string {
	t.Helper()
	part := "Content-Type: text/plain; charset=utf-8\r\n\r\n" + text + "\r\n"
	sd, err := pkcs7.NewSignedData([]byte(part))
	if err != nil {
		t.Fatal(err)
	}
	sd.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := sd.AddSigner(w.cert, w.key, pkcs7.SignerInfoConfig{}); err != nil {
		t.Fatal(err)
	}
	sd.Detach()
	der, err := sd.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return "From: Anna <" + anna + ">\r\nTo: bob@far.test\r\nSubject: contract\r\nMessage-ID: <1@one.test>\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=b1\r\n\r\n" +
		"--b1\r\n" + part + "\r\n--b1\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		wrap(base64.StdEncoding.EncodeToString(der)) + "\r\n--b1--\r\n"
}

func wrap(s string) string {
	var b strings.Builder
	for ; len(s) > 76; s = s[76:] {
		b.WriteString(s[:76] + "\r\n")
	}
	return b.String() + s
}

// The doors with the gateway behind them: a good letter is accepted and stored,
// a changed or unsigned one refused, and the id leads to what was recorded.
func TestWithTheGateway(t *testing.T) {
	w := startWorld(t)
	good := w.signed(t, "We agree.")
	deliver := func(body, want string) string {
		c := w.logIn(t)
		c.begin()
		c.say("DATA", "354")
		c.send(body + ".\r\n")
		return c.want(want)
	}
	got := deliver(good, "250 2.0.0 ")
	id := strings.Fields(got)[2]
	s, err := w.db.Submission(t.Context(), id)
	if err != nil || s.Letter.Ref.SHA256 != rem.DigestOf([]byte(good)) || s.Envelope.Peer != "127.0.0.1" || s.Envelope.Recipients[0] != "bob@far.test" {
		t.Fatalf("submission of %q: %+v, %v", got, s, err)
	}
	if again := deliver(good, "250 2.0.0 "); again != got {
		t.Errorf("repeated: %q, first %q", again, got)
	}
	changed := deliver(strings.Replace(good, "We agree", "We differ", 1), "550-5.7.7 ")
	unsigned := deliver(goodLetter, "550-5.7.0 ")
	for _, reply := range []string{changed, unsigned} {
		lines := strings.Split(strings.TrimSpace(reply), "\r\n")
		id := strings.Fields(lines[len(lines)-1])[2]
		ev, err := w.db.Evidence(t.Context(), store.EvidenceFilter{Submission: id, Limit: 10})
		if err != nil || len(ev) != 1 || ev[0].Event != rem.SubmissionRejection {
			t.Errorf("evidence of %q: %+v, %v", reply, ev, err)
		}
	}
	// BDAT takes the same way.
	c := w.logIn(t)
	c.begin()
	other := w.signed(t, "In chunks.")
	c.send(fmt.Sprintf("BDAT %d\r\n%sBDAT %d LAST\r\n%s", 100, other[:100], len(other)-100, other[100:]))
	c.want("250 2.0.0 Continue")
	c.want("250 2.0.0 ")
}

// A letter of 24 MiB goes through door, spool, judge and store in a few.
func TestMemoryWithTheGateway(t *testing.T) {
	w := startWorld(t)
	letter := w.signed(t, strings.Repeat(strings.Repeat("x", 70)+"\r\n", (24<<20)/72))
	c := w.logIn(t)
	c.raw.SetDeadline(time.Now().Add(3 * patience))
	c.begin()
	c.say("DATA", "354")
	base, stop, peak := heap(), make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		for {
			select {
			case <-stop:
				peak <- most
				return
			default:
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	}()
	for p := letter; len(p) > 0; {
		n, err := io.WriteString(c, p[:min(32<<10, len(p))])
		if err != nil {
			t.Fatal(err)
		}
		p = p[n:]
	}
	c.send(".\r\n")
	c.want("250 2.0.0 ")
	close(stop)
	if most := <-peak; most > base+8<<20 {
		t.Errorf("the heap grew by %d KiB", (most-base)>>10)
	}
	runtime.KeepAlive(letter)
}
