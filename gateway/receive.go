package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/judge"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// retryWindow is how long a repeated submission is answered with the id of
// the first instead of being accepted again.
const retryWindow = 7 * 24 * time.Hour

// Receive takes one letter from a door, all of it inside the SMTP transaction.
//
// It returns the submission's id once rows, evidence and bytes are durable
// (invariant 1). A "no" to the sender is a *rem.Refusal, whose evidence is
// then durable too and nothing was sent (S4.5). Other errors: those of
// message.StrictCRLF, ErrBusy, ErrFull, ErrStopped; anything else is internal
// and temporary.
func (g *Gateway) Receive(ctx context.Context, env rem.Envelope, r io.Reader) (string, error) {
	if g.stopped.Load() {
		return "", ErrStopped
	}
	sp, err := g.spool(r)
	if err != nil {
		return "", err
	}
	defer sp.remove()
	g.letters.Add(1)
	defer g.letters.Add(-1)
	failpoint("receive/after-spool")

	x, err := g.examine(ctx, env, sp)
	if lost := sp.durable(); lost != nil {
		return "", lost
	}
	if err != nil || x.earlier != "" {
		return x.earlier, err
	}
	now := g.Now()
	accepted, refusal := rem.Submit(env, x.facts, x.finding, g.Policy, now)
	// From here on the work is finished even if the client hangs up: what is
	// written must be whole.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.letterTime(sp.ref.Size))
	defer cancel()
	if refusal != nil {
		return "", g.refuse(ctx, env, sp, x.facts, refusal)
	}
	return g.accept(ctx, accepted, sp, x)
}

// examined is what a spooled letter turned out to be.
type examined struct {
	earlier string          // the submission that it repeats; the rest is not known then
	letter  *message.Letter // nil: it cannot be read
	facts   rem.LetterFacts
	finding rem.Finding
	retry   rem.Digest
}

// examine parses and judges a spooled letter in one of the judging slots,
// which is free again before anything is written.
func (g *Gateway) examine(ctx context.Context, env rem.Envelope, sp *spooled) (x examined, err error) {
	ctx, cancel := context.WithTimeout(ctx, g.letterTime(sp.ref.Size))
	defer cancel()
	seat, err := g.seat(ctx)
	if err != nil {
		return x, err
	}
	defer seat.leave()
	letter, facts, err := read(sp)
	if err != nil {
		return x, err
	}
	x.letter, x.facts, x.retry = letter, facts, retryKey(env, facts)
	// A client that missed our answer sends again: it gets the first answer,
	// whatever has become of its certificate since.
	x.earlier, err = g.DB.SubmissionByRetryKey(ctx, x.retry, g.Now().Add(-retryWindow))
	if err == nil || !errors.Is(err, store.ErrNotFound) {
		return x, err
	}
	party, err := g.party(ctx, env)
	if err != nil {
		return x, err
	}
	x.finding, err = g.judge(ctx, seat, judging{letter: letter, party: party, moments: moments{at: g.Now()}})
	return x, err
}

// read parses the spooled letter. A letter that cannot be read is nil: judge
// has its finding.
func read(sp *spooled) (*message.Letter, rem.LetterFacts, error) {
	letter, err := message.Parse(sp.file, sp.ref.Size, message.DefaultLimits())
	if errors.Is(err, message.ErrMalformed) || errors.Is(err, message.ErrLimit) {
		return nil, rem.LetterFacts{Ref: sp.ref}, nil
	}
	if err != nil {
		return nil, rem.LetterFacts{}, err
	}
	return letter, letterFacts(letter, sp.ref), nil
}

// judging is what a letter's finding depends on besides the gateway.
type judging struct {
	letter *message.Letter // nil: it cannot be read
	party  rem.Party
	given  signer.Material
	moments
}

// judge judges the signatures of a letter. A bad signature is a finding; an
// error means that judging could not be done, and says nothing of the letter.
func (g *Gateway) judge(ctx context.Context, s *seat, j judging) (rem.Finding, error) {
	if j.letter == nil {
		return rem.Finding{Verdict: rem.Failed, Reason: rem.ReasonMalformed, Detail: "The letter is not well-formed MIME, or has too many parts or headers."}, nil
	}
	v, err := g.verifier(ctx, s, j.given)
	if err != nil {
		return rem.Finding{}, err
	}
	finding := judge.Judge(ctx, j.letter, judge.Request{
		Verifier: v, Party: j.party, Policy: g.Policy, Now: j.at, StatusAt: j.status, TempDir: g.Spool, Log: g.Log,
	})
	if s.lost != nil {
		return rem.Finding{}, s.lost
	}
	return finding, interrupted(ctx, finding)
}

// interrupted is the error of a judgement that did not come to its end: the
// context's, or that of our own disk.
func interrupted(ctx context.Context, f rem.Finding) error {
	if f.Reason != judge.ReasonInterrupted {
		return ctx.Err()
	}
	return errors.Join(fmt.Errorf("judge: %s", f.Detail), ctx.Err())
}

func letterFacts(l *message.Letter, ref rem.Ref) rem.LetterFacts {
	boxes := func(list ...[]message.Address) (out []string) {
		for _, as := range list {
			for _, a := range as {
				out = append(out, a.Mailbox)
			}
		}
		return out
	}
	return rem.LetterFacts{
		Ref: ref, MessageID: l.MessageID, Subject: l.Subject, Date: l.Date,
		From: boxes(l.From), FromName: fromName(l), To: boxes(l.To, l.Cc),
	}
}

