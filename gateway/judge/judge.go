package judge

import (
	"context"
	"fmt"
	"runtime/debug"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// Judge judges a letter. A letter that does not name exactly one sender is
// refused before anything else is looked at.
func Judge(ctx context.Context, l *message.Letter, q Request) rem.Finding {
	return guarded(ctx, q, func(j *judgement) error {
		if objection := sender(l); objection != "" {
			j.object(rem.ReasonFrom, objection)
			return nil
		}
		j.from = l.From[0].Mailbox
		if what := l.Ambiguity(); what != "" {
			j.object(rem.ReasonMalformed, "the letter can be read in more than one way: "+what)
		}
		if err := j.walk(scope{letter: l}, l.Root); err != nil {
			return err
		}
		if err := j.settle(); err != nil {
			return err
		}
		j.unsignedHeader(l.Root.Header)
		return nil
	})
}

// sender says why the letter names no single sender; "" when it does.
func sender(l *message.Letter) string {
	switch {
	case l.FromError != nil:
		return "the From field cannot be read"
	case l.FromFields != 1:
		return fmt.Sprintf("the letter has %d From fields, exactly one is needed", l.FromFields)
	case len(l.From) != 1:
		return fmt.Sprintf("the letter names %d From addresses, exactly one is needed", len(l.From))
	}
	return ""
}

// judgement is one letter or file under way.
type judgement struct {
	Request
	ctx  context.Context
	from string // the From address; "" for files

	spool   spool
	effort  *pki.Effort // of all signatures
	seals   []*seal
	leaves  []*leaf // in the order in which the letter shows them
	pending []*detached
	margins []string // text outside the parts, where no signature reaches

	spent, probes      int  // of maxSignatures
	overspent, crowded bool // one was exceeded: signatures, leaves

	objections []objection
	finding    rem.Finding
	buffer     []byte // for reading one file after the other
}

const copyBuffer = 16 << 10

// guarded runs a judgement so that whatever happens ends in a finding.
func guarded(ctx context.Context, q Request, run func(*judgement) error) (f rem.Finding) {
	j := &judgement{Request: q.withDefaults(), ctx: ctx, effort: pki.NewEffort(maxEffort)}
	j.spool.dir = q.TempDir
	defer func() {
		j.spool.close()
		if p := recover(); p != nil {
			j.Log.Error("panic while judging", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			f = panicked()
		}
	}()
	if err := run(j); err != nil {
		j.Log.Warn("judging interrupted", "err", err)
		j.object(ReasonInterrupted, "the letter could not be read to its end")
	}
	return j.conclude()
}

// panicked is the finding of invariant 5.
func panicked() rem.Finding {
	j := &judgement{}
	j.object(rem.ReasonSignatureFailed, "the signature could not be judged")
	return j.conclude()
}
