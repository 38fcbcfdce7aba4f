package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/signer/ca"
	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store"
)

// jobCRL renews the demo's CRLs well before they end.
const jobCRL = "crl"

const (
	crlLife  = 7 * 24 * time.Hour
	crlRenew = 24 * time.Hour
)

// demoScene is the demo's own authority and its sample parties. It is made
// once, under DIR/ca, and read again at every later start.
type demoScene struct {
	dir     string
	db      *store.DB
	now     func() time.Time
	root    *ca.Authority
	issuing *ca.Authority
	state   demoState
	bundle  string
	server  tls.Certificate
}

// demoState is DIR/ca/state.json.
type demoState struct {
	Admin   demoAdmin     `json:"admin"`
	Parties []demoParty   `json:"parties"`
	Revoked []demoRevoked `json:"revoked"`
}

type demoRevoked struct {
	Serial string    `json:"serial"` // hex
	Time   time.Time `json:"time"`
}

// sample is one party of the demo. The last two show refusals.
type sample struct {
	local, name string
	rsa         bool
	expired     bool
	revoked     bool
}

var samples = []sample{
	{local: "anna", name: "Анна Петрова", rsa: true},
	{local: "boris", name: "Boris Meyer"},
	{local: "clara", name: "Clara Novak", rsa: true},
	{local: "expired", name: "Expired Certificate", rsa: true, expired: true},
	{local: "revoked", name: "Revoked Certificate", revoked: true},
}

// setScene makes or reads the demo's authority, accounts and CRLs.
func setScene(ctx context.Context, i *installation) (*demoScene, error) {
	s := &demoScene{dir: i.config.path("ca"), db: i.db, now: time.Now}
	s.bundle = s.path("ca.pem")
	if _, err := os.Stat(s.path("state.json")); errors.Is(err, os.ErrNotExist) {
		if err := s.create(ctx, i); err != nil {
			return nil, fmt.Errorf("make the demo's parties: %w", err)
		}
	}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("read the demo's parties: %w", err)
	}
	if err := s.trust(ctx); err != nil {
		return nil, fmt.Errorf("demo trust: %w", err)
	}
	return s, nil
}

func (s *demoScene) path(name string) string { return filepath.Join(s.dir, name) }

// create makes everything anew. state.json is written last: a start that was
// cut off before it begins again.
func (s *demoScene) create(ctx context.Context, i *installation) error {
	if err := makeDirs(s.dir); err != nil {
		return err
	}
	now := s.now()
	root, err := ca.NewRoot(ca.Request{Subject: pkix.Name{CommonName: "Cryptogramm Demo Root", Organization: []string{"Cryptogramm demo"}}, Validity: 10 * 365 * 24 * time.Hour}, now)
	if err != nil {
		return err
	}
	issuing, err := root.NewIssuing(ca.Request{Subject: pkix.Name{CommonName: "Cryptogramm Demo Issuing CA", Organization: []string{"Cryptogramm demo"}}, Validity: 5 * 365 * 24 * time.Hour}, now)
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
	if err := s.createServer(now); err != nil {
		return err
	}
	var state demoState
	for _, p := range samples {
		party, revoked, err := s.createParty(p, now)
		if err != nil {
			return err
		}
		state.Parties = append(state.Parties, party)
		state.Revoked = append(state.Revoked, revoked...)
		if err := addDemoUser(ctx, i, store.User{Email: party.Email, Name: party.Name}, party.Password); err != nil {
			return err
		}
	}
	state.Admin = demoAdmin{Email: "admin@" + demoDomain, Password: rand.Text()}
	if err := addDemoUser(ctx, i, store.User{Email: state.Admin.Email, Name: "Demo Administrator", Admin: true}, state.Admin.Password); err != nil {
		return err
	}
	b, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return err
	}
	return writeDurably(s.path("state.json"), b, 0o600)
}

