package store

import (
	"fmt"
	"testing"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// TestLoginsEnd: whoever keeps a login hears that it has ended, on every node,
// even when the message of that gets lost.
func TestLoginsEnd(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		o := newOffice(t, p)
		node := o.db
		if p.Driver == "postgres" {
			node = p.open(t)
		}
		rings, others := make(chan struct{}, 1), make(chan struct{}, 1)
		stop := node.WatchLogins(o.alice.ID, func() { give(rings) })
		defer node.WatchLogins(o.bob.ID, func() { give(others) })()
		if p.Driver == "postgres" {
			heard(t, "the beginning", rings)
			heard(t, "the beginning", others)
		}
		logins := func() string { return fmt.Sprint(got[int64](t)(node.Logins(ctx, o.alice.ID))) }
		want(t, logins(), "0")

		must(t, o.db.AddToken(ctx, Token{Kind: "reset", Hash: rem.DigestOf([]byte("t")), Subject: o.alice.Email, Expires: p.clock.now().Add(1 << 40)}))
		for i, end := range []func() error{
			func() error { return o.db.DeleteSessions(ctx, o.alice.ID) },
			func() error {
				_, err := o.db.ResetPassword(ctx, PasswordReset{
					Kind: "reset", Token: rem.DigestOf([]byte("t")), Password: "hash",
					Failures: func(string) string { return "" }, Jobs: func(*User) []Job { return nil },
				})
				return err
			},
		} {
			must(t, end())
			heard(t, "an end", rings)
			want(t, logins(), fmt.Sprint(i+1))
		}
		silent(t, "another user", others)

		if p.Driver == "postgres" {
			seen := got[map[string]int64](t)(node.hub.sweep(ctx, node, nil))
			relay := o.db.hub.relay
			o.db.hub.relay = nil
			must(t, o.db.DeleteSessions(ctx, o.alice.ID))
			o.db.hub.relay = relay
			got[map[string]int64](t)(node.hub.sweep(ctx, node, seen))
			heard(t, "a lost message", rings)
		}
		stop()
		must(t, node.DeleteSessions(ctx, o.alice.ID))
		silent(t, "a stopped watch", rings)
		want(t, fmt.Sprint(len(node.hub.alarms)), "1")
	})
}
