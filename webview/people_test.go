package webview

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestLogin(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	good := url.Values{"address": {" alice@DEMO.test "}, "password": {testPassword}}
	for name, form := range map[string]url.Values{
		"wrong password": {"address": {"alice@demo.test"}, "password": {"wrong password"}},
		"unknown":        {"address": {"nobody@demo.test"}, "password": {testPassword}},
		"empty":          {},
	} {
		a := b.post("/login", form)
		if a.StatusCode != http.StatusForbidden || !strings.Contains(a.body, "The address or the password is wrong.") {
			t.Errorf("%s: %d %s", name, a.StatusCode, brief(a.body))
		}
		if strings.Contains(a.body, testPassword) || b.cookies[cookieSession] != "" {
			t.Errorf("%s: the password is shown again, or a session begun", name)
		}
	}
	b.post("/login", good).wantRedirect("/received")
	b.get("/").wantRedirect("/received")
	b.get("/login?next=/sent").wantRedirect("/sent")
	b.get("/sent").want(http.StatusOK, "Alice Ivanova")
	b.post("/logout", nil).wantRedirect("/")
	b.get("/sent").wantRedirect("/login?next=/sent")
}

// A session id known before login opens nothing after it.
func TestSessionFixation(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	old := strings.Repeat("A", 43)
	b.cookies[cookieSession] = old
	form := url.Values{"address": {"alice@demo.test"}, "password": {testPassword}}
	b.post("/login", form).want(http.StatusSeeOther)
	first := b.cookies[cookieSession]
	if first == old || first == "" {
		t.Fatalf("session %q", first)
	}
	b.post("/login", form).want(http.StatusSeeOther)
	if b.cookies[cookieSession] == first {
		t.Fatal("a second login keeps the session id")
	}
	stale := w.browser()
	for _, c := range []string{old, first} {
		stale.cookies[cookieSession] = c
		stale.get("/sent").wantRedirect("/login?next=/sent")
	}
	last := b.cookies[cookieSession]
	b.post("/logout", nil)
	stale.cookies[cookieSession] = last
	stale.get("/sent").wantRedirect("/login?next=/sent")
}

func TestCookies(t *testing.T) {
	w := newWorld(t)
	c := w.consignment(w.send("Contract", w.bob), w.bob)
	b := w.browser()
	answers := []answer{
		b.post("/login", url.Values{"address": {"alice@demo.test"}, "password": {testPassword}}),
		b.get("/l/" + w.gw.LinkToken(c.ID)),
		b.post("/language", url.Values{"language": {"ru"}, "next": {"/sent"}}),
	}
	answers = append(answers, b.post("/letter", url.Values{"token": {b.get("/letter").pageToken()}, "address": {w.bob}}))
	for _, a := range answers {
		set := a.Cookies()
		if len(set) == 0 {
			t.Errorf("%s sets no cookie: %d", a.Request.URL.Path, a.StatusCode)
		}
		for _, c := range set {
			if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
				t.Errorf("cookie %s", c.Raw)
			}
		}
	}
}

