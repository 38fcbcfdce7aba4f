package blob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// MakeBucket makes the bucket, with object lock or without; one that is ours
// already is left as it is.
func (s *S3) MakeBucket(ctx context.Context, lock bool) error {
	limited, done := s.limit(ctx, 0)
	defer done()
	err := s.core.MakeBucket(limited, s.bucket, minio.MakeBucketOptions{ObjectLocking: lock})
	if err == nil || codeOf(err) == "BucketAlreadyOwnedByYou" {
		return nil
	}
	return fmt.Errorf("make bucket %s: %w", s.bucket, s.explain(ctx, err))
}

// Ping asks whether the server is there and lets us ask.
func (s *S3) Ping(ctx context.Context) error {
	limited, done := s.limit(ctx, 0)
	defer done()
	_, err := s.core.BucketExists(limited, s.bucket)
	return s.explain(ctx, err)
}

// Probe is what an object store was seen to do.
type Probe struct {
	Lock   bool   // a retained object could not be deleted
	Detail string // why not, for the operator
}

// probeTime is how long a probe's object is retained.
const probeTime = 2 * time.Minute

// Probe tries what the bucket can do and remembers it: an error says that it
// cannot be used, ErrUnavailable that it cannot be used now. Object lock is real when an object that is retained for two
// minutes cannot be deleted, while one beside it can.
func (s *S3) Probe(ctx context.Context) (Probe, error) {
	p, err := s.probe(ctx)
	s.locks.Store(err == nil && p.Lock)
	if err != nil {
		return p, fmt.Errorf("probe bucket %s: %w", s.bucket, err)
	}
	return p, nil
}

func (s *S3) probe(ctx context.Context) (Probe, error) {
	s.sweepProbes(ctx)
	free, err := s.putProbe(ctx, time.Time{})
	if status := minio.ToErrorResponse(err).StatusCode; status >= 400 && status < 500 {
		return Probe{}, fmt.Errorf("the server answers %d %s", status, word(codeOf(err)))
	}
	if err != nil {
		return Probe{}, s.explain(ctx, err)
	}
	if err := s.removeVersion(ctx, free); err != nil {
		return Probe{Detail: "objects cannot be deleted at all"}, nil
	}
	if free.VersionID == "" {
		return Probe{Detail: "the bucket keeps no versions"}, nil
	}
	kept, err := s.putProbe(ctx, time.Now().Add(probeTime))
	if codeOf(err) != "" {
		return Probe{Detail: "retention is refused: " + word(codeOf(err))}, nil
	}
	if err != nil {
		return Probe{}, s.explain(ctx, err)
	}
	err = s.removeVersion(ctx, kept)
	if err == nil {
		return Probe{Detail: "retention is accepted and does not hold"}, nil
	}
	if codeOf(err) == "" || minio.ToErrorResponse(err).StatusCode >= 500 {
		return Probe{}, s.explain(ctx, err)
	}
	limited, done := s.limit(ctx, 0)
	defer done()
	if _, err := s.core.StatObject(limited, s.bucket, kept.Key, minio.StatObjectOptions{VersionID: kept.VersionID}); err != nil {
		return Probe{Detail: "a retained object is gone although its deletion was refused"}, nil
	}
	return Probe{Lock: true}, nil
}

// putProbe puts a small object, retained until a time or not at all.
func (s *S3) putProbe(ctx context.Context, until time.Time) (minio.UploadInfo, error) {
	limited, done := s.limit(ctx, 0)
	defer done()
	opts := minio.PutObjectOptions{SendContentMd5: true, DisableMultipart: true}
	if !until.IsZero() {
		opts.Mode, opts.RetainUntilDate = minio.Compliance, until
	}
	const text = "May this be deleted?"
	return s.core.Client.PutObject(limited, s.bucket, s.probes+strings.ToLower(rand.Text()), strings.NewReader(text), int64(len(text)), opts)
}

func (s *S3) removeVersion(ctx context.Context, o minio.UploadInfo) error {
	limited, done := s.limit(ctx, 0)
	defer done()
	return s.core.RemoveObject(limited, s.bucket, o.Key, minio.RemoveObjectOptions{VersionID: o.VersionID})
}

// sweepProbes removes what earlier probes had to leave. Nothing depends on it.
func (s *S3) sweepProbes(ctx context.Context) {
	limited, done := s.limit(ctx, 0)
	defer done()
	for o := range s.core.ListObjectsIter(limited, s.bucket, minio.ListObjectsOptions{Prefix: s.probes, Recursive: true, WithVersions: true, MaxKeys: 100}) {
		if o.Err != nil || errors.Is(s.removeVersion(limited, minio.UploadInfo{Key: o.Key, VersionID: o.VersionID}), context.DeadlineExceeded) {
			return
		}
	}
}
