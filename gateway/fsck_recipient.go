package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"cryptogramm.ru/cryptogramm/gateway/judge"
	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// receivers holds the accounts that received a letter against its addresses: a
// row that says otherwise would show the letter to somebody else.
func (f *Fsck) receivers(ctx context.Context, s *rem.Submission) error {
	rows, err := f.DB.Consignments(ctx, s.ID)
	if err != nil {
		return err
	}
	for _, c := range rows {
		if c.ReceivedBy == "" {
			continue
		}
		u, err := f.DB.UserByID(ctx, c.ReceivedBy)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		his := func(a string) bool { return rem.SameAddress(a, c.Recipient) }
		if err != nil || !slices.ContainsFunc(u.Addresses, his) {
			f.Report(fmt.Sprintf("consignment %s: received by the account %s, which does not have the address %s", c.ID, c.ReceivedBy, c.Recipient))
		}
	}
	return nil
}

// protocol holds a signed protocol against the evidence of it. Whether the
// certificate was trusted then is not asked: trust changes.
func (f *Fsck) protocol(ctx context.Context, e store.EvidenceRow) error {
	var r rem.Record
	if e.Record == nil || json.Unmarshal(e.Record, &r) != nil {
		return nil // erased; or store.Check has named it
	}
	p, err := f.DB.Protocol(ctx, r.Protocol)
	if errors.Is(err, store.ErrNotFound) {
		f.Report(fmt.Sprintf("evidence %s: its protocol %s is absent", e.ID, r.Protocol))
		return nil
	}
	if err != nil {
		return err
	}
	found := judge.Files(ctx, judge.FileRequest{
		Verifier: &signer.Verifier{}, Now: p.SignedAt, Name: "signature", Signature: source(p.Signature), Content: source(p.Body),
	})
	if err := interrupted(ctx, found); err != nil {
		return err
	}
	wrong := func(bad bool, what string) {
		if bad {
			f.Report(fmt.Sprintf("protocol %s, attested by %s: %s", p.ID, e.ID, what))
		}
	}
	wrong(p.Consignment != e.Subject, "it is about another consignment")
	wrong(!p.SignedAt.Equal(e.Time), "it was signed at another time")
	wrong(rem.DigestOf(p.Body).String() != r.Digests["protocol.sha256"], "its bytes are not the attested ones")
	wrong(p.Certificate.String() != r.Digests["certificate.sha256"], "it was made for another certificate")
	if found.Verdict == rem.Failed || len(found.Signatures) != 1 {
		wrong(true, "its signature is not one over its bytes: "+found.Detail)
		return nil
	}
	sig := found.Signatures[0]
	wrong(sig.SignatureSHA256.String() != r.Digests["protocol.signature.sha256"], "its signature is not the attested one")
	wrong(sig.CertificateSHA256 != p.Certificate, "it was signed with another certificate")
	return nil
}
