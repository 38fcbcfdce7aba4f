package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

	SMTP struct {
		Submissions string `toml:"submissions"`
		Submission  string `toml:"submission"`
	} `toml:"smtp"`
	Web struct {
		HTTPS    string `toml:"https"`
		Redirect string `toml:"redirect"`
	} `toml:"web"`
	TLS struct {
		Certificate string `toml:"certificate_file"`
		Key         string `toml:"key_file"`
	} `toml:"tls"`
	Store struct {
		Driver  string `toml:"driver"`
		DSNFile string `toml:"dsn_file"`
	} `toml:"store"`
	Relay struct {
		Address      string `toml:"address"`
		Security     string `toml:"security"`
		Login        string `toml:"login"`
		PasswordFile string `toml:"password_file"`
	} `toml:"relay"`
	Policy struct {
		DocumentSigner string `toml:"document_signer"`
		Revocation     string `toml:"revocation"`
		AcceptBare     bool   `toml:"accept_without_signed_attributes"`
	} `toml:"policy"`
	Limits struct {
		LetterMiB  int64    `toml:"letter_mib"`
		Slots      int      `toml:"judging_slots"`
		SlotWait   duration `toml:"slot_wait"`
		JudgeTime  duration `toml:"judge_time"`
		LinkLife   duration `toml:"link_life"`
		DraftLife  duration `toml:"draft_life"`
		RefusedFor duration `toml:"refused_bytes_kept"`
	} `toml:"limits"`

	outbox bool // mail goes to DIR/outbox instead of a relay (demo)
}

// duration is written as in "90s", "24h"; it is never negative.
type duration struct{ time.Duration }

// UnmarshalText reads the form of time.ParseDuration.
func (d *duration) UnmarshalText(b []byte) (err error) {
	d.Duration, err = time.ParseDuration(string(b))
	if err == nil && d.Duration < 0 {
		err = fmt.Errorf("negative duration %q", b)
	}
	return err
}

// maxConfig is more than any configuration needs.
const maxConfig = 1 << 20

// readConfig reads and checks a configuration file.
func readConfig(path string) (*Config, error) {
	b, err := readSmall(path, maxConfig)
	if err != nil {
		return nil, err
	}
	c := &Config{}
	if err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(c); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) {
			return nil, fmt.Errorf("%s: unknown key\n%s", path, strict.String())
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c.fill()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func (c *Config) fill() {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&c.Node, "node-1")
	def(&c.Store.Driver, "sqlite")
	def(&c.Relay.Security, "starttls")
	def(&c.Policy.DocumentSigner, "sender")
	def(&c.Policy.Revocation, "hard")
	if len(c.Domains) == 0 && c.Domain != "" {
		c.Domains = []string{c.Domain}
	}
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
}

func (c *Config) check() error {
	oneOf := func(key, v string, allowed ...string) error {
		for _, a := range allowed {
			if v == a {
				return nil
			}
		}
		return fmt.Errorf("%s: %q is not one of %s", key, v, strings.Join(allowed, ", "))
	}
	need := func(key, v string) error {
		if v == "" {
			return fmt.Errorf("%s is missing", key)
		}
		return nil
	}
	return errors.Join(
		need("data", c.Data), need("domain", c.Domain), need("base_url", c.BaseURL),
		need("tls.certificate_file", c.TLS.Certificate), need("tls.key_file", c.TLS.Key),
		oneOf("store.driver", c.Store.Driver, "sqlite", "postgres"),
		oneOf("relay.security", c.Relay.Security, "plain", "starttls", "tls"),
		oneOf("policy.document_signer", c.Policy.DocumentSigner, "sender", "any"),
		oneOf("policy.revocation", c.Policy.Revocation, "hard", "soft"),
	)
}

func (c *Config) policy() rem.Policy {
	return rem.Policy{DocumentSigner: c.Policy.DocumentSigner, Revocation: c.Policy.Revocation, AcceptBare: c.Policy.AcceptBare}
}

func (c *Config) limits() gateway.Limits {
	l := c.Limits
	return gateway.Limits{
		Letter: l.LetterMiB << 20, Slots: l.Slots, SlotWait: l.SlotWait.Duration, JudgeTime: l.JudgeTime.Duration,
		LinkLife: l.LinkLife.Duration, DraftLife: l.DraftLife.Duration, RefusedFor: l.RefusedFor.Duration,
	}
}

func (c *Config) path(elem ...string) string {
	return filepath.Join(append([]string{c.Data}, elem...)...)
}

// secret reads a one-line secret from a file only its owner may read.
func secret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s: readable by others than its owner", path)
	}
	b, err := readSmall(path, 4096)
	return strings.TrimRight(string(b), "\r\n"), err
}
