package blob

import (
	"container/list"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// cache is a directory of blobs that were fetched and found right. It begins
// empty, so nothing in it need survive a crash. The longest unused go first.
type cache struct {
	dir  string
	size int64
	lock *os.File

	mu      sync.Mutex
	used    int64
	recent  *list.List // of rem.Ref, the latest in front
	entries map[rem.Digest]*list.Element
	fetches map[rem.Digest]*fetching
	slots   chan struct{} // fetches under way
	all     sync.WaitGroup
}

// maxFetches bounds what fetches take of the disk beside the cache's own size.
const maxFetches = 8

const lockName = "lock"

// newCache takes the directory for this process alone and empties it.
func newCache(dir string, size int64) (*cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, explain("open blob cache", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, explain("open blob cache", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("open blob cache %s: another process uses it: %w", dir, err)
	}
	c := &cache{
		dir: dir, size: size, lock: lock, recent: list.New(), entries: make(map[rem.Digest]*list.Element),
		fetches: make(map[rem.Digest]*fetching), slots: make(chan struct{}, maxFetches),
	}
	if err := c.empty(); err != nil {
		lock.Close()
		return nil, explain("empty blob cache", err)
	}
	return c, nil
}

func (c *cache) empty() error {
	entries, err := os.ReadDir(c.dir)
	for _, e := range entries {
		if err == nil && e.Type().IsRegular() && e.Name() != lockName {
			err = os.Remove(filepath.Join(c.dir, e.Name()))
		}
	}
	return err
}

func (c *cache) close() error {
	c.all.Wait()
	return c.lock.Close()
}

func (c *cache) file(ref rem.Ref) string { return filepath.Join(c.dir, ref.SHA256.String()) }

// fetching is one blob on its way into the cache, and those who wait for it.
// They share the file: it may be out of the cache again before they read.
type fetching struct {
	ref     rem.Ref
	done    chan struct{}
	file    *os.File // once done
	err     error
	waiting int // who has not closed it yet; under cache.mu
}

// open opens a cached blob; otherwise fetch is to write it into a file and say
// whether that has its digest. Of those who want one blob at once, one fetches.
func (c *cache) open(ctx context.Context, ref rem.Ref, fetch func(*os.File) error) (Blob, error) {
	c.mu.Lock()
	if e := c.entries[ref.SHA256]; e != nil {
		c.recent.MoveToFront(e)
		f, err := openExact(c.file(ref), ref.Size)
		c.mu.Unlock()
		if err != nil {
			return nil, err
		}
		return &dirBlob{f, ref.Size}, nil
	}
	f := c.fetches[ref.SHA256]
	if f == nil {
		f = &fetching{ref: ref, done: make(chan struct{})}
		c.fetches[ref.SHA256] = f
		c.all.Go(func() { c.fetch(f, fetch) })
	}
	f.waiting++
	c.mu.Unlock()
	select {
	case <-f.done:
		if f.err == nil && f.ref.Size != ref.Size {
			c.leave(f)
			return nil, fmt.Errorf("%w: %d octets, want %d", ErrCorrupt, f.ref.Size, ref.Size)
		}
		if f.err != nil {
			return nil, f.err
		}
		return &fetched{c: c, f: f}, nil
	case <-ctx.Done():
		c.leave(f)
		return nil, ctx.Err()
	}
}

func (c *cache) fetch(f *fetching, fetch func(*os.File) error) {
	c.slots <- struct{}{}
	defer func() { <-c.slots }()
	path := filepath.Join(c.dir, "fetch-"+strings.ToLower(rand.Text()))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		err = fetch(file)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.fetches, f.ref.SHA256)
	if err == nil {
		err = c.add(f.ref, path)
	}
	if err != nil && file != nil {
		file.Close()
		os.Remove(path)
		file = nil
	}
	f.file, f.err = file, err
	close(f.done)
	if f.waiting == 0 && file != nil {
		file.Close()
	}
}

// add takes a fetched file in; one that is larger than all of the cache is for
// those who have it open.
func (c *cache) add(ref rem.Ref, path string) error {
	if ref.Size+perCopy > c.size {
		return os.Remove(path)
	}
	if err := os.Rename(path, c.file(ref)); err != nil {
		return err
	}
	c.entries[ref.SHA256] = c.recent.PushFront(ref)
	c.used += ref.Size + perCopy
	for c.used > c.size {
		c.remove(c.recent.Back())
	}
	return nil
}

func (c *cache) remove(e *list.Element) {
	ref := c.recent.Remove(e).(rem.Ref)
	delete(c.entries, ref.SHA256)
	c.used -= ref.Size + perCopy
	os.Remove(c.file(ref)) // what stays is removed at the next start
}

func (c *cache) drop(ref rem.Ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[ref.SHA256]; e != nil {
		c.remove(e)
	}
}

// leave closes the shared file when the last who waited for it has gone.
func (c *cache) leave(f *fetching) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.waiting--; f.waiting == 0 && f.file != nil {
		return f.file.Close()
	}
	return nil
}

// fetched is a share in a fetched file.
type fetched struct {
	c    *cache
	f    *fetching
	once sync.Once
}

func (b *fetched) ReadAt(p []byte, off int64) (int, error) { return b.f.file.ReadAt(p, off) }
func (b *fetched) Size() int64                             { return b.f.ref.Size }

func (b *fetched) Close() error {
	err := fs.ErrClosed
	b.once.Do(func() { err = b.c.leave(b.f) })
	if errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("close blob: %w", err)
	}
	return err
}
