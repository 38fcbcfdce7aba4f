package smtpd

import (
	"testing"

	"cryptogramm.ru/cryptogramm/gateway/account"
)

// TestEndedLogin: with a new password, or when the owner ends all logins,
// connections that are logged in submit nothing more, not even a letter that
// was begun before.
func TestEndedLogin(t *testing.T) {
	r := startRig(t, Limits{})
	for name, end := range map[string]func(id string) error{
		"all sessions":   func(id string) error { return r.accounts.EndSessions(t.Context(), id) },
		"a new password": func(id string) error { return r.accounts.SetPassword(t.Context(), id, secret) },
	} {
		idle, open, chunks := r.logIn(t), r.logIn(t), r.logIn(t)
		for _, c := range []*client{open, chunks} {
			c.say("MAIL FROM:<"+anna+">", "250")
			c.say("RCPT TO:<bob@far.test>", "250")
		}
		u, err := r.accounts.Login(t.Context(), account.Login{Address: anna, Password: secret})
		if err == nil {
			err = end(u.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
		idle.say("MAIL FROM:<"+anna+">", "421 4.7.0")
		idle.wantClosed()
		open.say("DATA", "354")
		open.send("Subject: x\r\n\r\nbody\r\n.\r\n")
		open.want("421 4.7.0")
		open.wantClosed()
		chunks.send("BDAT 4 LAST\r\nx\r\n\r\n")
		chunks.want("421 4.7.0")
		again := r.logIn(t)
		again.say("MAIL FROM:<"+anna+">", "250")
		if n := len(r.inbox.all()); n > 0 {
			t.Errorf("%s: %d letters came through", name, n)
		}
	}
}
