package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"cryptogramm.ru/cryptogramm/gateway/document"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// Role is how a viewer stands to a letter.
type Role string

// The two roles that may see a consignment.
const (
	RoleSender    Role = "sender"
	RoleRecipient Role = "recipient"
)

// View is what one viewer may see of one consignment. For a recipient the
// submission's envelope, To and Cc are blank: he sees himself and the sender.
type View struct {
	Role        Role
	Consignment store.ConsignmentRow
	Submission  *rem.Submission
	Evidence    []store.EvidenceRow
}

// SubmissionView is the sender's view of a letter with every recipient.
type SubmissionView struct {
	Submission   *rem.Submission
	Consignments []store.ConsignmentRow
	Evidence     []store.EvidenceRow
}

// Download is a file handed out. The reader's last read fails when the bytes
// are not those that were recorded.
type Download struct {
	Name string // display name, outside text
	Size int64  // octets; -1 when not known before reading
	io.ReadCloser
}

// View shows a consignment to its recipient, once he has received it, or to
// its sender. Everything else, absent or another's, is ErrNotFound.
func (g *Gateway) View(ctx context.Context, user *store.User, consignment string) (*View, error) {
	c, err := g.DB.Consignment(ctx, consignment)
	if err != nil {
		return nil, notFound(err)
	}
	s, err := g.DB.Submission(ctx, c.Submission)
	if err != nil {
		return nil, notFound(err)
	}
	v := &View{Consignment: *c, Submission: s}
	switch {
	case user == nil:
		return nil, ErrNotFound
	case s.Account == user.ID:
		v.Role = RoleSender
	case c.ReceivedBy == user.ID:
		v.Role = RoleRecipient
		blank(s)
	default:
		return nil, ErrNotFound
	}
	if v.Evidence, err = g.evidence(ctx, store.EvidenceFilter{Consignment: c.ID}); err != nil {
		return nil, err
	}
	again, err := g.rechecks(ctx, s.ID)
	v.Evidence = append(again, v.Evidence...)
	return v, err
}

// rechecks are what became known of a submission's signatures after it was
// accepted. They name no recipient and are for every one of them.
func (g *Gateway) rechecks(ctx context.Context, submission string) ([]store.EvidenceRow, error) {
	return g.evidence(ctx, store.EvidenceFilter{Consignment: submission, Event: string(rem.SignatureRecheck)})
}

// blank removes what only the sender may see; the names of the letter's header
// fields are among it, since they tell whether there was a Cc or Bcc.
func blank(s *rem.Submission) {
	s.Envelope = rem.Envelope{}
	s.Letter.To = nil
	s.Repeats = ""
	s.Finding.Unsigned = slices.DeleteFunc(s.Finding.Unsigned, func(what string) bool {
		return strings.HasPrefix(what, "header field ")
	})
}

// ViewSubmission shows a letter to its sender.
func (g *Gateway) ViewSubmission(ctx context.Context, user *store.User, submission string) (*SubmissionView, error) {
	s, err := g.DB.Submission(ctx, submission)
	if err != nil {
		return nil, notFound(err)
	}
	if user == nil || s.Account != user.ID {
		return nil, ErrNotFound
	}
	v := &SubmissionView{Submission: s}
	if v.Consignments, err = g.DB.Consignments(ctx, s.ID); err != nil {
		return nil, err
	}
	v.Evidence, err = g.evidence(ctx, store.EvidenceFilter{Submission: s.ID})
	return v, err
}

// evidence reads all rows of a filter. One submission has at most 100
// recipients, so this is bounded.
func (g *Gateway) evidence(ctx context.Context, f store.EvidenceFilter) ([]store.EvidenceRow, error) {
	f.Limit = 1000
	var all []store.EvidenceRow
	for {
		rows, err := g.DB.Evidence(ctx, f)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
		if len(rows) < f.Limit {
			return all, nil
		}
		f.After = rows[len(rows)-1].ID
	}
}

// Report makes the report of S4.13. id is a submission (the sender sees all
// recipients) or a consignment (a recipient sees himself and the sender).
func (g *Gateway) Report(ctx context.Context, user *store.User, id string) (*document.Report, error) {
	v, err := g.ViewSubmission(ctx, user, id)
	if err == nil {
		return g.report(ctx, v.Submission, v.Consignments, document.Viewer{Sender: true})
	}
	if !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	c, err := g.View(ctx, user, id)
	if err != nil {
		return nil, err
	}
	viewer := document.Viewer{Sender: c.Role == RoleSender, Recipient: c.Consignment.Recipient}
	return g.report(ctx, c.Submission, []store.ConsignmentRow{c.Consignment}, viewer)
}

func (g *Gateway) report(ctx context.Context, s *rem.Submission, rows []store.ConsignmentRow, v document.Viewer) (*document.Report, error) {
	v.At, v.Gateway = g.Now(), g.Domain
	again, err := g.rechecks(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	list := make([]document.ReportRow, 0, len(rows))
	for _, c := range rows {
		evidence, err := g.evidence(ctx, store.EvidenceFilter{Consignment: c.ID})
		if err != nil {
			return nil, err
		}
		row := document.ReportRow{Consignment: c.Consignment}
		for _, e := range append(again[:len(again):len(again)], evidence...) {
			event, err := reportEvent(e)
			if err != nil {
				return nil, err
			}
			row.Events = append(row.Events, event)
		}
		list = append(list, row)
	}
	r := document.NewReport(s, list, v)
	return &r, nil
}

// reportEvent reads an evidence row; one whose record was erased shows its
// event and time only.
func reportEvent(e store.EvidenceRow) (document.ReportEvent, error) {
	ev := rem.Evidence{ID: e.ID, Event: e.Event, Time: e.Time}
	if e.Record == nil {
		return document.EventOf(ev), nil
	}
	if err := json.Unmarshal(e.Record, &ev.Record); err != nil {
		return document.ReportEvent{}, fmt.Errorf("evidence %s: %w", e.ID, err)
	}
	out := document.EventOf(ev)
	out.Protocol = ev.Record.Protocol
	if e.Event == rem.ConsignmentAcceptance || e.Event == rem.ContentHandover {
		out.By = ev.Record.Recipient
	}
	if e.Event == rem.RecipientVerification && len(ev.Record.Signatures) == 1 {
		s := ev.Record.Signatures[0]
		out.Certificate = &document.Certificate{Subject: s.Signer, Issuer: s.Issuer, Serial: s.Serial, SHA256: s.CertificateSHA256}
	}
	return out, nil
}
