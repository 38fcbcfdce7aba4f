package gateway

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/gateway/notify"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// job is the one queued job of a kind.
func (w *world) job(kind string) store.Job {
	w.t.Helper()
	all, err := w.DB.Jobs(w.t.Context(), 100)
	w.must(err)
	var found []store.Job
	for _, j := range all {
		if j.Kind == kind {
			found = append(found, j)
		}
	}
	if len(found) != 1 {
		w.t.Fatalf("%d jobs %q", len(found), kind)
	}
	return found[0]
}

func TestNotice(t *testing.T) {
	w := newWorld(t)
	id := w.send(signed(t, w.anna.Party), bob, dora)
	w.runner().all()
	for _, to := range []string{bob, dora} {
		c := w.to(id, to)
		if c.State != store.StateNotified {
			t.Errorf("%s: state %s", to, c.State)
		}
		w.wantEvents(c.ID, "NotificationForAcceptance")
		mail := w.mailTo(to)
		want := "https://gate.test/l/" + w.LinkToken(c.ID)
		if !strings.Contains(mail, want) || !strings.Contains(mail, "Message-ID: <"+rem.ExpectedID(rem.NotificationForAcceptance, c.ID, 0)+"@gate.test>") {
			t.Errorf("no link or other Message-ID in\n%s", mail)
		}
		if strings.Contains(mail, w.LinkToken(w.to(id, map[string]string{bob: dora, dora: bob}[to]).ID)) {
			t.Errorf("%s gets another's link", to)
		}
	}
	if len(w.mails()) != 2 {
		t.Errorf("%d mails", len(w.mails()))
	}
	w.fsck()
}

// What passes is tried again, ever later, and leaves no evidence meanwhile.
func TestTemporaryNoticeErrorIsRetried(t *testing.T) {
	w := newWorld(t)
	w.must(os.WriteFile(w.outbox, nil, 0o600)) // a file where a directory should be
	c := w.to(w.send(signed(t, w.anna.Party), bob), bob)
	run := w.runner()
	var last time.Duration
	for n := 1; n <= 12; n++ {
		run.due(jobNotice, 1)
		j := w.job(jobNotice)
		wait := j.Due.Sub(w.Now())
		low := min(5*time.Second<<n, time.Hour)
		if j.Attempts != n || wait < low || wait > low+low/4 || j.LastError == "" || wait < last-last/4 {
			t.Fatalf("try %d: attempts %d, next in %v, error %q", n, j.Attempts, wait, j.LastError)
		}
		last = wait
		w.clock.pass(wait - time.Second)
		run.due(jobNotice, 0)
		w.clock.pass(time.Second)
	}
	w.wantEvents(c.ID)
	w.must(os.Remove(w.outbox))
	run.due(jobNotice, 1)
	w.wantEvents(c.ID, "NotificationForAcceptance")
	w.fsck()
}

func TestNoticeIsGivenUpAfterItsLife(t *testing.T) {
	w := newWorld(t)
	w.must(os.WriteFile(w.outbox, nil, 0o600))
	c := w.to(w.send(signed(t, w.anna.Party), bob), bob)
	run := w.runner()
	run.due(jobNotice, 1)
	w.clock.pass(noticeLife)
	run.due(jobNotice, 1)
	run.due(jobNotice, 0)
	w.wantEvents(c.ID, "NotificationForAcceptanceFailure")
	if got := w.row(c.ID).State; got != store.StateFailed {
		t.Errorf("state %s", got)
	}
	w.fsck()
}

// relay is a mail server that answers RCPT as it is told.
func relay(t *testing.T, rcpt func(line string) string) *notify.Relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { serveRelay(c, rcpt) })
		}
	})
	r := &notify.Relay{Address: l.Addr().String(), Security: notify.Plain, Timeout: 10 * time.Second}
	t.Cleanup(func() { l.Close(); r.Close(); open.Wait() })
	return r
}

