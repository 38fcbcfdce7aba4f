package blob

import (
	"bufio"
	"crypto/sha256"
	"os"
)

// NewSpool lets a test write to a file of its own, such as a full device.
func NewSpool(f *os.File) *Spool {
	return &Spool{file: f, path: f.Name(), buf: bufio.NewWriterSize(f, spoolBuffer), hash: sha256.New()}
}
