package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"
	"time"
)

// rule is one rule of validation: a world that breaks it and one that just keeps it.
type rule struct {
	name      string
	keep, not func(*world)
	want      Verdict
	check     string // the one check that reports it
}

func chainFails() Verdict { return Verdict{TotalFailed, ChainConstraintsFailure} }

func asIs(*world) {}

// ia5 makes a GeneralName of form e-mail (1), DNS (2) or URI (6).
func ia5(form byte, s string) []byte { return tlv(0x80|form, []byte(s)) }

func altNames(names ...[]byte) pkix.Extension {
	return ext("2.5.29.17", false, tlv(0x30, names...)...)
}

var pathRules = []rule{
	{"leaf at its last second", func(w *world) { w.leaf.NotAfter = noon }, func(w *world) { w.leaf.NotAfter = noon.Add(-time.Second) },
		Verdict{TotalFailed, Expired}, "validity"},
	{"leaf at its first second", func(w *world) { w.leaf.NotBefore = noon }, func(w *world) { w.leaf.NotBefore = noon.Add(time.Second) },
		Verdict{TotalFailed, NotYetValid}, "validity"},
	{"issuing CA at its last second", func(w *world) { w.inter.NotAfter = noon }, func(w *world) { w.inter.NotAfter = noon.Add(-time.Second) },
		Verdict{TotalFailed, Expired}, "validity"},
	{"anchor at its last second", func(w *world) { w.root.NotAfter = noon }, func(w *world) { w.root.NotAfter = noon.Add(-time.Second) },
		Verdict{TotalFailed, Expired}, "validity"},
	{"issuing CA is a CA", asIs, func(w *world) { w.inter.IsCA = false }, chainFails(), "basic-constraints"},
	{"issuing CA says so", asIs, func(w *world) { w.inter.BasicConstraintsValid = false; w.inter.IsCA = false }, chainFails(), "basic-constraints"},
	{"anchor is a CA", asIs, func(w *world) { w.root.IsCA = false }, chainFails(), "basic-constraints"},
	{"path length of the anchor", func(w *world) { w.root.MaxPathLen = 1 }, func(w *world) { w.root.MaxPathLenZero = true }, chainFails(), "path-length"},
	{"issuing CA may sign certificates", asIs, func(w *world) { w.inter.KeyUsage = x509.KeyUsageCRLSign }, chainFails(), "key-usage"},
	{"anchor may sign certificates", asIs, func(w *world) { w.root.KeyUsage = x509.KeyUsageCRLSign }, chainFails(), "key-usage"},
	{"leaf key signs content", func(w *world) { w.leaf.KeyUsage = x509.KeyUsageContentCommitment },
		func(w *world) { w.leaf.KeyUsage = x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement }, chainFails(), "key-usage"},
	{"leaf without key usage", func(w *world) { w.leaf.KeyUsage = 0 }, func(w *world) { w.leaf.KeyUsage = x509.KeyUsageCertSign }, chainFails(), "key-usage"},
	{"leaf purpose", func(w *world) { w.leaf.ExtKeyUsage = nil },
		func(w *world) { w.leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, chainFails(), "extended-key-usage"},
	{"any purpose is none", func(w *world) {
		w.leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny, x509.ExtKeyUsageEmailProtection}
	}, func(w *world) { w.leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }, chainFails(), "extended-key-usage"},
	{"purpose of the issuing CA", func(w *world) { w.inter.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} },
		func(w *world) { w.inter.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, chainFails(), "extended-key-usage"},
	{"listed purpose", func(w *world) {
		w.leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}
		w.purposes = []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}
	}, func(w *world) { w.purposes = []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}} }, chainFails(), "extended-key-usage"},
	{"unknown extension of the leaf", func(w *world) { w.leaf.ExtraExtensions = []pkix.Extension{ext("1.2.3.4", false, 5, 0)} },
		func(w *world) { w.leaf.ExtraExtensions = []pkix.Extension{ext("1.2.3.4", true, 5, 0)} }, chainFails(), "critical-extensions"},
	{"unknown extension of the issuing CA", func(w *world) { w.inter.ExtraExtensions = []pkix.Extension{ext("1.2.3.4", false, 5, 0)} },
		func(w *world) { w.inter.ExtraExtensions = []pkix.Extension{ext("1.2.3.4", true, 5, 0)} }, chainFails(), "critical-extensions"},
	{"unknown extension of the anchor", func(w *world) { w.root.ExtraExtensions = []pkix.Extension{ext("1.2.3.4", false, 5, 0)} },
		func(w *world) { w.root.ExtraExtensions = []pkix.Extension{ext("1.2.3.4", true, 5, 0)} }, chainFails(), "critical-extensions"},
	{"critical certificate policies alone change nothing", func(w *world) {
		w.leaf.ExtraExtensions = []pkix.Extension{ext("2.5.29.32", true, tlv(0x30, tlv(0x30, []byte{6, 3, 0x2a, 3, 4}))...)}
	}, func(w *world) {
		w.inter.ExtraExtensions = []pkix.Extension{ext("2.5.29.36", true, 0x30, 3, 0x80, 1, 0)}
	}, chainFails(), "policy-constraints"},
	{"explicit policy only further down", func(w *world) {
		w.inter.ExtraExtensions = []pkix.Extension{ext("2.5.29.36", true, 0x30, 3, 0x80, 1, 5)}
	}, func(w *world) {
		w.leaf.ExtraExtensions = []pkix.Extension{ext("2.5.29.36", true, 0x30, 3, 0x80, 1, 0)}
	}, chainFails(), "policy-constraints"},
	{"anyPolicy is not mapped", func(w *world) {
		w.inter.ExtraExtensions = []pkix.Extension{ext("2.5.29.33", false, tlv(0x30, tlv(0x30, []byte{6, 2, 0x2a, 3, 6, 2, 0x2a, 4}))...)}
	}, func(w *world) {
		w.inter.ExtraExtensions = []pkix.Extension{ext("2.5.29.33", false, tlv(0x30, tlv(0x30, []byte{6, 4, 0x55, 0x1d, 0x20, 0, 6, 2, 0x2a, 4}))...)}
	}, chainFails(), "policy-constraints"},
	{"NUL in an e-mail address", asIs, func(w *world) {
		w.leaf.EmailAddresses = nil
		w.leaf.ExtraExtensions = []pkix.Extension{altNames(ia5(1, "alice@example.com\x00.evil.test"))}
	}, chainFails(), "names"},
	{"line feed in a common name", asIs, func(w *world) { w.leaf.Subject.CommonName = "Alice\nBob" }, chainFails(), "names"},
	{"NUL in the name of the issuing CA", asIs, func(w *world) { w.inter.Subject.CommonName = "Issuing\x00" }, chainFails(), "names"},
	{"leaf signature", asIs, func(w *world) { w.leafSigner = w.keys[3] }, Verdict{Indeterminate, NoCertificateChainFound}, "path"},
	{"anchor", asIs, func(w *world) { w.noAnchor = true }, Verdict{Indeterminate, NoCertificateChainFound}, "path"},
	{"issuing CA at hand", asIs, func(w *world) { w.noInter = true }, Verdict{Indeterminate, NoCertificateChainFound}, "path"},
	{"flipped bit in the issuing CA", asIs, func(w *world) {
		w.patchInter = func(der []byte) []byte { der[len(der)-3] ^= 1; return der }
	}, Verdict{Indeterminate, NoCertificateChainFound}, "path"},
}

