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
	kindChallenge = "challenge"

	challengeLife = time.Hour
)

// RegistrationLife is how long a registration link works.
const RegistrationLife = 24 * time.Hour

// Registrations per quarter of an hour: each one is a mail to somebody.
const (
	registrationsAddress = 3
	registrationsPeer    = 20
)

// BeginRegistration makes the token that the caller mails to address: who
// holds it owns the mailbox. It is "" when no mail is due, because the address
// was mailed enough; the answer to the client must look the same then.
//
// An address with a claimed account is treated like any other, so that neither
// answer nor timing tells who has one: its owner alone learns it, from the page
// behind his link. ErrAddress; ErrThrottled when the peer asks too often.
func (a *Accounts) BeginRegistration(ctx context.Context, address, language, peer string) (token string, err error) {
	if !plausible(address) {
		return "", ErrAddress
	}
	if p := peerKey(peer); p != "" {
		if over, err := a.spend(ctx, "registration:"+p, registrationsPeer); err != nil {
			return "", err
		} else if over {
			return "", ErrThrottled
		}
	}
	over, err := a.spend(ctx, "registration:"+accountKey(address), registrationsAddress)
	if err != nil || over {
		return "", err
	}
	token = newSecret()
	err = a.DB.AddToken(ctx, store.Token{
		Hash: digest(token), Kind: kindRegister, Subject: address, Data: language, Expires: a.now().Add(RegistrationLife),
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

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
	hash, err := a.claimHash(ctx, c)
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

// claimHash hashes the password of a claim. Claims by one token take turns, and
// the token is looked at before the costly work: a link that is posted a
// hundred times at once costs one hash, not a hundred.
func (a *Accounts) claimHash(ctx context.Context, c Claim) (string, error) {
	if _, err := a.token(ctx, kindRegister, c.Token); err != nil {
		return "", err
	}
	if err := CheckPassword(c.Password); err != nil {
		return "", err
	}
	release, err := a.turn(ctx, c.Token)
	if err != nil {
		return "", err
	}
	defer release()
	if _, err := a.token(ctx, kindRegister, c.Token); err != nil { // used while we waited
		return "", err
	}
	return a.cost.encode(c.Password), nil
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
