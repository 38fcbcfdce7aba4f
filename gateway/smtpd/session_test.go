package smtpd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestLetterThroughBothDoors(t *testing.T) {
	r := startRig(t, Limits{})
	for i, door := range []string{"submissions", "submission"} {
		var c *client
		if door == "submissions" {
			c = r.connect(t)
			c.say("AUTH PLAIN", "334 ")
			c.say(plainResponse("", anna, secret), "235 2.0.0")
		} else {
			c = dial(t, r.plain)
			c.want("220 gate.test")
			c.say("EHLO client.test", "250-gate.test")
			c.say("STARTTLS", "220 2.0.0")
			c.startTLS()
			c.say("EHLO client.test", "250-Hello client.test")
			c.say("AUTH LOGIN", "334 "+b64("Username:"))
			c.say(b64(anna), "334 "+b64("Password:"))
			c.say(b64(secret), "235 2.0.0")
		}
		c.say("MAIL FROM:<"+annaAlso+"> SIZE=100 BODY=8BITMIME", "250 2.1.0")
		c.say("RCPT TO:<bob@far.test>", "250 2.1.5")
		c.say("RCPT TO:<bob@FAR.test>", "250 2.1.5") // the same once more
		c.say("RCPT TO:<carol@far.test>", "250 2.1.5")
		c.say("DATA", "354 ")
		c.send("Subject: dots\r\n\r\n..one\r\n...\r\nend.\r\n.\r\n")
		got := c.want("250 2.0.0 id")
		c.say("QUIT", "221 2.0.0")
		c.wantClosed()

		in := r.inbox.all()[i]
		if want := "250 2.0.0 " + in.env.ID + " accepted\r\n"; got != want {
			t.Errorf("%s: %q, want %q", door, got, want)
		}
		if string(in.body) != "Subject: dots\r\n\r\n.one\r\n..\r\nend.\r\n" {
			t.Errorf("%s: body %q", door, in.body)
		}
		e := in.env
		if e.Door != door || e.From != annaAlso || e.Login != anna || e.Account == "" || e.Peer != "127.0.0.1" ||
			!strings.HasPrefix(e.TLS, "TLS 1.3 TLS_") || !slices.Equal(e.Recipients, []string{"bob@far.test", "carol@far.test"}) ||
			!slices.Equal(slices.Sorted(slices.Values(e.Addresses)), []string{annaAlso, anna}) {
			t.Errorf("%s: envelope %+v", door, e)
		}
	}
}

