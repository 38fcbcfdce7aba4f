package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/notify"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// TestForgottenPassword: the link goes to the account's owner and to nobody
// else, lies at rest nowhere, and works once; he is told of what it did.
func TestForgottenPassword(t *testing.T) {
	w := newWorld(t)
	run := w.runner()
	const elsewhere = "carol@elsewhere.test"
	u, err := w.Accounts.Create(t.Context(), store.User{Email: elsewhere, Name: "Carol", Language: "ru"}, "correct horse battery")
	w.must(err)
	for _, address := range []string{elsewhere, bob} {
		before := w.rows()
		w.must(w.ForgotPassword(t.Context(), address, "en", "192.0.2.7"))
		before["jobs"]++
		if after := w.rows(); !equalCounts(before, after) {
			t.Errorf("%s: rows %v, want %v", address, after, before)
		}
	}
	queued := w.jobsOf(jobReset)
	run.due(jobReset, 2)
	token := strings.TrimSpace(between(w.mailTo(elsewhere), "https://gate.test/password/", "\r\n"))
	if all, _ := json.Marshal(queued); len(token) != 43 || bytes.Contains(all, []byte(token)) {
		t.Fatalf("the link %q, queued as %s", token, all)
	}
	if mails := w.mails(); len(mails) != 1 || !strings.Contains(mails[0], "Content-Language: ru") {
		t.Errorf("%d mails, or not in the account's language", len(mails))
	}

	_, err = w.ResetPassword(t.Context(), token, "short")
	wantError(t, err, account.ErrPassword)
	_, err = w.ResetPassword(t.Context(), token, "a new password")
	w.must(err)
	_, err = w.ResetPassword(t.Context(), token, "another password")
	wantError(t, err, account.ErrToken)
	_, err = w.Accounts.Login(t.Context(), account.Login{Peer: "192.0.2.7", Address: elsewhere, Password: "a new password"})
	w.must(err)
	run.due(jobChanged, 1)
	told := w.mails()
	if len(told) != 2 || !strings.Contains(strings.Join(told, ""), "https://gate.test/password\r\n") {
		t.Errorf("he was not told: %d mails", len(told))
	}
	if strings.Contains(w.log.String(), token) || strings.Contains(w.log.String(), "a new password") {
		t.Error("the log holds a secret")
	}
	if u.ID == "" || w.count("SELECT COUNT(*) FROM jobs WHERE kind IN ('reset', 'password')") != 0 {
		t.Error("jobs are left")
	}
	w.fsck()
}

// TestAccountMailAtHome: who has a mailbox here finds the mail in it.
func TestAccountMailAtHome(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Local = func(a string) bool { return rem.Domain(a) == "in.test" } })
	run := w.runner()
	w.must(w.ForgotPassword(t.Context(), w.carol.user.Email, "en", "192.0.2.7"))
	run.due(jobReset, 1)
	inbox := w.folder(w.carol.user, store.RoleInbox)
	if len(inbox) != 1 || !bytes.Contains(inbox[0].Head, []byte("https://gate.test/password/")) {
		t.Fatalf("%d mails in the mailbox", len(inbox))
	}
	if copied := w.mailTo(w.carol.user.Email); !strings.Contains(copied, "https://gate.test/password/") {
		t.Errorf("the outbox has %q", copied)
	}
}

// TestAccountMailTwice: a mail written again around a crash is the same mail.
func TestAccountMailTwice(t *testing.T) {
	w := newWorld(t)
	w.must(w.Register(t.Context(), bob, "en", "192.0.2.7"))
	j := w.job(jobRegister)
	for range 2 {
		_, err := w.sendRegistration(t.Context(), &j)
		w.must(err)
	}
	if n := len(w.mails()); n != 1 {
		t.Errorf("%d mails", n)
	}
}

// TestBusyDestination: a mail that waits for its turn comes back in seconds, and
// what it waited does not slow down later tries.
func TestBusyDestination(t *testing.T) {
	w := newWorld(t)
	busy := func(context.Context, *store.Job) (store.Outcome, error) {
		return store.Outcome{}, fmt.Errorf("send: %w", notify.ErrDestinationBusy)
	}
	w.must(w.DB.AddJobs(t.Context(), []store.Job{{ID: "j", Kind: "mail", Subject: "x", Due: w.Now(), Created: w.Now()}}))
	step := func(do Step) time.Duration {
		j, err := w.DB.Claim(t.Context(), []string{"mail"}, w.Node, "holder", leaseTime)
		w.must(err)
		w.step(t.Context(), j, do)
		wait := w.job("mail").Due.Sub(w.Now())
		w.clock.pass(wait)
		return wait
	}
	for range 8 {
		if wait := step(busy); wait < 2*time.Second || wait > 6*time.Second {
			t.Fatalf("waits %v", wait)
		}
	}
	failed := step(func(context.Context, *store.Job) (store.Outcome, error) {
		return store.Outcome{}, context.DeadlineExceeded
	})
	if failed > 2*time.Minute {
		t.Errorf("after eight turns waited for, a failure costs %v", failed)
	}
	if strings.Contains(w.log.String(), notify.ErrDestinationBusy.Error()) {
		t.Error("waiting for a turn is logged as a warning")
	}
}

// jobsOf lists the queued jobs of a kind.
func (w *world) jobsOf(kind string) (out []store.Job) {
	w.t.Helper()
	list, err := w.DB.Jobs(w.t.Context(), 1000)
	w.must(err)
	for _, j := range list {
		if j.Kind == kind {
			out = append(out, j)
		}
	}
	return out
}
