//go:build kill

package main

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"cryptogramm.ru/cryptogramm/store/blob/blobtest"
)

// postgres is a cluster of one test, which may crash it.
type postgres struct {
	t        *testing.T
	bin, dir string
}

// startPostgres makes a cluster on a socket; nil when no PostgreSQL is
// installed, which is an error where CI is set.
func startPostgres(t *testing.T) *postgres {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_ctl")
	if len(found) == 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("no PostgreSQL is installed")
		}
		t.Log("not tried on PostgreSQL: it is not installed")
		return nil
	}
	slices.Sort(found)
	dir, err := os.MkdirTemp("", "pg-") // a socket's path may have 107 octets
	if err != nil {
		t.Fatal(err)
	}
	p := &postgres{t: t, bin: filepath.Dir(found[len(found)-1]), dir: dir}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if id := serverUser(); id != nil {
		if err := os.Chown(dir, int(id.Uid), int(id.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	p.run("initdb", "-D", filepath.Join(dir, "data"), "-A", "trust", "-U", "postgres", "--no-sync")
	p.ctl("start")
	t.Cleanup(func() { p.ctl("stop", "-m", "fast") })
	return p
}

// serverUser is whom the server runs as: it refuses to be root.
func serverUser() *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (p *postgres) run(program string, args ...string) {
	p.t.Helper()
	cmd := exec.Command(filepath.Join(p.bin, program), args...)
	cmd.Dir, cmd.SysProcAttr = p.dir, &syscall.SysProcAttr{Credential: serverUser()}
	log, err := os.OpenFile(filepath.Join(p.dir, "out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log // files: the server inherits them, and a pipe would never end
	if err := cmd.Run(); err != nil {
		b, _ := os.ReadFile(log.Name())
		p.t.Fatalf("%s %q: %v\n%s", program, args, err, b)
	}
}

func (p *postgres) ctl(action string, more ...string) {
	p.t.Helper()
	p.run("pg_ctl", append([]string{"-D", filepath.Join(p.dir, "data"), "-w", "-l", filepath.Join(p.dir, "log"),
		"-o", "-c listen_addresses='' -c max_connections=200 -k " + p.dir, action}, more...)...)
}

// crash ends the server as a power cut would, as far as its own state goes, and
// starts it again.
func (p *postgres) crash() {
	p.t.Helper()
	p.ctl("restart", "-m", "immediate")
}

// database is the DSN of a new, empty database.
func (p *postgres) database() string {
	p.t.Helper()
	name := "k" + strings.ToLower(rand.Text()[:12])
	db, err := sql.Open("pgx", p.dsn("postgres"))
	if err == nil {
		defer db.Close()
		_, err = db.Exec("CREATE DATABASE " + name)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return p.dsn(name)
}

func (p *postgres) dsn(database string) string {
	return fmt.Sprintf("host=%s user=postgres dbname=%s", p.dir, database)
}

// backends are what a victim keeps its rows and letters on; nil: SQLite and a
// directory.
type backends struct {
	postgres *postgres
	minio    *blobtest.MinIO
	flags    []string
}

// newBackends starts both servers, with a database and a bucket for one
// installation; nil when one of them is not installed.
func newBackends(t *testing.T) *backends {
	t.Helper()
	b := &backends{postgres: startPostgres(t), minio: blobtest.StartMinIO(t)}
	if b.postgres == nil || b.minio == nil {
		return nil
	}
	c := b.minio.Config
	u := url.URL{Scheme: "http", Host: c.Endpoint, User: url.UserPassword(c.AccessKey, c.SecretKey), Path: "/" + c.Bucket + "/" + strings.ToLower(rand.Text())}
	dir := t.TempDir()
	b.flags = []string{
		"--store-dsn-file", write(t, filepath.Join(dir, "dsn"), b.postgres.database()+"\n", 0o600),
		"--s3-url-file", write(t, filepath.Join(dir, "s3"), u.String()+"\n", 0o600),
	}
	return b
}

// onEveryBackend runs a test on SQLite and a directory, and on PostgreSQL and
// MinIO where they are installed.
func onEveryBackend(t *testing.T, f func(t *testing.T, b *backends)) {
	t.Run("sqlite", func(t *testing.T) { f(t, nil) })
	t.Run("postgres", func(t *testing.T) {
		if b := newBackends(t); b != nil {
			f(t, b)
		}
	})
}
