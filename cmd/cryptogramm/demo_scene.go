package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
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
	fresh   bool // nothing of it is in the database yet
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

// openScene makes or reads the demo's authority and all certificates. It needs
// no database: the gateway's own certificate is among them.
func openScene(dir string) (*demoScene, error) {
	s := &demoScene{dir: dir, now: time.Now}
	s.bundle = s.path("ca.pem")
	_, err := os.Stat(s.path("state.json"))
	if s.fresh = errors.Is(err, os.ErrNotExist); s.fresh {
		err = s.createAuthority()
	}
	if err == nil && !s.fresh {
		err = s.load()
	}
	if err == nil {
		err = s.certifyGateway()
	}
	if err != nil {
		return nil, fmt.Errorf("the demo's authority: %w", err)
	}
	return s, nil
}

func (s *demoScene) path(name string) string { return filepath.Join(s.dir, name) }

// configure has an installation use the scene's certificates.
func (s *demoScene) configure(c *Config) {
	c.TLS = KeyPairConfig{Certificate: s.path("server.pem"), Key: s.path("server.key")}
	c.Signing = KeyPairConfig{Certificate: s.path("gateway.pem"), Key: s.path("gateway.key")}
}

// set puts accounts, anchors and CRLs into an installation.
func (s *demoScene) set(ctx context.Context, i *installation) error {
	s.db = i.db
	if s.fresh {
		if err := s.createPeople(ctx, i); err != nil {
			return fmt.Errorf("make the demo's parties: %w", err)
		}
	}
	if err := s.trust(ctx); err != nil {
		return fmt.Errorf("demo trust: %w", err)
	}
	return nil
}

// createPeople makes the parties and their accounts. state.json is written
// last: a start that was cut off before it begins again.
func (s *demoScene) createPeople(ctx context.Context, i *installation) error {
	now := s.now()
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
	s.state = state
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
