package account

import "context"

// budgetSubject is how many wrong guesses one subject takes in a window.
const budgetSubject = 10

// Guess is one try at something that is no password but must not be found by
// trying: the address to which a link was sent.
type Guess struct {
	Door    string // as in Login
	Peer    string // as in Login; its failures are the same that logins count
	Subject string // what is guessed at, of bounded length: "handover:<consignment>"
}

// Guess lets one try happen within the failure budget. right says whether it
// was right; it is called at most once, and not at all once the budget of the
// subject or of the peer is spent.
//
// Guesses at one subject are taken one at a time, and each failure is counted
// before the next is tried. Errors: ErrDenied for a wrong guess, ErrThrottled,
// ErrBusy.
func (a *Accounts) Guess(ctx context.Context, g Guess, right func() bool) error {
	keys := map[string]int{g.Subject: budgetSubject}
	if p := peerKey(g.Peer); p != "" {
		keys[p] = budgetPeer
	}
	wait, cancel := context.WithTimeoutCause(ctx, hashWait, ErrBusy)
	defer cancel()
	open, err := a.gate(wait, g.Subject)
	if err != nil {
		return err
	}
	defer open()
	if err := a.budget(ctx, keys); err != nil {
		return err
	}
	if right() {
		return nil
	}
	if err := a.count(ctx, keys); err != nil {
		return err
	}
	a.Log.Warn("guess denied", "door", g.Door, "peer", g.Peer, "subject", g.Subject)
	return ErrDenied
}
