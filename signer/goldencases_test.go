package signer

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
)

// artefact is one message of a golden case. content nil: the set's content.txt.
type artefact struct {
	signature, content []byte
	want               want
}

// goldenCase is one rule: a message that breaks it and one that does not.
type goldenCase struct {
	name string
	only cmstest.KeyKind // of the signer; empty: every set has the case
	make func(f *forge) (bad, twin artefact)
}

// forge makes messages with one kind of signer's key.
type forge struct {
	testing.TB
	world
	alice  cmstest.Party
	digest []byte
}

func newForge(t testing.TB, kind cmstest.KeyKind) *forge {
	w := theWorld()
	f := &forge{TB: t, world: w, alice: w.rsa, digest: cmstest.Sum(crypto.SHA256, []byte(text))}
	if kind == cmstest.P256 {
		f.alice = w.ecdsa
	}
	return f
}

// detached is a message of one signature by alice.
func (f *forge) detached(change ...func(*cmstest.Signature)) cmstest.Message {
	s := cmstest.Signature{Party: f.alice}
	for _, c := range change {
		c(&s)
	}
	return cmstest.Message{Content: []byte(text), Signatures: []cmstest.Signature{s}}
}

func (f *forge) good() artefact { return f.of(f.detached(), want{expect: Detached}) }

func (f *forge) of(m cmstest.Message, w want) artefact {
	return artefact{signature: m.Encode(f), want: w}
}

// fails is a detached message with a verdict, the check that objects and whom it is attributed to.
func (f *forge) fails(m cmstest.Message, verdict, check string, signer ...string) artefact {
	w := want{expect: Detached, verdict: verdict, signer: signer}
	if check != "" {
		w.objects = []string{check}
	}
	return f.of(m, w)
}

// attributes are the usual ones, changed.
func (f *forge) attributes(change func(members [][]byte) [][]byte) func(*cmstest.Signature) {
	return func(s *cmstest.Signature) { s.Attributes = change(cmstest.DefaultAttributes(f, cms.OIDData, f.digest)) }
}

// Verdicts as golden files write them.
const (
	formatFailure    = "TOTAL-FAILED FORMAT_FAILURE"
	hashFailure      = "TOTAL-FAILED HASH_FAILURE"
	signatureFailure = "TOTAL-FAILED SIG_CRYPTO_FAILURE"
	weakAlgorithm    = "TOTAL-FAILED CRYPTO_CONSTRAINTS_FAILURE"
	unknownAlgorithm = "INDETERMINATE CRYPTO_CONSTRAINTS_FAILURE"
	noChain          = "INDETERMINATE NO_CERTIFICATE_CHAIN_FOUND"
	noCertificate    = "INDETERMINATE NO_SIGNING_CERTIFICATE_FOUND"
	noContent        = "INDETERMINATE SIGNED_DATA_NOT_FOUND"
	unsureSignature  = "INDETERMINATE SIG_CONSTRAINTS_FAILURE"
)

func flip(b []byte) []byte {
	b = slices.Clone(b)
	b[len(b)-1] ^= 1
	return b
}

func goldenCases() []goldenCase {
	return slices.Concat(contentCases(), identityCases(), attributeCases(), algorithmCases(), encodingCases(), pathCases())
}

