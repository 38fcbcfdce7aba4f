package gateway

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// spooled is one letter on local disk: its exact wire bytes, on their way to
// being durable.
type spooled struct {
	file    *os.File
	path    string
	ref     rem.Ref
	durable func() error // waits for the file's fsync
}

// spool streams r to a local file, hashing while it writes. The fsync of the
// file goes on while the letter is judged: nothing may come of it before
// durable has answered nil. The name becomes durable with blob.Put.
//
// Bare line ends, NUL and excess size are errors of package message; the file
// is gone then.
func (g *Gateway) spool(r io.Reader) (*spooled, error) {
	return g.spoolMail(message.StrictCRLF(r, g.Limits.Letter))
}

// spoolMail is spool for octets that are bounded and kept as they are.
func (g *Gateway) spoolMail(r io.Reader) (*spooled, error) {
	s, err := blob.CreateSpool(g.Spool)
	if err != nil {
		return nil, storage(err)
	}
	if _, err = io.Copy(s, r); err != nil {
		s.Discard()
		return nil, storage(err)
	}
	ref, err := s.End()
	if err != nil {
		g.stop("spool", err)
		s.Discard()
		return nil, storage(err)
	}
	f, err := os.Open(s.Path())
	if err != nil {
		s.Discard()
		return nil, err
	}
	fsync := make(chan error, 1)
	go func() {
		_, err := s.Commit()
		fsync <- err
	}()
	durable := sync.OnceValue(func() error {
		err := <-fsync
		if err != nil {
			g.stop("fsync of the spool", err)
		}
		return storage(err)
	})
	return &spooled{file: f, path: s.Path(), ref: ref, durable: durable}, nil
}

// remove drops the local file. The blob store has its own copy or link.
func (s *spooled) remove() {
	_ = s.durable() // the file is in use until then; whoever needs it has asked
	s.file.Close()
	os.Remove(s.path)
}

// storage maps "no space" to ErrFull (R5): the sender is asked to try later.
func storage(err error) error {
	if errors.Is(err, blob.ErrFull) {
		return errors.Join(ErrFull, err)
	}
	return err
}

// stop ends intake for good: after a failed fsync nothing that is written can
// be believed (R4). Reading goes on; only a restart accepts letters again.
//
// What says nothing of the disk passes: a full one heals (R5), a damaged blob is
// one blob, an object store comes back, and whoever uses up our file descriptors
// or our time must not end the intake of others.
func (g *Gateway) stop(what string, err error) {
	for _, passing := range []error{
		blob.ErrFull, blob.ErrCorrupt, blob.ErrUnavailable, syscall.EMFILE, syscall.ENFILE, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, passing) {
			return
		}
	}
	if !g.stopped.Swap(true) {
		g.Log.Error("intake stopped", "cause", what, "error", err)
	}
}

// slowDisk is how many octets of a letter per second are read at least: each is
// read several times, and a big letter has no place in the memory between.
const slowDisk = 4 << 20

// letterTime is how long a letter may take to be judged, and again to be stored.
func (g *Gateway) letterTime(size int64) time.Duration {
	return g.Limits.JudgeTime + time.Duration(size/slowDisk)*time.Second
}

// slot takes one judging slot, waiting at most SlotWait.
func (g *Gateway) slot(ctx context.Context) (release func(), err error) {
	t := time.NewTimer(g.Limits.SlotWait)
	defer t.Stop()
	select {
	case g.slots <- struct{}{}:
		return func() { <-g.slots }, nil
	case <-t.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
