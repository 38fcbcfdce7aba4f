package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// jobRecheck judges a letter again that was accepted while revocation was
// unknown; subject: submission, payload: how often it was tried before.
const jobRecheck = "recheck"

// A letter is judged again after recheckFirst, then each time after twice as
// long, the last time recheckLast after it was accepted.
const (
	recheckFirst = time.Hour
	recheckLast  = 24 * time.Hour
)

// recheckJobs follow a letter that the policy "soft" let pass.
func recheckJobs(a *rem.Accepted) []store.Job {
	if a.Submission.Finding.Reason != rem.ReasonRevocationUnknown {
		return nil
	}
	return []store.Job{recheckJob(&a.Submission, 0)}
}

func recheckJob(s *rem.Submission, tries int) store.Job {
	payload, _ := json.Marshal(tries) // an int always can be
	return store.Job{
		ID: fmt.Sprintf("%s-%s-%d", jobRecheck, s.ID, tries), Kind: jobRecheck, Subject: s.ID, Payload: payload,
		Due: s.Time.Add(min(recheckFirst<<min(tries, 10), recheckLast)),
	}
}

// recheck judges a letter as of when it came, by what is known of revocations
// now, and records the result once there is one, or that there is none in time.
// Whatever it is, nothing is undone: the letter is where it went, and sender
// and recipients see in report and receipt what became known.
func (g *Gateway) recheck(ctx context.Context, j *store.Job) (store.Outcome, error) {
	var tries int
	if err := json.Unmarshal(j.Payload, &tries); err != nil {
		return store.Outcome{}, fmt.Errorf("recheck payload: %w", err)
	}
	s, err := g.DB.Submission(ctx, j.Subject)
	if err != nil {
		return store.Outcome{}, err
	}
	now := g.Now()
	f, err := g.judgeStored(ctx, s, moments{at: s.Time, status: now})
	if err != nil {
		return store.Outcome{}, err
	}
	if f.Reason == rem.ReasonRevocationUnknown && now.Before(s.Time.Add(recheckLast)) {
		return store.Outcome{Jobs: []store.Job{recheckJob(s, tries+1)}}, nil
	}
	evidence := []rem.Evidence{rem.Attest(rem.SignatureRecheck, s.ID, 0, now, recheckRecord(s, f))}
	return store.Outcome{
		Evidence: evidence, Jobs: g.receiptJobs(evidence, now), Submission: s.ID, Material: f.Used,
	}, nil
}

// recheckRecord names no recipient: every one of them may see it.
func recheckRecord(s *rem.Submission, f rem.Finding) rem.Record {
	r := rem.Record{
		Submission: s.ID, Sender: s.Sender, Reason: string(f.Reason), Detail: f.Detail,
		Digests: map[string]string{"letter.sha256": s.Letter.Ref.SHA256.String()},
	}
	for _, sig := range f.Signatures {
		r.Signatures = append(r.Signatures, sig.Record())
	}
	for i, m := range f.Used {
		r.Digests[fmt.Sprintf("revocation.%d.%s.sha256", i+1, m.Kind)] = rem.DigestOf(m.DER).String()
	}
	return r
}

// moments are those of one judgement: at which certificates have to be valid,
// and whose knowledge of revocations counts.
type moments struct{ at, status time.Time }

// judgeStored judges a stored letter with today's trust and with what was at
// hand when it was accepted. The party is the sender as he was bound then.
// Bytes that are not those he sent are ErrChanged: the fault is ours, and
// nothing may lay it on his signature.
func (g *Gateway) judgeStored(ctx context.Context, s *rem.Submission, m moments) (rem.Finding, error) {
	if err := g.Blobs.Verify(ctx, s.Letter.Ref); err != nil {
		return rem.Finding{}, changed(err)
	}
	letter, close, err := g.letter(ctx, s)
	if err != nil {
		return rem.Finding{}, err
	}
	defer close()
	given, err := ReadMaterial(ctx, g.DB, s.ID)
	if err != nil { // the letter can be judged without
		g.Log.Error("read what a finding rested on", "submission", s.ID, "error", err)
		given = signer.Material{}
	}
	seat, err := g.seat(ctx)
	if err != nil {
		return rem.Finding{}, err
	}
	defer seat.leave()
	return g.judge(ctx, seat, judging{letter: letter, party: boundParty(s), moments: m, given: given})
}
