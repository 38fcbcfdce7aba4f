package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// Kinds of one-time tokens, and how long they last.
const (
	kindRegister  = "register"
	kindReset     = "reset"
	kindChallenge = "challenge"

	challengeLife = time.Hour
)

// RegistrationLife is how long a registration link works.
const RegistrationLife = 24 * time.Hour

// Links mailed per quarter of an hour, of any kind: each one is a mail to
// somebody.
const (
	mailingsAddress = 3
	mailingsPeer    = 20
)

// Mailing asks for a link to be mailed to an address.
type Mailing struct {
	Address  string
	Language string // of the page it was asked on
	Peer     string // IP address of the client, as in Login; "" for the operator
	Secret   string // 43 characters that only the mail will hold; "": made here
}

// BeginRegistration makes the token that the caller mails to the address: who
// holds it owns the mailbox. It is "" when no mail is due, because the address
// was mailed enough; the answer to the client must look the same then.
//
// An address with a claimed account is treated like any other, so that neither
// answer nor timing tells who has one: its owner alone learns it, from the page
// behind his link. ErrAddress; ErrThrottled when the peer asks too often.
func (a *Accounts) BeginRegistration(ctx context.Context, m Mailing) (token string, err error) {
	return a.begin(ctx, m, store.Token{Kind: kindRegister, Subject: m.Address, Data: m.Language, Expires: a.now().Add(RegistrationLife)})
}

// begin keeps a token for a mailing, within the budgets of address and peer.
func (a *Accounts) begin(ctx context.Context, m Mailing, t store.Token) (secret string, err error) {
	if !plausible(m.Address) {
		return "", ErrAddress
	}
	if m.Secret == "" {
		m.Secret = newSecret()
	}
	if len(m.Secret) != secretLen {
		return "", errSecret
	}
	if p := peerKey(m.Peer); p != "" {
		if over, err := a.spend(ctx, "mailing:"+p, mailingsPeer); err != nil {
			return "", err
		} else if over {
			return "", ErrThrottled
		}
	}
	over, err := a.spend(ctx, "mailing:"+accountKey(m.Address), mailingsAddress)
	if err != nil || over {
		return "", err
	}
	t.Hash = digest(m.Secret)
	if err := a.DB.AddToken(ctx, t); err != nil {
		return "", err
	}
	return m.Secret, nil
}

// errSecret is a caller's mistake.
var errSecret = errors.New("a link's secret has another length")

// spend counts one use of key and says whether the window's limit is over.
func (a *Accounts) spend(ctx context.Context, key string, limit int) (over bool, err error) {
	n, err := a.DB.Failures(ctx, key, a.now().Add(-budgetWindow))
	if err != nil || n >= limit {
		return true, err
	}
	return false, a.DB.AddFailure(ctx, key)
}

// Claim is what the owner of a mailbox fills in after following the link.
type Claim struct {
	Token    string
	Name     string
	Password string
	Language string // "": the one he began with
}

// Registration is the address and language of a registration link, for the
// form that redeems it. ErrToken; ErrClaimed where there is nothing to redeem,
// since the address has its account.
func (a *Accounts) Registration(ctx context.Context, token string) (address, language string, err error) {
	t, err := a.token(ctx, kindRegister, token)
	if err != nil {
		return "", "", err
	}
	u, err := a.DB.UserByAddress(ctx, t.Subject)
	switch {
	case err == nil && u.Claimed:
		return "", "", ErrClaimed
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return "", "", err
	}
	return t.Subject, t.Data, nil
}

// Claim makes the account, or claims the one that a guest had under the
// address, and ends the guest's sessions. ErrToken, ErrPassword, ErrClaimed.
func (a *Accounts) Claim(ctx context.Context, c Claim) (*store.User, error) {
	hash, err := a.redeemHash(ctx, kindRegister, c.Token, c.Password)
	if err != nil {
		return nil, err
	}
	t, err := a.useToken(ctx, kindRegister, c.Token)
	if err != nil {
		return nil, err
	}
	if c.Language == "" {
		c.Language = t.Data
	}
	u, err := a.DB.ClaimUser(ctx, t.Subject, newID(), c.Name, c.Language, hash)
	if errors.Is(err, store.ErrExists) {
		return nil, ErrClaimed
	}
	if err != nil {
		return nil, err
	}
	a.Log.Info("account claimed", "account", u.ID, "address", rem.FoldAddress(t.Subject))
	return u, a.fresh(ctx, u)
}

// redeemHash hashes the password that comes with a token. Uses of one token
// take turns, and it is looked at before the costly work: a link that is posted
// a hundred times at once costs one hash, not a hundred.
func (a *Accounts) redeemHash(ctx context.Context, kind, token, password string) (string, error) {
	if _, err := a.token(ctx, kind, token); err != nil {
		return "", err
	}
	if err := CheckPassword(password); err != nil {
		return "", err
	}
	release, err := a.turn(ctx, token)
	if err != nil {
		return "", err
	}
	defer release()
	if _, err := a.token(ctx, kind, token); err != nil { // used while we waited
		return "", err
	}
	return a.cost.encode(password), nil
}

// token looks a secret up without using it. ErrToken.
func (a *Accounts) token(ctx context.Context, kind, secret string) (*store.Token, error) {
	if len(secret) != secretLen {
		return nil, badToken(store.ErrNotFound)
	}
	t, err := a.DB.TokenByHash(ctx, kind, digest(secret))
	if err == nil && !a.now().Before(t.Expires) {
		err = store.ErrExpired
	}
	return t, badToken(err)
}

// useToken redeems a secret: of parallel callers one gets it. ErrToken.
func (a *Accounts) useToken(ctx context.Context, kind, secret string) (*store.Token, error) {
	t, err := a.DB.UseToken(ctx, kind, digest(secret))
	return t, badToken(err)
}

// badToken keeps the store's word beside ErrToken, for callers that tell used
// from unknown.
func badToken(err error) error {
	if absent(err) {
		return fmt.Errorf("%w: %w", ErrToken, err)
	}
	return err
}
