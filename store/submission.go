package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// RetryWindow is how long a retry of a letter is known as one.
const RetryWindow = 7 * 24 * time.Hour

// NewSubmission is all that one accepted letter adds, in one transaction.
type NewSubmission struct {
	Accepted *rem.Accepted
	Evidence []rem.Evidence
	Links    map[string]rem.Digest // consignment id → digest of its link's token
	Jobs     []Job
	RetryKey rem.Digest // digest of login, Message-ID, wire digest, recipients; zero: none
	Sent     *Mail      // the sender's copy; nil: none
}

// packed is a submission as rows, made before the transaction begins.
type packed struct {
	NewSubmission
	row          []any
	audience     rem.Digest
	consignments [][]any
	finding      findingRows
	evidence     []sealed
	material     materialRows
}

// AddSubmission records an accepted letter whose bytes are durable already
// (invariant 1): nil means that all of it is durable. ErrExists: the id is
// taken, or a submission with this retry key was added within RetryWindow; of
// any number of parallel retries one is added.
func (db *DB) AddSubmission(ctx context.Context, n NewSubmission) error {
	p, err := pack(n)
	if err == nil {
		err = db.write(ctx, p.add)
	}
	if err != nil {
		return fmt.Errorf("add submission %s: %w", n.Accepted.Submission.ID, err)
	}
	return nil
}

func pack(n NewSubmission) (*packed, error) {
	p := &packed{NewSubmission: n}
	s := &n.Accepted.Submission
	envelope, err1 := toJSON(s.Envelope)
	letter, err2 := packLetter(s.Letter)
	finding, err3 := packFinding(s.Finding)
	var err4, err5 error
	p.finding, err4 = packRows(s.ID, s.Finding)
	p.evidence, err5 = seal(n.Evidence)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	var recipients []string
	for i, c := range n.Accepted.Consignments {
		recipients = append(recipients, c.Recipient)
		p.consignments = append(p.consignments, []any{
			c.ID, c.Submission, i, c.Recipient, c.Expires, n.Links[c.ID], StatePending, nil, "", 0, "",
		})
	}
	p.audience, p.material = audience(recipients), packMaterial(s.Finding.Used)
	p.row = []any{
		s.ID, s.Account, s.Sender, shown(s.SenderName, 1000), s.Time, s.Repeats, s.Letter.Ref.SHA256, s.Letter.Ref.Size,
		p.audience, envelope, letter, finding,
	}
	return p, nil
}

// audience is a digest of the set of recipients.
func audience(recipients []string) rem.Digest {
	set := make([]string, len(recipients))
	for i, r := range recipients {
		set[i] = rem.FoldAddress(r)
	}
	slices.Sort(set)
	h := sha256.New()
	for _, r := range slices.Compact(set) {
		fmt.Fprintf(h, "%d:%s", len(r), r)
	}
	return rem.Digest(h.Sum(nil))
}

func (p *packed) add(t *tx) error {
	_, err := t.insert(insertion{
		into: "submissions (id, account, sender, sender_name, time, repeats, sha256, size, audience, envelope, letter, finding)",
		rows: [][]any{p.row},
	})
	if err != nil {
		return err
	}
	if err := t.addRetryKey(p.RetryKey, &p.Accepted.Submission); err != nil {
		return err
	}
	if err := t.addFindingRows(p.finding); err != nil {
		return err
	}
	if err := t.addSigned(p); err != nil {
		return err
	}
	if err := t.addMaterial(p.Accepted.Submission.ID, p.material); err != nil {
		return err
	}
	_, err = t.insert(insertion{
		into: `consignments (id, submission, place, recipient, expires, link, state, received_by, received_email, received_at, grade)`,
		rows: p.consignments,
	})
	if err != nil {
		return err
	}
	if err := t.addEvidence(p.evidence); err != nil {
		return err
	}
	if err := t.addJobs(p.Jobs); err != nil {
		return err
	}
	return t.post(p.sentCopy(), "")
}

// sentCopy is the sender's copy, which he has read.
func (p *packed) sentCopy() []Delivery {
	if p.Sent == nil {
		return nil
	}
	s := &p.Accepted.Submission
	d := Delivery{Account: s.Account, Role: RoleSent, Mail: *p.Sent, Flags: []string{`\Seen`}, Internal: s.Time}
	d.Mail.ID, d.Mail.Submission = s.ID, s.ID
	return []Delivery{d}
}

// addRetryKey takes the key, which is free when nobody has it or its holder is
// older than RetryWindow.
func (t *tx) addRetryKey(key rem.Digest, s *rem.Submission) error {
	if key.IsZero() {
		return nil
	}
	n, err := t.exec(`INSERT INTO retry_keys (hash, submission, time) VALUES ($1, $2, $3)
		ON CONFLICT (hash) DO UPDATE SET submission = excluded.submission, time = excluded.time WHERE retry_keys.time < $4`,
		key, s.ID, s.Time, s.Time.Add(-RetryWindow))
	if err == nil && n == 0 {
		err = fmt.Errorf("retry: %w", ErrExists)
	}
	return err
}

