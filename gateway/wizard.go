package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"cryptogramm.ru/cryptogramm/gateway/document"
	"cryptogramm.ru/cryptogramm/gateway/judge"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// DraftRequest asks for the wizard's protocol (S4.10, S4.11).
type DraftRequest struct {
	User        *store.User
	Consignment string
	Certificate rem.Digest // the one he will sign with; zero for a preview that is not recorded
	Language    string
}

// AcknowledgeRequest is the recipient's signature over a protocol (S4.12).
type AcknowledgeRequest struct {
	User      *store.User
	Protocol  string
	Signature []byte // CMS in DER, PEM or base64; detached over the protocol's bytes
}

// Draft checks the letter's signatures again, now, and makes the protocol of
// it. With a certificate the protocol is stored, for DraftLife, bound to the
// account, the consignment and that certificate; without one it is a preview
// and leaves no trace. Errors: ErrNotFound.
func (g *Gateway) Draft(ctx context.Context, d DraftRequest) (*store.Protocol, *document.Protocol, error) {
	v, err := g.View(ctx, d.User, d.Consignment)
	if err != nil {
		return nil, nil, err
	}
	if v.Consignment.ReceivedBy != d.User.ID { // the sender, unless he wrote to himself
		return nil, nil, ErrNotFound
	}
	req := document.ProtocolRequest{
		ID: g.NewID(), Made: g.Now(), Gateway: g.Domain, Submission: v.Submission,
		Consignment: v.Consignment.Consignment, RecipientName: d.User.Name, Policy: g.Policy,
	}
	if !d.Certificate.IsZero() {
		if req.Certificate, err = g.ownCertificate(ctx, d.User.ID, d.Certificate); err != nil {
			return nil, nil, err
		}
	}
	if err := g.roomForDraft(ctx, d); err != nil {
		return nil, nil, err
	}
	if req.Finding, err = g.judgeAgain(ctx, v.Submission.ID); err != nil {
		return nil, nil, err
	}
	p := document.NewProtocol(req)
	row, err := g.protocolRow(p, d)
	if err != nil || p.Preview() {
		return row, &p, err
	}
	return row, &p, g.DB.AddProtocol(ctx, *row)
}

// openDrafts bounds the unsigned protocols one recipient may have of one
// consignment at a time; each may hold as much as its letter's findings.
const openDrafts = 20

func (g *Gateway) roomForDraft(ctx context.Context, d DraftRequest) error {
	if d.Certificate.IsZero() {
		return nil // a preview is not stored
	}
	list, err := g.DB.Protocols(ctx, d.User.ID, d.Consignment)
	if err != nil {
		return err
	}
	open, now := 0, g.Now()
	for _, p := range list {
		if len(p.Signature) == 0 && now.Before(p.Expires) {
			open++
		}
	}
	if open >= openDrafts {
		return ErrBusy
	}
	return nil
}

func (g *Gateway) protocolRow(p document.Protocol, d DraftRequest) (*store.Protocol, error) {
	body, err := p.JSON()
	if err != nil {
		return nil, err
	}
	html, err := p.HTML(d.Language)
	if err != nil {
		return nil, err
	}
	return &store.Protocol{
		ID: p.ID, User: d.User.ID, Consignment: p.Consignment, Certificate: d.Certificate,
		Body: body, HTML: html, Created: p.Made, Expires: p.Made.Add(g.Limits.DraftLife),
	}, nil
}

func (g *Gateway) ownCertificate(ctx context.Context, user string, sha rem.Digest) (*document.Certificate, error) {
	certs, err := g.DB.UserCertificates(ctx, user)
	if err != nil {
		return nil, err
	}
	for _, c := range certs {
		if c.SHA256 == sha {
			return &document.Certificate{Subject: c.Subject, Issuer: c.Issuer, Serial: c.Serial, SHA256: c.SHA256}, nil
		}
	}
	return nil, ErrNotFound
}

// judgeAgain judges a stored letter as of now.
func (g *Gateway) judgeAgain(ctx context.Context, submission string) (rem.Finding, error) {
	s, err := g.DB.Submission(ctx, submission)
	if err != nil {
		return rem.Finding{}, err
	}
	return g.judgeStored(ctx, s, moments{at: g.Now()})
}

// boundParty is the sender as he was bound when his letter was accepted,
// whatever he has registered or removed since.
func boundParty(s *rem.Submission) rem.Party {
	p := rem.Party{Addresses: s.Envelope.Addresses}
	for _, sig := range s.Finding.Signatures {
		if sig.Bound == "registered" {
			p.CertificateSHA256 = append(p.CertificateSHA256, sig.CertificateSHA256)
		}
	}
	return p
}

