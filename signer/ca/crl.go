package ca

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// Revocation is one line of a CRL.
type Revocation struct {
	Serial *big.Int
	Time   time.Time
	Reason Reason
}

// Reason is CRLReason of RFC 5280 §5.3.1.
type Reason int

// Reasons an authority gives.
const (
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	CertificateHold      Reason = 6
)

// CRL signs the complete list of what a has revoked and returns its DER. The
// CRL number is the time in milliseconds: it grows without any stored state.
func (a *Authority) CRL(revoked []Revocation, now time.Time, validity time.Duration) ([]byte, error) {
	from := now.UTC().Truncate(time.Second)
	template := &x509.RevocationList{
		Number:     big.NewInt(now.UnixMilli()),
		ThisUpdate: from,
		NextUpdate: from.Add(validity),
	}
	for _, r := range revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber:   r.Serial,
			RevocationTime: r.Time.UTC().Truncate(time.Second),
			ReasonCode:     int(r.Reason),
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, a.cert, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign CRL: %w", err)
	}
	return der, nil
}

// MarshalCRL encodes the DER of a CRL as PEM.
func MarshalCRL(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}
