package store

import (
	"context"
	"fmt"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// materialRows is what a finding rests on, as rows made before the transaction
// begins.
type materialRows struct {
	list    []rem.Material
	digests []rem.Digest
}

func packMaterial(list []rem.Material) materialRows {
	rows := materialRows{list: list}
	for _, m := range list {
		rows.digests = append(rows.digests, rem.DigestOf(m.DER))
	}
	return rows
}

// addMaterial keeps what a finding on a submission rests on. One list serves
// many letters and may be large: it goes to the database once.
func (t *tx) addMaterial(submission string, rows materialRows) error {
	if len(rows.list) == 0 {
		return nil
	}
	args, uses := make([]any, len(rows.digests)), make([][]any, len(rows.digests))
	for i, d := range rows.digests {
		args[i], uses[i] = d, []any{submission, d}
	}
	have := make(map[rem.Digest]bool, len(rows.digests))
	err := t.each(func(scan func(...any) error) error {
		var d rem.Digest
		err := scan(octets{&d})
		have[d] = true
		return err
	}, "SELECT sha256 FROM revocation_objects WHERE sha256 IN ("+dollars(1, len(args))+")", args...)
	if err != nil {
		return err
	}
	var objects [][]any
	for i, m := range rows.list {
		if !have[rows.digests[i]] {
			objects = append(objects, []any{rows.digests[i], string(m.Kind), m.Source, m.DER, len(m.DER), m.Expires, t.now})
		}
	}
	_, err = t.insert(insertion{
		into: "revocation_objects (sha256, kind, source, der, size, expires, first_seen)", on: "ON CONFLICT DO NOTHING", rows: objects,
	})
	if err != nil {
		return err
	}
	_, err = t.insert(insertion{into: "submission_revocation (submission, sha256)", on: "ON CONFLICT DO NOTHING", rows: uses})
	return err
}

const materialColumns = "SELECT o.kind, o.source, o.der, o.expires FROM revocation_objects o"

func materialRow(m *rem.Material) []any {
	return []any{&m.Kind, &m.Source, &m.DER, instant{&m.Expires}}
}

// Material answers what the findings on a submission rest on, oldest first.
func (db *DB) Material(ctx context.Context, submission string) ([]rem.Material, error) {
	out, err := list(db.read(ctx), materialRow, materialColumns+` JOIN submission_revocation u ON u.sha256 = o.sha256
		WHERE u.submission = $1 ORDER BY o.first_seen, o.sha256`, submission)
	if err != nil {
		return nil, fmt.Errorf("material of %s: %w", submission, err)
	}
	return out, nil
}

// CurrentMaterial answers what was fetched and still counts, what counts longest
// first, and no more than so many octets.
func (db *DB) CurrentMaterial(ctx context.Context, room int64) ([]rem.Material, error) {
	s := db.read(ctx)
	var digests []any
	err := s.each(func(scan func(...any) error) error {
		var d rem.Digest
		var size int64
		if err := scan(octets{&d}, &size); err != nil {
			return err
		}
		if room -= size; room >= 0 {
			digests = append(digests, d)
		}
		return nil
	}, "SELECT sha256, size FROM revocation_objects WHERE expires > $1 AND source <> '' ORDER BY expires DESC LIMIT $2", db.now(), maxLimit)
	if err != nil || len(digests) == 0 {
		return nil, err
	}
	out, err := list(s, materialRow, materialColumns+" WHERE o.sha256 IN ("+dollars(1, len(digests))+") ORDER BY o.first_seen, o.sha256", digests...)
	if err != nil {
		return nil, fmt.Errorf("current material: %w", err)
	}
	return out, nil
}

// SubmissionsBySignature finds the submissions that a signature came with, by
// the digest of its octets. It reads every signature: for an operator's
// questions, not for a letter's way.
func (db *DB) SubmissionsBySignature(ctx context.Context, signature rem.Digest) ([]string, error) {
	out, err := list(db.read(ctx), func(id *string) []any { return []any{id} },
		"SELECT DISTINCT submission FROM signatures WHERE sha256 = $1 ORDER BY submission LIMIT $2", signature, maxLimit)
	if err != nil {
		return nil, fmt.Errorf("submissions with signature %s: %w", signature, err)
	}
	return out, nil
}
