package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// EvidenceCmd reads evidence.
type EvidenceCmd struct {
	List EvidenceListCmd `cmd:"" help:"List evidence in the order of its making."`
	Show EvidenceShowCmd `cmd:"" help:"Show one evidence: its row, salt and record."`
}

// EvidenceListCmd lists evidence.
type EvidenceListCmd struct {
	Place
	JSON        bool   `help:"Print JSON." name:"json"`
	Submission  string `help:"Only of this submission and its consignments."`
	Consignment string `help:"Only of this consignment."`
	Event       string `help:"Only of this event."`
}

// evidenceEntry is one evidence as the list prints it.
type evidenceEntry struct {
	ID          string     `json:"id"`
	Event       rem.Event  `json:"event"`
	Time        time.Time  `json:"time"`
	Submission  string     `json:"submission"`
	Consignment string     `json:"consignment"`
	Sender      string     `json:"sender"`
	Recipient   string     `json:"recipient"`
	Grade       rem.Grade  `json:"grade"`
	Reason      string     `json:"reason"`
	LogIndex    *int64     `json:"log_index"` // null: not in a transparency log
	Digest      rem.Digest `json:"digest"`
	Erased      bool       `json:"erased,omitempty"`
}

// Run prints the list.
func (c *EvidenceListCmd) Run(ctx context.Context, s *Streams) int {
	_, db, err := c.open(ctx)
	if err != nil {
		return s.fail(err)
	}
	defer db.Close()
	list, err := c.entries(ctx, db)
	if err != nil {
		return s.fail(err)
	}
	if c.JSON {
		return s.json(list)
	}
	w := tabwriter.NewWriter(s.Out, 0, 4, 2, ' ', 0)
	for _, e := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s%s\n", e.Time.UTC().Format(time.RFC3339), e.Event, e.Submission,
			display(e.Sender), display(e.Recipient), display(string(e.Grade)), display(e.Reason))
	}
	if err := w.Flush(); err != nil {
		return s.fail(err)
	}
	return exitOK
}

func (c *EvidenceListCmd) entries(ctx context.Context, db *store.DB) ([]evidenceEntry, error) {
	list := []evidenceEntry{}
	f := store.EvidenceFilter{Submission: c.Submission, Consignment: c.Consignment, Event: c.Event, Limit: 500}
	for {
		rows, err := db.Evidence(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			e, err := evidenceOf(r)
			if err != nil {
				return nil, err
			}
			list = append(list, e)
			f.After = r.ID
		}
		if len(rows) < f.Limit {
			return list, nil
		}
	}
}

// evidenceOf reads a row; one whose record was erased keeps its bare facts.
func evidenceOf(r store.EvidenceRow) (evidenceEntry, error) {
	e := evidenceEntry{ID: r.ID, Event: r.Event, Time: r.Time, Digest: r.Digest, Erased: r.Record == nil}
	if e.Erased {
		return e, nil
	}
	var rec rem.Record
	if err := json.Unmarshal(r.Record, &rec); err != nil {
		return e, fmt.Errorf("evidence %s: %w", r.ID, err)
	}
	e.Submission, e.Consignment, e.Sender, e.Recipient = rec.Submission, rec.Consignment, rec.Sender, rec.Recipient
	e.Grade, e.Reason = rec.Grade, rec.Reason
	return e, nil
}

// EvidenceShowCmd shows what anyone needs to check one evidence by hand:
// SHA-256(salt ‖ record) is its digest.
type EvidenceShowCmd struct {
	Place
	JSON bool   `help:"Print JSON, as it does anyway." name:"json"`
	ID   string `arg:"" help:"Id of the evidence."`
}

// Run prints JSON; record is the exact canonical text, salt is base64.
func (c *EvidenceShowCmd) Run(ctx context.Context, s *Streams) int {
	_, db, err := c.open(ctx)
	if err != nil {
		return s.fail(err)
	}
	defer db.Close()
	rows, err := db.Evidence(ctx, store.EvidenceFilter{ID: c.ID})
	if err == nil && len(rows) != 1 {
		err = fmt.Errorf("evidence %s: %w", c.ID, store.ErrNotFound)
	}
	if err != nil {
		return s.fail(err)
	}
	r := rows[0]
	return s.json(map[string]any{
		"id": r.ID, "event": r.Event, "time": r.Time, "subject": r.Subject, "attempt": r.Attempt,
		"digest": r.Digest, "salt": r.Salt, "record": string(r.Record),
	})
}
