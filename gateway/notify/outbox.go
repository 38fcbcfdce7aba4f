package notify

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// ErrMessageID means that a mail for the outbox has no Message-ID.
var ErrMessageID = errors.New("no Message-ID")

// writeOutbox lays a mail into dir as a file named from its Message-ID. On nil
// the file and its entry are durable: fsync of the file, rename, fsync of the
// directory. A mail that lies there already stays as it is.
func writeOutbox(dir string, mail []byte, messageID string) error {
	if messageID == "" {
		return ErrMessageID
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make outbox: %w", err)
	}
	path := filepath.Join(dir, outboxName(messageID))
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = writeRenamed(path, mail)
	}
	if err == nil {
		// Also when it lay there: the earlier writer may have died before this.
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("write to outbox: %w", err)
	}
	return nil
}

// outboxName keeps what is readable of a Message-ID and adds 64 bits of its
// digest, so that no two share a name and no name leaves the directory.
func outboxName(messageID string) string {
	const readable = 40
	left, _, _ := strings.Cut(strings.Trim(messageID, "<>"), "@")
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, left)
	if len(clean) > readable {
		clean = clean[:readable]
	}
	d := rem.DigestOf([]byte(messageID))
	return clean + "-" + hex.EncodeToString(d[:8]) + ".eml"
}

func writeRenamed(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
