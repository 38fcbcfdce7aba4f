package store

import (
	"errors"
	"sync"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// TestResetPassword: a reset is everything that belongs to it, once, or nothing.
func TestResetPassword(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		must(t, db.AddUser(ctx, User{ID: "u1", Email: "alice@example.test", Addresses: []string{"also@example.test"}, Claimed: true}, "old"))
		must(t, db.AddUser(ctx, User{ID: "u2", Email: "guest@example.test"}, ""))
		token := func(secret, subject string) rem.Digest {
			d := rem.DigestOf([]byte(secret))
			must(t, db.AddToken(ctx, Token{Hash: d, Kind: "reset", Subject: subject, Expires: p.clock.now().Add(time.Hour)}))
			return d
		}
		first, second, other := token("1", "alice@example.test"), token("2", "also@example.test"), token("3", "guest@example.test")
		must(t, db.AddSession(ctx, Session{Token: rem.DigestOf([]byte("s1")), User: "u1", Expires: p.clock.now().Add(time.Hour)}))
		must(t, db.AddSession(ctx, Session{Token: rem.DigestOf([]byte("s2")), User: "u2", Expires: p.clock.now().Add(time.Hour)}))
		must(t, db.AddFailure(ctx, "f:also@example.test"))
		reset := func(d rem.Digest, hash string) error {
			_, err := db.ResetPassword(ctx, PasswordReset{
				Kind: "reset", Token: d, Password: hash, Failures: func(a string) string { return "f:" + a },
				Jobs: func(u *User) []Job { return []Job{{ID: "told-" + hash, Kind: "told", Subject: u.ID}} },
			})
			return err
		}
		if err := reset(rem.DigestOf([]byte("none")), "x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("an unknown token: %v", err)
		}
		if err := reset(other, "x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("a guest's address: %v", err)
		}
		if _, err := db.TokenByHash(ctx, "reset", other); err != nil {
			t.Errorf("a reset that failed used its token: %v", err)
		}
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() { errs[i] = reset(first, "new") })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, ErrUsed) {
				t.Error(err)
			}
		}
		if won != 1 {
			t.Errorf("%d resets by one token", won)
		}
		if hash := got[string](t)(db.PasswordHash(ctx, "u1")); hash != "new" {
			t.Errorf("hash %q", hash)
		}
		if err := reset(second, "newer"); !errors.Is(err, ErrUsed) {
			t.Errorf("another link of the same account: %v", err)
		}
		if _, err := db.SessionByToken(ctx, rem.DigestOf([]byte("s1"))); !errors.Is(err, ErrNotFound) {
			t.Errorf("his session: %v", err)
		}
		if _, err := db.SessionByToken(ctx, rem.DigestOf([]byte("s2"))); err != nil {
			t.Errorf("another's session: %v", err)
		}
		if n := got[int](t)(db.Failures(ctx, "f:also@example.test", time.Time{})); n != 0 {
			t.Errorf("%d failures", n)
		}
		jobs := got[[]Job](t)(db.Jobs(ctx, 10))
		if len(jobs) != 1 || jobs[0].Subject != "u1" {
			t.Errorf("jobs %+v", jobs)
		}
		p.clock.advance(2 * time.Hour)
		late := rem.DigestOf([]byte("4"))
		must(t, db.AddToken(ctx, Token{Hash: late, Kind: "reset", Subject: "alice@example.test", Expires: p.clock.now()}))
		if err := reset(late, "x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("an expired token: %v", err)
		}
	})
}
