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
		isAddress("imap.imaps", c.IMAP.IMAPS), isAddress("imap.imap", c.IMAP.IMAP),
		within("imap.connections", int64(c.IMAP.Connections), 1e6), within("imap.per_address", int64(c.IMAP.PerAddress), 1e6),
		isAddress("web.https", c.Web.HTTPS), isAddress("web.redirect", c.Web.Redirect),
		oneOf("store.driver", c.Store.Driver, "sqlite", "postgres"),
		isAddress("relay.address", c.Relay.Address),
		oneOf("relay.security", c.Relay.Security, "plain", "starttls", "tls"),
		oneOf("policy.document_signer", c.Policy.DocumentSigner, "sender", "any"),
		oneOf("policy.revocation", c.Policy.Revocation, "hard", "soft"),
		within("limits.letter_mib", c.Limits.LetterMiB, 4096),
		within("limits.refused_mib", c.Limits.RefusedMiB, 1<<20),
		within("limits.judging_slots", int64(c.Limits.Slots), 10000),
		within("relay.per_destination", int64(c.Relay.PerDestination), 1000),
		both("signing.certificate_file", c.Signing.Certificate, "signing.key_file", c.Signing.Key),
		both("dkim.selector", c.DKIM.Selector, "dkim.key_file", c.DKIM.KeyFile),
		c.Blobs.check(c.largestLetter()), c.Revocation.check(), c.checkTogether(),
	)
}

// largestLetter is limits.letter_mib with its default.
func (c *Config) largestLetter() int64 {
	if c.Limits.LetterMiB == 0 {
		return 100
	}
	return c.Limits.LetterMiB
}

func (b *BlobsConfig) check(letterMiB int64) error {
	err := errors.Join(
		oneOf("blobs.driver", b.Driver, "dir", "s3"), within("blobs.retention_days", int64(b.RetentionDays), 36500),
		within("blobs.spool_mib", b.SpoolMiB, 1<<30), within("blobs.cache_mib", b.CacheMiB, 1<<30),
	)
	if b.Driver != "s3" {
		return err
	}
	for key, v := range map[string]int64{"blobs.spool_mib": b.SpoolMiB, "blobs.cache_mib": b.CacheMiB} {
		if v < letterMiB {
			err = errors.Join(err, fmt.Errorf("%s: %d is less than the largest letter, %d MiB", key, v, letterMiB))
		}
	}
	if b.Endpoint == "" {
		return errors.Join(err, need("blobs.endpoint", ""))
	}
	if host, port, e := net.SplitHostPort(b.Endpoint); e == nil && (host == "" || port == "") || strings.ContainsAny(b.Endpoint, "/@ ") {
		err = errors.Join(err, fmt.Errorf("blobs.endpoint: %q is not host or host:port", b.Endpoint))
	}
	return errors.Join(err, need("blobs.bucket", b.Bucket),
		need("blobs.access_key_file", b.AccessKeyFile), need("blobs.secret_key_file", b.SecretKeyFile))
}

func (r *RevocationConfig) check() error {
	if len(r.Ports) == 0 || slices.Contains(r.Ports, 0) {
		return errors.New("revocation.ports: at least one port, none of them 0")
	}
	return nil
}

// both wants two keys that mean nothing without each other.
func both(key, v, otherKey, other string) error {
	switch {
	case v == "" && other != "":
		return fmt.Errorf("%s is missing: %s is given", key, otherKey)
	case v != "" && other == "":
		return fmt.Errorf("%s is missing: %s is given", otherKey, key)
	}
	return nil
}

// checkTogether has what depends on more than one key.
func (c *Config) checkTogether() error {
	var all []error
	for _, d := range c.Domains {
		if d != c.Domain {
			all = append(all, isDomain("domains", d))
		}
	}
	if c.DKIM.Selector != "" && !message.ValidAddress("postmaster@"+c.DKIM.Selector+"._domainkey."+c.Domain) {
		all = append(all, fmt.Errorf("dkim.selector: %q makes no name in the DNS", c.DKIM.Selector))
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
	if a, ok := message.CanonicalAddress("postmaster@" + v); !ok || a != "postmaster@"+v {
		return fmt.Errorf("%s: %q is not a mail domain; write an internationalized one in A-labels (xn--…)", key, v)
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