func TestNextLeadsNowhereElse(t *testing.T) {
	for in, want := range map[string]string{
		"/letter": "/letter", "/received/abc": "/received/abc", "": "", "letter": "", "//evil.test": "", "/\\evil.test": "",
		"https://evil.test": "", "/a b": "", "/a\r\nSet-Cookie: x": "", "/a?b": "", "/a#b": "", "/..//evil.test": "", "/.//evil.test": "", "/a/../b": "", "/received/": "", "/é": "", "/" + strings.Repeat("a", 400): "",
	} {
		if got := localPath(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	w := newWorld(t)
	for _, next := range []string{"//evil.test", "https://evil.test/", "/\\evil.test"} {
		w.browser().post("/login", url.Values{"address": {"alice@demo.test"}, "password": {testPassword}, "next": {next}}).wantRedirect("/received")
		w.browser().post("/language", url.Values{"language": {"ru"}, "next": {next}}).wantRedirect("/")
	}
}

func TestThrottle(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	for range 100 {
		a := b.post("/login", url.Values{"address": {"alice@demo.test"}, "password": {"a wrong password"}})
		if a.StatusCode == http.StatusTooManyRequests {
			a.want(http.StatusTooManyRequests, "Too many failed attempts")
			return
		}
		a.want(http.StatusForbidden)
	}
	t.Fatal("100 wrong passwords were tried")
}

var registerLink = regexp.MustCompile(`/register/[A-Za-z0-9_-]{43}`)

// mails runs the job loop until n mails lie in the outbox.
func (w *world) mails(n int) []string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.gw.Run(ctx, nil) }()
	var files []string
	for ctx.Err() == nil && len(files) < n {
		files, _ = filepath.Glob(filepath.Join(w.outbox, "*.eml"))
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	cancel()
	w.check(<-done)
	if len(files) < n {
		w.t.Fatalf("%d mails, want %d", len(files), n)
	}
	return files
}

func TestRegistration(t *testing.T) {
	s := newScene(t)
	b := s.guest // who got a link before
	b.get("/register").want(http.StatusOK, "Send me a link")
	for _, bad := range []string{"", "x", "a@", "a b@c.test", "a@b.test\r\nBcc: x@y.test", strings.Repeat("a", 300) + "@b.test"} {
		b.post("/register", url.Values{"address": {bad}}).want(http.StatusUnprocessableEntity, "does not look like an e-mail address", `aria-invalid="true"`)
	}
	taken := b.post("/register", url.Values{"address": {"carol@demo.test"}}).want(http.StatusOK)
	fresh := b.post("/register", url.Values{"address": {s.bob}}).want(http.StatusOK)
	if x, y := strings.ReplaceAll(tokenOf(fresh.body), s.bob, "A"), strings.ReplaceAll(tokenOf(taken.body), "carol@demo.test", "A"); x != y {
		t.Errorf("an address with an account is answered differently:\n%s\n%s", brief(x), brief(y))
	}
	link, useless := "", ""
	for _, f := range s.mails(2) { // the letters were received before their notices went out
		text, err := os.ReadFile(f)
		s.check(err)
		flat := strings.ReplaceAll(strings.ReplaceAll(string(text), "=\r\n", ""), "=\n", "")
		if m := registerLink.FindString(flat); strings.Contains(flat, "carol@demo.test") {
			useless = m
		} else {
			link = m
		}
	}
	if link == "" || useless == "" {
		t.Fatalf("registration mails with %q and %q", link, useless)
	}
	// Only who reads the mailbox learns that it has an account; the link changes nothing there.
	s.nobody.get(useless).want(http.StatusConflict, "Already registered")
	s.nobody.post(useless, url.Values{"name": {"Eve"}, "password": {"another password"}}).want(http.StatusConflict)
	s.nobody.post("/login", url.Values{"address": {"carol@demo.test"}, "password": {"another password"}}).want(http.StatusForbidden)
	b.get(link).want(http.StatusOK, s.bob, "Full name", "At least 10 characters")
	b.post(link, url.Values{"password": {"short"}}).want(http.StatusUnprocessableEntity, "Enter your name", "This password cannot be used", `aria-describedby="password-error password-hint"`)
	b.post(link, url.Values{"name": {"Bob\x00"}, "password": {testPassword}}).want(http.StatusUnprocessableEntity, "Enter your name")
	form := url.Values{"name": {"Боб <Строитель>"}, "password": {testPassword}, "language": {"ru"}}
	b.post(link, form).wantRedirect("/received")
	b.get("/received").want(http.StatusOK, "Боб &lt;Строитель&gt;", "Contract 17", `lang="ru"`)
	b.get("/received/"+s.toBob.ID).want(http.StatusOK, "contract.pdf")
	b.post(link, form).want(http.StatusGone)
	b.get(link).want(http.StatusGone, "Больше не действует")
	s.nobody.get("/register/"+strings.Repeat("A", 43)).want(http.StatusGone, "No longer valid")

	// The guest's session ended when the account was claimed.
	again := s.browser()
	again.open(s.toBob.ID).want(http.StatusOK, "Sign in to receive the documents")
}

func TestLanguage(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.get("/").want(http.StatusOK, `lang="en"`)
	b.header.Set("Accept-Language", "ru-RU,ru;q=0.9")
	b.get("/").want(http.StatusOK, `lang="ru"`, "Как это работает")
	b.post("/language", url.Values{"language": {"en"}, "next": {"/login"}}).wantRedirect("/login")
	b.get("/").want(http.StatusOK, `lang="en"`)
	b.post("/language", url.Values{"language": {"xx"}}).want(http.StatusBadRequest)

	alice := w.as(w.alice.user) // her profile says English
	alice.header.Set("Accept-Language", "ru")
	alice.get("/sent").want(http.StatusOK, `lang="en"`)
	alice.post("/language", url.Values{"language": {"ru"}, "next": {"/sent"}}).wantRedirect("/sent")
	user, err := w.db.UserByID(t.Context(), w.alice.user.ID)
	w.check(err)
	if user.Language != "ru" || user.Name != "Alice Ivanova" {
		t.Errorf("profile %+v", user)
	}
}

func TestNothingSecretIsLogged(t *testing.T) {
	s := newScene(t)
	s.post(t)
	log := s.log.String()
	if !strings.Contains(log, `"route":"GET /l/{token}"`) || !strings.Contains(log, `"route":"POST /letter"`) {
		t.Fatalf("the log has no event of the link: %s", log[:min(len(log), 600)])
	}
	secrets := map[string]string{
		"link token": s.gw.LinkToken(s.toBob.ID), "password": testPassword, "session": s.recipient.cookies[cookieSession],
		"guest session": s.guest.cookies[cookieGuest], "register token": "B" + strings.Repeat("A", 42),
	}
	for name, secret := range secrets {
		if secret == "" || strings.Contains(log, secret) {
			t.Errorf("%s is in the log, or was never made", name)
		}
	}
}

func (s *scene) post(t *testing.T) {
	t.Helper()
	s.nobody.post("/login", url.Values{"address": {"alice@demo.test"}, "password": {testPassword + "x"}})
	s.nobody.get("/register/B" + strings.Repeat("A", 42))
	s.nobody.get("/l/" + s.gw.LinkToken(s.toBob.ID))
}

// The id on the page is the id in the log.
func TestRequestIDIsShownAndLogged(t *testing.T) {
	w := newWorld(t)
	a := w.browser().get("/nothing").want(http.StatusNotFound)
	i := strings.Index(a.body, "Request number: ")
	id := a.body[i+len("Request number: "):][:26]
	if !validID(id) || !strings.Contains(w.log.String(), `"id":"`+id+`"`) {
		t.Errorf("id %q is not in the log", id)
	}
}
