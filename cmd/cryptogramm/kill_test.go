//go:build kill

package main

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestKillFailpoints kills the process at every named step between a letter's
// first octet and its last evidence.
func TestKillFailpoints(t *testing.T) { onEveryBackend(t, killFailpoints) }

func killFailpoints(t *testing.T, b *backends) {
	v := newVictim(t, b)
	mailPoints := []string{
		"job/clean/before-finish", "job/clean/after-finish", // first: it is queued again an hour on
		"receive/after-spool", "receive/after-blob", "receive/after-commit", "refuse/before-commit", "refuse/after-commit",
		"job/claimed", "job/notify/claimed", "notify/after-send", "job/notify/before-finish", "job/notify/after-finish",
		"job/receipt/claimed", "receipt/composed", "job/receipt/before-finish", "job/receipt/after-finish",
	}
	if b != nil {
		mailPoints = slices.Insert(mailPoints, 0, "confirm/after-read")
	}
	for _, point := range mailPoints {
		if v.start(point) {
			v.send(v.newLetter(int(v.numbers.Add(1)), false))
			v.send(v.newLetter(int(v.numbers.Add(1)), true))
		}
		v.waitDead(point)
		v.fsck(point)
	}
	if !v.start("") {
		t.Fatalf("no start\n%s", v.said())
	}
	v.kill()
	v.settle()
	for _, point := range []string{"job/register/claimed", "job/register/before-finish", "job/register/after-finish"} {
		v.kill()
		v.killRegistration(point)
	}
	if b != nil {
		v.kill()
		v.killUploads()
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
				t.Fatalf("no start\n%s", v.said())
			}
			do() // the person tries again
			if got := len(v.entries(step.event)); got != step.done(v) {
				t.Errorf("%s: %d of %s, want %d", point, got, step.event, step.done(v))
			}
			v.fsck(point + ", tried again")
		}
	}
	v.drain()
	v.audit()
	v.kill()
}

// TestKillRandom kills the process at random moments under load.
func TestKillRandom(t *testing.T) { onEveryBackend(t, killRandom) }

func killRandom(t *testing.T, b *backends) {
	kills := 50
	if b != nil {
		kills = 20 // each looks at all letters again, over the network
	}
	v := newVictim(t, b)
	for round := range kills {
		if !v.start("") {
			t.Fatalf("no start\n%s", v.said())
		}
		stop := v.load(4)
		time.Sleep(time.Duration(50+rand.IntN(900)) * time.Millisecond)
		v.kill()
		stop()
		v.fsck(fmt.Sprintf("kill %d", round+1))
	}
	v.settle()
	v.audit()
	v.kill()
	if len(v.letters) < kills {
		t.Errorf("only %d letters: no load", len(v.letters))
	}
}

// load has senders send letter after letter, one of thirty a bad one, until
// stop. It is paced: more letters would show no more.
func (v *victim) load(senders int) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			pace := time.NewTicker(100 * time.Millisecond)
			defer pace.Stop()
			for {
				select {
				case <-done:
					return
				case <-pace.C:
					n := int(v.numbers.Add(1))
					v.send(v.newLetter(n, n%30 == 29))
				}
			}
		})
	}
	return func() { close(done); wg.Wait() }
}

// TestKillDatabase crashes PostgreSQL ten times under load: what was answered
// with 250 stays, and what was not is there once or never.
func TestKillDatabase(t *testing.T) {
	b := newBackends(t)
	if b == nil {
		return
	}
	v := newVictim(t, b)
	if !v.start("") {
		t.Fatalf("no start\n%s", v.said())
	}
	stop := v.load(4)
	for range 10 {
		time.Sleep(time.Duration(100+rand.IntN(900)) * time.Millisecond)
		b.postgres.crash()
	}
	stop()
	if v.dead() {
		t.Fatalf("the gateway did not outlive its database\n%s", v.said())
	}
	before := len(v.answered())
	v.send(v.newLetter(int(v.numbers.Add(1)), false))
	if len(v.answered()) != before+1 {
		t.Errorf("no letter is accepted once the database is back\n%s", v.said())
	}
	v.kill()
	v.settle()
	v.audit()
	v.kill()
}

// TestKillObjectStore stops MinIO for a while under load, and the gateway
// meanwhile: letters are accepted all the same, and their notices wait.
func TestKillObjectStore(t *testing.T) {
	b := newBackends(t)
	if b == nil {
		return
	}
	v := newVictim(t, b)
	if !v.start("") {
		t.Fatalf("no start\n%s", v.said())
	}
	stop := v.load(4)
	time.Sleep(500 * time.Millisecond)
	b.minio.Stop()
	before := len(v.answered())
	for deadline := time.Now().Add(time.Minute); len(v.answered()) < before+20; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d letters accepted while the object store is away\n%s", len(v.answered())-before, v.said())
		}
	}
	v.kill()
	stop()
	if !v.start("") {
		t.Fatalf("no start while the object store is away\n%s", v.said())
	}
	v.send(v.newLetter(int(v.numbers.Add(1)), false))
	if v.queued("upload") == 0 {
		t.Error("nothing waits for the object store")
	}
	b.minio.Start()
	v.drain()
	v.kill()
	v.settle()
	v.audit()
	v.kill()
}

// killUploads crashes before and after the object store has taken what it could
// not take at intake.
func (v *victim) killUploads() {
	v.t.Helper()
	for _, point := range []string{"job/upload/claimed", "upload/after-put", "job/upload/before-finish", "job/upload/after-finish"} {
		v.backends.minio.Stop()
		if !v.start(point) {
			v.t.Fatalf("%s struck at the start", point)
		}
		v.send(v.newLetter(int(v.numbers.Add(1)), false))
		v.backends.minio.Start()
		v.waitDead(point)
		v.fsck(point)
	}
	if !v.start("") {
		v.t.Fatalf("no start\n%s", v.said())
	}
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
		v.t.Fatalf("no start\n%s", v.said())
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
