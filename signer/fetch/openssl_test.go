package fetch

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/signer/pki"
)

// responder is `openssl ocsp` behind an HTTP server.
type responder struct {
	*published
	dir    string
	signer string   // name of the responder's files
	args   []string // further ones
	last   []byte   // what it answered
}

// Serial numbers of the responder's index.
const (
	serialGood    = 0x1000
	serialRevoked = 0x1001
	serialHeld    = 0x1002
	serialUnknown = 0x1003
)

func newResponder(t *testing.T) *responder {
	r := &responder{published: publish(t, nil), dir: t.TempDir(), signer: "ca"}
	r.files(r.dir, "ca")
	for name, usage := range map[string]x509.ExtKeyUsage{"delegate": x509.ExtKeyUsageOCSPSigning, "user": x509.ExtKeyUsageEmailProtection} {
		r.delegate(t, name, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{usage}
			c.ExtraExtensions = append(c.ExtraExtensions, noCheck)
		})
	}
	r.delegate(t, "revocable", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning} })
	newAuthority(t, "Another CA").files(r.dir, "stranger")
	at := time.Now().Add(-time.Minute).UTC().Format("060102150405Z")
	index := fmt.Sprintf("V\t350101000000Z\t\t1000\tunknown\t/CN=Alice\nR\t350101000000Z\t%s,keyCompromise\t1001\tunknown\t/CN=Alice\nR\t350101000000Z\t%s,certificateHold\t1002\tunknown\t/CN=Alice\n", at, at)
	r.write(t, "index.txt", []byte(index))
	return r
}

var noCheck = extension(1, 3, 6, 1, 5, 5, 7, 48, 1, 5)

func (r *responder) write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// delegate makes a certificate of the CA with its own key, for openssl.
func (r *responder) delegate(t *testing.T, name string, change func(*x509.Certificate)) {
	key := newKey(t)
	a := &authority{t: t, key: key}
	template := *r.cert
	template.Subject.CommonName, template.IsCA, template.KeyUsage = name, false, x509.KeyUsageDigitalSignature
	template.RawSubject, template.SubjectKeyId = nil, nil
	change(&template)
	der, err := x509.CreateCertificate(rand.Reader, &template, r.cert, key.Public(), r.key)
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.files(r.dir, name)
}

func (r *responder) openssl(t *testing.T, args ...string) {
	cmd := exec.Command("openssl", append([]string{"ocsp"}, args...)...)
	cmd.Dir = r.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("openssl ocsp %v: %v\n%s", args, err, out)
	}
}

// respond answers a request as openssl does.
func (r *responder) respond(t *testing.T, request []byte) []byte {
	r.write(t, "request", request)
	args := []string{"-index", "index.txt", "-CA", "ca.pem", "-rsigner", r.signer + ".pem", "-rkey", r.signer + ".key", "-reqin", "request", "-respout", "response"}
	r.openssl(t, append(args, r.args...)...)
	b, err := os.ReadFile(filepath.Join(r.dir, "response"))
	if err != nil {
		t.Error(err)
	}
	r.last = b
	return b
}

// subject is a certificate of the CA with an address of the responder.
func (r *responder) subject(serial int64) *pki.Certificate {
	return r.issue(serial, func(c *x509.Certificate) { c.OCSPServer = []string{r.site.URL + "/ocsp"} })
}

