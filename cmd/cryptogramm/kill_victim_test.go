//go:build kill

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store"
)

// installation under test: one data directory that outlives many processes.
type victim struct {
	t        *testing.T
	bin, dir string
	base     int
	backends *backends        // nil: SQLite and a directory
	door     string           // submissions of a node that is no demo
	command  func() *exec.Cmd // of such a node
	process  *exec.Cmd
	demo     demoFile

	guests   int      // recipients of a letter besides two
	outboxes []string // of other nodes
	numbers  atomic.Int64

	mu            sync.Mutex
	letters       []*sentLetter
	registrations int

	acts map[string]int  // what persons have done, by step
	used map[string]bool // links followed
}

// sentLetter is what a client knows: which bytes it sent, and what it heard.
type sentLetter struct {
	body       []byte
	recipients []string
	refused    bool   // it is one that must be refused
	id         string // of a 250; "" while unanswered
	denied     bool   // a 550 was heard
}

// newVictim builds the binary with its failpoints once per test.
func newVictim(t *testing.T, b *backends) *victim {
	t.Helper()
	dir := t.TempDir()
	base, err := freePortBase()
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{t: t, bin: filepath.Join(dir, "cryptogramm"), dir: filepath.Join(dir, "data"), base: base, backends: b, acts: map[string]int{}, used: map[string]bool{}}
	build := exec.Command("go", "build", "-tags", "failpoint", "-o", v.bin, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return v
}

// start runs the demo, with a failpoint or none, and waits until it serves.
// It answers false when the failpoint struck before that.
func (v *victim) start(failpoint string) bool {
	v.t.Helper()
	log, err := os.OpenFile(v.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		v.t.Fatal(err)
	}
	defer log.Close()
	v.process = v.newProcess()
	v.process.Env = append(os.Environ(), "CRYPTOGRAMM_FAILPOINT="+failpoint)
	v.process.Stdout, v.process.Stderr = log, log
	if err := v.process.Start(); err != nil {
		v.t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		if v.ready() {
			return true
		}
		if v.dead() {
			return false
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("the demo does not start\n%s", v.said())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (v *victim) newProcess() *exec.Cmd {
	if v.command != nil {
		return v.command()
	}
	args := []string{"demo", "--data", v.dir, "--port-base", strconv.Itoa(v.base)}
	if v.backends != nil {
		args = append(args, v.backends.flags...)
	}
	return exec.Command(v.bin, args...)
}

// ready reports whether a demo has said so, or a node answers.
func (v *victim) ready() bool {
	if v.door == "" {
		b, err := os.ReadFile(filepath.Join(v.dir, "demo.json"))
		return err == nil && json.Unmarshal(b, &v.demo) == nil
	}
	c, err := net.Dial("tcp", v.door)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// demoDoor is where letters are submitted.
func (v *victim) demoDoor() string {
	if v.door != "" {
		return v.door
	}
	return v.demo.SMTP.Submissions
}

// dead reports whether the process has ended, without waiting for it.
func (v *victim) dead() bool {
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(v.process.Process.Pid, &status, syscall.WNOHANG, nil)
	if errors.Is(err, syscall.ECHILD) {
		return true
	}
	return pid == v.process.Process.Pid
}

// answered are the letters that were answered with 250.
func (v *victim) answered() (ids []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, l := range v.letters {
		if l.id != "" {
			ids = append(ids, l.id)
		}
	}
	return ids
}

func (v *victim) kill() {
	v.process.Process.Kill()
	for !v.dead() {
		time.Sleep(2 * time.Millisecond)
	}
	os.Remove(filepath.Join(v.dir, "demo.json"))
}

// said is the end of the processes' log.
func (v *victim) said() string {
	b, err := os.ReadFile(v.dir + ".log")
	if err != nil {
		v.t.Error(err)
	}
	return string(b[max(0, len(b)-4000):])
}

// waitDead waits for the failpoint to strike.
func (v *victim) waitDead(what string) {
	v.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !v.dead(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			v.kill()
			v.t.Fatalf("failpoint %s was never reached", what)
		}
	}
	os.Remove(filepath.Join(v.dir, "demo.json"))
}

func (v *victim) output(args ...string) (string, int) {
	v.t.Helper()
	cmd := exec.Command(v.bin, append(args, "--data", v.dir)...)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		v.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func (v *victim) fsck(when string) {
	v.t.Helper()
	if out, code := v.output("fsck"); code != 0 {
		v.t.Errorf("%s: fsck exits %d\n%s", when, code, out)
	}
}

// newLetter adds a letter for the clients to send.
func (v *victim) newLetter(n int, refused bool) *sentLetter {
	anna := v.demo.Parties[0]
	l := &sentLetter{refused: refused, recipients: []string{"boris@demo.test", fmt.Sprintf("guest%d@example.net", n%7)}}
	for more := range v.guests {
		l.recipients = append(l.recipients, fmt.Sprintf("guest%d.%d@example.net", n, more))
	}
	l.body = signedTestLetter(v.t, anna, fmt.Sprintf("%d.%d", os.Getpid(), n), fmt.Sprintf("document number %d", n))
	if refused {
		l.body = []byte(strings.Replace(string(l.body), "number", "Number", 1))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.letters = append(v.letters, l)
	return l
}

// send tries a letter until the connection ends; what was heard is kept.
func (v *victim) send(l *sentLetter) { v.sendTo(v.demo.SMTP.Submissions, l) }

func (v *victim) sendTo(door string, l *sentLetter) {
	anna := v.demo.Parties[0]
	id, code, err := submitOnce(door, anna, l.body, l.recipients)
	if err != nil {
		return // the server died under us: nothing was heard
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case code == 250 && l.id != "" && l.id != id:
		v.t.Errorf("a retry was answered with %s, first with %s", id, l.id)
	case code == 250 && l.refused:
		v.t.Errorf("a changed letter was accepted as %s", id)
	case code == 250:
		l.id = id
	case code == 550 && l.refused:
		l.denied = true
	case code/100 == 5:
		v.t.Errorf("a good letter was answered with %d", code)
	}
}

func (v *victim) entries(event string) []evidenceEntry {
	v.t.Helper()
	out, code := v.output("evidence", "list", "--json", "--event", event)
	var list []evidenceEntry
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 {
		v.t.Fatalf("evidence list: exit %d %v\n%s", code, err, out)
	}
	return list
}

// database opens what the victim keeps its rows in.
func (v *victim) database() *store.DB {
	v.t.Helper()
	_, db, err := Place{Data: v.dir}.open(v.t.Context())
	if err != nil {
		v.t.Fatal(err)
	}
	return db
}

// queued is how many jobs of some kinds wait or are under way.
func (v *victim) queued(kinds ...string) int {
	v.t.Helper()
	db := v.database()
	defer db.Close()
	jobs, err := db.Jobs(v.t.Context(), 10000)
	if err != nil {
		v.t.Fatal(err)
	}
	n := 0
	for _, j := range jobs {
		if slices.Contains(kinds, j.Kind) {
			n++
		}
	}
	return n
}

func (v *victim) mailsTo(address string) int {
	v.t.Helper()
	n := 0
	names, _ := filepath.Glob(filepath.Join(v.demo.Outbox, "*.eml"))
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			v.t.Fatal(err)
		}
		if strings.Contains(string(b), "\nTo: "+address+"\r") || strings.Contains(string(b), "\nTo: <"+address+">") {
			n++
		}
	}
	return n
}
