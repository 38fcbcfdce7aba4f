package gateway

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// certificates are those registered to a user.
func (w *world) certificates(u *store.User) []store.UserCertificate {
	w.t.Helper()
	list, err := w.DB.UserCertificates(w.t.Context(), u.ID)
	w.must(err)
	return list
}

func TestRegisterCertificate(t *testing.T) {
	w := newWorld(t)
	text, token, err := w.Accounts.Challenge(t.Context(), w.carol.user.ID)
	w.must(err)
	good := []byte(sign(t, w.carol.Party, string(text)))
	got, err := w.RegisterCertificate(t.Context(), w.carol.user, token, good)
	w.must(err)
	list := w.certificates(w.carol.user)
	if len(list) != 1 || list[0].SHA256 != rem.DigestOf(w.carol.Certificate.Raw) || list[0].SHA256 != got.SHA256 ||
		!list[0].NotAfter.Equal(w.carol.Certificate.NotAfter) || list[0].Subject != "CN=Carol" {
		t.Errorf("registered %+v", list)
	}
	if _, err := w.RegisterCertificate(t.Context(), w.carol.user, token, good); err == nil {
		t.Error("the token was taken twice")
	}
	// The same certificate again, by a new challenge, changes nothing.
	w.register(&w.carol)
	if n := len(w.certificates(w.carol.user)); n != 1 {
		t.Errorf("%d certificates", n)
	}
}

func TestRegisterCertificateAtOnce(t *testing.T) {
	w := newWorld(t)
	text, token, err := w.Accounts.Challenge(t.Context(), w.carol.user.ID)
	w.must(err)
	const n = 10
	sigs, errs := make([][]byte, n), make([]error, n)
	for i := range n {
		p := w.root.Issue(t, cmstest.NewKey(t, cmstest.P256), "Carol", mailSigner("carol@in.test"))
		sigs[i] = []byte(sign(t, p, string(text)))
	}
	together(n, func(i int) { _, errs[i] = w.RegisterCertificate(t.Context(), w.carol.user, token, sigs[i]) })
	good := 0
	for _, err := range errs {
		if err == nil {
			good++
		}
	}
	if good != 1 || len(w.certificates(w.carol.user)) != 1 {
		t.Errorf("%d of one token's signatures were taken, %d certificates", good, len(w.certificates(w.carol.user)))
	}
}

