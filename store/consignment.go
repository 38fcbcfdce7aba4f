package store

import (
	"context"
	"fmt"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// State is how far a consignment has come.
type State string

// States of a consignment. It changes only together with the evidence of it.
const (
	StatePending  State = "pending"
	StateNotified State = "notified"
	StateFailed   State = "failed"
	StateReceived State = "received"
	StateVerified State = "verified"
	StateExpired  State = "expired"
)

// ConsignmentRow is a consignment with its state and what its lists show.
type ConsignmentRow struct {
	rem.Consignment
	Sender, SenderName, Subject string
	Time                        time.Time // of the submission
	State                       State
	ReceivedBy                  string // user id; "" until the handover
	ReceivedAt                  time.Time
	Grade                       rem.Grade
	LinkHash                    rem.Digest
}

const consignmentColumns = `SELECT c.id, c.submission, c.recipient, c.expires, s.sender, s.sender_name, s.letter, s.time,
	c.state, COALESCE(c.received_by, ''), c.received_at, c.grade, c.link
	FROM consignments c JOIN submissions s ON s.id = c.submission `

func (s *session) consignments(where string, args ...any) ([]ConsignmentRow, error) {
	var out []ConsignmentRow
	err := s.each(func(scan func(...any) error) error {
		var r ConsignmentRow
		var letter letterText
		err := scan(&r.ID, &r.Submission, &r.Recipient, instant{&r.Expires}, &r.Sender, &r.SenderName, document{&letter}, instant{&r.Time},
			&r.State, &r.ReceivedBy, instant{&r.ReceivedAt}, &r.Grade, octets{&r.LinkHash})
		r.Subject = letter.Subject
		out = append(out, r)
		return err
	}, consignmentColumns+where, args...)
	return out, err
}

func (s *session) consignment(where string, arg any) (*ConsignmentRow, error) {
	rows, err := s.consignments(where, arg)
	if err == nil && len(rows) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("consignment: %w", err)
	}
	return &rows[0], nil
}

// Consignment finds one by id: ErrNotFound.
func (db *DB) Consignment(ctx context.Context, id string) (*ConsignmentRow, error) {
	return db.read(ctx).consignment("WHERE c.id = $1", id)
}

// ConsignmentByLink finds one by the digest of its link's token: ErrNotFound.
func (db *DB) ConsignmentByLink(ctx context.Context, hash rem.Digest) (*ConsignmentRow, error) {
	return db.read(ctx).consignment("WHERE c.link = $1", hash)
}

// Consignments lists a submission's, in the order of its recipients.
func (db *DB) Consignments(ctx context.Context, submission string) ([]ConsignmentRow, error) {
	out, err := db.read(ctx).consignments("WHERE c.submission = $1 ORDER BY c.place", submission)
	if err != nil {
		return nil, fmt.Errorf("consignments of %s: %w", submission, err)
	}
	return out, nil
}

// Received lists what a user has received, the newest handover first; Page
// speaks of ReceivedAt.
func (db *DB) Received(ctx context.Context, user string, p Page) ([]ConsignmentRow, error) {
	before, id := p.bounds()
	out, err := db.read(ctx).consignments(`WHERE c.received_by = $1 AND (c.received_at < $2 OR c.received_at = $2 AND c.id < $3)
		ORDER BY c.received_at DESC, c.id DESC LIMIT $4`, user, before, id, pageLimit(p.Limit))
	if err != nil {
		return nil, fmt.Errorf("received by %s: %w", user, err)
	}
	return out, nil
}
