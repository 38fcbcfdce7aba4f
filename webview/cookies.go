package webview

import (
	"net/http"
	"path"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/account"
)

// Cookies. The __Host- prefix ties each to this host, over TLS, for all paths
// (RFC 6265bis §4.1.3.2). All are Lax: a link in a mail is a navigation from
// another site, and must find both the visitor's session and what /l/ set.
const (
	cookieSession  = "__Host-session"
	cookieGuest    = "__Host-guest"
	cookieLink     = "__Host-link"
	cookieLanguage = "__Host-language"
)

const (
	linkLife     = 24 * time.Hour // of the link's cookie and of the page's token
	languageLife = 365 * 24 * time.Hour
)

func (v *visit) cookie(name string) string {
	c, err := v.r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

func (v *visit) setCookie(name, value string, life time.Duration) {
	http.SetCookie(v.w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(life / time.Second),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func (v *visit) dropCookie(name string) { v.setCookie(name, "", -time.Second) }

// startSession logs the visitor in under a session id that did not exist
// before; whatever he brought along is ended (session fixation).
func (s *server) startSession(v *visit, user string) error {
	ctx := v.r.Context()
	if old := v.cookie(cookieSession); old != "" {
		if err := s.Accounts.EndSession(ctx, old); err != nil {
			return err
		}
	}
	secret, err := s.Accounts.NewSession(ctx, user, "", account.SessionLife)
	if err != nil {
		return err
	}
	v.setCookie(cookieSession, secret, account.SessionLife)
	return nil
}

// seeOther sends the visitor on with a GET (RFC 9110 §15.4.4). path is ours.
func (v *visit) seeOther(path string) error {
	v.w.Header().Set("Location", path)
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// askLogin remembers where a reader was going; a form's target is no page to
// come back to.
func (s *server) askLogin(v *visit) {
	target := "/login"
	if v.r.Method == http.MethodGet || v.r.Method == http.MethodHead {
		target += "?next=" + v.r.URL.EscapedPath()
	}
	v.seeOther(target)
}

// localPath is p when it is a plain path of this site, else "". "//host" and
// "/\host" leave the site in browsers; "/..//host" may, in those that tidy a
// path before they read it.
func localPath(p string) string {
	const most = 300 // octets
	if len(p) == 0 || len(p) > most || p[0] != '/' || path.Clean(p) != p {
		return ""
	}
	for _, c := range []byte(p) {
		if c <= ' ' || c >= 0x7f || c == '\\' || c == '?' || c == '#' {
			return ""
		}
	}
	return p
}
