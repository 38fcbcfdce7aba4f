package main

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/notify"
	"cryptogramm.ru/cryptogramm/signer/fetch"
)

// sender is where our mail goes: the demo's outbox, or the relay.
func (c *Config) sender() (*notify.Sender, error) {
	signed, err := c.dkim()
	if err != nil {
		return nil, err
	}
	s := &notify.Sender{DKIM: signed, PerDestination: c.Relay.PerDestination}
	if c.outbox || c.Relay.Address == "" {
		s.Outbox = c.path("outbox")
		return s, nil
	}
	password := ""
	if c.Relay.Login != "" {
		if password, err = secret(c.Relay.PasswordFile); err != nil {
			return nil, fmt.Errorf("relay.password_file: %w", err)
		}
	}
	roots, err := pool(c.Relay.CAFile)
	if err != nil {
		return nil, fmt.Errorf("relay.ca_file: %w", err)
	}
	s.Relay = &notify.Relay{
		Address: c.Relay.Address, Security: notify.Security(c.Relay.Security), Roots: roots,
		Login: c.Relay.Login, Password: password, Hello: c.Domain,
	}
	return s, nil
}

// pool reads the roots that a server's certificate has to lead to; nil, for
// those of the system, when no file is named.
func pool(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	b, err := readSmall(file, maxTrustFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s: no certificate", file)
	}
	return roots, nil
}

// client fetches what certificates point to; nil where nothing is to be fetched.
func (r *RevocationConfig) client(log *slog.Logger) *fetch.Client {
	if !r.Fetch {
		return nil
	}
	return fetch.New(fetch.Config{Now: time.Now, Log: log, AllowNets: r.Allow, Ports: r.Ports})
}
