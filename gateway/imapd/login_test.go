package imapd

import "testing"

// TestEndedLogin: with a new password, or when the owner ends all logins,
// every connection of the account is closed: one in IDLE and a silent one at
// once, one with commands on their way before the next of them.
func TestEndedLogin(t *testing.T) {
	r := startRig(t, Limits{})
	const ended = "* BYE [EXPIRED]"
	for name, end := range map[string]func() error{
		"all sessions":   func() error { return r.Accounts.EndSessions(t.Context(), r.user.ID) },
		"a new password": func() error { return r.Accounts.SetPassword(t.Context(), r.user.ID, secret) },
	} {
		idle, silent, fresh := r.open(t, "INBOX"), r.open(t, "Drafts"), r.logIn(t)
		stranger := r.connect(t)
		idle.send("i IDLE\r\n")
		idle.want("+ ")
		silent.send("a APPEND Drafts {5}\r\n")
		silent.want("+ ")
		if err := end(); err != nil {
			t.Fatal(err)
		}
		idle.want(ended)
		idle.wantClosed()
		fresh.want(ended)
		fresh.wantClosed()
		silent.send("a\r\nb\r\n")
		silent.wantEnd()
		stranger.ok("NOOP")
		again := r.open(t, "Drafts")
		again.ok("NOOP")
		again.ok("LOGOUT")
		if t.Failed() {
			t.Fatal(name)
		}
	}
}