func serveRelay(c net.Conn, rcpt func(string) string) {
	defer c.Close()
	say := func(s string) { c.Write([]byte(s + "\r\n")) }
	say("220 relay.test")
	lines, data := bufio.NewScanner(c), false
	for lines.Scan() {
		line := lines.Text()
		switch verb := strings.ToUpper(line[:min(4, len(line))]); {
		case data && line == ".":
			data = false
			say("250 taken")
		case data:
		case verb == "RCPT":
			say(rcpt(line))
		case verb == "DATA":
			data = true
			say("354 go on")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// What is refused for good is attested once; the other recipient's notice is
// not touched by it.
func TestPermanentNoticeErrorIsAttestedOnce(t *testing.T) {
	w := newWorld(t)
	w.Notify.Relay = relay(t, func(line string) string {
		if strings.Contains(line, bob) {
			return "550 5.1.1 нет такого ящика \u202e" + strings.Repeat("я", 400)
		}
		return "250 ok"
	})
	id := w.send(signed(t, w.anna.Party), bob, dora)
	run := w.runner()
	run.due(jobNotice, 2)
	run.due(jobNotice, 0)
	lost, sent := w.to(id, bob), w.to(id, dora)
	w.wantEvents(lost.ID, "NotificationForAcceptanceFailure")
	w.wantEvents(sent.ID, "NotificationForAcceptance")
	if lost.State != store.StateFailed || sent.State != store.StateNotified {
		t.Errorf("states %s, %s", lost.State, sent.State)
	}
	rows, err := w.evidence(t.Context(), store.EvidenceFilter{Consignment: lost.ID})
	w.must(err)
	record := string(rows[0].Record)
	if !strings.Contains(record, "550") || !strings.Contains(record, "notice-not-delivered") || !utf8.ValidString(record) || strings.ContainsRune(record, utf8.RuneError) {
		t.Errorf("record %s", record)
	}
	w.take(lost) // the link may reach him in another way
	w.fsck()
}

// A process that dies between sending and recording sends the same mail again:
// one file, one Message-ID, one evidence.
func TestCrashBetweenSendAndFinish(t *testing.T) {
	w := newWorld(t)
	c := w.to(w.send(signed(t, w.anna.Party), bob), bob)
	j, err := w.DB.Claim(t.Context(), []string{jobNotice}, w.Node, "node/dies", leaseTime)
	w.must(err)
	late, err := w.notice(t.Context(), j)
	w.must(err)
	first := w.mailTo(bob)
	run := w.runner()
	run.due(jobNotice, 0) // leased
	w.clock.pass(leaseTime + time.Second)
	run.due(jobNotice, 1)
	if again := w.mailTo(bob); again != first {
		t.Errorf("another mail:\n%s\n%s", first, again)
	}
	wantError(t, w.DB.Finish(t.Context(), j, late), store.ErrLeaseLost) // it was not dead after all
	w.wantEvents(c.ID, "NotificationForAcceptance")
	w.fsck()
}

// Whoever received the letter after such a crash had its link: it is not sent
// again, and nobody attests that it could not be.
func TestNoticeOfAReceivedLetter(t *testing.T) {
	w := newWorld(t)
	c := w.to(w.send(signed(t, w.anna.Party), bob), bob)
	j, err := w.DB.Claim(t.Context(), []string{jobNotice}, w.Node, "node/dies", leaseTime)
	w.must(err)
	_, err = w.notice(t.Context(), j)
	w.must(err)
	w.take(c)
	w.clock.pass(leaseTime + time.Second)
	w.Notify.Relay = relay(t, func(string) string { return "550 gone" })
	w.runner().due(jobNotice, 1)
	w.wantEvents(c.ID, append([]string{"NotificationForAcceptance"}, received...)...)
	if got := w.row(c.ID).State; got != store.StateReceived {
		t.Errorf("state %s", got)
	}
	w.fsck()
}

// A panic in a step costs that try alone.
func TestPanicInAStep(t *testing.T) {
	w := newWorld(t)
	w.must(w.DB.AddJobs(t.Context(), []store.Job{{ID: "x", Kind: "x", Subject: "x"}}))
	run := w.runner()
	run.steps["x"] = func(context.Context, *store.Job) (store.Outcome, error) { panic("at the\r\ndisco") }
	if run.one("x") == nil {
		t.Fatal("not due")
	}
	j := w.job("x")
	if j.LastError != "panic: at the  disco" || !j.Due.After(w.Now()) || j.Holder != "" {
		t.Errorf("job %+v", j)
	}
}

// Run takes up what an earlier life of the node has left leased, works on what
// comes, and ends with its context.
func TestRun(t *testing.T) {
	w := newWorld(t)
	c := w.to(w.send(signed(t, w.anna.Party), bob), bob)
	_, err := w.DB.Claim(t.Context(), []string{jobNotice}, w.Node, w.Node+"/earlier", leaseTime)
	w.must(err)
	stepped := make(chan string, 8)
	more := map[string]Step{"mine": func(_ context.Context, j *store.Job) (store.Outcome, error) {
		stepped <- j.Subject
		return store.Outcome{}, nil
	}}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx, more) }()
	w.must(w.DB.AddJobs(t.Context(), []store.Job{{ID: "mine-1", Kind: "mine", Subject: "one"}}))
	if got := <-stepped; got != "one" {
		t.Errorf("stepped %s", got)
	}
	w.eventually("the notice", func() bool { return w.row(c.ID).State == store.StateNotified })
	second := w.to(w.send(signed(t, w.anna.Party), dora), dora)
	w.eventually("the second notice", func() bool { return w.row(second.ID).State == store.StateNotified })
	stop()
	w.must(<-ended)
	w.fsck()
}

// eventually waits for a condition, a minute at most.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	end := time.After(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-end:
			w.t.Fatalf("%s did not come", what)
		case <-tick.C:
		}
	}
}

