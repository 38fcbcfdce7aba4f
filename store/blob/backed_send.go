package blob

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// flight is a transfer under way. It goes on when whoever began it has gone.
type flight struct {
	done chan struct{}
	err  error // once done
}

func (b *Backed) underWay(ref rem.Ref) *flight {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.uploads[ref.SHA256]
}

// send begins to send a file, or joins whoever does. The file is its own.
func (b *Backed) send(ref rem.Ref, from *os.File) *flight {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.uploads[ref.SHA256]; f != nil {
		from.Close()
		return f
	}
	f := &flight{done: make(chan struct{})}
	b.uploads[ref.SHA256] = f
	b.ending.Go(func() {
		defer from.Close()
		b.slots <- struct{}{}
		f.err = b.remote.put(b.life, ref, from)
		<-b.slots
		b.gate.heard(b.now(), f.err)
		b.mu.Lock()
		delete(b.uploads, ref.SHA256)
		if f.err == nil {
			b.sent[ref.SHA256] = true
		}
		b.mu.Unlock()
		close(f.done)
	})
	return f
}

// Upload sends the copy kept here, replacing what the object store has of it in
// another size. Nil: the object store has said that it has it. It waits as long
// as ctx; the transfer goes on after that.
func (b *Backed) Upload(ctx context.Context, ref rem.Ref) error {
	err := b.upload(ctx, ref)
	if errors.Is(err, ErrCorrupt) {
		err = b.replace(ctx, ref)
	}
	if err != nil {
		return fmt.Errorf("upload blob %s: %w", ref, err)
	}
	return nil
}

func (b *Backed) upload(ctx context.Context, ref rem.Ref) error {
	from, err := b.local.open(ref)
	if errors.Is(err, ErrNotExist) { // given up because it was confirmed
		return b.ask(func() error { return b.remote.Verify(ctx, ref) })
	}
	if err != nil {
		return err
	}
	f := b.underWay(ref)
	if f != nil {
		from.Close()
	} else {
		if !b.gate.pass(b.now()) {
			from.Close()
			return ErrUnavailable
		}
		f = b.send(ref, from.File)
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// replace puts the copy, which must be whole, in the place of a damaged object.
func (b *Backed) replace(ctx context.Context, ref rem.Ref) error {
	if err := b.local.Verify(ctx, ref); err != nil {
		return err
	}
	if err := b.ask(func() error { return b.remote.Delete(ctx, ref) }); err != nil {
		return err
	}
	return b.upload(ctx, ref)
}

// ask lets f ask the object store, unless that is known not to answer.
func (b *Backed) ask(f func() error) error {
	if !b.gate.pass(b.now()) {
		return ErrUnavailable
	}
	err := f()
	b.gate.heard(b.now(), err)
	return err
}

// confirming is how many objects are read back at once.
const confirming = 4

// Confirm reads back what was put before a time, gives up the copies of what
// came back whole, and sends the others again: absent ones as what was not sent
// yet, damaged ones and those once sent with an error that says so. It answers
// how many copies were given up.
func (b *Backed) Confirm(ctx context.Context, before time.Time) (int, error) {
	copies, err := b.kept(ctx)
	if err != nil {
		return 0, err
	}
	var (
		group errgroup.Group
		mu    sync.Mutex
		n     int
		wrong []error
	)
	group.SetLimit(confirming)
	for _, c := range copies {
		if !c.time.Before(before) {
			continue
		}
		if ctx.Err() != nil || b.gate.closed(b.now()) {
			break
		}
		group.Go(func() error {
			err := b.confirm(ctx, c.ref, before)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				n++
			} else if !errors.Is(err, ErrPending) {
				wrong = append(wrong, err)
			}
			return nil
		})
	}
	group.Wait()
	if len(wrong) > 10 {
		wrong = append(wrong[:10], fmt.Errorf("and %d more", len(wrong)-10))
	}
	if b.gate.closed(b.now()) {
		wrong = append(wrong, ErrUnavailable)
	}
	return n, errors.Join(append(wrong, ctx.Err())...)
}

// confirm reads one object back: nil when its copy was given up, ErrPending
// when it was sent only now.
func (b *Backed) confirm(ctx context.Context, ref rem.Ref, before time.Time) error {
	b.mu.Lock()
	sent := b.sent[ref.SHA256] // before it is asked for: a transfer may end meanwhile
	b.mu.Unlock()
	err := b.ask(func() error { return b.remote.Verify(ctx, ref) })
	switch {
	case err == nil:
		return b.giveUp(ref, before)
	case errors.Is(err, ErrCorrupt):
		return errors.Join(fmt.Errorf("object store damaged what it took: %w", err), b.replace(ctx, ref))
	case errors.Is(err, ErrNotExist) && sent:
		return errors.Join(fmt.Errorf("object store lost what it took: %w", err), b.Upload(ctx, ref))
	case errors.Is(err, ErrNotExist):
		if err := b.Upload(ctx, ref); err != nil {
			return err
		}
		return ErrPending
	}
	return err
}

// Drained says how many copies are kept: a node may be removed at none.
func (b *Backed) Drained(ctx context.Context) (left int, err error) {
	copies, err := b.kept(ctx)
	return len(copies), err
}
