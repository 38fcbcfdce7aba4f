package signer

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"time"

	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// Signing says by whom and when SignDetached signs.
type Signing struct {
	Key   crypto.Signer      // RSA or ECDSA
	Chain []*pki.Certificate // the key's own first, then those that lead to an anchor
	Time  time.Time          // claimed as the signing time; zero: none
}

// SignDetached signs content as S/MIME wants it (RFC 8551 §3.5.3): DER SignedData without the content, one signer, SHA-256
// whatever the key ("micalg=sha-256"), signing time and signer's certificate among the signed attributes (CAdES-BES), the
// whole chain beside. A certificate that is not the key's is an error, never a wrong signature.
func SignDetached(content io.Reader, s Signing) ([]byte, error) {
	if len(s.Chain) == 0 {
		return nil, errors.New("sign: no certificate")
	}
	return cms.Sign(content, cms.SignOptions{
		Signer: s.Key, Certificate: s.Chain[0], Chain: s.Chain[1:], Digest: oidSHA256,
		SigningTime: s.Time, Detached: true, CAdES: true,
	})
}

// Check tells whether SignDetached can sign so: by a trial over nothing.
func (s Signing) Check() error {
	if _, err := SignDetached(bytes.NewReader(nil), s); err != nil {
		return fmt.Errorf("key and certificate: %w", err)
	}
	return nil
}
