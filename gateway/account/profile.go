package account

import (
	"context"
	"errors"

	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// languages are those of our pages and mails; "" is both.
var languages = []string{"", "ru", "en"}

// errLanguage is a caller's mistake: no page offers another.
var errLanguage = errors.New("no such language")

// SetLanguage sets the language of a user's pages and mails: "ru", "en", or ""
// for both.
func (a *Accounts) SetLanguage(ctx context.Context, u *store.User, language string) error {
	for _, l := range languages {
		if l == language {
			return a.DB.SetProfile(ctx, u.ID, u.Name, language)
		}
	}
	return errLanguage
}

// SetReceiptsOutside says whether receipts also go to the user's own mailbox
// elsewhere, his first address.
func (a *Accounts) SetReceiptsOutside(ctx context.Context, userID string, on bool) error {
	return a.DB.SetReceiptsOutside(ctx, userID, on)
}

// RemoveCertificate ends the binding of a certificate to a user. What was
// accepted under it stays. store.ErrNotFound when he has no such certificate.
func (a *Accounts) RemoveCertificate(ctx context.Context, userID string, certificate rem.Digest) error {
	return a.DB.RemoveUserCertificate(ctx, userID, certificate)
}
