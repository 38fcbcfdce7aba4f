package blob

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
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
	buf  []byte // what is not yet written
	hash hash.Hash
	size int64
	ref  rem.Ref
	err  error // first failure; it stays
}

// CreateSpool makes a file with a random name in dir, readable by nobody else,
// and writable through the Spool alone: a blob will be the same inode.
func CreateSpool(dir string) (*Spool, error) {
	path := filepath.Join(dir, spoolPrefix+strings.ToLower(rand.Text()))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o400)
	if err != nil {
		return nil, explain("create spool file", err)
	}
	return &Spool{file: f, path: path, buf: make([]byte, 0, spoolBuffer), hash: sha256.New()}, nil
}

// Path is the file's name; it is there until Discard.
func (s *Spool) Path() string { return s.path }

// Write appends. Its first error (ErrFull among them) stays for good.
func (s *Spool) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		room, err := s.room()
		if err != nil {
			return n, err
		}
		n += s.took(copy(room, p[n:]))
	}
	return n, s.open()
}

// ReadFrom appends all of r, read straight into the buffer. An error of r is
// not the Spool's.
func (s *Spool) ReadFrom(r io.Reader) (int64, error) {
	var total int64
	for {
		room, err := s.room()
		if err != nil {
			return total, err
		}
		n, err := r.Read(room)
		total += int64(s.took(n))
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// open says why nothing more can be written.
func (s *Spool) open() error {
	if s.err == nil && (s.file == nil || !s.ref.SHA256.IsZero()) {
		return fmt.Errorf("write spool file: %w", fs.ErrClosed)
	}
	return s.err
}

// room is where the next octets go, never empty.
func (s *Spool) room() ([]byte, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	if len(s.buf) == cap(s.buf) {
		s.err = s.flush(s.file)
	}
	return s.buf[len(s.buf):cap(s.buf)], s.err
}

// took accounts for n octets put into room.
func (s *Spool) took(n int) int {
	s.buf = s.buf[:len(s.buf)+n]
	s.size += int64(n)
	return n
}

func (s *Spool) flush(f *os.File) error {
	s.hash.Write(s.buf)
	if _, err := f.Write(s.buf); err != nil {
		return explain("write spool file", err)
	}
	s.buf = s.buf[:0]
	return nil
}

// End writes the last octets and says what all of them are: from here on the
// file can be read, but nothing is durable. After it come Commit and Discard
// alone.
func (s *Spool) End() (rem.Ref, error) {
	if s.ref.SHA256.IsZero() && s.open() == nil {
		if s.err = s.flush(s.file); s.err == nil {
			s.ref.Size = s.size
			s.hash.Sum(s.ref.SHA256[:0])
		}
	}
	return s.ref, s.err
}

// Commit makes the bytes durable and says what they are. The name in the spool
// directory is not made durable: Put links the file where it is to last. After
// a failure every further call fails likewise, an fsync is never tried twice.
func (s *Spool) Commit() (rem.Ref, error) {
	if _, err := s.End(); s.file == nil || err != nil {
		return s.ref, s.err
	}
	f := s.file
	s.file = nil
	if err := f.Sync(); err != nil {
		s.err = explain("fsync spool file", err)
	}
	if err := f.Close(); s.err == nil && err != nil {
		s.err = explain("close spool file", err)
	}
	if s.err != nil {
		s.ref = rem.Ref{}
	}
	return s.ref, s.err
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
