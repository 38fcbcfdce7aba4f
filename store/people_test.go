package store

import (
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestUsers(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		u := User{
			ID: "u1", Email: "Alice@Example.test", Name: "Алиса", Phone: "+7", Language: "ru", Claimed: true, Admin: true,
			Addresses: []string{"second@example.test", "Alice@example.test"},
		}
		must(t, db.AddUser(ctx, u, "hash"))
		want := u
		want.Created, want.Addresses = p.clock.now(), []string{"Alice@Example.test", "second@example.test"}
		if have := got[*User](t)(db.UserByAddress(ctx, "second@EXAMPLE.test")); !reflect.DeepEqual(*have, want) {
			t.Errorf("user %+v, want %+v", *have, want)
		}
		if _, err := db.UserByAddress(ctx, "alice@example.test"); !errors.Is(err, ErrNotFound) {
			t.Errorf("the local part was folded: %v", err)
		}
		for _, taken := range []User{{ID: "u1", Email: "new@example.test"}, {ID: "u2", Email: "second@Example.test"}} {
			if err := db.AddUser(ctx, taken, ""); !errors.Is(err, ErrExists) {
				t.Errorf("%+v: %v", taken, err)
			}
		}
		must(t, db.SetPassword(ctx, "u1", "other"))
		must(t, db.SetProfile(ctx, "u1", "Alice", "en"))
		if hash := got[string](t)(db.PasswordHash(ctx, "u1")); hash != "other" {
			t.Errorf("hash %q", hash)
		}
		if have := got[*User](t)(db.UserByID(ctx, "u1")); have.Name != "Alice" || have.Language != "en" || have.ReceiptsOutside {
			t.Errorf("profile %+v", have)
		}
		for _, on := range []bool{true, false, true} {
			must(t, db.SetReceiptsOutside(ctx, "u1", on))
			if have := got[*User](t)(db.UserByID(ctx, "u1")); have.ReceiptsOutside != on {
				t.Errorf("receipts outside %v, want %v", have.ReceiptsOutside, on)
			}
		}
		if err := db.SetReceiptsOutside(ctx, "absent", true); !errors.Is(err, ErrNotFound) {
			t.Errorf("receipts of nobody: %v", err)
		}
		if err := db.SetPassword(ctx, "absent", ""); !errors.Is(err, ErrNotFound) {
			t.Errorf("password of nobody: %v", err)
		}
		for _, bad := range []string{"a\x00b", "a\xffb"} {
			if err := db.SetProfile(ctx, "u1", bad, "en"); !errors.Is(err, ErrText) {
				t.Errorf("name %q: %v", bad, err)
			}
		}
		must(t, db.AddUser(ctx, User{ID: "u3", Email: "c@example.test"}, ""))
		if list := got[[]User](t)(db.Users(ctx, "u1", 10)); len(list) != 1 || list[0].ID != "u3" || len(list[0].Addresses) != 1 {
			t.Errorf("users after u1: %+v", list)
		}
	})
}

func TestGuestsAndClaims(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		ids := make(map[string]bool)
		var mu sync.Mutex
		race(t, func(int) (bool, error) {
			u, err := db.EnsureGuest(ctx, newID(), "bob@Example.test", "en")
			if err == nil {
				mu.Lock()
				ids[u.ID] = true
				mu.Unlock()
			}
			return true, err
		})
		if users := got[[]User](t)(db.Users(ctx, "", 0)); len(ids) != 1 || len(users) != 1 || users[0].Claimed || users[0].Language != "en" {
			t.Fatalf("guest ids %v, users %+v", ids, users)
		}
		claims := race(t, func(int) (bool, error) {
			u, err := db.ClaimUser(ctx, "bob@example.test", newID(), "Bob", "ru", "hash")
			if errors.Is(err, ErrExists) {
				return false, nil
			}
			return err == nil && ids[u.ID] && u.Claimed, err
		})
		if claims != 1 {
			t.Fatalf("claimed %d times", claims)
		}
		fresh := race(t, func(int) (bool, error) {
			_, err := db.ClaimUser(ctx, "carol@example.test", newID(), "Carol", "ru", "hash")
			if errors.Is(err, ErrExists) {
				return false, nil
			}
			return err == nil, err
		})
		if fresh != 1 {
			t.Fatalf("a new account was claimed %d times", fresh)
		}
		if u := got[*User](t)(db.EnsureGuest(ctx, "x", "carol@example.test", "en")); !u.Claimed || u.Name != "Carol" {
			t.Fatalf("claimed account as guest: %+v", u)
		}
	})
}

