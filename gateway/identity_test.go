package gateway

import (
	"crypto/x509"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
)

// A gateway that could not sign its receipts does not start.
func TestIdentity(t *testing.T) {
	root := cmstest.NewRoot(t, "Root")
	good := root.Issue(t, cmstest.NewKey(t, cmstest.P256), "Gateway", mailSigner("Cryptogramm@Gate.test"))
	rsa := root.Issue(t, cmstest.NewKey(t, cmstest.RSA2048), "Gateway", mailSigner("cryptogramm@gate.test"))
	p384 := root.Issue(t, cmstest.NewKey(t, cmstest.P384), "Gateway", mailSigner("cryptogramm@gate.test"))
	ed := root.Issue(t, cmstest.NewKey(t, cmstest.Ed25519), "Gateway", mailSigner("cryptogramm@gate.test"))
	other := root.Issue(t, cmstest.NewKey(t, cmstest.P256), "Gateway", mailSigner("info@gate.test"))
	chain := func(list ...*x509.Certificate) (der [][]byte) {
		for _, c := range list {
			der = append(der, c.Raw)
		}
		return der
	}
	for name, c := range map[string]struct {
		id   *Identity
		fits bool
	}{
		"good":              {&Identity{chain(good.Certificate, root.Certificate), good.Key}, true},
		"RSA":               {&Identity{chain(rsa.Certificate), rsa.Key}, true},
		"P-384":             {&Identity{chain(p384.Certificate), p384.Key}, true},
		"none":              {nil, false},
		"no key":            {&Identity{Chain: chain(good.Certificate)}, false},
		"no chain":          {&Identity{Key: good.Key}, false},
		"another key":       {&Identity{chain(good.Certificate), other.Key}, false},
		"another name":      {&Identity{chain(other.Certificate), other.Key}, false},
		"wrong order":       {&Identity{chain(root.Certificate, good.Certificate), good.Key}, false},
		"Ed25519":           {&Identity{chain(ed.Certificate), ed.Key}, false},
		"not a certificate": {&Identity{[][]byte{[]byte("x")}, good.Key}, false},
	} {
		if _, err := c.id.open("cryptogramm@gate.test"); (err == nil) != c.fits {
			t.Errorf("%s: %v", name, err)
		}
	}
}
