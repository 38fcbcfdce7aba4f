package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/notify"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/blob"
)

// Place says which installation a command speaks of: one of the two.
type Place struct {
	Config string `required:"" help:"Configuration file." type:"existingfile" placeholder:"FILE" xor:"place"`
	Data   string `required:"" help:"Data directory of an installation." type:"path" placeholder:"DIR" xor:"place"`
}

// config is the installation's configuration, as far as the command needs it.
func (p Place) config() (*Config, error) {
	if p.Config != "" {
		return readConfig(p.Config)
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
	sc := store.Config{Driver: c.Store.Driver, DSN: c.path(databaseFile), Now: time.Now}
	if c.Store.Driver == "postgres" {
		dsn, err := secret(c.Store.DSNFile)
		if err != nil {
			return nil, fmt.Errorf("store.dsn_file: %w", err)
		}
		sc.DSN = dsn
	} else if err := touch(sc.DSN); err != nil {
		return nil, err
	}
	return store.Open(ctx, sc)
}

// installation is everything that runs, built from a configuration.
type installation struct {
	config   *Config
	db       *store.DB
	blobs    *blob.Dir
	accounts *account.Accounts
	gateway  *gateway.Gateway
	log      *slog.Logger
}

// openInstallation makes the data directory where it is missing and builds the
// parts in the order in which data flows. The caller holds lockData.
func openInstallation(ctx context.Context, c *Config, log *slog.Logger) (*installation, error) {
	if err := makeDirs(c.path("keys")); err != nil {
		return nil, err
	}
	linkKey, err := c.linkKey()
	if err != nil {
		return nil, err
	}
	db, err := openDB(ctx, c)
	if err != nil {
		return nil, err
	}
	i := &installation{config: c, db: db, log: log}
	if i.blobs, err = blob.NewDir(c.path("blobs")); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	mailer, err := c.sender()
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	i.accounts = account.New(account.Config{DB: db, Domain: c.Domain, Now: time.Now, Log: log})
	i.gateway, err = gateway.New(gateway.Config{
		DB: db, Blobs: i.blobs, Spool: c.path("spool"), Trust: &gateway.Trust{DB: db}, Accounts: i.accounts,
		Notify: mailer, Policy: c.policy(), Limits: c.limits(), LinkKey: linkKey,
		BaseURL: c.BaseURL, Domain: c.Domain, Node: c.Node, Now: time.Now, Log: log,
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return i, nil
}

// sender is where our mail goes: the demo's outbox, or the relay.
func (c *Config) sender() (*notify.Sender, error) {
	if c.outbox || c.Relay.Address == "" {
		return &notify.Sender{Outbox: c.path("outbox")}, nil
	}
	password := ""
	if c.Relay.Login != "" {
		var err error
		if password, err = secret(c.Relay.PasswordFile); err != nil {
			return nil, fmt.Errorf("relay.password_file: %w", err)
		}
	}
	return &notify.Sender{Relay: &notify.Relay{
		Address: c.Relay.Address, Security: notify.Security(c.Relay.Security), Login: c.Relay.Login, Password: password, Hello: c.Domain,
	}}, nil
}

// linkKey reads or makes the key that links are derived from. Beside a database
// with letters a new one would quietly kill every link in them.
func (c *Config) linkKey() ([]byte, error) {
	path := c.path("keys", "link.key")
	_, noKey := os.Stat(path)
	_, noDatabase := os.Stat(c.path(databaseFile))
	if c.Store.Driver == "sqlite" && errors.Is(noKey, os.ErrNotExist) && noDatabase == nil {
		return nil, fmt.Errorf("%s is missing beside a database: restore it from the backup, or the links in all mails sent are dead", path)
	}
	return keyFile(path)
}

// keyFile reads a 32-octet key, or makes it once.
func keyFile(path string) ([]byte, error) {
	const size = 32
	b, err := readPrivate(path, size+1)
	if err == nil && len(b) != size {
		return nil, fmt.Errorf("%s: %d octets, want %d", path, len(b), size)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return b, err
	}
	b = make([]byte, size)
	rand.Read(b)
	return b, writeDurably(path, b, 0o600)
}
