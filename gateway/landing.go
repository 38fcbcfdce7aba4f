package gateway

import (
	"context"
	"errors"

	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// Landing finds the consignment a link token stands for. It changes nothing.
// Errors: ErrNotFound, ErrGone once the link's life is over.
func (g *Gateway) Landing(ctx context.Context, token string) (*store.ConsignmentRow, error) {
	if len(token) != 43 { // base64 of 32 octets
		return nil, ErrNotFound
	}
	c, err := g.DB.ConsignmentByLink(ctx, linkHash(token))
	if err != nil {
		return nil, notFound(err)
	}
	if !g.Now().Before(c.Expires) {
		return nil, ErrGone
	}
	return c, nil
}

// NoteFetch records that a program, not a person, asked for a link. It is no
// receipt and shows apart from evidence.
func (g *Gateway) NoteFetch(ctx context.Context, consignment, method, agent string) error {
	return g.DB.AddMachineFetch(ctx, consignment, method, agent)
}

// HandoverRequest is a person's confirming act on a consignment.
type HandoverRequest struct {
	Consignment string
	User        *store.User // of a claimed account's session; nil for a guest
	Address     string      // what a guest typed
	Peer        string      // whence, for the failure budget; "" counts against the consignment alone
	Language    string
}

// Handover records that a person received a consignment (S4.8) and puts its
// files into his "Received" folder. Only the first confirmation counts; a
// later one by an entitled person answers as the first did and changes
// nothing. It returns the account whose "Received" folder holds the files.
//
// Errors: ErrNotFound, ErrGone, ErrAddressMismatch, ErrSessionRequired,
// account.ErrThrottled and account.ErrBusy.
func (g *Gateway) Handover(ctx context.Context, h HandoverRequest) (*store.User, error) {
	c, err := g.DB.Consignment(ctx, h.Consignment)
	if err != nil {
		return nil, notFound(err)
	}
	if !g.Now().Before(c.Expires) {
		return nil, ErrGone
	}
	user, grade, err := g.entitled(ctx, c, h)
	if err != nil {
		return nil, err
	}
	if c.ReceivedBy != "" {
		if c.ReceivedBy != user.ID {
			return nil, ErrNotFound
		}
		return user, nil
	}
	received, err := g.receivedCopy(ctx, c)
	if err != nil {
		return nil, err
	}
	now := g.Now()
	record := rem.Record{
		Submission: c.Submission, Consignment: c.ID, Sender: c.Sender,
		Recipient: c.Recipient, Grade: grade,
	}
	evidence := []rem.Evidence{
		rem.Attest(rem.ConsignmentAcceptance, c.ID, 0, now, record),
		rem.Attest(rem.ContentHandover, c.ID, 0, now, record),
	}
	failpoint("handover/before-commit")
	first, err := g.DB.AddHandover(ctx, store.Handover{
		Consignment: c.ID, User: user.ID, Email: c.Recipient, Grade: grade, Time: now,
		Evidence: evidence, Jobs: g.receiptJobs(evidence, now), Received: received,
	})
	failpoint("handover/after-commit")
	switch {
	case errors.Is(err, store.ErrExpired): // between our look at the clock and the commit
		return nil, ErrGone
	case err != nil:
		return nil, notFound(err)
	case first:
		return user, nil
	}
	if c, err = g.DB.Consignment(ctx, c.ID); err == nil && c.ReceivedBy != user.ID {
		err = ErrNotFound
	}
	if err != nil {
		return nil, notFound(err)
	}
	return user, nil
}

// entitled decides who confirms: the session of the claimed account that has
// the address, else a guest who types the address the link was sent to.
func (g *Gateway) entitled(ctx context.Context, c *store.ConsignmentRow, h HandoverRequest) (*store.User, rem.Grade, error) {
	owner, err := g.DB.UserByAddress(ctx, c.Recipient)
	switch {
	case err == nil && owner.Claimed:
		if h.User == nil || h.User.ID != owner.ID {
			return nil, "", ErrSessionRequired
		}
		return owner, rem.GradeSession, nil
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return nil, "", err
	}
	if err := g.addressed(ctx, c, h); err != nil {
		return nil, "", err
	}
	guest, err := g.DB.EnsureGuest(ctx, g.NewID(), c.Recipient, h.Language)
	if err == nil && guest.Claimed { // since we looked
		return nil, "", ErrSessionRequired
	}
	return guest, rem.GradeConfirmed, err
}

// addressed checks what a guest typed. A link says neither to whom it was sent
// nor may it be asked until it does: wrong addresses spend a failure budget.
// An empty field tells nothing and spends nothing, so that a mail scanner that
// presses the button does not lock the reader out.
func (g *Gateway) addressed(ctx context.Context, c *store.ConsignmentRow, h HandoverRequest) error {
	if h.Address == "" {
		return ErrAddressMismatch
	}
	err := g.Accounts.Guess(ctx, account.Guess{Door: "web", Peer: h.Peer, Subject: "handover:" + c.ID},
		func() bool { return rem.SameAddress(h.Address, c.Recipient) })
	if errors.Is(err, account.ErrDenied) {
		return ErrAddressMismatch
	}
	return err
}

func notFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return ErrNotFound
	}
	return err
}
