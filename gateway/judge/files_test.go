package judge

import (
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// TestSignedFiles has the rules of signed things c and d.
func TestSignedFiles(t *testing.T) {
	sole := func(sigName string) func(k kit) string {
		return func(k kit) string {
			return letter(mixed(text("n"), file("contract.pdf", pdf), file(sigName, string(k.sign(pdf, k.anna)))))
		}
	}
	armoured := func(encode func([]byte) string) func(k kit) string {
		return func(k kit) string {
			return letter(mixed(text("n"), file("contract.pdf", pdf), file("contract.pdf.sig", encode(k.sign(pdf, k.anna)))))
		}
	}
	enclosed := func(name, mediaType string) func(k kit) string {
		return func(k kit) string {
			return letter(mixed(text("n"), attach(name, mediaType, string(k.envelop(pdf, k.anna)))))
		}
	}
	runGolden(t, []golden{
		{name: "p7s by name", build: sole("contract.pdf.p7s"), want: passed},
		{name: "sig by name", build: sole("contract.pdf.sig"), want: passed},
		{name: "sgn by name", build: sole("contract.pdf.sgn"), want: passed},
		{name: "sign by name, other case", build: sole("contract.pdf.SIGN"), want: passed},
		{name: "by stem", build: sole("contract.p7s"), want: passed},
		{name: "by stem, changed", build: func(k kit) string {
			return letter(mixed(text("n"), file("contract.pdf", "changed"), file("contract.p7s", string(k.sign(pdf, k.anna)))))
		}, want: failedWith("HASH_FAILURE", rem.ReasonSignatureFailed, "contract.pdf: the signature contract.p7s does not match the file")},
		{name: "by digest", build: sole("signature.p7s"), want: passed},
		{name: "by media type and digest", build: func(k kit) string {
			return letter(mixed(file("contract.pdf", pdf), attach("whatever", "application/pkcs7-signature", string(k.sign(pdf, k.anna)))))
		}, want: passed},
		{name: "PEM", build: armoured(func(b []byte) string { return pemText("CMS", b) }), want: passed},
		{name: "PEM with CRLF and other label", build: armoured(func(b []byte) string {
			return strings.ReplaceAll(pemText("PKCS7", b), "\n", "\r\n")
		}), want: passed},
		{name: "PEM with something after it", build: armoured(func(b []byte) string { return pemText("CMS", b) + "more" }),
			want: failedWith("FORMAT_FAILURE", rem.ReasonSignatureFailed, "contract.pdf.sig")},
		{name: "PEM without end", build: armoured(func(b []byte) string { return strings.Split(pemText("CMS", b), "-----END")[0] }),
			want: failedWith("FORMAT_FAILURE", rem.ReasonSignatureFailed, "contract.pdf.sig")},
		{name: "base64 on one line", build: armoured(func(b []byte) string { return strings.ReplaceAll(base64Lines(b), "\r\n", "") }), want: passed},
		{name: "base64 in lines", build: armoured(base64Lines), want: passed},

		{name: "enveloping p7m", build: enclosed("contract.pdf.p7m", "application/octet-stream"), want: passed},
		{name: "enveloping p7m as pkcs7-mime", build: enclosed("contract.pdf.p7m", "application/pkcs7-mime"), want: passed},
		{name: "enveloping sig", build: enclosed("contract.pdf.sig", "application/octet-stream"), want: passed},
		{name: "enveloping twice", build: func(k kit) string {
			return letter(mixed(text("n"), file("contract.pdf.p7m.p7m", string(k.envelop(string(k.envelop(pdf, k.boris)), k.anna)))))
		}, want: passed},
		{name: "enveloping twice, inner changed", build: func(k kit) string {
			sig := flip(string(k.envelop(pdf, k.boris)), "contract no. 7", "contract no. 8")
			return letter(mixed(text("n"), file("contract.pdf.p7m.p7m", string(k.envelop(sig, k.anna)))))
		}, want: failedWith("HASH_FAILURE", rem.ReasonSignatureFailed, "contract.pdf")},
		{name: "enveloping beside the same file", build: func(k kit) string {
			return letter(mixed(text("n"), file("contract.pdf", pdf), file("contract.pdf.p7m", string(k.envelop(pdf, k.anna)))))
		}, want: passed},
		{name: "enveloping beside another file of the name", build: func(k kit) string {
			return letter(mixed(text("n"), file("contract.pdf", "another"), file("contract.pdf.p7m", string(k.envelop(pdf, k.anna)))))
		}, want: uncovered("contract.pdf (part 2) is not signed")},
		{name: "file as the whole letter", build: func(k kit) string {
			return letter(file("contract.pdf.p7m", string(k.envelop(pdf, k.anna))))
		}, want: passed},

		{name: "one of two files unsigned", build: func(k kit) string {
			return letter(mixed(text("n"), pair("a.pdf", "a", k.sign("a", k.anna)), file("b.pdf", "b")))
		}, want: uncovered("b.pdf is not signed")},
		{name: "swapped documents", build: func(k kit) string {
			return letter(mixed(text("n"), pair("a.pdf", "a", k.sign("b", k.anna)), pair("b.pdf", "b", k.sign("a", k.anna))))
		}, want: failedWith("HASH_FAILURE", rem.ReasonSignatureFailed, "a.pdf: the signature a.pdf.p7s belongs to another file, b.pdf")},
		{name: "two files of a name, one signature", build: func(k kit) string {
			return letter(mixed(text("n"), file("a.pdf", "one"), pair("a.pdf", "two", k.sign("two", k.anna))))
		}, want: uncovered("a.pdf (part 2) is not signed")},
		{name: "two files of a name, the same octets", build: func(k kit) string {
			return letter(mixed(text("n"), file("a.pdf", "one"), pair("a.pdf", "one", k.sign("one", k.anna))))
		}, want: passed},
		{name: "two files of a name, two signatures", build: func(k kit) string {
			return letter(mixed(text("n"), pair("a.pdf", "one", k.sign("one", k.anna)), pair("a.pdf", "two", k.sign("two", k.anna))))
		}, want: passed},
		{name: "two files of a name, signature of neither", build: func(k kit) string {
			return letter(mixed(text("n"), file("a.pdf", "one"), pair("a.pdf", "two", k.sign("three", k.anna))))
		}, want: failedWith("HASH_FAILURE", rem.ReasonSignatureFailed, "a.pdf")},
		{name: "stem of two files, signature of one", build: func(k kit) string {
			return letter(mixed(text("n"), file("a.pdf", "one"), file("a.doc", "two"), file("a.p7s", string(k.sign("two", k.anna)))))
		}, want: uncovered("a.pdf is not signed")},
		{name: "stem of two files, signature of neither", build: func(k kit) string {
			return letter(mixed(text("n"), file("a.pdf", "one"), file("a.doc", "two"), file("a.p7s", string(k.sign("x", k.anna)))))
		}, want: uncovered("a.pdf, a.doc are not signed")},
		{name: "two signatures of one file", build: func(k kit) string {
			return letter(mixed(text("n"), pair("a.pdf", "a", k.sign("a", k.anna)), file("a.pdf.sig", string(k.sign("a", k.boris)))))
		}, want: passed},
		{name: "two signatures, one wrong", build: func(k kit) string {
			return letter(mixed(text("n"), pair("a.pdf", "a", k.sign("a", k.anna)), file("a.pdf.sig", string(k.sign("b", k.boris)))))
		}, want: failedWith("HASH_FAILURE", rem.ReasonSignatureFailed, "a.pdf: the signature a.pdf.sig does not match")},

		{name: "note in two forms", build: func(k kit) string {
			return letter(mixed(multipart("alternative", "alt", text("n"), html("<p>n</p>")), pair("a.pdf", "a", k.sign("a", k.anna))))
		}, want: passed},
		{name: "inline picture is a document", build: func(k kit) string {
			return letter(mixed(text("n"), "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA", pair("a.pdf", "a", k.sign("a", k.anna))))
		}, want: uncovered("part 2 (image/png) is not signed")},
		{name: "named text is a document", build: func(k kit) string {
			return letter(mixed(attach("terms.txt", "text/plain", "terms"), pair("a.pdf", "a", k.sign("a", k.anna))))
		}, want: uncovered("terms.txt is not signed")},
		{name: "text as attachment is a document", build: func(k kit) string {
			return letter(mixed("Content-Disposition: attachment\r\n"+text("terms"), pair("a.pdf", "a", k.sign("a", k.anna))))
		}, want: uncovered("is not signed")},
		{name: "calendar alternative is a document", build: func(k kit) string {
			return letter(mixed(multipart("alternative", "alt", text("n"), "Content-Type: text/calendar\r\n\r\nBEGIN"), pair("a.pdf", "a", k.sign("a", k.anna))))
		}, want: uncovered("text/calendar")},
		{name: "settings file named .sig is a document", build: func(k kit) string {
			return letter(mixed(text("n"), file("outlook.sig", "My name"), pair("a.pdf", "a", k.sign("a", k.anna))))
		}, want: uncovered("outlook.sig is not signed")},
		{name: "rubbish in the name of a signature", build: func(kit) string {
			return letter(mixed(text("n"), file("a.pdf", "a"), file("a.pdf.sig", "rubbish")))
		}, want: failedWith("FORMAT_FAILURE", rem.ReasonSignatureFailed, "a.pdf: the signature a.pdf.sig cannot be read")},
		{name: "file that is not in its encoding", build: func(k kit) string {
			return letter(mixed(text("n"), pair("a.pdf", "a", k.sign("a", k.anna)), "Content-Type: application/pdf; name=b.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!"))
		}, want: malformedWith("b.pdf cannot be read")},

		{name: "signer any", build: func(k kit) string { return beside(k.sign(pdf, k.boris)) },
			ask: func(_ kit, q *Request) { q.Policy.DocumentSigner = "any" }, want: passed},
		{name: "another confirmed address", build: func(k kit) string { return beside(k.sign(pdf, k.boris)) },
			ask: func(_ kit, q *Request) { q.Party.Addresses = append(q.Party.Addresses, "boris@b.test") }, want: passed},
		{name: "one of two signers is the sender", build: func(k kit) string { return beside(k.sign(pdf, k.boris, k.anna)) }, want: passed},
		{name: "sender signed only one of two", build: func(k kit) string {
			return letter(mixed(text("n"), pair("a.pdf", "a", k.sign("a", k.anna)), pair("b.pdf", "b", k.sign("b", k.boris))))
		}, want: failedWith("SIG_CONSTRAINTS_FAILURE", rem.ReasonSignerNotSender, "b.pdf: the signer is not the sender")},
		{name: "file signature beside a signed letter", build: func(k kit) string {
			return letter(mixed(k.signed(text("I agree."), k.anna), pair("a.pdf", "a", k.sign("a", k.anna))))
		}, want: passed},
		{name: "note beside a signed letter and a signed file", build: func(k kit) string {
			return letter(mixed(text("n"), k.signed(text("I agree."), k.anna), pair("a.pdf", "a", k.sign("a", k.anna))))
		}, want: uncovered("is not signed")},
	})
}

// TestFileFacts looks at a file signature's documents and permitted rest.
func TestFileFacts(t *testing.T) {
	k := use(t, cmstest.P256)
	sig := k.sign(pdf, k.anna)
	f := k.judge(letter(mixed(text("See."), file("contract.pdf", pdf), file("contract.pdf.sig", pemText("CMS", sig)))), k.request())
	if len(f.Documents) != 2 || len(f.Signatures) != 1 {
		t.Fatalf("%d documents, %d signatures", len(f.Documents), len(f.Signatures))
	}
	d, s := f.Documents[1], f.Signatures[0]
	if d.SignedSHA256 != d.SHA256 || len(d.Signatures) != 1 || len(f.Documents[0].Signatures) != 0 {
		t.Errorf("document %+v", d)
	}
	if s.SignatureSHA256 != rem.DigestOf(sig) || string(s.Raw) != string(sig) || s.Place != "contract.pdf.sig" || s.Covers[0] != "contract.pdf" {
		t.Errorf("signature %+v", s)
	}
	if f.Unsigned[0] != "covering note letter.txt" {
		t.Errorf("not signed: %v", f.Unsigned)
	}
}

// TestOutsideText keeps names of files from breaking a line or a terminal.
func TestOutsideText(t *testing.T) {
	k := use(t, cmstest.P256)
	name := "filename*=utf-8''a%0D%0A250%20OK%E2%80%AEfdp.exe"
	part := "Content-Type: application/pdf\r\nContent-Disposition: attachment; " + name + "\r\n\r\nx"
	f := k.judge(letter(mixed(part, pair("b.pdf", "b", k.sign("b", k.anna)))), k.request())
	if f.Reason != rem.ReasonNotCovered || strings.ContainsAny(f.Detail+strings.Join(f.Uncovered, ""), "\r\n\u202e") {
		t.Errorf("%s: %q %q", f.Reason, f.Detail, f.Uncovered)
	}
}
