package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// Protocol is a protocol of verification: the draft's exact bytes, and once
// signed the recipient's signature over them.
type Protocol struct {
	ID, User, Consignment string
	Certificate           rem.Digest // the one chosen; zero for a preview
	Body                  []byte     // canonical JSON: what gets signed
	HTML                  []byte
	Created, Expires      time.Time
	Signature             []byte // CMS; nil while a draft
	SignedAt              time.Time
}

const protocolColumns = `SELECT id, account, consignment, certificate, body, html, created, expires, signature, signed_at FROM protocols `

func protocolRow(p *Protocol) []any {
	return []any{&p.ID, &p.User, &p.Consignment, octets{&p.Certificate}, &p.Body, &p.HTML,
		instant{&p.Created}, instant{&p.Expires}, &p.Signature, instant{&p.SignedAt}}
}

// AddProtocol stores a draft and drops the user's expired drafts on the same
// consignment: ErrExists, ErrNotFound (user, consignment).
func (db *DB) AddProtocol(ctx context.Context, p Protocol) error {
	err := db.write(ctx, func(t *tx) error {
		if p.Created.IsZero() {
			p.Created = t.now
		}
		_, err := t.exec("DELETE FROM protocols WHERE consignment = $1 AND account = $2 AND signature IS NULL AND expires < $3",
			p.Consignment, p.User, t.now)
		if err != nil {
			return err
		}
		_, err = t.insert(insertion{
			into: "protocols (id, account, consignment, certificate, body, html, created, expires, signature, signed_with, signed_at)",
			rows: [][]any{{p.ID, p.User, p.Consignment, p.Certificate, p.Body, p.HTML, p.Created, p.Expires, nil, nil, 0}},
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("add protocol %s: %w", p.ID, err)
	}
	return nil
}

// Protocol finds one by id: ErrNotFound.
func (db *DB) Protocol(ctx context.Context, id string) (*Protocol, error) {
	var p Protocol
	if err := db.read(ctx).get(protocolRow(&p), protocolColumns+"WHERE id = $1", id); err != nil {
		return nil, fmt.Errorf("protocol %s: %w", id, err)
	}
	return &p, nil
}

// Protocols lists a user's protocols on a consignment, oldest first.
func (db *DB) Protocols(ctx context.Context, user, consignment string) ([]Protocol, error) {
	out, err := list(db.read(ctx), protocolRow,
		protocolColumns+"WHERE account = $1 AND consignment = $2 ORDER BY created, id", user, consignment)
	if err != nil {
		return nil, fmt.Errorf("protocols on %s: %w", consignment, err)
	}
	return out, nil
}

// Signing is a recipient's signature over a protocol.
type Signing struct {
	Protocol        // ID, User, and what is new: Signature, SignedAt
	Signer   []byte // DER certificate that the signature was made with
	Evidence []rem.Evidence
	Jobs     []Job // that follow it
}

// SignProtocol records s.Signature, made at s.SignedAt with the certificate
// s.Signer, on the draft s.ID of s.User, and brings the consignment to verified.
// Of any number of calls the first counts, and so it does when the same
// evidence stands already by another protocol; the others answer false and
// change nothing. ErrNotFound: no such draft, or its consignment was never
// received.
func (db *DB) SignProtocol(ctx context.Context, s Signing) (first bool, err error) {
	ev, err := seal(s.Evidence)
	if err == nil {
		err = db.write(ctx, func(t *tx) error { return t.signProtocol(s, ev) })
	}
	switch {
	case errors.Is(err, ErrExists):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("sign protocol %s: %w", s.ID, err)
	}
	return true, nil
}

// signProtocol answers ErrExists, with everything undone, unless it is first.
func (t *tx) signProtocol(s Signing, ev []sealed) error {
	if err := t.addCertificates(s.Signer); err != nil {
		return err
	}
	var consignment string
	err := t.get([]any{&consignment}, `UPDATE protocols SET signature = $3, signed_with = $4, signed_at = $5
		WHERE id = $1 AND account = $2 AND signature IS NULL RETURNING consignment`,
		s.ID, s.User, s.Signature, rem.DigestOf(s.Signer), s.SignedAt)
	if errors.Is(err, ErrNotFound) {
		var n int
		err = t.get([]any{&n}, "SELECT 1 FROM protocols WHERE id = $1 AND account = $2", s.ID, s.User)
		if err == nil {
			err = ErrExists
		}
	}
	if err != nil {
		return err
	}
	err = t.changeOne("UPDATE consignments SET state = $2 WHERE id = $1 AND state IN ($2, $3)",
		consignment, StateVerified, StateReceived)
	if err != nil {
		return err
	}
	if err := t.addEvidence(ev); err != nil {
		return err
	}
	if err := t.addJobs(s.Jobs); err != nil {
		return err
	}
	submission, err := t.submissionOf(consignment)
	if err != nil {
		return err
	}
	return t.post(nil, submission)
}
