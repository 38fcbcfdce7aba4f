// Package e2e drives the real binary with real clients: s-nail, swaks, curl,
// Thunderbird and OpenSSL send; Chromium, mbsync, offlineimap, neomutt,
// Thunderbird, curl and Python receive. Nothing here imports the gateway's code.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// demo is one running `cryptogramm demo`.
type demo struct {
	bin, dir string
	process  *exec.Cmd
	remove   func() // what lies on other servers
	SMTP     struct{ Submissions, Submission string }
	IMAP     struct{ IMAPS, IMAP string }
	Web      string
	CA       string
	Outbox   string
	Admin    struct{ Email, Password string }
	Parties  []party
}

type party struct{ Email, Name, Password, Cert, Key string }

func (d *demo) party(t *testing.T, local string) party {
	t.Helper()
	for _, p := range d.Parties {
		if strings.HasPrefix(p.Email, local+"@") {
			return p
		}
	}
	t.Fatalf("the demo has no party %s", local)
	return party{}
}

var shared = sync.OnceValues(startShared)

// running is the one demo all tests share.
func running(t *testing.T) *demo {
	t.Helper()
	d, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestMain(m *testing.M) {
	code := m.Run()
	if d, err := shared(); err == nil {
		d.process.Process.Signal(syscall.SIGTERM)
		if err := d.process.Wait(); err != nil {
			fmt.Fprintln(os.Stderr, "demo did not stop cleanly:", err)
			code = 1
		}
		if faults := d.faults(); faults != "" {
			fmt.Fprintln(os.Stderr, "the demo's log has errors:\n"+faults)
			code = 1
		}
		d.remove()
		os.RemoveAll(d.dir)
		if code == 0 {
			os.RemoveAll(filepath.Dir(d.dir)) // the log is left for a failure
		}
	}
	os.Exit(code)
}

func startShared() (*demo, error) {
	dir, err := os.MkdirTemp("", "cryptogramm-e2e-")
	if err != nil {
		return nil, err
	}
	bin, err := filepath.Abs("../../bin/cryptogramm")
	if err != nil {
		return nil, err
	}
	return startDemo(bin, filepath.Join(dir, "data"))
}

// startDemo starts the demo on free ports and waits for demo.json: ten seconds
// are what is promised.
func startDemo(bin, dir string) (*demo, error) {
	base, err := freeBase()
	if err != nil {
		return nil, err
	}
	flags, remove, err := servers(filepath.Dir(dir))
	if err != nil {
		remove()
		return nil, err
	}
	d := &demo{bin: bin, dir: dir, remove: remove}
	d.process = exec.Command(bin, append([]string{"demo", "--data", dir, "--port-base", strconv.Itoa(base), "--verbose"}, flags...)...)
	log, err := os.Create(dir + ".log")
	if err != nil {
		return nil, err
	}
	d.process.Stdout, d.process.Stderr = log, log
	if err := d.process.Start(); err != nil {
		return nil, err
	}
	ready := filepath.Join(dir, "demo.json")
	err = wait(10*time.Second, func() bool { _, err := os.Stat(ready); return err == nil })
	if err != nil {
		b, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("the demo was not ready: %w\n%s", err, b)
	}
	b, err := os.ReadFile(ready)
	if err != nil {
		return nil, err
	}
	return d, json.Unmarshal(b, d)
}

// faults are the lines of the log that no client, however hostile, may cause.
func (d *demo) faults() string {
	b, err := os.ReadFile(d.dir + ".log")
	if err != nil {
		return err.Error()
	}
	var out []string
	for l := range strings.SplitSeq(string(b), "\n") {
		if strings.Contains(l, "level=ERROR") || strings.HasPrefix(l, "panic:") || strings.Contains(l, "DATA RACE") {
			out = append(out, l)
		}
	}
	return strings.Join(out[:min(len(out), 20)], "\n")
}

// freeBase finds a port base whose ports are all free.
func freeBase() (int, error) {
	for base := 20000; base < 50000; base += 1000 {
		free := true
		for _, p := range []int{465, 587, 993, 143, 443, 80} {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(base+p)))
			if err != nil {
				free = false
				break
			}
			l.Close()
		}
		if free {
			return base, nil
		}
	}
	return 0, fmt.Errorf("no free ports")
}

// wait polls a condition; it is how these tests wait for anything.
func wait(limit time.Duration, cond func() bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if cond() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %v", limit)
		case <-tick.C:
		}
	}
}

// cryptogramm runs a subcommand on this installation.
func (d *demo) cryptogramm(t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(d.bin, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if errs.Len() > 0 {
		t.Logf("cryptogramm %s: %s", strings.Join(args, " "), errs.String())
	}
	if exit := (*exec.ExitError)(nil); err != nil && !asExit(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func asExit(err error, target **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError)
	*target = e
	return ok
}

type evidence struct {
	ID, Event, Submission, Consignment, Sender, Recipient, Grade, Reason string
	Time                                                                 time.Time
}

func (d *demo) evidence(t *testing.T) []evidence {
	t.Helper()
	out, code := d.cryptogramm(t, "evidence", "list", "--json", "--data", d.dir)
	var list []evidence
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 {
		t.Fatalf("evidence list: exit %d, %v", code, err)
	}
	return list
}

// evidenceOf is the evidence of one event, newest last.
func (d *demo) evidenceOf(t *testing.T, event string) []evidence {
	t.Helper()
	var out []evidence
	for _, e := range d.evidence(t) {
		if e.Event == event {
			out = append(out, e)
		}
	}
	return out
}

// mails are the names of all mails that were sent.
func (d *demo) mails(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(d.Outbox, "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// notice waits for the notice about a submission to one recipient.
func (d *demo) notice(t *testing.T, known []string, to string) string {
	t.Helper()
	old := map[string]bool{}
	for _, n := range known {
		old[n] = true
	}
	var found string
	err := wait(20*time.Second, func() bool {
		for _, n := range d.mails(t) {
			if old[n] {
				continue
			}
			if b, err := os.ReadFile(n); err == nil && bytes.Contains(b, []byte("\nTo: <"+to+">")) || bytes.Contains(b, []byte("\nTo: "+to+"\r")) {
				found = n
				return true
			}
		}
		return false
	})
	if err != nil {
		t.Fatalf("no notice to %s: %v", to, err)
	}
	return found
}

func (d *demo) fsck(t *testing.T) {
	t.Helper()
	if out, code := d.cryptogramm(t, "fsck", "--data", d.dir); code != 0 {
		t.Errorf("fsck exits %d:\n%s", code, out)
	}
}
