package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// Refusal is a letter that was not accepted. Of its finding the parts that
// `verify --json` shows are kept. Its bytes lie in the spool, never among the
// blobs, until they are dropped; their digest stays.
type Refusal struct {
	ID, Account, Sender, Reason, Text string
	Time                              time.Time
	Wire                              rem.Ref
	Finding                           rem.Finding
	Spool                             string // the spool file; "" once dropped
}

// AddRefusal records a refusal with its evidence: ErrExists when the id is taken.
func (db *DB) AddRefusal(ctx context.Context, r Refusal, ev rem.Evidence, jobs []Job) error {
	sealedEvidence, err1 := seal([]rem.Evidence{ev})
	finding, err2 := toJSON(r.Finding)
	err := errors.Join(err1, err2)
	if err == nil {
		err = db.write(ctx, func(t *tx) error {
			_, err := t.insert(insertion{
				into: "refusals (id, account, sender, reason, words, time, sha256, size, finding, spool)",
				rows: [][]any{{r.ID, r.Account, r.Sender, r.Reason, r.Text, r.Time, r.Wire.SHA256, r.Wire.Size, finding, r.Spool}},
			})
			if err != nil {
				return err
			}
			if err := t.addEvidence(sealedEvidence); err != nil {
				return err
			}
			return t.addJobs(jobs)
		})
	}
	if err != nil {
		return fmt.Errorf("add refusal %s: %w", r.ID, err)
	}
	return nil
}

const refusalColumns = "SELECT id, account, sender, reason, words, time, sha256, size, finding, spool FROM refusals "

func refusalRow(r *Refusal) []any {
	return []any{&r.ID, &r.Account, &r.Sender, &r.Reason, &r.Text, instant{&r.Time},
		octets{&r.Wire.SHA256}, &r.Wire.Size, document{&r.Finding}, &r.Spool}
}

// Refusal finds one by id: ErrNotFound.
func (db *DB) Refusal(ctx context.Context, id string) (*Refusal, error) {
	var r Refusal
	if err := db.read(ctx).get(refusalRow(&r), refusalColumns+"WHERE id = $1", id); err != nil {
		return nil, fmt.Errorf("refusal %s: %w", id, err)
	}
	return &r, nil
}

// Refusals lists an account's refused letters, newest first.
func (db *DB) Refusals(ctx context.Context, account string, p Page) ([]Refusal, error) {
	before, id := p.bounds()
	out, err := list(db.read(ctx), refusalRow, refusalColumns+`WHERE account = $1 AND (time < $2 OR time = $2 AND id < $3)
		ORDER BY time DESC, id DESC LIMIT $4`, account, before, id, pageLimit(p.Limit))
	if err != nil {
		return nil, fmt.Errorf("refusals of %s: %w", account, err)
	}
	return out, nil
}

// DropRefusedBytes notes that a refused letter's bytes are gone: ErrNotFound.
func (db *DB) DropRefusedBytes(ctx context.Context, id string) error {
	err := db.write(ctx, func(t *tx) error {
		return t.changeOne("UPDATE refusals SET spool = '' WHERE id = $1", id)
	})
	if err != nil {
		return fmt.Errorf("drop bytes of refusal %s: %w", id, err)
	}
	return nil
}
