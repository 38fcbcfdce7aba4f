package webview

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// scene is a letter from alice that carol received by her account and bob as a
// guest, with a protocol of carol's and a browser for everybody.
type scene struct {
	*world
	submission                                 string
	toBob                                      store.ConsignmentRow
	toCarol                                    store.ConsignmentRow
	protocol                                   string
	sender, guest, recipient, stranger, nobody *browser
}

func newScene(t *testing.T) *scene {
	t.Helper()
	w := newWorld(t)
	s := &scene{world: w, submission: w.send("Contract 17", w.bob, w.carol.user.Email)}
	s.toBob, s.toCarol = w.consignment(s.submission, w.bob), w.consignment(s.submission, w.carol.user.Email)
	s.sender, s.recipient, s.nobody = w.as(w.alice.user), w.as(w.carol.user), w.browser()
	s.stranger = w.as(w.person("mallory@demo.test", "Mallory").user)
	s.guest = w.browser()
	s.guest.receive(s.toBob)
	token := s.recipient.open(s.toCarol.ID).pageToken()
	s.recipient.post("/letter", url.Values{"token": {token}}).wantRedirect("/received/" + s.toCarol.ID)
	sha := w.register(w.carol)
	a := s.recipient.post("/received/"+s.toCarol.ID+"/wizard", url.Values{"certificate": {sha.String()}}).want(http.StatusSeeOther)
	s.protocol = strings.TrimPrefix(a.Header.Get("Location"), "/protocol/")
	return s
}

func TestWhoSeesWhat(t *testing.T) {
	s := newScene(t)
	const ok, gone, login, other = 200, 404, 303, 303
	bob, carol, sub, protocol := "/received/"+s.toBob.ID, "/received/"+s.toCarol.ID, "/sent/"+s.submission, "/protocol/"+s.protocol
	for _, c := range []struct {
		path                                       string
		nobody, guest, recipient, sender, stranger int
	}{
		{"/", ok, ok, other, other, other},
		{"/login", ok, ok, other, other, other},
		{"/register", ok, ok, ok, ok, ok},
		{"/password", ok, ok, ok, ok, ok},
		{"/settings", login, login, ok, ok, ok},
		{"/refused", login, login, ok, ok, ok},
		{"/refused/" + s.submission, login, login, gone, gone, gone},
		{"/password/" + strings.Repeat("A", 43), 410, 410, 410, 410, 410},
		{"/received", login, other, ok, ok, ok},
		{"/sent", login, login, ok, ok, ok},
		{"/certificates", login, login, ok, ok, ok},
		{bob, login, ok, gone, other, gone},
		{bob + "/document/1", login, ok, gone, ok, gone},
		{bob + "/signature/1", login, ok, gone, ok, gone},
		{bob + "/letter", login, ok, gone, ok, gone},
		{bob + "/wizard", login, ok, gone, gone, gone},
		{carol, login, gone, ok, other, gone},
		{carol + "/document/1", login, gone, ok, ok, gone},
		{carol + "/document/9", login, gone, gone, gone, gone},
		{carol + "/document/0", login, gone, gone, gone, gone},
		{carol + "/document/+1", login, gone, gone, gone, gone},
		{carol + "/letter", login, gone, ok, ok, gone},
		{carol + "/wizard", login, gone, ok, gone, gone},
		{sub, login, login, gone, ok, gone},
		{sub + "/document/2", login, login, gone, ok, gone},
		{sub + "/signature/1", login, login, gone, ok, gone},
		{sub + "/letter", login, login, gone, ok, gone},
		{protocol, login, login, ok, gone, gone},
		{protocol + ".json", login, login, ok, gone, gone},
		{protocol + ".html", login, login, ok, gone, gone},
		{protocol + ".p7s", login, login, gone, gone, gone}, // not signed yet
		{protocol + ".exe", login, login, gone, gone, gone},
		{protocol + "/view", login, login, ok, gone, gone},
		{"/report/" + s.toBob.ID, login, ok, gone, ok, gone},
		{"/report/" + s.toBob.ID + ".json", login, ok, gone, ok, gone},
		{"/report/" + s.toCarol.ID, login, gone, ok, ok, gone},
		{"/report/" + s.submission, login, gone, gone, ok, gone},
		{"/report/" + s.submission + ".html", login, gone, gone, ok, gone},
		{"/report/" + s.submission + "/view", login, gone, gone, ok, gone},
		{"/certificates/challenge/" + strings.Repeat("A", 43), login, login, 410, 410, 410},
		{"/nothing", gone, gone, gone, gone, gone},
	} {
		for name, who := range map[string]struct {
			b    *browser
			want int
		}{
			"nobody": {s.nobody, c.nobody}, "guest": {s.guest, c.guest}, "recipient": {s.recipient, c.recipient},
			"sender": {s.sender, c.sender}, "stranger": {s.stranger, c.stranger},
		} {
			for _, method := range []string{"GET", "HEAD"} {
				a := who.b.do(method, c.path, nil, "")
				if a.StatusCode != who.want {
					t.Errorf("%s %s by %s: %d, want %d", method, c.path, name, a.StatusCode, who.want)
				}
				if method == "HEAD" && a.body != "" {
					t.Errorf("HEAD %s by %s has a body", c.path, name)
				}
			}
		}
	}
}

