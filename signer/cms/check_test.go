package cms

import (
	"crypto"
	"crypto/sha1"
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

var (
	passed = pki.Passed()
	format = pki.Verdict{Indication: pki.TotalFailed, SubIndication: pki.FormatFailure}
)

func failed(sub pki.SubIndication) pki.Verdict {
	return pki.Verdict{Indication: pki.TotalFailed, SubIndication: sub}
}

func unsure(sub pki.SubIndication) pki.Verdict {
	return pki.Verdict{Indication: pki.Indeterminate, SubIndication: sub}
}

// bothKinds runs a test with an RSA and an ECDSA signer.
func bothKinds(t *testing.T, run func(t *testing.T, p cmstest.Party)) {
	for _, kind := range []cmstest.KeyKind{cmstest.RSA2048, cmstest.P256} {
		t.Run(string(kind), func(t *testing.T) { run(t, party(t, kind)) })
	}
}

// expect checks the one signature of m over text.
func expect(t *testing.T, m cmstest.Message, want pki.Verdict, check string) Checked {
	t.Helper()
	got := check1(t, parse(t, m.Encode(t)), []byte(text))
	expectChecked(t, got, want, check)
	return got
}

// expectChecked compares the verdict and demands that the named check, and for a pass no check, objects.
func expectChecked(t *testing.T, got Checked, want pki.Verdict, check string) {
	t.Helper()
	if got.Verdict != want {
		t.Errorf("verdict %v, want %v: %+v", got.Verdict, want, got.Checks)
	}
	names := []string{CheckSignedAttributes, CheckContentType, CheckMessageDigest, CheckSignerCertificate,
		CheckAlgorithm, CheckSignature, CheckSigningCertificate, CheckAlgorithmProtection}
	var made []string
	for _, c := range got.Checks {
		made = append(made, c.Name)
		if objects := c.Status != pki.StatusPassed; objects && want == passed || !objects && want != passed && c.Name == check {
			t.Errorf("check %+v", c)
		}
	}
	if !slices.Equal(made, names) {
		t.Errorf("checks made: %v", made)
	}
}

func message(s cmstest.Signature) cmstest.Message {
	return cmstest.Message{Content: []byte(text), Signatures: []cmstest.Signature{s}}
}

func TestCheckAttributes(t *testing.T) {
	digest := cmstest.Sum(crypto.SHA256, []byte(text))
	data := cmstest.DER(t, OIDData)
	var (
		typ     = cmstest.Attribute(t, oidContentType, data)
		md      = cmstest.Attribute(t, oidMessageDigest, cmstest.TLV(4, digest))
		when    = cmstest.Attribute(t, oidSigningTime, cmstest.DER(t, cmstest.At))
		other   = cmstest.Attribute(t, cmstest.OIDSignedData, []byte{5, 0})
		badTime = cmstest.Attribute(t, oidSigningTime, cmstest.TLV(0x17, []byte("yesterday")))
	)
	protection := func(digest, signature []byte) []byte {
		signature = append([]byte{0xa1}, signature[1:]...)
		return cmstest.Attribute(t, oidAlgorithmProtection, cmstest.TLV(0x30, digest, signature))
	}
	bothKinds(t, func(t *testing.T, p cmstest.Party) {
		algorithm := cmstest.SignatureAlgorithm(t, p.Key.Public(), crypto.SHA256)
		for _, tc := range []struct {
			name       string
			attributes [][]byte
			want       pki.Verdict
			check      string
		}{
			{"the two that must be", [][]byte{typ, md}, passed, ""},
			{"and a time", [][]byte{typ, when, md}, passed, ""},
			{"not in DER order", [][]byte{md, when, typ}, passed, ""},
			{"an unknown one twice", [][]byte{other, other, typ, md}, passed, ""},
			{"empty set", [][]byte{}, format, CheckContentType},
			{"no content type", [][]byte{md}, format, CheckContentType},
			{"no digest", [][]byte{typ}, format, CheckMessageDigest},
			{"content type twice", [][]byte{typ, typ, md}, format, CheckSignedAttributes},
			{"digest twice", [][]byte{typ, md, md}, format, CheckSignedAttributes},
			{"another digest beside", [][]byte{typ, md, cmstest.Attribute(t, oidMessageDigest, cmstest.TLV(4, make([]byte, 32)))}, format, CheckSignedAttributes},
			{"two values", [][]byte{typ, cmstest.Attribute(t, oidMessageDigest, cmstest.TLV(4, digest), cmstest.TLV(4, make([]byte, 32)))}, format, CheckSignedAttributes},
			{"no value", [][]byte{typ, cmstest.Attribute(t, oidMessageDigest)}, format, CheckSignedAttributes},
			{"an unknown one without value", [][]byte{cmstest.Attribute(t, cmstest.OIDSignedData), typ, md}, format, CheckSignedAttributes},
			{"time twice", [][]byte{typ, when, when, md}, format, CheckSignedAttributes},
			{"bad time", [][]byte{typ, badTime, md}, format, CheckSignedAttributes},
			{"another content type", [][]byte{cmstest.Attribute(t, oidContentType, cmstest.DER(t, cmstest.OIDSignedData)), md}, format, CheckContentType},
			{"content type of another kind", [][]byte{cmstest.Attribute(t, oidContentType, []byte{5, 0}), md}, format, CheckSignedAttributes},
			{"digest of another kind", [][]byte{typ, cmstest.Attribute(t, oidMessageDigest, cmstest.TLV(3, []byte{0}, digest))}, format, CheckSignedAttributes},
			{"another digest", [][]byte{typ, cmstest.Attribute(t, oidMessageDigest, cmstest.TLV(4, make([]byte, 32)))}, failed(pki.HashFailure), CheckMessageDigest},
			{"digest cut short", [][]byte{typ, cmstest.Attribute(t, oidMessageDigest, cmstest.TLV(4, digest[:31]))}, failed(pki.HashFailure), CheckMessageDigest},
			{"BER inside", [][]byte{typ, cmstest.Open(0x30, cmstest.DER(t, oidMessageDigest), cmstest.TLV(0x31, cmstest.TLV(4, digest)))}, format, CheckSignedAttributes},
			{"long lengths inside", [][]byte{typ, append([]byte{0x30, 0x81}, md[1:]...)}, format, CheckSignedAttributes},
			{"no attribute", [][]byte{typ, md, {5, 0}}, format, CheckSignedAttributes},
			{"algorithm protection", [][]byte{typ, protection(cmstest.DigestAlgorithm(t, crypto.SHA256), algorithm), md}, passed, ""},
			{"protection of another digest", [][]byte{typ, protection(cmstest.DigestAlgorithm(t, crypto.SHA512), algorithm), md}, format, CheckAlgorithmProtection},
			{"protection of another signature", [][]byte{typ, protection(cmstest.DigestAlgorithm(t, crypto.SHA256),
				cmstest.TLV(0x30, cmstest.DER(t, oidEd25519))), md}, format, CheckAlgorithmProtection},
			{"malformed protection", [][]byte{typ, cmstest.Attribute(t, oidAlgorithmProtection, []byte{5, 0}), md}, format, CheckSignedAttributes},
		} {
			t.Run(tc.name, func(t *testing.T) {
				got := expect(t, message(cmstest.Signature{Party: p, Attributes: tc.attributes}), tc.want, tc.check)
				if len(got.Verified) != 1 {
					t.Errorf("the signature itself is good: %+v", got.Checks)
				}
			})
		}
	})
}

func TestCheckSignature(t *testing.T) {
	stranger := party(t, cmstest.P384)
	flip := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	bothKinds(t, func(t *testing.T, p cmstest.Party) {
		for _, tc := range []struct {
			name   string
			change func(*cmstest.Signature)
			want   pki.Verdict
			check  string
		}{
			{"good", func(*cmstest.Signature) {}, passed, ""},
			{"by key identifier", func(s *cmstest.Signature) { s.KeyID = p.Certificate.SubjectKeyId }, passed, ""},
			{"SHA-384", func(s *cmstest.Signature) { s.Digest = crypto.SHA384 }, passed, ""},
			{"SHA-512", func(s *cmstest.Signature) { s.Digest = crypto.SHA512 }, passed, ""},
			{"flipped bit", func(s *cmstest.Signature) { s.Change = flip }, failed(pki.SigCryptoFailure), CheckSignature},
			{"no octets", func(s *cmstest.Signature) { s.Change = func([]byte) []byte { return nil } }, failed(pki.SigCryptoFailure), CheckSignature},
			{"one octet more", func(s *cmstest.Signature) { s.Change = func(b []byte) []byte { return append(b, 0) } }, failed(pki.SigCryptoFailure), CheckSignature},
			{"another key", func(s *cmstest.Signature) { s.SignWith = cmstest.NewKey(t, cmstest.P256) }, failed(pki.SigCryptoFailure), CheckSignature},
			{"SHA-1", func(s *cmstest.Signature) { s.Digest = crypto.SHA1 }, failed(pki.CryptoConstraintsFailure), CheckAlgorithm},
			{"an unknown algorithm", func(s *cmstest.Signature) { s.Algorithm = cmstest.TLV(0x30, cmstest.DER(t, OIDData)) },
				unsure(pki.CryptoConstraintsFailure), CheckAlgorithm},
			{"an algorithm of another key", func(s *cmstest.Signature) { s.Algorithm = cmstest.TLV(0x30, cmstest.DER(t, oidEd25519)) },
				failed(pki.CryptoConstraintsFailure), CheckAlgorithm},
			{"an algorithm of another digest", func(s *cmstest.Signature) {
				s.Algorithm = map[bool][]byte{true: cmstest.SignatureAlgorithm(t, stranger.Key.Public(), crypto.SHA512),
					false: unhex(t, "300d06092a864886f70d01010d0500")}[p.Certificate.PublicKeyAlgorithm == x509.ECDSA]
			}, failed(pki.CryptoConstraintsFailure), CheckAlgorithm},
			{"another serial number", func(s *cmstest.Signature) { s.Serial = stranger.Certificate.SerialNumber },
				unsure(pki.NoSigningCertificateFound), CheckSignerCertificate},
			{"another key identifier", func(s *cmstest.Signature) { s.KeyID = stranger.Certificate.SubjectKeyId },
				unsure(pki.NoSigningCertificateFound), CheckSignerCertificate},
			{"an empty key identifier", func(s *cmstest.Signature) { s.KeyID = []byte{} },
				unsure(pki.NoSigningCertificateFound), CheckSignerCertificate},
			{"no attributes", func(s *cmstest.Signature) { s.NoAttributes = true }, unsure(pki.SigConstraintsFailure), CheckSignedAttributes},
			{"no attributes, flipped bit", func(s *cmstest.Signature) { s.NoAttributes, s.Change = true, flip },
				failed(pki.SigCryptoFailure), CheckSignature},
			{"no attributes, other content", func(s *cmstest.Signature) { s.NoAttributes, s.Content = true, []byte("x") },
				failed(pki.SigCryptoFailure), CheckSignature},
			{"other content", func(s *cmstest.Signature) { s.Content = []byte("x") }, failed(pki.HashFailure), CheckMessageDigest},
			{"other content, flipped bit", func(s *cmstest.Signature) { s.Content, s.Change = []byte("x"), flip },
				failed(pki.HashFailure), CheckSignature},
		} {
			t.Run(tc.name, func(t *testing.T) {
				s := cmstest.Signature{Party: p}
				tc.change(&s)
				expect(t, message(s), tc.want, tc.check)
			})
		}
	})
}

func TestCheckContentAtHand(t *testing.T) {
	p := party(t, cmstest.P256)
	for name, s := range map[string]cmstest.Signature{"attributes": {Party: p}, "no attributes": {Party: p, NoAttributes: true}} {
		got := check1(t, parse(t, message(s).Encode(t)), nil)
		if got.Verdict.Indication != pki.Indeterminate {
			t.Errorf("%s: %+v", name, got)
		}
	}
	got := check1(t, parse(t, message(cmstest.Signature{Party: p}).Encode(t)), nil)
	expectChecked(t, got, unsure(pki.SignedDataNotFound), CheckMessageDigest)
}

// A signer may sign the set in DER order and send it in another; what was signed is the same.
func TestCheckAttributesOutOfOrder(t *testing.T) {
	bothKinds(t, func(t *testing.T, p cmstest.Party) {
		sd := parse(t, message(cmstest.Signature{Party: p}).Encode(t))
		si := &sd.Signers[0]
		slices.Reverse(si.SignedAttributes)
		reversed := encodeAttributes(tagSet, si.SignedAttributes)
		if slices.Equal(reversed, si.SignedAttributesDER) {
			t.Fatal("the order did not change")
		}
		si.SignedAttributesDER = reversed
		expectChecked(t, check1(t, parse(t, sd.marshal(nil)), []byte(text)), passed, "")
		si.SignedAttributesDER = encodeAttributes(tagSet, si.SignedAttributes[1:])
		expectChecked(t, check1(t, parse(t, sd.marshal(nil)), []byte(text)), format, CheckSignature)
	})
}

// RFC 5652 §5.3: signed attributes must be present when the content is not id-data.
func TestCheckOtherContentType(t *testing.T) {
	p := party(t, cmstest.P256)
	m := message(cmstest.Signature{Party: p, NoAttributes: true})
	m.Type = cmstest.OIDSignedData
	expect(t, m, format, CheckSignedAttributes)
	m = message(cmstest.Signature{Party: p})
	m.Type = cmstest.OIDSignedData
	expect(t, m, passed, "")
}

func TestCheckEd25519(t *testing.T) {
	p := party(t, cmstest.Ed25519)
	expect(t, message(cmstest.Signature{Party: p}), passed, "")
	expect(t, message(cmstest.Signature{Party: p, Content: []byte("x")}), failed(pki.HashFailure), CheckMessageDigest)
	// RFC 8419 §3.1: no digest but SHA-512.
	expect(t, message(cmstest.Signature{Party: p, Digest: crypto.SHA256}), failed(pki.CryptoConstraintsFailure), CheckAlgorithm)
	expect(t, message(cmstest.Signature{Party: p, NoAttributes: true}), unsure(pki.SigConstraintsFailure), CheckSignature)
}

func TestCheckIdentity(t *testing.T) {
	root := cmstest.NewRoot(t, "Root")
	bothKinds(t, func(t *testing.T, p cmstest.Party) {
		twin := root.Issue(t, cmstest.NewKey(t, cmstest.P256), "Twin", func(c *x509.Certificate) {
			c.SerialNumber, c.SubjectKeyId = p.Certificate.SerialNumber, p.Certificate.SubjectKeyId
		})
		again := root.Issue(t, p.Key, "Again", func(c *x509.Certificate) { c.SubjectKeyId = p.Certificate.SubjectKeyId })
		stranger := party(t, cmstest.P384)
		for _, tc := range []struct {
			name         string
			keyID        bool
			certificates [][]byte
			want         pki.Verdict
			verified     int
			named        int
		}{
			{"another comes first", false, [][]byte{stranger.Certificate.Raw, p.Certificate.Raw}, passed, 1, 1},
			{"a twin with the same identifier first", true, [][]byte{twin.Certificate.Raw, p.Certificate.Raw}, passed, 1, 2},
			{"the same twice", false, [][]byte{p.Certificate.Raw, p.Certificate.Raw}, passed, 1, 1},
			{"two of one key", true, [][]byte{again.Certificate.Raw, p.Certificate.Raw}, passed, 2, 2},
			{"only the twin", true, [][]byte{twin.Certificate.Raw}, failed(map[bool]pki.SubIndication{true: pki.SigCryptoFailure,
				false: pki.CryptoConstraintsFailure}[p.Certificate.PublicKeyAlgorithm == x509.ECDSA]), 0, 1},
			{"only a stranger", false, [][]byte{stranger.Certificate.Raw}, unsure(pki.NoSigningCertificateFound), 0, 0},
			{"none", false, [][]byte{}, unsure(pki.NoSigningCertificateFound), 0, 0},
			{"unreadable", false, [][]byte{{0x30, 0}}, unsure(pki.NoSigningCertificateFound), 0, 0},
		} {
			t.Run(tc.name, func(t *testing.T) {
				s := cmstest.Signature{Party: p}
				if tc.keyID {
					s.KeyID = p.Certificate.SubjectKeyId
				}
				m := message(s)
				m.Certificates = tc.certificates
				got := expect(t, m, tc.want, "")
				if len(got.Verified) != tc.verified || len(got.Named) != tc.named {
					t.Errorf("%d verified of %d named", len(got.Verified), len(got.Named))
				}
				for _, c := range got.Verified {
					if c.Key.Name() == "" || string(c.Raw) == string(twin.Certificate.Raw) {
						t.Errorf("attributed to %s", c.Subject)
					}
				}
			})
		}
	})
}

func TestCheckSigningCertificate(t *testing.T) {
	root := cmstest.NewRoot(t, "Root")
	bothKinds(t, func(t *testing.T, p cmstest.Party) {
		c := certificate(t, p)
		stranger := certificate(t, party(t, cmstest.P384))
		again := root.Issue(t, p.Key, "Again", func(c *x509.Certificate) { c.SubjectKeyId = p.Certificate.SubjectKeyId })
		v2 := func(of []byte, named *pki.Certificate) []byte {
			return cmstest.Attribute(t, oidSigningCertificateV2, encodeCertificateID(oidSHA256, cmstest.Sum(crypto.SHA256, of), named))
		}
		old := sha1.Sum(c.Raw)
		v1 := func(sum []byte) []byte {
			return cmstest.Attribute(t, oidSigningCertificate, cmstest.TLV(0x30, cmstest.TLV(0x30, cmstest.TLV(0x30, cmstest.TLV(4, sum)))))
		}
		digested := func(h crypto.Hash, sum []byte) []byte {
			id := cmstest.TLV(0x30, cmstest.DigestAlgorithm(t, h), cmstest.TLV(4, sum))
			return cmstest.Attribute(t, oidSigningCertificateV2, cmstest.TLV(0x30, cmstest.TLV(0x30, id)))
		}
		for _, tc := range []struct {
			name string
			ess  [][]byte
			want pki.Verdict
		}{
			{"right", [][]byte{v2(c.Raw, c)}, passed},
			{"SHA-512", [][]byte{digested(crypto.SHA512, cmstest.Sum(crypto.SHA512, c.Raw))}, passed},
			{"first version", [][]byte{v1(old[:])}, passed},
			{"both versions", [][]byte{v1(old[:]), v2(c.Raw, c)}, passed},
			{"of another certificate", [][]byte{v2(stranger.Raw, c)}, failed(pki.SigConstraintsFailure)},
			{"another serial number", [][]byte{v2(c.Raw, stranger)}, failed(pki.SigConstraintsFailure)},
			{"first version of another", [][]byte{v1(make([]byte, 20))}, failed(pki.SigConstraintsFailure)},
			{"versions that differ", [][]byte{v1(make([]byte, 20)), v2(c.Raw, c)}, failed(pki.SigConstraintsFailure)},
			{"twice", [][]byte{v2(c.Raw, c), v2(c.Raw, c)}, format},
			{"SHA-1 in the second version", [][]byte{digested(crypto.SHA1, old[:])}, failed(pki.CryptoConstraintsFailure)},
			{"an unknown digest", [][]byte{cmstest.Attribute(t, oidSigningCertificateV2, encodeCertificateID(OIDData, old[:], c))}, unsure(pki.CryptoConstraintsFailure)},
			{"no certificate in it", [][]byte{cmstest.Attribute(t, oidSigningCertificateV2, cmstest.TLV(0x30, cmstest.TLV(0x30)))}, format},
			{"no sequence", [][]byte{cmstest.Attribute(t, oidSigningCertificateV2, []byte{5, 0})}, format},
		} {
			t.Run(tc.name, func(t *testing.T) {
				attributes := append(cmstest.DefaultAttributes(t, OIDData, cmstest.Sum(crypto.SHA256, []byte(text))), tc.ess...)
				m := message(cmstest.Signature{Party: p, Attributes: attributes, KeyID: p.Certificate.SubjectKeyId})
				m.Certificates = [][]byte{again.Certificate.Raw, p.Certificate.Raw}
				got := expect(t, m, tc.want, CheckSigningCertificate)
				if tc.want != passed {
					return
				}
				if len(got.Verified) != 1 || got.Verified[0].SHA256 != c.SHA256 || got.Format != "CAdES-BES" {
					t.Errorf("not narrowed to the named certificate: %d, %s", len(got.Verified), got.Format)
				}
			})
		}
	})
}

func TestSigningTime(t *testing.T) {
	for value, want := range map[string]time.Time{
		"\x17\x0d260531100000Z":   time.Date(2026, 5, 31, 10, 0, 0, 0, time.UTC),
		"\x17\x0d490101000000Z":   time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC),
		"\x17\x0d500101000000Z":   time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC),
		"\x18\x0f20500101000000Z": time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC),
		"\x17\x0d261331100000Z":   {},
		"\x17\x00":                {},
		"\x05\x00":                {},
	} {
		si := SignerInfo{SignedAttributes: []Attribute{{OID: oidSigningTime, Values: [][]byte{[]byte(value)}}}}
		got, err := si.SigningTime()
		if want.IsZero() {
			if err == nil {
				t.Errorf("%q: %v", value, got)
			}
		} else if err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", value, got, err)
		}
	}
	for _, when := range []time.Time{time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)} {
		si := SignerInfo{SignedAttributes: []Attribute{{OID: oidSigningTime, Values: [][]byte{encodeTime(when)}}}}
		if got, err := si.SigningTime(); err != nil || !got.Equal(when) {
			t.Errorf("%v comes back as %v, %v", when, got, err)
		}
	}
}
