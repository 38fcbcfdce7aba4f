package gateway

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
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
	// Named after its hour: however often the node starts, and queues a
	// cleaning then, one an hour remains.
	next := store.Job{Kind: jobClean, Subject: g.Node, Node: g.Node, Due: now.Add(leftover), Created: now}
	next.ID = jobClean + "-" + g.Node + "-" + next.Due.UTC().Format("20060102T15")
	return store.Outcome{Jobs: []store.Job{next}}, nil
}

// cleanRefused removes the bytes of refused letters that no drop job knows: the
// process died between their renaming and the commit of the refusal.
func (g *Gateway) cleanRefused(before time.Time) error {
	entries, err := os.ReadDir(g.Spool)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), refusedPrefix) || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err == nil && info.ModTime().Before(before) {
			err = os.Remove(filepath.Join(g.Spool, e.Name()))
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
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
	if err := os.Remove(g.refusedPath(j.Subject)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return store.Outcome{}, err
	}
	return store.Outcome{}, g.DB.DropRefusedBytes(ctx, j.Subject)
}
