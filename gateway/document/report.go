package document

import (
	"fmt"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// ReportFormat is the name of the report's JSON format.
const ReportFormat = "cryptogramm-report/1"

// Viewer is for whom a report is made. The zero Viewer sees no recipient.
type Viewer struct {
	Sender    bool      // sees every recipient
	Recipient string    // address; sees himself and the sender
	At        time.Time // when he looks; zero leaves it out
	Gateway   string    // name of the installation
}

// ReportRow is one consignment with what happened to it, in any order.
type ReportRow struct {
	Consignment rem.Consignment
	Events      []ReportEvent
}

// ReportEvent is one evidence as a report shows it.
type ReportEvent struct {
	Event       rem.Event    `json:"event"`
	Time        time.Time    `json:"time"`
	Evidence    string       `json:"evidence"` // id of the evidence
	Grade       rem.Grade    `json:"grade,omitempty"`
	By          string       `json:"by,omitempty"` // e-mail of the person who acted
	Reason      string       `json:"reason,omitempty"`
	Detail      string       `json:"detail,omitempty"`
	Certificate *Certificate `json:"certificate,omitempty"` // of the recipient, when he verified
	Protocol    string       `json:"protocol,omitempty"`    // id of the protocol he signed
}

// EventOf takes over from an evidence what a report shows of it. The record of
// a verification names the recipient's certificate by subject and digest; a
// caller that has the certificate may put in issuer and serial.
func EventOf(e rem.Evidence) ReportEvent {
	r := ReportEvent{
		Event: e.Event, Time: instant(e.Time), Evidence: e.ID,
		Grade: e.Record.Grade, Reason: e.Record.Reason, Detail: e.Record.Detail,
	}
	if e.Event == rem.RecipientVerification && len(e.Record.Signatures) > 0 {
		s := e.Record.Signatures[0]
		r.Certificate = &Certificate{Subject: s.Signer, SHA256: s.CertificateSHA256}
	}
	return r
}

// ReportRecipient is one recipient's part of a report.
type ReportRecipient struct {
	Address     string        `json:"address"`
	Consignment string        `json:"consignment"`
	Expires     time.Time     `json:"expires"` // of the link
	Events      []ReportEvent `json:"events"`  // by time
}

// Report is the way of one letter as one viewer may see it (S4.13).
type Report struct {
	Format     string            `json:"format"`
	Gateway    string            `json:"gateway,omitempty"`
	Made       time.Time         `json:"made,omitzero"`
	Role       string            `json:"role"` // "sender", "recipient"
	Submission string            `json:"submission"`
	Acceptance string            `json:"acceptance"` // id of the evidence of acceptance
	Sender     Person            `json:"sender"`
	Letter     Letter            `json:"letter"`
	Repeats    string            `json:"repeats,omitempty"` // for the sender only
	Verdict    rem.Verdict       `json:"verdict"`           // at the time of acceptance
	Documents  []Document        `json:"documents"`
	Signatures []rem.Signature   `json:"signatures"`
	Uncovered  []string          `json:"uncovered"`
	NotSigned  []string          `json:"not_signed"`
	Recipients []ReportRecipient `json:"recipients"`
}

// NewReport makes the report for one viewer. The sender gets every row, a
// recipient the rows of his own address, whatever rows are handed in.
func NewReport(s *rem.Submission, rows []ReportRow, v Viewer) Report {
	f := findingOf(s.Finding)
	r := Report{
		Format: ReportFormat, Gateway: v.Gateway, Made: instant(v.At), Role: "recipient", Submission: s.ID,
		Acceptance: rem.ExpectedID(rem.SubmissionAcceptance, s.ID, 0),
		Sender:     Person{Address: s.Sender, Name: s.SenderName},
		Letter:     Letter{Subject: s.Letter.Subject, Date: instant(s.Letter.Date), Received: instant(s.Time), Ref: s.Letter.Ref},
		Verdict:    f.Verdict, Documents: f.Documents, Signatures: f.Signatures,
		Uncovered: f.Uncovered, NotSigned: withoutFields(f.NotSigned),
		Recipients: []ReportRecipient{},
	}
	if v.Sender {
		r.Role, r.Repeats, r.Letter.MessageID = "sender", s.Repeats, s.Letter.MessageID
		r.NotSigned = f.NotSigned
	}
	for _, row := range rows {
		if v.Sender || rem.SameAddress(row.Consignment.Recipient, v.Recipient) {
			r.Recipients = append(r.Recipients, recipientOf(row))
		}
	}
	return r
}

// JSON is the report in RFC 8785 form.
func (r Report) JSON() ([]byte, error) {
	b, err := rem.Canonical(r)
	if err != nil {
		return nil, fmt.Errorf("write report of %s: %w", r.Submission, err)
	}
	return b, nil
}

// HTML is the report as one self-contained page. lang is "ru" or "en";
// anything else is "en".
func (r Report) HTML(lang string) ([]byte, error) { return r.sheet(wordsFor(lang)).html() }

// Text is the report as plain text, UTF-8 with LF line ends.
func (r Report) Text(lang string) []byte { return r.sheet(wordsFor(lang)).text() }
