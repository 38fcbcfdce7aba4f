package store

import (
	"encoding/json"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// attestation is an evidence beside the row that it attests.
type attestation struct {
	EvidenceRow
	kind       string // of the subject: "submission", "refusal", "consignment", "" when absent
	submission string
	sender     string
	recipient  string    // of a consignment
	time       time.Time // of the submission or refusal; of a consignment's handover
	grade      rem.Grade
	letter     rem.Digest
}

const attestationQuery = `SELECT e.id, e.event, e.time, e.subject, e.attempt, e.digest, r.salt, r.record,
	CASE WHEN s.id IS NOT NULL THEN 'submission' WHEN f.id IS NOT NULL THEN 'refusal' WHEN c.id IS NOT NULL THEN 'consignment' ELSE '' END,
	COALESCE(c.submission, e.subject), COALESCE(s.sender, f.sender, cs.sender, ''), COALESCE(c.recipient, ''),
	COALESCE(s.time, f.time, c.received_at, 0), COALESCE(c.grade, ''), COALESCE(s.sha256, f.sha256)
	FROM evidence e LEFT JOIN evidence_record r ON r.id = e.id
	LEFT JOIN submissions s ON s.id = e.subject
	LEFT JOIN refusals f ON f.id = e.subject
	LEFT JOIN consignments c ON c.id = e.subject
	LEFT JOIN submissions cs ON cs.id = c.submission
	ORDER BY e.id`

// evidence re-derives every evidence row and compares its record with the row
// it attests.
func (c *checker) evidence() error {
	return c.each(func(scan func(...any) error) error {
		var a attestation
		err := scan(append(evidenceRow(&a.EvidenceRow), &a.kind, &a.submission, &a.sender, &a.recipient,
			instant{&a.time}, &a.grade, octets{&a.letter})...)
		if err != nil {
			return err
		}
		c.attestation(&a)
		return nil
	}, attestationQuery)
}

// subjectOf names what kind of thing each event is about.
func subjectOf(e rem.Event) string {
	switch e {
	case rem.SubmissionAcceptance, rem.SignatureRecheck:
		return "submission"
	case rem.SubmissionRejection:
		return "refusal"
	}
	return "consignment"
}

func (c *checker) attestation(a *attestation) {
	if a.ID != rem.ExpectedID(a.Event, a.Subject, a.Attempt) {
		c.problem("evidence %s: id does not follow from event %s, subject %s, attempt %d", a.ID, a.Event, a.Subject, a.Attempt)
	}
	if a.kind != subjectOf(a.Event) {
		c.problem("evidence %s: %s is about %s, which is no %s", a.ID, a.Event, a.Subject, subjectOf(a.Event))
		return
	}
	if a.Event == rem.SubmissionAcceptance && !a.Time.Equal(a.time) {
		c.problem("evidence %s: accepted at %v, the submission says %v", a.ID, a.Time, a.time)
	}
	if a.Event == rem.ContentHandover && !a.Time.Equal(a.time) {
		c.problem("evidence %s: handed over at %v, the consignment says %v", a.ID, a.Time, a.time)
	}
	if a.Record == nil {
		return // erased
	}
	if len(a.Salt) != saltSize || recordDigest(a.Salt, a.Record) != a.Digest {
		c.problem("evidence %s: digest is not that of salt and record", a.ID)
		return
	}
	var r rem.Record
	if err := json.Unmarshal(a.Record, &r); err != nil {
		c.problem("evidence %s: record: %v", a.ID, err)
		return
	}
	c.record(a, &r)
}

// record compares a record with its evidence row and with what it attests.
func (c *checker) record(a *attestation, r *rem.Record) {
	differs := func(what, record, row string) {
		if record != row {
			c.problem("evidence %s: record's %s is %q, the row's %q", a.ID, what, record, row)
		}
	}
	derived := rem.Attest(a.Event, a.Subject, a.Attempt, a.Time, rem.Record{}).Record
	differs("id", r.ID, derived.ID)
	differs("event", string(r.Event), string(derived.Event))
	differs("time", r.Time, derived.Time)
	differs("submission", r.Submission, a.submission)
	differs("sender", rem.FoldAddress(r.Sender), rem.FoldAddress(a.sender))
	if a.kind == "consignment" {
		differs("consignment", r.Consignment, a.Subject)
		differs("recipient", rem.FoldAddress(r.Recipient), rem.FoldAddress(a.recipient))
	}
	if a.Event == rem.ContentHandover {
		differs("grade", string(r.Grade), string(a.grade))
	}
	if d, ok := r.Digests["letter.sha256"]; ok && a.kind != "consignment" {
		differs("letter digest", d, a.letter.String())
	}
}

// attestedOnce looks for submissions and refusals without their evidence, and
// for evidence that stands twice.
func (c *checker) attestedOnce() error {
	var id string
	for _, q := range []struct {
		what, table string
		event       rem.Event
	}{
		{"submission", "submissions", rem.SubmissionAcceptance},
		{"refusal", "refusals", rem.SubmissionRejection},
	} {
		err := c.each(func(scan func(...any) error) error {
			if err := scan(&id); err != nil {
				return err
			}
			c.problem("%s %s: no evidence %s", q.what, id, q.event)
			return nil
		}, "SELECT id FROM "+q.table+" t WHERE NOT EXISTS (SELECT 1 FROM evidence e WHERE e.subject = t.id AND e.event = $1)", q.event)
		if err != nil {
			return err
		}
	}
	return c.each(func(scan func(...any) error) error {
		var event string
		var attempt, n int
		if err := scan(&id, &event, &attempt, &n); err != nil {
			return err
		}
		c.problem("evidence: %s of %s, attempt %d, stands %d times", event, id, attempt, n)
		return nil
	}, "SELECT subject, event, attempt, COUNT(*) FROM evidence GROUP BY subject, event, attempt HAVING COUNT(*) > 1")
}