func TestUserCertificates(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		u := addUser(t, db, "alice@example.test")
		c := UserCertificate{User: u.ID, DER: []byte{0x30, 0}, Subject: "CN=A", Issuer: "CN=I", Serial: "01", NotAfter: p.clock.now().Add(time.Hour)}
		must(t, db.AddUserCertificate(ctx, c))
		if err := db.AddUserCertificate(ctx, c); !errors.Is(err, ErrExists) {
			t.Errorf("registered twice: %v", err)
		}
		c.SHA256, c.Added = rem.DigestOf(c.DER), p.clock.now()
		if list := got[[]UserCertificate](t)(db.UserCertificates(ctx, u.ID)); len(list) != 1 || !reflect.DeepEqual(list[0], c) {
			t.Errorf("certificates %+v", list)
		}
		must(t, db.RemoveUserCertificate(ctx, u.ID, c.SHA256))
		if err := db.RemoveUserCertificate(ctx, u.ID, c.SHA256); !errors.Is(err, ErrNotFound) {
			t.Errorf("removed twice: %v", err)
		}
		c.User = "nobody"
		if err := db.AddUserCertificate(ctx, c); !errors.Is(err, ErrNotFound) {
			t.Errorf("of nobody: %v", err)
		}
	})
}

func TestSessions(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		u := addUser(t, db, "alice@example.test")
		session := func(name string, life time.Duration) Session {
			return Session{Token: rem.DigestOf([]byte(name)), User: u.ID, Consignment: name, Created: p.clock.now(), Expires: p.clock.now().Add(life)}
		}
		short, long, other := session("short", time.Minute), session("long", time.Hour), session("other", time.Hour)
		for _, s := range []Session{short, long, other} {
			must(t, db.AddSession(ctx, s))
		}
		if have := got[*Session](t)(db.SessionByToken(ctx, short.Token)); *have != short {
			t.Errorf("session %+v", have)
		}
		p.clock.advance(time.Minute)
		if _, err := db.SessionByToken(ctx, short.Token); !errors.Is(err, ErrNotFound) {
			t.Errorf("expired session: %v", err)
		}
		must(t, db.DeleteSession(ctx, other.Token))
		if _, err := db.SessionByToken(ctx, other.Token); !errors.Is(err, ErrNotFound) {
			t.Errorf("ended session: %v", err)
		}
		must(t, db.AddSession(ctx, session("new", time.Hour)))
		must(t, db.DeleteSessions(ctx, u.ID))
		if _, err := db.SessionByToken(ctx, long.Token); !errors.Is(err, ErrNotFound) {
			t.Errorf("session after the end of all: %v", err)
		}
	})
}

func TestFailures(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		start := p.clock.now()
		for range 3 {
			must(t, db.AddFailure(ctx, "account"))
			p.clock.advance(time.Minute)
		}
		must(t, db.AddFailure(ctx, "address"))
		if n := got[int](t)(db.Failures(ctx, "account", start.Add(time.Minute))); n != 2 {
			t.Errorf("%d failures since the second", n)
		}
		must(t, db.ClearFailures(ctx, "account"))
		p.clock.advance(failureMemory + time.Minute)
		must(t, db.AddFailure(ctx, "other"))
		for key, want := range map[string]int{"account": 0, "address": 0, "other": 1} {
			if n := got[int](t)(db.Failures(ctx, key, start)); n != want {
				t.Errorf("%d failures of %s, want %d", n, key, want)
			}
		}
	})
}
