package webview

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/store"
)

var mailLink = regexp.MustCompile(`href="(/outbox/[^"]+\.eml)"`)

func TestOutboxLeadsANewcomerToHisLink(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.get("/outbox").want(http.StatusOK, "No mail yet")
	c := w.consignment(w.send("Contract 17", w.bob), w.bob)
	w.mails(1)
	list := b.get("/outbox").want(http.StatusOK, "Contract 17", w.bob)
	m := mailLink.FindStringSubmatch(list.body)
	if m == nil {
		t.Fatal("no mail is linked")
	}
	link := "/l/" + w.gw.LinkToken(c.ID)
	b.get(m[1]).want(http.StatusOK, `href="`+link+`"`, "Contract 17")
	b.get(link).wantRedirect("/letter")
}

func TestOutboxGivesNothingElse(t *testing.T) {
	w := newWorld(t)
	w.check(os.MkdirAll(w.outbox, 0o700))
	w.check(os.WriteFile(filepath.Join(filepath.Dir(w.outbox), "secret.eml"), []byte("Subject: classified\r\n\r\nclassified"), 0o600))
	w.check(os.Symlink("../secret.eml", filepath.Join(w.outbox, "link.eml")))
	w.check(os.WriteFile(filepath.Join(w.outbox, "bad.eml"), []byte("\x00\x01"), 0o600))
	w.check(os.Mkdir(filepath.Join(w.outbox, "dir.eml"), 0o700))
	b := w.browser()
	for _, name := range []string{"..%2fsecret.eml", "link.eml", "dir.eml", "absent.eml", "%2e%2e", "..%5csecret.eml", "meta.db"} {
		a := b.get("/outbox/" + name)
		if a.StatusCode != http.StatusNotFound || strings.Contains(a.body, "classified") {
			t.Errorf("%s: %d %s", name, a.StatusCode, brief(a.body))
		}
	}
	if a := b.get("/outbox").want(http.StatusOK); strings.Contains(a.body, "classified") {
		t.Error("a link out of the outbox is listed")
	}
}

func TestOutboxIsForLoopbackAndAdmins(t *testing.T) {
	w := newWorld(t)
	handler := w.srv.Config.Handler
	ask := func(remote string, cookies map[string]string) int {
		r := httptest.NewRequest("GET", "/outbox", nil)
		r.RemoteAddr = remote
		for k, v := range cookies {
			r.AddCookie(&http.Cookie{Name: k, Value: v})
		}
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		return rec.Code
	}
	admin := store.User{ID: w.gw.NewID(), Email: "admin@demo.test", Claimed: true, Admin: true, Created: w.clock(), Addresses: []string{"admin@demo.test"}}
	w.check(w.db.AddUser(t.Context(), admin, cheapHash(testPassword)))
	for _, c := range []struct {
		remote string
		user   *store.User
		want   int
	}{
		{"127.0.0.1:9", nil, 200}, {"[::1]:9", nil, 200}, {"192.0.2.1:9", nil, 404}, {"192.0.2.1:9", w.alice.user, 404},
		{"192.0.2.1:9", &admin, 200}, {"rubbish", nil, 404},
	} {
		var cookies map[string]string
		if c.user != nil {
			cookies = w.as(c.user).cookies
		}
		if got := ask(c.remote, cookies); got != c.want {
			t.Errorf("%s as %v: %d, want %d", c.remote, c.user, got, c.want)
		}
	}
}
