package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// faulty is the real directory with faults put before its Put.
type faulty struct {
	blob.Store
	mu  sync.Mutex
	put func() error // before the real one; nil: none
}

func (f *faulty) fault() error {
	f.mu.Lock()
	put := f.put
	f.mu.Unlock()
	if put == nil {
		return nil
	}
	return put()
}

func (f *faulty) set(put func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put = put
}

func (f *faulty) Put(ctx context.Context, ref rem.Ref, path string) error {
	if err := f.fault(); err != nil {
		return err
	}
	return f.Store.Put(ctx, ref, path)
}

func newFaultyWorld(t *testing.T) (*world, *faulty) {
	f := &faulty{}
	w := newWorld(t, func(c *Config) {
		f.Store = c.Blobs
		c.Blobs = f
	})
	return w, f
}

func always(err error) func() error { return func() error { return err } }

// R5: what passes by itself costs this letter a temporary answer, no more.
func TestPassingFaultsHeal(t *testing.T) {
	w, f := newFaultyWorld(t)
	letter := signed(t, w.anna.Party)
	before := w.rows()
	for name, c := range map[string]struct{ fault, want error }{
		"disk full":        {fmt.Errorf("link: %w: %w", blob.ErrFull, syscall.ENOSPC), ErrFull},
		"no descriptors":   {fmt.Errorf("open: %w", syscall.EMFILE), syscall.EMFILE},
		"one damaged blob": {fmt.Errorf("put: %w", blob.ErrCorrupt), blob.ErrCorrupt},
		"too slow":         {context.DeadlineExceeded, context.DeadlineExceeded},
	} {
		f.set(always(c.fault))
		_, err := w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(letter))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if after := w.rows(); !equalCounts(before, after) {
			t.Errorf("%s: rows %v, before %v", name, after, before)
		}
		w.wantSpool()
	}
	f.set(nil)
	w.send(letter, bob)
	w.fsck()
}

// R4: after a failed fsync nothing is accepted any more, and reading goes on.
func TestFailedFsyncStopsIntake(t *testing.T) {
	w, f := newFaultyWorld(t)
	c := w.to(w.send(signed(t, w.anna.Party), bob), bob)
	letter := signed(t, w.anna.Party)
	before := w.rows()
	f.set(always(fmt.Errorf("fsync directory: %w", syscall.EIO)))
	_, err := w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(letter))
	if !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v", err)
	}
	f.set(nil) // the kernel's second fsync would say "all well"
	for range 3 {
		_, err = w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(letter))
		wantError(t, err, ErrStopped)
	}
	if after := w.rows(); !equalCounts(before, after) {
		t.Errorf("rows %v, before %v", after, before)
	}
	w.wantSpool()
	if n := strings.Count(w.log.String(), "intake stopped"); n != 1 {
		t.Errorf("the operator is told %d times", n)
	}
	w.take(c)
	content(t)(w.OpenLetter(t.Context(), w.anna.user, c.ID))
	w.fsck()
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestFailedCommit(t *testing.T) {
	w := newWorld(t)
	wantError(t, w.commit(fmt.Errorf("add: %w", store.ErrFull)), ErrFull)
	if w.stopped.Load() {
		t.Error("a full disk stops intake")
	}
	some := errors.New("some error")
	wantError(t, w.commit(some), some)
	if w.stopped.Load() {
		t.Error("any error stops intake")
	}
	wantError(t, w.commit(fmt.Errorf("add: %w", store.ErrStopped)), ErrStopped)
	_, err := w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(signed(t, w.anna.Party)))
	wantError(t, err, ErrStopped)
}

// A client that hangs up while we write gets nothing half: all of it is there,
// and its next try is answered with the same id.
func TestClientHangsUpDuringCommit(t *testing.T) {
	w, f := newFaultyWorld(t)
	letter := signed(t, w.anna.Party)
	ctx, hangUp := context.WithCancel(t.Context())
	f.set(func() error { hangUp(); return nil })
	env := w.envelope(w.anna, bob)
	id, err := w.Receive(ctx, env, strings.NewReader(letter))
	w.must(err)
	if ctx.Err() == nil {
		t.Fatal("the client never hung up")
	}
	f.set(nil)
	if again := w.send(letter, bob); again != id || id != env.ID {
		t.Errorf("ids %s, %s", id, again)
	}
	w.fsck()
}

