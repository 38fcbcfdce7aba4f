package blob_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/blob/blobtest"
	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestDir(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return newDir(t, filepath.Join(t.TempDir(), "data", "blobs")) })
}

func newDir(t testing.TB, path string) *blob.Dir {
	t.Helper()
	d, err := blob.NewDir(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func place(root string, ref rem.Ref) string {
	return filepath.Join(root, "sha256", ref.String()[:2], ref.String())
}

func TestDirLayoutAndReopening(t *testing.T) {
	root := t.TempDir()
	content := blobtest.Content(777)
	ref, path := blobtest.Spool(t, content)
	if err := newDir(t, root).Put(t.Context(), ref, path); err != nil {
		t.Fatal(err)
	}
	stored, err := os.ReadFile(place(root, ref))
	if err != nil || !bytes.Equal(stored, content) {
		t.Fatalf("stored file: %v", err)
	}
	info, err := os.Stat(place(root, ref))
	if err != nil || info.Mode().Perm() != 0o400 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	spooled, err := os.Stat(path)
	if err != nil || !os.SameFile(info, spooled) {
		t.Errorf("not a hard link: %v", err)
	}
	if err := newDir(t, root).Verify(t.Context(), ref); err != nil {
		t.Error(err)
	}
}

// TestDirFindsDamage changes, shortens and removes stored files.
func TestDirFindsDamage(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(path string) error
		want   error
	}{
		{"one bit", func(p string) error {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			b[500] ^= 1
			if err := os.Remove(p); err != nil {
				return err
			}
			return os.WriteFile(p, b, 0o400)
		}, blob.ErrCorrupt},
		{"shorter", func(p string) error { return os.Truncate(p, 999) }, blob.ErrCorrupt},
		{"longer", func(p string) error { return os.Truncate(p, 1001) }, blob.ErrCorrupt},
		{"gone", os.Remove, blob.ErrNotExist},
		{"a directory", func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }, blob.ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			d := newDir(t, root)
			ref, path := blobtest.Spool(t, blobtest.Content(1000))
			if err := d.Put(t.Context(), ref, path); err != nil {
				t.Fatal(err)
			}
			if err := c.damage(place(root, ref)); err != nil {
				t.Fatal(err)
			}
			if err := d.Verify(t.Context(), ref); !errors.Is(err, c.want) {
				t.Errorf("verify: %v, want %v", err, c.want)
			}
		})
	}
}

func TestDirListPassesStrangersOver(t *testing.T) {
	root := t.TempDir()
	d := newDir(t, root)
	ref, path := blobtest.Spool(t, blobtest.Content(10))
	if err := d.Put(t.Context(), ref, path); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(place(root, ref))
	for _, name := range []string{"README", ".x", ref.String() + ".tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	if err := d.List(t.Context(), func(rem.Ref, time.Time) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("%d listed, %v", n, err)
	}
}

func TestNewDirOverAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := blob.NewDir(path); err == nil {
		t.Error("a file was opened as a blob directory")
	}
}