// What is somebody else's and what is absent cannot be told apart.
func TestForeignIsLikeAbsent(t *testing.T) {
	s := newScene(t)
	absent := rem.IDText([16]byte{1, 2, 3})
	id := func(a answer, own string) string { // a page without what differs by nature
		body := strings.ReplaceAll(a.body, own, "ID")
		return a.Status + tokenOf(body)
	}
	for _, b := range []*browser{s.stranger, s.guest} {
		for _, pattern := range []string{
			"/received/ID", "/received/ID/document/1", "/received/ID/letter", "/received/ID/wizard", "/report/ID", "/report/ID.json",
			"/sent/ID", "/protocol/ID", "/protocol/ID.json", "/protocol/ID/view",
		} {
			foreign := s.toCarol.ID
			switch {
			case strings.HasPrefix(pattern, "/protocol"):
				foreign = s.protocol
			case strings.HasPrefix(pattern, "/sent"):
				foreign = s.submission
			}
			a := b.get(strings.ReplaceAll(pattern, "ID", foreign))
			c := b.get(strings.ReplaceAll(pattern, "ID", absent))
			if got, want := id(a, foreign), id(c, absent); got != want {
				t.Errorf("%s: another's is answered\n%s\nand what is absent\n%s", pattern, got, want)
			}
			if a.Header.Get("Content-Length") != c.Header.Get("Content-Length") {
				t.Errorf("%s: lengths differ", pattern)
			}
		}
		for _, path := range []string{"/sign", ""} {
			a, c := b.upload("/protocol/"+s.protocol+path, nil, []byte("x")), b.upload("/protocol/"+absent+path, nil, []byte("x"))
			if got, want := id(a, s.protocol), id(c, absent); got != want {
				t.Errorf("POST %s: %s, %s", path, got, want)
			}
		}
	}
}

var inputs = regexp.MustCompile(`<(?:input|select) id="([^"]+)"`)

// tokenOf drops the request's own id from a page.
func tokenOf(body string) string {
	i := strings.Index(body, "Request number: ")
	if i < 0 {
		return body
	}
	i += len("Request number: ")
	return body[:i] + body[i+26:]
}

func TestRecipientsNeverSeeEachOther(t *testing.T) {
	s := newScene(t)
	for name, c := range map[string]struct {
		b     *browser
		id    string
		other string
	}{"guest": {s.guest, s.toBob.ID, "carol@demo.test"}, "recipient": {s.recipient, s.toCarol.ID, s.bob}} {
		for _, path := range []string{"/received/" + c.id, "/received/" + c.id + "/wizard", "/report/" + c.id, "/report/" + c.id + ".json", "/report/" + c.id + ".html", "/received/" + c.id + "/letter"} {
			a := c.b.get(path).want(http.StatusOK)
			if strings.Contains(a.body, c.other) {
				t.Errorf("%s sees %s on %s", name, c.other, path)
			}
		}
	}
	s.sender.get("/sent/"+s.submission).want(http.StatusOK, s.bob, "carol@demo.test", "received", "by link, address typed", "from the account")
	s.sender.get("/report/"+s.submission).want(http.StatusOK, s.bob, "carol@demo.test", "every recipient is shown")
	s.recipient.get("/report/"+s.toCarol.ID).want(http.StatusOK, "carol@demo.test", "only you and the sender")
}

