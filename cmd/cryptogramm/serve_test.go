package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/signer/ca"
)

// serveKit is a folder with a configuration, its files and a signer.
type serveKit struct {
	dir, config                              string
	submissions, submission, https, redirect string
	anna                                     demoParty
}

func newServeKit(t *testing.T) *serveKit {
	t.Helper()
	local := func() string { return fmt.Sprintf("127.0.0.1:%d", freePort(t)) }
	k := &serveKit{dir: t.TempDir(), submissions: local(), submission: local(), https: local(), redirect: local()}
	now := time.Now()
	root, err := ca.NewRoot(ca.Request{Subject: pkix.Name{CommonName: "Root"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := root.CRL(nil, now, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	write(t, k.file("root.pem"), string(ca.MarshalCertificate(root.Certificate())), 0o644)
	write(t, k.file("root.crl"), string(crl), 0o644)
	k.issue(t, root, "tls", ca.Request{Usage: ca.Server, DNSNames: []string{"localhost"}})
	k.issue(t, root, "ended", ca.Request{Usage: ca.Server, DNSNames: []string{"localhost"}, NotBefore: now.Add(-48 * time.Hour), Validity: time.Hour})
	k.issue(t, root, "anna", ca.Request{Usage: ca.Client, Emails: []string{"anna@example.test"}})
	k.anna = demoParty{Email: "anna@example.test", Password: goodPassword, Cert: k.file("anna.pem"), Key: k.file("anna.key")}
	k.config = write(t, k.file("cryptogramm.toml"), k.text(), 0o644)
	return k
}

func (k *serveKit) file(name string) string { return filepath.Join(k.dir, name) }

func (k *serveKit) issue(t *testing.T, root *ca.Authority, name string, r ca.Request) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r.Subject, r.Key = pkix.Name{CommonName: name}, key.Public()
	der, err := root.Issue(r, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	keyPEM, err := ca.MarshalKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, k.file(name+".pem"), string(ca.MarshalCertificate(der)), 0o644)
	write(t, k.file(name+".key"), string(keyPEM), 0o600)
}

// text is the configuration; its paths are relative to its folder.
func (k *serveKit) text() string {
	return fmt.Sprintf(`data = "data"
domain = "example.test"
base_url = "https://%s"
[smtp]
submissions = %q
submission = %q
[web]
https = %q
redirect = %q
[tls]
certificate_file = "tls.pem"
key_file = "tls.key"
`, k.https, k.submissions, k.submission, k.https, k.redirect)
}

// changed is the configuration with something replaced, in a file of its own.
func (k *serveKit) changed(t *testing.T, old, new string) string {
	t.Helper()
	if !strings.Contains(k.text(), old) {
		t.Fatalf("no %q in the configuration", old)
	}
	return write(t, k.file("changed.toml"), strings.Replace(k.text(), old, new, 1), 0o644)
}

func (k *serveKit) start(t *testing.T) *server {
	t.Helper()
	s := launch(t, "serve", "--config", k.config)
	if !s.until("ready", func() bool { return strings.Contains(s.err.String(), `"msg":"ready"`) }) {
		t.Fatalf("exit %d\n%s", <-s.ended, s.err)
	}
	return s
}

// TestServe takes a gateway from its first start to a letter on record, as an
// operator does: start, trust, account.
func TestServe(t *testing.T) {
	k := newServeKit(t)
	s := k.start(t)
	if info, err := os.Stat(k.file("data")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data directory: %v, %v", info.Mode(), err)
	}
	permissions(t, k.file("data"))
	call(t, "", "trust", "add", "--config", k.config, "--crl", k.file("root.crl"), k.file("root.pem")).want(t, exitOK, "")
	call(t, goodPassword, "user", "add", "--config", k.config, "anna@example.test").want(t, exitOK, "")

	tls := clientTLS(t, k.file("root.pem"))
	c := client(t, k.submission, true, tls, k.anna)
	if err := submit(t, c, k.anna.Email, letterOf(t, k.anna, "one"), "guest@example.net"); err != nil {
		t.Fatalf("not accepted: %v\n%s", err, s.err)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	if err := client(t, k.submissions, false, tls, k.anna).Quit(); err != nil {
		t.Error(err)
	}
	s.until("the notice", func() bool {
		mails, _ := filepath.Glob(filepath.Join(k.file("data"), "outbox", "*.eml"))
		return len(mails) == 1
	})
	call(t, "", "serve", "--config", k.config).want(t, exitFail, "is in use by process")
	call(t, "", "fsck", "--config", k.config).want(t, exitOK, "1 submissions")
	if code := s.stop(); code != exitOK {
		t.Errorf("exit %d\n%s", code, s.err)
	}
	k.checkLog(t, s.err.String())
}

// checkLog wants one JSON object a line, what the operator has to know, and no
// secret.
func (k *serveKit) checkLog(t *testing.T, log string) {
	t.Helper()
	messages := map[string]map[string]any{}
	for line := range strings.Lines(log) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("%v in %s", err, line)
			continue
		}
		messages[fmt.Sprint(entry["msg"])] = entry
	}
	if m := messages["starting"]; m == nil || m["domain"] != "example.test" || !strings.Contains(fmt.Sprint(m["policy"]), "hard") {
		t.Errorf("starts with %v", m)
	}
	for _, want := range []string{"ready", "stopping", "relay.address is empty: mail to recipients is only written to a folder"} {
		if messages[want] == nil {
			t.Errorf("no %q in the log", want)
		}
	}
	if strings.Contains(log, goodPassword) || strings.Contains(log, "/l/") {
		t.Error("a secret in the log")
	}
}

func TestServeRefuses(t *testing.T) {
	k := newServeKit(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	write(t, k.file("open.key"), "", 0o644)
	write(t, k.file("dsn"), "host=127.0.0.1 password=hunter2\n", 0o604)
	relay := "[relay]\naddress = \"127.0.0.1:25\"\nlogin = \"us\"\npassword_file = "
	for _, c := range []struct{ what, old, new, want string }{
		{"unknown key", "domain =", "domian =", ":2: unknown key domian"},
		{"open key", "tls.key", "open.key", "tls: " + k.file("open.key") + ": mode 0644"},
		{"no key", "tls.key", "absent.key", "absent.key: no such file"},
		{"another's key", "tls.key", "anna.key", "does not match"},
		{"no certificate", "tls.pem", "anna.key", "tls: "},
		{"ended certificate", "tls.pem\"\nkey_file = \"tls.key", "ended.pem\"\nkey_file = \"ended.key", "renew it"},
		{"data is a file", `data = "data"`, `data = "tls.pem"`, "tls.pem"},
		{"taken port", k.redirect + `"` + "\n[tls]", taken.Addr().String() + `"` + "\n[tls]", "web.redirect: listen tcp " + taken.Addr().String()},
		{"open relay password", "[tls]", relay + "\"open.key\"\n[tls]", "relay.password_file: " + k.file("open.key") + ": mode 0644"},
		{"no relay password", "[tls]", relay + "\"absent\"\n[tls]", "relay.password_file: "},
		{"open DSN", "[tls]", "[store]\ndriver = \"postgres\"\ndsn_file = \"dsn\"\n[tls]", "store.dsn_file: " + k.file("dsn") + ": mode 0604"},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := launch(t, "serve", "--config", k.changed(t, c.old, c.new))
			if !s.until("the end", func() bool { return false }) {
				code := s.stop()
				if text := s.err.String(); code != exitFail || !strings.Contains(text, c.want) || strings.Contains(text, "hunter2") {
					t.Errorf("exit %d, want %q\n%s", code, c.want, text)
				}
			}
		})
	}
}

// TestServeClosedDoors: an empty address is a door that stays closed.
func TestServeClosedDoors(t *testing.T) {
	k := newServeKit(t)
	k.config = k.changed(t, fmt.Sprintf("submission = %q", k.submission), `submission = ""`)
	s := k.start(t)
	if c, err := net.Dial("tcp", k.submission); err == nil {
		c.Close()
		t.Error("the closed door is open")
	}
	c, err := net.Dial("tcp", k.submissions)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if code := s.stop(); code != exitOK {
		t.Errorf("exit %d\n%s", code, s.err)
	}
}
