package webview

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store"
)

func TestGuestFollowsLinkAndReceives(t *testing.T) {
	w := newWorld(t)
	c := w.consignment(w.send("Contract 17", w.bob), w.bob)
	b := w.browser()

	a := b.open(c.ID)
	// Only what was checked stands in the sentence that says who it is.
	a.want(http.StatusOK, "<p class=\"lead\">alice@demo.test has sent you", "neither agreement with the contents nor your signature", "Alice Ivanova", "CN=Alice Ivanova", "alice@demo.test", "1 file", "Confirm receipt")
	for _, secret := range []string{"Contract 17", "contract.pdf", w.bob, w.gw.LinkToken(c.ID)} {
		if strings.Contains(a.body, secret) {
			t.Errorf("the page shows %q before receipt", secret)
		}
	}
	if got := w.events(c.ID); len(got) != 0 {
		t.Fatalf("looking has recorded %v", got)
	}
	token := a.pageToken()
	b.post("/letter", url.Values{"token": {token}, "address": {"bob@out.tset"}}).
		want(http.StatusUnprocessableEntity, "another address", `aria-invalid="true"`, `aria-describedby="address-error address-hint"`)
	b.post("/letter", url.Values{"token": {token}}).want(http.StatusUnprocessableEntity)
	if got := w.events(c.ID); len(got) != 0 {
		t.Fatalf("a wrong address has recorded %v", got)
	}
	b.post("/letter", url.Values{"token": {token}, "address": {" bob@OUT.test "}}).wantRedirect("/received/" + c.ID)
	if got, want := slices.Sorted(slices.Values(w.events(c.ID))), []string{"ConsignmentAcceptance", "ContentHandover"}; !slices.Equal(got, want) {
		t.Fatalf("recorded %v, want %v", got, want)
	}
	b.get("/received/"+c.ID).want(http.StatusOK, "Contract 17", "contract.pdf", "Receipt is confirmed", "by link, address typed")
	b.get("/received").wantRedirect("/received/" + c.ID)

	// Reopening, here or elsewhere, shows the same and records nothing.
	b.open(c.ID).want(http.StatusOK, "Open the documents", `href="/received/`+c.ID+`"`)
	other := w.browser()
	other.open(c.ID).want(http.StatusOK, "Receipt was confirmed on")
	other.receive(c)
	if got := w.events(c.ID); len(got) != 2 {
		t.Fatalf("reopening has recorded %v", got)
	}
}

func TestReadingRecordsNoReceipt(t *testing.T) {
	w := newWorld(t)
	c := w.consignment(w.send("Contract", w.bob, w.carol.user.Email), w.bob)
	link := "/l/" + w.gw.LinkToken(c.ID)
	scanner := w.browser()
	scanner.header = http.Header{"User-Agent": {"MailScanner/2"}}
	for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
		for _, path := range []string{link, "/letter"} {
			a := scanner.do(method, path, nil, "")
			if a.StatusCode >= 500 {
				t.Errorf("%s %s: %d", method, path, a.StatusCode)
			}
		}
	}
	prefetch := w.browser()
	prefetch.header.Set("Sec-Purpose", "prefetch;prerender")
	prefetch.get(link).wantRedirect("/letter")
	prefetch.get("/letter").want(http.StatusOK)

	// A person's navigation is none of them.
	w.browser().open(c.ID)

	// A program that runs scripts presses the button without an address.
	a := scanner.open(c.ID)
	scanner.post("/letter", url.Values{"token": {a.pageToken()}}).want(http.StatusUnprocessableEntity)
	for _, method := range []string{"PUT", "DELETE", "PATCH", "TRACE"} {
		a := scanner.do(method, "/letter", nil, "")
		a.want(http.StatusMethodNotAllowed)
		if got := a.Header.Get("Allow"); got != "GET, HEAD, POST" {
			t.Errorf("%s: Allow %q", method, got)
		}
	}
	if got := w.events(c.ID); len(got) != 0 {
		t.Fatalf("programs have recorded %v", got)
	}
	// Noted apart: GET, HEAD and OPTIONS of the link, the prefetch, the script's GET.
	if n, err := w.db.MachineFetches(t.Context(), c.ID); err != nil || n != 5 {
		t.Errorf("%d machine fetches noted, want 5 (%v)", n, err)
	}
	if row := w.consignment(c.Submission, w.bob); row.State == store.StateReceived || row.ReceivedBy != "" {
		t.Fatalf("state %s, received by %q", row.State, row.ReceivedBy)
	}
}