func TestRules(t *testing.T) {
	for _, r := range rings {
		for _, c := range slices.Concat(pathRules, constraintRules, revocationRules) {
			t.Run(r.name+"/"+c.name, func(t *testing.T) {
				w := newWorld(t, r)
				c.keep(w)
				store, req := w.build()
				p := store.Validate(req)
				if p.Verdict != Passed() || len(notPassed(p)) != 0 {
					t.Errorf("kept: %v %+v", p.Verdict, p.Checks)
				}
				if len(p.Chain) != 3 || p.Anchor == nil || len(p.CRLs) != 2 {
					t.Errorf("kept: chain of %d, anchor %v, %d CRLs", len(p.Chain), p.Anchor, len(p.CRLs))
				}
				w = newWorld(t, r)
				c.not(w)
				store, req = w.build()
				checkBroken(t, c, store.Validate(req))
			})
		}
	}
}

func checkBroken(t *testing.T, c rule, p Path) {
	t.Helper()
	if p.Verdict != c.want {
		t.Errorf("broken: %v, want %v: %+v", p.Verdict, c.want, p.Checks)
	}
	bad := notPassed(p)
	if len(bad) == 0 || bad[0] != c.check || c.check != "path" && len(bad) != 1 {
		t.Errorf("broken: checks %v, want %s alone", bad, c.check)
	}
	for _, check := range p.Checks {
		if check.Status != StatusPassed && check.Detail == "" {
			t.Errorf("broken: check %s has no detail", check.Name)
		}
	}
	if len(p.Checks) != len(pathChecks)+1 {
		t.Errorf("broken: %d checks", len(p.Checks))
	}
	if c.check == "path" && p.Anchor != nil {
		t.Error("broken: an anchor without a path")
	}
}

