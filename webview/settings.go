package webview

import (
	"net/http"

	"cryptogramm.ru/cryptogramm/store"
)

// settingsForm names the forms of the settings page in their token.
const settingsForm = "settings"

type settingsData struct {
	Email     string
	Addresses []string
	Local     bool // the first address is of this server: its mailbox has the receipts anyway
	Outside   bool
	Token     string
}

// settings shows what the owner of an account may choose.
func (s *server) settings(v *visit) error {
	user, err := v.account()
	if err != nil {
		return err
	}
	done := ""
	if v.r.URL.Query().Get("done") == "receipts" {
		done = v.words.T("settings.saved")
	}
	return s.showSettings(v, http.StatusOK, user, note{done: done})
}

// note is what a page says above all else.
type note struct{ alert, done string }

func (s *server) showSettings(v *visit, status int, user *store.User, n note) error {
	p := s.page(v, "settings.title")
	p.Alert, p.Done = n.alert, n.done
	p.Section, p.Path, p.Data = "settings", "/settings", settingsData{
		Email: safe(user.Email), Addresses: safeAll(user.Addresses), Outside: user.ReceiptsOutside, Local: s.Gateway.Local(user.Email),
		Token: s.pageToken(v.cookie(cookieSession), settingsForm, s.Now()),
	}
	return s.render(v, status, "settings", p)
}

// change runs an act of the settings page, for its owner and once its token was
// found to be of this browser; a stale one shows the page again.
func (s *server) change(act func(*visit, *store.User) error) handler {
	return func(v *visit) error {
		user, err := v.account()
		if err != nil {
			return err
		}
		if err := v.form(); err != nil {
			return err
		}
		if !s.checkPageToken(v.r.PostForm.Get("token"), v.cookie(cookieSession), settingsForm) {
			return s.showSettings(v, http.StatusConflict, user, note{alert: v.words.T("settings.stale")})
		}
		return act(v, user)
	}
}

// setReceipts: an unchecked box is not sent at all.
func (s *server) setReceipts(v *visit, user *store.User) error {
	on := v.r.PostForm.Get("outside") != ""
	if err := s.Accounts.SetReceiptsOutside(v.r.Context(), user.ID, on); err != nil {
		return err
	}
	return v.seeOther("/settings?done=receipts")
}

func (s *server) endSessions(v *visit, user *store.User) error {
	if err := s.Accounts.EndSessions(v.r.Context(), user.ID); err != nil {
		return err
	}
	v.dropCookie(cookieSession)
	return v.seeOther("/login?done=sessions")
}
