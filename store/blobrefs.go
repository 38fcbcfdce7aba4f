package store

import (
	"context"
	"errors"
	"fmt"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// BlobRefs calls f for every blob that the database needs, each once, in the
// order of digests. f may use the database.
func (db *DB) BlobRefs(ctx context.Context, f func(ref rem.Ref) error) error {
	s := db.read(ctx)
	row := func(r *rem.Ref) []any { return []any{octets{&r.SHA256}, &r.Size} }
	last := make([]byte, 0, len(rem.Digest{}))
	for {
		refs, err := list(s, row, `SELECT sha256, size FROM (
				SELECT sha256, size FROM (SELECT DISTINCT sha256, size FROM submissions WHERE sha256 > $1 ORDER BY sha256 LIMIT $2) letters
				UNION SELECT sha256, blob_size FROM (SELECT DISTINCT sha256, blob_size FROM mails
					WHERE home = '' AND sha256 > $1 ORDER BY sha256 LIMIT $2) mails
			) needed ORDER BY sha256 LIMIT $2`, last, maxLimit)
		if err != nil {
			return fmt.Errorf("blob references: %w", err)
		}
		for _, r := range refs {
			if err := f(r); err != nil {
				return err
			}
		}
		if len(refs) < maxLimit {
			return nil
		}
		last = refs[len(refs)-1].SHA256[:]
	}
}

// BlobReferenced reports whether the database needs a blob.
func (db *DB) BlobReferenced(ctx context.Context, ref rem.Ref) (bool, error) {
	var n int
	err := db.read(ctx).get([]any{&n}, `SELECT 1 WHERE EXISTS (SELECT 1 FROM submissions WHERE sha256 = $1)
		OR EXISTS (SELECT 1 FROM mails WHERE home = '' AND sha256 = $1)`, ref.SHA256)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("blob reference: %w", err)
	}
	return true, nil
}