// A second CA below the issuing one, self-issued or not.
func TestPathLengthCounts(t *testing.T) {
	for _, c := range []struct {
		name       string
		selfIssued bool
		limit      int
		passes     bool
	}{
		{"one more CA, limit 1", false, 1, true},
		{"one more CA, limit 0", false, 0, false},
		{"self-issued CA does not count", true, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, rings[0])
			w.inter.MaxPathLen, w.inter.MaxPathLenZero = c.limit, true
			w.build()
			second := *w.inter
			second.SerialNumber = big.NewInt(0x2001)
			second.MaxPathLen, second.MaxPathLenZero = -1, false
			if !c.selfIssued {
				second.Subject.CommonName = "Second"
			}
			secondDER := w.sign(&second, w.issuer(w.inter, w.interDER), w.keys[3].Public(), w.keys[1])
			leaf := w.sign(w.leaf, w.issuer(&second, secondDER), w.keys[2].Public(), w.keys[3])
			secondCRL := w.list(&second, &x509.Certificate{Raw: secondDER}, w.interCRL, w.keys[3])
			store, req := w.build()
			req.Leaf, req.Extra, req.ExtraCRLs = w.parse(leaf), []*Certificate{w.parse(secondDER)}, []*CRL{secondCRL}
			p := store.Validate(req)
			if passed := p.Verdict == Passed(); passed != c.passes || len(p.Chain) != 4 {
				t.Errorf("%v, chain of %d, %+v", p.Verdict, len(p.Chain), p.Checks)
			}
			if !c.passes && !slices.Equal(notPassed(p), []string{"path-length"}) {
				t.Errorf("checks %v", notPassed(p))
			}
		})
	}
}

func TestEmbeddedRootIsNoAnchor(t *testing.T) {
	w := newWorld(t, rings[0])
	w.noAnchor = true
	store, req := w.build()
	req.Extra = []*Certificate{w.parse(w.rootDER)}
	p := store.Validate(req)
	if p.Verdict != (Verdict{Indeterminate, NoCertificateChainFound}) || p.Anchor != nil || len(p.Chain) != 3 {
		t.Errorf("%v, anchor %v, chain of %d", p.Verdict, p.Anchor, len(p.Chain))
	}
	trusted := NewTrustStore([]Anchor{{w.parse(w.rootDER), Qualified}}, nil, nil)
	trusted.crls = store.crls
	req.Extra = append(req.Extra, w.parse(w.interDER))
	if p := trusted.Validate(req); p.Verdict != Passed() || p.Anchor.Kind != Qualified {
		t.Errorf("the same root as an anchor: %v", p.Verdict)
	}
}

func TestLeafAsAnchor(t *testing.T) {
	w := newWorld(t, rings[0])
	_, req := w.build()
	p := NewTrustStore([]Anchor{{req.Leaf, Unqualified}}, nil, nil).Validate(req)
	if p.Verdict != Passed() || len(p.Chain) != 1 {
		t.Errorf("%v, chain of %d", p.Verdict, len(p.Chain))
	}
	req.At = req.Leaf.NotAfter.Add(time.Second)
	if p := NewTrustStore([]Anchor{{req.Leaf, Unqualified}}, nil, nil).Validate(req); p.Verdict != (Verdict{TotalFailed, Expired}) {
		t.Errorf("expired: %v", p.Verdict)
	}
	if p := new(TrustStore).Validate(req); p.Verdict != (Verdict{Indeterminate, NoCertificateChainFound}) {
		t.Errorf("zero store: %v", p.Verdict)
	}
}

// Two issuing certificates of one name: the one whose key fits, and of two with
// the same key the one that is valid.
func TestAlternativesAreTried(t *testing.T) {
	w := newWorld(t, rings[0])
	w.build()
	impostor := *w.inter
	impostor.SerialNumber = big.NewInt(0x3001)
	expired := *w.inter
	expired.SerialNumber, expired.NotAfter = big.NewInt(0x3002), noon.Add(-time.Hour)
	root := w.issuer(w.root, w.rootDER)
	w.intermediates = []*Certificate{
		w.parse(w.sign(&expired, root, w.keys[1].Public(), w.keys[0])),
		w.parse(w.sign(&impostor, root, w.keys[4].Public(), w.keys[0])),
	}
	store, req := w.build()
	if p := store.Validate(req); p.Verdict != Passed() {
		t.Errorf("%v %+v", p.Verdict, p.Checks)
	}
	w.noInter = true
	store, req = w.build()
	req.ExtraCRLs = nil
	if p := store.Validate(req); p.Verdict != (Verdict{TotalFailed, Expired}) {
		t.Errorf("only the expired one fits: %v %+v", p.Verdict, p.Checks)
	}
}

