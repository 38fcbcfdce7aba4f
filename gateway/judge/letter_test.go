package judge

import (
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/store/rem"
)

func uncovered(detail string) want {
	return failedWith(PartlyCovered, rem.ReasonNotCovered, detail)
}

func malformedWith(detail string) want {
	return failedWith("FORMAT_FAILURE", rem.ReasonMalformed, detail)
}

// TestSignedLetters has the rules of signed things a and b.
func TestSignedLetters(t *testing.T) {
	body := mixed(text("I agree."), file("contract.pdf", pdf))
	runGolden(t, []golden{
		{name: "letter with a file", build: func(k kit) string { return letter(k.signed(body, k.anna)) }, want: passed},
		{name: "opaque", build: func(k kit) string { return letter(k.opaque(body, k.anna)) }, want: passed},
		{name: "opaque as octet-stream", build: func(k kit) string {
			return letter(attach("smime.p7m", "application/octet-stream", string(k.envelop(body, k.anna))))
		}, want: passed},
		{name: "opaque x-pkcs7-mime without a name", build: func(k kit) string {
			return letter("Content-Type: application/x-pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64Lines(k.envelop(body, k.anna)))
		}, want: passed},
		{name: "opaque with LF content", build: func(k kit) string {
			return letter(k.opaque(strings.ReplaceAll(body, "\r\n", "\n"), k.anna))
		}, want: passed},
		{name: "opaque text without a header", build: func(k kit) string { return letter(k.opaque("I agree.", k.anna)) }, want: passed},
		{name: "opaque text without a header, of another", build: func(k kit) string { return letter(k.opaque("I agree.", k.boris)) },
			want: failedWith("SIG_CONSTRAINTS_FAILURE", rem.ReasonSignerNotSender, "Boris")},
		{name: "opaque in BER", build: func(k kit) string {
			m := cmstest.Message{Content: []byte(body), Attached: true, Indefinite: true, Signatures: []cmstest.Signature{{Party: k.anna}}}
			return letter(p7m(m.Encode(k.t)))
		}, want: passed},
		{name: "opaque of another", build: func(k kit) string { return letter(k.opaque(body, k.boris)) },
			want: failedWith("SIG_CONSTRAINTS_FAILURE", rem.ReasonSignerNotSender, "Boris")},
		{name: "opaque changed", build: func(k kit) string {
			sig := k.envelop(body, k.anna)
			return letter(p7m([]byte(flip(string(sig), "I agree.", "I agreE."))))
		}, want: failedWith("HASH_FAILURE", rem.ReasonSignatureFailed, "changed after signing")},

		{name: "two signers, one the sender", build: func(k kit) string { return letter(k.signed(body, k.anna, k.boris)) }, want: passed},
		{name: "two signers, one expired", build: func(k kit) string { return letter(k.signed(body, k.anna, k.expired)) },
			want: failedWith("EXPIRED", rem.ReasonCertificateTime, "expired")},
		{name: "another confirmed address does not name From", build: func(k kit) string { return letter(k.signed(body, k.anna)) },
			ask:  func(_ kit, q *Request) { q.Party.Addresses = []string{"anna@home.test"} },
			want: passed}, // From is what counts; that From is confirmed is the door's to check
		{name: "display name is no identity", build: func(k kit) string {
			return flip(letter(k.signed(body, k.boris)), "From: Anna <anna@a.test>", "From: \"boris@b.test\" <anna@a.test>")
		}, want: failedWith("SIG_CONSTRAINTS_FAILURE", rem.ReasonSignerNotSender, "Boris")},
		{name: "domain in other case", build: func(k kit) string {
			return flip(letter(k.signed(body, k.anna)), "<anna@a.test>", "<anna@A.TEST>")
		}, want: passed},
		{name: "local part in other case", build: func(k kit) string {
			return flip(letter(k.signed(body, k.anna)), "<anna@a.test>", "<Anna@a.test>")
		}, want: failedWith("SIG_CONSTRAINTS_FAILURE", rem.ReasonSignerNotSender, "anna@a.test")},
		{name: "registered certificate of another name", build: func(k kit) string { return letter(k.signed(body, k.boris)) },
			ask: func(k kit, q *Request) {
				q.Party.CertificateSHA256 = []rem.Digest{rem.DigestOf(k.boris.Certificate.Raw)}
			}, want: passed},

		{name: "signature part named by extension only", build: func(k kit) string {
			return letter(signedWith(body, attach("smime.p7s", "application/octet-stream", string(k.sign(body, k.anna)))))
		}, want: passed},
		{name: "no protocol parameter", build: func(k kit) string {
			return letter(multipart("signed", "sgn", body, p7s(k.sign(body, k.anna))))
		}, want: passed},
		{name: "wrong micalg", build: func(k kit) string {
			return flip(letter(k.signed(body, k.anna)), "micalg=sha-256", "micalg=md5")
		}, want: passed},
		{name: "parts in the wrong order", build: func(k kit) string { return letter(signedWith(p7s(k.sign(body, k.anna)), body)) },
			want: failedWith("FORMAT_FAILURE", rem.ReasonSignatureFailed, "")},
		{name: "signature missing", build: func(kit) string { return letter(signedWith(body)) },
			want: failedWith("FORMAT_FAILURE", rem.ReasonSignatureFailed, "without its signature")},
		{name: "third part", build: func(k kit) string {
			return letter(signedWith(body, p7s(k.sign(body, k.anna)), file("extra.pdf", "x")))
		}, want: uncovered("extra.pdf is not signed")},

		{name: "OpenSSL's preamble", build: func(k kit) string {
			return letter(flip(k.signed(text("I agree."), k.anna), "\r\n\r\n--sgn\r\nContent-Type: text/plain", "\r\n\r\nThis is an S/MIME signed message\r\n\r\n--sgn\r\nContent-Type: text/plain"))
		}, want: passed},
		{name: "preamble with a message", build: func(k kit) string {
			return letter(flip(k.signed(text("I agree."), k.anna), "\r\n\r\n--sgn\r\nContent-Type: text/plain", "\r\n\r\nPay Boris instead.\r\n\r\n--sgn\r\nContent-Type: text/plain"))
		}, want: uncovered("text before the first part of letter is not signed")},
		{name: "epilogue with a footer", build: func(k kit) string { return letter(k.signed(body, k.anna) + "-- \r\nList footer\r\n") },
			want: uncovered("text after the last part of letter is not signed")},
		{name: "epilogue of white space", build: func(k kit) string { return letter(k.signed(body, k.anna) + "\r\n \r\n") }, want: passed},
		{name: "signed entity has a preamble of its own", build: func(k kit) string {
			inner := flip(body, "\r\n\r\n--mix\r\nContent-Type: text/plain", "\r\n\r\nHello\r\n--mix\r\nContent-Type: text/plain")
			return letter(k.signed(inner, k.anna))
		}, want: passed},
		{name: "wrapped alone", build: func(k kit) string { return letter(mixed(k.signed(text("I agree."), k.anna))) }, want: passed},
		{name: "wrapped with text before", build: func(k kit) string {
			return letter(mixed(text("Ignore what follows."), k.signed(text("I agree."), k.anna)))
		}, want: uncovered("is not signed")},
		{name: "wrapped with a list footer", build: func(k kit) string {
			return letter(mixed(k.signed(text("I agree."), k.anna), text("-- \r\nList")))
		}, want: uncovered("is not signed")},
		{name: "wrapped in alternative", build: func(k kit) string {
			return letter(multipart("alternative", "alt", k.signed(text("I agree."), k.anna), html("<b>I refuse.</b>")))
		}, want: uncovered("letter.html is not signed")},
		{name: "opaque beside a file", build: func(k kit) string {
			return letter(mixed(k.opaque(text("I agree."), k.anna), file("contract.pdf", pdf)))
		}, want: uncovered("contract.pdf is not signed")},
		{name: "forwarded signed letter is a file", build: func(k kit) string {
			return letter(mixed(text("See below."), "Content-Type: message/rfc822\r\n\r\n"+letter(k.signed(text("I agree."), k.anna))))
		}, want: want{rem.Unsigned, "", rem.ReasonUnsigned, "nothing"}},

		{name: "two Content-Type fields", build: func(k kit) string {
			return "Content-Type: text/plain\r\n" + letter(k.signed(body, k.anna))
		}, want: malformedWith("more than one")},
		{name: "two transfer encodings inside", build: func(k kit) string {
			twice := flip(text("I agree."), "\r\n\r\n", "\r\nContent-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\n")
			return letter(k.signed(twice, k.anna))
		}, want: malformedWith("more than one")},
		{name: "two Content-Type fields inside opaque", build: func(k kit) string {
			return letter(k.opaque("Content-Type: text/html\r\n"+text("I agree."), k.anna))
		}, want: malformedWith("its content can be read in more than one way")},
		{name: "unterminated", build: func(k kit) string {
			return strings.TrimSuffix(letter(k.signed(body, k.anna)), "--sgn--\r\n")
		}, want: malformedWith("close delimiter")},
		{name: "two Subject fields", build: func(k kit) string { return "Subject: Other\r\n" + letter(k.signed(body, k.anna)) },
			want: malformedWith("more than one")},
	})
}

// TestNested has signatures within signatures.
func TestNested(t *testing.T) {
	inner := text("I agree.")
	runGolden(t, []golden{
		{name: "signed within signed", build: func(k kit) string { return letter(k.signed(k.signed(inner, k.boris), k.anna)) }, want: passed},
		{name: "outer of another", build: func(k kit) string { return letter(k.signed(k.signed(inner, k.anna), k.boris)) },
			want: failedWith("SIG_CONSTRAINTS_FAILURE", rem.ReasonSignerNotSender, "Boris")},
		{name: "inner expired", build: func(k kit) string { return letter(k.signed(k.signed(inner, k.expired), k.anna)) },
			want: failedWith("EXPIRED", rem.ReasonCertificateTime, "")},
		{name: "opaque within signed", build: func(k kit) string { return letter(k.signed(k.opaque(inner, k.boris), k.anna)) }, want: passed},
		{name: "signed within opaque", build: func(k kit) string { return letter(k.opaque(k.signed(inner, k.boris), k.anna)) }, want: passed},
		{name: "opaque within opaque", build: func(k kit) string {
			return letter(k.opaque(k.opaque(mixed(inner, file("a.pdf", pdf)), k.boris), k.anna))
		}, want: passed},
		{name: "enveloping file within opaque", build: func(k kit) string {
			return letter(k.opaque(mixed(inner, file("a.pdf.p7m", string(k.envelop(pdf, k.boris)))), k.anna))
		}, want: passed},
		{name: "enveloping file within opaque within opaque", build: func(k kit) string {
			return letter(k.opaque(k.opaque(mixed(inner, file("a.pdf.p7m", string(k.envelop(pdf, k.boris)))), k.boris), k.anna))
		}, want: passed},
		{name: "inner opaque changed", build: func(k kit) string {
			sig := flip(string(k.envelop(inner, k.boris)), "I agree.", "I agreE.")
			return letter(k.opaque(p7m([]byte(sig)), k.anna))
		}, want: failedWith("HASH_FAILURE", rem.ReasonSignatureFailed, "")},
		{name: "three deep", build: func(k kit) string {
			return letter(k.signed(k.opaque(k.signed(inner, k.anna), k.anna), k.anna))
		}, want: passed},
		{name: "four deep", build: func(k kit) string {
			return letter(k.signed(k.signed(k.signed(k.signed(inner, k.anna), k.anna), k.anna), k.anna))
		}, want: malformedWith("more than 3 signatures within one another")},
		{name: "four deep, opaque", build: func(k kit) string {
			return letter(k.opaque(k.opaque(k.opaque(k.opaque(inner, k.anna), k.anna), k.anna), k.anna))
		}, want: malformedWith("more than 3 signatures within one another")},
		{name: "file with its own signature inside a signed letter", build: func(k kit) string {
			return letter(k.signed(mixed(inner, file("a.pdf", pdf), file("a.pdf.p7s", string(k.sign(pdf, k.boris)))), k.anna))
		}, want: passed},
		{name: "file with a wrong signature inside a signed letter", build: func(k kit) string {
			return letter(k.signed(mixed(inner, file("a.pdf", pdf), file("a.pdf.p7s", string(k.sign("x", k.boris)))), k.anna))
		}, want: failedWith("HASH_FAILURE", rem.ReasonSignatureFailed, "a.pdf: the signature a.pdf.p7s does not match")},
	})
}

// TestFacts looks at what a finding says besides its verdict.
func TestFacts(t *testing.T) {
	k := use(t, cmstest.P256)
	entity := mixed(text("I agree."), file("contract.pdf", pdf))
	f := k.judge(letter(k.signed(entity, k.anna)), k.request())
	if len(f.Signatures) != 1 || len(f.Documents) != 2 {
		t.Fatalf("%d signatures, %d documents", len(f.Signatures), len(f.Documents))
	}
	s := f.Signatures[0]
	if s.Place != "letter" || s.Bound != "address" || s.Email != "anna@a.test" || s.Signer != "CN=Anna" || s.AnchorKind != "unqualified" ||
		s.Algorithm != "ECDSA P-256 with SHA-256" || s.ClaimedTime == nil || !s.BestTime.Equal(cmstest.At) {
		t.Errorf("signature %+v", s)
	}
	if got := strings.Join(s.Covers, "|"); got != "letter.txt|contract.pdf" {
		t.Errorf("covers %s", got)
	}
	note, doc := f.Documents[0], f.Documents[1]
	if !note.Note || doc.Note || doc.Name != "contract.pdf" || doc.SHA256 != rem.DigestOf([]byte(pdf)) || doc.Size != int64(len(pdf)) {
		t.Errorf("documents %+v %+v", note, doc)
	}
	if want := rem.DigestOf([]byte(entity)); note.SignedSHA256 != want || doc.SignedSHA256 != want {
		t.Error("the signed octets are not those of the signed entity")
	}
	if got := strings.Join(f.Unsigned, "|"); got != "header field From|header field To|header field Subject|header field Date|header field Message-ID" {
		t.Errorf("not signed: %s", got)
	}
	last := s.Checks[len(s.Checks)-1]
	if last.Name != checkSender || last.Status != "passed" {
		t.Errorf("last check %+v", last)
	}
}

// TestSignatureSaysSo: what is wrong stands in the signature, too, and a
// broken one covers nothing.
func TestSignatureSaysSo(t *testing.T) {
	k := use(t, cmstest.P256)
	body := text("I agree.")
	s := k.judge(letter(k.signed(body, k.boris)), k.request()).Signatures[0]
	last := s.Checks[len(s.Checks)-1]
	if s.Indication != "TOTAL-FAILED" || s.SubIndication != "SIG_CONSTRAINTS_FAILURE" || last.Name != checkSender || last.Status != "failed" {
		t.Errorf("signature of another: %s %s %+v", s.Indication, s.SubIndication, last)
	}
	f := k.judge(letter(signedWith(body, p7s([]byte("rubbish")))), k.request())
	if len(f.Signatures) != 1 || len(f.Signatures[0].Covers) > 0 || len(f.Uncovered) != 1 || len(f.Documents[0].Signatures) > 0 {
		t.Errorf("broken signature: %+v, uncovered %v", f.Signatures, f.Uncovered)
	}
}
