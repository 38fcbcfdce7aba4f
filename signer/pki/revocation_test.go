package pki

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

func tryLater() Verdict { return Verdict{Indeterminate, TryLater} }

// entry is a line of a CRL, an hour old.
func entry(serial int64, reason int) x509.RevocationListEntry {
	return x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: noon.Add(-time.Hour), ReasonCode: reason}
}

// scopeExtension makes an issuing distribution point out of raw fields.
func scopeExtension(fields ...[]byte) pkix.Extension {
	return ext("2.5.29.28", true, tlv(0x30, fields...)...)
}

// pointNamed is a DistributionPointName field [0] { fullName [0] { URI } }.
func pointNamed(uri string) []byte { return tlv(0xa0, tlv(0xa0, ia5(6, uri))) }

// distributionPoints makes the certificate's side of it.
func distributionPoints(uri string) pkix.Extension {
	return ext("2.5.29.31", false, tlv(0x30, tlv(0x30, pointNamed(uri)))...)
}

var revocationRules = []rule{
	{"leaf not listed", func(w *world) { w.interCRL.RevokedCertificateEntries = []x509.RevocationListEntry{entry(0x1004, 1)} },
		func(w *world) { w.interCRL.RevokedCertificateEntries = []x509.RevocationListEntry{entry(0x1003, 1)} },
		Verdict{TotalFailed, Revoked}, "revocation"},
	{"issuing CA not listed", func(w *world) { w.rootCRL.RevokedCertificateEntries = []x509.RevocationListEntry{entry(0x1003, 2)} },
		func(w *world) { w.rootCRL.RevokedCertificateEntries = []x509.RevocationListEntry{entry(0x1002, 2)} },
		Verdict{TotalFailed, Revoked}, "revocation"},
	{"hold", func(w *world) { w.interCRL.RevokedCertificateEntries = []x509.RevocationListEntry{entry(0x1003, 8)} },
		func(w *world) { w.interCRL.RevokedCertificateEntries = []x509.RevocationListEntry{entry(0x1003, 6)} },
		Verdict{TotalFailed, Revoked}, "revocation"},
	{"revoked only later", func(w *world) {
		e := entry(0x1003, 1)
		e.RevocationTime = noon.Add(time.Second)
		w.interCRL.RevokedCertificateEntries = []x509.RevocationListEntry{e}
	}, func(w *world) {
		e := entry(0x1003, 1)
		e.RevocationTime = noon
		w.interCRL.RevokedCertificateEntries = []x509.RevocationListEntry{e}
	}, Verdict{TotalFailed, Revoked}, "revocation"},
	{"CRLs at hand", asIs, func(w *world) { w.noCRLs = true }, tryLater(), "revocation"},
	{"CRL current to the second", func(w *world) { w.interCRL.NextUpdate = noon }, func(w *world) { w.interCRL.NextUpdate = noon.Add(-time.Second) },
		tryLater(), "revocation"},
	{"CRL from its first second", func(w *world) { w.interCRL.ThisUpdate = noon }, func(w *world) { w.interCRL.ThisUpdate = noon.Add(time.Second) },
		tryLater(), "revocation"},
	{"CRL signed by the issuer", asIs, func(w *world) { w.interCRLKey = w.keys[3] }, tryLater(), "revocation"},
	{"root CRL signed by the root", asIs, func(w *world) { w.rootCRLKey = w.keys[1] }, tryLater(), "revocation"},
	{"issuer may sign CRLs", func(w *world) { w.inter.KeyUsage = 0 }, func(w *world) { w.inter.KeyUsage = x509.KeyUsageCertSign }, tryLater(), "revocation"},
	{"unknown extension of the CRL", func(w *world) { w.interCRL.ExtraExtensions = []pkix.Extension{ext("1.2.3.4", false, 5, 0)} },
		func(w *world) { w.interCRL.ExtraExtensions = []pkix.Extension{ext("1.2.3.4", true, 5, 0)} }, tryLater(), "revocation"},
	{"unknown extension of an entry", func(w *world) {
		e := entry(0x1009, 0)
		e.ExtraExtensions = []pkix.Extension{ext("1.2.3.4", false, 5, 0)}
		w.interCRL.RevokedCertificateEntries = []x509.RevocationListEntry{e}
	}, func(w *world) {
		e := entry(0x1009, 0)
		e.ExtraExtensions = []pkix.Extension{ext("1.2.3.4", true, 5, 0)}
		w.interCRL.RevokedCertificateEntries = []x509.RevocationListEntry{e}
	}, tryLater(), "revocation"},
	{"delta CRL alone", asIs, func(w *world) { w.interCRL.ExtraExtensions = []pkix.Extension{ext("2.5.29.27", true, 2, 1, 1)} }, tryLater(), "revocation"},
	{"scope: users or CAs", func(w *world) { w.interCRL.ExtraExtensions = []pkix.Extension{scopeExtension([]byte{0x81, 1, 0xff})} },
		func(w *world) { w.interCRL.ExtraExtensions = []pkix.Extension{scopeExtension([]byte{0x82, 1, 0xff})} }, tryLater(), "revocation"},
	{"scope of the root CRL", func(w *world) { w.rootCRL.ExtraExtensions = []pkix.Extension{scopeExtension([]byte{0x82, 1, 0xff})} },
		func(w *world) { w.rootCRL.ExtraExtensions = []pkix.Extension{scopeExtension([]byte{0x81, 1, 0xff})} }, tryLater(), "revocation"},
	{"scope: attribute certificates", func(w *world) { w.interCRL.ExtraExtensions = []pkix.Extension{scopeExtension([]byte{0x85, 1, 0})} },
		func(w *world) { w.interCRL.ExtraExtensions = []pkix.Extension{scopeExtension([]byte{0x85, 1, 0xff})} }, tryLater(), "revocation"},
	{"indirect CRL", func(w *world) { w.interCRL.ExtraExtensions = []pkix.Extension{scopeExtension([]byte{0x84, 1, 0})} },
		func(w *world) { w.interCRL.ExtraExtensions = []pkix.Extension{scopeExtension([]byte{0x84, 1, 0xff})} }, tryLater(), "revocation"},
	{"some reasons", asIs,
		func(w *world) {
			w.interCRL.ExtraExtensions = []pkix.Extension{scopeExtension([]byte{0x83, 2, 6, 0x40})}
		}, tryLater(), "revocation"},
	{"distribution point of the certificate", func(w *world) {
		w.leaf.ExtraExtensions = []pkix.Extension{distributionPoints("http://crl.test/1")}
		w.interCRL.ExtraExtensions = []pkix.Extension{scopeExtension(pointNamed("http://crl.test/1"))}
	}, func(w *world) {
		w.leaf.ExtraExtensions = []pkix.Extension{distributionPoints("http://crl.test/2")}
		w.interCRL.ExtraExtensions = []pkix.Extension{scopeExtension(pointNamed("http://crl.test/1"))}
	}, tryLater(), "revocation"},
	{"distribution point named like the issuer", func(w *world) {
		w.interCRL.ExtraExtensions = []pkix.Extension{scopeExtension(tlv(0xa0, tlv(0xa0, dirName(w.t, w.inter.Subject))))}
	}, func(w *world) {
		w.interCRL.ExtraExtensions = []pkix.Extension{scopeExtension(tlv(0xa0, tlv(0xa0, dirName(w.t, w.root.Subject))))}
	}, tryLater(), "revocation"},
}