func contentCases() []goldenCase {
	return []goldenCase{
		{name: "01-carries-content-beside-content", make: func(f *forge) (bad, twin artefact) {
			m := f.detached()
			m.Attached = true
			return f.fails(m, formatFailure, CheckContentConflict), f.good()
		}},
		{name: "02-carries-other-content", make: func(f *forge) (bad, twin artefact) {
			m := cmstest.Message{Content: []byte("Another contract.\r\n"), Attached: true,
				Signatures: []cmstest.Signature{{Party: f.alice, Content: []byte(text)}}}
			return f.of(m, want{verdict: formatFailure, objects: []string{CheckContentConflict}}), f.of(f.detached(), want{})
		}},
		{name: "03-nobody-signed", make: func(f *forge) (bad, twin artefact) {
			m := f.detached()
			m.Signatures, m.Certificates = nil, [][]byte{f.alice.Certificate.Raw}
			return f.of(m, want{expect: Detached, kind: CertsOnly, verdict: formatFailure}), f.good()
		}},
		{name: "04-content-missing", make: func(f *forge) (bad, twin artefact) {
			m := f.detached()
			m.Attached = true
			return f.of(f.detached(), want{expect: Enveloping, content: "none", verdict: noContent, objects: []string{CheckContent, cms.CheckMessageDigest}}),
				f.of(m, want{expect: Enveloping, content: "none"})
		}},
		{name: "05-content-changed", make: func(f *forge) (bad, twin artefact) {
			bad, twin = f.good(), f.good()
			bad.want.verdict, bad.want.objects, bad.content = hashFailure, []string{cms.CheckMessageDigest}, flip([]byte(text))
			return bad, twin
		}},
		{name: "06-content-is-attributes", make: func(f *forge) (bad, twin artefact) {
			set := cmstest.TLV(0x31, cmstest.DefaultAttributes(f, cms.OIDData, f.digest)...)
			other := cmstest.TLV(0x31, cmstest.TLV(0x30, []byte{5, 0}))
			made := func(content []byte, w want) artefact {
				m := f.detached()
				m.Content = content
				a := f.of(m, w)
				a.content = content
				return a
			}
			return made(set, want{expect: Detached, verdict: formatFailure, objects: []string{CheckContentIsAttributes}}),
				made(other, want{expect: Detached})
		}},
		{name: "07-signature-taken-from-attributes", make: func(f *forge) (bad, twin artefact) {
			// Alice signed the contract. Her signed attributes are presented as a document that she signed.
			set := cmstest.TLV(0x31, cmstest.DefaultAttributes(f, cms.OIDData, f.digest)...)
			m := f.detached(func(s *cmstest.Signature) { s.NoAttributes = true })
			m.Content = set
			bad = f.of(m, want{expect: Detached, verdict: formatFailure, objects: []string{CheckContentIsAttributes, cms.CheckSignedAttributes}})
			bad.content = set
			return bad, f.good()
		}},
		{name: "08-content-type-is-no-document", make: func(f *forge) (bad, twin artefact) {
			m := f.detached()
			m.Type = cms.OIDSignedData
			return f.fails(m, unsureSignature, CheckSignedContentType), f.good()
		}},
		{name: "09-one-of-two-over-other-content", make: func(f *forge) (bad, twin artefact) {
			m, n := f.detached(), f.detached()
			m.Signatures = append(m.Signatures, cmstest.Signature{Party: f.p384, Content: []byte("x")})
			n.Signatures = append(n.Signatures, cmstest.Signature{Party: f.p384})
			return f.fails(m, hashFailure, cms.CheckMessageDigest, "alice", "bob"), f.of(n, want{expect: Detached, signer: []string{"alice", "bob"}})
		}},
	}
}