// Registration shows that the user holds the key of a certificate that is
// valid now and chains to an anchor. Whose address it names does not matter:
// its holder has agreed, by a text that names the account.
func TestRegisterCertificateRefuses(t *testing.T) {
	w := newWorld(t)
	key := cmstest.NewKey(t, cmstest.P256)
	issue := func(change func(*x509.Certificate)) cmstest.Party { return w.root.Issue(t, key, "Carol", change) }
	expired := issue(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = cmstest.NotBefore, cmstest.At.AddDate(0, -1, 0) })
	server := issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	gone := issue(nil)
	w.revoke(gone)
	victim := w.anna.Party // of another person: mallory has the certificate, not the key
	stolen := cmstest.Party{Key: key, Certificate: victim.Certificate}
	text, token, err := w.Accounts.Challenge(t.Context(), w.carol.user.ID)
	w.must(err)
	elsewhere, otherToken, err := w.Accounts.Challenge(t.Context(), w.anna.user.ID)
	w.must(err)
	of := func(p cmstest.Party) string { return sign(t, p, string(text)) }
	for name, c := range map[string]struct {
		sig    string
		reason rem.Reason
	}{
		"untrusted":             {of(w.strange.Issue(t, key, "Carol", nil)), rem.ReasonUntrusted},
		"self-signed":           {of(cmstest.NewRoot(t, "Carol")), ""},
		"expired":               {of(expired), rem.ReasonCertificateTime},
		"revoked":               {of(gone), rem.ReasonCertificateTime},
		"revocation unknown":    {of(w.quiet.Issue(t, key, "Carol", nil)), rem.ReasonRevocationUnknown},
		"a server's":            {of(server), rem.ReasonSignatureFailed},
		"without its key":       {forge(t, stolen, string(text), nothing), rem.ReasonSignatureFailed},
		"changed text":          {sign(t, w.carol.Party, string(text)+"\r\n"), rem.ReasonSignatureFailed},
		"text with LF":          {sign(t, w.carol.Party, strings.ReplaceAll(string(text), "\r\n", "\n")), rem.ReasonSignatureFailed},
		"another's challenge":   {sign(t, w.carol.Party, string(elsewhere)), rem.ReasonSignatureFailed},
		"two signers":           {string(cmstest.Message{Content: text, Signatures: []cmstest.Signature{{Party: w.carol.Party}, {Party: victim}}}.Encode(t)), ""},
		"a letter's signature":  {sign(t, w.carol.Party, body()), rem.ReasonSignatureFailed},
		"nothing":               {"", ""},
		"no signed attributes":  {forge(t, w.carol.Party, string(text), func(s *cmstest.Signature, _ *cmstest.Message) { s.NoAttributes = true }), rem.ReasonNoSignedAttrs},
		"several, one is wrong": {string(cmstest.Message{Content: text, Signatures: []cmstest.Signature{{Party: w.carol.Party}, {Party: stolen}}}.Encode(t)), ""},
	} {
		_, err := w.RegisterCertificate(t.Context(), w.carol.user, token, []byte(c.sig))
		var r *rem.Refusal
		if !errors.As(err, &r) || c.reason != "" && r.Reason != c.reason {
			t.Errorf("%s: %v, want a refusal for %q", name, err, c.reason)
		}
	}
	good := []byte(sign(t, w.carol.Party, string(text)))
	for name, c := range map[string]struct {
		user  *store.User
		token string
	}{
		"another's token": {w.carol.user, otherToken}, "no token": {w.carol.user, ""}, "his token, another user": {w.anna.user, token}, "nobody": {nil, token},
	} {
		if _, err := w.RegisterCertificate(t.Context(), c.user, c.token, good); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(w.certificates(w.carol.user)) + len(w.certificates(w.anna.user)); n != 0 {
		t.Fatalf("%d certificates were registered", n)
	}
	if _, err := w.RegisterCertificate(t.Context(), w.carol.user, token, good); err != nil {
		t.Errorf("refusals have used up the token: %v", err)
	}
}

func TestChallengeExpires(t *testing.T) {
	w := newWorld(t)
	text, token, err := w.Accounts.Challenge(t.Context(), w.carol.user.ID)
	w.must(err)
	w.clock.pass(time.Hour)
	_, err = w.RegisterCertificate(t.Context(), w.carol.user, token, []byte(sign(t, w.carol.Party, string(text))))
	wantError(t, err, ErrNotFound)
}

// A certificate registered by one account binds that account alone, whatever
// address it names, and a From of others stays refused.
func TestRegisteredCertificateBindsItsAccountOnly(t *testing.T) {
	w := newWorld(t)
	nameless := w.root.Issue(t, cmstest.NewKey(t, cmstest.P256), "Nameless", mailSigner())
	w.register(&person{nameless, w.carol.user})
	_, err := w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(signed(t, nameless)))
	if r := refused(t, err); r.Reason != rem.ReasonSignerUnbound {
		t.Errorf("refused for %s", r.Reason)
	}
	letter := header() + signedWith(body(), sign(t, nameless, body()))
	_, err = w.Receive(t.Context(), w.envelope(w.carol, bob), strings.NewReader(letter))
	if r := refused(t, err); r.Reason != rem.ReasonFrom {
		t.Errorf("carol as anna: refused for %s", r.Reason)
	}
	_, err = w.Receive(t.Context(), w.envelope(w.carol, bob), strings.NewReader(strings.Replace(letter, "anna@in.test>", "carol@in.test>", 1)))
	w.must(err)
}
