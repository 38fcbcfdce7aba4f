package webview

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store"
)

var resetLink = regexp.MustCompile(`/password/[A-Za-z0-9_-]{43}`)

// link is the first one of a form that the outbox holds, once n mails are out.
func (w *world) link(n int, form *regexp.Regexp) string {
	w.t.Helper()
	for _, f := range w.mails(n) {
		text, err := os.ReadFile(f)
		w.check(err)
		flat := strings.ReplaceAll(strings.ReplaceAll(string(text), "=\r\n", ""), "=\n", "")
		if m := form.FindString(flat); m != "" {
			return m
		}
	}
	w.t.Fatalf("no mail with %s", form)
	return ""
}

// TestForgottenPassword: from "forgot" to a new password, told to nobody who
// does not read the mailbox.
func TestForgottenPassword(t *testing.T) {
	w := newWorld(t)
	signedIn, elsewhere, b := w.as(w.alice.user), w.as(w.alice.user), w.browser()
	b.get("/login").want(http.StatusOK, `href="/password"`, "Forgot your password?")
	b.get("/password").want(http.StatusOK, "Send me a link", `<label for="address">`)
	signedIn.get("/password").want(http.StatusOK, `value="alice@demo.test"`)
	for _, bad := range []string{"", "x", "a@", "a b@c.test", "a@b.test\r\nBcc: x@y.test", "ann\u202ea@demo.test", strings.Repeat("a", 300) + "@b.test"} {
		b.post("/password", url.Values{"address": {bad}}).want(http.StatusUnprocessableEntity, "does not look like an e-mail address", `aria-invalid="true"`)
	}
	known := b.post("/password", url.Values{"address": {" alice@demo.test "}}).want(http.StatusOK, "If the address alice@demo.test has an account")
	unknown := b.post("/password", url.Values{"address": {"nobody@demo.test"}}).want(http.StatusOK)
	if x, y := strings.ReplaceAll(tokenOf(known.body), "alice@", "A@"), strings.ReplaceAll(tokenOf(unknown.body), "nobody@", "A@"); x != y {
		t.Errorf("an address with an account is answered differently:\n%s\n%s", brief(x), brief(y))
	}
	link := w.link(1, resetLink)

	b.get(link).want(http.StatusOK, "Set a new password", "alice@demo.test", `autocomplete="new-password"`)
	b.post(link, url.Values{"password": {"short"}}).want(http.StatusUnprocessableEntity, "This password cannot be used", `aria-describedby="password-error password-hint"`)
	signedIn.get("/sent").want(http.StatusOK)
	b.post(link, url.Values{"password": {"a new password"}}).wantRedirect("/login?done=password")
	b.get("/login?done=password").want(http.StatusOK, "The password was changed. Sign in with the new one.")
	for _, old := range []*browser{signedIn, elsewhere} {
		old.get("/sent").wantRedirect("/login?next=/sent")
	}
	b.post(link, url.Values{"password": {"another password"}}).want(http.StatusGone, "No longer valid")
	b.get(link).want(http.StatusGone)
	b.get("/password/" + strings.Repeat("A", 43)).want(http.StatusGone)
	b.post("/login", url.Values{"address": {"alice@demo.test"}, "password": {testPassword}}).want(http.StatusForbidden)
	b.post("/login", url.Values{"address": {"alice@demo.test"}, "password": {"a new password"}}).wantRedirect("/received")

	told := false
	files := w.mails(2) // and none for nobody
	for _, f := range files {
		text, err := os.ReadFile(f)
		w.check(err)
		told = told || strings.Contains(string(text), "Subject: Your Cryptogramm password was changed") && strings.Contains(string(text), "To: alice@demo.test")
	}
	if !told || len(files) != 2 {
		t.Errorf("he was not told of the new password, or somebody else was written to: %d mails", len(files))
	}
	for _, secret := range []string{strings.TrimPrefix(link, "/password/"), "a new password"} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func TestForgottenPasswordLimits(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	for range 20 {
		b.post("/password", url.Values{"address": {"alice@demo.test"}}).want(http.StatusOK)
	}
	b.post("/password", url.Values{"address": {"carol@demo.test"}}).want(http.StatusTooManyRequests)
	if n := len(w.mails(3)); n != 3 {
		t.Errorf("%d mails to one address", n)
	}
	w.pass(time.Hour)
	w.browser().get(w.link(3, resetLink)).want(http.StatusGone)
}

func TestSettings(t *testing.T) {
	w := newWorld(t)
	w.as(w.alice.user).get("/settings").want(http.StatusOK, "Yours is on this one.", "alice@demo.test", "End all sessions")
	dora := w.person("dora@elsewhere.test", "Dora").user
	b := w.as(dora)
	token := regexp.MustCompile(`name="token" value="([^"]+)"`)
	page := b.get("/settings").want(http.StatusOK, "Send receipts also as ordinary mail to dora@elsewhere.test", `<label class="choice" for="outside">`, "End all sessions")
	if strings.Contains(page.body, " checked") {
		t.Error("receipts are sent outside unasked")
	}
	own := token.FindStringSubmatch(page.body)[1]
	outside := func() bool {
		u, err := w.db.UserByID(t.Context(), dora.ID)
		w.check(err)
		return u.ReceiptsOutside
	}
	foreign := token.FindStringSubmatch(w.as(w.carol.user).get("/settings").body)[1]
	for _, bad := range []string{"", "x", "1.x", foreign} {
		b.post("/settings/receipts", url.Values{"outside": {"1"}, "token": {bad}}).want(http.StatusConflict, "Nothing was changed", `role="alert"`)
		b.post("/settings/sessions", url.Values{"token": {bad}}).want(http.StatusConflict, "Nothing was changed")
	}
	if outside() {
		t.Error("changed without the page's token")
	}
	b.post("/settings/receipts", url.Values{"outside": {"1"}, "token": {own}}).wantRedirect("/settings?done=receipts")
	b.get("/settings?done=receipts").want(http.StatusOK, "The settings were saved.", `value="1" checked`)
	if !outside() {
		t.Error("not changed")
	}
	b.post("/settings/receipts", url.Values{"token": {own}}).wantRedirect("/settings?done=receipts")
	if outside() {
		t.Error("not changed back")
	}
	other, carol := w.as(dora), w.as(w.carol.user)
	b.post("/settings/sessions", url.Values{"token": {own}}).wantRedirect("/login?done=sessions")
	b.get("/login?done=sessions").want(http.StatusOK, "All sessions have ended.")
	other.get("/settings").wantRedirect("/login?next=/settings")
	carol.get("/settings").want(http.StatusOK)
	w.browser().post("/settings/receipts", nil).wantRedirect("/login")
}

// TestInternationalAddress: who writes his address in his own script is the
// person that the account was made for.
func TestInternationalAddress(t *testing.T) {
	w := newWorld(t)
	p := store.User{ID: w.gw.NewID(), Email: "пётр@xn--80a1acny.xn--p1ai", Name: "Пётр", Language: "en", Claimed: true}
	w.check(w.db.AddUser(t.Context(), p, cheapHash(testPassword)))
	for _, address := range []string{"пётр@почта.рф", "пе\u0308тр@ПОЧТА.РФ", "пётр@xn--80a1acny.xn--p1ai"} {
		w.browser().post("/login", url.Values{"address": {address}, "password": {testPassword}}).wantRedirect("/received")
	}
	w.browser().post("/login", url.Values{"address": {"петр@почта.рф"}, "password": {testPassword}}).want(http.StatusForbidden)
	w.as(&p).get("/settings").want(http.StatusOK, "пётр@xn--80a1acny.xn--p1ai")

	c := w.consignment(w.send("Contract", "李雷@xn--r8jz45g.xn--zckzah"), "李雷@xn--r8jz45g.xn--zckzah")
	guest := w.browser()
	guest.post("/letter", url.Values{"token": {guest.open(c.ID).pageToken()}, "address": {"李雷@例え.テスト"}}).wantRedirect("/received/" + c.ID)
}
