package blob_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/blob/blobtest"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// clock is one that a test moves.
type clock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

// node is a Backed of a test and what it was made of.
type node struct {
	*blob.Backed
	t      testing.TB
	config blob.BackedConfig
	clock  *clock
}

func newNode(t testing.TB, remote *blob.S3, change ...func(*blob.BackedConfig)) *node {
	t.Helper()
	dir, c := t.TempDir(), &clock{}
	n := &node{t: t, clock: c, config: blob.BackedConfig{
		Local: filepath.Join(dir, "kept"), Cache: filepath.Join(dir, "cache"), Remote: remote, Now: c.now,
	}}
	for _, f := range change {
		f(&n.config)
	}
	n.open()
	t.Cleanup(func() { n.Close() })
	return n
}

func (n *node) open() {
	n.t.Helper()
	b, err := blob.NewBacked(n.config)
	if err != nil {
		n.t.Fatal(err)
	}
	n.Backed = b
}

// restart is another life of the node.
func (n *node) restart() {
	n.t.Helper()
	if err := n.Close(); err != nil {
		n.t.Error(err)
	}
	n.open()
}

// confirm reads back whatever there is, whenever it was put.
func (n *node) confirm() (int, error) {
	return n.Confirm(context.Background(), n.clock.now().Add(time.Hour))
}

