package pki

import (
	"bytes"
	"crypto/x509"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// certificateSeeds are real certificates of every family, and defects of each kind.
func certificateSeeds(f *testing.F) {
	for _, r := range rings {
		w := newWorld(f, r)
		w.inter.PermittedEmailAddresses = []string{"example.com"}
		w.leaf.ExtraExtensions = append(w.leaf.ExtraExtensions, distributionPoints("http://crl.test/1"))
		w.build()
		f.Add(w.rootDER)
		f.Add(w.interDER)
		f.Add(w.leafDER)
	}
	p := newParts(f)
	f.Add(p.der())
	p.serial, p.subject = []byte{2, 1, 0xff}, tlv(0x30, rdn(cn, 30, "\x00a\x00"))
	f.Add(p.der())
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"))
}

// What is accepted is one exact encoding: it reads the same again, no octet is
// outside of it, and no name it offers can hide a character.
func FuzzParseCertificate(f *testing.F) {
	certificateSeeds(f)
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := ParseCertificate(der)
		if err != nil {
			return
		}
		if !bytes.Equal(c.Raw, der) {
			t.Fatal("raw octets differ from the input")
		}
		again, err := ParseCertificate(c.Raw)
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("reads differently again: %v", err)
		}
		if _, err := ParseCertificate(append(slices.Clone(der), 0)); err == nil {
			t.Fatal("trailing octet accepted")
		}
		for _, e := range c.Emails() {
			if strings.Count(e, "@") != 1 || strings.ContainsFunc(e, func(r rune) bool { return !unicode.IsGraphic(r) || r == ' ' }) {
				t.Fatalf("e-mail %q", e)
			}
		}
		for _, n := range []Name{c.Subject, c.Issuer} {
			if strings.ContainsFunc(n.String(), func(r rune) bool { return !unicode.IsGraphic(r) }) {
				t.Fatalf("name %q shows what cannot be seen", n)
			}
			if !n.Equal(n) {
				t.Fatal("a name does not equal itself")
			}
		}
		if p := NewTrustStore([]Anchor{{c, Foreign}}, nil, nil).Validate(PathRequest{Leaf: c, At: c.NotBefore}); p.Anchor == nil {
			t.Fatal("an anchor does not lead to itself")
		}
		if p := new(TrustStore).Validate(PathRequest{Leaf: c, Extra: []*Certificate{c}, At: c.NotBefore}); p.Verdict.Indication == TotalPassed {
			t.Fatal("passed without an anchor")
		}
	})
}

// An accepted CRL reads the same again, and finds every serial number that a
// plain reading of its entries finds.
func FuzzParseCRL(f *testing.F) {
	w := newWorld(f, rings[0])
	w.interCRL.RevokedCertificateEntries = []x509.RevocationListEntry{entry(1, 1), entry(2, 6), entry(1, 0), entry(0x1003, 8)}
	w.interCRL.ExtraExtensions = append(w.interCRL.ExtraExtensions, scopeExtension(pointNamed("http://crl.test/1"), []byte{0x81, 1, 0xff}))
	w.build()
	for _, l := range []*x509.RevocationList{w.rootCRL, w.interCRL} {
		f.Add(w.list(w.inter, &x509.Certificate{Raw: w.interDER}, l, w.keys[1]).Raw)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := ParseCRL(der)
		if err != nil {
			return
		}
		if !bytes.Equal(c.Raw, der) {
			t.Fatal("raw octets differ from the input")
		}
		again, err := ParseCRL(c.Raw)
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("reads differently again: %v", err)
		}
		for rest := c.entries; !rest.Empty(); {
			e, err := readEntry(&rest)
			if err != nil {
				t.Fatalf("an entry accepted at first: %v", err)
			}
			r, found := c.revoked(e.serial, e.at)
			if !found && e.reason != reasonRemoved {
				t.Fatalf("entry %x not found", e.serial)
			}
			if found && r.Time.After(e.at) {
				t.Fatal("revoked later than the time asked for")
			}
		}
	})
}

// A path that passes does not survive any change of what was signed.
func FuzzChangedLeafNeverPasses(f *testing.F) {
	type made struct {
		store *TrustStore
		req   PathRequest
		der   []byte
	}
	var worlds []made
	for _, r := range rings {
		w := newWorld(f, r)
		store, req := w.build()
		if p := store.Validate(req); p.Verdict != Passed() {
			f.Fatalf("%v", p.Verdict)
		}
		worlds = append(worlds, made{store, req, w.leafDER})
	}
	for i := range 40 {
		f.Add(uint8(i), uint16(i*17), uint8(1<<(i%8)))
	}
	f.Fuzz(func(t *testing.T, which uint8, at uint16, change uint8) {
		w := worlds[int(which)%len(worlds)]
		if change == 0 {
			return
		}
		der := slices.Clone(w.der)
		der[int(at)%len(der)] ^= change
		c, err := ParseCertificate(der)
		if err != nil {
			return
		}
		req := w.req
		req.Leaf = c
		if p := w.store.Validate(req); p.Verdict.Indication == TotalPassed {
			t.Fatalf("octet %d changed by %#x, and the path passes", int(at)%len(der), change)
		}
	})
}
