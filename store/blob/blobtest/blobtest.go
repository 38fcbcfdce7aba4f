// Package blobtest is the one conformance suite of every blob.Store.
package blobtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// Run tries everything that blob.Store promises. open makes an empty store
// whose spool may lie in t.TempDir().
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for name, f := range map[string]func(*testing.T, blob.Store){
		"PutOpen": putOpen, "Repeat": repeat, "WrongSize": wrongSize, "Absent": absent,
		"Delete": remove, "List": list, "ReaderAt": readerAt, "Parallel": parallel, "Cancelled": cancelled,
	} {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
}

// Spool writes content to a spool file and commits it.
func Spool(t testing.TB, content []byte) (rem.Ref, string) {
	t.Helper()
	s, err := blob.CreateSpool(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(s, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	ref, err := s.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return ref, s.Path()
}

// Content is n random octets.
func Content(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func put(t *testing.T, s blob.Store, content []byte) rem.Ref {
	t.Helper()
	ref, path := Spool(t, content)
	if err := s.Put(t.Context(), ref, path); err != nil {
		t.Fatal(err)
	}
	return ref
}

func read(t *testing.T, s blob.Store, ref rem.Ref) []byte {
	t.Helper()
	b, err := s.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	content, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func putOpen(t *testing.T, s blob.Store) {
	for _, n := range []int{0, 1, 20 << 10, 3<<20 + 7} {
		content := Content(n)
		ref, path := Spool(t, content)
		if err := s.Put(t.Context(), ref, path); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil { // the spool's name is the caller's
			t.Fatal(err)
		}
		if !bytes.Equal(read(t, s, ref), content) {
			t.Errorf("%d octets came back changed", n)
		}
		if err := s.Verify(t.Context(), ref); err != nil {
			t.Error(err)
		}
	}
}

func repeat(t *testing.T, s blob.Store) {
	content := Content(1000)
	ref := put(t, s, content)
	if again := put(t, s, content); again != ref || !bytes.Equal(read(t, s, ref), content) {
		t.Error("the second Put changed the blob")
	}
}

// wrongSize: neither a file of another size than its ref nor a ref of another
// size than the blob gets through, and the blob stays.
func wrongSize(t *testing.T, s blob.Store) {
	content := Content(1000)
	ref, path := Spool(t, content)
	longer := rem.Ref{SHA256: ref.SHA256, Size: ref.Size + 1}
	if err := s.Put(t.Context(), longer, path); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("put under another size: %v", err)
	}
	if err := s.Put(t.Context(), ref, path); err != nil {
		t.Fatal(err)
	}
	_, other := Spool(t, Content(1001))
	if err := s.Put(t.Context(), longer, other); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("put over a blob of another size: %v", err)
	}
	if _, err := s.Open(t.Context(), longer); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("open as another size: %v", err)
	}
	if err := s.Verify(t.Context(), longer); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("verify as another size: %v", err)
	}
	if !bytes.Equal(read(t, s, ref), content) {
		t.Error("the blob was overwritten")
	}
}

func absent(t *testing.T, s blob.Store) {
	ref := rem.Ref{SHA256: rem.DigestOf(Content(8)), Size: 8}
	if _, err := s.Open(t.Context(), ref); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("open: %v", err)
	}
	if err := s.Verify(t.Context(), ref); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("verify: %v", err)
	}
	if err := s.Delete(t.Context(), ref); err != nil {
		t.Errorf("delete: %v", err)
	}
	if err := s.Put(t.Context(), ref, filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("an absent file was put")
	}
}

func remove(t *testing.T, s blob.Store) {
	content := Content(5000)
	ref := put(t, s, content)
	b, err := s.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := s.Delete(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), ref); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("open after delete: %v", err)
	}
	if again := put(t, s, content); !bytes.Equal(read(t, s, again), content) {
		t.Error("put after delete")
	}
}

func list(t *testing.T, s blob.Store) {
	want := make(map[rem.Ref]bool)
	before := time.Now().Add(-time.Minute)
	for n := range 20 {
		want[put(t, s, Content(n+1))] = true
	}
	err := s.List(t.Context(), func(ref rem.Ref, modified time.Time) error {
		if !want[ref] {
			t.Errorf("%s of %d octets: listed twice or never put", ref, ref.Size)
		}
		if modified.Before(before) || modified.After(time.Now().Add(time.Minute)) {
			t.Errorf("%s: modified %v", ref, modified)
		}
		delete(want, ref)
		return nil
	})
	if err != nil || len(want) > 0 {
		t.Errorf("%d not listed, %v", len(want), err)
	}
	stop := errors.New("stop")
	if err := s.List(t.Context(), func(rem.Ref, time.Time) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("callback's error: %v", err)
	}
}

func readerAt(t *testing.T, s blob.Store) {
	content := Content(100_000)
	b, err := s.Open(t.Context(), put(t, s, content))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Size() != int64(len(content)) {
		t.Errorf("size %d", b.Size())
	}
	for _, at := range []int{99_990, 0, 50_000, 65_536} {
		got := make([]byte, 10)
		if n, err := b.ReadAt(got, int64(at)); n != 10 || err != nil && err != io.EOF || !bytes.Equal(got, content[at:at+10]) {
			t.Errorf("at %d: %d octets, %v", at, n, err)
		}
	}
	if n, err := b.ReadAt(make([]byte, 10), 99_995); n != 5 || err != io.EOF {
		t.Errorf("across the end: %d, %v", n, err)
	}
}

// parallel puts the same and different bytes at once.
func parallel(t *testing.T, s blob.Store) {
	same := Content(3000)
	var wg sync.WaitGroup
	for i := range 40 {
		content := same
		if i%2 == 0 {
			content = Content(3000)
		}
		ref, path := Spool(t, content)
		wg.Go(func() {
			if err := s.Put(t.Context(), ref, path); err != nil {
				t.Error(err)
				return
			}
			if err := s.Verify(t.Context(), ref); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n := 0
	if err := s.List(t.Context(), func(rem.Ref, time.Time) error { n++; return nil }); err != nil || n != 21 {
		t.Errorf("%d blobs, want 21, %v", n, err)
	}
}

func cancelled(t *testing.T, s blob.Store) {
	ref := put(t, s, Content(100_000))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Verify(ctx, ref); !errors.Is(err, context.Canceled) {
		t.Errorf("verify: %v", err)
	}
	if err := s.List(ctx, func(rem.Ref, time.Time) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("list: %v", err)
	}
}