func TestCauseIsOneLineOfText(t *testing.T) {
	for _, in := range []string{"a\r\nb\x00", strings.Repeat("я", 200), "я" + strings.Repeat("я", 200), "\xff\xfe", strings.Repeat("\xff", 500)} {
		got := cause(errors.New(in))
		if len(got) > 300 || !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00") {
			t.Errorf("%q became %q", in, got)
		}
	}
}

// Every mail of ours reads back as the mail it was meant to be, whatever the
// letter calls itself.
func TestNoticeOfAHostileLetter(t *testing.T) {
	w := newWorld(t)
	w.send("Subject: =?utf-8?q?x=0D=0ABcc:_eve@evil.test?= http://evil.test/ =?utf-8?b?4oCu?=\r\n"+
		strings.Replace(strings.Replace(signed(t, w.anna.Party), "Subject: Contract 7\r\n", "", 1),
			"Anna Ivanova", "\"Bank <bank@bank.test>\"", 1), bob)
	w.runner().all()
	files, err := filepath.Glob(filepath.Join(w.outbox, "*.eml"))
	w.must(err)
	if len(files) != 1 {
		t.Fatalf("%d mails", len(files))
	}
	raw, err := os.ReadFile(files[0])
	w.must(err)
	l, err := message.Parse(strings.NewReader(string(raw)), int64(len(raw)), message.DefaultLimits())
	w.must(err)
	if len(l.From) != 1 || l.From[0].Mailbox != "cryptogramm@gate.test" || len(l.To) != 1 || l.To[0].Mailbox != bob || len(l.Cc) != 0 {
		t.Errorf("from %v, to %v, cc %v", l.From, l.To, l.Cc)
	}
	for _, f := range l.Root.Header {
		if f.Is("Bcc") {
			t.Error("a Bcc came in by the subject")
		}
	}
	if mail := w.mailTo(bob); strings.Contains(mail, "http://evil.test") {
		t.Errorf("a link of the sender's:\n%s", mail)
	}
}