func identityCases() []goldenCase {
	certificates := func(m cmstest.Message, parties ...cmstest.Party) cmstest.Message {
		m.Certificates = [][]byte{}
		for _, p := range parties {
			m.Certificates = append(m.Certificates, p.Certificate.Raw)
		}
		return m
	}
	by := func(p cmstest.Party) func(*cmstest.Signature) { return func(s *cmstest.Signature) { s.Party = p } }
	return []goldenCase{
		{name: "20-trusted-certificate-comes-first", make: func(f *forge) (bad, twin artefact) {
			return f.fails(certificates(f.detached(by(f.mallory)), f.alice, f.mallory), noChain, "path", "mallory"),
				f.of(certificates(f.detached(), f.mallory, f.alice), want{expect: Detached})
		}},
		{name: "21-sid-names-another", make: func(f *forge) (bad, twin artefact) {
			bad = f.fails(certificates(f.detached(func(s *cmstest.Signature) { s.SignWith = f.mallory.Key; s.Algorithm = nil }), f.mallory, f.alice),
				signatureFailure, cms.CheckSignature, "nobody")
			return bad, f.of(certificates(f.detached(), f.mallory, f.alice), want{expect: Detached})
		}},
		{name: "22-same-sid-in-two-certificates", make: func(f *forge) (bad, twin artefact) {
			// A stranger's root of the same name issues a certificate with the serial number of alice's.
			root := cmstest.NewRoot(f, f.root.Certificate.Subject.CommonName)
			double := root.Issue(f, cmstest.NewKey(f, cmstest.P256), "double", func(c *x509.Certificate) { c.SerialNumber = f.alice.Certificate.SerialNumber })
			return f.fails(certificates(f.detached(by(double)), f.alice, double), noChain, "path", "double"),
				f.of(certificates(f.detached(), double, f.alice), want{expect: Detached})
		}},
		{name: "23-one-key-under-two-names", make: func(f *forge) (bad, twin artefact) {
			other := f.root.Issue(f, f.alice.Key, "mallory", func(c *x509.Certificate) { c.SubjectKeyId = f.alice.Certificate.SubjectKeyId })
			renewed := f.root.Issue(f, f.alice.Key, "alice", func(c *x509.Certificate) {
				c.SubjectKeyId, c.NotBefore, c.NotAfter = f.alice.Certificate.SubjectKeyId, cmstest.NotBefore, cmstest.At.AddDate(0, -1, 0)
			})
			keyID := func(s *cmstest.Signature) { s.KeyID = f.alice.Certificate.SubjectKeyId }
			return f.fails(certificates(f.detached(keyID), other, f.alice), noCertificate, CheckSignerIdentity, "nobody"),
				f.of(certificates(f.detached(keyID), renewed, f.alice), want{expect: Detached})
		}},
		{name: "24-certificate-absent", make: func(f *forge) (bad, twin artefact) {
			return f.fails(certificates(f.detached(), f.p384), noCertificate, cms.CheckSignerCertificate, "nobody"), f.good()
		}},
		{name: "25-embedded-root-is-no-anchor", make: func(f *forge) (bad, twin artefact) {
			return f.fails(certificates(f.detached(by(f.mallory)), f.mallory, f.strange), noChain, "path", "mallory"),
				f.of(certificates(f.detached(), f.alice, f.root), want{expect: Detached})
		}},
		{name: "26-signing-certificate-names-another", make: func(f *forge) (bad, twin artefact) {
			ess := func(p cmstest.Party) func(*cmstest.Signature) {
				id := cmstest.TLV(0x30, cmstest.TLV(0x04, cmstest.Sum(crypto.SHA256, p.Certificate.Raw)))
				return f.attributes(func(m [][]byte) [][]byte {
					return append(m, cmstest.Attribute(f, cmstest.OIDSigningCertificateV2, cmstest.TLV(0x30, cmstest.TLV(0x30, id))))
				})
			}
			return f.fails(f.detached(ess(f.p384)), "TOTAL-FAILED SIG_CONSTRAINTS_FAILURE", cms.CheckSigningCertificate),
				f.of(f.detached(ess(f.alice)), want{expect: Detached})
		}},
		{name: "27-signature-flipped", make: func(f *forge) (bad, twin artefact) {
			return f.fails(f.detached(func(s *cmstest.Signature) { s.Change = flip }), signatureFailure, cms.CheckSignature, "nobody"), f.good()
		}},
		{name: "28-sid-of-nobody", make: func(f *forge) (bad, twin artefact) {
			return f.fails(f.detached(func(s *cmstest.Signature) { s.Serial = big.NewInt(7) }), noCertificate, cms.CheckSignerCertificate, "nobody"), f.good()
		}},
	}
}

