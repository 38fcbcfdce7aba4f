package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/signer/fetch"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/blob"
)

// Place says which installation a command speaks of: one of the two.
type Place struct {
	Config string `required:"" help:"Configuration file." type:"existingfile" placeholder:"FILE" xor:"place"`
	Data   string `required:"" help:"Data directory of an installation." type:"path" placeholder:"DIR" xor:"place"`
}

// config is the installation's configuration, as far as the command needs it.
// A demo leaves its own in its directory.
func (p Place) config() (*Config, error) {
	if p.Config != "" {
		return readConfig(p.Config)
	}
	own := filepath.Join(p.Data, ownConfig)
	if _, err := os.Stat(own); err == nil {
		c, err := readConfig(own)
		if err == nil {
			c.Data = p.Data // a copy of the directory is the copy's
		}
		return c, err
	}
	c := defaultConfig()
	c.Data = p.Data
	return c, nil
}

// open opens the database of an installation that exists already.
func (p Place) open(ctx context.Context) (*Config, *store.DB, error) {
	c, err := p.config()
	if err != nil {
		return nil, nil, err
	}
	if c.Store.Driver == "sqlite" {
		if _, err := os.Stat(c.path(databaseFile)); err != nil {
			return nil, nil, fmt.Errorf("no installation in %s (serve and demo make one): %w", c.Data, err)
		}
	}
	db, err := openDB(ctx, c)
	return c, db, err
}

const databaseFile = "cryptogramm.db"

func openDB(ctx context.Context, c *Config) (*store.DB, error) {
	sc, err := c.database()
	if err == nil && c.Store.Driver == "sqlite" {
		err = touch(sc.DSN)
	}
	if err != nil {
		return nil, err
	}
	return store.Open(ctx, sc)
}

// database is where the rows are.
func (c *Config) database() (sc store.Config, err error) {
	sc = store.Config{Driver: c.Store.Driver, DSN: c.path(databaseFile), Now: time.Now}
	if c.Store.Driver == "sqlite" {
		return sc, nil
	}
	if sc.DSN, err = secret(c.Store.DSNFile); err != nil {
		return sc, fmt.Errorf("store.dsn_file: %w", err)
	}
	if c.Store.Owner != "" {
		if sc.Owner, err = secret(c.Store.Owner); err != nil {
			return sc, fmt.Errorf("store.owner_dsn_file: %w", err)
		}
	}
	return sc, nil
}

// installation is everything that runs, built from a configuration.
type installation struct {
	config   *Config
	db       *store.DB
	blobs    blob.Store
	fetch    *fetch.Client // nil: nothing is fetched
	accounts *account.Accounts
	gateway  *gateway.Gateway
	node     *store.NodeName
	log      *slog.Logger
	ends     closers // what openInstallation took
}

// openInstallation makes the data directory where it is missing and builds the
// parts in the order in which data flows. The caller holds lockData.
func openInstallation(ctx context.Context, c *Config, log *slog.Logger) (*installation, error) {
	if err := makeDirs(c.path("keys")); err != nil {
		return nil, err
	}
	db, err := openDB(ctx, c)
	if err != nil {
		return nil, err
	}
	i := &installation{config: c, db: db, log: log, ends: closers{db.Close}}
	if err := i.build(ctx); err != nil {
		return nil, errors.Join(err, i.close())
	}
	return i, nil
}

// build takes the node's name before anything of this node is touched.
func (i *installation) build(ctx context.Context) error {
	c := i.config
	var err error
	if i.node, err = i.db.HoldNode(ctx, c.Node); err != nil {
		return err
	}
	i.ends = append(i.ends, func() error { i.node.Release(); return nil })
	linkKey, err := c.linkKey(ctx, i.db)
	if err != nil {
		return err
	}
	identity, err := c.identity(time.Now())
	if err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	mailer, err := c.sender()
	if err != nil {
		return err
	}
	if err := i.openBlobs(ctx); err != nil {
		return fmt.Errorf("blobs: %w", err)
	}
	i.fetch = c.Revocation.client(i.log)
	i.accounts = account.New(account.Config{DB: i.db, Domain: c.Domain, Now: time.Now, Log: i.log})
	i.gateway, err = gateway.New(gateway.Config{
		DB: i.db, Blobs: i.blobs, Spool: c.path("spool"), Trust: &gateway.Trust{DB: i.db}, Accounts: i.accounts,
		Notify: mailer, Fetch: i.fetch, Policy: c.policy(), Limits: c.limits(), LinkKey: linkKey, Identity: identity, Local: c.local,
		BaseURL: c.BaseURL, Domain: c.Domain, Node: c.Node, Now: time.Now, Log: i.log,
	})
	return err
}

func (i *installation) openBlobs(ctx context.Context) error {
	l, remote, err := i.config.openBlobs(i.config.path("cache"))
	if err != nil {
		return err
	}
	i.blobs, i.ends = l.Store, append(i.ends, l.Close)
	if remote == nil {
		return nil
	}
	return i.probe(ctx, remote)
}

// close gives back what openInstallation took.
func (i *installation) close() error { return i.ends.Close() }