// TestOpenSSLResponder: what is taken of a real responder's answers, and what
// the path says then.
func TestOpenSSLResponder(t *testing.T) {
	tryLater := pki.Verdict{Indication: pki.Indeterminate, SubIndication: pki.TryLater}
	revoked := pki.Verdict{Indication: pki.TotalFailed, SubIndication: pki.Revoked}
	for _, c := range []struct {
		name   string
		serial int64
		signer string
		args   string
		change func(*responder, *testing.T) []byte // gives another request; nil: none
		later  time.Duration
		want   pki.Verdict
		detail string
	}{
		{name: "good", serial: serialGood, want: pki.Passed(), detail: "good by the OCSP response of http://127.0.0.1"},
		{name: "revoked", serial: serialRevoked, want: revoked, detail: "keyCompromise"},
		{name: "on hold", serial: serialHeld, want: revoked, detail: "on hold"},
		{name: "unknown", serial: serialUnknown, want: tryLater},
		{name: "delegate", serial: serialGood, signer: "delegate", want: pki.Passed()},
		{name: "delegate by key", serial: serialGood, signer: "delegate", args: "-resp_key_id", want: pki.Passed()},
		{name: "delegate, revoked", serial: serialRevoked, signer: "delegate", want: revoked},
		{name: "delegate without his certificate", serial: serialGood, signer: "delegate", args: "-resp_no_certs", want: tryLater},
		{name: "delegate that could be revoked", serial: serialGood, signer: "revocable", want: tryLater},
		{name: "a user as responder", serial: serialGood, signer: "user", want: tryLater},
		{name: "another CA as responder", serial: serialGood, signer: "stranger", want: tryLater},
		{name: "SHA-384", serial: serialGood, args: "-rmd sha384", want: pki.Passed()},
		{name: "SHA-1", serial: serialGood, args: "-rmd sha1", want: tryLater},
		{name: "stale", serial: serialGood, later: 2 * time.Hour, want: tryLater},
		{name: "from the future", serial: serialGood, later: -10 * time.Minute, want: tryLater},
		{name: "without nonce", serial: serialGood, change: (*responder).plain, want: pki.Passed()},
		{name: "without nonce, days old", serial: serialGood, args: "-ndays 7", change: (*responder).plain, later: 25 * time.Hour, want: tryLater},
		{name: "another's nonce", serial: serialGood, change: (*responder).others, want: tryLater},
		{name: "SHA-256 names", serial: serialGood, change: (*responder).sha256, want: pki.Passed()},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newResponder(t)
			if c.signer != "" {
				r.signer = c.signer
			}
			if r.args = strings.Fields(c.args); !strings.Contains(c.args, "-ndays") {
				r.args = append(r.args, "-nmin", "60")
			}
			cert := r.subject(c.serial)
			r.write(t, "subject.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
			r.serve(func(w http.ResponseWriter, req *http.Request) {
				body, err := io.ReadAll(req.Body)
				if err != nil || req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/ocsp-request" {
					t.Errorf("%s %v %v", req.Method, req.Header, err)
				}
				if c.change != nil {
					body = c.change(r, t)
				}
				w.Write(r.respond(t, body))
			})
			var clock clock
			config := loopback(r.site)
			config.Timeout, config.Now = 20*time.Second, clock.now
			clock.advance(c.later)
			client := New(config)
			at := client.Now()
			found, err := client.Session(nil).Status(t.Context(), cert, r.parsed(), at)
			if err != nil {
				t.Fatal(err)
			}
			if (len(found.OCSPs) == 1) != (c.want != tryLater) {
				t.Errorf("%d answers", len(found.OCSPs))
			}
			store := pki.NewTrustStore([]pki.Anchor{{Certificate: r.parsed(), Kind: pki.Foreign}}, nil, nil)
			valid := time.Now() // of the certificates; the clock of what is known may be elsewhere
			p := store.Validate(pki.PathRequest{Leaf: cert, OCSPs: found.OCSPs, At: valid, StatusAt: at})
			if detail := p.Checks[len(p.Checks)-1].Detail; p.Verdict != c.want || !strings.Contains(detail, c.detail) {
				t.Errorf("%v %s", p.Verdict, detail)
			}
			if c.want == pki.Passed() && !bytes.Equal(p.OCSPs[0].Raw, r.last) {
				t.Error("not the exact octets")
			}
		})
	}
}

// made reads a request that openssl makes.
func (r *responder) made(t *testing.T, args ...string) []byte {
	r.openssl(t, append([]string{"-issuer", "ca.pem", "-reqout", "made"}, args...)...)
	b, err := os.ReadFile(filepath.Join(r.dir, "made"))
	if err != nil {
		t.Error(err)
	}
	return b
}

func (r *responder) plain(t *testing.T) []byte {
	return r.made(t, "-no_nonce", "-cert", "subject.pem")
}

func (r *responder) others(t *testing.T) []byte {
	return r.made(t, "-cert", "subject.pem")
}

func (r *responder) sha256(t *testing.T) []byte {
	return r.made(t, "-no_nonce", "-sha256", "-cert", "subject.pem")
}
