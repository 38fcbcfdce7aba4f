package gateway

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// Identity is the gateway's own signature, under its receipts.
type Identity struct {
	Chain [][]byte      // DER: its certificate, which names the service address, then those that lead to an anchor
	Key   crypto.Signer // RSA or ECDSA
}

// identity is an Identity that was found able to sign.
type identity struct {
	key   crypto.Signer
	chain []*pki.Certificate
}

// open parses the certificates and proves the key. The certificate must name
// the address that receipts come from: a reader shows any other signature as
// somebody else's. Its term is not looked at: a receipt that is late helps
// nobody, and what a lapsed certificate signs shows as that.
func (i *Identity) open(address string) (*identity, error) {
	if i == nil || i.Key == nil || len(i.Chain) == 0 {
		return nil, errors.New("the gateway's own certificate and key are needed")
	}
	o := &identity{key: i.Key}
	for _, der := range i.Chain {
		c, err := pki.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("the gateway's own certificate: %w", err)
		}
		o.chain = append(o.chain, c)
	}
	if !slices.ContainsFunc(o.chain[0].Emails(), func(e string) bool { return strings.EqualFold(e, address) }) {
		return nil, fmt.Errorf("the gateway's own certificate does not name %s", address)
	}
	return o, signer.Signing{Key: o.key, Chain: o.chain}.Check()
}

// sign is a detached signature over a MIME entity.
func (o *identity) sign(entity []byte, at time.Time) ([]byte, error) {
	return signer.SignDetached(bytes.NewReader(entity), signer.Signing{Key: o.key, Chain: o.chain, Time: at})
}