func TestSenderOfALetterToHimself(t *testing.T) {
	w := newWorld(t)
	own := w.alice.user.Email
	c := w.consignment(w.send("Note to self", own), own)
	b := w.as(w.alice.user)
	b.post("/letter", url.Values{"token": {b.open(c.ID).pageToken()}}).wantRedirect("/received/" + c.ID)
	b.get("/received/"+c.ID).want(http.StatusOK, "Received letter")
	b.get("/sent/"+c.Submission).want(http.StatusOK, "Sent letter")
}

func TestHeaders(t *testing.T) {
	s := newScene(t)
	for _, path := range []string{"/", "/login", "/nothing", "/received/" + s.toCarol.ID, "/protocol/" + s.protocol, "/report/" + s.toCarol.ID, "/received/" + s.toCarol.ID + "/document/1", "/protocol/" + s.protocol + "/view"} {
		a := s.recipient.get(path)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
			"Strict-Transport-Security": "max-age=31536000",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		csp := a.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: policy %q lacks %s", path, csp, part)
			}
		}
		if strings.Contains(csp, "script-src") {
			t.Errorf("%s: policy %q allows scripts", path, csp)
		}
	}
	if got := s.nobody.get("/").Header.Get("Content-Security-Policy"); got != policy {
		t.Errorf("policy %q", got)
	}
	view := s.recipient.get("/protocol/"+s.protocol+"/view").want(http.StatusOK, "Signature verification protocol")
	if got := view.Header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "sandbox;") || !strings.Contains(got, "style-src 'unsafe-inline'") {
		t.Errorf("a paper's policy is %q", got)
	}
}

func TestEveryPageHasOneHeadingALanguageAndLabels(t *testing.T) {
	s := newScene(t)
	for _, path := range []string{"/received", "/received/" + s.toCarol.ID, "/received/" + s.toCarol.ID + "/wizard", "/protocol/" + s.protocol, "/report/" + s.toCarol.ID, "/certificates", "/sent", "/register", "/password", "/settings", "/refused", "/nothing"} {
		for _, lang := range []string{"ru", "en"} {
			s.recipient.cookies[cookieLanguage] = lang
			a := s.recipient.get(path)
			if n := strings.Count(a.body, "<h1>"); n != 1 {
				t.Errorf("%s has %d h1", path, n)
			}
			for _, want := range []string{`<html lang="` + lang + `">`, `class="skip" href="#main"`, `<main id="main"`, `name="viewport"`} {
				if !strings.Contains(a.body, want) {
					t.Errorf("%s lacks %s", path, want)
				}
			}
			for _, m := range inputs.FindAllStringSubmatch(a.body, -1) {
				if !strings.Contains(a.body, `<label for="`+m[1]+`">`) {
					t.Errorf("%s: input %s has no label", path, m[1])
				}
			}
			if strings.Contains(a.body, "%!") || strings.Contains(a.body, "&lt;nil&gt;") {
				t.Errorf("%s (%s) shows a formatting error", path, lang)
			}
		}
	}
}

func TestMethodsThatAreNotThere(t *testing.T) {
	s := newScene(t)
	for path, allow := range map[string]string{
		"/login": "GET, HEAD, POST", "/logout": "POST", "/received/" + s.toCarol.ID: "GET, HEAD",
		"/protocol/" + s.protocol + "/sign": "POST", "/certificates": "GET, HEAD, POST", "/language": "POST",
	} {
		for _, method := range []string{"PUT", "DELETE", "OPTIONS", "PATCH"} {
			a := s.recipient.do(method, path, nil, "").want(http.StatusMethodNotAllowed)
			if got := a.Header.Get("Allow"); got != allow {
				t.Errorf("%s %s: Allow %q, want %q", method, path, got, allow)
			}
		}
	}
}
