package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"net"
	"os"
	"time"

	"cryptogramm.ru/cryptogramm/signer/ca"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

const demoYear = 365 * 24 * time.Hour

// createAuthority makes the demo's authority and what it certifies of the
// gateway itself.
func (s *demoScene) createAuthority() error {
	if err := makeDirs(s.dir); err != nil {
		return err
	}
	now := s.now()
	root, err := ca.NewRoot(ca.Request{Subject: pkix.Name{CommonName: "Cryptogramm Demo Root", Organization: []string{"Cryptogramm demo"}}, Validity: 10 * demoYear}, now)
	if err != nil {
		return err
	}
	issuing, err := root.NewIssuing(ca.Request{Subject: pkix.Name{CommonName: "Cryptogramm Demo Issuing CA", Organization: []string{"Cryptogramm demo"}}, Validity: 5 * demoYear}, now)
	if err != nil {
		return err
	}
	s.root, s.issuing = root, issuing
	for name, a := range map[string]*ca.Authority{"root": root, "issuing": issuing} {
		if err := s.writePair(name, a.Certificate(), nil, a.Key()); err != nil {
			return err
		}
	}
	if err := writeDurably(s.bundle, pemCertificates(root.Certificate()), 0o644); err != nil {
		return err
	}
	return s.issue("server", ca.Request{
		Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost", demoDomain, "mail." + demoDomain},
		IPs: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, Usage: ca.Server,
	})
}

// certifyGateway makes what receipts are signed with, anew beside a new
// authority: a scene that is older than receipts has none. The key is written
// last.
func (s *demoScene) certifyGateway() error {
	if _, err := os.Stat(s.path("gateway.key")); !s.fresh && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return s.issue("gateway", ca.Request{
		Subject: pkix.Name{CommonName: "Cryptogramm demo gateway"}, Emails: []string{(&Config{Domain: demoDomain}).serviceAddress()}, Usage: ca.Client,
	})
}

// issue makes a pair that is good for a year.
func (s *demoScene) issue(name string, r ca.Request) error {
	key, err := newKey(false)
	if err != nil {
		return err
	}
	now := s.now()
	r.Validity, r.Key, r.NotBefore = demoYear, key.Public(), now.Add(-time.Hour)
	der, err := s.issuing.Issue(r, now)
	if err != nil {
		return err
	}
	return s.writePair(name, der, s.issuing.Certificate(), key)
}

func (s *demoScene) createParty(p sample, now time.Time) (demoParty, []demoRevoked, error) {
	email := p.local + "@" + demoDomain
	key, err := newKey(p.rsa)
	if err != nil {
		return demoParty{}, nil, err
	}
	req := ca.Request{
		Subject: pkix.Name{CommonName: p.name, Organization: []string{"Cryptogramm demo"}}, Emails: []string{email},
		Usage: ca.Client, Validity: demoYear, Key: key.Public(), NotBefore: now.Add(-time.Hour),
	}
	if p.expired {
		req.NotBefore, req.Validity = now.Add(-48*time.Hour), 24*time.Hour
	}
	der, err := s.issuing.Issue(req, now)
	if err != nil {
		return demoParty{}, nil, err
	}
	if err := s.writePair(p.local, der, s.issuing.Certificate(), key); err != nil {
		return demoParty{}, nil, err
	}
	var revoked []demoRevoked
	if p.revoked {
		cert, err := pki.ParseCertificate(der)
		if err != nil {
			return demoParty{}, nil, err
		}
		revoked = append(revoked, demoRevoked{Serial: cert.Serial.Text(16), Time: now.Add(-time.Minute)})
	}
	party := demoParty{Email: email, Name: p.name, Password: rand.Text(), Cert: s.path(p.local + ".pem"), Key: s.path(p.local + ".key")}
	return party, revoked, nil
}

func newKey(useRSA bool) (crypto.Signer, error) {
	if useRSA {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// writePair writes NAME.pem (certificate, then its issuer) and NAME.key.
func (s *demoScene) writePair(name string, der, issuer []byte, key crypto.Signer) error {
	keyPEM, err := ca.MarshalKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		writeDurably(s.path(name+".pem"), pemCertificates(der, issuer), 0o644),
		writeDurably(s.path(name+".key"), keyPEM, 0o600),
	)
}

func pemCertificates(ders ...[]byte) []byte {
	var out []byte
	for _, der := range ders {
		if der != nil {
			out = append(out, ca.MarshalCertificate(der)...)
		}
	}
	return out
}

// load reads what an earlier start made.
func (s *demoScene) load() error {
	b, err := readSmall(s.path("state.json"), maxConfig)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &s.state); err != nil {
		return err
	}
	if s.root, err = s.authority("root"); err != nil {
		return err
	}
	s.issuing, err = s.authority("issuing")
	return err
}

func (s *demoScene) authority(name string) (*ca.Authority, error) {
	cert, err := readSmall(s.path(name+".pem"), maxConfig)
	if err != nil {
		return nil, err
	}
	key, err := readSmall(s.path(name+".key"), maxConfig)
	if err != nil {
		return nil, err
	}
	return ca.Load(cert, key)
}
