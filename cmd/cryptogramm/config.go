package main

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/store/rem"
	"github.com/pelletier/go-toml/v2"
)

// Config is configs/cryptogramm.toml. Every key is commented there; an unknown
// key is an error. Secrets are named by file, never written here.
type Config struct {
	Data    string   `toml:"data"`
	Domain  string   `toml:"domain"`
	Domains []string `toml:"domains"`
	BaseURL string   `toml:"base_url"`
	Node    string   `toml:"node"`
	LinkKey string   `toml:"link_key_file"`

	SMTP       SMTPConfig       `toml:"smtp"`
	IMAP       IMAPConfig       `toml:"imap"`
	Web        WebConfig        `toml:"web"`
	TLS        KeyPairConfig    `toml:"tls"`
	Signing    KeyPairConfig    `toml:"signing"`
	Store      StoreConfig      `toml:"store"`
	Blobs      BlobsConfig      `toml:"blobs"`
	Relay      RelayConfig      `toml:"relay"`
	DKIM       DKIMConfig       `toml:"dkim"`
	Policy     PolicyConfig     `toml:"policy"`
	Revocation RevocationConfig `toml:"revocation"`
	Limits     Limits           `toml:"limits"`

	outbox bool // mail goes to DIR/outbox instead of a relay (demo)
}

// duration is written as in "90s", "24h"; it is always more than nothing.
type duration struct{ time.Duration }

// UnmarshalText reads the form of time.ParseDuration.
func (d *duration) UnmarshalText(b []byte) (err error) {
	d.Duration, err = time.ParseDuration(string(b))
	if err == nil && d.Duration <= 0 {
		err = fmt.Errorf("duration %q is not more than 0", b)
	}
	return err
}

// maxConfig is more than any configuration needs.
const maxConfig = 1 << 20

// defaultConfig is what holds for every key that a file does not name. Limits
// that stay zero are the gateway's own defaults.
func defaultConfig() *Config {
	return &Config{
		Node:       "node-1",
		SMTP:       SMTPConfig{Submissions: ":465", Submission: ":587"},
		IMAP:       IMAPConfig{IMAPS: ":993", IMAP: ":143", Connections: 12000, PerAddress: 100},
		Web:        WebConfig{HTTPS: ":443", Redirect: ":80"},
		Store:      StoreConfig{Driver: "sqlite"},
		Blobs:      BlobsConfig{Driver: "dir", Secure: true, SpoolMiB: 10240, CacheMiB: 4096},
		Relay:      RelayConfig{Security: "starttls", PerDestination: 2},
		Policy:     PolicyConfig{DocumentSigner: "sender", Revocation: "hard"},
		Revocation: RevocationConfig{Fetch: true, Ports: []uint16{80, 443}},
	}
}

// readConfig reads and checks a configuration file.
func readConfig(path string) (*Config, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	b, err := readSmall(path, maxConfig)
	if err != nil {
		return nil, err
	}
	c := defaultConfig()
	if err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(c); err != nil {
		return nil, tomlError(path, err)
	}
	c.derive(filepath.Dir(path))
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// tomlError names file, line and key, and no value: somebody may have written
// a password there.
func tomlError(path string, err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		var all []error
		for _, e := range unknown.Errors {
			line, _ := e.Position()
			all = append(all, fmt.Errorf("%s:%d: unknown key %s", path, line, strings.Join(e.Key(), ".")))
		}
		return errors.Join(all...)
	}
	var wrong *toml.DecodeError
	if errors.As(err, &wrong) {
		line, _ := wrong.Position()
		if len(wrong.Key()) > 0 {
			err = fmt.Errorf("%s: %w", strings.Join(wrong.Key(), "."), err)
		}
		return fmt.Errorf("%s:%d: %w", path, line, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// derive fills in what follows from other keys. Relative paths start at dir.
func (c *Config) derive(dir string) {
	for _, p := range []*string{
		&c.Data, &c.LinkKey, &c.TLS.Certificate, &c.TLS.Key, &c.Signing.Certificate, &c.Signing.Key, &c.Store.DSNFile, &c.Store.Owner,
		&c.Blobs.AccessKeyFile, &c.Blobs.SecretKeyFile, &c.Blobs.CAFile, &c.Relay.PasswordFile, &c.Relay.CAFile, &c.DKIM.KeyFile,
	} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	if len(c.Domains) == 0 && c.Domain != "" {
		c.Domains = []string{c.Domain}
	}
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
}

// local reports whether an address is one of ours: its letters and notices go
// into a mailbox here instead of to the relay.
func (c *Config) local(address string) bool {
	_, domain, ok := strings.Cut(address, "@")
	return ok && slices.ContainsFunc(c.Domains, func(d string) bool { return strings.EqualFold(d, domain) })
}

func (c *Config) policy() rem.Policy {
	return rem.Policy{DocumentSigner: c.Policy.DocumentSigner, Revocation: c.Policy.Revocation, AcceptBare: c.Policy.AcceptBare}
}

func (c *Config) limits() gateway.Limits {
	l := c.Limits
	return gateway.Limits{
		Letter: l.LetterMiB << 20, Slots: l.Slots, SlotWait: l.SlotWait.Duration, JudgeTime: l.JudgeTime.Duration,
		LinkLife: l.LinkLife.Duration, DraftLife: l.DraftLife.Duration, RefusedFor: l.RefusedFor.Duration,
		Refused: l.RefusedMiB << 20,
	}
}

func (c *Config) path(elem ...string) string {
	return filepath.Join(append([]string{c.Data}, elem...)...)
}
