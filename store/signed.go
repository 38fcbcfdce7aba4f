package store

import (
	"context"
	"fmt"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// addSigned notes to which sets of recipients an account has sent which signed
// octets. The first two sets of an octet sequence are enough to find, for any
// set, an earlier submission to another one; so however often one signed file
// is sent out, neither the table nor a search grows with it. (Rivals on
// PostgreSQL may add a few more, which harms nothing.)
func (t *tx) addSigned(p *packed) error {
	s := &p.Accepted.Submission
	for _, digest := range s.Finding.SignedOctets() {
		_, err := t.exec(`INSERT INTO signed_octets (account, digest, audience, submission, time)
			SELECT CAST($1 AS TEXT), $2, $3, CAST($4 AS TEXT), $5
			WHERE (SELECT COUNT(*) FROM signed_octets WHERE account = $1 AND digest = $2) < 2
			ON CONFLICT DO NOTHING`, s.Account, digest, p.audience, s.ID, s.Time)
		if err != nil {
			return fmt.Errorf("add to signed_octets: %w", err)
		}
	}
	return nil
}

// SubmissionBySigned finds the account's earliest submission of one of these
// signed octets to another set of recipients than the given: ErrNotFound.
func (db *DB) SubmissionBySigned(ctx context.Context, account string, signed []rem.Digest, recipientsNotIn []string) (string, error) {
	args := []any{account, audience(recipientsNotIn)}
	for _, d := range signed {
		if !d.IsZero() {
			args = append(args, d)
		}
	}
	if len(args) == 2 {
		return "", fmt.Errorf("submission by signed octets: %w", ErrNotFound)
	}
	var id string
	err := db.read(ctx).get([]any{&id}, `SELECT submission FROM signed_octets
		WHERE account = $1 AND audience <> $2 AND digest IN (`+dollars(3, len(args)-2)+`) ORDER BY time, submission LIMIT 1`, args...)
	if err != nil {
		return "", fmt.Errorf("submission by signed octets: %w", err)
	}
	return id, nil
}
