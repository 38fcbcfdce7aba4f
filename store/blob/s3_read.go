package blob

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/minio/minio-go/v7"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// Fetch writes a whole object to w and says whether it was ref's bytes. On an
// error what w has got means nothing.
func (s *S3) Fetch(ctx context.Context, ref rem.Ref, w io.Writer) error {
	if err := s.fetch(ctx, ref, w); err != nil {
		return fmt.Errorf("fetch blob %s: %w", ref, err)
	}
	return nil
}

func (s *S3) fetch(ctx context.Context, ref rem.Ref, w io.Writer) error {
	limited, done := s.limit(ctx, ref.Size)
	defer done()
	body, info, _, err := s.core.GetObject(limited, s.bucket, s.key(ref), minio.GetObjectOptions{})
	if err != nil {
		return s.explain(ctx, err)
	}
	defer body.Close()
	if info.Size != ref.Size {
		return fmt.Errorf("%w: %d octets, want %d", ErrCorrupt, info.Size, ref.Size)
	}
	to := &hashing{w: w, hash: sha256.New()}
	n, err := io.CopyBuffer(to, io.LimitReader(body, ref.Size), make([]byte, 64<<10))
	switch {
	case to.err != nil:
		return to.err
	case err != nil:
		return s.explain(ctx, err)
	case n < ref.Size:
		return s.explain(ctx, io.ErrUnexpectedEOF)
	}
	if got := rem.Digest(to.hash.Sum(nil)); got != ref.SHA256 {
		return fmt.Errorf("%w: content is %s", ErrCorrupt, got)
	}
	return nil
}

// hashing passes octets on and tells a failure of w from one of their source.
type hashing struct {
	w    io.Writer
	hash hash.Hash
	err  error
}

func (h *hashing) Write(p []byte) (int, error) {
	h.hash.Write(p)
	n, err := h.w.Write(p)
	if err != nil {
		h.err = explain("write", err)
	}
	return n, err
}

// Verify reads a whole object.
func (s *S3) Verify(ctx context.Context, ref rem.Ref) error {
	if err := s.fetch(ctx, ref, io.Discard); err != nil {
		return fmt.Errorf("verify blob %s: %w", ref, err)
	}
	return nil
}

// Open looks whether an object is there. What is read of it afterwards is read
// over the network, in pieces, and is not checked: Backed serves files that are.
func (s *S3) Open(ctx context.Context, ref rem.Ref) (Blob, error) {
	info, err := s.stat(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("open blob %s: %w", ref, err)
	}
	return &object{s: s, ctx: context.WithoutCancel(ctx), ref: ref, etag: info.ETag}, nil
}

// window is how much of an object is asked for at once at least: most readers
// go on where they were.
const window = 256 << 10

// object is an open object.
type object struct {
	s    *S3
	ctx  context.Context
	ref  rem.Ref
	etag string // an object that was replaced meanwhile is another one

	mu  sync.Mutex
	at  int64 // where read begins
	got []byte
}

func (o *object) Size() int64  { return o.ref.Size }
func (o *object) Close() error { return nil }

func (o *object) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("read blob: negative offset")
	}
	if off >= o.ref.Size {
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), o.ref.Size-off)]
	if err := o.read(want, off); err != nil {
		return 0, fmt.Errorf("read blob %s: %w", o.ref, err)
	}
	if len(want) < len(p) {
		return len(want), io.EOF
	}
	return len(want), nil
}

func (o *object) read(p []byte, off int64) error {
	if len(p) >= window {
		return o.piece(p, off)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if off < o.at || off+int64(len(p)) > o.at+int64(len(o.got)) {
		got := make([]byte, min(window, o.ref.Size-off))
		if err := o.piece(got, off); err != nil {
			return err
		}
		o.at, o.got = off, got
	}
	copy(p, o.got[off-o.at:])
	return nil
}

func (o *object) piece(p []byte, off int64) error {
	if len(p) == 0 {
		return nil
	}
	ctx, done := o.s.limit(o.ctx, int64(len(p)))
	defer done()
	var opts minio.GetObjectOptions
	err := errors.Join(opts.SetRange(off, off+int64(len(p))-1), opts.SetMatchETag(o.etag))
	if err != nil {
		return err
	}
	body, _, _, err := o.s.core.GetObject(ctx, o.s.bucket, o.s.key(o.ref), opts)
	if err != nil {
		return o.s.explain(o.ctx, err)
	}
	defer body.Close()
	if _, err := io.ReadFull(body, p); err != nil {
		return o.s.explain(o.ctx, err)
	}
	return nil
}
