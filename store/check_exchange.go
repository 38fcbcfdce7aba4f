package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// submissions walks all submissions page by page and derives each again.
func (c *checker) submissions() error {
	last := ""
	for {
		ids, err := list(&c.session, func(s *string) []any { return []any{s} },
			"SELECT id FROM submissions WHERE id > $1 ORDER BY id LIMIT $2", last, maxLimit)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := c.submission(id); err != nil {
				if c.ctx.Err() != nil {
					return err
				}
				c.problem("submission %s: cannot be read: %v", id, err)
			}
		}
		if len(ids) < maxLimit {
			return nil
		}
		last = ids[len(ids)-1]
	}
}

// derivable accepts whatever some policy accepts: which one was in force is
// not known any more.
func derivable() rem.Policy {
	return rem.Policy{DocumentSigner: "any", Revocation: "soft", AcceptBare: true}
}

func (c *checker) submission(id string) error {
	s, err := c.session.submission(id)
	if err != nil {
		return err
	}
	accepted, refusal := rem.Submit(s.Envelope, s.Letter, s.Finding, derivable(), s.Time)
	if refusal != nil {
		c.problem("submission %s: should have been refused: %s", id, refusal.Text)
		return nil
	}
	if d := accepted.Submission; d.ID != s.ID || d.Account != s.Account || d.Sender != s.Sender {
		c.problem("submission %s: id, account or sender do not follow from its envelope and letter", id)
	}
	for i, g := range s.Finding.Signatures {
		if g.Certificate != nil && rem.DigestOf(g.Certificate) != g.CertificateSHA256 {
			c.problem("submission %s: signature %d was verified under another certificate", id, i)
		}
	}
	if err := c.consignmentsFollow(accepted); err != nil {
		return err
	}
	return c.acceptanceFits(&rem.Accepted{Submission: *s})
}

// consignmentsFollow compares the stored consignments with the derived ones.
func (c *checker) consignmentsFollow(a *rem.Accepted) error {
	id := a.Submission.ID
	have, err := list(&c.session, func(x *rem.Consignment) []any { return []any{&x.ID, &x.Recipient} },
		"SELECT id, recipient FROM consignments WHERE submission = $1 ORDER BY place", id)
	if err != nil {
		return err
	}
	if len(have) != len(a.Consignments) {
		c.problem("submission %s: %d consignments, its envelope names %d recipients", id, len(have), len(a.Consignments))
		return nil
	}
	var recipients []string
	for i, want := range a.Consignments {
		if have[i].ID != want.ID || have[i].Recipient != want.Recipient {
			c.problem("consignment %s to %s: does not follow from submission %s", have[i].ID, have[i].Recipient, id)
		}
		recipients = append(recipients, want.Recipient)
	}
	var stored rem.Digest
	if err := c.get([]any{octets{&stored}}, "SELECT audience FROM submissions WHERE id = $1", id); err != nil {
		return err
	}
	if stored != audience(recipients) {
		c.problem("submission %s: the digest of its recipients is wrong", id)
	}
	return nil
}

// acceptanceFits holds the record of the acceptance, unless it is erased,
// against the one that the stored submission would be attested by now.
func (c *checker) acceptanceFits(a *rem.Accepted) error {
	id := a.Submission.ID
	var stored, derived any
	err := c.get([]any{document{&stored}}, `SELECT r.record FROM evidence e JOIN evidence_record r ON r.id = e.id
		WHERE e.subject = $1 AND e.event = $2`, id, rem.SubmissionAcceptance)
	var invalid *json.SyntaxError
	if errors.Is(err, ErrNotFound) || errors.As(err, &invalid) {
		return nil // absent, erased, broken: the evidence step's matter
	}
	if err != nil {
		return err
	}
	record, err := rem.Canonical(a.Evidence().Record)
	if err == nil {
		err = json.Unmarshal(record, &derived)
	}
	if err != nil {
		return err
	}
	if where := disagreement(stored, derived); where != "" {
		c.problem("submission %s: its evidence says otherwise about %s", id, strings.TrimPrefix(where, "."))
	}
	return nil
}

