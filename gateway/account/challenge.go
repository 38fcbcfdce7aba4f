package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/store"
)

// Challenge is a text for the owner of a certificate to sign, and the token
// under which the signature is handed in, within an hour and once.
//
// The text names account, gateway, time and a random value, and says that it is
// no document: a signature over it is worth nothing anywhere else, and no
// signature made anywhere else is worth anything here. Its lines end in CRLF,
// so that signing tools which canonicalise text leave it as it is.
func (a *Accounts) Challenge(ctx context.Context, userID string) (text []byte, token string, err error) {
	u, err := a.DB.UserByID(ctx, userID)
	if err != nil {
		return nil, "", err
	}
	now := a.now()
	s := challengeText(u, a.domain, now)
	token = newSecret()
	err = a.DB.AddToken(ctx, store.Token{
		Hash: digest(token), Kind: kindChallenge, Subject: u.ID, Data: s, Expires: now.Add(challengeLife),
	})
	if err != nil {
		return nil, "", err
	}
	return []byte(s), token, nil
}

func challengeText(u *store.User, domain string, now time.Time) string {
	return strings.Join([]string{
		"Cryptogramm: registration of a certificate",
		"",
		"This text is not a document and agrees to nothing. By signing it I show that",
		"I hold the key of my certificate and ask to register it with my account.",
		"",
		fmt.Sprintf("Account: %s (%s)", u.Email, u.ID),
		"Gateway: " + domain,
		"Date: " + now.Format(time.RFC3339),
		"Random: " + newSecret(),
		"",
	}, "\r\n")
}

// ChallengeText is the text that was given out with token. ErrToken when it is
// not this user's, used or expired.
func (a *Accounts) ChallengeText(ctx context.Context, userID, token string) ([]byte, error) {
	t, err := a.token(ctx, kindChallenge, token)
	if err != nil {
		return nil, err
	}
	if t.Subject != userID {
		return nil, badToken(store.ErrNotFound)
	}
	return []byte(t.Data), nil
}

// AddCertificate registers a certificate whose owner has signed the challenge
// of token; that it was signed is the caller's finding. The token is used up.
// ErrToken. Registering a certificate again that the user has is no error.
func (a *Accounts) AddCertificate(ctx context.Context, userID, token string, c store.UserCertificate) error {
	if _, err := a.ChallengeText(ctx, userID, token); err != nil {
		return err
	}
	if _, err := a.useToken(ctx, kindChallenge, token); err != nil {
		return err
	}
	c.User = userID
	if c.Added.IsZero() {
		c.Added = a.now()
	}
	err := a.DB.AddUserCertificate(ctx, c)
	if errors.Is(err, store.ErrExists) {
		return a.ownsCertificate(ctx, c)
	}
	return err
}

// ownsCertificate tells "already yours" from "somebody else's".
func (a *Accounts) ownsCertificate(ctx context.Context, c store.UserCertificate) error {
	list, err := a.DB.UserCertificates(ctx, c.User)
	if err != nil {
		return err
	}
	for _, x := range list {
		if x.SHA256 == c.SHA256 {
			return nil
		}
	}
	return fmt.Errorf("certificate %s: %w", c.SHA256, store.ErrExists)
}
