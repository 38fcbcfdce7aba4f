package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"cryptogramm.ru/cryptogramm/store/blob"
)

// letters is the place of the letters, and what ends its work.
type letters struct {
	blob.Store
	io.Closer
}

type closers []func() error

// Close ends everything, the last first.
func (c closers) Close() error {
	var all []error
	for i := len(c) - 1; i >= 0; i-- {
		all = append(all, c[i]())
	}
	return errors.Join(all...)
}

// openBlobs opens the letters of a gateway that serves, with a cache of its own
// in the directory named.
func (c *Config) openBlobs(cache string) (letters, *blob.S3, error) {
	if c.Blobs.Driver == "dir" {
		d, err := blob.NewDir(c.path("blobs"))
		return letters{d, closers{}}, nil, err
	}
	remote, err := c.bucket()
	if err != nil {
		return letters{}, nil, err
	}
	b, err := blob.NewBacked(blob.BackedConfig{
		Local: c.path("spool", "kept"), Cache: cache, Room: c.Blobs.SpoolMiB << 20, CacheSize: c.Blobs.CacheMiB << 20,
		Remote: remote, Now: time.Now,
	})
	if err != nil {
		return letters{}, nil, err
	}
	return letters{b, closers{b.Close}}, remote, nil
}

// blobsBeside opens the letters of an installation that may be serving: what is
// fetched goes to a directory of this process.
func (c *Config) blobsBeside() (letters, error) {
	if c.Blobs.Driver == "dir" {
		l, _, err := c.openBlobs("")
		return l, err
	}
	cache, err := os.MkdirTemp(c.Data, "cache-")
	if err != nil {
		return letters{}, err
	}
	l, _, err := c.openBlobs(cache)
	remove := func() error { return os.RemoveAll(cache) }
	if err != nil {
		return letters{}, errors.Join(err, remove())
	}
	return letters{l.Store, closers{remove, l.Close}}, nil
}

// bucket is the object store as configured; nothing is asked of it yet.
func (c *Config) bucket() (*blob.S3, error) {
	s3, err := c.Blobs.s3()
	if err != nil {
		return nil, err
	}
	return blob.NewS3(s3)
}

// s3 names the bucket and reads its keys.
func (b *BlobsConfig) s3() (c blob.S3Config, err error) {
	c = blob.S3Config{
		Endpoint: b.Endpoint, Region: b.Region, Bucket: b.Bucket, Prefix: b.Prefix, Secure: b.Secure,
		Retention: time.Duration(b.RetentionDays) * 24 * time.Hour,
	}
	if c.AccessKey, err = secret(b.AccessKeyFile); err != nil {
		return c, fmt.Errorf("blobs.access_key_file: %w", err)
	}
	if c.SecretKey, err = secret(b.SecretKeyFile); err != nil {
		return c, fmt.Errorf("blobs.secret_key_file: %w", err)
	}
	if c.Roots, err = pool(b.CAFile); err != nil {
		return c, fmt.Errorf("blobs.ca_file: %w", err)
	}
	return c, nil
}

const (
	probePatience = 20 * time.Second
	probeEvery    = time.Minute
)

// probe finds out what the bucket can do. One that says no stops the start; one
// that cannot be asked does not: letters are kept here meanwhile, and it is
// asked again.
func (i *installation) probe(ctx context.Context, remote *blob.S3) error {
	err := i.probeOnce(ctx, remote)
	if !errors.Is(err, blob.ErrUnavailable) {
		return err
	}
	i.log.Warn("the object store cannot be asked; letters stay on this node meanwhile", "endpoint", i.config.Blobs.Endpoint, "error", err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		i.probeUntil(ctx, remote)
	}()
	i.ends = append(i.ends, func() error { cancel(); <-done; return nil })
	return nil
}

func (i *installation) probeUntil(ctx context.Context, remote *blob.S3) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := i.probeOnce(ctx, remote)
		if err == nil || ctx.Err() != nil {
			return
		}
		if !errors.Is(err, blob.ErrUnavailable) {
			i.log.Error("the object store refuses", "error", err)
		}
	}
}

func (i *installation) probeOnce(ctx context.Context, remote *blob.S3) error {
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	p, err := remote.Probe(ctx)
	if err != nil {
		return err
	}
	b := i.config.Blobs
	i.log.Info("object store", "endpoint", b.Endpoint, "bucket", b.Bucket, "object_lock", p.Lock, "detail", p.Detail)
	if b.RetentionDays > 0 && !p.Lock {
		i.log.Error("blobs.retention_days is set, and the bucket does not hold: letters in it can be deleted", "detail", p.Detail)
	}
	return nil
}
