// Package blob keeps bytes under their SHA-256. Letters are stored once, as
// their exact wire bytes, and never change. Dir is a directory, S3 an object
// store, Backed an object store that is not trusted: a directory in front of it
// keeps every blob until a later read has shown that the object store has it.
//
// Invariants:
//
//   - What Put has acknowledged survives a power cut: the file was fsynced by
//     Spool.Commit before it is linked, its directory after.
//   - A blob is never overwritten; putting the same bytes again changes nothing.
//   - A failed fsync is never retried and acknowledged: the kernel may have
//     dropped the dirty pages and a second fsync would lie.
//
// Deliberately absent: names, owners, reference counts. The database says which
// blobs are needed.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// Answers that callers tell apart.
var (
	ErrNotExist = errors.New("blob does not exist")
	ErrCorrupt  = errors.New("blob differs from its name")
	ErrFull     = errors.New("no room left for blobs")
	ErrStopped  = errors.New("blob store stopped accepting after a failed fsync")

	// ErrPending: the blob is durable on this node, and on its way to where it
	// is to last.
	ErrPending = errors.New("blob is kept here until the object store takes it")

	// ErrUnavailable says nothing of a blob: the object store cannot be asked.
	ErrUnavailable = errors.New("object store is not available now")
)

// Store is one place for blobs. Every method is safe for concurrent use.
type Store interface {
	// Put stores the local file at path, which holds exactly ref's bytes and
	// has been fsynced (Spool.Commit). On nil the blob is durable, its name
	// too. An existing blob of that size is left alone; one of another size is
	// ErrCorrupt. The file at path stays the caller's.
	Put(ctx context.Context, ref rem.Ref, path string) error

	// Open opens a blob for reading at any offset: ErrNotExist when there is
	// none, ErrCorrupt when its size is not ref's.
	Open(ctx context.Context, ref rem.Ref) (Blob, error)

	// Verify reads a whole blob and compares digest and size: ErrCorrupt,
	// ErrNotExist.
	Verify(ctx context.Context, ref rem.Ref) error

	// Delete removes a blob durably. An absent one is no error.
	Delete(ctx context.Context, ref rem.Ref) error

	// List calls f for every blob with the time it was written. It stops at
	// the first error and returns it.
	List(ctx context.Context, f func(ref rem.Ref, modified time.Time) error) error
}

// Blob is an open blob. It stays readable after Delete until it is closed,
// except one of a bare S3, which is read where it lies.
type Blob interface {
	io.ReaderAt
	io.Closer
	Size() int64 // octets
}

// explain names the place of an error and marks a full disk, full inodes or a
// used-up quota as ErrFull.
func explain(what string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%s: %w: %w", what, ErrFull, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