// SubmissionByRetryKey finds the submission that a letter is a retry of:
// ErrNotFound.
func (db *DB) SubmissionByRetryKey(ctx context.Context, key rem.Digest, since time.Time) (string, error) {
	var id string
	err := db.read(ctx).get([]any{&id}, "SELECT submission FROM retry_keys WHERE hash = $1 AND time >= $2", key, since)
	if err != nil {
		return "", fmt.Errorf("retry key: %w", err)
	}
	return id, nil
}

// Submission answers a submission as it was added, whole: ErrNotFound.
func (db *DB) Submission(ctx context.Context, id string) (*rem.Submission, error) {
	s, err := db.read(ctx).submission(id)
	if err != nil {
		return nil, fmt.Errorf("submission %s: %w", id, err)
	}
	return s, nil
}

func (s *session) submission(id string) (*rem.Submission, error) {
	var (
		m       rem.Submission
		ref     rem.Ref
		letter  letterText
		finding findingText
	)
	err := s.get([]any{
		&m.ID, &m.Account, &m.Sender, &m.SenderName, instant{&m.Time}, &m.Repeats, octets{&ref.SHA256}, &ref.Size,
		document{&m.Envelope}, document{&letter}, document{&finding},
	}, `SELECT id, account, sender, sender_name, time, repeats, sha256, size, envelope, letter, finding
		FROM submissions WHERE id = $1`, id)
	if err != nil {
		return nil, err
	}
	m.Letter, m.Finding = letter.facts(ref), finding.finding()
	if err := s.loadFinding(id, &m.Finding); err != nil {
		return nil, err
	}
	return &m, nil
}

// SubmissionRow is one line of "Sent".
type SubmissionRow struct {
	ID, Sender, Subject, MessageID string
	Time                           time.Time
	Documents, Recipients          int            // the covering note is no document
	State                          map[string]int // State → number of recipients
}

// Submissions lists what an account has sent, newest first.
func (db *DB) Submissions(ctx context.Context, account string, p Page) ([]SubmissionRow, error) {
	s := db.read(ctx)
	before, id := p.bounds()
	var out []SubmissionRow
	err := s.each(func(scan func(...any) error) error {
		r := SubmissionRow{State: make(map[string]int)}
		var letter letterText
		if err := scan(&r.ID, &r.Sender, instant{&r.Time}, document{&letter}); err != nil {
			return err
		}
		r.Subject, r.MessageID = letter.Subject, letter.MessageID
		out = append(out, r)
		return nil
	}, `SELECT id, sender, time, letter
		FROM submissions WHERE account = $1 AND (time < $2 OR time = $2 AND id < $3)
		ORDER BY time DESC, id DESC LIMIT $4`, account, before, id, pageLimit(p.Limit))
	if err == nil {
		err = s.countStates(out)
	}
	if err == nil {
		err = s.countDocuments(out)
	}
	if err != nil {
		return nil, fmt.Errorf("submissions of %s: %w", account, err)
	}
	return out, nil
}

// countStates fills in how many recipients are in which state.
func (s *session) countStates(rows []SubmissionRow) error {
	if len(rows) == 0 {
		return nil
	}
	ids, at := make([]any, len(rows)), make(map[string]*SubmissionRow, len(rows))
	for i := range rows {
		ids[i], at[rows[i].ID] = rows[i].ID, &rows[i]
	}
	return s.each(func(scan func(...any) error) error {
		var id, state string
		var n int
		if err := scan(&id, &state, &n); err != nil {
			return err
		}
		at[id].State[state] = n
		at[id].Recipients += n
		return nil
	}, "SELECT submission, state, COUNT(*) FROM consignments WHERE submission IN ("+dollars(1, len(ids))+") GROUP BY submission, state", ids...)
}

// countDocuments fills in how many documents each letter has, its covering
// note apart.
func (s *session) countDocuments(rows []SubmissionRow) error {
	if len(rows) == 0 {
		return nil
	}
	ids, at := make([]any, len(rows)), make(map[string]*SubmissionRow, len(rows))
	for i := range rows {
		ids[i], at[rows[i].ID] = rows[i].ID, &rows[i]
	}
	return s.each(func(scan func(...any) error) error {
		var id string
		var d rem.Document
		if err := scan(&id, document{&d}); err != nil {
			return err
		}
		if !d.Note {
			at[id].Documents++
		}
		return nil
	}, "SELECT submission, body FROM documents WHERE submission IN ("+dollars(1, len(ids))+")", ids...)
}