func TestLoopsAndHostileExtrasEnd(t *testing.T) {
	w := newWorld(t, rings[0])
	w.noAnchor = true
	// Certificates of one name that all sign each other.
	mesh := *w.inter
	for i := range maxExtra {
		mesh.SerialNumber = big.NewInt(int64(0x4000 + i))
		subject, signer := w.keys[1+i%5], w.keys[1+(i/5)%5]
		w.extra = append(w.extra, w.parse(w.sign(&mesh, &x509.Certificate{Subject: mesh.Subject}, subject.Public(), signer)))
	}
	store, req := w.build()
	started := time.Now()
	p := store.Validate(req)
	if p.Verdict != (Verdict{Indeterminate, NoCertificateChainFound}) || p.publicKeyOperations > maxOperations {
		t.Errorf("%v after %d operations", p.Verdict, p.publicKeyOperations)
	}
	if d := time.Since(started); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestWeakAndUnsupportedAlgorithms(t *testing.T) {
	weakKey := func(w *world, i int) { w.keys = slices.Clone(w.keys); w.keys[i] = weakRSA() }
	p224 := func(w *world, i int) {
		key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
		if err != nil {
			w.t.Fatal(err)
		}
		w.keys = slices.Clone(w.keys)
		w.keys[i] = key
	}
	for _, c := range []struct {
		name   string
		change func(*world)
		want   Verdict
	}{
		{"none", asIs, Passed()},
		{"leaf key of 1024 bits", func(w *world) { weakKey(w, 2) }, Verdict{TotalFailed, CryptoConstraintsFailure}},
		{"issuing key of 1024 bits", func(w *world) { weakKey(w, 1) }, Verdict{TotalFailed, CryptoConstraintsFailure}},
		{"anchor key of 1024 bits", func(w *world) { weakKey(w, 0) }, Verdict{TotalFailed, CryptoConstraintsFailure}},
		{"leaf on an unknown curve", func(w *world) { p224(w, 2) }, Verdict{Indeterminate, CryptoConstraintsFailure}},
		{"issuing CA on an unknown curve", func(w *world) { p224(w, 1) }, Verdict{Indeterminate, CryptoConstraintsFailure}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, rings[0])
			c.change(w)
			store, req := w.build()
			p := store.Validate(req)
			if p.Verdict != c.want {
				t.Errorf("%v %+v", p.Verdict, p.Checks)
			}
			if c.want != Passed() && notPassed(p)[0] != "path-algorithms" {
				t.Errorf("checks %v", notPassed(p))
			}
		})
	}
}

// The anchor's own signature proves nothing and is not looked at.
func TestAnchorSignatureDoesNotCount(t *testing.T) {
	w := newWorld(t, rings[0])
	store, req := w.build()
	w.rootDER[len(w.rootDER)-3] ^= 1
	broken := NewTrustStore([]Anchor{{w.parse(w.rootDER), Foreign}}, []*Certificate{w.parse(w.interDER)}, nil)
	broken.crls = store.crls
	if p := broken.Validate(req); p.Verdict != Passed() {
		t.Errorf("%v %+v", p.Verdict, p.Checks)
	}
}

func TestKnownChainCostsNoPublicKeyOperation(t *testing.T) {
	for _, r := range rings {
		w := newWorld(t, r)
		store, req := w.build()
		if first := store.Validate(req); first.publicKeyOperations != 4 {
			t.Errorf("%s: first run: %d operations, want two certificates and two CRLs", r.name, first.publicKeyOperations)
		}
		if again := store.Validate(req); again.publicKeyOperations != 0 || again.Verdict != Passed() {
			t.Errorf("%s: second run: %d operations, %v", r.name, again.publicKeyOperations, again.Verdict)
		}
		// What is remembered is the certificate's own octets: another signature is another certificate.
		changed := slices.Clone(w.leafDER)
		changed[len(changed)-3] ^= 1
		req.Leaf = w.parse(changed)
		if p := store.Validate(req); p.Verdict.Indication == TotalPassed || p.publicKeyOperations == 0 {
			t.Errorf("%s: changed leaf: %v", r.name, p.Verdict)
		}
	}
}

func BenchmarkValidateKnownChain(b *testing.B) {
	for _, r := range rings {
		b.Run(r.name, func(b *testing.B) {
			store, req := newWorld(b, r).build()
			store.Validate(req)
			operations := 0
			for b.Loop() {
				operations += store.Validate(req).publicKeyOperations
			}
			if operations != 0 {
				b.Fatalf("%d public-key operations for a known chain", operations)
			}
		})
	}
}