// A refusal is recorded whole as well.
func TestClientHangsUpDuringRefusal(t *testing.T) {
	w := newWorld(t)
	ctx, hangUp := context.WithCancel(t.Context())
	before := w.rows()
	_, err := w.Receive(ctx, w.envelope(w.anna, bob), &atEnd{strings.NewReader(header() + body()), hangUp})
	wantError(t, err, context.Canceled)
	if after := w.rows(); !equalCounts(before, after) {
		t.Errorf("rows %v, before %v", after, before)
	}
	w.wantSpool()
}

// atEnd calls do when all has been read.
type atEnd struct {
	r  io.Reader
	do func()
}

func (a *atEnd) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	if err == io.EOF {
		a.do()
	}
	return n, err
}

func TestBusySlots(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Slots, c.Limits.SlotWait = 1, 10*time.Millisecond })
	letter := signed(t, w.anna.Party)
	release, err := w.slot(t.Context())
	w.must(err)
	_, err = w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(letter))
	wantError(t, err, ErrBusy)
	w.wantSpool()
	release()
	w.send(letter, bob)
	_, err = w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(header()+body()))
	refused(t, err)
	w.send(letter, dora) // a refusal gave its slot back
}

// Slots are for judging: a letter that waits for the disk holds none.
func TestWritingTakesNoSlot(t *testing.T) {
	w, f := newFaultyWorld(t)
	w.slots = make(chan struct{}, 1)
	w.Limits.SlotWait = 10 * time.Millisecond
	first, second := signed(t, w.anna.Party), signed(t, w.anna.Party)
	var inner error
	f.set(func() error {
		f.set(nil)
		_, inner = w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(second))
		return nil
	})
	w.send(first, bob)
	w.must(inner)
}

// A judgement that our own disk broke off is no verdict: the letter is neither
// refused for good nor accepted, and nothing is attested.
func TestInterruptedJudgementIsNoVerdict(t *testing.T) {
	w := newWorld(t)
	big := opaque(t, w.anna.Party, mixed(text("Big."), file("big.bin", strings.Repeat("0123456789abcdef", 1<<17))))
	sp, err := w.spool(strings.NewReader(big))
	w.must(err)
	defer sp.remove()
	w.must(os.Rename(w.Spool, w.Spool+".away")) // the content cannot be laid aside
	x, err := w.examine(t.Context(), w.envelope(w.anna, bob), sp)
	if err == nil {
		t.Fatalf("found %s %s", x.finding.Verdict, x.finding.Reason)
	}
	w.must(os.Rename(w.Spool+".away", w.Spool))
	if x, err = w.examine(t.Context(), w.envelope(w.anna, bob), sp); err != nil || x.finding.Verdict != rem.Passed {
		t.Errorf("found %s %s, %v", x.finding.Verdict, x.finding.Detail, err)
	}

	good := []byte(signed(t, w.anna.Party))
	letter, err := message.Parse(&dying{bytes.NewReader(good), len(good)}, int64(len(good)), message.DefaultLimits())
	w.must(err)
	seat, err := w.seat(t.Context())
	w.must(err)
	defer seat.leave()
	party := rem.Party{Addresses: w.anna.user.Addresses}
	f, err := w.judge(t.Context(), seat, judging{letter: letter, party: party, moments: moments{at: w.Now()}})
	if err == nil {
		t.Errorf("found %s %s", f.Verdict, f.Reason)
	}
}

// dying is a disk that can be read once.
type dying struct {
	*bytes.Reader
	left int
}

func (d *dying) ReadAt(p []byte, off int64) (int, error) {
	if d.left -= len(p); d.left < 0 {
		d.left += len(p)
		return 0, syscall.EIO
	}
	return d.Reader.ReadAt(p, off)
}
