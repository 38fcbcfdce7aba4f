package blob

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// BackedConfig says where a Backed keeps what.
type BackedConfig struct {
	Local     string           // directory of the copies kept, on the file system of the spool
	Cache     string           // directory of fetched blobs, of one process; emptied at the start
	Room      int64            // octets of copies kept; 0: 10 GiB
	CacheSize int64            // octets of fetched blobs, beside those in use; 0: 1 GiB
	Remote    *S3              // where blobs are to last
	Now       func() time.Time // nil: time.Now
	PutTime   time.Duration    // how long Put waits for the object store; 0: 10 s
}

// Backed keeps blobs in an object store that may be down, slow or lying. Every
// blob is durable here before it is sent, and stays here until Confirm has read
// it back from there, whole and right; what is fetched is served from a file
// whose digest was checked.
//
// The kept copies are a node's only state. Two processes may share Local, one
// of them reading only.
type Backed struct {
	local   *Dir
	remote  *S3
	cache   *cache
	now     func() time.Time
	room    int64
	putTime time.Duration

	held   atomic.Int64    // room taken by kept copies
	copies [256]sync.Mutex // by first octet: a copy is put or given up
	gate   gate
	slots  chan struct{} // uploads under way

	mu      sync.Mutex
	uploads map[rem.Digest]*flight
	sent    map[rem.Digest]bool // kept copies whose PUT was answered with yes
	life    context.Context
	end     context.CancelFunc
	ending  sync.WaitGroup
}

// perCopy is what a file is taken to cost beside its octets.
const perCopy = 4 << 10

// maxUploads is how many blobs are on their way at once.
const maxUploads = 64

