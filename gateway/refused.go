package gateway

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// refusedPrefix begins the names of refused letters' files.
const refusedPrefix = "refused-"

// perFile is what a file is taken to cost beside its bytes, so that a great
// many small ones are bounded too.
const perFile = 4 << 10

// refusedPath is where the bytes of a refused letter lie for a while.
func (g *Gateway) refusedPath(id string) string { return filepath.Join(g.Spool, refusedPrefix+id) }

// keepRefused keeps the bytes of a refused letter as long as those of all
// refused letters are within Limits.Refused: nobody who may log in can fill the
// disk, and turn letters of others away, with letters that were never accepted.
// The path is "" when they are not kept; their digest is in the evidence.
func (g *Gateway) keepRefused(id string, sp *spooled) (string, error) {
	cost := sp.ref.Size + perFile
	if g.refused.Add(cost) > g.Limits.Refused {
		g.refused.Add(-cost)
		g.Log.Warn("refused letter not kept", "id", id, "size", sp.ref.Size, "limit", g.Limits.Refused)
		return "", nil
	}
	path := g.refusedPath(id)
	if err := os.Rename(sp.path, path); err != nil {
		g.refused.Add(-cost)
		return "", err
	}
	return path, nil
}

// dropRefused removes the bytes of a refused letter, if they are there.
func (g *Gateway) dropRefused(path string) error {
	info, err := os.Lstat(path)
	if err == nil {
		if err = os.Remove(path); err == nil {
			g.refused.Add(-info.Size() - perFile)
		}
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// refusedFiles calls f for each file of a refused letter.
func (g *Gateway) refusedFiles(f func(path string, info os.FileInfo) error) error {
	entries, err := os.ReadDir(g.Spool)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), refusedPrefix) || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err == nil {
			err = f(filepath.Join(g.Spool, e.Name()), info)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// countRefused takes stock of what an earlier life of the node has kept.
func (g *Gateway) countRefused() error {
	return g.refusedFiles(func(_ string, info os.FileInfo) error {
		g.refused.Add(info.Size() + perFile)
		return nil
	})
}