func attributeCases() []goldenCase {
	type members = [][]byte
	pair := func(check string, verdict string, change func(f *forge, m members) members) func(f *forge) (bad, twin artefact) {
		return func(f *forge) (bad, twin artefact) {
			m := f.detached(f.attributes(func(m members) members { return change(f, m) }))
			return f.fails(m, verdict, check), f.good()
		}
	}
	const typ, md = 0, 2 // where DefaultAttributes has them
	return []goldenCase{
		{name: "30-no-content-type", make: pair(cms.CheckContentType, formatFailure, func(_ *forge, m members) members { return m[1:] })},
		{name: "31-content-type-twice", make: pair(cms.CheckSignedAttributes, formatFailure, func(_ *forge, m members) members { return append(m, m[typ]) })},
		{name: "32-another-content-type", make: pair(cms.CheckContentType, formatFailure, func(f *forge, m members) members {
			m[typ] = cmstest.Attribute(f, cmstest.OIDContentType, cmstest.DER(f, cms.OIDSignedData))
			return m
		})},
		{name: "33-no-message-digest", make: pair(cms.CheckMessageDigest, formatFailure, func(_ *forge, m members) members { return m[:md] })},
		{name: "34-message-digest-twice", make: pair(cms.CheckSignedAttributes, formatFailure, func(_ *forge, m members) members { return append(m, m[md]) })},
		{name: "35-two-message-digests", make: pair(cms.CheckSignedAttributes, formatFailure, func(f *forge, m members) members {
			return append(m, cmstest.Attribute(f, cmstest.OIDMessageDigest, cmstest.TLV(4, make([]byte, 32))))
		})},
		{name: "36-two-values-of-one-digest", make: pair(cms.CheckSignedAttributes, formatFailure, func(f *forge, m members) members {
			m[md] = cmstest.Attribute(f, cmstest.OIDMessageDigest, cmstest.TLV(4, f.digest), cmstest.TLV(4, make([]byte, 32)))
			return m
		})},
		{name: "37-wrong-message-digest", make: pair(cms.CheckMessageDigest, hashFailure, func(f *forge, m members) members {
			m[md] = cmstest.Attribute(f, cmstest.OIDMessageDigest, cmstest.TLV(4, flip(f.digest)))
			return m
		})},
		{name: "38-attribute-without-value", make: pair(cms.CheckSignedAttributes, formatFailure, func(f *forge, m members) members {
			return append(m, cmstest.Attribute(f, cmstest.OIDSignedData))
		})},
		{name: "39-empty-attributes", make: func(f *forge) (bad, twin artefact) {
			a := f.fails(f.detached(f.attributes(func(members) members { return members{} })), formatFailure, "")
			a.want.objects = []string{cms.CheckContentType, cms.CheckMessageDigest}
			return a, f.good()
		}},
		{name: "40-no-signed-attributes", make: func(f *forge) (bad, twin artefact) {
			return f.fails(f.detached(func(s *cmstest.Signature) { s.NoAttributes = true }), unsureSignature, cms.CheckSignedAttributes), f.good()
		}},
		{name: "41-message-digest-not-signed", make: func(f *forge) (bad, twin artefact) {
			unsigned := func(s *cmstest.Signature) {
				s.Unsigned = [][]byte{cmstest.Attribute(f, cmstest.OIDMessageDigest, cmstest.TLV(4, f.digest))}
			}
			return f.fails(f.detached(f.attributes(func(m members) members { return m[:md] }), unsigned), formatFailure, cms.CheckMessageDigest),
				f.of(f.detached(unsigned), want{expect: Detached})
		}},
		{name: "42-other-algorithms-were-signed", make: func(f *forge) (bad, twin artefact) {
			protect := func(digest crypto.Hash) func(*cmstest.Signature) {
				signature := cmstest.SignatureAlgorithm(f, f.alice.Key.Public(), crypto.SHA256)
				value := cmstest.TLV(0x30, cmstest.DigestAlgorithm(f, digest), append([]byte{0xa1}, signature[1:]...))
				return f.attributes(func(m members) members { return append(m, cmstest.Attribute(f, cmstest.OIDAlgorithmProtection, value)) })
			}
			return f.fails(f.detached(protect(crypto.SHA512)), formatFailure, cms.CheckAlgorithmProtection),
				f.of(f.detached(protect(crypto.SHA256)), want{expect: Detached})
		}},
	}
}