// addDemoUser makes an account; one left by a start that was cut off gets the
// new password.
func addDemoUser(ctx context.Context, i *installation, u store.User, password string) error {
	_, err := i.accounts.Create(ctx, u, password)
	if errors.Is(err, account.ErrClaimed) {
		old, err := i.db.UserByAddress(ctx, u.Email)
		if err != nil {
			return err
		}
		return i.accounts.SetPassword(ctx, old.ID, password)
	}
	return err
}

func (s *demoScene) createParty(p sample, now time.Time) (demoParty, []demoRevoked, error) {
	email := p.local + "@" + demoDomain
	key, err := newKey(p.rsa)
	if err != nil {
		return demoParty{}, nil, err
	}
	req := ca.Request{
		Subject: pkix.Name{CommonName: p.name, Organization: []string{"Cryptogramm demo"}}, Emails: []string{email},
		Usage: ca.Client, Validity: 365 * 24 * time.Hour, Key: key.Public(), NotBefore: now.Add(-time.Hour),
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

func (s *demoScene) createServer(now time.Time) error {
	key, err := newKey(false)
	if err != nil {
		return err
	}
	der, err := s.issuing.Issue(ca.Request{
		Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost", demoDomain, "mail." + demoDomain},
		IPs: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, Usage: ca.Server, Validity: 365 * 24 * time.Hour, Key: key.Public(), NotBefore: now.Add(-time.Hour),
	}, now)
	if err != nil {
		return err
	}
	return s.writePair("server", der, s.issuing.Certificate(), key)
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

// load reads what create wrote.
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
	if s.issuing, err = s.authority("issuing"); err != nil {
		return err
	}
	s.server, err = tls.LoadX509KeyPair(s.path("server.pem"), s.path("server.key"))
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

// trust makes the demo's root an anchor, gives its CRLs, and queues their
// renewal. Never qualified: that word is an administrator's.
func (s *demoScene) trust(ctx context.Context) error {
	now := s.now()
	root, err := pki.ParseCertificate(s.root.Certificate())
	if err != nil {
		return err
	}
	issuing, err := pki.ParseCertificate(s.issuing.Certificate())
	if err != nil {
		return err
	}
	if err := addAnchor(ctx, s.db, root, pki.Unqualified, now); err != nil {
		return err
	}
	if err := addIntermediate(ctx, s.db, issuing, now); err != nil {
		return err
	}
	if err := s.putCRLs(ctx); err != nil {
		return err
	}
	return s.db.AddJobs(ctx, []store.Job{crlJob(now)})
}

func crlJob(now time.Time) store.Job {
	due := now.Add(crlRenew)
	return store.Job{ID: jobCRL + "-" + due.UTC().Format("2006-01-02"), Kind: jobCRL, Subject: "demo", Due: due, Created: now}
}

func (s *demoScene) renewCRLs(ctx context.Context, _ *store.Job) (store.Outcome, error) {
	return store.Outcome{Jobs: []store.Job{crlJob(s.now())}}, s.putCRLs(ctx)
}

func (s *demoScene) putCRLs(ctx context.Context) error {
	now := s.now()
	var revoked []ca.Revocation
	for _, r := range s.state.Revoked {
		serial, ok := new(big.Int).SetString(r.Serial, 16)
		if !ok {
			return fmt.Errorf("serial %q", r.Serial)
		}
		revoked = append(revoked, ca.Revocation{Serial: serial, Time: r.Time})
	}
	var list []byte
	for _, a := range []struct {
		authority *ca.Authority
		revoked   []ca.Revocation
	}{{s.root, nil}, {s.issuing, revoked}} {
		der, err := a.authority.CRL(a.revoked, now, crlLife)
		if err != nil {
			return err
		}
		crl, err := pki.ParseCRL(der)
		if err != nil {
			return err
		}
		if err := putCRL(ctx, s.db, crl, now); err != nil {
			return err
		}
		list = append(list, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})...)
	}
	return writeDurably(s.path("crl.pem"), list, 0o644)
}