func (n *node) left() int {
	n.t.Helper()
	left, err := n.Drained(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	return left
}

// has wants a blob to be readable, and to be content.
func (n *node) has(ref rem.Ref, content []byte) {
	n.t.Helper()
	b, err := n.Open(context.Background(), ref)
	if err != nil {
		n.t.Error(err)
		return
	}
	defer b.Close()
	got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	if err != nil || !bytes.Equal(got, content) {
		n.t.Errorf("%d octets that differ, or %v", len(got), err)
	}
}

// confirmed is a Backed that gives up every copy at once: all that is read
// comes from the object store.
type confirmed struct{ *node }

func (c confirmed) Put(ctx context.Context, ref rem.Ref, path string) error {
	if err := c.node.Put(ctx, ref, path); err != nil {
		return err
	}
	_, err := c.confirm()
	return err
}

func TestBacked(t *testing.T) {
	bucket, ok := blobtest.Bucket(t)
	if !ok {
		return
	}
	t.Run("kept", func(t *testing.T) {
		blobtest.Run(t, func(t *testing.T) blob.Store { return newNode(t, within(t, bucket)) })
	})
	t.Run("confirmed", func(t *testing.T) {
		blobtest.Run(t, func(t *testing.T) blob.Store { return confirmed{newNode(t, within(t, bucket))} })
	})
	t.Run("Room", func(t *testing.T) { room(t, within(t, bucket)) })
	t.Run("Age", func(t *testing.T) { age(t, within(t, bucket)) })
	t.Run("Leftovers", func(t *testing.T) { leftovers(t, within(t, bucket)) })
	t.Run("DamagedCopy", func(t *testing.T) { damagedCopy(t, within(t, bucket)) })
}

// room: what is kept is bounded, over restarts, and what is kept already costs
// nothing.
func room(t *testing.T, remote *blob.S3) {
	n := newNode(t, remote, func(c *blob.BackedConfig) { c.Room = 50_000 })
	put := func(content []byte) error {
		ref, path := blobtest.Spool(t, content)
		return n.Put(t.Context(), ref, path)
	}
	first := blobtest.Content(20_000)
	for range 3 {
		if err := put(first); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(blobtest.Content(20_000)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := put(blobtest.Content(20_000)); !errors.Is(err, blob.ErrFull) {
			t.Errorf("beyond the room: %v", err)
		}
		n.restart()
	}
	if err := put(first); err != nil {
		t.Errorf("kept already: %v", err)
	}
	if gone, err := n.confirm(); gone != 2 || err != nil {
		t.Errorf("%d given up, %v", gone, err)
	}
	for range 2 {
		if err := put(blobtest.Content(20_000)); err != nil {
			t.Error(err)
		}
	}
}

// age: a copy is given up only when its last Put is old enough.
func age(t *testing.T, remote *blob.S3) {
	n := newNode(t, remote)
	content := blobtest.Content(1000)
	ref, path := blobtest.Spool(t, content)
	old := func() time.Time { return n.clock.now().Add(-time.Minute) }
	for range 2 {
		if err := n.Put(t.Context(), ref, path); err != nil {
			t.Fatal(err)
		}
		if gone, err := n.Confirm(t.Context(), old()); gone != 0 || err != nil || n.left() != 1 {
			t.Errorf("young: %d, %v, %d left", gone, err, n.left())
		}
		n.clock.pass(2 * time.Minute)
	}
	if gone, err := n.Confirm(t.Context(), old()); gone != 1 || err != nil || n.left() != 0 {
		t.Errorf("old: %d, %v, %d left", gone, err, n.left())
	}
	n.has(ref, content)
}

// leftovers of a crash are gone after a start, and a cache has one process.
func leftovers(t *testing.T, remote *blob.S3) {
	n := newNode(t, remote)
	if _, err := blob.NewBacked(n.config); err == nil {
		t.Error("two processes have one cache")
	}
	for _, name := range []string{"fetch-abc", rem.DigestOf(nil).String()} {
		if err := os.WriteFile(filepath.Join(n.config.Cache, name), []byte("wrong"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n.restart()
	if files, err := os.ReadDir(n.config.Cache); err != nil || len(files) != 1 {
		t.Errorf("left: %v, %v", files, err)
	}
}

// damagedCopy: octets that are not their name's are never sent for them, nor
// kept.
func damagedCopy(t *testing.T, remote *blob.S3) {
	n := newNode(t, remote)
	ref, _ := blobtest.Spool(t, blobtest.Content(100))
	_, other := blobtest.Spool(t, blobtest.Content(100))
	if err := n.Put(t.Context(), ref, other); !errors.Is(err, blob.ErrCorrupt) || n.left() != 0 {
		t.Errorf("%v, %d kept", err, n.left())
	}
	if err := remote.Verify(t.Context(), ref); !errors.Is(err, blob.ErrNotExist) {
		t.Error(err)
	}
}

// TestBackedOutage: with the object store down, or silent, letters are taken
// and what is here is read; nobody is told that what is there does not exist.
func TestBackedOutage(t *testing.T) {
	m := blobtest.StartMinIO(t)
	if m == nil {
		return
	}
	m.Config.Timeout = time.Second
	for name, fault := range map[string]struct{ begin, end func() }{
		"down":   {m.Stop, m.Start},
		"silent": {m.Freeze, m.Thaw},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, within(t, m.Config), func(c *blob.BackedConfig) { c.PutTime = 100 * time.Millisecond })
			far := blobtest.Content(10_000)
			farRef, path := blobtest.Spool(t, far)
			for n.Put(t.Context(), farRef, path) != nil {
				n.clock.pass(time.Minute)
			}
			if gone, err := n.confirm(); gone != 1 || err != nil {
				t.Fatal(gone, err)
			}
			fault.begin()
			_, err := n.Open(t.Context(), farRef)
			if !errors.Is(err, blob.ErrUnavailable) || errors.Is(err, blob.ErrNotExist) {
				t.Errorf("open: %v", err)
			}
			contents := map[rem.Ref][]byte{}
			start := time.Now()
			for range 20 {
				content := blobtest.Content(10_000)
				ref, path := blobtest.Spool(t, content)
				if err := n.Put(t.Context(), ref, path); !errors.Is(err, blob.ErrPending) || errors.Is(err, blob.ErrUnavailable) {
					t.Fatalf("put: %v", err)
				}
				if err := n.Upload(t.Context(), ref); !errors.Is(err, blob.ErrUnavailable) {
					t.Fatalf("upload: %v", err)
				}
				contents[ref] = content
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("20 letters took %v", took)
			}
			n.restart()
			for ref, content := range contents {
				n.has(ref, content)
			}
			fault.end()
			for ref := range contents {
				for n.Upload(t.Context(), ref) != nil {
					n.clock.pass(time.Minute)
				}
				if pending, err := n.Check(t.Context(), ref); pending || err != nil {
					t.Errorf("uploaded: %v, %v", pending, err)
				}
			}
			if gone, err := n.confirm(); gone != 20 || err != nil || n.left() != 0 {
				t.Errorf("%d given up, %v, %d left", gone, err, n.left())
			}
			contents[farRef] = far
			for ref, content := range contents {
				n.has(ref, content)
			}
		})
	}
}

// Confirm sends what nobody has sent: a crash between a Put and its commit, or
// an upload that was lost, leaves nothing here for ever.
func TestConfirmSendsWhatIsAbsent(t *testing.T) {
	m := blobtest.StartMinIO(t)
	if m == nil {
		return
	}
	n := newNode(t, m.Client())
	content := blobtest.Content(100)
	ref, path := blobtest.Spool(t, content)
	m.Stop()
	if err := n.Put(t.Context(), ref, path); !errors.Is(err, blob.ErrPending) {
		t.Fatal(err)
	}
	if gone, err := n.confirm(); gone != 0 || !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("while it is down: %d, %v", gone, err)
	}
	m.Start()
	n.clock.pass(time.Minute)
	if pending, err := n.Check(t.Context(), ref); !pending || err != nil {
		t.Errorf("pending %v, %v", pending, err)
	}
	if gone, err := n.confirm(); gone != 0 || err != nil {
		t.Errorf("sent: %d, %v", gone, err)
	}
	if gone, err := n.confirm(); gone != 1 || err != nil {
		t.Errorf("read back: %d, %v", gone, err)
	}
	n.has(ref, content)
}
