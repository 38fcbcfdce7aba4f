package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"time"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/notify"
	"cryptogramm.ru/cryptogramm/signer/ca"
	"cryptogramm.ru/cryptogramm/store"
)

const keySize = 32

// linkKey reads the key that links are derived from, or makes it for a new
// installation. Beside a database with letters a new one would quietly kill
// every link in them, and another node's would kill those that node sends: the
// database keeps a fingerprint of the first.
func (c *Config) linkKey(ctx context.Context, db *store.DB) ([]byte, error) {
	path := c.LinkKey
	if path == "" {
		path = c.path("keys", "link.key")
	}
	kept, err := db.Setting(ctx, settingLinkKey)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	known := err == nil
	key, err := readKey(path)
	if errors.Is(err, os.ErrNotExist) && !known {
		key, err = makeKey(path)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing beside a database: restore it from the backup, or copy it from another node; the links in all mails sent hang on it", path)
	}
	if err != nil {
		return nil, err
	}
	if !known {
		if kept, err = db.PutSettingOnce(ctx, settingLinkKey, fingerprint(key)); err != nil {
			return nil, err
		}
	}
	if kept != fingerprint(key) {
		return nil, fmt.Errorf("%s is not the key of this database: its links would be dead on other nodes. Copy theirs, or name it with link_key_file", path)
	}
	return key, nil
}

// settingLinkKey names the link key's fingerprint in the database.
const settingLinkKey = "link-key"

// fingerprint tells keys apart and tells nothing about them.
func fingerprint(key []byte) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("fingerprint"))
	return hex.EncodeToString(m.Sum(nil)[:16])
}

func readKey(path string) ([]byte, error) {
	b, err := readPrivate(path, keySize+1)
	if err == nil && len(b) != keySize {
		return nil, fmt.Errorf("%s: %d octets, want %d", path, len(b), keySize)
	}
	return b, err
}

func makeKey(path string) ([]byte, error) {
	b := make([]byte, keySize)
	rand.Read(b)
	return b, writeDurably(path, b, 0o600)
}

// serviceAddress is whom the gateway's own mail is from.
func (c *Config) serviceAddress() string { return "cryptogramm@" + c.Domain }

// identity is what receipts are signed with: the configured certificate, or one
// that this installation makes for itself.
func (c *Config) identity(now time.Time) (*gateway.Identity, error) {
	files := c.Signing
	if files.Certificate == "" {
		files = KeyPairConfig{Certificate: c.path("keys", "gateway.pem"), Key: c.path("keys", "gateway.key")}
		if err := files.makeOwn(c.serviceAddress(), now); err != nil {
			return nil, err
		}
	}
	pair, err := files.read()
	if err != nil {
		return nil, err
	}
	key, err := signing(pair)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", files.Key, err)
	}
	return &gateway.Identity{Chain: pair.Certificate, Key: key}, nil
}

func signing(pair tls.Certificate) (crypto.Signer, error) {
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("not a key that signs")
	}
	return key, nil
}

// ownLife is how long a certificate that vouches for itself is good: whoever
// trusts it trusts this very one, and a new one would have to be trusted anew.
const ownLife = 10 * 365 * 24 * time.Hour

// makeOwn makes what is missing of key and certificate, in this order: a start
// that was cut off between goes on with its key.
func (f KeyPairConfig) makeOwn(address string, now time.Time) error {
	if _, err := os.Stat(f.Certificate); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	keyPEM, err := readPrivate(f.Key, maxConfig)
	if errors.Is(err, os.ErrNotExist) {
		var key *ecdsa.PrivateKey
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err == nil {
			keyPEM, err = ca.MarshalKey(key)
		}
		if err == nil {
			err = writeDurably(f.Key, keyPEM, 0o600)
		}
	}
	if err != nil {
		return err
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Key, err)
	}
	der, err := selfSigned(key, address, now)
	if err != nil {
		return err
	}
	return writeDurably(f.Certificate, ca.MarshalCertificate(der), 0o644)
}

// selfSigned is a certificate for e-mail protection (RFC 8550) that names one
// address and whose key vouches for itself.
func selfSigned(key crypto.Signer, address string, now time.Time) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Cryptogramm " + address}, EmailAddresses: []string{address},
		NotBefore: now.Add(-5 * time.Minute), NotAfter: now.Add(ownLife), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}

// parseKey reads a PEM key: PKCS #8, PKCS #1 or SEC 1.
func parseKey(b []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("no PEM key")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		if k, e := x509.ParsePKCS1PrivateKey(block.Bytes); e == nil {
			return k, nil
		}
		if k, e := x509.ParseECPrivateKey(block.Bytes); e == nil {
			return k, nil
		}
		return nil, err
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errors.New("not a key that signs")
	}
	return key, nil
}

// read reads certificate and key. The key is a secret like any other.
func (f KeyPairConfig) read() (tls.Certificate, error) {
	certificate, err := readSmall(f.Certificate, maxConfig)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := readPrivate(f.Key, maxConfig)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return pair, fmt.Errorf("%s, %s: %w", f.Certificate, f.Key, err)
	}
	return pair, nil
}

// dkim is how mail to the world is signed; nil when it is not.
func (c *Config) dkim() (*notify.DKIM, error) {
	if c.DKIM.Selector == "" {
		return nil, nil
	}
	b, err := readPrivate(c.DKIM.KeyFile, maxConfig)
	if err != nil {
		return nil, fmt.Errorf("dkim.key_file: %w", err)
	}
	key, err := parseKey(b)
	if err != nil {
		return nil, fmt.Errorf("dkim.key_file: %s: %w", c.DKIM.KeyFile, err)
	}
	return &notify.DKIM{Domain: c.Domain, Selector: c.DKIM.Selector, Key: key}, nil
}
