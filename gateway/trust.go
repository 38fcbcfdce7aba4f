package gateway

import (
	"context"
	"fmt"
	"sync"

	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store"
)

// Trust gives the current trust store: anchors, intermediates and CRLs of the
// database, parsed once per change of them.
type Trust struct {
	DB *store.DB

	mu      sync.Mutex
	version int64
	store   *pki.TrustStore
}

// Store returns the trust store of this moment. It is immutable.
func (t *Trust) Store(ctx context.Context) (*pki.TrustStore, error) {
	v, err := t.DB.TrustVersion(ctx)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.store != nil && t.version == v {
		return t.store, nil
	}
	m, err := ReadTrust(ctx, t.DB)
	if err != nil {
		return nil, err
	}
	s := pki.NewTrustStore(m.Anchors, m.Intermediates, m.CRLs)
	t.store, t.version = s, v
	return s, nil
}

// TrustMaterial is what a trust store is made of.
type TrustMaterial struct {
	Anchors       []pki.Anchor
	Intermediates []*pki.Certificate
	CRLs          []*pki.CRL
}

// ReadTrust reads and parses what the database holds.
func ReadTrust(ctx context.Context, db *store.DB) (TrustMaterial, error) {
	var m TrustMaterial
	anchors, err := db.Anchors(ctx)
	if err != nil {
		return m, err
	}
	for _, a := range anchors {
		c, err := pki.ParseCertificate(a.DER)
		if err != nil {
			return m, fmt.Errorf("anchor %s: %w", a.SHA256, err)
		}
		m.Anchors = append(m.Anchors, pki.Anchor{Certificate: c, Kind: pki.AnchorKind(a.Kind)})
	}
	between, err := db.Intermediates(ctx)
	if err != nil {
		return m, err
	}
	for _, i := range between {
		c, err := pki.ParseCertificate(i.DER)
		if err != nil {
			return m, fmt.Errorf("intermediate %s: %w", i.SHA256, err)
		}
		m.Intermediates = append(m.Intermediates, c)
	}
	lists, err := db.CRLs(ctx)
	if err != nil {
		return m, err
	}
	for _, l := range lists {
		c, err := pki.ParseCRL(l.DER)
		if err != nil {
			return m, fmt.Errorf("CRL of %s: %w", l.Issuer, err)
		}
		m.CRLs = append(m.CRLs, c)
	}
	return m, nil
}
