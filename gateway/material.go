package gateway

import (
	"context"
	"fmt"

	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// restored is how much of what earlier lives of this installation fetched is
// taken into memory at the start, in octets.
const restored = 32 << 20

// ReadMaterial parses what the findings on a submission rested on.
func ReadMaterial(ctx context.Context, db *store.DB, submission string) (signer.Material, error) {
	list, err := db.Material(ctx, submission)
	if err != nil {
		return signer.Material{}, err
	}
	return parseMaterial(list)
}

func parseMaterial(list []rem.Material) (signer.Material, error) {
	var out signer.Material
	for _, m := range list {
		var err error
		switch m.Kind {
		case rem.MaterialCRL:
			var l *pki.CRL
			if l, err = pki.ParseCRL(m.DER); err == nil {
				l.Source = m.Source
				out.CRLs = append(out.CRLs, l)
			}
		case rem.MaterialOCSP:
			var r *pki.OCSPResponse
			if r, err = pki.ParseOCSPResponse(m.DER); err == nil {
				r.Source = m.Source
				out.OCSPs = append(out.OCSPs, r)
			}
		case rem.MaterialCertificate:
			var c *pki.Certificate
			if c, err = pki.ParseCertificate(m.DER); err == nil {
				out.Certificates = append(out.Certificates, c)
			}
		}
		if err != nil {
			return out, fmt.Errorf("stored %s %s: %w", m.Kind, rem.DigestOf(m.DER), err)
		}
	}
	return out, nil
}

// restoreFetched takes what was fetched and still counts into memory: after a
// start in an outage the letters of known senders pass all the same.
func (g *Gateway) restoreFetched(ctx context.Context) {
	if g.Fetch == nil {
		return
	}
	list, err := g.DB.CurrentMaterial(ctx, restored)
	if err != nil {
		g.Log.Error("restore what was fetched", "error", err)
		return
	}
	m, err := parseMaterial(list)
	if err != nil {
		g.Log.Error("restore what was fetched", "error", err)
	}
	g.Fetch.Restore(m.CRLs, m.OCSPs)
}
