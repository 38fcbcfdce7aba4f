package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"cryptogramm.ru/cryptogramm/store/blob"
	"github.com/pelletier/go-toml/v2"
)

// Servers put the demo on what production runs on.
type Servers struct {
	StoreDSNFile string `help:"Keep the rows on PostgreSQL: a secret file with its DSN." type:"existingfile" placeholder:"FILE" name:"store-dsn-file"`
	S3URLFile    string `help:"Keep the letters in a bucket: a secret file with http[s]://KEY:SECRET@HOST:PORT/BUCKET[/PREFIX]." type:"existingfile" placeholder:"FILE" name:"s3-url-file"`
}

// configure writes the bucket's keys into files of DIR/keys, where a
// configuration wants them.
func (v *Servers) configure(c *Config) error {
	if v.StoreDSNFile != "" {
		c.Store = StoreConfig{Driver: "postgres", DSNFile: v.StoreDSNFile}
	}
	if v.S3URLFile == "" {
		return nil
	}
	text, err := secret(v.S3URLFile)
	if err != nil {
		return err
	}
	u, err := url.Parse(text)
	if err != nil || u.User == nil || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%s: not http[s]://KEY:SECRET@HOST:PORT/BUCKET", v.S3URLFile) // and not what it is: a secret
	}
	bucket, prefix, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	key, _ := u.User.Password()
	b := &c.Blobs
	b.Driver, b.Endpoint, b.Secure, b.Bucket, b.Prefix = "s3", u.Host, u.Scheme == "https", bucket, prefix
	b.AccessKeyFile, b.SecretKeyFile = c.path("keys", "s3-access.key"), c.path("keys", "s3-secret.key")
	return errors.Join(
		makeDirs(c.path("keys")),
		writeDurably(b.AccessKeyFile, []byte(u.User.Username()+"\n"), 0o600),
		writeDurably(b.SecretKeyFile, []byte(key+"\n"), 0o600),
	)
}

// makeBucket makes the demo's bucket where there is none. A server that is away
// is not waited for.
func (v *Servers) makeBucket(ctx context.Context, c *Config) error {
	if v.S3URLFile == "" {
		return nil
	}
	remote, err := c.bucket()
	if err == nil {
		err = remote.MakeBucket(ctx, true)
	}
	if errors.Is(err, blob.ErrUnavailable) {
		return nil
	}
	return err
}

// ownConfig is the configuration that a demo leaves in its directory: how
// commands with --data find its servers, and a start for a real one.
const ownConfig = "cryptogramm.toml"

// save writes what differs from the defaults as DIR/cryptogramm.toml.
func (c *Config) save() error {
	b, err := toml.Marshal(map[string]any{
		"data": c.Data, "domain": c.Domain, "base_url": c.BaseURL, "node": c.Node,
		"smtp": c.SMTP, "imap": c.IMAP, "web": c.Web, "tls": c.TLS, "signing": c.Signing, "store": c.Store, "blobs": c.Blobs,
		"limits": map[string]any{"letter_mib": c.Limits.LetterMiB},
	})
	if err != nil {
		return err
	}
	return writeDurably(c.path(ownConfig), append([]byte("# Made by `cryptogramm demo` at each start.\n"), b...), 0o600)
}
