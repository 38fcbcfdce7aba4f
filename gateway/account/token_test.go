package account

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestSession(t *testing.T) {
	f := setup(t)
	u := f.user(t, "anna@one.test")
	cookie, err := f.NewSession(t.Context(), u.ID, "consignment1", 0)
	if err != nil || len(cookie) != secretLen {
		t.Fatal(cookie, err)
	}
	s, got, err := f.Session(t.Context(), cookie)
	if err != nil || got.ID != u.ID || s.Consignment != "consignment1" {
		t.Fatalf("%+v, %+v, %v", s, got, err)
	}
	if bytes.Contains(s.Token[:], []byte(cookie)) || s.Token != rem.DigestOf([]byte(cookie)) {
		t.Error("what is stored is not the hash of the cookie")
	}
	f.clock.add(SessionLife - time.Second) // use does not prolong it
	if _, _, err := f.Session(t.Context(), cookie); err != nil {
		t.Error(err)
	}
	f.clock.add(time.Second)
	_, _, err = f.Session(t.Context(), cookie)
	wantErr(t, "after 12 hours", err, ErrNoSession)

	for name, lifetime := range map[string]time.Duration{"negative": -1, "a year": 365 * 24 * time.Hour} {
		c, err := f.NewSession(t.Context(), u.ID, "", lifetime)
		if err != nil {
			t.Fatal(err)
		}
		s, _, err := f.Session(t.Context(), c)
		if err != nil || s.Expires.Sub(s.Created) != SessionLife {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		wantErr(t, "end", f.EndSession(t.Context(), c), nil)
		wantErr(t, "end again", f.EndSession(t.Context(), c), nil)
		_, _, err = f.Session(t.Context(), c)
		wantErr(t, "ended", err, ErrNoSession)
	}
	for _, bad := range []string{"", "x", newSecret(), cookie + "A"} {
		_, _, err := f.Session(t.Context(), bad)
		wantErr(t, "cookie "+bad, err, ErrNoSession)
	}
}

func TestRegistration(t *testing.T) {
	f := setup(t)
	ctx := t.Context()
	guest, err := f.Guest(ctx, "bob@far.test", "en")
	if err != nil {
		t.Fatal(err)
	}
	old, err := f.NewSession(ctx, guest.ID, "c1", 0)
	if err != nil {
		t.Fatal(err)
	}
	token, err := f.BeginRegistration(ctx, Mailing{Address: "bob@far.test", Language: "en", Peer: "192.0.2.1"})
	if err != nil || len(token) != secretLen {
		t.Fatal(token, err)
	}
	address, language, err := f.Registration(ctx, token)
	if err != nil || address != "bob@far.test" || language != "en" {
		t.Errorf("%s, %s, %v", address, language, err)
	}
	_, err = f.Claim(ctx, Claim{Token: token, Password: "short"})
	wantErr(t, "a weak password leaves the token", err, ErrPassword)
	u, err := f.Claim(ctx, Claim{Token: token, Name: "Bob", Password: secret})
	if err != nil || u.ID != guest.ID || !u.Claimed || u.Name != "Bob" || u.Language != "en" {
		t.Fatalf("%+v, %v", u, err)
	}
	_, _, err = f.Session(ctx, old)
	wantErr(t, "the guest's session", err, ErrNoSession)
	wantErr(t, "login", f.login(t, "192.0.2.1", "bob@far.test", secret), nil)
	_, err = f.Claim(ctx, Claim{Token: token, Password: secret})
	wantErr(t, "again", err, ErrToken)

	// A claimed address is mailed like any other, and only its owner learns why
	// that link leads nowhere.
	token, err = f.BeginRegistration(ctx, Mailing{Address: "bob@far.test", Language: "en", Peer: "192.0.2.1"})
	if err != nil || len(token) != secretLen {
		t.Errorf("registration of a claimed address: %q, %v", token, err)
	}
	_, _, err = f.Registration(ctx, token)
	wantErr(t, "the form for a claimed address", err, ErrClaimed)
	_, err = f.Claim(ctx, Claim{Token: token, Name: "Eve", Password: wrong})
	wantErr(t, "claiming a claimed address", err, ErrClaimed)
	wantErr(t, "the old password", f.login(t, "192.0.2.1", "bob@far.test", secret), nil)
	_, err = f.BeginRegistration(ctx, Mailing{Address: "nobody", Language: "en", Peer: "192.0.2.1"})
	wantErr(t, "bad address", err, ErrAddress)
}

func TestRegistrationExpires(t *testing.T) {
	f := setup(t)
	token, err := f.BeginRegistration(t.Context(), Mailing{Address: "bob@far.test", Language: "", Peer: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	f.clock.add(RegistrationLife)
	_, err = f.Claim(t.Context(), Claim{Token: token, Password: secret})
	wantErr(t, "after a day", err, ErrToken)
	_, err = f.Claim(t.Context(), Claim{Token: newSecret(), Password: secret})
	wantErr(t, "unknown", err, ErrToken)
	_, err = f.Claim(t.Context(), Claim{Password: secret})
	wantErr(t, "none", err, ErrToken)
}

// Nobody is mailed without end, and nobody mails without end.
func TestRegistrationLimits(t *testing.T) {
	f := setup(t)
	sent := 0
	for range 10 {
		token, err := f.BeginRegistration(t.Context(), Mailing{Address: "bob@far.test", Language: "", Peer: "192.0.2.1"})
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			sent++
		}
	}
	if sent != mailingsAddress {
		t.Errorf("%d mails to one address", sent)
	}
	for range mailingsPeer - 10 {
		if _, err := f.BeginRegistration(t.Context(), Mailing{Address: "eve@far.test", Language: "", Peer: "192.0.2.1"}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := f.BeginRegistration(t.Context(), Mailing{Address: "dan@far.test", Language: "", Peer: "192.0.2.1"})
	wantErr(t, "peer", err, ErrThrottled)
	wantErr(t, "logins have their own budget", f.login(t, "192.0.2.1", "bob@far.test", wrong), ErrDenied)
}

func TestClaimOnce(t *testing.T) {
	f := setup(t)
	token, err := f.BeginRegistration(t.Context(), Mailing{Address: "bob@far.test", Language: "", Peer: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := f.Claim(t.Context(), Claim{Token: token, Password: secret})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, ErrToken) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("claimed %d times", won.Load())
	}
}

func TestChallenge(t *testing.T) {
	f := setup(t)
	ctx := t.Context()
	anna, bob := f.user(t, "anna@one.test"), f.user(t, "bob@one.test")
	text, token, err := f.Challenge(ctx, anna.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"not a document", "anna@one.test", anna.ID, "gate.test", "2026-07-01T12:00:00Z", "Random: "} {
		if !bytes.Contains(text, []byte(word)) {
			t.Errorf("no %q in\n%s", word, text)
		}
	}
	if n := bytes.Count(text, []byte("\n")); n == 0 || n != bytes.Count(text, []byte("\r\n")) {
		t.Errorf("line ends of %q", text)
	}
	if second, _, _ := f.Challenge(ctx, anna.ID); bytes.Equal(second, text) {
		t.Error("two challenges are the same")
	}
	if again, err := f.ChallengeText(ctx, anna.ID, token); err != nil || !bytes.Equal(again, text) {
		t.Errorf("%q, %v", again, err)
	}
	cert := store.UserCertificate{SHA256: rem.DigestOf([]byte("der")), DER: []byte("der"), Subject: "CN=Anna", NotAfter: f.clock.now()}
	wantErr(t, "another's token", f.AddCertificate(ctx, bob.ID, token, cert), ErrToken)
	wantErr(t, "own token", f.AddCertificate(ctx, anna.ID, token, cert), nil)
	wantErr(t, "used", f.AddCertificate(ctx, anna.ID, token, cert), ErrToken)
	list, err := f.DB.UserCertificates(ctx, anna.ID)
	if err != nil || len(list) != 1 || list[0].SHA256 != cert.SHA256 || list[0].User != anna.ID {
		t.Errorf("%+v, %v", list, err)
	}

	_, token, err = f.Challenge(ctx, anna.ID)
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, "the same certificate again", f.AddCertificate(ctx, anna.ID, token, cert), nil)
	_, token, err = f.Challenge(ctx, anna.ID)
	if err != nil {
		t.Fatal(err)
	}
	f.clock.add(challengeLife)
	wantErr(t, "after an hour", f.AddCertificate(ctx, anna.ID, token, cert), ErrToken)
	wantErr(t, "another kind of token", f.AddCertificate(ctx, anna.ID, newSecret(), cert), ErrToken)
	if _, _, err := f.Challenge(ctx, "nobody"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unknown user: %v", err)
	}
}
