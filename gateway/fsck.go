package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

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
//   - every letter is there, whole, and has its recorded digest;
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
}

// Run looks at everything once. The error says that looking was not possible.
func (f *Fsck) Run(ctx context.Context) error {
	if err := f.DB.Check(ctx, f.Report); err != nil {
		return err
	}
	if err := f.letters(ctx); err != nil {
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
		f.submission(ctx, s, e)
		return f.receivers(ctx, s)
	})
}

// submission compares one letter with what was recorded of it.
func (f *Fsck) submission(ctx context.Context, s *rem.Submission, e store.EvidenceRow) {
	problem := func(format string, a ...any) {
		f.Report("submission " + s.ID + ": " + fmt.Sprintf(format, a...))
	}
	if err := f.Blobs.Verify(ctx, s.Letter.Ref); err != nil {
		problem("letter %s: %v", s.Letter.Ref, err)
		return
	}
	b, err := f.Blobs.Open(ctx, s.Letter.Ref)
	if err != nil {
		problem("letter %s: %v", s.Letter.Ref, err)
		return
	}
	defer b.Close()
	letter, err := message.Parse(b, s.Letter.Ref.Size, message.DefaultLimits())
	if err != nil {
		problem("letter cannot be parsed: %v", err)
		return
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
		return // erased: its digest stays
	}
	want, err := rem.Canonical((&rem.Accepted{Submission: *s}).Evidence().Record)
	if err != nil || string(want) != string(e.Record) {
		problem("evidence %s does not say what the rows say", e.ID)
	}
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
	return f.Blobs.List(ctx, func(ref rem.Ref, _ time.Time) error {
		f.Files++
		used, err := f.DB.BlobReferenced(ctx, ref)
		if err == nil && !used {
			f.Unreferenced++
		}
		return err
	})
}
