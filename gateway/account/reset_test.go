package account

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cryptogramm.ru/cryptogramm/store"
)

func (f *fixture) reset(t testing.TB, token, password string) error {
	t.Helper()
	_, err := f.Reset(t.Context(), Reset{Token: token, Password: password, Jobs: func(u *store.User) []store.Job {
		return []store.Job{{ID: "told-" + newSecret(), Kind: "told", Subject: u.ID}}
	}})
	return err
}

func (f *fixture) jobs(t testing.TB) int {
	t.Helper()
	list, err := f.DB.Jobs(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestReset(t *testing.T) {
	f := setup(t)
	u := f.user(t, "anna@one.test", "a@two.test")
	cookie, err := f.NewSession(t.Context(), u.ID, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for range budgetAccount {
		f.login(t, "192.0.2.1", "a@two.test", wrong)
	}
	const given = "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeee"
	token, err := f.BeginReset(t.Context(), Mailing{Address: "a@TWO.test", Peer: "192.0.2.1", Secret: given})
	if err != nil || token != given {
		t.Fatal(token, err)
	}
	other, err := f.BeginReset(t.Context(), Mailing{Address: "anna@one.test", Peer: "192.0.2.1"})
	if err != nil || len(other) != secretLen {
		t.Fatal(other, err)
	}
	if a, err := f.ResetAddress(t.Context(), token); err != nil || a != "a@two.test" {
		t.Errorf("%s, %v", a, err)
	}
	wantErr(t, "weak", f.reset(t, token, "123456789"), ErrPassword)
	wantErr(t, "a token of another kind", f.claimWith(t, token), ErrToken)
	wantErr(t, "reset", f.reset(t, token, "a new password"), nil)
	if n := f.jobs(t); n != 1 {
		t.Errorf("%d mails to tell of it", n)
	}
	_, _, err = f.Session(t.Context(), cookie)
	wantErr(t, "old session", err, ErrNoSession)
	wantErr(t, "old password", f.login(t, "192.0.2.9", "anna@one.test", secret), ErrDenied)
	wantErr(t, "new password, failures forgotten", f.login(t, "192.0.2.9", "a@two.test", "a new password"), nil)
	wantErr(t, "again", f.reset(t, token, "another password"), ErrToken)
	wantErr(t, "the other link", f.reset(t, other, "another password"), ErrToken)
	_, err = f.ResetAddress(t.Context(), other)
	wantErr(t, "the other link's page", err, ErrToken)
	if n := f.jobs(t); n != 1 {
		t.Errorf("%d mails to tell of it", n)
	}
	for _, s := range []string{given, other, "a new password"} {
		if strings.Contains(f.log.String(), s) {
			t.Errorf("the log holds %q", s)
		}
	}
}

func (f *fixture) claimWith(t testing.TB, token string) error {
	t.Helper()
	_, err := f.Claim(t.Context(), Claim{Token: token, Name: "Eve", Password: secret})
	return err
}

// TestResetTellsNothing: whoever has an account or none, what is done and
// answered is the same; only the link of an account opens a page.
func TestResetTellsNothing(t *testing.T) {
	f := setup(t)
	f.user(t, "anna@one.test")
	if _, err := f.Guest(t.Context(), "guest@one.test", "en"); err != nil {
		t.Fatal(err)
	}
	for address, account := range map[string]bool{"anna@one.test": true, "guest@one.test": false, "nobody@one.test": false} {
		token, err := f.BeginReset(t.Context(), Mailing{Address: address, Peer: "192.0.2.1"})
		if err != nil || len(token) != secretLen {
			t.Errorf("%s: %q, %v", address, token, err)
		}
		want := ErrToken
		if account {
			want = nil
		}
		_, err = f.ResetAddress(t.Context(), token)
		wantErr(t, address+", page", err, want)
		wantErr(t, address+", reset", f.reset(t, token, "a new password"), want)
		u, err := f.ResetUser(t.Context(), address)
		if err != nil || (u != nil) != account {
			t.Errorf("%s: %+v, %v", address, u, err)
		}
	}
	for _, bad := range []string{"nobody", "a@b@c", ""} {
		_, err := f.BeginReset(t.Context(), Mailing{Address: bad})
		wantErr(t, bad, err, ErrAddress)
	}
	if _, err := f.BeginReset(t.Context(), Mailing{Address: "anna@one.test", Secret: "short"}); err == nil {
		t.Error("a short secret is taken")
	}
}

func TestResetExpires(t *testing.T) {
	f := setup(t)
	f.user(t, "anna@one.test")
	token, err := f.BeginReset(t.Context(), Mailing{Address: "anna@one.test"})
	if err != nil {
		t.Fatal(err)
	}
	f.clock.add(ResetLife)
	_, err = f.ResetAddress(t.Context(), token)
	wantErr(t, "page after an hour", err, ErrToken)
	wantErr(t, "after an hour", f.reset(t, token, "a new password"), ErrToken)
	wantErr(t, "unknown", f.reset(t, newSecret(), "a new password"), ErrToken)
	wantErr(t, "none", f.reset(t, "", "a new password"), ErrToken)
	wantErr(t, "the old password", f.login(t, "192.0.2.1", "anna@one.test", secret), nil)
}

// TestMailingBudget: registrations and resets spend one budget.
func TestMailingBudget(t *testing.T) {
	f := setup(t)
	f.user(t, "anna@one.test")
	sent := 0
	for i := range 2 * mailingsAddress {
		begin := f.BeginReset
		if i%2 == 0 {
			begin = f.BeginRegistration
		}
		token, err := begin(t.Context(), Mailing{Address: "anna@one.test", Peer: "192.0.2.1"})
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			sent++
		}
	}
	if sent != mailingsAddress {
		t.Errorf("%d mails", sent)
	}
	for i := range mailingsPeer - 2*mailingsAddress {
		if _, err := f.BeginReset(t.Context(), Mailing{Address: strings.Repeat("x", i+1) + "@one.test", Peer: "192.0.2.1"}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := f.BeginReset(t.Context(), Mailing{Address: "y@one.test", Peer: "192.0.2.1"})
	wantErr(t, "peer", err, ErrThrottled)
}

// TestResetOnce: a link posted many times at once changes the password once,
// and costs one hash.
func TestResetOnce(t *testing.T) {
	f := setup(t)
	f.user(t, "anna@one.test")
	token, err := f.BeginReset(t.Context(), Mailing{Address: "anna@one.test"})
	if err != nil {
		t.Fatal(err)
	}
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if f.reset(t, token, "a new password") == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || f.jobs(t) != 1 {
		t.Errorf("%d resets, %d mails", won.Load(), f.jobs(t))
	}
}

func TestEndSessions(t *testing.T) {
	f := setup(t)
	u, v := f.user(t, "anna@one.test"), f.user(t, "vera@one.test")
	var cookies []string
	for _, id := range []string{u.ID, u.ID, v.ID} {
		c, err := f.NewSession(t.Context(), id, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		cookies = append(cookies, c)
	}
	wantErr(t, "end", f.EndSessions(t.Context(), u.ID), nil)
	for i, want := range []error{ErrNoSession, ErrNoSession, nil} {
		_, _, err := f.Session(t.Context(), cookies[i])
		wantErr(t, "session", err, want)
	}
}