func TestCapabilities(t *testing.T) {
	r := startRig(t, Limits{})
	secureWords := []string{"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "SMTPUTF8", "AUTH PLAIN LOGIN", fmt.Sprintf("SIZE %d", limit+1)}
	c := dial(t, r.tls).startTLS()
	c.want("220 ")
	checkWords(t, c.say("EHLO c.test", "250"), secureWords)
	c = dial(t, r.plain)
	c.want("220 ")
	checkWords(t, c.say("EHLO c.test", "250"), []string{"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", fmt.Sprintf("SIZE %d", limit), "STARTTLS", "SMTPUTF8"})
}

func checkWords(t *testing.T, reply string, want []string) {
	t.Helper()
	var got []string
	for i, line := range strings.Split(strings.TrimSpace(reply), "\r\n") {
		if i > 0 {
			got = append(got, line[4:])
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("EHLO says %q, want %q", got, want)
	}
}

// step is one line of a dialogue and the start of its reply.
type step struct{ line, want string }

func TestCommands(t *testing.T) {
	r := startRig(t, Limits{Recipients: 3})
	mail := step{"MAIL FROM:<" + anna + ">", "250 2.1.0"}
	cases := map[string][]step{
		"null sender":          {{"MAIL FROM:<>", "550 5.7.1"}},
		"sender of another":    {{"MAIL FROM:<bob@one.test>", "550 5.7.1"}},
		"sender, other case":   {{"MAIL FROM:<anna@ONE.test>", "250 2.1.0"}},
		"sender, local case":   {{"MAIL FROM:<ANNA@one.test>", "550 5.7.1"}},
		"sender with a space":  {{`MAIL FROM:<"an na"@one.test>`, "501 5.1.7"}},
		"sender without at":    {{"MAIL FROM:<anna>", "501 5.5.2"}},
		"sender too large":     {{"MAIL FROM:<" + anna + "> SIZE=1048577", "552 5.3.4"}},
		"sender at the limit":  {{"MAIL FROM:<" + anna + "> SIZE=1048576", "250 2.1.0"}},
		"SMTPUTF8":             {{"MAIL FROM:<" + anna + "> SMTPUTF8", "250 2.1.0 Sender taken"}, {"RCPT TO:<боб@почта.рф>", "250 2.1.5 Recipient taken"}},
		"SMTPUTF8, bad":        {{"MAIL FROM:<" + anna + "> SMTPUTF8", "250"}, {"RCPT TO:<б\u202eоб@far.test>", "501 5.1.3"}, {"RCPT TO:<б\xffб@far.test>", "501 5.1.3"}, {"RCPT TO:<боб@fa\u00adr.test>", "501 5.1.3"}},
		"sender in UTF-8":      {{"MAIL FROM:<пётр@one.test>", "553 5.6.7"}, {"MAIL FROM:<пётр@one.test> SMTPUTF8", "550 5.7.1"}, mail},
		"BINARYMIME":           {{"MAIL FROM:<" + anna + "> BODY=BINARYMIME", "504 5.5.4"}},
		"DSN":                  {{"MAIL FROM:<" + anna + "> RET=FULL", "504 5.5.4"}},
		"second MAIL":          {mail, {"RCPT TO:<bob@far.test>", "250"}, {"MAIL FROM:<" + anna + ">", "503 5.5.1"}, {"RSET", "250 2.0.0"}, mail},
		"EHLO ends it":         {mail, {"EHLO again.test", "250"}, mail},
		"RCPT first":           {{"RCPT TO:<bob@far.test>", "502 5.5.1"}},
		"recipients":           {mail, {"RCPT TO:<a@far.test>", "250"}, {"RCPT TO:<b@far.test>", "250"}, {"RCPT TO:<c@far.test>", "250"}, {"RCPT TO:<d@far.test>", "452 4.5.3"}, {"RCPT TO:<b@FAR.test>", "250"}},
		"bad recipients":       {mail, {"RCPT TO:<a..b@far.test>", "501 5.1.3"}, {"RCPT TO:<a@far_.test>", "501 5.1.3"}, {"RCPT TO:<a@[127.0.0.1]>", "501 5.1.3"}, {"RCPT TO:<>", "501 5.5.2"}, {"RCPT TO:<Postmaster>", "501 5.5.2"}, {"RCPT TO:<a@far.test,b@far.test>", "501 5.1.3"}, {"RCPT TO:<a%b@c@far.test>", "501 5.1.3"}},
		"recipient in UTF-8":   {mail, {"RCPT TO:<боб@far.test>", "553 5.6.7"}, {"RCPT TO:<bob@почта.рф>", "553 5.6.7"}, {"RCPT TO:<bob@xn--80a1acny.xn--p1ai>", "250 2.1.5"}},
		"NOOP":                 {{"NOOP", "250 2.0.0 OK"}},
		"unknown command":      {{"XYZZ", "500 5.5.2"}},
		"VRFY tells nothing":   {{"VRFY anna", "252 2.5.0"}},
		"no EXPN":              {{"EXPN staff", "502 5.5.1"}},
		"no second AUTH":       {{"AUTH PLAIN", "503 5.5.1"}},
		"no STARTTLS in TLS":   {{"STARTTLS", "502 5.5.1"}},
		"HELO":                 {{"HELO c.test", "250 2.0.0"}, mail},
		"no HELO name":         {{"EHLO ", "501"}},
		"terminal escapes":     {{"HELO \xe2\x80\xaec.test", "250 2.0.0 Hello ???c.test"}},
		"DATA with parameters": {mail, {"RCPT TO:<b@far.test>", "250"}, {"DATA now", "501 5.5.4"}},
	}
	for name, steps := range cases {
		t.Run(name, func(t *testing.T) {
			c := r.logIn(t)
			for _, s := range steps {
				c.say(s.line, s.want)
			}
		})
	}
	if n := len(r.inbox.all()); n != 0 {
		t.Errorf("%d letters", n)
	}
}

func TestAuth(t *testing.T) {
	r := startRig(t, Limits{})
	plain := func(z, c, p string) string { return "AUTH PLAIN " + plainResponse(z, c, p) }
	cases := map[string][]step{
		"MAIL before AUTH":       {{"MAIL FROM:<" + anna + ">", "530 5.7.0"}, {"RCPT TO:<b@far.test>", "502 5.5.1"}},
		"own authzid":            {{plain("anna@ONE.test", anna, secret), "235 2.0.0"}},
		"another's authzid":      {{plain("bob@one.test", anna, secret), "535 5.7.8"}},
		"wrong password":         {{plain("", anna, "wrong"), "535 5.7.8"}, {plain("", anna, secret), "235 2.0.0"}},
		"unknown address":        {{plain("", "nobody@one.test", secret), "535 5.7.8"}},
		"other mechanism":        {{"AUTH CRAM-MD5", "504 5.5.4"}},
		"no mechanism":           {{"AUTH ", "501"}},
		"broken base64":          {{"AUTH PLAIN !!!!", "454 4.7.0"}},
		"PLAIN with two parts":   {{"AUTH PLAIN " + b64("a\x00b"), "501 5.5.2"}},
		"PLAIN with four parts":  {{"AUTH PLAIN " + b64("a\x00b\x00c\x00d"), "501 5.5.2"}},
		"PLAIN empty password":   {{"AUTH PLAIN " + b64("\x00"+anna+"\x00"), "501 5.5.2"}},
		"PLAIN empty response":   {{"AUTH PLAIN =", "501 5.5.2"}},
		"cancelled":              {{"AUTH PLAIN", "334"}, {"*", "501 5.0.0"}, {plain("", anna, secret), "235"}},
		"LOGIN initial response": {{"AUTH LOGIN " + b64(anna), "334 " + b64("Password:")}, {b64(secret), "235"}},
		"LOGIN wrong":            {{"AUTH LOGIN", "334"}, {b64(anna), "334"}, {b64("wrong password"), "535 5.7.8"}},
		"LOGIN empty name":       {{"AUTH LOGIN", "334"}, {"", "501 5.5.2"}},
		"LOGIN with NUL":         {{"AUTH LOGIN", "334"}, {b64("a\x00b"), "501 5.5.2"}},
		"a response like BDAT":   {{"AUTH LOGIN", "334"}, {"BDAT 5 LAST", "454 4.7.0"}, {"NOOP", "250"}},
		"a response like DATA":   {{"AUTH LOGIN", "334"}, {"DATA", "334"}, {b64("wrong password"), "535"}, {"NOOP", "250"}},
	}
	for name, steps := range cases {
		t.Run(name, func(t *testing.T) {
			c := r.connect(t)
			for _, s := range steps {
				c.say(s.line, s.want)
			}
		})
	}
}

// Three failures close the connection, with the reply to the third.
func TestAuthFailuresClose(t *testing.T) {
	r := startRig(t, Limits{})
	c := r.connect(t)
	for _, line := range []string{
		"AUTH PLAIN " + plainResponse("", anna, "wrong password"),
		"AUTH PLAIN " + plainResponse("bob@one.test", anna, secret),
	} {
		c.say(line, "535 5.7.8")
	}
	c.say("EHLO again.test", "250") // does not forgive
	c.send("AUTH PLAIN " + plainResponse("", anna, "wrong password") + "\r\nAUTH PLAIN " + plainResponse("", anna, secret) + "\r\n")
	c.want("535 5.7.8")
	c.wantClosed()
}

// The budget is the accounts' own: spent here, it is spent for a new
// connection too.
func TestAuthBudget(t *testing.T) {
	r := startRig(t, Limits{})
	c := r.connect(t)
	for i := range 10 {
		if i%3 == 0 {
			c = r.connect(t)
		}
		c.say("AUTH PLAIN "+plainResponse("", anna, "wrong password"), "535 5.7.8")
	}
	c = r.connect(t)
	c.say("AUTH PLAIN "+plainResponse("", anna, secret), "454 4.7.0")
	c.wantClosed()
}

func TestRefusal(t *testing.T) {
	r := startRig(t, Limits{})
	cause := errors.New("cause for the log")
	r.inbox.answer = func(rem.Envelope) error {
		f := rem.Finding{Verdict: rem.Failed}
		refusal := rem.Refuse(rem.ReasonSignatureFailed, "The document \"акт.pdf\" was changed.", f)
		refusal.Err = cause
		return refusal
	}
	c := r.logIn(t)
	c.begin()
	c.say("DATA", "354")
	c.send(goodLetter + ".\r\n")
	got := c.want("550-5.7.7 The document \"???.pdf\" was changed.\r\n550-5.7.7 Nothing was sent. ")
	if last := strings.Split(strings.TrimSpace(got), "\r\n"); !strings.HasPrefix(last[len(last)-1], "550 5.7.7 id0") {
		t.Errorf("last line of %q", got)
	}
	c.wantClosed()
	e := r.lastEvent(t)
	if e["verdict"] != "refused" || e["reason"] != "signature-failed" || e["finding"] != "failed" || e["error"] != cause.Error() {
		t.Errorf("event %v", e)
	}
}

// lastEvent is the last wide event in the log.
func (r *rig) lastEvent(t *testing.T) map[string]any {
	t.Helper()
	var last map[string]any
	waitFor(t, "an event in the log", func() bool {
		for line := range strings.Lines(r.log.String()) {
			var e map[string]any
			if json.Unmarshal([]byte(line), &e) == nil && e["msg"] == "submission" {
				last = e
			}
		}
		return last != nil
	})
	return last
}

func TestEvents(t *testing.T) {
	r := startRig(t, Limits{})
	c := r.logIn(t)
	c.begin()
	c.say("DATA", "354")
	c.send(goodLetter + ".\r\n")
	c.want("250 2.0.0")
	e := r.lastEvent(t)
	for key, want := range map[string]any{
		"level": "INFO", "verdict": "accepted", "code": 250.0, "login": anna, "from": anna, "peer": "127.0.0.1",
		"door": "submissions", "recipients": 1.0, "size": float64(len(goodLetter)), "id": r.inbox.all()[0].env.ID,
	} {
		if e[key] != want {
			t.Errorf("%s: %v, want %v", key, e[key], want)
		}
	}
	if e["tls"] == "" || e["duration"] == nil {
		t.Errorf("event %v", e)
	}
	c.begin()
	c.say("RSET", "250")
	if e := r.lastEvent(t); e["verdict"] != "abandoned" || e["size"] != 0.0 {
		t.Errorf("event %v", e)
	}
	log := r.log.String()
	for _, hidden := range []string{secret, plainResponse("", anna, secret), "Subject", "body"} {
		if strings.Contains(log, hidden) {
			t.Errorf("the log holds %q", hidden)
		}
	}
	if n := strings.Count(log, `"msg":"submission"`); n != 2 {
		t.Errorf("%d events for two transactions", n)
	}
}

// A repeated letter is answered with the id of the first.
func TestRepeatedLetter(t *testing.T) {
	r := startRig(t, Limits{})
	accept := r.receive
	r.receive = func(ctx context.Context, env rem.Envelope, b io.Reader) (string, error) {
		_, err := accept(ctx, env, b)
		return "id-of-the-first", err
	}
	c := r.logIn(t)
	c.begin()
	c.say("DATA", "354")
	c.send(goodLetter + ".\r\n")
	c.want("250 2.0.0 id-of-the-first accepted")
	if e := r.lastEvent(t); e["verdict"] != "repeated" || e["submission"] != "id-of-the-first" {
		t.Errorf("event %v", e)
	}
}

// A panic of ours is one letter's failure, under DATA and under BDAT.
func TestPanic(t *testing.T) {
	r := startRig(t, Limits{})
	r.inbox.answer = func(rem.Envelope) error { panic("what nobody may see") }
	for _, verb := range []string{"DATA", "BDAT"} {
		c := r.logIn(t)
		c.begin()
		if verb == "DATA" {
			c.say("DATA", "354")
			c.send(goodLetter + ".\r\n")
		} else {
			c.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(goodLetter), goodLetter))
		}
		got := c.want("451 4.3.0 id0")
		if strings.Contains(got, "nobody") {
			t.Errorf("%s: %q", verb, got)
		}
		c.wantClosed()
		if e := r.lastEvent(t); e["panic"] != "what nobody may see" || e["level"] != "ERROR" || !strings.Contains(e["stack"].(string), "session_test.go") {
			t.Errorf("%s: event %v", verb, e)
		}
	}
	r.inbox.answer = nil
	c := r.logIn(t)
	c.begin()
	c.say("DATA", "354")
	c.send(goodLetter + ".\r\n")
	c.want("250 2.0.0")
}
