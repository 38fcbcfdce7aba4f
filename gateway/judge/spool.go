package judge

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// spool holds the contents of opaque signatures while one letter is judged, so
// that they can be parsed by offsets. Up to maxMemory in all they stay in
// memory; beyond, they go to one temporary file whose name is removed at once,
// so that nothing is left even after a kill.
type spool struct {
	dir  string
	held int64
	file *os.File
	size int64 // octets in file
}

// add reads r to its end and answers with its octets.
func (s *spool) add(r io.Reader) (io.ReaderAt, int64, error) {
	var head bytes.Buffer
	n, err := io.Copy(&head, io.LimitReader(r, maxMemory-s.held+1))
	if err != nil {
		return nil, 0, err
	}
	if s.held+n <= maxMemory {
		s.held += n
		return bytes.NewReader(head.Bytes()), n, nil
	}
	if s.file == nil {
		if err := s.create(); err != nil {
			return nil, 0, err
		}
	}
	at := s.size
	n, err = io.Copy(s.file, io.MultiReader(&head, r))
	s.size += n
	if err != nil {
		return nil, 0, err
	}
	return io.NewSectionReader(s.file, at, n), n, nil
}

func (s *spool) create() error {
	f, err := os.CreateTemp(s.dir, "judge-*")
	if err != nil {
		return fmt.Errorf("spool of signed content: %w", err)
	}
	s.file = f
	return os.Remove(f.Name())
}

func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