// disagreement names the first place where a stored JSON tree differs from the
// derived one. Members that only the derived tree has do not count: records
// written by earlier versions know fewer.
func disagreement(stored, derived any) string {
	switch s := stored.(type) {
	case map[string]any:
		d, ok := derived.(map[string]any)
		if !ok {
			return "."
		}
		for _, k := range slices.Sorted(maps.Keys(s)) {
			if where := disagreement(s[k], d[k]); where != "" {
				return "." + k + strings.TrimSuffix(where, ".")
			}
		}
		return ""
	case []any:
		d, ok := derived.([]any)
		if !ok || len(d) != len(s) {
			return "."
		}
		for i := range s {
			if where := disagreement(s[i], d[i]); where != "" {
				return fmt.Sprintf("[%d]%s", i, strings.TrimSuffix(where, "."))
			}
		}
		return ""
	}
	if stored != derived {
		return "."
	}
	return ""
}

// digestColumns compares the columns that are searched with the documents and
// signatures they were taken from.
func (c *checker) digestColumns() error {
	err := c.each(func(scan func(...any) error) error {
		var id string
		var place int
		var plain, signed rem.Digest
		var d rem.Document
		if err := scan(&id, &place, octets{&plain}, octets{&signed}, document{&d}); err != nil {
			return err
		}
		if plain != d.SHA256 || signed != d.SignedSHA256 {
			c.problem("submission %s: document %d is filed under other digests", id, place)
		}
		return nil
	}, "SELECT submission, place, sha256, signed_sha256, body FROM documents")
	if err != nil {
		return err
	}
	return c.each(func(scan func(...any) error) error {
		var id string
		var place int
		var digest rem.Digest
		var g rem.Signature
		if err := scan(&id, &place, octets{&digest}, document{&g}); err != nil {
			return err
		}
		if digest != g.SignatureSHA256 {
			c.problem("submission %s: signature %d is filed under another digest", id, place)
		}
		return nil
	}, "SELECT submission, place, sha256, body FROM signatures")
}

// signedOctets compares the table that finds repeated octets with the
// submissions it was taken from.
func (c *checker) signedOctets() error {
	for _, q := range []struct{ problem, text string }{
		{"submission %s: is filed under signed octets, recipients or a time that are not its own",
			`SELECT o.submission FROM signed_octets o LEFT JOIN submissions s
				ON s.id = o.submission AND s.account = o.account AND s.audience = o.audience AND s.time = o.time
			WHERE s.id IS NULL OR NOT EXISTS (SELECT 1 FROM documents d WHERE d.submission = o.submission AND d.signed_sha256 = o.digest)`},
		{"submission %s: its signed octets are not filed",
			`SELECT DISTINCT s.id FROM documents d JOIN submissions s ON s.id = d.submission
			WHERE d.signed_sha256 IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM signed_octets o WHERE o.account = s.account AND o.digest = d.signed_sha256 AND o.audience = s.audience)
			AND (SELECT COUNT(*) FROM signed_octets o WHERE o.account = s.account AND o.digest = d.signed_sha256) < 2`},
	} {
		err := c.each(func(scan func(...any) error) error {
			var id string
			if err := scan(&id); err != nil {
				return err
			}
			c.problem(q.problem, id)
			return nil
		}, q.text)
		if err != nil {
			return err
		}
	}
	return nil
}

// progress is a consignment's state beside the counts of its evidence.
type progress struct {
	id                                                        string
	state                                                     State
	received                                                  bool // by somebody, at some time
	notified, failed, accepted, handedOver, verified, expired int
}

