package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/signer/ca"
)

// TestConfigReachesItsParts: what the file says is what the parts are built of.
func TestConfigReachesItsParts(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) { write(t, filepath.Join(dir, name), text, 0o600) }
	for _, s := range []string{"dsn", "owner", "access", "secret", "password"} {
		file(s, "the "+s+"\n")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := selfSigned(key, "root@example.org", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	file("roots.pem", string(ca.MarshalCertificate(der)))
	file("cryptogramm.toml", withKeys(`domains = ["example.org", "example.net"]`)+`
[store]
driver = "postgres"
dsn_file = "dsn"
owner_dsn_file = "owner"
[blobs]
driver = "s3"
endpoint = "store:9000"
bucket = "b"
access_key_file = "access"
secret_key_file = "secret"
ca_file = "roots.pem"
retention_days = 3
[relay]
address = "mail.example.org:587"
login = "us"
password_file = "password"
ca_file = "roots.pem"
per_destination = 7
`)
	c, err := readConfig(filepath.Join(dir, "cryptogramm.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if d, err := c.database(); err != nil || d.Driver != "postgres" || d.DSN != "the dsn" || d.Owner != "the owner" {
		t.Errorf("database %+v, %v", d, err)
	}
	if b, err := c.Blobs.s3(); err != nil || b.AccessKey != "the access" || b.SecretKey != "the secret" || b.Roots == nil || !b.Secure || b.Retention != 72*time.Hour {
		t.Errorf("bucket %+v, %v", b, err)
	}
	s, err := c.sender()
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Relay; s.PerDestination != 7 || s.Outbox != "" || r.Login != "us" || r.Password != "the password" || r.Roots == nil || r.Security != "starttls" {
		t.Errorf("relay %+v of %+v", r, s)
	}
	c.Store.Driver, c.Blobs.Driver = "sqlite", "dir"
	i, err := openInstallation(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer i.close()
	if g := i.gateway; g.Fetch == nil || !g.Local("anna@example.net") || g.Local("anna@example.com") || g.Node != "node-1" {
		t.Errorf("the gateway fetches: %v; example.net is its own: %v", g.Fetch != nil, g.Local("anna@example.net"))
	}
}
