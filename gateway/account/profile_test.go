package account

import (
	"context"
	"errors"
	"testing"

	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestLanguageIsOneOfOurs(t *testing.T) {
	w := setup(t)
	u := w.user(t, "anna@a.test")
	for language, ok := range map[string]bool{"ru": true, "en": true, "": true, "de": false, "ru\n": false} {
		if err := w.SetLanguage(context.Background(), u, language); (err == nil) != ok {
			t.Errorf("%q: %v", language, err)
		}
		got, err := w.DB.UserByID(context.Background(), u.ID)
		if err != nil || (got.Language == language) != ok {
			t.Errorf("%q: stored %q, %v", language, got.Language, err)
		}
	}
}

func TestAbsentCertificateCannotBeRemoved(t *testing.T) {
	w := setup(t)
	u := w.user(t, "anna@a.test")
	err := w.RemoveCertificate(context.Background(), u.ID, rem.DigestOf([]byte("none")))
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v", err)
	}
}