// newest is a further list of the issuing CA, younger than the world's own.
func newest(w *world, entries ...x509.RevocationListEntry) {
	w.crls = append(w.crls, &x509.RevocationList{
		Number: big.NewInt(2), ThisUpdate: noon.Add(-time.Minute), NextUpdate: noon.Add(time.Hour), RevokedCertificateEntries: entries,
	})
}

func TestNewestListDecides(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*world)
		want   Verdict
	}{
		{"hold lifted", func(w *world) {
			w.interCRL.RevokedCertificateEntries = []x509.RevocationListEntry{entry(0x1003, 6)}
			newest(w)
		}, Passed()},
		{"revoked since", func(w *world) { newest(w, entry(0x1003, 1)) }, Verdict{TotalFailed, Revoked}},
		{"newest is not usable", func(w *world) {
			newest(w, entry(0x1003, 1))
			w.crls[0].ExtraExtensions = []pkix.Extension{scopeExtension([]byte{0x82, 1, 0xff})}
		}, Passed()},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, rings[0])
			c.change(w)
			store, req := w.build()
			if p := store.Validate(req); p.Verdict != c.want {
				t.Errorf("%v %+v", p.Verdict, p.Checks)
			}
		})
	}
}

func TestRevocationDetail(t *testing.T) {
	w := newWorld(t, rings[0])
	w.interCRL.RevokedCertificateEntries = []x509.RevocationListEntry{entry(0x1003, 6)}
	store, req := w.build()
	store.crls[w.parse(w.rootDER).subjectKey] = nil
	p := store.Validate(req)
	detail := p.Checks[len(p.Checks)-1].Detail
	for _, want := range []string{"certificateHold", "Alice", "1003", "Issuing", "no CRL is at hand"} {
		if !strings.Contains(detail, want) {
			t.Errorf("%q lacks %q", detail, want)
		}
	}
	if p.Verdict != (Verdict{TotalFailed, Revoked}) {
		t.Errorf("%v", p.Verdict)
	}
}