func TestSpool(t *testing.T) {
	dir := t.TempDir()
	s, err := blob.CreateSpool(dir)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	for i := range 5000 { // small and large writes
		p := blobtest.Content(i % 40)
		if i == 777 {
			p = blobtest.Content(100_000)
		}
		want.Write(p)
		if n, err := s.Write(p); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
	ref, err := s.Commit()
	if err != nil {
		t.Fatal(err)
	}
	if ref != (rem.Ref{SHA256: rem.DigestOf(want.Bytes()), Size: int64(want.Len())}) {
		t.Errorf("ref %+v", ref)
	}
	if stored, err := os.ReadFile(s.Path()); err != nil || !bytes.Equal(stored, want.Bytes()) {
		t.Errorf("file differs, %v", err)
	}
	if again, err := s.Commit(); again != ref || err != nil {
		t.Errorf("second Commit: %+v, %v", again, err)
	}
	if _, err := s.Write([]byte("x")); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("write after Commit: %v", err)
	}
	for range 2 {
		if err := s.Discard(); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestSpoolReadFrom: what comes from a reader, in pieces of any size and
// between writes, is the same file; the reader's error is passed on and harms
// nothing.
func TestSpoolReadFrom(t *testing.T) {
	s, err := blob.CreateSpool(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Discard()
	var want bytes.Buffer
	broken := errors.New("broken reader")
	for i, size := range []int{0, 1, 100, 32 << 10, 32<<10 - 1, 100_000} {
		p := blobtest.Content(size)
		want.Write(p)
		want.WriteString("between")
		var r io.Reader = bytes.NewReader(p)
		end := error(nil)
		if i%2 == 1 {
			r, end = io.MultiReader(iotest.HalfReader(r), iotest.ErrReader(broken)), broken
		}
		if n, err := s.ReadFrom(r); n != int64(size) || err != end {
			t.Errorf("%d octets: %d, %v", size, n, err)
		}
		if _, err := io.WriteString(s, "between"); err != nil {
			t.Fatal(err)
		}
	}
	early, err := s.End() // readable, and final, before it is durable
	if stored, readErr := os.ReadFile(s.Path()); err != nil || readErr != nil || !bytes.Equal(stored, want.Bytes()) {
		t.Errorf("after End: file differs, %v %v", err, readErr)
	}
	if _, err := s.Write([]byte("x")); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("write after End: %v", err)
	}
	ref, err := s.Commit()
	if err != nil || ref != early || ref != (rem.Ref{SHA256: rem.DigestOf(want.Bytes()), Size: int64(want.Len())}) {
		t.Errorf("%+v, %v, at the end %+v", ref, err, early)
	}
	if stored, err := os.ReadFile(s.Path()); err != nil || !bytes.Equal(stored, want.Bytes()) {
		t.Errorf("file differs, %v", err)
	}
	if _, err := s.ReadFrom(strings.NewReader("x")); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Commit: %v", err)
	}
}

func TestDiscardedSpool(t *testing.T) {
	s, err := blob.CreateSpool(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Discard(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(s, "x"); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("write: %v", err)
	}
	if _, err := s.Commit(); err == nil {
		t.Error("a discarded spool was committed")
	}
}

func TestCleanSpool(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	var fresh string
	for i := range 4 {
		s, err := blob.CreateSpool(dir)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(s, i)
		if _, err := s.Commit(); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			fresh = filepath.Base(s.Path())
			continue
		}
		if err := os.Chtimes(s.Path(), now, now.Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	other := filepath.Join(dir, "not-ours")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(other, now, now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n, err := blob.CleanSpool(dir, now.Add(-time.Minute)); n != 3 || err != nil {
		t.Errorf("removed %d, %v", n, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 || left[0].Name() != "not-ours" || left[1].Name() != fresh {
		t.Errorf("left %v, %v", left, err)
	}
	if _, err := blob.CleanSpool(filepath.Join(dir, "absent"), now); err == nil {
		t.Error("an absent directory was cleaned")
	}
}

// TestFullDisk writes to a device that is always full.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := blob.NewSpool(full)
	if _, err := s.Write(blobtest.Content(100_000)); !errors.Is(err, blob.ErrFull) {
		t.Errorf("write: %v", err)
	}
	for range 2 {
		if _, err := s.Commit(); !errors.Is(err, blob.ErrFull) {
			t.Errorf("commit: %v", err)
		}
	}
	if _, err := s.Write([]byte("x")); !errors.Is(err, blob.ErrFull) {
		t.Errorf("write after the failure: %v", err)
	}
}

func BenchmarkPut(b *testing.B) {
	d := newDir(b, filepath.Join(b.TempDir(), "blobs"))
	spool := b.TempDir()
	content := blobtest.Content(20 << 10)
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			s, err := blob.CreateSpool(spool)
			if err != nil {
				b.Fatal(err)
			}
			fmt.Fprintf(s, "%p %d", s, i)
			s.Write(content)
			ref, err := s.Commit()
			if err != nil {
				b.Fatal(err)
			}
			if err := d.Put(b.Context(), ref, s.Path()); err != nil {
				b.Fatal(err)
			}
			s.Discard()
		}
	})
}
