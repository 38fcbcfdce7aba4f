//go:build kill

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
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
	process  *exec.Cmd
	demo     demoFile

	mu            sync.Mutex
	letters       []*sentLetter
	registrations int
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
func newVictim(t *testing.T) *victim {
	t.Helper()
	dir := t.TempDir()
	v := &victim{t: t, bin: filepath.Join(dir, "cryptogramm"), dir: filepath.Join(dir, "data"), base: freePortBase(t)}
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
	v.process = exec.Command(v.bin, "demo", "--data", v.dir, "--port-base", strconv.Itoa(v.base))
	v.process.Env = append(os.Environ(), "CRYPTOGRAMM_FAILPOINT="+failpoint)
	v.process.Stdout, v.process.Stderr = log, log
	if err := v.process.Start(); err != nil {
		v.t.Fatal(err)
	}
	ready := filepath.Join(v.dir, "demo.json")
	for deadline := time.Now().Add(20 * time.Second); ; {
		b, err := os.ReadFile(ready)
		if err == nil && json.Unmarshal(b, &v.demo) == nil {
			return true
		}
		if v.dead() {
			return false
		}
		if time.Now().After(deadline) {
			v.t.Fatal("the demo does not start")
		}
		time.Sleep(10 * time.Millisecond)
	}
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

func (v *victim) kill() {
	v.process.Process.Kill()
	for !v.dead() {
		time.Sleep(2 * time.Millisecond)
	}
	os.Remove(filepath.Join(v.dir, "demo.json"))
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
func (v *victim) send(l *sentLetter) {
	anna := v.demo.Parties[0]
	id, code, err := submitOnce(v.demo.SMTP.Submissions, anna, l.body, l.recipients)
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

// settle sends again what was not answered, and waits for the queue to empty.
func (v *victim) settle() {
	v.t.Helper()
	if !v.start("") {
		v.t.Fatal("the demo does not start again")
	}
	for _, l := range v.letters {
		if l.id == "" && !l.denied {
			v.send(l)
		}
		if l.id == "" && !l.denied {
			v.t.Error("a letter was not answered after the restart")
		}
	}
	want := 0
	for _, l := range v.letters {
		if l.id != "" {
			want += len(l.recipients)
		}
	}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if len(v.entries("NotificationForAcceptance")) >= want {
			break
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("%d notices of %d", len(v.entries("NotificationForAcceptance")), want)
		}
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

// audit compares what clients heard with what is there: 0 lost, 0 doubled,
// 0 half.
func (v *victim) audit() {
	v.t.Helper()
	v.fsck("at the end")
	accepted := map[string]int{}
	for _, e := range v.entries("SubmissionAcceptance") {
		accepted[e.Submission]++
	}
	good := 0
	for _, l := range v.letters {
		if l.id == "" {
			continue
		}
		good++
		if accepted[l.id] != 1 {
			v.t.Errorf("%s was answered with 250 and has %d acceptances", l.id, accepted[l.id])
		}
	}
	if len(accepted) != good {
		v.t.Errorf("%d submissions for %d letters", len(accepted), good)
	}
	notices := map[string]int{}
	for _, e := range v.entries("NotificationForAcceptance") {
		notices[e.Consignment]++
		if notices[e.Consignment] > 1 {
			v.t.Errorf("consignment %s has %d notices", e.Consignment, notices[e.Consignment])
		}
	}
	if len(notices) != 2*good {
		v.t.Errorf("%d notices for %d consignments", len(notices), 2*good)
	}
	mails, err := filepath.Glob(filepath.Join(v.demo.Outbox, "*.eml"))
	if err != nil || len(mails) != 2*good+v.registrations {
		v.t.Errorf("%d mails for %d consignments and %d registrations (%v)", len(mails), 2*good, v.registrations, err)
	}
	v.t.Logf("%d letters accepted, %d notices, %d mails: 0 lost, 0 doubled, 0 half", good, len(notices), len(mails))
}

// killRegistration crashes around the mail of a registration link: afterwards
// there is that mail, once.
func (v *victim) killRegistration(point string) {
	v.t.Helper()
	if !v.start(point) {
		v.t.Fatalf("%s struck at the start", point)
	}
	v.registrations++
	address := fmt.Sprintf("new%d@example.net", v.registrations)
	v.person("").post("/register", url.Values{"address": {address}})
	v.waitDead(point)
	v.fsck(point)
	if !v.start("") {
		v.t.Fatal("no start")
	}
	for deadline := time.Now().Add(20 * time.Second); v.queued("register") > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			v.t.Fatalf("%s: the registration mail stays in the queue", point)
		}
	}
	if n := v.mailsTo(address); n != 1 {
		v.t.Errorf("%s: %d registration mails", point, n)
	}
}

// queued is how many jobs of a kind wait or are under way.
func (v *victim) queued(kind string) int {
	v.t.Helper()
	db, err := store.Open(v.t.Context(), store.Config{Driver: "sqlite", DSN: filepath.Join(v.dir, databaseFile)})
	if err != nil {
		v.t.Fatal(err)
	}
	defer db.Close()
	jobs, err := db.Jobs(v.t.Context(), 1000)
	if err != nil {
		v.t.Fatal(err)
	}
	n := 0
	for _, j := range jobs {
		if j.Kind == kind {
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

// TestKillFailpoints kills the process at every named step between a letter's
// first octet and its last evidence.
func TestKillFailpoints(t *testing.T) {
	v := newVictim(t)
	mailPoints := []string{
		"job/clean/before-finish", "job/clean/after-finish", // first: it is queued again an hour on
		"receive/after-spool", "receive/after-blob", "receive/after-commit", "refuse/before-commit", "refuse/after-commit",
		"job/claimed", "job/notify/claimed", "notify/after-send", "job/notify/before-finish", "job/notify/after-finish",
	}
	n := 0
	for _, point := range mailPoints {
		if v.start(point) {
			n += 2
			v.send(v.newLetter(n, false))
			v.send(v.newLetter(n+1, true))
		}
		v.waitDead(point)
		v.fsck(point)
	}
	if !v.start("") {
		t.Fatal("no start")
	}
	v.kill()
	v.settle()
	for _, point := range []string{"job/register/claimed", "job/register/before-finish", "job/register/after-finish"} {
		v.kill()
		v.killRegistration(point)
	}
	for _, step := range []webStep{handoverStep, acknowledgeStep} {
		for _, point := range []string{step.name + "/before-commit", step.name + "/after-commit"} {
			v.kill()
			if !v.start(point) {
				t.Fatalf("%s struck at the start", point)
			}
			do := step.prepare(v)
			do()
			v.waitDead(point)
			v.fsck(point)
			if !v.start("") {
				t.Fatal("no start")
			}
			do() // the person tries again
			if got := len(v.entries(step.event)); got != step.done(v) {
				t.Errorf("%s: %d of %s, want %d", point, got, step.event, step.done(v))
			}
			v.fsck(point + ", tried again")
		}
	}
	v.audit()
	v.kill()
}

// TestKillRandom kills the process at random moments under load.
func TestKillRandom(t *testing.T) {
	const kills, senders = 50, 4
	v := newVictim(t)
	n := 0
	for round := range kills {
		if !v.start("") {
			t.Fatal("no start")
		}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for s := range senders {
			first := n + s
			wg.Go(func() {
				for i := first; ; i += senders {
					select {
					case <-stop:
						return
					default:
						v.send(v.newLetter(i, i%10 == 9))
						v.mu.Lock()
						n = max(n, i+senders)
						v.mu.Unlock()
					}
				}
			})
		}
		time.Sleep(time.Duration(50+rand.IntN(900)) * time.Millisecond)
		v.kill()
		close(stop)
		wg.Wait()
		v.fsck(fmt.Sprintf("kill %d", round+1))
	}
	v.settle()
	v.audit()
	v.kill()
	if len(v.letters) < kills {
		t.Errorf("only %d letters: no load", len(v.letters))
	}
}
