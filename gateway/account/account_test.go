package account

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store"
)

// clock is moved by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// fixture is accounts over a real database, with hashes that cost little.
type fixture struct {
	*Accounts
	clock *clock
	log   *bytes.Buffer
}

func cheap() cost { return cost{time: 1, memory: 64, lanes: 1} }

func setup(t testing.TB) *fixture {
	t.Helper()
	c := &clock{t: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)}
	db, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "db"), Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	log := &bytes.Buffer{}
	a := newWithCost(Config{DB: db, Domain: "gate.test", Now: c.now, Log: slog.New(slog.NewJSONHandler(log, nil))}, cheap())
	return &fixture{a, c, log}
}

const (
	secret = "correct horse battery"
	wrong  = "incorrect horse battery"
)

func (f *fixture) user(t testing.TB, addresses ...string) *store.User {
	t.Helper()
	u, err := f.Create(t.Context(), store.User{Email: addresses[0], Addresses: addresses, Name: "Anna", Language: "ru"}, secret)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (f *fixture) login(t testing.TB, peer, address, password string) error {
	t.Helper()
	_, err := f.Login(t.Context(), Login{Door: "test", Peer: peer, Address: address, Password: password})
	return err
}

func wantErr(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func TestCreate(t *testing.T) {
	f := setup(t)
	u := f.user(t, "anna@one.test", "a@two.test")
	if !u.Claimed || u.ID == "" || len(u.Addresses) != 2 || u.Language != "ru" || u.Created.IsZero() {
		t.Errorf("created %+v", u)
	}
	for name, c := range map[string]struct {
		email, password string
		want            error
	}{
		"taken":             {"a@two.test", secret, ErrClaimed},
		"taken, other case": {"anna@ONE.test", secret, ErrClaimed},
		"short password":    {"b@one.test", "short", ErrPassword},
		"no address":        {"nobody", secret, ErrAddress},
		"line break":        {"b@one.test\r\nBcc: c@one.test", secret, ErrAddress},
		"two ats":           {"b@c@one.test", secret, ErrAddress},
		"long":              {strings.Repeat("b", 250) + "@one.test", secret, ErrAddress},
		"nothing":           {"", secret, ErrAddress},
	} {
		_, err := f.Create(t.Context(), store.User{Email: c.email}, c.password)
		wantErr(t, name, err, c.want)
	}
	for _, address := range []string{"anna@one.test", "anna@ONE.test", "a@two.test"} {
		got, err := f.Login(t.Context(), Login{Peer: "192.0.2.1", Address: address, Password: secret})
		if err != nil || got.ID != u.ID {
			t.Errorf("login as %s: %v, %v", address, got, err)
		}
	}
	wantErr(t, "other local part", f.login(t, "192.0.2.1", "ANNA@one.test", secret), ErrDenied)
}

func TestGuest(t *testing.T) {
	f := setup(t)
	g, err := f.Guest(t.Context(), "bob@far.test", "en")
	if err != nil || g.Claimed {
		t.Fatalf("guest %+v, %v", g, err)
	}
	again, err := f.Guest(t.Context(), "bob@FAR.test", "")
	if err != nil || again.ID != g.ID {
		t.Errorf("second guest %+v, %v; want the first", again, err)
	}
	u := f.user(t, "anna@one.test")
	same, err := f.Guest(t.Context(), "anna@one.test", "en")
	if err != nil || same.ID != u.ID || !same.Claimed {
		t.Errorf("guest of a claimed address %+v, %v", same, err)
	}
	_, err = f.Guest(t.Context(), "not an address", "en")
	wantErr(t, "bad address", err, ErrAddress)
	wantErr(t, "a guest has no password", f.login(t, "192.0.2.1", "bob@far.test", secret), ErrDenied)
}

func TestSetPassword(t *testing.T) {
	f := setup(t)
	u := f.user(t, "anna@one.test")
	cookie, err := f.NewSession(t.Context(), u.ID, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, "before", f.login(t, "192.0.2.1", "anna@one.test", secret), nil)
	for range budgetAccount {
		f.login(t, "192.0.2.1", "anna@one.test", wrong)
	}
	wantErr(t, "spent", f.login(t, "192.0.2.9", "anna@one.test", secret), ErrThrottled)
	wantErr(t, "weak", f.SetPassword(t.Context(), u.ID, "123456789"), ErrPassword)
	wantErr(t, "set", f.SetPassword(t.Context(), u.ID, "a new password"), nil)
	_, _, err = f.Session(t.Context(), cookie)
	wantErr(t, "old session", err, ErrNoSession)
	wantErr(t, "old password, lately used", f.login(t, "192.0.2.9", "anna@one.test", secret), ErrDenied)
	wantErr(t, "new password", f.login(t, "192.0.2.9", "anna@one.test", "a new password"), nil)
	if err := f.SetPassword(t.Context(), "nobody", "a new password"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unknown user: %v", err)
	}
}

func TestCheckPassword(t *testing.T) {
	for p, want := range map[string]error{
		"":                               ErrPassword,
		"123456789":                      ErrPassword,
		"1234567890":                     nil,
		"пароль-сто":                     nil, // ten characters, nineteen octets
		"пароль-ст":                      ErrPassword,
		strings.Repeat("x", 1000):        nil,
		strings.Repeat("x", 1001):        ErrPassword,
		"1234567890\x00":                 ErrPassword,
		"1234567890\xff":                 ErrPassword,
		strings.Repeat("\U0001F511", 10): nil,
	} {
		if got := CheckPassword(p); !errors.Is(got, want) {
			t.Errorf("%.20q (%d octets): %v, want %v", p, len(p), got, want)
		}
	}
}

// TestNothingSecretIsLogged runs what handles secrets and looks for them.
func TestNothingSecretIsLogged(t *testing.T) {
	f := setup(t)
	u := f.user(t, "anna@one.test")
	f.login(t, "192.0.2.1", "anna@one.test", wrong)
	f.login(t, "192.0.2.1", secret, wrong) // typed into the wrong field
	token, err := f.BeginRegistration(t.Context(), Mailing{Address: "bob@far.test", Language: "en", Peer: "192.0.2.1"})
	if err != nil || token == "" {
		t.Fatal(token, err)
	}
	if _, err := f.Claim(t.Context(), Claim{Token: token, Password: secret}); err != nil {
		t.Fatal(err)
	}
	cookie, err := f.NewSession(t.Context(), u.ID, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{secret, wrong, token, cookie, "argon2"} {
		if strings.Contains(f.log.String(), s) {
			t.Errorf("the log holds %q:\n%s", s, f.log)
		}
	}
	if !strings.Contains(f.log.String(), "login denied") {
		t.Errorf("no denial logged:\n%s", f.log)
	}
}

// TestRecommendedCost is the one with the real parameters: they reach the
// string and the hash can be checked.
func TestRecommendedCost(t *testing.T) {
	f := setup(t)
	a := New(Config{DB: f.DB})
	ctx := context.Background()
	hash, err := a.hash(ctx, secret)
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=65536,t=3,p=4$") {
		t.Fatalf("%s, %v", hash, err)
	}
	for p, want := range map[string]bool{secret: true, wrong: false} {
		if ok, err := verify(hash, p); ok != want || err != nil {
			t.Errorf("verify %q: %v, %v", p, ok, err)
		}
	}
}
