package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"cryptogramm.ru/cryptogramm/gateway/message"
)

// check names every key that is missing or makes no sense, not only the first.
func (c *Config) check() error {
	return errors.Join(
		need("data", c.Data), isDomain("domain", c.Domain), isBaseURL(c.BaseURL), need("node", c.Node),
		need("tls.certificate_file", c.TLS.Certificate), need("tls.key_file", c.TLS.Key),
		isAddress("smtp.submissions", c.SMTP.Submissions), isAddress("smtp.submission", c.SMTP.Submission),
		isAddress("web.https", c.Web.HTTPS), isAddress("web.redirect", c.Web.Redirect),
		oneOf("store.driver", c.Store.Driver, "sqlite", "postgres"),
		isAddress("relay.address", c.Relay.Address),
		oneOf("relay.security", c.Relay.Security, "plain", "starttls", "tls"),
		oneOf("policy.document_signer", c.Policy.DocumentSigner, "sender", "any"),
		oneOf("policy.revocation", c.Policy.Revocation, "hard", "soft"),
		within("limits.letter_mib", c.Limits.LetterMiB, 4096),
		within("limits.refused_mib", c.Limits.RefusedMiB, 1<<20),
		within("limits.judging_slots", int64(c.Limits.Slots), 10000),
		c.checkTogether(),
	)
}

// checkTogether has what depends on more than one key.
func (c *Config) checkTogether() error {
	var all []error
	for _, d := range c.Domains {
		if d != c.Domain {
			all = append(all, isDomain("domains", d))
		}
	}
	if c.Store.Driver == "postgres" {
		all = append(all, need("store.dsn_file", c.Store.DSNFile))
	}
	if c.Relay.Login != "" {
		all = append(all, need("relay.password_file", c.Relay.PasswordFile))
		if c.Relay.Security == "plain" {
			all = append(all, errors.New("relay.login: a password is not sent without TLS; set relay.security"))
		}
	}
	return errors.Join(all...)
}

func need(key, v string) error {
	if v == "" {
		return fmt.Errorf("%s is missing", key)
	}
	return nil
}

func oneOf(key, v string, allowed ...string) error {
	if slices.Contains(allowed, v) {
		return nil
	}
	return fmt.Errorf("%s: %q is not one of %s", key, v, strings.Join(allowed, ", "))
}

// within accepts zero, which stands for the default.
func within(key string, v, most int64) error {
	if v < 0 || v > most {
		return fmt.Errorf("%s: %d is not between 0 and %d", key, v, most)
	}
	return nil
}

func isDomain(key, v string) error {
	if err := need(key, v); err != nil {
		return err
	}
	if !message.ValidAddress("postmaster@" + v) {
		return fmt.Errorf("%s: %q is not a mail domain", key, v)
	}
	return nil
}

// isAddress accepts "", which stands for closed.
func isAddress(key, v string) error {
	if v == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(v); err != nil {
		return fmt.Errorf("%s: %q is not host:port", key, v)
	}
	return nil
}

// isBaseURL wants the root of a host: pages and cookies are made for that.
func isBaseURL(v string) error {
	if err := need("base_url", v); err != nil {
		return err
	}
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.String() != "https://"+u.Host {
		return fmt.Errorf("base_url: %q is not https://host or https://host:port", v)
	}
	return nil
}
