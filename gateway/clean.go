package gateway

import (
	"context"
	"os"
	"time"

	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// leftover is how old a spool file or an unreferenced blob must be before it
// is taken for what a crash left behind; no letter is in work that long.
const leftover = time.Hour

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
// again under the lock.
func (g *Gateway) cleanBlobs(ctx context.Context, before time.Time) error {
	var old []rem.Ref
	err := g.Blobs.List(ctx, func(ref rem.Ref, modified time.Time) error {
		used, err := g.DB.BlobReferenced(ctx, ref)
		if err == nil && !used && modified.Before(before) {
			old = append(old, ref)
		}
		return err
	})
	for _, ref := range old {
		if err == nil {
			err = g.removeUnreferenced(ctx, ref)
		}
	}
	return err
}

func (g *Gateway) removeUnreferenced(ctx context.Context, ref rem.Ref) error {
	g.linking.Lock()
	defer g.linking.Unlock()
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
