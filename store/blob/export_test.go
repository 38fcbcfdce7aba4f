package blob

import (
	"crypto/sha256"
	"os"
)

// NewSpool lets a test write to a file of its own, such as a full device.
func NewSpool(f *os.File) *Spool {
	return &Spool{file: f, path: f.Name(), buf: make([]byte, 0, spoolBuffer), hash: sha256.New()}
}

// MaxPause is how long an object store is left alone at most.
const MaxPause = maxPause
