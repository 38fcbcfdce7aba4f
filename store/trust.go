package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// Anchor is a trusted root.
type Anchor struct {
	SHA256        rem.Digest
	DER           []byte
	Kind, Subject string // Kind: "qualified", "unqualified", "foreign"
	Added         time.Time
}

// Intermediate is a certificate that helps to build paths and is trusted for
// nothing by itself.
type Intermediate struct {
	SHA256  rem.Digest
	DER     []byte
	Subject string
	Added   time.Time
}

// CRL is the newest revocation list of an issuer.
type CRL struct {
	SHA256                        rem.Digest
	DER                           []byte
	Issuer                        string // RFC 4514
	Number                        string
	ThisUpdate, NextUpdate, Added time.Time
}

// changeTrust runs a change of anchors, intermediates or lists and moves the
// trust version on when it changed a row.
func (db *DB) changeTrust(ctx context.Context, what string, change func(t *tx) (int, error)) error {
	err := db.write(ctx, func(t *tx) error {
		n, err := change(t)
		if err != nil || n == 0 {
			return err
		}
		_, err = t.exec("UPDATE counters SET value = value + 1 WHERE name = $1", "trust")
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// AddAnchor adds a trusted root or changes the kind of one that is there. The
// digest is taken of DER here.
func (db *DB) AddAnchor(ctx context.Context, a Anchor) error {
	return db.changeTrust(ctx, "add anchor", func(t *tx) (int, error) {
		if a.Added.IsZero() {
			a.Added = t.now
		}
		return t.insert(insertion{
			into: "anchors (sha256, der, kind, subject, added)",
			on:   "ON CONFLICT (sha256) DO UPDATE SET kind = excluded.kind WHERE anchors.kind <> excluded.kind",
			rows: [][]any{{rem.DigestOf(a.DER), a.DER, a.Kind, a.Subject, a.Added}},
		})
	})
}

// Anchors lists the trusted roots.
func (db *DB) Anchors(ctx context.Context) ([]Anchor, error) {
	row := func(a *Anchor) []any {
		return []any{octets{&a.SHA256}, &a.DER, &a.Kind, &a.Subject, instant{&a.Added}}
	}
	out, err := list(db.read(ctx), row, "SELECT sha256, der, kind, subject, added FROM anchors ORDER BY added, sha256")
	if err != nil {
		return nil, fmt.Errorf("anchors: %w", err)
	}
	return out, nil
}

// RemoveAnchor ends the trust in a root: ErrNotFound.
func (db *DB) RemoveAnchor(ctx context.Context, sha rem.Digest) error {
	return db.changeTrust(ctx, "remove anchor", func(t *tx) (int, error) {
		return 1, t.changeOne("DELETE FROM anchors WHERE sha256 = $1", sha)
	})
}

// AddIntermediate adds a certificate for path building; one that is there is
// left as it is.
func (db *DB) AddIntermediate(ctx context.Context, c Intermediate) error {
	return db.changeTrust(ctx, "add intermediate", func(t *tx) (int, error) {
		if c.Added.IsZero() {
			c.Added = t.now
		}
		return t.insert(insertion{
			into: "intermediates (sha256, der, subject, added)",
			on:   "ON CONFLICT DO NOTHING",
			rows: [][]any{{rem.DigestOf(c.DER), c.DER, c.Subject, c.Added}},
		})
	})
}

// Intermediates lists them.
func (db *DB) Intermediates(ctx context.Context) ([]Intermediate, error) {
	row := func(c *Intermediate) []any {
		return []any{octets{&c.SHA256}, &c.DER, &c.Subject, instant{&c.Added}}
	}
	out, err := list(db.read(ctx), row, "SELECT sha256, der, subject, added FROM intermediates ORDER BY added, sha256")
	if err != nil {
		return nil, fmt.Errorf("intermediates: %w", err)
	}
	return out, nil
}

// PutCRL keeps a list unless one of the same issuer is as new (ThisUpdate).
func (db *DB) PutCRL(ctx context.Context, c CRL) error {
	return db.changeTrust(ctx, "put CRL", func(t *tx) (int, error) {
		if c.Added.IsZero() {
			c.Added = t.now
		}
		return t.insert(insertion{
			into: "crls (issuer, sha256, der, number, this_update, next_update, added)",
			on: `ON CONFLICT (issuer) DO UPDATE SET sha256 = excluded.sha256, der = excluded.der, number = excluded.number,
				this_update = excluded.this_update, next_update = excluded.next_update, added = excluded.added
				WHERE crls.this_update < excluded.this_update`,
			rows: [][]any{{c.Issuer, rem.DigestOf(c.DER), c.DER, c.Number, c.ThisUpdate, c.NextUpdate, c.Added}},
		})
	})
}

// CRLs lists the newest list of each issuer.
func (db *DB) CRLs(ctx context.Context) ([]CRL, error) {
	row := func(c *CRL) []any {
		return []any{octets{&c.SHA256}, &c.DER, &c.Issuer, &c.Number, instant{&c.ThisUpdate}, instant{&c.NextUpdate}, instant{&c.Added}}
	}
	out, err := list(db.read(ctx), row, "SELECT sha256, der, issuer, number, this_update, next_update, added FROM crls ORDER BY issuer")
	if err != nil {
		return nil, fmt.Errorf("CRLs: %w", err)
	}
	return out, nil
}

// TrustVersion is a number that grows with every change of anchors,
// intermediates and lists.
func (db *DB) TrustVersion(ctx context.Context) (int64, error) {
	var v int64
	if err := db.read(ctx).get([]any{&v}, "SELECT value FROM counters WHERE name = $1", "trust"); err != nil {
		return 0, fmt.Errorf("trust version: %w", err)
	}
	return v, nil
}

// AuditRow is one act of an operator.
type AuditRow struct {
	ID                    string
	Time                  time.Time
	Actor, Action, Detail string
}

// Audit notes an act of an operator, insert-only.
func (db *DB) Audit(ctx context.Context, actor, action, detail string) error {
	var id [16]byte
	rand.Read(id[:])
	err := db.write(ctx, func(t *tx) error {
		_, err := t.insert(insertion{
			into: "audit (id, time, actor, action, detail)",
			rows: [][]any{{rem.IDText(id), t.now, actor, action, detail}},
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("audit %s: %w", action, err)
	}
	return nil
}

// AuditTrail lists operators' acts, newest first.
func (db *DB) AuditTrail(ctx context.Context, p Page) ([]AuditRow, error) {
	before, id := p.bounds()
	row := func(a *AuditRow) []any { return []any{&a.ID, instant{&a.Time}, &a.Actor, &a.Action, &a.Detail} }
	out, err := list(db.read(ctx), row, `SELECT id, time, actor, action, detail FROM audit
		WHERE time < $1 OR time = $1 AND id < $2 ORDER BY time DESC, id DESC LIMIT $3`, before, id, pageLimit(p.Limit))
	if err != nil {
		return nil, fmt.Errorf("audit trail: %w", err)
	}
	return out, nil
}
