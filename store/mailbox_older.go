package store

import (
	"context"
	"fmt"
)

// WithoutCopies lists, the oldest first, submissions after the given id that
// lack their Sent copy, or a Received copy of somebody who has received them:
// they were recorded before accounts had mailboxes.
func (db *DB) WithoutCopies(ctx context.Context, after string, limit int) ([]string, error) {
	out, err := list(db.read(ctx), func(id *string) []any { return []any{id} }, `SELECT s.id FROM submissions s WHERE s.id > $1
		AND (NOT EXISTS (SELECT 1 FROM mails l WHERE l.id = s.id)
			OR EXISTS (SELECT 1 FROM consignments c WHERE c.submission = s.id AND c.received_by IS NOT NULL
				AND NOT EXISTS (SELECT 1 FROM mails l WHERE l.id = c.id)))
		ORDER BY s.id LIMIT $2`, after, pageLimit(limit))
	if err != nil {
		return nil, fmt.Errorf("submissions without copies: %w", err)
	}
	return out, nil
}

// AddCopy delivers the Sent or a Received copy of a submission afterwards, as it
// would have been delivered with it. One that is there changes nothing.
func (db *DB) AddCopy(ctx context.Context, d Delivery) error {
	err := db.write(ctx, func(t *tx) error { return t.post([]Delivery{d}, d.Mail.Submission) })
	if err != nil {
		return fmt.Errorf("copy of %s: %w", d.Mail.Submission, err)
	}
	return nil
}
