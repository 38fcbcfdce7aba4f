package blob

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// S3Config names a bucket and who may use it.
type S3Config struct {
	Endpoint             string // host:port, without a scheme
	Region               string // "": us-east-1
	Bucket, Prefix       string // objects are [Prefix/]sha256/ab/<hex>
	AccessKey, SecretKey string
	Secure               bool           // TLS
	Roots                *x509.CertPool // nil: the system's
	Retention            time.Duration  // how long an object cannot be deleted, where Probe found that true; 0: none
	Timeout              time.Duration  // of a request, and a second more for each MiB; 0: 10 s
}

// S3 keeps blobs as objects of an S3 bucket. It believes nothing that matters:
// what it reads as a whole it hashes, and a PUT's answer is only an answer;
// Backed keeps a copy until the object has been read back.
//
// The bucket is made by MakeBucket alone.
type S3 struct {
	core      minio.Core
	bucket    string
	prefix    string // ends with "sha256/"
	probes    string // where Probe puts its objects
	timeout   time.Duration
	retention time.Duration
	locks     atomic.Bool // Probe has seen a retained object survive its deletion
}

const (
	requestTime = 10 * time.Second
	leastSpeed  = 1 << 20 // octets per second below which a transfer is given up
	attempts    = 2       // of one request
)

// NewS3 prepares a client. It asks the server nothing: Probe does.
func NewS3(c S3Config) (*S3, error) {
	if c.Endpoint == "" || strings.ContainsAny(c.Endpoint, "/@?#") || c.Bucket == "" {
		return nil, errors.New("object store: an endpoint as host:port and a bucket are needed")
	}
	if c.Region == "" {
		c.Region = "us-east-1" // a name saves asking for the bucket's location
	}
	if c.Timeout == 0 {
		c.Timeout = requestTime
	}
	core, err := minio.NewCore(c.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""), Secure: c.Secure, Region: c.Region,
		Transport: newTransport(c), MaxRetries: attempts,
	})
	if err != nil {
		return nil, fmt.Errorf("object store %s: %w", c.Endpoint, err)
	}
	prefix := strings.Trim(c.Prefix, "/")
	if prefix != "" {
		prefix += "/"
	}
	return &S3{
		core: *core, bucket: c.Bucket, prefix: prefix + "sha256/", probes: prefix + "probe/",
		timeout: c.Timeout, retention: c.Retention,
	}, nil
}

func (s *S3) key(ref rem.Ref) string {
	name := ref.SHA256.String()
	return s.prefix + name[:2] + "/" + name
}

// limit bounds a request that moves size octets.
func (s *S3) limit(ctx context.Context, size int64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.timeout+time.Duration(size/leastSpeed)*time.Second)
}

// Put sends the file at path in one PUT whose checksum the server holds against
// what it got, and which replaces nothing.
func (s *S3) Put(ctx context.Context, ref rem.Ref, path string) error {
	f, err := openExact(path, ref.Size)
	if err == nil {
		defer f.Close()
		err = s.put(ctx, ref, f)
	}
	if err != nil {
		return fmt.Errorf("put blob %s: %w", ref, err)
	}
	return nil
}

// openExact opens a regular file of size octets: ErrCorrupt for another one.
func openExact(path string, size int64) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() != size) {
		err = fmt.Errorf("%w: a file of %d octets, want %d", ErrCorrupt, info.Size(), size)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (s *S3) put(ctx context.Context, ref rem.Ref, content io.ReaderAt) error {
	limited, done := s.limit(ctx, ref.Size)
	defer done()
	opts := minio.PutObjectOptions{
		DisableContentSha256: true, // of chunks: the whole has one, in the signature and as its checksum
		UserMetadata:         map[string]string{"X-Amz-Checksum-Sha256": base64.StdEncoding.EncodeToString(ref.SHA256[:])},
	}
	opts.SetMatchETagExcept("*")
	if s.retention > 0 && s.locks.Load() {
		opts.Mode, opts.RetainUntilDate = minio.Compliance, time.Now().Add(s.retention)
	}
	_, err := s.core.PutObject(limited, s.bucket, s.key(ref), io.NewSectionReader(content, 0, ref.Size), ref.Size,
		"", ref.SHA256.String(), opts)
	switch codeOf(err) {
	case minio.PreconditionFailed, "ConditionalRequestConflict":
		_, err = s.stat(ctx, ref)
		return err
	}
	return s.explain(ctx, err)
}

// stat asks for an object's size: ErrCorrupt when it is not ref's.
func (s *S3) stat(ctx context.Context, ref rem.Ref) (minio.ObjectInfo, error) {
	limited, done := s.limit(ctx, 0)
	defer done()
	info, err := s.core.StatObject(limited, s.bucket, s.key(ref), minio.StatObjectOptions{})
	if codeOf(err) == minio.NoSuchKey {
		// An answer to HEAD has no body: whether the bucket is what is absent
		// only the answer to a GET tells.
		var body io.ReadCloser
		if body, info, _, err = s.core.GetObject(limited, s.bucket, s.key(ref), minio.GetObjectOptions{}); err == nil {
			body.Close()
		}
	}
	if err != nil {
		return info, s.explain(ctx, err)
	}
	if info.Size != ref.Size {
		return info, fmt.Errorf("%w: %d octets, want %d", ErrCorrupt, info.Size, ref.Size)
	}
	return info, nil
}

// maxVersions is how many versions of one object Delete removes.
const maxVersions = 100

// Delete removes every version of an object; one that is retained is hidden by
// a delete marker, as S3 means it.
func (s *S3) Delete(ctx context.Context, ref rem.Ref) error {
	for range maxVersions {
		info, err := s.stat(ctx, ref)
		switch {
		case errors.Is(err, ErrNotExist):
			return nil
		case err == nil, errors.Is(err, ErrCorrupt):
			err = s.remove(ctx, s.key(ref), info.VersionID)
		}
		if err != nil {
			return fmt.Errorf("delete blob %s: %w", ref, err)
		}
	}
	return fmt.Errorf("delete blob %s: %w: it is still there", ref, ErrUnavailable)
}

func (s *S3) remove(ctx context.Context, key, version string) error {
	limited, done := s.limit(ctx, 0)
	defer done()
	err := s.core.RemoveObject(limited, s.bucket, key, minio.RemoveObjectOptions{VersionID: version})
	if err != nil && version != "" {
		err = s.core.RemoveObject(limited, s.bucket, key, minio.RemoveObjectOptions{})
	}
	return s.explain(ctx, err)
}

// List pages through the bucket in the order of digests; strange names are
// passed over. A server that does not come forward is not followed for ever.
func (s *S3) List(ctx context.Context, f func(ref rem.Ref, modified time.Time) error) error {
	owner, last := false, ""
	objects := s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix, Recursive: true, FetchOwner: &owner})
	for o := range objects {
		if o.Err != nil {
			return fmt.Errorf("list blobs: %w", s.explain(ctx, o.Err))
		}
		if o.Key <= last {
			return fmt.Errorf("list blobs: %w: its list is out of order", ErrUnavailable)
		}
		last = o.Key
		digest, err := rem.ParseDigest(o.Key[strings.LastIndexByte(o.Key, '/')+1:])
		ref := rem.Ref{SHA256: digest, Size: o.Size}
		if err != nil || digest.IsZero() || o.Key != s.key(ref) {
			continue
		}
		if err := f(ref, o.LastModified); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("list blobs: %w", err)
	}
	return nil
}
