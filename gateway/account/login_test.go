package account

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
)

func TestLoginBudgetOfAnAccount(t *testing.T) {
	f := setup(t)
	f.user(t, "anna@one.test")
	for _, address := range []string{"anna@one.test", "nobody@one.test"} { // the same for both
		for i := range budgetAccount {
			wantErr(t, fmt.Sprintf("%s, guess %d", address, i), f.login(t, fmt.Sprintf("192.0.2.%d", i), address, wrong), ErrDenied)
		}
		wantErr(t, address+" after the budget", f.login(t, "198.51.100.1", address, secret), ErrThrottled)
	}
	f.clock.add(budgetWindow + time.Second)
	wantErr(t, "after the window", f.login(t, "198.51.100.1", "anna@one.test", secret), nil)
}

func TestLoginBudgetOfAPeer(t *testing.T) {
	f := setup(t)
	f.user(t, "anna@one.test")
	for i := range budgetPeer {
		peer := fmt.Sprintf("2001:db8:1:2:%x::1", i) // one customer's /64
		wantErr(t, "guess", f.login(t, peer, fmt.Sprintf("user%d@one.test", i), wrong), ErrDenied)
	}
	wantErr(t, "same /64", f.login(t, "[2001:db8:1:2:ffff::9]:25", "anna@one.test", secret), ErrThrottled)
	wantErr(t, "other /64", f.login(t, "2001:db8:1:3::1", "anna@one.test", secret), nil)
}

func TestPeerKey(t *testing.T) {
	for peer, want := range map[string]string{
		"192.0.2.1":              "peer:192.0.2.1",
		"192.0.2.1:4711":         "peer:192.0.2.1",
		"::ffff:192.0.2.1":       "peer:192.0.2.1",
		"2001:db8::1":            "peer:2001:db8::/64",
		"fe80::1%eth0":           "peer:fe80::/64",
		"[2001:db8::1]:25":       "peer:2001:db8::/64",
		"pipe":                   "",
		"":                       "",
		"192.0.2.1; DROP TABLE;": "",
	} {
		if got := peerKey(peer); got != want {
			t.Errorf("%q: %q, want %q", peer, got, want)
		}
	}
}

