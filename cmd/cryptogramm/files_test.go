package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		text string
		mode os.FileMode
		want string // of the error; "" for none
	}{
		{"secret\n", 0o600, ""},
		{"secret", 0o400, ""},
		{"secret\r\n", 0o600, ""},
		{"secret\n", 0o604, "chmod 600"},
		{"secret\n", 0o640, "chmod 600"},
		{"secret\n", 0o602, "chmod 600"},
		{"", 0o600, "not one line"},
		{"\n", 0o600, "not one line"},
		{"two\nlines\n", 0o600, "not one line"},
		{strings.Repeat("x", 5000), 0o600, "larger than"},
	} {
		path := filepath.Join(dir, "secret")
		os.Remove(path)
		write(t, path, c.text, c.mode)
		got, err := secret(path)
		switch {
		case c.want == "" && (err != nil || got != "secret"):
			t.Errorf("%q with mode %04o: %q, %v", c.text, c.mode, got, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || got != ""):
			t.Errorf("%.20q with mode %04o: %q, %v; want %q", c.text, c.mode, got, err, c.want)
		case err != nil && strings.Contains(err.Error(), "secret\n"):
			t.Errorf("the error tells the secret: %v", err)
		}
	}
	if _, err := secret(filepath.Join(dir, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}

func TestWriteDurably(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, mode := range []os.FileMode{0o600, 0o644} {
		if err := writeDurably(path, []byte(mode.String()), mode); err != nil {
			t.Fatal(err)
		}
		b, _ := os.ReadFile(path)
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != mode || string(b) != mode.String() {
			t.Errorf("%v, %v, %q", err, info.Mode(), b)
		}
	}
	if err := writeDurably(filepath.Join(dir, "absent", "file"), nil, 0o600); err == nil {
		t.Error("written into a directory that is not there")
	}
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeDurably(filepath.Join(dir, "taken"), nil, 0o600); err == nil {
		t.Error("written over a directory")
	}
	if names, _ := filepath.Glob(filepath.Join(dir, ".new-*")); len(names) > 0 {
		t.Errorf("left behind: %q", names)
	}
}

func TestLockData(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	unlock, err := lockData(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockData(dir)
	if err == nil || !strings.Contains(err.Error(), "in use by process "+strconv.Itoa(os.Getpid())+";") {
		t.Errorf("taken twice: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, err = lockData(dir)
	if err != nil {
		t.Fatalf("not free again: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Dir(dir)} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if _, err := lockData(write(t, filepath.Join(dir, "file"), "", 0o600)); err == nil {
		t.Error("a file was taken for a directory")
	}
}

// TestInstallationIsPrivate: database, keys and letters are the owner's alone,
// also in a directory that is open to others.
func TestInstallationIsPrivate(t *testing.T) {
	dir := emptyInstallation(t)
	db := database(t, dir) // the files beside the database exist now
	if err := db.Audit(t.Context(), "test", "test", ""); err != nil {
		t.Fatal(err)
	}
	permissions(t, dir)
}

func TestLinkKey(t *testing.T) {
	dir := emptyInstallation(t)
	c := defaultConfig()
	c.Data, c.Domain, c.BaseURL = dir, "example.test", "https://example.test"
	path := c.path("keys", "link.key")
	db := database(t, dir)
	first, err := c.linkKey(t.Context(), db)
	if err != nil || len(first) != 32 || bytes.Equal(first, make([]byte, 32)) {
		t.Fatalf("%x, %v", first, err)
	}
	if again, err := c.linkKey(t.Context(), db); err != nil || !bytes.Equal(first, again) {
		t.Errorf("the key changed: %v", err)
	}
	kept, err := db.Setting(t.Context(), settingLinkKey)
	if err != nil || strings.Contains(kept, hex.EncodeToString(first[:4])) {
		t.Errorf("the database keeps %q, %v", kept, err)
	}
	open := func() error {
		i, err := openInstallation(t.Context(), c, slog.New(slog.DiscardHandler))
		if err == nil {
			err = i.close()
		}
		return err
	}
	for _, broken := range []struct {
		what, want string
		do         func() error
	}{
		{"open to others", "chmod 600", func() error { return os.Chmod(path, 0o640) }},
		{"cut short", "want 32", func() error { return errors.Join(os.Chmod(path, 0o600), os.Truncate(path, 31)) }},
		{"another", "not the key of this database", func() error { return os.WriteFile(path, make([]byte, 32), 0o600) }},
		{"missing", "restore it from the backup", func() error { return os.Remove(path) }},
	} {
		if err := broken.do(); err != nil {
			t.Fatal(err)
		}
		if err := open(); err == nil || !strings.Contains(err.Error(), broken.want) {
			t.Errorf("%s: %v, want %q", broken.what, err, broken.want)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("a new key was made beside an old database")
	}
}