// A list given with the signature counts as much as one of the store, and both
// only under the issuer's key.
func TestExtraCRLs(t *testing.T) {
	w := newWorld(t, rings[0])
	store, req := w.build()
	bare := NewTrustStore(nil, nil, nil)
	bare.anchors, bare.bySubject = store.anchors, store.bySubject
	if p := bare.Validate(req); p.Verdict != tryLater() {
		t.Errorf("without lists: %v", p.Verdict)
	}
	for _, l := range store.crls {
		req.ExtraCRLs = append(req.ExtraCRLs, l...)
	}
	if p := bare.Validate(req); p.Verdict != Passed() || len(p.CRLs) != 2 {
		t.Errorf("with lists: %v", p.Verdict)
	}
}

func TestLargeCRL(t *testing.T) {
	w := newWorld(t, rings[0])
	const entries = 20_000
	for i := range int64(entries) {
		// Two serial numbers that differ only before their last eight octets share an index key.
		serial := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(i%2+1), 64), big.NewInt(i/2))
		w.interCRL.RevokedCertificateEntries = append(w.interCRL.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: serial, RevocationTime: noon.Add(-time.Hour)})
	}
	w.build()
	crl := w.list(w.inter, &x509.Certificate{Raw: w.interDER}, w.interCRL, w.keys[1])
	for _, c := range []struct {
		high, low int64
		want      bool
	}{{1, 0, true}, {2, 0, true}, {3, 0, false}, {1, entries/2 - 1, true}, {1, entries / 2, false}, {0, 7, false}, {2, 4321, true}} {
		serial := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(c.high), 64), big.NewInt(c.low))
		leaf := *w.leaf
		leaf.SerialNumber = serial
		cert := w.parse(w.sign(&leaf, w.issuer(w.inter, w.interDER), w.keys[2].Public(), w.keys[1]))
		if _, got := crl.Revoked(cert, noon); got != c.want {
			t.Errorf("%d·2^64+%d: %v", c.high, c.low, got)
		}
	}
}

func TestCRLDefects(t *testing.T) {
	w := newWorld(t, rings[0])
	w.interCRL.RevokedCertificateEntries = []x509.RevocationListEntry{entry(7, 1)}
	w.build()
	good := w.list(w.inter, &x509.Certificate{Raw: w.interDER}, w.interCRL, w.keys[1]).Raw
	for name, der := range map[string][]byte{
		"empty":           {},
		"trailing octet":  append(append([]byte{}, good...), 0),
		"cut":             good[:len(good)-1],
		"PEM":             []byte("-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n"),
		"a certificate":   w.leafDER,
		"over the limit":  make([]byte, maxCRL+1),
		"indefinite form": append([]byte{0x30, 0x80}, good[4:]...),
	} {
		if _, err := ParseCRL(der); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ParseCRL(good); err != nil {
		t.Error(err)
	}
	twice := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: noon, NextUpdate: noon,
		ExtraExtensions: []pkix.Extension{ext("2.5.29.20", false, 2, 1, 1)}}
	parent := w.issuer(w.inter, w.interDER)
	der, err := x509.CreateRevocationList(rand.Reader, twice, parent, w.keys[1])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseCRL(der); err == nil || !strings.Contains(fmt.Sprint(err), "twice") {
		t.Errorf("extension twice: %v", err)
	}
}