// NewBacked opens the directories and takes stock of the copies that an earlier
// life of the node has kept. The object store is not asked.
func NewBacked(c BackedConfig) (*Backed, error) {
	if c.Remote == nil {
		return nil, errors.New("a backed blob store needs an object store")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	local, err := NewDir(c.Local)
	if err != nil {
		return nil, err
	}
	b := &Backed{
		local: local, remote: c.Remote, now: c.Now, slots: make(chan struct{}, maxUploads),
		room: cmp.Or(c.Room, 10<<30), putTime: cmp.Or(c.PutTime, 10*time.Second),
		uploads: make(map[rem.Digest]*flight), sent: make(map[rem.Digest]bool),
	}
	b.life, b.end = context.WithCancel(context.Background())
	if b.cache, err = newCache(c.Cache, cmp.Or(c.CacheSize, 1<<30)); err != nil {
		return nil, err
	}
	err = local.List(b.life, func(ref rem.Ref, _ time.Time) error {
		b.held.Add(ref.Size + perCopy)
		return nil
	})
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// Close ends what is under way and gives the cache free. What was not sent is
// sent in the node's next life.
func (b *Backed) Close() error {
	b.end()
	b.ending.Wait()
	return b.cache.close()
}

// Put keeps the file here, durably, and sends it meanwhile. ErrPending: it is
// kept, and Upload has to be called until it answers nil. ErrFull: there is no
// room for another copy.
func (b *Backed) Put(ctx context.Context, ref rem.Ref, path string) error {
	f, err := openExact(path, ref.Size)
	if err != nil {
		return explain("put blob "+ref.String(), err)
	}
	fresh, err := b.reserve(ref)
	if err != nil {
		f.Close()
		return fmt.Errorf("put blob %s: %w", ref, err)
	}
	var sending *flight
	if b.gate.pass(b.now()) {
		sending = b.send(ref, f)
	} else {
		f.Close()
	}
	if err := b.keep(ref, path, fresh); err != nil {
		return err
	}
	if sending == nil {
		return fmt.Errorf("put blob %s: %w", ref, ErrPending)
	}
	wait := time.NewTimer(b.putTime)
	defer wait.Stop()
	select {
	case <-sending.done:
		return b.answered(ctx, ref, sending.err)
	case <-ctx.Done():
	case <-wait.C:
		if ref.Size < int64(b.putTime.Seconds())*leastSpeed { // it is not the blob's size
			b.gate.shut(b.now())
		}
	}
	return fmt.Errorf("put blob %s: %w", ref, ErrPending)
}

// answered is the answer to a Put whose copy is kept. Only where the copy is
// not what it should be does the object store's word matter.
func (b *Backed) answered(ctx context.Context, ref rem.Ref, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrCorrupt) {
		if err := b.local.Verify(ctx, ref); err != nil {
			return errors.Join(err, b.giveUp(ref, b.now().Add(time.Second)))
		}
	}
	return fmt.Errorf("put blob %s: %w: %v", ref, ErrPending, err)
}

// reserve takes room for a copy, unless there is one.
func (b *Backed) reserve(ref rem.Ref) (fresh bool, err error) {
	_, file := b.local.place(ref)
	if _, err := os.Lstat(file); err == nil {
		return false, nil
	}
	cost := ref.Size + perCopy
	if b.held.Add(cost) > b.room {
		b.held.Add(-cost)
		return false, fmt.Errorf("%w: %d octets of copies are kept until the object store has them", ErrFull, b.held.Load())
	}
	return true, nil
}

// keep makes the copy durable. Its time is that of the last Put, so that one
// that was just put again is not given up for an earlier one.
func (b *Backed) keep(ref rem.Ref, path string, reserved bool) error {
	m := &b.copies[ref.SHA256[0]]
	m.Lock()
	defer m.Unlock()
	_, file := b.local.place(ref)
	_, absent := os.Lstat(file)
	err := b.local.Put(b.life, ref, path)
	if added := err == nil && absent != nil; added != reserved {
		cost := ref.Size + perCopy
		if reserved {
			cost = -cost
		}
		b.held.Add(cost)
	}
	if err != nil {
		return err
	}
	now := b.now()
	if err := os.Chtimes(file, now, now); err != nil {
		return explain("put blob "+ref.String(), err)
	}
	return nil
}

// Open opens the copy kept here, or the cached one, or fetches it.
func (b *Backed) Open(ctx context.Context, ref rem.Ref) (Blob, error) {
	f, err := b.local.open(ref)
	if err == nil {
		return f, nil
	}
	if errors.Is(err, ErrNotExist) {
		var cached Blob
		if cached, err = b.cache.open(ctx, ref, func(to *os.File) error { return b.fetch(ref, to) }); err == nil {
			return cached, nil
		}
	}
	return nil, fmt.Errorf("open blob %s: %w", ref, err)
}

func (b *Backed) fetch(ref rem.Ref, to *os.File) error {
	return b.ask(func() error { return b.remote.fetch(b.life, ref, to) })
}

// Verify reads a blob where it is to last, or here while it is kept here alone.
func (b *Backed) Verify(ctx context.Context, ref rem.Ref) error {
	here, there := b.local.Verify(ctx, ref), b.remote.Verify(ctx, ref)
	_, err := compare(here, there)
	return err
}

// Check is Verify for one who goes on to Open the blob: what is not kept here
// is read through the cache, once in the life of this Backed. pending: it is
// here alone yet.
func (b *Backed) Check(ctx context.Context, ref rem.Ref) (pending bool, err error) {
	here := b.local.Verify(ctx, ref)
	if !errors.Is(here, ErrNotExist) {
		return compare(here, b.remote.Verify(ctx, ref))
	}
	whole, err := b.Open(ctx, ref)
	if err != nil {
		return false, err
	}
	return false, whole.Close()
}

func compare(here, there error) (pending bool, err error) {
	switch {
	case errors.Is(here, ErrNotExist):
		return false, there
	case here != nil:
		return false, fmt.Errorf("copy kept here: %w", here)
	case errors.Is(there, ErrNotExist):
		return true, nil
	}
	return false, there
}

// Delete removes a blob from everywhere. Where the object store cannot be asked
// it is nowhere removed.
func (b *Backed) Delete(ctx context.Context, ref rem.Ref) error {
	if f := b.underWay(ref); f != nil {
		select {
		case <-f.done:
		case <-ctx.Done():
			return fmt.Errorf("delete blob %s: %w", ref, ctx.Err())
		}
	}
	if err := b.remote.Delete(ctx, ref); err != nil {
		return err
	}
	b.cache.drop(ref)
	m := &b.copies[ref.SHA256[0]]
	m.Lock()
	defer m.Unlock()
	return b.removeCopy(ref)
}

// giveUp removes a copy that was last put before a time. That need not be
// durable: one that comes back is given up again.
func (b *Backed) giveUp(ref rem.Ref, before time.Time) error {
	m := &b.copies[ref.SHA256[0]]
	m.Lock()
	defer m.Unlock()
	_, file := b.local.place(ref)
	if info, err := os.Lstat(file); err == nil && !info.ModTime().Before(before) {
		return nil
	}
	return b.removeCopy(ref)
}

func (b *Backed) removeCopy(ref rem.Ref) error {
	_, file := b.local.place(ref)
	err := os.Remove(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return explain("remove copy of blob "+ref.String(), err)
	}
	b.held.Add(-ref.Size - perCopy)
	b.mu.Lock()
	delete(b.sent, ref.SHA256)
	b.mu.Unlock()
	return nil
}

// List calls f for what is kept here and what is in the object store, in the
// order of digests, each once and with the later of its times.
func (b *Backed) List(ctx context.Context, f func(ref rem.Ref, modified time.Time) error) error {
	here, err := b.kept(ctx)
	if err != nil {
		return err
	}
	err = b.remote.List(ctx, func(ref rem.Ref, modified time.Time) error {
		for len(here) > 0 && here[0].ref.SHA256.String() < ref.SHA256.String() {
			first := here[0]
			here = here[1:]
			if err := f(first.ref, first.time); err != nil {
				return err
			}
		}
		if len(here) > 0 && here[0].ref.SHA256 == ref.SHA256 {
			if here[0].time.After(modified) {
				modified = here[0].time
			}
			here = here[1:]
		}
		return f(ref, modified)
	})
	for _, c := range here {
		if err == nil {
			err = f(c.ref, c.time)
		}
	}
	return err
}

type keptCopy struct {
	ref  rem.Ref
	time time.Time
}

// kept are the copies here, in the order of digests.
func (b *Backed) kept(ctx context.Context) (out []keptCopy, err error) {
	err = b.local.List(ctx, func(ref rem.Ref, modified time.Time) error {
		out = append(out, keptCopy{ref, modified})
		return nil
	})
	return out, err
}
