package gateway

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"os"
	"time"

	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// leftover is how old a spool file or an unreferenced blob must be before it
// is taken for what a crash left behind; no letter is in work that long.
const leftover = time.Hour

// expungedFor is how long it is known which messages of a mailbox have gone.
const expungedFor = 30 * 24 * time.Hour

// clean removes what crashes left on this node, and comes back in an hour.
func (g *Gateway) clean(ctx context.Context, j *store.Job) (store.Outcome, error) {
	now := g.Now()
	if _, err := blob.CleanSpool(g.Spool, now.Add(-leftover)); err != nil {
		return store.Outcome{}, err
	}
	if err := g.cleanRefused(now.Add(-g.Limits.RefusedFor - leftover)); err != nil {
		return store.Outcome{}, err
	}
	if err := g.cleanBlobs(ctx, now.Add(-leftover)); err != nil {
		return store.Outcome{}, err
	}
	if err := g.DB.PruneTombstones(ctx, now.Add(-expungedFor)); err != nil {
		return store.Outcome{}, err
	}
	return store.Outcome{Jobs: []store.Job{g.cleanJob(now.Add(leftover))}}, nil
}

// cleanJob is named after its hour: however many of them follow from the starts
// of a node, one an hour remains.
func (g *Gateway) cleanJob(due time.Time) store.Job {
	id := jobClean + "-" + g.Node + "-" + due.UTC().Format("20060102T15")
	return store.Job{ID: id, Kind: jobClean, Subject: g.Node, Node: g.Node, Due: due}
}

// cleanRefused removes the bytes of refused letters that no drop job knows: the
// process died between their renaming and the commit of the refusal.
func (g *Gateway) cleanRefused(before time.Time) error {
	return g.refusedFiles(func(path string, info os.FileInfo) error {
		if !info.ModTime().Before(before) {
			return nil
		}
		return g.dropRefused(path)
	})
}

// cleanBlobs removes blobs that no row refers to. Between a letter's Put and
// its commit its blob is unreferenced too, and may be an old file that the Put
// found in place: accept holds g.linking for that while, and each removal looks
// again under the lock. Another node, which has a lock of its own, keeps a copy
// of what it put for confirmAge at least, and finds the removal when it reads
// back.
func (g *Gateway) cleanBlobs(ctx context.Context, before time.Time) error {
	var old []rem.Ref
	err := eachBlob(ctx, g.DB, g.Blobs, func(b storedBlob) error {
		if !b.used && b.modified.Before(before) {
			old = append(old, b.Ref)
		}
		return nil
	})
	for _, ref := range old {
		if err == nil {
			err = g.removeUnreferenced(ctx, ref)
		}
	}
	return err
}

// storedBlob is a blob that is there, needed or not.
type storedBlob struct {
	rem.Ref
	modified time.Time
	used     bool // when it was listed; a letter may have come since
}

// eachBlob lists the blobs beside those that the database needs. Both come in
// the order of digests, so that a million of them cost a thousand queries.
func eachBlob(ctx context.Context, db *store.DB, blobs blob.Store, f func(storedBlob) error) error {
	next, stop := iter.Pull2(func(yield func(rem.Ref, error) bool) {
		err := db.BlobRefs(ctx, func(ref rem.Ref) error {
			if !yield(ref, nil) {
				return context.Canceled
			}
			return nil
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			yield(rem.Ref{}, err)
		}
	})
	defer stop()
	needed, err, more := next()
	return errors.Join(err, blobs.List(ctx, func(ref rem.Ref, modified time.Time) error {
		for more && err == nil && bytes.Compare(needed.SHA256[:], ref.SHA256[:]) < 0 {
			needed, err, more = next()
		}
		if err != nil {
			return err
		}
		return f(storedBlob{ref, modified, more && needed.SHA256 == ref.SHA256})
	}))
}

// removeTime bounds one removal: letters wait meanwhile, and another node must
// not have given up its copy.
const removeTime = 10 * time.Second

// removeUnreferenced waits for nobody: a letter may be on its way to a slow
// object store, and whoever waited for it would hold up all that come after.
// What it leaves is there for the next cleaning.
func (g *Gateway) removeUnreferenced(ctx context.Context, ref rem.Ref) error {
	if !g.linking.TryLock() {
		return nil
	}
	defer g.linking.Unlock()
	ctx, done := context.WithTimeout(ctx, removeTime)
	defer done()
	used, err := g.DB.BlobReferenced(ctx, ref)
	if err != nil || used {
		return err
	}
	return g.Blobs.Delete(ctx, ref)
}

// drop deletes the bytes of a refused letter; their hashes stay in evidence.
func (g *Gateway) drop(ctx context.Context, j *store.Job) (store.Outcome, error) {
	if err := g.dropRefused(g.refusedPath(j.Subject)); err != nil {
		return store.Outcome{}, err
	}
	return store.Outcome{}, g.DB.DropRefusedBytes(ctx, j.Subject)
}
