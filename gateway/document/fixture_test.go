package document

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// -papers DIR writes the pages of TestPapers there, to be looked at.
var (
	papers = flag.String("papers", "", "directory to write the example pages into")
	update = flag.Bool("update", false, "rewrite the golden files")
)

var noon = time.Date(2026, 11, 22, 12, 0, 5, 123456789, time.FixedZone("MSK", 3*3600))

func checks(failed string) []rem.Check {
	list := []rem.Check{
		{Name: "content", Status: "passed"}, {Name: "content-type", Status: "passed"},
		{Name: "message-digest", Status: "passed"}, {Name: "signature", Status: "passed"},
		{Name: "signing-certificate", Status: "passed"}, {Name: "path", Status: "passed", Detail: "CN=Клиент, CN=Demo Issuing CA, CN=Demo Root CA"},
		{Name: "validity", Status: "passed"}, {Name: "basic-constraints", Status: "passed"},
		{Name: "extended-key-usage", Status: "passed"}, {Name: "revocation", Status: "passed", Detail: "CRL 7 of CN=Demo Issuing CA, 2026-11-22"},
	}
	for i := range list {
		if list[i].Name == failed {
			list[i].Status, list[i].Detail = "failed", "digest of the content differs from the signed one"
		}
	}
	return list
}

func goodFinding() rem.Finding {
	claimed := noon.Add(-time.Hour)
	return rem.Finding{
		Verdict: rem.Passed, Indication: "TOTAL-PASSED",
		Signatures: []rem.Signature{{
			Format: "CAdES-BES", Algorithm: "RSA-2048 with SHA-256", Signer: "CN=Петров Иван Сергеевич,O=ООО «Вектор»,C=RU",
			Email: "ivan@vektor.example", Serial: "5f3a91c0774e", Issuer: "CN=Demo Issuing CA,O=Cryptogramm Demo",
			AnchorKind: "unqualified", ClaimedTime: &claimed, BestTime: noon, Indication: "TOTAL-PASSED",
			Checks: checks(""), Covers: []string{"Договор поставки № 17.pdf"}, Place: "Договор поставки № 17.pdf.p7s",
			SignatureSHA256: rem.DigestOf([]byte("s1")), CertificateSHA256: rem.DigestOf([]byte("c1")), Bound: "address",
			Part: rem.Range{Offset: 812, Length: 99}, Raw: []byte("cms"),
		}, {
			Format: "CMS", Algorithm: "ECDSA P-256 with SHA-256", Signer: "CN=Chen Wei,O=Shenzhen Optics Ltd,C=CN",
			Serial: "1b", Issuer: "CN=Foreign CA", AnchorKind: "qualified", BestTime: noon, Indication: "TOTAL-PASSED",
			Checks: checks(""), Covers: []string{"Договор поставки № 17.pdf"}, Place: "Договор поставки № 17.pdf.2.sig",
			SignatureSHA256: rem.DigestOf([]byte("s2")), CertificateSHA256: rem.DigestOf([]byte("c2")),
		}},
		Documents: []rem.Document{{
			Name: "Договор поставки № 17.pdf", MediaType: "application/pdf", Part: rem.Range{Offset: 4711, Length: 1311, Encoding: "base64"},
			SHA256: rem.DigestOf([]byte("d1")), SignedSHA256: rem.DigestOf([]byte("d1")), Size: 1248331, Signatures: []int{0, 1},
		}, {
			Name: "part 1 (text/plain)", MediaType: "text/plain", Size: 212, SHA256: rem.DigestOf([]byte("note")), Note: true,
		}},
		Unsigned: []string{"covering note part 1 (text/plain)", "header field From", "header field To", "header field Bcc", "header field Subject"},
	}
}

func badFinding() rem.Finding {
	f := goodFinding()
	f.Verdict, f.Indication, f.SubIndication = rem.Failed, "TOTAL-FAILED", "HASH_FAILURE"
	f.Reason, f.Detail = rem.ReasonSignatureFailed, "Signature 2 over contract.pdf: the content was changed."
	s := &f.Signatures[1]
	s.Indication, s.SubIndication, s.Checks = "TOTAL-FAILED", "HASH_FAILURE", checks("message-digest")
	f.Uncovered = []string{"invoice\u202efdp.exe"}
	return f
}

func sampleSubmission() *rem.Submission {
	return &rem.Submission{
		ID: "a7kq2m4x5yh3vbnr6tzc8wd9fe", Account: "u1", Sender: "ivan@vektor.example", SenderName: "Иван Петров", Time: noon,
		Envelope: rem.Envelope{Recipients: []string{"chen@optics.example", "anna@third.example", "hidden@bcc.example"}, Peer: "192.0.2.7"},
		Letter: rem.LetterFacts{
			Ref: rem.Ref{SHA256: rem.DigestOf([]byte("letter")), Size: 1712345}, MessageID: "<m1@vektor.example>",
			Subject: "Договор поставки", To: []string{"chen@optics.example", "anna@third.example"}, Date: noon.Add(-time.Minute),
		},
		Finding: goodFinding(), Repeats: "b2earlierearlierearlier234",
	}
}

func sampleProtocol() Protocol {
	return NewProtocol(ProtocolRequest{
		ID: "p5wq2m4x5yh3vbnr6tzc8wd9fe", Made: noon.Add(time.Hour), Gateway: "gate.demo.test", Submission: sampleSubmission(),
		Consignment:   rem.Consignment{ID: "c4kq2m4x5yh3vbnr6tzc8wd9fe", Submission: "a7kq2m4x5yh3vbnr6tzc8wd9fe", Recipient: "chen@optics.example"},
		RecipientName: "Chen Wei", Finding: goodFinding(), Policy: rem.Policy{DocumentSigner: "sender", Revocation: "hard"},
		Certificate: &Certificate{Subject: "CN=Chen Wei,O=Shenzhen Optics Ltd,C=CN", Issuer: "CN=Foreign CA", Serial: "1b", SHA256: rem.DigestOf([]byte("c2"))},
	})
}

func sampleRows() []ReportRow {
	row := func(id, to string, events ...ReportEvent) ReportRow {
		return ReportRow{Consignment: rem.Consignment{ID: id, Recipient: to, Expires: noon.AddDate(0, 0, 30)}, Events: events}
	}
	at := func(e rem.Event, minutes int) ReportEvent {
		return ReportEvent{Event: e, Time: noon.Add(time.Duration(minutes) * time.Minute), Evidence: rem.ExpectedID(e, "x", 0)}
	}
	received, verified, failed := at(rem.ContentHandover, 25), at(rem.RecipientVerification, 40), at(rem.NotificationForAcceptanceFailure, 3)
	received.Grade, received.By = rem.GradeConfirmed, "chen@optics.example"
	verified.Grade, verified.Detail, verified.Protocol = rem.GradeSigned, "passed", "p5wq2m4x5yh3vbnr6tzc8wd9fe"
	verified.Certificate = sampleProtocol().RecipientCertificate
	failed.Reason, failed.Detail = "notice-not-delivered", "send mail: RCPT answered 550 no such user"
	return []ReportRow{
		row("c4kq2m4x5yh3vbnr6tzc8wd9fe", "chen@optics.example", verified, received, at(rem.NotificationForAcceptance, 1)),
		row("c5kq2m4x5yh3vbnr6tzc8wd9fe", "anna@third.example", failed),
		row("c6kq2m4x5yh3vbnr6tzc8wd9fe", "hidden@bcc.example"),
	}
}

// golden compares with testdata/papers/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "papers", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs; got:\n%s", name, got)
	}
}
