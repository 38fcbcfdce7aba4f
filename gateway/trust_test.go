package gateway

import (
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// What an admin trusts counts from the next letter on, and so does what he no
// longer trusts.
func TestTrustChanges(t *testing.T) {
	w := newWorld(t)
	letter := func() string {
		return signed(t, w.strange.Issue(t, w.anna.Key, "Anna", mailSigner("anna@in.test")))
	}
	refuse := func(reason rem.Reason) {
		t.Helper()
		_, err := w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(letter()))
		if r := refused(t, err); r.Reason != reason {
			t.Errorf("refused for %s, want %s", r.Reason, reason)
		}
	}
	refuse(rem.ReasonUntrusted)
	sha := rem.DigestOf(w.strange.Certificate.Raw)
	w.must(w.DB.AddAnchor(t.Context(), store.Anchor{SHA256: sha, DER: w.strange.Certificate.Raw, Kind: "foreign", Subject: "CN=Strange"}))
	refuse(rem.ReasonRevocationUnknown)
	w.must(w.DB.PutCRL(t.Context(), store.CRL{DER: w.strange.CRL(t), Issuer: "CN=Strange", Number: "1", ThisUpdate: w.Now(), NextUpdate: cmstest.NotAfter}))
	first, err := w.Trust.Store(t.Context())
	w.must(err)
	w.send(letter(), bob)
	if again, err := w.Trust.Store(t.Context()); err != nil || again != first {
		t.Errorf("parsed again without a change: %v", err)
	}
	w.must(w.DB.RemoveAnchor(t.Context(), sha))
	refuse(rem.ReasonUntrusted)
	w.fsck() // what was accepted stays what it was
}

func TestNewWantsAWholeConfiguration(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*Config){
		"no database":    func(c *Config) { c.DB = nil },
		"no blobs":       func(c *Config) { c.Blobs = nil },
		"no trust":       func(c *Config) { c.Trust = nil },
		"no accounts":    func(c *Config) { c.Accounts = nil },
		"no notices":     func(c *Config) { c.Notify = nil },
		"no clock":       func(c *Config) { c.Now = nil },
		"no log":         func(c *Config) { c.Log = nil },
		"short link key": func(c *Config) { c.LinkKey = c.LinkKey[:31] },
		"no spool":       func(c *Config) { c.Spool = "" },
	} {
		c := w.Config
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
