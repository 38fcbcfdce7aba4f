package smtpd

import (
	"context"
	"slices"
	"testing"

	"cryptogramm.ru/cryptogramm/store"
)

// TestInternationalLetter: a person whose address is beyond ASCII logs in,
// sends and is sent to, however his program writes the address.
func TestInternationalLetter(t *testing.T) {
	const kept = "пётр@xn--80a1acny.xn--p1ai"
	r := startRig(t, Limits{})
	_, err := r.accounts.Create(context.Background(), store.User{Email: kept}, secret)
	if err != nil {
		t.Fatal(err)
	}
	const letter = "From: Пётр <пётр@почта.рф>\r\nSubject: Договор\r\n\r\nтекст\r\n"
	for i, typed := range []string{kept, "пётр@почта.рф", "пе\u0308тр@ПОЧТА.рф"} {
		c := r.connect(t)
		c.say("AUTH PLAIN", "334 ")
		c.say(plainResponse(typed, typed, secret), "235 2.0.0")
		c.say("MAIL FROM:<"+typed+"> BODY=8BITMIME SMTPUTF8", "250 2.1.0")
		c.say("RCPT TO:<李雷@例え.テスト>", "250 2.1.5")
		c.say("RCPT TO:<李雷@xn--r8jz45g.xn--zckzah>", "250 2.1.5") // the same once more
		c.say("DATA", "354 ")
		c.send(letter + ".\r\n")
		c.want("250 2.0.0 id")
		c.say("QUIT", "221 2.0.0")

		in := r.inbox.all()[i]
		if in.env.From != kept || in.env.Login != kept || !slices.Equal(in.env.Recipients, []string{"李雷@xn--r8jz45g.xn--zckzah"}) {
			t.Errorf("%s: envelope %+v", typed, in.env)
		}
		if string(in.body) != letter {
			t.Errorf("%s: letter %q", typed, in.body)
		}
	}
	c := r.connect(t)
	c.say("AUTH PLAIN", "334 ")
	c.say(plainResponse("", "пётр@почта.рф", "a wrong password"), "535 5.7.8")
}