func TestProgramsAreTold(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		header http.Header
		want   bool
	}{
		"person":       {"GET", http.Header{"Sec-Fetch-Mode": {"navigate"}}, false},
		"HEAD":         {"HEAD", http.Header{"Sec-Fetch-Mode": {"navigate"}}, true},
		"OPTIONS":      {"OPTIONS", http.Header{}, true},
		"bare GET":     {"GET", http.Header{}, true},
		"prefetch":     {"GET", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Purpose": {"prefetch"}}, true},
		"old prefetch": {"GET", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Purpose": {"Prefetch"}}, true},
		"preview":      {"GET", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Purpose": {"preview"}}, true},
		"fetch":        {"GET", http.Header{"Sec-Fetch-Mode": {"cors"}}, true},
	} {
		if got := program(&http.Request{Method: c.method, Header: c.header}); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestConfirmingNeedsThePagesToken(t *testing.T) {
	w := newWorld(t)
	sub := w.send("Contract", w.bob, "eve@out.test")
	c, other := w.consignment(sub, w.bob), w.consignment(sub, "eve@out.test")
	b := w.browser()
	token := b.open(c.ID).pageToken()
	eve := w.browser()
	foreign := eve.open(other.ID).pageToken()
	for name, bad := range map[string]string{"none": "", "another page's": foreign, "cut": token[:len(token)-2], "words": "x.y", "dots": "..", "no time": "." + token} {
		b.post("/letter", url.Values{"token": {bad}, "address": {w.bob}}).want(http.StatusForbidden, "open for too long")
		if got := w.events(c.ID); len(got) != 0 {
			t.Fatalf("token %s: recorded %v", name, got)
		}
	}
	w.pass(25 * time.Hour)
	b.post("/letter", url.Values{"token": {token}, "address": {w.bob}}).want(http.StatusForbidden)
	fresh := b.get("/letter").pageToken()
	b.post("/letter", url.Values{"token": {fresh}, "address": {w.bob}}).wantRedirect("/received/" + c.ID)
}

func TestAnotherSiteCannotConfirm(t *testing.T) {
	w := newWorld(t)
	c := w.consignment(w.send("Contract", w.bob), w.bob)
	b := w.browser()
	form := url.Values{"token": {b.open(c.ID).pageToken()}, "address": {w.bob}}
	for _, h := range []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}}, {"Sec-Fetch-Site": {"same-site"}}, {"Origin": {"https://evil.test"}}, {"Origin": {"null"}},
	} {
		b.header = h
		b.post("/letter", form).want(http.StatusForbidden, "another site")
	}
	if got := w.events(c.ID); len(got) != 0 {
		t.Fatalf("recorded %v", got)
	}
}

func TestClaimedAddressNeedsItsSession(t *testing.T) {
	w := newWorld(t)
	address := w.carol.user.Email
	c := w.consignment(w.send("Contract", address), address)
	b := w.browser()
	a := b.open(c.ID)
	a.want(http.StatusOK, "Sign in to receive the documents", `href="/login?next=/letter"`)
	if strings.Contains(a.body, `name="address"`) {
		t.Error("a guest is asked for the address of an account")
	}
	// He who skips the page is refused by the gateway too.
	forged := (&server{Config: Config{Now: w.clock}}).pageToken(b.cookies[cookieLink], c.ID, w.clock())
	b.post("/letter", url.Values{"token": {forged}, "address": {address}}).want(http.StatusForbidden, "Sign in to receive")
	if got := w.events(c.ID); len(got) != 0 {
		t.Fatalf("recorded %v", got)
	}
	// Somebody else's session does not help.
	stranger := w.as(w.alice.user)
	stranger.open(c.ID).want(http.StatusOK, "Sign in to receive")

	b.get("/login?next=/letter").want(http.StatusOK, `name="next" value="/letter"`)
	b.post("/login", url.Values{"address": {address}, "password": {testPassword}, "next": {"/letter"}}).wantRedirect("/letter")
	a = b.get("/letter").want(http.StatusOK, "You are signed in as carol@demo.test.")
	b.post("/letter", url.Values{"token": {a.pageToken()}}).wantRedirect("/received/" + c.ID)
	row := w.consignment(c.Submission, address)
	if row.ReceivedBy != w.carol.user.ID || row.Grade != "session" {
		t.Fatalf("received by %s, grade %s", row.ReceivedBy, row.Grade)
	}
	b.get("/received").want(http.StatusOK, "Contract", "Alice Ivanova", "received")
}

// A login with one address is no obstacle to receiving at another, and stays.
func TestAccountReceivesAtAnotherAddressAsGuest(t *testing.T) {
	w := newWorld(t)
	c := w.consignment(w.send("Contract", w.bob), w.bob)
	b := w.as(w.alice.user) // even the sender himself
	b.open(c.ID).want(http.StatusOK, "sent to another address")
	b.receive(c)
	b.get("/received/"+c.ID).want(http.StatusOK, "Receipt is confirmed", "contract.pdf")
	b.get("/sent").want(http.StatusOK, "Contract")
}

func TestLinksThatAreNotThere(t *testing.T) {
	w := newWorld(t)
	c := w.consignment(w.send("Contract", w.bob), w.bob)
	b := w.browser()
	b.get("/letter").want(http.StatusNotFound, "Link not found")
	b.get("/l/"+strings.Repeat("A", 43)).want(http.StatusNotFound, "Link not found")
	b.get("/l/short").want(http.StatusNotFound, "Link not found")
	b.do("OPTIONS", "/l/short", nil, "").want(http.StatusNoContent)
	b.post("/letter", url.Values{"address": {w.bob}}).want(http.StatusNotFound)
	b.open(c.ID)
	w.pass(31 * 24 * time.Hour)
	b.get("/l/"+w.gw.LinkToken(c.ID)).want(http.StatusGone, "expired")
	b.get("/letter").want(http.StatusGone)
	b.post("/letter", url.Values{"address": {w.bob}}).want(http.StatusGone)
}
