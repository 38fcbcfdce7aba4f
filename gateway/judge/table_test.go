package judge

import (
	"crypto"
	"crypto/x509"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// flip changes one octet of a signed text.
func flip(s, old, new string) string {
	if strings.Count(s, old) != 1 {
		panic("flip: " + old)
	}
	return strings.Replace(s, old, new, 1)
}

// beside is a letter with a note, a file, and a signature made of it.
func beside(sig []byte) string {
	return letter(mixed(text("See the contract."), file("contract.pdf", pdf), file("contract.pdf.p7s", string(sig))))
}

// forged is a letter signed by Anna in an unusual way.
func forged(k kit, change func(*cmstest.Signature, *cmstest.Message)) string {
	body := text("I agree.")
	m := cmstest.Message{Content: []byte(body), Signatures: []cmstest.Signature{{Party: k.anna}}}
	change(&m.Signatures[0], &m)
	return letter(signedWith(body, p7s(m.Encode(k.t))))
}

func failedWith(sub string, reason rem.Reason, detail string) want {
	return want{rem.Failed, "TOTAL-FAILED " + sub, reason, detail}
}

func openWith(sub string, reason rem.Reason, detail string) want {
	return want{rem.Indeterminate, "INDETERMINATE " + sub, reason, detail}
}

// TestTable has one case for each row of the verdict table, every one beside
// a twin that passes ("all passed").
func TestTable(t *testing.T) {
	body := text("I agree.")
	by := func(who func(kit) cmstest.Party) func(kit) string {
		return func(k kit) string { return letter(k.signed(body, who(k))) }
	}
	runGolden(t, []golden{
		{name: "all passed", build: by(func(k kit) cmstest.Party { return k.anna }), want: passed},
		{name: "all passed, file", build: func(k kit) string { return beside(k.sign(pdf, k.anna)) }, want: passed},

		{name: "digest wrong", build: func(k kit) string {
			return letter(flip(k.signed(body, k.anna), "I agree.", "I agreE."))
		}, want: failedWith("HASH_FAILURE", rem.ReasonSignatureFailed, "the letter: its signature does not match the letter: it was changed after signing")},
		{name: "digest wrong, file", build: func(k kit) string { return beside(k.sign(pdf+"!", k.anna)) },
			want: failedWith("HASH_FAILURE", rem.ReasonSignatureFailed,
				"contract.pdf: the signature contract.pdf.p7s does not match the file: it was changed after signing")},
		{name: "signature wrong", build: func(k kit) string {
			return forged(k, func(s *cmstest.Signature, _ *cmstest.Message) { s.SignWith = k.boris.Key })
		}, want: failedWith("SIG_CRYPTO_FAILURE", rem.ReasonSignatureFailed, "the letter: its signature is wrong")},
		{name: "bad structure", build: func(k kit) string {
			sig := k.sign(body, k.anna)
			return letter(signedWith(body, p7s(sig[:len(sig)-40])))
		}, want: failedWith("FORMAT_FAILURE", rem.ReasonSignatureFailed, "cannot be read")},
		{name: "not a signature at all", build: func(kit) string { return letter(signedWith(body, p7s([]byte("hello")))) },
			want: failedWith("FORMAT_FAILURE", rem.ReasonSignatureFailed, "cannot be read")},
		{name: "weak algorithm", only: cmstest.RSA2048, build: func(k kit) string {
			return forged(k, func(s *cmstest.Signature, _ *cmstest.Message) { s.Digest = crypto.SHA1 })
		}, want: failedWith("CRYPTO_CONSTRAINTS_FAILURE", rem.ReasonSignatureFailed, "too weak")},
		{name: "bad chain constraints", build: by(func(k kit) cmstest.Party { return k.server }),
			want: failedWith("CHAIN_CONSTRAINTS_FAILURE", rem.ReasonSignatureFailed, "do not allow")},
		{name: "attribute of another content type", build: func(k kit) string {
			return forged(k, func(_ *cmstest.Signature, m *cmstest.Message) {
				m.Signatures[0].Attributes = cmstest.DefaultAttributes(k.t, cmstest.OIDSignedData, cmstest.Sum(digestFor(m), m.Content))
			})
		}, want: failedWith("FORMAT_FAILURE", rem.ReasonSignatureFailed, "malformed")},
		{name: "conflicting content", build: func(k kit) string { return letter(signedWith(body, p7s(k.envelop(body, k.anna)))) },
			want: failedWith("FORMAT_FAILURE", rem.ReasonSignatureFailed, "content-conflict")},

		{name: "expired", build: by(func(k kit) cmstest.Party { return k.expired }),
			want: failedWith("EXPIRED", rem.ReasonCertificateTime, "has expired (CN=Anna expired)")},
		{name: "not yet valid", build: by(func(k kit) cmstest.Party { return k.early }),
			want: failedWith("NOT_YET_VALID", rem.ReasonCertificateTime, "not yet valid")},
		{name: "revoked", build: by(func(k kit) cmstest.Party { return k.revoked }),
			want: failedWith("REVOKED", rem.ReasonCertificateTime, "is revoked")},

		{name: "signer is not the sender", build: by(func(k kit) cmstest.Party { return k.boris }),
			want: failedWith("SIG_CONSTRAINTS_FAILURE", rem.ReasonSignerNotSender, "the letter: the signer is not the sender: CN=Boris <boris@b.test>")},
		{name: "signer of a file is not the sender", build: func(k kit) string { return beside(k.sign(pdf, k.boris)) },
			want: failedWith("SIG_CONSTRAINTS_FAILURE", rem.ReasonSignerNotSender, "contract.pdf: the signer is not the sender: CN=Boris")},
		{name: "no e-mail and not registered", build: by(func(k kit) cmstest.Party { return k.nameless }),
			want: openWith("SIG_CONSTRAINTS_FAILURE", rem.ReasonSignerUnbound, "names no e-mail address")},
		{name: "no e-mail but registered", build: by(func(k kit) cmstest.Party { return k.nameless }), want: passed,
			ask: func(k kit, q *Request) {
				q.Party.CertificateSHA256 = []rem.Digest{rem.DigestOf(k.nameless.Certificate.Raw)}
			}},

		{name: "not covered", build: func(k kit) string { return letter(mixed(k.signed(body, k.anna), text("And one million."))) },
			want: failedWith(PartlyCovered, rem.ReasonNotCovered, "letter.txt (part 2) is not signed")},
		{name: "no chain to an anchor", build: by(func(k kit) cmstest.Party { return k.mallory }),
			want: openWith("NO_CERTIFICATE_CHAIN_FOUND", rem.ReasonUntrusted, "no chain to a trusted authority (CN=Anna)")},
		{name: "content is attributes", build: func(k kit) string {
			content := string(cmstest.TLV(0x31, cmstest.DefaultAttributes(k.t, cmstest.OIDData, make([]byte, 32))...))
			return letter(mixed(file("contract.pdf", content), file("contract.pdf.p7s", string(k.sign(content, k.anna)))))
		}, want: failedWith("FORMAT_FAILURE", rem.ReasonSignatureFailed, "content-is-attributes")},
		{name: "no signed attributes", build: bare, only: cmstest.RSA2048,
			want: openWith("SIG_CONSTRAINTS_FAILURE", rem.ReasonNoSignedAttrs, "has no signed attributes")},
		{name: "no signed attributes, ECDSA", build: bare, only: cmstest.P256,
			want: openWith("SIG_CONSTRAINTS_FAILURE", rem.ReasonNoSignedAttrs, "has no signed attributes")},
		{name: "algorithm not supported", build: func(k kit) string {
			return forged(k, func(s *cmstest.Signature, _ *cmstest.Message) {
				s.Algorithm = cmstest.TLV(0x30, []byte{6, 8, 0x2a, 0x85, 3, 7, 1, 1, 3, 2}) // GOST, as yet
			})
		}, want: openWith("CRYPTO_CONSTRAINTS_FAILURE", rem.ReasonUnsupported, "does not support")},
		{name: "certificate absent", build: func(k kit) string {
			return forged(k, func(_ *cmstest.Signature, m *cmstest.Message) {
				m.Certificates = [][]byte{k.boris.Certificate.Raw}
			})
		}, want: openWith("NO_SIGNING_CERTIFICATE_FOUND", rem.ReasonNoCertificate, "certificate is absent")},
		{name: "signature without its file", build: func(k kit) string {
			return letter(mixed(text("See the contract."), file("contract.pdf.p7s", string(k.sign(pdf, k.anna)))))
		}, want: openWith("SIGNED_DATA_NOT_FOUND", rem.ReasonNoContent, "contract.pdf.p7s: the signature has no file that it belongs to")},
		{name: "revocation unknown", build: by(func(k kit) cmstest.Party { return k.pending }),
			want: openWith("TRY_LATER", rem.ReasonRevocationUnknown, "whether its certificate is revoked is not known")},

		{name: "two From", build: func(k kit) string {
			return "From: boris@b.test\r\n" + letter(k.signed(body, k.anna))
		}, want: want{rem.Failed, "", rem.ReasonFrom, "2 From fields"}},
		{name: "two addresses in From", build: func(k kit) string {
			return flip(letter(k.signed(body, k.anna)), "<anna@a.test>", "<anna@a.test>, boris@b.test")
		}, want: want{rem.Failed, "", rem.ReasonFrom, "2 From addresses"}},
		{name: "no From", build: func(k kit) string {
			return strings.TrimPrefix(letter(k.signed(body, k.anna)), "From: Anna <anna@a.test>\r\n")
		}, want: want{rem.Failed, "", rem.ReasonFrom, "0 From fields"}},

		{name: "nothing signed", build: func(kit) string { return letter(mixed(text("Hello"), file("contract.pdf", pdf))) },
			want: want{rem.Unsigned, "", rem.ReasonUnsigned, "nothing in the letter is signed"}},
		{name: "certificates only", build: func(k kit) string { return letter(p7m(k.certsOnly())) },
			want: want{rem.Unsigned, "", rem.ReasonUnsigned, "certificates only"}},
		{name: "certificates only in multipart/signed", build: func(k kit) string { return letter(signedWith(body, p7s(k.certsOnly()))) },
			want: want{rem.Unsigned, "", rem.ReasonUnsigned, "certificates only"}},
		{name: "encrypted", build: func(kit) string { return letter(p7m(enveloped())) },
			want: want{rem.Unsigned, "", rem.ReasonEncrypted, "smime.p7m is encrypted: it cannot be judged"}},
		{name: "encrypted within signed", build: func(k kit) string { return letter(k.signed(p7m(enveloped()), k.anna)) },
			want: want{rem.Unsigned, "", rem.ReasonEncrypted, "is encrypted"}},
		{name: "PGP", build: func(kit) string {
			return letter(multipart("signed", "sgn", body, attach("signature.asc", "application/pgp-signature", "-----BEGIN PGP SIGNATURE-----")))
		}, want: want{rem.Unsigned, "", rem.ReasonUnsigned, "nothing in the letter is signed"}},
	})
}

func bare(k kit) string {
	return forged(k, func(s *cmstest.Signature, _ *cmstest.Message) { s.NoAttributes = true })
}

func digestFor(m *cmstest.Message) crypto.Hash {
	if m.Signatures[0].Certificate.PublicKeyAlgorithm == x509.Ed25519 {
		return crypto.SHA512
	}
	return crypto.SHA256
}

// TestWhichWins puts two objections into one letter: the table's order decides.
func TestWhichWins(t *testing.T) {
	order := []struct {
		reason rem.Reason
		part   func(k kit, name string) string // a file that raises it
	}{
		{rem.ReasonSignatureFailed, func(k kit, n string) string { return pair(n, pdf, k.sign("other", k.anna)) }},
		{rem.ReasonCertificateTime, func(k kit, n string) string { return pair(n, pdf, k.sign(pdf, k.expired)) }},
		{rem.ReasonSignerNotSender, func(k kit, n string) string { return pair(n, n, k.sign(n, k.boris)) }},
		{rem.ReasonNotCovered, func(_ kit, n string) string { return file(n, "uncovered "+n) }},
		{rem.ReasonNoContent, func(k kit, n string) string { return file(n+".p7s", string(k.sign("absent "+n, k.anna))) }},
		{rem.ReasonUntrusted, func(k kit, n string) string { return pair(n, pdf, k.sign(pdf, k.mallory)) }},
		{rem.ReasonRevocationUnknown, func(k kit, n string) string { return pair(n, pdf, k.sign(pdf, k.pending)) }},
		{"", func(k kit, n string) string { return pair(n, pdf, k.sign(pdf, k.anna)) }},
	}
	k := use(t, cmstest.P256)
	for i, worse := range order {
		for _, milder := range order[i:] {
			for _, raw := range []string{
				letter(mixed(text("n"), worse.part(k, "a.pdf"), milder.part(k, "b.pdf"), pair("c.pdf", "c", k.sign("c", k.anna)))),
				letter(mixed(text("n"), pair("c.pdf", "c", k.sign("c", k.anna)), milder.part(k, "b.pdf"), worse.part(k, "a.pdf"))),
			} {
				if f := k.judge(raw, k.request()); f.Reason != worse.reason {
					t.Errorf("%s beside %s: %s (%s)", worse.reason, milder.reason, f.Reason, f.Detail)
				}
			}
		}
	}
}

// pair is a file and its signature as two parts.
func pair(name, content string, sig []byte) string {
	return file(name, content) + "\r\n--mix\r\n" + file(name+".p7s", string(sig))
}

// TestBareHidesNothing: a policy that accepts signatures without attributes
// accepts nothing else on the same ground.
func TestBareHidesNothing(t *testing.T) {
	k := use(t, cmstest.P256)
	for _, c := range []struct {
		who    cmstest.Party
		reason rem.Reason
	}{{k.anna, rem.ReasonNoSignedAttrs}, {k.mallory, rem.ReasonUntrusted}, {k.pending, rem.ReasonRevocationUnknown},
		{k.expired, rem.ReasonCertificateTime}, {k.boris, rem.ReasonSignerNotSender}, {k.nameless, rem.ReasonSignerUnbound}} {
		raw := forged(k, func(s *cmstest.Signature, _ *cmstest.Message) { s.Party, s.NoAttributes = c.who, true })
		q := k.request()
		q.Policy.AcceptBare = true
		if f := k.judge(raw, q); f.Reason != c.reason {
			t.Errorf("%s: %s (%s)", c.who.Certificate.Subject, f.Reason, f.Detail)
		}
	}
}
