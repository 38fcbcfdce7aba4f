package notify

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
)

func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestOutbox(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "outbox")
	s := &Sender{Outbox: dir}
	put := func(id, mail string) {
		t.Helper()
		if err := s.Send(context.Background(), "a@x.example", "b@x.example", []byte(mail), id); err != nil {
			t.Fatal(err)
		}
	}
	put("<abc123@gate.example>", "one")
	put("<abc123@gate.example>", "one")
	put("<abc123@other.example>", "two")
	list := files(t, dir)
	if len(list) != 2 {
		t.Fatalf("%v", list)
	}
	for _, name := range list {
		if !regexp.MustCompile(`^abc123-[0-9a-f]{16}\.eml$`).MatchString(name) {
			t.Errorf("name %s", name)
		}
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, outboxName("<abc123@gate.example>")))
	if err != nil || string(b) != "one" {
		t.Errorf("%q %v", b, err)
	}
}

// TestOutboxNames: no Message-ID leads out of the directory or hides a file.
func TestOutboxNames(t *testing.T) {
	seen := map[string]string{}
	for _, id := range []string{"<../../etc/passwd@x>", "<a/b@x>", "<.hidden@x>", "<a\x00b@x>", "<>", "@", "<A@x>", "<a@x>", "<" + string(bytes.Repeat([]byte("z"), 5000)) + "@x>", "<é@x>"} {
		name := outboxName(id)
		if !regexp.MustCompile(`^[A-Za-z0-9-]{0,40}-[0-9a-f]{16}\.eml$`).MatchString(name) {
			t.Errorf("%q becomes %q", id, name)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("%q and %q share a name", id, other)
		}
		seen[name] = id
	}
}

func TestOutboxErrors(t *testing.T) {
	dir := t.TempDir()
	occupied := filepath.Join(dir, "file")
	if err := os.WriteFile(occupied, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var permanent *PermanentError
	for name, c := range map[string]struct {
		sender *Sender
		id     string
		want   error
	}{
		"nothing configured": {&Sender{}, "<a@x>", ErrNoTransport},
		"no Message-ID":      {&Sender{Outbox: dir}, "", ErrMessageID},
		"a file in the way":  {&Sender{Outbox: occupied}, "<a@x>", nil},
	} {
		err := c.sender.Send(context.Background(), "a@x.example", "b@x.example", []byte("m"), c.id)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || errors.As(err, &permanent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("left behind: %v", got)
	}
}

// TestOutboxParallel: two workers with the same mail leave one whole file.
func TestOutboxParallel(t *testing.T) {
	dir := t.TempDir()
	mail := bytes.Repeat([]byte("line\r\n"), 10000)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := (outbox{dir, true}).write(mail, "<same@x>"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	list := files(t, dir)
	if len(list) != 1 {
		t.Fatalf("%v", list)
	}
	if b, err := os.ReadFile(filepath.Join(dir, list[0])); err != nil || !bytes.Equal(b, mail) {
		t.Errorf("%d octets, %v", len(b), err)
	}
}

// TestSenderBoth: the copy in the directory comes after the relay has taken
// the mail, and not without.
func TestSenderBoth(t *testing.T) {
	p := &peer{refuse: map[string]error{}}
	address := p.start(t, nil, false)
	dir := t.TempDir()
	s := &Sender{Outbox: dir, Relay: &Relay{Address: address, Security: Plain}}
	if err := s.Send(context.Background(), "a@x.example", "b@x.example", []byte(body), "<one@x>"); err != nil {
		t.Fatal(err)
	}
	if len(p.mails()) != 1 || len(files(t, dir)) != 1 {
		t.Errorf("%v %v", p.mails(), files(t, dir))
	}
	s.Relay = &Relay{Address: "127.0.0.1:0", Security: Plain}
	if err := s.Send(context.Background(), "a@x.example", "b@x.example", []byte(body), "<two@x>"); err == nil || len(files(t, dir)) != 1 {
		t.Errorf("%v %v", err, files(t, dir))
	}
}
