package blob

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// Dir keeps blobs as files sha256/ab/<hex> under one directory, which has to
// lie on the same filesystem as the spool: Put makes a hard link.
type Dir struct {
	root    string      // …/sha256
	stopped atomic.Bool // a directory fsync has failed

	mu    sync.Mutex
	known map[string]bool // fan-out directories whose own names are durable
}

// NewDir opens the blob directory at path and makes it when it is absent.
func NewDir(path string) (*Dir, error) {
	d := &Dir{root: filepath.Join(path, "sha256"), known: make(map[string]bool)}
	for _, dir := range []string{path, d.root} {
		if err := makeDirs(dir); err != nil {
			return nil, explain("open blob directory", err)
		}
	}
	return d, nil
}

// makeDirs makes a directory and its parents. Each one's name is fsynced into
// its parent; that of the last is also when it exists, for a crash may have
// come between.
func makeDirs(path string) error {
	parent := filepath.Dir(path)
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) && parent != path {
		if err := makeDirs(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (d *Dir) place(ref rem.Ref) (dir, file string) {
	name := ref.SHA256.String()
	dir = filepath.Join(d.root, name[:2])
	return dir, filepath.Join(dir, name)
}

// fanOut makes sure that a fan-out directory exists, durably.
func (d *Dir) fanOut(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known[dir] {
		return nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := d.sync(d.root); err != nil {
		return err
	}
	d.known[dir] = true
	return nil
}

// sync fsyncs a directory; a failure stops the store for good.
func (d *Dir) sync(dir string) error {
	if d.stopped.Load() {
		return ErrStopped
	}
	f, err := os.Open(dir)
	if err != nil {
		return err // too many open files, say: nothing was lost, the next Put may try again
	}
	defer f.Close()
	if err = f.Sync(); err != nil {
		d.stopped.Store(true)
	}
	return err
}

// Put links the fsynced file at path to its place, then fsyncs the directory.
func (d *Dir) Put(_ context.Context, ref rem.Ref, path string) error {
	what := "put blob " + ref.String()
	if d.stopped.Load() {
		return fmt.Errorf("%s: %w", what, ErrStopped)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return explain(what, err)
	}
	if !info.Mode().IsRegular() || info.Size() != ref.Size {
		return fmt.Errorf("%s: %w: a file of %d octets, want %d", what, ErrCorrupt, info.Size(), ref.Size)
	}
	dir, file := d.place(ref)
	if err := d.fanOut(dir); err != nil {
		return explain(what, err)
	}
	if err := os.Link(path, file); errors.Is(err, fs.ErrExist) {
		if err := sameSize(file, ref.Size); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	} else if err != nil {
		return explain(what, err)
	}
	// Also for one that was there: whoever linked it may not have come this far.
	if err := d.sync(dir); err != nil {
		return explain(what, err)
	}
	return nil
}

func sameSize(file string, size int64) error {
	info, err := os.Lstat(file)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != size {
		return fmt.Errorf("%w: %d octets, want %d", ErrCorrupt, info.Size(), size)
	}
	return nil
}

type dirBlob struct {
	*os.File
	size int64
}

func (b *dirBlob) Size() int64 { return b.size }

// Open opens a blob's file.
func (d *Dir) Open(_ context.Context, ref rem.Ref) (Blob, error) {
	b, err := d.open(ref)
	if err != nil {
		return nil, fmt.Errorf("open blob %s: %w", ref, err)
	}
	return b, nil
}

func (d *Dir) open(ref rem.Ref) (*dirBlob, error) {
	_, file := d.place(ref)
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() != ref.Size) {
		err = fmt.Errorf("%w: %d octets, want %d", ErrCorrupt, info.Size(), ref.Size)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &dirBlob{f, info.Size()}, nil
}

// Verify reads a blob's file from end to end.
func (d *Dir) Verify(ctx context.Context, ref rem.Ref) error {
	b, err := d.open(ref)
	if err != nil {
		return fmt.Errorf("verify blob %s: %w", ref, err)
	}
	defer b.Close()
	h := sha256.New()
	n, err := io.Copy(h, &cancellable{ctx, b.File})
	if err != nil {
		return fmt.Errorf("verify blob %s: %w", ref, err)
	}
	if n != ref.Size || rem.Digest(h.Sum(nil)) != ref.SHA256 {
		return fmt.Errorf("verify blob %s: %w: content is %x", ref, ErrCorrupt, h.Sum(nil))
	}
	return nil
}

// cancellable lets a long read end with its context.
type cancellable struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// Delete removes a blob's file and fsyncs the directory.
func (d *Dir) Delete(_ context.Context, ref rem.Ref) error {
	dir, file := d.place(ref)
	err := os.Remove(file)
	if err == nil {
		err = d.sync(dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return explain("delete blob "+ref.String(), err)
	}
	return nil
}

// List walks the directory in the order of digests; strange names are passed over.
func (d *Dir) List(ctx context.Context, f func(ref rem.Ref, modified time.Time) error) error {
	return filepath.WalkDir(d.root, func(path string, e fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("list blobs: %w", err)
		}
		digest, bad := rem.ParseDigest(e.Name())
		if bad != nil || digest.IsZero() || !e.Type().IsRegular() {
			return nil
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return fmt.Errorf("list blobs: %w", err)
		}
		return f(rem.Ref{SHA256: digest, Size: info.Size()}, info.ModTime())
	})
}
