package judge

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// FileRequest is a signature that came without a letter. Nobody is its sender,
// so signers are reported and not bound.
type FileRequest struct {
	Verifier    *signer.Verifier
	Now         time.Time
	TempDir     string       // as in Request
	Log         *slog.Logger // as in Request
	Name        string       // of the signature file
	Signature   Source       // DER, BER, PEM or base64
	ContentName string       // of the file beside it
	Content     Source       // that file; nil: none at hand
}

// Files judges a signature file, with the file it was made for when there is
// one. When the signature has its content inside and a file is given as well,
// they must be the same.
func Files(ctx context.Context, r FileRequest) rem.Finding {
	q := Request{Verifier: r.Verifier, Now: r.Now, TempDir: r.TempDir, Log: r.Log, Policy: rem.Policy{DocumentSigner: "any"}}
	return guarded(ctx, q, func(j *judgement) error {
		signature := &leaf{name: r.Name, mediaType: "application/pkcs7-signature", open: r.Signature}
		if strings.EqualFold(extension(r.Name), ".p7m") {
			signature.mediaType = "application/octet-stream"
		}
		if err := j.signature(scope{}, signature); err != nil {
			return err
		}
		if r.Content != nil {
			content := &leaf{name: r.ContentName, mediaType: "application/octet-stream", open: r.Content}
			j.add(scope{}, content)
			for _, d := range j.pending {
				d.fixed = content
			}
		}
		if err := j.settle(); err != nil {
			return err
		}
		j.forgetPlaces()
		return nil
	})
}

// forgetPlaces clears ranges: without a letter there is nothing they lie in.
func (j *judgement) forgetPlaces() {
	for i := range j.finding.Documents {
		d := &j.finding.Documents[i]
		d.Part, d.Container, d.Within = rem.Range{}, false, nil
	}
	for i := range j.finding.Signatures {
		j.finding.Signatures[i].Part = rem.Range{}
	}
}

// Certificate judges a certificate alone: its path to an anchor at r.Now. The
// finding shows it in the place of a signature, in the format "X.509".
func Certificate(ctx context.Context, c *pki.Certificate, others []*pki.Certificate, r FileRequest) rem.Finding {
	q := Request{Verifier: r.Verifier, Now: r.Now, Log: r.Log}
	return guarded(ctx, q, func(j *judgement) error {
		path, _, err := j.Verifier.Path(j.ctx, pki.PathRequest{Leaf: c, Extra: others, At: j.Now, Effort: j.effort})
		if err != nil {
			return err
		}
		sig := rem.Signature{
			Format: "X.509", BestTime: j.Now, Checks: checks(path.Checks), Covers: []string{},
			Indication: string(path.Verdict.Indication), SubIndication: string(path.Verdict.SubIndication),
			Place: message.SafeDisplay(r.Name),
		}
		if c.Key != nil {
			sig.Algorithm = c.Key.Name()
		}
		if path.Anchor != nil {
			sig.AnchorKind = string(path.Anchor.Kind)
		}
		describe(&sig, c)
		j.finding.Signatures = append(j.finding.Signatures, sig)
		if path.Verdict != pki.Passed() {
			reason := reasonOf(path.Verdict)
			detail := sig.Place + ": the certificate of " + sig.Signer + " did not pass" + reasonText(path.Checks, reason)
			j.objections = append(j.objections, objection{reason, path.Verdict, oneLine(detail)})
		}
		return nil
	})
}
