package main

import (
	"context"
	"errors"
	"slices"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// withStored judges, and judges again when more could be known: an installation
// that has accepted one of these signatures keeps what its finding rested on,
// lists and answers that nobody serves any more among it.
func (v *verification) withStored(ctx context.Context, judge func() rem.Finding) (rem.Finding, error) {
	f := judge()
	lacking := f.Reason == rem.ReasonRevocationUnknown || f.Reason == rem.ReasonUntrusted
	if !lacking || v.Config == "" && v.Data == "" {
		return f, nil
	}
	stored, err := v.stored(ctx, f)
	if err != nil || len(stored.Certificates)+len(stored.CRLs)+len(stored.OCSPs) == 0 {
		return f, err
	}
	given := &v.verifier.Given
	given.Certificates = slices.Concat(given.Certificates, stored.Certificates)
	given.CRLs = slices.Concat(given.CRLs, stored.CRLs)
	given.OCSPs = slices.Concat(given.OCSPs, stored.OCSPs)
	return judge(), nil
}

// maxStored is how many letters with the same signature are looked at.
const maxStored = 4

// stored reads what the installation keeps of the letters with these signatures.
func (v *verification) stored(ctx context.Context, f rem.Finding) (signer.Material, error) {
	var out signer.Material
	_, db, err := Place{Config: v.Config, Data: v.Data}.open(ctx)
	if err != nil {
		return out, err
	}
	ids, err := submissionsWith(ctx, db, f)
	for _, id := range ids {
		var m signer.Material
		if m, err = gateway.ReadMaterial(ctx, db, id); err != nil {
			break
		}
		out.Certificates = append(out.Certificates, m.Certificates...)
		out.CRLs = append(out.CRLs, m.CRLs...)
		out.OCSPs = append(out.OCSPs, m.OCSPs...)
	}
	return out, errors.Join(err, db.Close())
}

func submissionsWith(ctx context.Context, db *store.DB, f rem.Finding) ([]string, error) {
	var out []string
	for _, s := range f.Signatures {
		if s.SignatureSHA256.IsZero() || len(out) >= maxStored {
			continue
		}
		ids, err := db.SubmissionsBySignature(ctx, s.SignatureSHA256)
		if err != nil {
			return nil, err
		}
		out = append(out, ids...)
		slices.Sort(out)
		out = slices.Compact(out)
	}
	return out[:min(len(out), maxStored)], nil
}
