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

// outbox is a directory of mails.
type outbox struct {
	dir     string
	durable bool
}

// write lays a mail there as a file named from its Message-ID. On nil, in a
// durable outbox, the file and its entry are so: fsync of the file, rename,
// fsync of the directory. A mail that lies there already stays as it is.
func (o outbox) write(mail []byte, messageID string) error {
	if messageID == "" {
		return ErrMessageID
	}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return fmt.Errorf("make outbox: %w", err)
	}
	path := filepath.Join(o.dir, outboxName(messageID))
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = o.put(path, mail)
	}
	if err == nil && o.durable {
		// Also when it lay there: the earlier writer may have died before this.
		err = syncDir(o.dir)
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

// put writes a file under another name first: nobody sees half of one.
func (o outbox) put(path string, b []byte) (err error) {
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
	if err == nil && o.durable {
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
