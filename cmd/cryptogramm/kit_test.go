package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store"
	"go.uber.org/goleak"
)

// answer is what a command line came to.
type answer struct {
	code     int
	out, err string
}

// call runs a command line as main would.
func call(t *testing.T, stdin string, args ...string) answer {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, &Streams{In: strings.NewReader(stdin), Out: &out, Err: &errs})
	a := answer{code, out.String(), errs.String()}
	if code == exitOK && a.err != "" || code == exitUsage && a.err == "" {
		t.Errorf("%q: exit %d with %q on standard error", args, code, a.err)
	}
	for _, text := range []string{a.out, a.err} {
		if i := strings.IndexFunc(text, steers); i >= 0 {
			t.Errorf("%q prints %q raw", args, text[i:min(i+4, len(text))])
		}
	}
	return a
}

// steers tells characters that a terminal may obey.
func steers(r rune) bool {
	return r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// want fails unless a command came to this code, and its output or complaint
// contains the text.
func (a answer) want(t *testing.T, code int, text string) {
	t.Helper()
	if a.code != code || !strings.Contains(a.out+a.err, text) {
		t.Errorf("exit %d, want %d and %q\n%s%s", a.code, code, text, a.out, a.err)
	}
}

// decode reads what --json printed.
func decode[T any](t *testing.T, a answer) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.out), &v); err != nil {
		t.Fatalf("exit %d, %v\n%s%s", a.code, err, a.out, a.err)
	}
	return v
}

// keys are the names of a JSON object in the order in which they stand.
func keys(t *testing.T, object json.RawMessage) []string {
	t.Helper()
	var names []string
	d := json.NewDecoder(bytes.NewReader(object))
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		t.Fatalf("no object: %s", object)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		var skip json.RawMessage
		if err := d.Decode(&skip); err != nil {
			t.Fatal(err)
		}
		names = append(names, name.(string))
	}
	return names
}

func sameKeys(t *testing.T, what string, object json.RawMessage, want ...string) {
	t.Helper()
	if got := keys(t, object); !slices.Equal(got, want) {
		t.Errorf("%s has the keys %q, want %q", what, got, want)
	}
}

// emptyInstallation is a data directory that serve has just made.
func emptyInstallation(t *testing.T) string {
	t.Helper()
	c := defaultConfig()
	c.Data, c.Domain, c.BaseURL = filepath.Join(t.TempDir(), "data"), "example.test", "https://example.test"
	i, err := openInstallation(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := i.close(); err != nil {
		t.Fatal(err)
	}
	return c.Data
}

// database opens what a command left.
func database(t *testing.T, dir string) *store.DB {
	t.Helper()
	_, db, err := Place{Data: dir}.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// server is a demo or serve that runs beside the test.
type server struct {
	t        *testing.T
	out, err *syncBuffer
	cancel   context.CancelFunc
	ended    chan int
	idle     goleak.Option // what ran before it
}

// syncBuffer may be read while a server writes.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// launch starts a command line that does not end by itself.
func launch(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{t: t, out: &syncBuffer{}, err: &syncBuffer{}, ended: make(chan int, 1), idle: goleak.IgnoreCurrent()}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	t.Cleanup(cancel)
	go func() { s.ended <- run(ctx, args, &Streams{In: strings.NewReader(""), Out: s.out, Err: s.err}) }()
	return s
}

// generous is a wait that only a hang exceeds, however busy the machine is.
const generous = 2 * time.Minute

// until waits for a condition; false means that the server ended before it.
func (s *server) until(what string, cond func() bool) bool {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(generous)
	for !cond() {
		select {
		case code := <-s.ended:
			s.ended <- code
			return cond()
		case <-late:
			s.t.Fatalf("%s: not within %v\n%s", what, generous, s.err)
		case <-tick.C:
		}
	}
	return true
}

// stop tells the server to end, as SIGTERM does, and wants nothing left of it.
func (s *server) stop() int {
	s.t.Helper()
	s.cancel()
	select {
	case code := <-s.ended:
		if err := goleak.Find(s.idle); err != nil {
			s.t.Errorf("left behind: %v", err)
		}
		return code
	case <-time.After(generous):
		s.t.Fatalf("does not stop\n%s", s.err)
		return 0
	}
}

// freeBase finds a port base whose ports were free a moment ago.
func freeBase(t *testing.T) int {
	t.Helper()
	for range 100 {
		base := freePort(t) - 465
		free := true
		for _, p := range demoPorts {
			free = free && portFree(base+p)
		}
		if free {
			return base
		}
	}
	t.Fatal("no free ports")
	return 0
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func portFree(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// permissions fails for everything below dir that others than the owner may
// read, except certificates and CRLs.
func permissions(t *testing.T, dir string) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		seen++
		public := filepath.Ext(path) == ".pem"
		if mode := info.Mode().Perm(); mode&0o077 != 0 && !public || mode&0o022 != 0 {
			t.Errorf("%s has mode %04o", path, mode)
		}
		return nil
	})
	if err != nil || seen < 5 {
		t.Errorf("%d files, %v", seen, err)
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}