func fromName(l *message.Letter) string {
	if len(l.From) == 1 {
		return l.From[0].Name
	}
	return ""
}

// party is whom a signer has to be to bind this login.
func (g *Gateway) party(ctx context.Context, env rem.Envelope) (rem.Party, error) {
	p := rem.Party{Addresses: env.Addresses}
	certs, err := g.DB.UserCertificates(ctx, env.Account)
	for _, c := range certs {
		p.CertificateSHA256 = append(p.CertificateSHA256, c.SHA256)
	}
	return p, err
}

// accept makes the bytes durable under their hash and commits everything of
// S4.6 in one transaction.
func (g *Gateway) accept(ctx context.Context, a *rem.Accepted, sp *spooled, x examined) (string, error) {
	s := &a.Submission
	repeats, err := g.DB.SubmissionBySigned(ctx, s.Account, s.Finding.SignedOctets(), s.Envelope.Recipients)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	s.Repeats = repeats
	sent, err := sentCopy(sp.file, sp.ref, x.letter)
	if err != nil {
		return "", err
	}
	g.linking.RLock()
	defer g.linking.RUnlock()
	pending, err := g.keepBlob(ctx, sp.ref, sp.path)
	if err != nil {
		return "", err
	}
	failpoint("receive/after-blob")
	n := store.NewSubmission{Accepted: a, RetryKey: x.retry, Sent: sent, Links: map[string]rem.Digest{}}
	n.Evidence = []rem.Evidence{a.Evidence()}
	n.Jobs = g.receiptJobs(n.Evidence, s.Time)
	for _, c := range a.Consignments {
		n.Links[c.ID] = linkHash(g.LinkToken(c.ID))
	}
	follow, err := g.followUps(a, pending)
	if err != nil {
		return "", err
	}
	n.Jobs = append(append(n.Jobs, follow...), recheckJobs(a)...)
	err = g.DB.AddSubmission(ctx, n)
	failpoint("receive/after-commit")
	if errors.Is(err, store.ErrExists) { // the same letter arrived on two connections at once
		return g.DB.SubmissionByRetryKey(ctx, x.retry, s.Time.Add(-retryWindow))
	}
	if err != nil {
		return "", g.commit(err)
	}
	return s.ID, nil
}

// refuse keeps the evidence of a refusal, and the bytes for RefusedFor.
// Temporary refusals leave no evidence: the sender's client tries again.
func (g *Gateway) refuse(ctx context.Context, env rem.Envelope, sp *spooled, facts rem.LetterFacts, r *rem.Refusal) error {
	if r.Temporary() {
		return r
	}
	if err := g.boundRefusals(ctx, env.Account, r); err != nil {
		return err
	}
	now := g.Now()
	rejection := rem.Rejection(env, sp.ref, r, now)
	jobs, err := g.refusalReceipt(rejection, facts)
	if err != nil {
		return err
	}
	path, err := g.keepRefused(env.ID, sp)
	if err != nil {
		return err
	}
	if path != "" {
		jobs = append(jobs, g.dropJob(env.ID, now))
	}
	row := store.Refusal{
		ID: env.ID, Account: env.Account, Sender: env.Login, Reason: string(r.Reason), Text: r.Text,
		Time: now, Wire: sp.ref, Finding: r.Finding, Spool: path,
	}
	failpoint("refuse/before-commit")
	err = g.DB.AddRefusal(ctx, row, rejection, jobs)
	failpoint("refuse/after-commit")
	if err != nil {
		g.dropRefused(path)
		return g.commit(err)
	}
	return r
}

// boundRefusals counts a refusal. Each leaves rows for good, so an account that
// goes on past Limits.Refusals within an hour is put off instead: it still hears
// what is wrong with its letter.
func (g *Gateway) boundRefusals(ctx context.Context, account string, r *rem.Refusal) error {
	key := "refused:" + account
	n, err := g.DB.Failures(ctx, key, g.Now().Add(-time.Hour))
	if err != nil {
		return err
	}
	if n >= g.Limits.Refusals {
		put := rem.Refuse(rem.ReasonTooMany, r.Finding.Detail, r.Finding)
		put.ID = r.ID
		return put
	}
	return g.DB.AddFailure(ctx, key)
}

// commit names a failed transaction: a full disk heals, a database that
// stopped after a failed fsync ends intake.
func (g *Gateway) commit(err error) error {
	switch {
	case errors.Is(err, store.ErrFull):
		return errors.Join(ErrFull, err)
	case errors.Is(err, store.ErrStopped):
		g.stop("commit", err)
		return errors.Join(ErrStopped, err)
	}
	return err
}

// retryKey is the same for a client's repeated attempt at one submission: same
// login, Message-ID, wire digest and recipients. A letter without a Message-ID
// is known by its bytes alone.
func retryKey(env rem.Envelope, facts rem.LetterFacts) rem.Digest {
	rcpts := make([]string, 0, len(env.Recipients))
	for _, r := range env.Recipients {
		rcpts = append(rcpts, rem.FoldAddress(r))
	}
	sort.Strings(rcpts)
	return rem.DigestOf([]byte(strings.Join([]string{
		env.Account, facts.MessageID, facts.Ref.SHA256.String(), strings.Join(rcpts, "\x00"),
	}, "\x01")))
}
