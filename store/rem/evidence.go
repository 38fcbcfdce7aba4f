package rem

import (
	"encoding/binary"
	"slices"
	"time"
)

// Event names what an evidence attests. The words are those of ETSI EN 319
// 522-1 §6; RecipientVerification (S4.12) and SignatureRecheck are ours.
type Event string

// Events of a submission, then of a consignment.
const (
	SubmissionAcceptance Event = "SubmissionAcceptance"
	SubmissionRejection  Event = "SubmissionRejection"
	// SignatureRecheck says what became of a letter that was accepted while it was
	// unknown whether a signer's certificate had been revoked. Its Reason is that of
	// the new finding: none when it passed, revocation-unknown when that was still
	// so after a day.
	SignatureRecheck Event = "SignatureRecheck"

	NotificationForAcceptance        Event = "NotificationForAcceptance"
	NotificationForAcceptanceFailure Event = "NotificationForAcceptanceFailure"
	ConsignmentAcceptance            Event = "ConsignmentAcceptance"
	ContentHandover                  Event = "ContentHandover"
	AcceptanceRejectionExpiry        Event = "AcceptanceRejectionExpiry"
	RecipientVerification            Event = "RecipientVerification"
)

// Rank orders events of one moment as they follow from one another: what is
// accepted is then handed over.
func (e Event) Rank() int {
	return slices.Index([]Event{
		SubmissionAcceptance, SubmissionRejection, SignatureRecheck, NotificationForAcceptance, NotificationForAcceptanceFailure,
		ConsignmentAcceptance, ContentHandover, AcceptanceRejectionExpiry, RecipientVerification,
	}, e)
}

// Grade says how well a recipient's act is tied to him, weakest first.
type Grade string

// Grades of a handover.
const (
	GradeConfirmed Grade = "confirmed"   // possession of the link, address typed
	GradeCode      Grade = "code"        // e-mailed one-time code
	GradeSession   Grade = "session"     // the claimed account's own session
	GradeSigned    Grade = "certificate" // signed by his certificate
)

// Evidence attests one event that has happened.
//
// The insert-only row holds ID, Event, Time, Subject, Attempt and the digest
// SHA-256(salt ‖ record); salt and record lie apart, where erasure may touch
// them.
type Evidence struct {
	ID      string
	Event   Event
	Time    time.Time
	Subject string // id of the submission (or refusal) or of the consignment
	Attempt int    // 0 for what happens once
	Record  Record
}

// Record is the readable content of an evidence; its RFC 8785 form is what the
// digest is taken over. A record for one recipient never names another.
type Record struct {
	ID          string            `json:"id"`
	Event       Event             `json:"event"`
	Time        string            `json:"time"` // RFC 3339, UTC, microseconds
	Submission  string            `json:"submission"`
	Consignment string            `json:"consignment,omitempty"`
	Sender      string            `json:"sender"`
	Recipient   string            `json:"recipient,omitempty"`
	Recipients  []string          `json:"recipients,omitempty"` // only in the sender's own records
	Grade       Grade             `json:"grade,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	Detail      string            `json:"detail,omitempty"`
	Repeats     string            `json:"repeats,omitempty"`
	Protocol    string            `json:"protocol,omitempty"`
	Digests     map[string]string `json:"digests,omitempty"` // what → lower-case hex
	Documents   []DocumentRecord  `json:"documents,omitempty"`
	Signatures  []SignatureRecord `json:"signatures,omitempty"`
}

// DocumentRecord and SignatureRecord are S4.6's hashes and certificates.
type DocumentRecord struct {
	Name         string `json:"name"`
	Size         int64  `json:"size"`
	SHA256       Digest `json:"sha256"`
	SignedSHA256 Digest `json:"signed_sha256"`
	Signatures   []int  `json:"signatures"`
}

// SignatureRecord names a signature and the certificate it verified under.
type SignatureRecord struct {
	SHA256            Digest `json:"sha256"`
	CertificateSHA256 Digest `json:"certificate_sha256"`
	Signer            string `json:"signer"`
	Issuer            string `json:"issuer"`
	Serial            string `json:"serial"`
	Indication        string `json:"indication"`
	SubIndication     string `json:"subindication"`
}

// Attest makes the evidence of an event. r carries what is particular;
// id, event and time are filled in from the arguments, so that no record can
// disagree with its row.
func Attest(event Event, subject string, attempt int, now time.Time, r Record) Evidence {
	now = now.UTC().Truncate(time.Microsecond)
	r.ID = deriveID(subject, "evidence", string(event), attemptText(attempt))
	r.Event = event
	r.Time = now.Format("2006-01-02T15:04:05.000000Z")
	return Evidence{ID: r.ID, Event: event, Time: now, Subject: subject, Attempt: attempt, Record: r}
}

// ExpectedID re-derives the id that an evidence row must have.
func ExpectedID(event Event, subject string, attempt int) string {
	return deriveID(subject, "evidence", string(event), attemptText(attempt))
}

func attemptText(n int) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	return string(b[:])
}