// A hundred parallel guesses are ten: the budget cannot be overrun by asking
// before the failures are counted.
func TestParallelGuesses(t *testing.T) {
	f := setup(t)
	f.user(t, "anna@one.test")
	var denied, throttled atomic.Int64
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			switch err := f.login(t, fmt.Sprintf("10.0.0.%d", i), "anna@one.test", wrong); {
			case errors.Is(err, ErrDenied):
				denied.Add(1)
			case errors.Is(err, ErrThrottled):
				throttled.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if denied.Load() != budgetAccount || throttled.Load() != 100-budgetAccount {
		t.Errorf("%d denied, %d throttled", denied.Load(), throttled.Load())
	}
}

// The cache spares a hash, and is no way around the budget.
func TestLoginCache(t *testing.T) {
	f := setup(t)
	u := f.user(t, "anna@one.test")
	l := Login{Peer: "192.0.2.1", Address: "anna@one.test", Password: secret}
	wantErr(t, "first", f.login(t, l.Peer, l.Address, l.Password), nil)
	phc, err := f.DB.PasswordHash(t.Context(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !f.cache.has(f.clock.now(), l, phc) {
		t.Fatal("a success is not remembered")
	}
	for range cap(f.slots) { // no hash can run now
		f.slots <- struct{}{}
	}
	wantErr(t, "from the cache", f.login(t, l.Peer, l.Address, l.Password), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = f.Login(ctx, Login{Peer: l.Peer, Address: l.Address, Password: wrong})
	if err == nil || errors.Is(err, ErrDenied) {
		t.Errorf("a wrong password was judged without a hash: %v", err)
	}
	for range cap(f.slots) {
		<-f.slots
	}
	for range budgetAccount {
		f.login(t, l.Peer, l.Address, wrong)
	}
	wantErr(t, "right, in the cache, budget spent", f.login(t, l.Peer, l.Address, l.Password), ErrThrottled)
	if f.clock.add(cacheLife); f.cache.has(f.clock.now(), l, phc) {
		t.Error("remembered for more than a minute")
	}
}

func TestCacheTags(t *testing.T) {
	c, now := newCache(), time.Unix(1e9, 0)
	l := Login{Address: "a@b.test", Password: "xy"}
	c.add(now, l, "hash")
	for name, other := range map[string]struct {
		l   Login
		phc string
	}{
		"password": {Login{Address: "a@b.test", Password: "xz"}, "hash"},
		"address":  {Login{Address: "b@b.test", Password: "xy"}, "hash"},
		"hash":     {l, "hasi"},
		"shifted":  {Login{Address: "a@b.testx", Password: "y"}, "hash"},
	} {
		if c.has(now, other.l, other.phc) {
			t.Errorf("another %s passes", name)
		}
	}
	if !c.has(now, Login{Address: "a@B.TEST", Password: "xy", Peer: "1"}, "hash") {
		t.Error("the same login does not pass")
	}
	if newCache().tag(l, "hash") == c.tag(l, "hash") {
		t.Error("two processes share a key")
	}
	for i := range 3 * cacheSize {
		c.add(now, Login{Address: fmt.Sprint(i)}, "")
	}
	if len(c.expires) > cacheSize {
		t.Errorf("%d entries", len(c.expires))
	}
}

func TestBusy(t *testing.T) {
	f := setup(t)
	f.user(t, "anna@one.test")
	for range cap(f.slots) {
		f.slots <- struct{}{}
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Nanosecond, ErrBusy)
	defer cancel()
	<-ctx.Done()
	if _, err := f.turn(ctx, "anna@one.test"); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
	for i := range f.gates {
		if len(f.gates[i]) != 0 {
			t.Fatal("a gate stays shut")
		}
	}
}

// Work is the number of Argon2 blocks a login fills; equal for every kind of
// failure. It is taken from the hash that is computed, not from a stopwatch.
func TestEqualWork(t *testing.T) {
	f := setup(t)
	u := f.user(t, "anna@one.test")
	if _, err := f.Guest(t.Context(), "guest@one.test", ""); err != nil {
		t.Fatal(err)
	}
	real, err := f.DB.PasswordHash(t.Context(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	want, _, _, err := parsePHC(real)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"anna@one.test", "guest@one.test", "nobody@one.test", "nul\x00@one.test"} {
		_, phc, err := f.credentials(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, _, err := parsePHC(phc); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", address, got, err, want)
		}
		wantErr(t, address, f.login(t, "192.0.2.1", address, wrong), ErrDenied)
	}
}

func TestVerifyRefusesBrokenHashes(t *testing.T) {
	good := cheap().encode(secret)
	if ok, err := verify(good, secret); !ok || err != nil {
		t.Fatal(ok, err)
	}
	salt := make([]byte, saltLen)
	for name, s := range map[string]string{
		"empty":       "",
		"bcrypt":      "$2y$10$abcdefghijklmnopqrstuv",
		"argon2i":     "$argon2i" + good[len("$argon2id"):],
		"huge memory": cost{time: 1, memory: 1 << 21, lanes: 1}.phc(salt, salt),
		"no pass":     cost{time: 0, memory: 64, lanes: 1}.phc(salt, salt),
		"short key":   cheap().phc(salt, salt[:8]),
		"trailing":    good + "$",
		"padding":     good + "=",
		"plus sign":   "$argon2id$v=+19" + good[len("$argon2id$v=19"):],
	} {
		if ok, err := verify(s, secret); ok || !errors.Is(err, errHash) {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
}

// FuzzPHC: what parses is exactly what we write, within the bounds that keep a
// damaged row from costing the process.
func FuzzPHC(f *testing.F) {
	f.Add(cheap().encode(secret))
	f.Add(recommended().decoy())
	f.Add("$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$YWJjZGVmZ2hpamtsbW5vcA")
	f.Fuzz(func(t *testing.T, s string) {
		k, salt, key, err := parsePHC(s)
		if err != nil {
			return
		}
		if k.phc(salt, key) != s {
			t.Errorf("%q is written %q", s, k.phc(salt, key))
		}
		if k.memory > 1<<20 || k.time > 64 || len(salt) < 8 || len(key) < 16 {
			t.Errorf("out of bounds: %+v, salt %d, key %d", k, len(salt), len(key))
		}
	})
}

func BenchmarkHash(b *testing.B) {
	k, salt := recommended(), make([]byte, saltLen)
	for b.Loop() {
		argon2.IDKey([]byte(secret), salt, k.time, k.memory, k.lanes, keyLen)
	}
}
