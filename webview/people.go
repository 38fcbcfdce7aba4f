package webview

import (
	"errors"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/message"
)

// door names this door in failure budgets and logs.
const door = "web"

// maxForm bounds a form without a file, in octets.
const maxForm = 64 << 10

// form reads the request's form. errForm, *http.MaxBytesError.
func (v *visit) form() error {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	return formError(v.r.ParseForm())
}

func formError(err error) error {
	var large *http.MaxBytesError
	if err == nil || errors.As(err, &large) {
		return err
	}
	return errors.Join(errForm, err)
}

// typed is an address as a person typed it, in the form in which addresses are
// kept; false, and only trimmed, for what is no address.
func typed(s string) (string, bool) { return message.CanonicalAddress(strings.TrimSpace(s)) }

type loginData struct{ Address, Next string }

func (s *server) home(v *visit) error {
	if v.user != nil {
		return v.seeOther("/received")
	}
	p := s.page(v, "home.title")
	p.Data = loginData{}
	return s.render(v, http.StatusOK, "home", p)
}

func (s *server) loginPage(v *visit) error {
	next := localPath(v.r.URL.Query().Get("next"))
	if v.user != nil {
		return v.seeOther(orReceived(next))
	}
	return s.showLogin(v, http.StatusOK, loginData{Next: next}, "")
}

func (s *server) showLogin(v *visit, status int, d loginData, alert string) error {
	p := s.page(v, "login.title")
	p.Section, p.Path, p.Data = "login", "/login", d
	if alert != "" {
		p.Alert = p.T(alert)
	}
	switch v.r.URL.Query().Get("done") {
	case "password":
		p.Done = p.T("reset.done")
	case "sessions":
		p.Done = p.T("settings.sessions.done")
	}
	return s.render(v, status, "login", p)
}

func (s *server) login(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	d := loginData{Next: localPath(v.r.PostForm.Get("next"))}
	d.Address, _ = typed(v.r.PostForm.Get("address")) // what is no address is denied like a wrong one
	user, err := s.Accounts.Login(v.r.Context(), account.Login{
		Door: door, Peer: v.peer, Address: d.Address, Password: v.r.PostForm.Get("password"),
	})
	switch {
	case errors.Is(err, account.ErrDenied):
		v.err = err
		return s.showLogin(v, http.StatusForbidden, d, "login.denied")
	case errors.Is(err, account.ErrThrottled):
		v.err = err
		return s.showLogin(v, http.StatusTooManyRequests, d, "login.throttled")
	case err != nil:
		return err
	}
	if err := s.startSession(v, user.ID); err != nil {
		return err
	}
	v.user = user
	return v.seeOther(orReceived(d.Next))
}

func orReceived(next string) string {
	if next == "" {
		return "/received"
	}
	return next
}

// logout ends both sessions and forgets the link.
func (s *server) logout(v *visit) error {
	for _, name := range []string{cookieSession, cookieGuest} {
		if c := v.cookie(name); c != "" {
			if err := s.Accounts.EndSession(v.r.Context(), c); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{cookieSession, cookieGuest, cookieLink} {
		v.dropCookie(name)
	}
	return v.seeOther("/")
}

// language changes the language here and, for an account, in its profile,
// which decides the language of mails.
func (s *server) language(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	lang := v.r.PostForm.Get("language")
	if s.texts[lang] == nil {
		return errForm
	}
	if v.user != nil && v.user.Language != lang {
		if err := s.Accounts.SetLanguage(v.r.Context(), v.user, lang); err != nil {
			return err
		}
	}
	v.setCookie(cookieLanguage, lang, languageLife)
	if next := localPath(v.r.PostForm.Get("next")); next != "" {
		return v.seeOther(next)
	}
	return v.seeOther("/")
}

type registerData struct{ Address, Error string }

func (s *server) registerPage(v *visit) error {
	return s.showRegister(v, http.StatusOK, registerData{})
}

func (s *server) showRegister(v *visit, status int, d registerData) error {
	p := s.page(v, "register.title")
	p.Section, p.Data = "register", d
	return s.render(v, status, "register", p)
}

// register mails a link. The answer does not depend on whether the address
// has an account.
func (s *server) register(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	address, valid := typed(v.r.PostForm.Get("address"))
	err := account.ErrAddress
	if valid {
		err = s.Gateway.Register(v.r.Context(), address, v.words.Lang, v.peer)
	}
	if errors.Is(err, account.ErrAddress) {
		return s.showRegister(v, http.StatusUnprocessableEntity, registerData{Address: address, Error: v.words.T("register.invalid")})
	}
	if err != nil {
		return err
	}
	p := s.page(v, "registered.title")
	p.Section, p.Data = "register", address
	return s.render(v, http.StatusOK, "registered", p)
}

type claimData struct {
	Address, Name, NameError, PasswordError, Language string
}

func (s *server) claimPage(v *visit) error {
	address, lang, err := s.Accounts.Registration(v.r.Context(), v.r.PathValue("token"))
	if err != nil {
		return err
	}
	return s.showClaim(v, http.StatusOK, claimData{Address: address, Language: s.known(lang, v)})
}

// known is lang where there are texts in it, else the language of the page.
func (s *server) known(lang string, v *visit) string {
	if s.texts[lang] == nil {
		return v.words.Lang
	}
	return lang
}

func (s *server) showClaim(v *visit, status int, d claimData) error {
	p := s.page(v, "claim.title")
	p.Section, p.Data = "register", d
	return s.render(v, status, "claim", p)
}

// claim makes the account and logs its owner in.
func (s *server) claim(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	ctx, token := v.r.Context(), v.r.PathValue("token")
	address, lang, err := s.Accounts.Registration(ctx, token)
	if err != nil {
		return err
	}
	d := claimData{Address: address, Name: strings.TrimSpace(v.r.PostForm.Get("name")), Language: v.r.PostForm.Get("language")}
	password := v.r.PostForm.Get("password")
	if !validName(d.Name) {
		d.NameError = v.words.T("claim.name.wrong")
	}
	if account.CheckPassword(password) != nil {
		d.PasswordError = v.words.T("claim.password.weak")
	}
	if s.texts[d.Language] == nil {
		d.Language = s.known(lang, v)
	}
	if d.NameError != "" || d.PasswordError != "" {
		return s.showClaim(v, http.StatusUnprocessableEntity, d)
	}
	user, err := s.Accounts.Claim(ctx, account.Claim{Token: token, Name: d.Name, Password: password, Language: d.Language})
	if err != nil {
		return err
	}
	if err := s.startSession(v, user.ID); err != nil {
		return err
	}
	v.dropCookie(cookieGuest) // his guest sessions have ended
	return v.seeOther("/received")
}

// validName: a line of text as people write their name.
func validName(s string) bool {
	const most = 200 // characters
	n := utf8.RuneCountInString(s)
	return n > 0 && n <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
