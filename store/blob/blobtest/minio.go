package blobtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/blob"
)

// MinIO is a server of one test, which may stop it.
type MinIO struct {
	Config  blob.S3Config // a bucket with object lock
	t       testing.TB
	binary  string
	dir     string
	process *exec.Cmd
}

// StartMinIO starts a server from $PATH or where `go install` puts it: nil when
// there is none, which is an error where CI is set.
func StartMinIO(t testing.TB) *MinIO {
	t.Helper()
	home, _ := os.UserHomeDir()
	binary, err := exec.LookPath("minio")
	if err != nil {
		binary, err = exec.LookPath(filepath.Join(home, "go", "bin", "minio"))
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no MinIO server is installed: ", err)
		}
		t.Log("not tried with MinIO: no server is installed")
		return nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // the server wants a number, and the same one after a restart
	m := &MinIO{t: t, binary: binary, dir: t.TempDir(), Config: blob.S3Config{
		Endpoint: l.Addr().String(), Bucket: "cryptogramm", AccessKey: "tester", SecretKey: rand.Text(), Timeout: 10 * time.Second,
	}}
	m.Start()
	t.Cleanup(m.Stop)
	s := m.Client()
	if err := s.MakeBucket(context.Background(), true); err != nil {
		t.Fatal(err)
	}
	return m
}

// Bucket is a prefix of its own in the bucket that CRYPTOGRAMM_S3 names, as in
// http://key:secret@host:port/bucket, or in that of a server that is started:
// false when there is neither.
func Bucket(t testing.TB) (blob.S3Config, bool) {
	t.Helper()
	given := os.Getenv("CRYPTOGRAMM_S3")
	if given == "" {
		m := StartMinIO(t)
		if m == nil {
			return blob.S3Config{}, false
		}
		return m.Config, true
	}
	u, err := url.Parse(given)
	if err != nil {
		t.Fatal("CRYPTOGRAMM_S3 is no URL")
	}
	secret, _ := u.User.Password()
	c := blob.S3Config{
		Endpoint: u.Host, Bucket: strings.Trim(u.Path, "/"), Prefix: strings.ToLower(rand.Text()), Secure: u.Scheme == "https",
		AccessKey: u.User.Username(), SecretKey: secret, Timeout: 10 * time.Second,
	}
	s, err := blob.NewS3(c)
	if err == nil {
		err = s.MakeBucket(context.Background(), true)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c, true
}

// Client is a client of the server's bucket.
func (m *MinIO) Client() *blob.S3 {
	m.t.Helper()
	s, err := blob.NewS3(m.Config)
	if err != nil {
		m.t.Fatal(err)
	}
	return s
}

// Start starts the server over what it has and waits until it answers.
func (m *MinIO) Start() {
	m.t.Helper()
	m.process = exec.Command(m.binary, "server", "--quiet", "--address", m.Config.Endpoint, "--console-address", "127.0.0.1:0", m.dir) // #nosec G204 -- a test's own server
	m.process.Env = append(os.Environ(), "MINIO_ROOT_USER="+m.Config.AccessKey, "MINIO_ROOT_PASSWORD="+m.Config.SecretKey,
		"MINIO_BROWSER=off", "MINIO_UPDATE=off", "CI=on") // CI: one disk, the system's, will do
	if err := m.process.Start(); err != nil {
		m.t.Fatal(err)
	}
	s := m.Client()
	for end := time.Now().Add(time.Minute); ; {
		ctx, done := context.WithTimeout(context.Background(), time.Second)
		err := s.Ping(ctx)
		done()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			m.t.Fatal("MinIO does not answer: ", err)
		}
	}
}

// Stop kills the server.
func (m *MinIO) Stop() {
	if m.process != nil {
		m.process.Process.Kill()
		m.process.Wait()
		m.process = nil
	}
}

// Freeze lets the server hold its connections and answer nothing; Thaw ends it.
// It has stopped, every thread of it, when Freeze returns.
func (m *MinIO) Freeze() {
	m.t.Helper()
	m.process.Process.Signal(syscall.SIGSTOP)
	for end := time.Now().Add(time.Minute); !stopped(m.process.Process.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			m.t.Fatal("MinIO does not stop")
		}
	}
}

// stopped looks at the state of each thread, behind its name in parentheses.
func stopped(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, t := range threads {
		b, err := os.ReadFile(t)
		if err == nil && !bytes.Contains(b, []byte(") T ")) {
			return false
		}
	}
	return err == nil && len(threads) > 0
}

// Thaw ends Freeze.
func (m *MinIO) Thaw() { m.process.Process.Signal(syscall.SIGCONT) }
