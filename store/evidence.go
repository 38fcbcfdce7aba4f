package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// EvidenceRow is one stored evidence: the insert-only row, and beside it salt
// and record unless they have been erased.
type EvidenceRow struct {
	ID           string
	Event        rem.Event
	Time         time.Time
	Subject      string
	Attempt      int
	Digest       rem.Digest // SHA-256(Salt ‖ Record)
	Salt, Record []byte     // Record: RFC 8785 JSON of a rem.Record; both nil once erased
}

// EvidenceFilter selects evidence; empty fields select all.
type EvidenceFilter struct {
	ID          string // this one alone
	Submission  string // of a submission (or refusal) and of its consignments
	Consignment string // of this consignment alone
	Event       string
	After       string // id of the last row of the page before
	Limit       int    // 0: 100, at most 1,000
}

const saltSize = 16

// sealed is an evidence ready to be stored.
type sealed struct {
	rem.Evidence
	salt   []byte
	record string
	digest rem.Digest
}

// seal does the costly part before the transaction begins. It refuses an
// evidence whose id is not the one its event and subject call for.
func seal(list []rem.Evidence) ([]sealed, error) {
	out := make([]sealed, len(list))
	for i, e := range list {
		if e.ID != rem.ExpectedID(e.Event, e.Subject, e.Attempt) || e.Record.ID != e.ID {
			return nil, fmt.Errorf("evidence %s of %s: id does not belong to it", e.Event, e.Subject)
		}
		record, err := rem.Canonical(e.Record)
		if err != nil {
			return nil, fmt.Errorf("evidence %s of %s: %w", e.Event, e.Subject, err)
		}
		salt := make([]byte, saltSize)
		rand.Read(salt)
		out[i] = sealed{e, salt, string(record), recordDigest(salt, record)}
	}
	return out, nil
}

func recordDigest(salt, record []byte) rem.Digest {
	h := sha256.New()
	h.Write(salt)
	h.Write(record)
	return rem.Digest(h.Sum(nil))
}

// addEvidence inserts evidence with its records: ErrExists when one of them
// stands already.
func (t *tx) addEvidence(list []sealed) error {
	rows, records := make([][]any, len(list)), make([][]any, len(list))
	for i, e := range list {
		rows[i] = []any{e.ID, e.Event, e.Time, e.Subject, e.Attempt, e.digest}
		records[i] = []any{e.ID, e.salt, e.record}
	}
	if _, err := t.insert(insertion{into: "evidence (id, event, time, subject, attempt, digest)", rows: rows}); err != nil {
		return err
	}
	_, err := t.insert(insertion{into: "evidence_record (id, salt, record)", rows: records})
	return err
}

// addNewEvidence leaves out what is attested already.
func (t *tx) addNewEvidence(list []sealed) error {
	for _, e := range list {
		have, err := t.attested(e.Subject, e.Event, e.Attempt)
		if err != nil {
			return err
		}
		if have {
			continue
		}
		if err := t.addEvidence([]sealed{e}); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) attested(subject string, event rem.Event, attempt int) (bool, error) {
	var n int
	err := s.get([]any{&n}, "SELECT COUNT(*) FROM evidence WHERE subject = $1 AND event = $2 AND attempt = $3", subject, event, attempt)
	return n > 0, err
}

const evidenceColumns = `SELECT e.id, e.event, e.time, e.subject, e.attempt, e.digest, r.salt, r.record
	FROM evidence e LEFT JOIN evidence_record r ON r.id = e.id`

func evidenceRow(e *EvidenceRow) []any {
	return []any{&e.ID, &e.Event, instant{&e.Time}, &e.Subject, &e.Attempt, octets{&e.Digest}, &e.Salt, &e.Record}
}

// Evidence lists evidence in order of time.
func (db *DB) Evidence(ctx context.Context, f EvidenceFilter) ([]EvidenceRow, error) {
	s := db.read(ctx)
	var where []string
	var args []any
	add := func(condition string, arg any) {
		args = append(args, arg)
		where = append(where, strings.ReplaceAll(condition, "$n", fmt.Sprintf("$%d", len(args))))
	}
	if f.ID != "" {
		add("e.id = $n", f.ID)
	}
	if f.Submission != "" {
		add("(e.subject = $n OR e.subject IN (SELECT id FROM consignments WHERE submission = $n))", f.Submission)
	}
	if f.Consignment != "" {
		add("e.subject = $n", f.Consignment)
	}
	if f.Event != "" {
		add("e.event = $n", f.Event)
	}
	if f.After != "" {
		var last time.Time
		if err := s.get([]any{instant{&last}}, "SELECT time FROM evidence WHERE id = $1", f.After); err != nil {
			return nil, fmt.Errorf("evidence after %s: %w", f.After, err)
		}
		add("e.time >= $n", last)
		add(fmt.Sprintf("(e.time > $%d OR e.id > $n)", len(args)), f.After)
	}
	text := evidenceColumns
	if len(where) > 0 {
		text += " WHERE " + strings.Join(where, " AND ")
	}
	if f.ID == "" { // SQLite compiles a statement anew whenever the parameter of a LIMIT is bound
		args = append(args, pageLimit(f.Limit))
		text += fmt.Sprintf(" ORDER BY e.time, e.id LIMIT $%d", len(args))
	}
	out, err := list(s, evidenceRow, text, args...)
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	return out, nil
}
