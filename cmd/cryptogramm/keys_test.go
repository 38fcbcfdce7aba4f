package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestOwnIdentity: the gateway's certificate is made once, also when the first
// start was cut off, and names the address that receipts come from.
func TestOwnIdentity(t *testing.T) {
	c := &Config{Data: t.TempDir(), Domain: "example.test"}
	if err := makeDirs(c.path("keys")); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	first, err := c.identity(now)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(first.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(cert.EmailAddresses, []string{"cryptogramm@example.test"}) || cert.IsCA ||
		!slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}) || cert.CheckSignatureFrom(cert) == nil {
		t.Errorf("%+v", cert)
	}
	if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		t.Error(err)
	}
	again, err := c.identity(now.Add(time.Hour))
	if err != nil || !slices.Equal(first.Chain[0], again.Chain[0]) {
		t.Errorf("the certificate changed: %v", err)
	}
	if err := os.Remove(c.path("keys", "gateway.pem")); err != nil {
		t.Fatal(err)
	}
	renewed, err := c.identity(now)
	if err != nil || !reflect.DeepEqual(first.Key.Public(), renewed.Key.Public()) {
		t.Errorf("the key changed: %v", err)
	}
	if info, err := os.Stat(c.path("keys", "gateway.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
	if err := errors.Join(os.Remove(c.path("keys", "gateway.pem")), os.WriteFile(c.path("keys", "gateway.key"), []byte("no key"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.identity(now); err == nil || !strings.Contains(err.Error(), "gateway.key") {
		t.Errorf("a broken key: %v", err)
	}
}

// TestParseKey: every form that OpenSSL writes, and nothing else.
func TestParseKey(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	eight := func(key any) []byte {
		b, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		what, label string
		der         []byte
		good        bool
	}{
		{"PKCS #8 RSA", "PRIVATE KEY", eight(rsaKey), true}, {"PKCS #8 Ed25519", "PRIVATE KEY", eight(edKey), true},
		{"PKCS #1", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey), true},
		{"cut short", "PRIVATE KEY", eight(rsaKey)[:100], false}, {"a certificate's label", "CERTIFICATE", []byte("x"), false},
	} {
		key, err := parseKey(pem.EncodeToMemory(&pem.Block{Type: c.label, Bytes: c.der}))
		if (err == nil) != c.good || c.good && key == nil {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if _, err := parseKey([]byte("no PEM")); err == nil {
		t.Error("no PEM is a key")
	}
}

// TestDKIMKey: what signs our mail is what the configuration names.
func TestDKIMKey(t *testing.T) {
	c := &Config{Domain: "example.test"}
	if d, err := c.dkim(); d != nil || err != nil {
		t.Errorf("without a selector: %v, %v", d, err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "dkim.key")
	c.DKIM = DKIMConfig{Selector: "mail", KeyFile: write(t, path, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), 0o600)}
	d, err := c.dkim()
	if err != nil || d.Domain != "example.test" || d.Selector != "mail" || !key.Equal(d.Key) {
		t.Errorf("%+v, %v", d, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := c.dkim(); err == nil || !strings.Contains(err.Error(), "dkim.key_file: ") {
		t.Errorf("a key open to others: %v", err)
	}
}
