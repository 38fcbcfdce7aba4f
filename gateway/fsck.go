package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"cryptogramm.ru/cryptogramm/gateway/judge"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// Fsck re-derives what an installation claims (invariant 6) from database and
// bytes alone and reports every difference:
//
//   - what SQL can tell (store.DB.Check);
//   - every letter, and every other blob that is needed, is there, whole, and
//     has its recorded digest: in the object store where there is one, or kept
//     here while it waits for that;
//   - every document and signature, cut out of its letter again, has the
//     recorded digests, and every evidence of acceptance says the same;
//   - who received a consignment has the address it was sent to;
//   - every signed protocol is the one its evidence names, and carries a
//     signature over exactly its bytes.
//
// Blobs that nothing refers to are counted, not reported: a crash between bytes
// and rows leaves them, and the clean job removes them.
//
// It only reads, and may run beside a serving gateway.
type Fsck struct {
	DB     *store.DB
	Blobs  blob.Store
	Report func(problem string)

	Submissions, Evidence, Files int // what was looked at
	Unreferenced                 int // blobs that the clean job will remove
	Pending                      int // blobs needed that this node alone has, until they are uploaded

	seen map[seenBlob]struct{}
}

// seenBlob is enough of a digest to know a blob again.
type seenBlob [12]byte

func seenAs(ref rem.Ref) seenBlob { return seenBlob(ref.SHA256[:len(seenBlob{})]) }

// Run looks at everything once. The error says that looking was not possible.
func (f *Fsck) Run(ctx context.Context) error {
	if err := f.DB.Check(ctx, f.Report); err != nil {
		return err
	}
	f.seen = make(map[seenBlob]struct{})
	if err := f.letters(ctx); err != nil {
		return err
	}
	if err := f.others(ctx); err != nil {
		return err
	}
	if err := f.attested(ctx, rem.RecipientVerification, func(e store.EvidenceRow) error { return f.protocol(ctx, e) }); err != nil {
		return err
	}
	return f.orphans(ctx)
}

// attested calls look for every evidence of an event.
func (f *Fsck) attested(ctx context.Context, event rem.Event, look func(store.EvidenceRow) error) error {
	after := ""
	for {
		rows, err := f.DB.Evidence(ctx, store.EvidenceFilter{Event: string(event), After: after, Limit: 500})
		if err != nil {
			return err
		}
		for _, e := range rows {
			after = e.ID
			f.Evidence++
			if err := look(e); err != nil {
				return err
			}
		}
		if len(rows) < 500 {
			return nil
		}
	}
}

func (f *Fsck) letters(ctx context.Context) error {
	return f.attested(ctx, rem.SubmissionAcceptance, func(e store.EvidenceRow) error {
		s, err := f.DB.Submission(ctx, e.Subject)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil // store.Check has named it
		case err != nil && ctx.Err() == nil:
			f.Report(fmt.Sprintf("submission %s: cannot be read: %v", e.Subject, err))
			return nil
		case err != nil:
			return err
		}
		f.Submissions++
		if err := f.submission(ctx, s, e); err != nil {
			return err
		}
		return f.receivers(ctx, s)
	})
}

// others looks at the blobs that are needed and are no letters.
func (f *Fsck) others(ctx context.Context) error {
	return f.DB.BlobRefs(ctx, func(ref rem.Ref) error {
		if _, ok := f.seen[seenAs(ref)]; ok {
			return nil
		}
		whole, err := f.verify(ctx, ref)
		if whole != nil {
			f.Report(fmt.Sprintf("blob %s: %v", ref, whole))
		}
		return err
	})
}

// verify says what is wrong with a blob. The error says that it could not be
// looked at: an object store that does not answer has lost nothing.
func (f *Fsck) verify(ctx context.Context, ref rem.Ref) (wrong, err error) {
	if b, ok := f.Blobs.(interface {
		Check(ctx context.Context, ref rem.Ref) (pending bool, err error)
	}); ok {
		var pending bool
		if pending, wrong = b.Check(ctx, ref); pending {
			f.Pending++
		}
	} else {
		wrong = f.Blobs.Verify(ctx, ref)
	}
	f.seen[seenAs(ref)] = struct{}{}
	return wrong, unanswered(ctx, wrong)
}

// unanswered is what ends the check.
func unanswered(ctx context.Context, err error) error {
	if errors.Is(err, blob.ErrUnavailable) {
		return err
	}
	return ctx.Err()
}

// submission compares one letter with what was recorded of it.
func (f *Fsck) submission(ctx context.Context, s *rem.Submission, e store.EvidenceRow) error {
	problem := func(format string, a ...any) {
		f.Report("submission " + s.ID + ": " + fmt.Sprintf(format, a...))
	}
	wrong, err := f.verify(ctx, s.Letter.Ref)
	if err != nil {
		return err
	}
	if wrong != nil {
		problem("letter %s: %v", s.Letter.Ref, wrong)
		return nil
	}
	b, err := f.Blobs.Open(ctx, s.Letter.Ref)
	if err != nil {
		problem("letter %s: %v", s.Letter.Ref, err)
		return unanswered(ctx, err)
	}
	defer b.Close()
	letter, err := message.Parse(b, s.Letter.Ref.Size, message.DefaultLimits())
	if err != nil {
		problem("letter cannot be parsed: %v", err)
		return nil
	}
	for _, d := range s.Finding.Documents {
		r, err := judge.OpenDocument(letter, d)
		sameDigest(problem, "document "+d.Name, d.SHA256, r, err)
	}
	for _, sig := range s.Finding.Signatures {
		r, err := judge.OpenSignature(letter, sig)
		sameDigest(problem, "signature "+sig.Place, sig.SignatureSHA256, r, err)
		if len(sig.Certificate) > 0 && rem.DigestOf(sig.Certificate) != sig.CertificateSHA256 {
			problem("certificate of %s does not have its digest", sig.Place)
		}
	}
	if e.Record == nil {
		return nil // erased: its digest stays
	}
	want, err := rem.Canonical((&rem.Accepted{Submission: *s}).Evidence().Record)
	if err != nil || string(want) != string(e.Record) {
		problem("evidence %s does not say what the rows say", e.ID)
	}
	return nil
}

func sameDigest(problem func(string, ...any), what string, want rem.Digest, r io.ReadCloser, err error) {
	if err != nil {
		problem("%s: %v", what, err)
		return
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		problem("%s: %v", what, err)
		return
	}
	if rem.Digest(h.Sum(nil)) != want {
		problem("%s: bytes differ from the recorded digest", what)
	}
}

// orphans counts blobs that nothing refers to.
func (f *Fsck) orphans(ctx context.Context) error {
	return eachBlob(ctx, f.DB, f.Blobs, func(b storedBlob) error {
		f.Files++
		if !b.used {
			f.Unreferenced++
		}
		return nil
	})
}
