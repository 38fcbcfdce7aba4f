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
	s, err := LoadTrust(ctx, t.DB)
	if err != nil {
		return nil, err
	}
	t.store, t.version = s, v
	return s, nil
}

// LoadTrust reads and parses what the database holds.
func LoadTrust(ctx context.Context, db *store.DB) (*pki.TrustStore, error) {
	rows, err := db.Anchors(ctx)
	if err != nil {
		return nil, err
	}
	var anchors []pki.Anchor
	for _, a := range rows {
		c, err := pki.ParseCertificate(a.DER)
		if err != nil {
			return nil, fmt.Errorf("anchor %s: %w", a.SHA256, err)
		}
		anchors = append(anchors, pki.Anchor{Certificate: c, Kind: pki.AnchorKind(a.Kind)})
	}
	between, err := db.Intermediates(ctx)
	if err != nil {
		return nil, err
	}
	var intermediates []*pki.Certificate
	for _, i := range between {
		c, err := pki.ParseCertificate(i.DER)
		if err != nil {
			return nil, fmt.Errorf("intermediate %s: %w", i.SHA256, err)
		}
		intermediates = append(intermediates, c)
	}
	lists, err := db.CRLs(ctx)
	if err != nil {
		return nil, err
	}
	var crls []*pki.CRL
	for _, l := range lists {
		c, err := pki.ParseCRL(l.DER)
		if err != nil {
			return nil, fmt.Errorf("CRL of %s: %w", l.Issuer, err)
		}
		crls = append(crls, c)
	}
	return pki.NewTrustStore(anchors, intermediates, crls), nil
}