func algorithmCases() []goldenCase {
	weak := func(h crypto.Hash) func(f *forge) (bad, twin artefact) {
		return func(f *forge) (bad, twin artefact) {
			return f.fails(f.detached(func(s *cmstest.Signature) { s.Digest = h }), weakAlgorithm, cms.CheckAlgorithm),
				f.of(f.detached(func(s *cmstest.Signature) { s.Digest = crypto.SHA384 }), want{expect: Detached})
		}
	}
	return []goldenCase{
		{name: "50-sha1", make: weak(crypto.SHA1)},
		{name: "51-md5", only: cmstest.RSA2048, make: weak(crypto.MD5)},
		{name: "52-rsa-1024", only: cmstest.RSA2048, make: func(f *forge) (bad, twin artefact) {
			small := f.root.Issue(f, cmstest.NewKey(f, cmstest.RSA1024), "small", nil)
			a := f.fails(f.detached(func(s *cmstest.Signature) { s.Party = small }), weakAlgorithm, "", "small")
			a.want.objects = []string{cms.CheckAlgorithm, "path-algorithms"}
			return a, f.good()
		}},
		{name: "53-unknown-algorithm", make: func(f *forge) (bad, twin artefact) {
			unknown := cmstest.TLV(0x30, cmstest.DER(f, cms.OIDData))
			a := f.fails(f.detached(func(s *cmstest.Signature) { s.Algorithm = unknown }), unknownAlgorithm, "", "nobody")
			a.want.objects = []string{cms.CheckAlgorithm}
			return a, f.good()
		}},
		{name: "54-algorithm-of-another-key", make: func(f *forge) (bad, twin artefact) {
			other := f.p384
			algorithm := cmstest.SignatureAlgorithm(f, f.rsa.Key.Public(), crypto.SHA256)
			if f.alice.Certificate.PublicKeyAlgorithm == x509.RSA {
				algorithm = cmstest.SignatureAlgorithm(f, other.Key.Public(), crypto.SHA256)
			}
			return f.fails(f.detached(func(s *cmstest.Signature) { s.Algorithm = algorithm }), weakAlgorithm, cms.CheckAlgorithm, "nobody"), f.good()
		}},
	}
}

func encodingCases() []goldenCase {
	broken := func(change func(f *forge, good []byte) []byte, kind Kind) func(f *forge) (bad, twin artefact) {
		return func(f *forge) (bad, twin artefact) {
			twin = f.good()
			bad = artefact{signature: change(f, twin.signature), want: want{expect: Detached, kind: kind, verdict: formatFailure}}
			return bad, twin
		}
	}
	many := func(f *forge, n int) []cmstest.Signature {
		return slices.Repeat([]cmstest.Signature{{Party: f.alice}}, n)
	}
	return []goldenCase{
		{name: "60-truncated", make: broken(func(_ *forge, b []byte) []byte { return b[:len(b)-1] }, Malformed)},
		{name: "61-trailing-octet", make: broken(func(_ *forge, b []byte) []byte { return append(slices.Clone(b), 0) }, Malformed)},
		{name: "62-length-of-a-terabyte", make: broken(func(_ *forge, b []byte) []byte {
			return append([]byte{0x30, 0x86, 1, 0, 0, 0, 0, 0}, b[4:]...)
		}, Malformed)},
		{name: "63-length-beyond-its-parent", make: broken(func(_ *forge, b []byte) []byte {
			b = slices.Clone(b)
			b[18]++ // the low octet of the length behind the content type
			return b
		}, Malformed)},
		{name: "64-nested-too-deep", make: broken(func(f *forge, _ []byte) []byte {
			deep := slices.Repeat([]byte{0x30, 0x80}, 40)
			return slices.Concat([]byte{0x30, 0x80}, cmstest.DER(f, cms.OIDSignedData), []byte{0xa0, 0x80, 0x30, 0x80, 2, 1, 1, 0x31, 0}, deep)
		}, Malformed)},
		{name: "65-encrypted", make: broken(func(f *forge, _ []byte) []byte {
			return cmstest.TLV(0x30, f.oid(1, 2, 840, 113549, 1, 7, 3), cmstest.TLV(0xa0, cmstest.TLV(0x30)))
		}, Enveloped)},
		{name: "66-a-certificate", make: broken(func(f *forge, _ []byte) []byte { return f.alice.Certificate.Raw }, NotCMS)},
		{name: "67-text", make: broken(func(*forge, []byte) []byte { return []byte(text) }, NotCMS)},
		{name: "68-seventeen-signers", make: func(f *forge) (bad, twin artefact) {
			m, n := f.detached(), f.detached()
			m.Signatures, n.Signatures = many(f, 17), many(f, 16)
			m.Certificates = [][]byte{f.alice.Certificate.Raw}
			n.Certificates = m.Certificates
			return f.of(m, want{expect: Detached, kind: Malformed, verdict: formatFailure}),
				f.of(n, want{expect: Detached, signer: slices.Repeat([]string{"alice"}, 16)})
		}},
		{name: "69-sixty-five-certificates", make: func(f *forge) (bad, twin artefact) {
			m, n := f.detached(), f.detached()
			n.Certificates = append(slices.Repeat([][]byte{{0x30, 0}}, 63), f.alice.Certificate.Raw)
			m.Certificates = append(slices.Clone(n.Certificates), []byte{0x30, 0})
			return f.of(m, want{expect: Detached, kind: Malformed, verdict: formatFailure}), f.of(n, want{expect: Detached})
		}},
		{name: "70-ber-in-signed-attributes", make: func(f *forge) (bad, twin artefact) {
			m := f.detached(f.attributes(func(m [][]byte) [][]byte {
				m[2] = cmstest.Open(0x30, cmstest.DER(f, cmstest.OIDMessageDigest), cmstest.TLV(0x31, cmstest.TLV(4, f.digest)))
				return m
			}))
			n := f.detached()
			n.Indefinite = true
			return f.fails(m, formatFailure, cms.CheckSignedAttributes), f.of(n, want{expect: Detached})
		}},
		{name: "71-ber-content-changed", make: func(f *forge) (bad, twin artefact) {
			m, n := f.detached(func(s *cmstest.Signature) { s.Content = []byte("x") }), f.detached()
			m.Attached, m.Indefinite, n.Attached, n.Indefinite = true, true, true, true
			return f.of(m, want{expect: Enveloping, content: "none", verdict: hashFailure, objects: []string{cms.CheckMessageDigest}}),
				f.of(n, want{expect: Enveloping, content: "none"})
		}},
	}
}

