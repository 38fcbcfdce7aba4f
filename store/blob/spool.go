package blob

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// Files of a spool begin with spoolPrefix, so that cleaning touches no others.
const (
	spoolPrefix = "spool-"
	spoolBuffer = 32 << 10
)

// Spool is one local file being written: hashed on the way, durable once
// Commit has answered. It has one writer.
type Spool struct {
	file *os.File // nil once committed or discarded
	path string
	buf  *bufio.Writer
	hash hash.Hash
	size int64
	ref  rem.Ref
	err  error // first failure; it stays
}

// CreateSpool makes a file with a random name in dir, readable by nobody else.
func CreateSpool(dir string) (*Spool, error) {
	path := filepath.Join(dir, spoolPrefix+strings.ToLower(rand.Text()))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, explain("create spool file", err)
	}
	return &Spool{file: f, path: path, buf: bufio.NewWriterSize(f, spoolBuffer), hash: sha256.New()}, nil
}

// Path is the file's name; it is there until Discard.
func (s *Spool) Path() string { return s.path }

// Write appends. Its first error (ErrFull among them) stays for good.
func (s *Spool) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.file == nil {
		return 0, fmt.Errorf("write spool file: %w", fs.ErrClosed)
	}
	n, err := s.buf.Write(p)
	s.hash.Write(p[:n])
	s.size += int64(n)
	if err != nil {
		s.err = explain("write spool file", err)
	}
	return n, s.err
}

// Commit makes the bytes durable and says what they are. The name in the spool
// directory is not made durable: Put links the file where it is to last. After
// a failure every further call fails likewise, an fsync is never tried twice.
func (s *Spool) Commit() (rem.Ref, error) {
	if s.file == nil || s.err != nil {
		return s.ref, s.err
	}
	f := s.file
	s.file = nil
	s.err = s.finish(f)
	if err := f.Close(); s.err == nil && err != nil {
		s.err = explain("close spool file", err)
	}
	if s.err != nil {
		return rem.Ref{}, s.err
	}
	s.ref.Size = s.size
	s.hash.Sum(s.ref.SHA256[:0])
	return s.ref, nil
}

// finish writes out, takes the right to write away (a blob is the same inode),
// then fsyncs.
func (s *Spool) finish(f *os.File) error {
	if err := s.buf.Flush(); err != nil {
		return explain("write spool file", err)
	}
	if err := f.Chmod(0o400); err != nil {
		return explain("protect spool file", err)
	}
	if err := f.Sync(); err != nil {
		return explain("fsync spool file", err)
	}
	return nil
}

// Discard removes the file's name from the spool; a blob linked to it stays.
// It may be called at any time and more than once.
func (s *Spool) Discard() error {
	if s.file != nil {
		s.file.Close()
		s.file = nil
		s.err = fmt.Errorf("write spool file: %w", fs.ErrClosed)
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("discard spool file: %w", err)
	}
	return nil
}

// CleanSpool removes what crashed processes have left in a spool directory:
// its files that were last written before olderThan. It answers how many.
func CleanSpool(dir string, olderThan time.Time) (int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("clean spool: %w", err)
	}
	removed := 0
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), spoolPrefix) || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.ModTime().Before(olderThan) {
			continue
		}
		if err == nil {
			err = os.Remove(filepath.Join(dir, e.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, fmt.Errorf("clean spool: %w", err)
		}
		removed++
	}
	return removed, nil
}