func (c *checker) states() error {
	counts := ""
	for _, e := range []rem.Event{
		rem.NotificationForAcceptance, rem.NotificationForAcceptanceFailure, rem.ConsignmentAcceptance,
		rem.ContentHandover, rem.RecipientVerification, rem.AcceptanceRejectionExpiry,
	} {
		counts += fmt.Sprintf(", COUNT(CASE WHEN e.event = '%s' THEN 1 END)", e)
	}
	return c.each(func(scan func(...any) error) error {
		var p progress
		err := scan(&p.id, &p.state, &p.received, &p.notified, &p.failed, &p.accepted, &p.handedOver, &p.verified, &p.expired)
		if err == nil {
			c.progress(&p)
		}
		return err
	}, `SELECT c.id, c.state, CASE WHEN c.received_at <> 0 AND c.received_by IS NOT NULL THEN 1 ELSE 0 END`+counts+`
		FROM consignments c LEFT JOIN evidence e ON e.subject = c.id GROUP BY c.id, c.state, c.received_at, c.received_by ORDER BY c.id`)
}

// progress holds a state against the evidence: invariants 2 and 4.
func (c *checker) progress(p *progress) {
	wrong := func(bad bool, what string) {
		if bad {
			c.problem("consignment %s: state %s, but %s", p.id, p.state, what)
		}
	}
	done := p.state == StateReceived || p.state == StateVerified
	switch p.state {
	case StatePending, StateFailed:
		wrong(p.notified > 0, "evidence of a notification")
		wrong(p.state == StateFailed && p.failed == 0, "no evidence of a failure")
	case StateNotified:
		wrong(p.notified == 0, "no evidence of a notification")
	case StateReceived, StateVerified, StateExpired:
	default:
		wrong(true, "there is no such state")
	}
	wrong(done != (p.handedOver > 0), fmt.Sprintf("%d evidence of a handover", p.handedOver))
	wrong(done != p.received, "receiver and time of receipt do not agree")
	wrong(p.handedOver != p.accepted, "handover and acceptance are not attested together")
	wrong((p.state == StateVerified) != (p.verified > 0), fmt.Sprintf("%d evidence of a verification", p.verified))
	wrong((p.state == StateExpired) != (p.expired > 0), fmt.Sprintf("%d evidence of expiry", p.expired))
}

// protocols holds signed protocols against the evidence of verification.
func (c *checker) protocols() error {
	err := c.each(func(scan func(...any) error) error {
		var id string
		if err := scan(&id); err != nil {
			return err
		}
		c.problem("protocol %s: signed, but its certificate, its time or the evidence of it is missing", id)
		return nil
	}, `SELECT p.id FROM protocols p WHERE p.signature IS NOT NULL AND (p.signed_with IS NULL OR p.signed_at = 0
		OR NOT EXISTS (SELECT 1 FROM evidence e WHERE e.subject = p.consignment AND e.event = $1))`, rem.RecipientVerification)
	if err != nil {
		return err
	}
	err = c.each(func(scan func(...any) error) error {
		var id string
		if err := scan(&id); err != nil {
			return err
		}
		c.problem("consignment %s: verified, but no protocol of it is signed", id)
		return nil
	}, `SELECT id FROM consignments c WHERE state = $1
		AND NOT EXISTS (SELECT 1 FROM protocols p WHERE p.consignment = c.id AND p.signature IS NOT NULL)`, StateVerified)
	if err != nil {
		return err
	}
	return c.signedBytes()
}

// signedBytes looks for signed protocols whose text is not one that the
// evidence of their consignment names, unless such evidence is erased.
func (c *checker) signedBytes() error {
	fits, last := true, ""
	end := func() {
		if !fits {
			c.problem("protocol %s: no evidence names its text", last)
		}
	}
	err := c.each(func(scan func(...any) error) error {
		var id string
		var body, record []byte
		if err := scan(&id, &body, &record); err != nil {
			return err
		}
		if id != last {
			end()
			fits, last = false, id
		}
		var r rem.Record
		named := record != nil && json.Unmarshal(record, &r) == nil && r.Digests["protocol.sha256"] != ""
		fits = fits || !named || r.Digests["protocol.sha256"] == rem.DigestOf(body).String()
		return nil
	}, `SELECT p.id, p.body, r.record FROM protocols p
		JOIN evidence e ON e.subject = p.consignment AND e.event = $1 LEFT JOIN evidence_record r ON r.id = e.id
		WHERE p.signature IS NOT NULL ORDER BY p.id`, rem.RecipientVerification)
	end()
	return err
}