// Acknowledge records the recipient's own verification: his signature over
// exactly the protocol's bytes, by the certificate the protocol was made for,
// judged by the same rules as any letter (S4.12).
//
// A signature that does not pass is a *rem.Refusal with every check. Other
// errors: ErrNotFound (also when the certificate is no longer registered),
// ErrGone (the draft is too old), ErrUsed.
func (g *Gateway) Acknowledge(ctx context.Context, a AcknowledgeRequest) error {
	p, err := g.DB.Protocol(ctx, a.Protocol)
	if err != nil {
		return notFound(err)
	}
	if a.User == nil || p.User != a.User.ID {
		return ErrNotFound
	}
	now := g.Now()
	switch {
	case len(p.Signature) > 0:
		return ErrUsed
	case !now.Before(p.Expires):
		return ErrGone
	}
	if _, err := g.ownCertificate(ctx, a.User.ID, p.Certificate); err != nil {
		return err
	}
	sig, err := g.ownSignature(ctx, a.Signature, p.Body, rem.Party{CertificateSHA256: []rem.Digest{p.Certificate}})
	if err != nil {
		return err
	}
	p.Signature, p.SignedAt = a.Signature, now
	for range 100 {
		ev, err := g.verificationEvidence(ctx, *p, sig)
		if err != nil {
			return err
		}
		failpoint("acknowledge/before-commit")
		first, err := g.DB.SignProtocol(ctx, store.Signing{
			Protocol: *p, Signer: sig.Certificate, Evidence: []rem.Evidence{ev}, Jobs: g.receiptJobs([]rem.Evidence{ev}, now),
		})
		failpoint("acknowledge/after-commit")
		if err != nil || first {
			return err
		}
		// Either this protocol was signed meanwhile, or another one, which took
		// the attempt: then there is a next.
		stored, err := g.DB.Protocol(ctx, p.ID)
		if err != nil {
			return notFound(err)
		}
		if len(stored.Signature) > 0 {
			return ErrUsed
		}
	}
	return fmt.Errorf("acknowledge %s: every attempt was taken by another protocol", p.ID)
}

// verificationEvidence attests a signed protocol. A recipient may verify more
// than once: each signed protocol is one attempt.
func (g *Gateway) verificationEvidence(ctx context.Context, p store.Protocol, sig rem.Signature) (rem.Evidence, error) {
	c, err := g.DB.Consignment(ctx, p.Consignment)
	if err != nil {
		return rem.Evidence{}, err
	}
	earlier, err := g.evidence(ctx, store.EvidenceFilter{Consignment: c.ID, Event: string(rem.RecipientVerification)})
	if err != nil {
		return rem.Evidence{}, err
	}
	return rem.Attest(rem.RecipientVerification, c.ID, len(earlier), p.SignedAt, rem.Record{
		Submission: c.Submission, Consignment: c.ID, Sender: c.Sender, Recipient: c.Recipient,
		Grade: rem.GradeSigned, Protocol: p.ID,
		Digests: map[string]string{
			"protocol.sha256":           rem.DigestOf(p.Body).String(),
			"protocol.signature.sha256": sig.SignatureSHA256.String(),
			"certificate.sha256":        sig.CertificateSHA256.String(),
		},
		Signatures: []rem.SignatureRecord{sig.Record()},
	}), nil
}

// ownSignature judges a signature made outside over our own text. With a party
// its signer must be one of that party's certificates.
func (g *Gateway) ownSignature(ctx context.Context, signature, text []byte, party rem.Party) (rem.Signature, error) {
	seat, err := g.seat(ctx) // an upload costs what a letter costs
	if err != nil {
		return rem.Signature{}, err
	}
	defer seat.leave()
	v, err := g.verifier(ctx, seat, signer.Material{})
	if err != nil {
		return rem.Signature{}, err
	}
	f := judge.Files(ctx, judge.FileRequest{
		Verifier: v, Now: g.Now(), TempDir: g.Spool, Log: g.Log, Name: "signature",
		Signature: source(signature), Content: source(text),
	})
	if err := interrupted(ctx, f); err != nil {
		return rem.Signature{}, err
	}
	if f.Verdict != rem.Passed {
		return rem.Signature{}, rem.Refuse(f.Reason, f.Detail, f)
	}
	if len(f.Signatures) != 1 {
		return rem.Signature{}, rem.Refuse(rem.ReasonSignatureFailed, "Exactly one signature is needed.", f)
	}
	s := f.Signatures[0]
	for _, own := range party.CertificateSHA256 {
		if own == s.CertificateSHA256 {
			return s, nil
		}
	}
	if len(party.CertificateSHA256) > 0 {
		return rem.Signature{}, rem.Refuse(rem.ReasonSignerNotSender, "The signature was made with another certificate than the one chosen.", f)
	}
	return s, nil
}

func source(b []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}

// RegisterCertificate registers the certificate with which the user signed
// our challenge: it binds him as a sender, and lets him sign protocols.
// token names the challenge and is used up. A signature that does not pass is
// a *rem.Refusal.
func (g *Gateway) RegisterCertificate(ctx context.Context, user *store.User, token string, signature []byte) (*store.UserCertificate, error) {
	if user == nil {
		return nil, ErrNotFound
	}
	text, err := g.Accounts.ChallengeText(ctx, user.ID, token)
	if err != nil {
		return nil, notFound(err)
	}
	sig, err := g.ownSignature(ctx, signature, text, rem.Party{})
	if err != nil {
		return nil, err
	}
	cert, err := parseCertificate(sig.Certificate)
	if err != nil {
		return nil, err
	}
	row := store.UserCertificate{
		User: user.ID, SHA256: sig.CertificateSHA256, DER: sig.Certificate, Subject: sig.Signer,
		Issuer: sig.Issuer, Serial: sig.Serial, NotAfter: cert.NotAfter, Added: g.Now(),
	}
	if err := g.Accounts.AddCertificate(ctx, user.ID, token, row); err != nil {
		if errors.Is(err, store.ErrUsed) {
			return nil, ErrUsed
		}
		return nil, err
	}
	return &row, nil
}

// letter opens a submission's stored bytes and parses them again.
func (g *Gateway) letter(ctx context.Context, s *rem.Submission) (*message.Letter, func() error, error) {
	b, err := g.openBlob(ctx, s.Letter.Ref)
	if err != nil {
		return nil, nil, fmt.Errorf("letter of %s: %w", s.ID, changed(err))
	}
	l, err := message.Parse(b, s.Letter.Ref.Size, message.DefaultLimits())
	if err != nil {
		b.Close()
		return nil, nil, fmt.Errorf("letter of %s: %w", s.ID, changed(err))
	}
	return l, b.Close, nil
}
