package gateway

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/notify"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// Job kinds. A job is claimed, does one step, and is finished in one
// transaction with its result and the jobs that follow. No job calls another.
const (
	jobNotice   = "notify"       // subject: consignment
	jobExpire   = "expire"       // subject: consignment
	jobRegister = "register"     // subject: id of the link; payload: linkMail
	jobReset    = "reset"        // subject: id of the link; payload: linkMail
	jobChanged  = "password"     // subject: account whose password was changed, when the job was created
	jobUpload   = "upload"       // subject: submission, or the blob of a mail; bound to the node that keeps the bytes; notices wait for it
	jobConfirm  = "confirm"      // what the object store took, read back
	jobDrop     = "drop"         // subject: refusal; bound to the node that holds the bytes
	jobClean    = "clean"        // spool leftovers of this node
	jobReceipt  = "receipt"      // subject: evidence; into the sender's folder
	jobOutside  = "receipt-mail" // subject: account; payload: a receipt for its mailbox elsewhere
	jobDelay    = "delayed"      // subject: consignment; tells the sender that its notice is late
	jobCopies   = "copies"       // subject: submission; copies of letters that are older than mailboxes, after it
)

// leaseTime is how long a step may take before another worker may claim it.
const leaseTime = 2 * time.Minute

// Step carries out one job. The outcome is committed with the job's end; an
// error sends the job back to be tried later.
type Step func(ctx context.Context, j *store.Job) (store.Outcome, error)

// noticeJob and expiryJob follow an accepted consignment.
func noticeJob(c rem.Consignment, now time.Time) store.Job {
	return store.Job{ID: jobNotice + "-" + c.ID, Kind: jobNotice, Subject: c.ID, Due: now, Created: now}
}

func expiryJob(c rem.Consignment, now time.Time) store.Job {
	return store.Job{ID: jobExpire + "-" + c.ID, Kind: jobExpire, Subject: c.ID, Due: c.Expires, Created: now}
}

func (g *Gateway) dropJob(id string, now time.Time) store.Job {
	return store.Job{ID: jobDrop + "-" + id, Kind: jobDrop, Subject: id, Node: g.Node, Due: now.Add(g.Limits.RefusedFor), Created: now}
}

// Run carries out jobs until ctx ends: the gateway's own steps and those that
// cmd adds (such as renewing the demo's CRL).
func (g *Gateway) Run(ctx context.Context, more map[string]Step) error {
	steps := g.steps()
	for kind, s := range more {
		steps[kind] = s
	}
	if err := g.DB.Release(ctx, g.Node+"/"); err != nil {
		return fmt.Errorf("release the jobs of this node's last life: %w", err)
	}
	g.restoreFetched(ctx)
	now := g.Now()
	first := g.cleanJob(now)
	first.ID = jobClean + "-" + g.Node // at every start
	own := []store.Job{first}
	if _, ok := g.Blobs.(backed); ok {
		own = append(own, g.confirmJob(now))
	}
	if more, err := g.copiesDue(ctx); err != nil {
		return fmt.Errorf("look for letters without copies: %w", err)
	} else if more {
		own = append(own, copiesJob("", now))
	}
	if err := g.DB.AddJobs(ctx, own); err != nil {
		return fmt.Errorf("queue this node's own jobs: %w", err)
	}
	kinds := make([]string, 0, len(steps))
	for k := range steps {
		kinds = append(kinds, k)
	}
	g.dispatch(ctx, kinds, steps)
	return nil
}

// steps are the gateway's own.
func (g *Gateway) steps() map[string]Step {
	return map[string]Step{
		jobNotice: g.notice, jobExpire: g.expire, jobRegister: g.sendRegistration,
		jobReset: g.sendReset, jobChanged: g.sendChanged,
		jobDrop: g.drop, jobClean: g.clean, jobUpload: g.upload, jobConfirm: g.confirm,
		jobRecheck: g.recheck, jobReceipt: g.receipt, jobOutside: g.sendReceipt, jobDelay: g.delayed,
		jobCopies: g.makeCopies,
	}
}

// step runs one claimed job to its end or back into the queue.
func (g *Gateway) step(ctx context.Context, j *store.Job, do Step) {
	start := g.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTime-10*time.Second)
	defer cancel()
	failpoint("job/claimed")
	failpoint("job/" + j.Kind + "/claimed")
	out, err := g.guard(ctx, j, do)
	// A step that has used up its time has its end recorded all the same:
	// otherwise what it sent would be sent again, without backing off.
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer done()
	if err == nil {
		failpoint("job/" + j.Kind + "/before-finish")
		err = g.DB.Finish(ctx, j, out)
		failpoint("job/" + j.Kind + "/after-finish")
	} else if retryErr := g.DB.Retry(ctx, j, g.Now().Add(g.delay(j, err)), cause(err)); retryErr != nil {
		err = errors.Join(err, retryErr)
	}
	level := g.Log.Info
	switch {
	case errors.Is(err, notify.ErrDestinationBusy):
		level = g.Log.Debug
	case err != nil:
		level = g.Log.Warn
	}
	level("job", "kind", j.Kind, "id", j.ID, "subject", j.Subject, "attempt", j.Attempts, "took", g.Now().Sub(start), "error", err)
}

// guard keeps one job's panic from ending the process.
func (g *Gateway) guard(ctx context.Context, j *store.Job, do Step) (out store.Outcome, err error) {
	defer func() {
		if r := recover(); r != nil {
			g.Log.Error("job panic", "id", j.ID, "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return do(ctx, j)
}

// delay is how long a job waits for its next try: longer from try to try. A
// mail that only waits for its turn has not failed, though each claim counts as
// a try: so none waits out of proportion to the time it has been there.
func (g *Gateway) delay(j *store.Job, err error) time.Duration {
	if errors.Is(err, notify.ErrDestinationBusy) {
		return 2*time.Second + rand.N(4*time.Second)
	}
	return min(pause(j), backoff(1)+2*g.Now().Sub(j.Created))
}

// backoff doubles from 5 s to 1 h, with a quarter of jitter.
func backoff(attempts int) time.Duration {
	d := min(5*time.Second<<min(attempts, 10), time.Hour)
	return d + rand.N(d/4)
}

// pause is how long a failed job waits. An object store that comes back is
// waited for by every letter that was accepted meanwhile.
func pause(j *store.Job) time.Duration {
	d := backoff(j.Attempts)
	if j.Kind == jobUpload || j.Kind == jobConfirm {
		d = min(d, time.Minute-rand.N(15*time.Second))
	}
	return d
}

// cause is an error's text for the queue's list: one line, bounded.
func cause(err error) string {
	s := strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, err.Error())
	return strings.ToValidUTF8(s[:min(len(s), 300)], "")
}

// expire attests that a consignment was not accepted in time (EN 319 522-1
// C.5). A consignment received meanwhile has nothing to expire.
func (g *Gateway) expire(ctx context.Context, j *store.Job) (store.Outcome, error) {
	c, err := g.DB.Consignment(ctx, j.Subject)
	if err != nil {
		return store.Outcome{}, err
	}
	if c.ReceivedBy != "" {
		return store.Outcome{}, nil
	}
	r := rem.Record{Submission: c.Submission, Consignment: c.ID, Sender: c.Sender, Recipient: c.Recipient}
	now := g.Now()
	evidence := []rem.Evidence{rem.Attest(rem.AcceptanceRejectionExpiry, c.ID, 0, now, r)}
	return store.Outcome{Expired: c.ID, Evidence: evidence, Jobs: g.receiptJobs(evidence, now)}, nil
}