func (f *forge) oid(arcs ...int) []byte { return cmstest.DER(f, asn1.ObjectIdentifier(arcs)) }

func pathCases() []goldenCase {
	by := func(pick func(f *forge) cmstest.Party, verdict, check string) func(f *forge) (bad, twin artefact) {
		return func(f *forge) (bad, twin artefact) {
			p := pick(f)
			return f.fails(f.detached(func(s *cmstest.Signature) { s.Party = p }), verdict, check, p.Certificate.Subject.CommonName), f.good()
		}
	}
	changed := func(change func(*x509.Certificate)) func(f *forge) cmstest.Party {
		return func(f *forge) cmstest.Party { return f.root.Issue(f, f.alice.Key, "changed", change) }
	}
	return []goldenCase{
		{name: "80-expired", make: by(func(f *forge) cmstest.Party { return f.expired }, "TOTAL-FAILED EXPIRED", "validity")},
		{name: "81-revoked", make: by(func(f *forge) cmstest.Party { return f.revoked }, "TOTAL-FAILED REVOKED", "revocation")},
		{name: "82-any-extended-key-usage", make: by(changed(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }),
			"TOTAL-FAILED CHAIN_CONSTRAINTS_FAILURE", "extended-key-usage")},
		{name: "83-key-for-encryption", make: by(changed(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }),
			"TOTAL-FAILED CHAIN_CONSTRAINTS_FAILURE", "key-usage")},
		{name: "84-control-character-in-name", make: by(changed(func(c *x509.Certificate) { c.Subject.Organization = []string{"Bank\x00.example"} }),
			"TOTAL-FAILED CHAIN_CONSTRAINTS_FAILURE", "names")},
		{name: "85-hash-failure-outranks-expired", make: func(f *forge) (bad, twin artefact) {
			a := f.fails(f.detached(func(s *cmstest.Signature) { s.Party, s.Content = f.expired, []byte("x") }), hashFailure, "", "eve")
			a.want.objects = []string{cms.CheckMessageDigest, "validity"}
			return a, f.good()
		}},
	}
}
