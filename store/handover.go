package store

import (
	"context"
	"fmt"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// Handover is a person's act of receiving.
type Handover struct {
	Consignment, User, Email string
	Grade                    rem.Grade
	Time                     time.Time
	Evidence                 []rem.Evidence // ConsignmentAcceptance and ContentHandover
	Jobs                     []Job          // that follow it
	Received                 *Mail          // the recipient's copy; nil: none
}

// AddHandover records that a consignment was received, at the time and grade
// that the evidence of the handover attests. Of any number of calls,
// parallel or later, the first counts; the others answer false and change
// nothing. ErrNotFound: no such consignment or user. ErrExpired: it expired
// before.
func (db *DB) AddHandover(ctx context.Context, h Handover) (first bool, err error) {
	ev, err := seal(h.Evidence)
	if err == nil {
		err = db.write(ctx, func(t *tx) (err error) {
			first, err = t.handover(h, ev)
			return err
		})
	}
	if err != nil {
		return false, fmt.Errorf("hand over %s: %w", h.Consignment, err)
	}
	return first, nil
}

func (t *tx) handover(h Handover, ev []sealed) (bool, error) {
	for _, e := range ev {
		if e.Event == rem.ContentHandover && e.Subject == h.Consignment {
			h.Time, h.Grade = e.Time, e.Record.Grade
		}
	}
	n, err := t.exec(`UPDATE consignments SET state = $2, received_by = $3, received_email = $4, received_at = $5, grade = $6
		WHERE id = $1 AND received_at = 0 AND state <> $7`,
		h.Consignment, StateReceived, h.User, h.Email, h.Time, h.Grade, StateExpired)
	if err != nil {
		return false, err
	}
	if n == 1 {
		if err := t.addEvidence(ev); err != nil {
			return false, err
		}
		if err := t.addJobs(h.Jobs); err != nil {
			return false, err
		}
		return true, t.postHandover(h)
	}
	var state State
	if err := t.get([]any{&state}, "SELECT state FROM consignments WHERE id = $1", h.Consignment); err != nil {
		return false, err
	}
	if state == StateExpired {
		return false, ErrExpired
	}
	return false, nil
}

// postHandover delivers the recipient's copy and lets the sender's know.
func (t *tx) postHandover(h Handover) error {
	submission, err := t.submissionOf(h.Consignment)
	if err != nil {
		return err
	}
	var copies []Delivery
	if h.Received != nil {
		d := Delivery{Account: h.User, Role: RoleReceived, Mail: *h.Received, Internal: h.Time}
		d.Mail.ID, d.Mail.Submission = h.Consignment, submission
		copies = append(copies, d)
	}
	return t.post(copies, submission)
}

func (s *session) submissionOf(consignment string) (submission string, err error) {
	err = s.get([]any{&submission}, "SELECT submission FROM consignments WHERE id = $1", consignment)
	return submission, err
}

// Machine fetches of one consignment are noted up to maxFetches, the agent's
// name up to maxAgent octets.
const (
	maxFetches = 100
	maxAgent   = 200
)

// AddMachineFetch notes that something looked at a link without a person's
// act. It is no receipt, changes no state and is capped per consignment.
func (db *DB) AddMachineFetch(ctx context.Context, consignment, method, agent string) error {
	err := db.write(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO machine_fetches (consignment, place, time, method, agent)
			SELECT CAST($1 AS TEXT), COUNT(*), CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS TEXT)
			FROM machine_fetches WHERE consignment = $1 HAVING COUNT(*) < $5 ON CONFLICT DO NOTHING`,
			consignment, t.now, shown(method, maxAgent), shown(agent, maxAgent), maxFetches)
		return err
	})
	if err != nil {
		return fmt.Errorf("note machine fetch of %s: %w", consignment, err)
	}
	return nil
}

// MachineFetches answers how many were noted of a consignment.
func (db *DB) MachineFetches(ctx context.Context, consignment string) (int, error) {
	var n int
	err := db.read(ctx).get([]any{&n}, "SELECT COUNT(*) FROM machine_fetches WHERE consignment = $1", consignment)
	if err != nil {
		return 0, fmt.Errorf("machine fetches of %s: %w", consignment, err)
	}
	return n, nil
}
