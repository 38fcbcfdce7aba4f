package webview

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestAddressesCannotBeGuessedOnTheLettersPage(t *testing.T) {
	w := newWorld(t)
	c := w.consignment(w.send("Contract", w.bob), w.bob)
	b := w.browser()
	token := b.open(c.ID).pageToken()
	for i := range 10 {
		b.post("/letter", url.Values{"token": {token}}).want(http.StatusUnprocessableEntity) // the empty field costs nothing
		b.post("/letter", url.Values{"token": {token}, "address": {fmt.Sprintf("b%d@out.test", i)}}).want(http.StatusUnprocessableEntity, "another address")
	}
	right := url.Values{"token": {token}, "address": {w.bob}}
	a := b.post("/letter", right).want(http.StatusTooManyRequests, "Too many attempts", "quarter of an hour")
	if got := a.Header.Get("Retry-After"); got != "900" {
		t.Errorf("Retry-After %q", got)
	}
	if got := w.events(c.ID); len(got) != 0 {
		t.Fatalf("recorded %v", got)
	}
	// The page itself stays, and another browser with the link is no way around.
	b.get("/letter").want(http.StatusOK)
	other := w.browser()
	other.post("/letter", url.Values{"token": {other.open(c.ID).pageToken()}, "address": {w.bob}}).want(http.StatusTooManyRequests)
	w.pass(16 * time.Minute)
	b.post("/letter", right).wantRedirect("/received/" + c.ID)
}

// A hundred confirmations at once are one receipt.
func TestParallelConfirmations(t *testing.T) {
	w := newWorld(t)
	c := w.consignment(w.send("Contract", w.bob), w.bob)
	first := w.browser()
	form := url.Values{"token": {first.open(c.ID).pageToken()}, "address": {w.bob}}
	link := first.cookies[cookieLink]
	var all sync.WaitGroup
	for range 100 {
		b := w.browser()
		b.client, b.cookies[cookieLink] = first.client, link
		all.Go(func() { b.post("/letter", form).wantRedirect("/received/" + c.ID) })
	}
	all.Wait()
	if got := w.events(c.ID); len(got) != 2 {
		t.Errorf("recorded %v", got)
	}
}

// A session that somebody planted in the browser is ended by a login, and a
// new password ends every session.
func TestSessionsEnd(t *testing.T) {
	w := newWorld(t)
	planted := w.as(w.alice.user)
	old := planted.cookies[cookieSession]
	planted.cookies[cookieSession] = old
	planted.post("/login", url.Values{"address": {"carol@demo.test"}, "password": {testPassword}}).wantRedirect("/received")
	if planted.cookies[cookieSession] == old {
		t.Error("the session keeps its secret over a login")
	}
	thief := w.browser()
	thief.cookies[cookieSession] = old
	thief.get("/received").wantRedirect("/login?next=/received")

	here, there := w.as(w.carol.user), w.as(w.carol.user)
	w.check(w.acc.SetPassword(t.Context(), w.carol.user.ID, "a new and longer password"))
	for _, b := range []*browser{here, there, planted} {
		b.get("/received").wantRedirect("/login?next=/received")
	}
	out := w.as(w.alice.user)
	stolen := w.browser()
	stolen.cookies[cookieSession] = out.cookies[cookieSession]
	out.post("/logout", nil).wantRedirect("/")
	stolen.get("/received").wantRedirect("/login?next=/received")
}

// Whatever a certificate calls its holder is text.
func TestHostileCertificates(t *testing.T) {
	w := newWorld(t)
	p := w.person("mallory@demo.test", "x\"><script>alert(1)</script>\u202e<img src=x>")
	p.user.Name = "Mallory"
	sub, err := w.gw.Receive(t.Context(), rem.Envelope{
		ID: w.gw.NewID(), Account: p.user.ID, Login: p.user.Email, Addresses: []string{p.user.Email}, From: p.user.Email,
		Recipients: []string{w.bob, w.carol.user.Email}, Peer: "192.0.2.1", Door: "submissions",
	}, bytes.NewReader(w.letter(p, "Contract", attachment{`filename="a.pdf"`, contract})))
	w.check(err)
	guest, carol := w.browser(), w.as(w.carol.user)
	toBob, toCarol := w.consignment(sub, w.bob), w.consignment(sub, w.carol.user.Email)
	pages := map[string]answer{"letter": guest.open(toBob.ID)}
	guest.receive(toBob)
	carol.post("/letter", url.Values{"token": {carol.open(toCarol.ID).pageToken()}}).wantRedirect("/received/" + toCarol.ID)
	mine := w.certificate(w.carol.user.Email, "c\"><script>alert(2)</script>\u202e<img src=x>")
	mine.user = w.carol.user
	sha := w.register(mine)
	made := carol.post("/received/"+toCarol.ID+"/wizard", url.Values{"certificate": {sha.String()}}).want(http.StatusSeeOther).Header.Get("Location")
	for name, path := range map[string]string{
		"consignment": "/received/" + toCarol.ID, "wizard": "/received/" + toCarol.ID + "/wizard", "report": "/report/" + toCarol.ID,
		"report paper": "/report/" + toCarol.ID + "/view", "protocol": made, "protocol paper": made + "/view", "certificates": "/certificates",
	} {
		pages[name] = carol.get(path).want(http.StatusOK)
	}
	pages["refusal"] = carol.upload(made+"/sign", nil, w.sign(p, []byte("something else"))).want(http.StatusUnprocessableEntity)
	for name, a := range pages {
		if !strings.Contains(a.body, "alert(") {
			t.Errorf("%s does not show the certificate at all", name)
		}
		for _, bad := range []string{"<script", "<img src=x", "\u202e"} {
			if strings.Contains(a.body, bad) {
				t.Errorf("%s holds %q", name, bad)
			}
		}
	}
}
