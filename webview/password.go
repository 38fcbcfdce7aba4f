package webview

import (
	"errors"
	"net/http"

	"cryptogramm.ru/cryptogramm/gateway/account"
)

// passwordData is what the two forms of a new password show.
type passwordData struct{ Address, Error string }

// forgotPage is where a link to a new password is asked for. Whoever is logged
// in finds his own address in it.
func (s *server) forgotPage(v *visit) error {
	d := passwordData{}
	if v.user != nil {
		d.Address = v.user.Email
	}
	return s.showForgot(v, http.StatusOK, d)
}

func (s *server) showForgot(v *visit, status int, d passwordData) error {
	p := s.page(v, "forgot.title")
	p.Path, p.Data = "/password", d
	return s.render(v, status, "forgot", p)
}

// forgot asks for the link. The answer is the same whoever has the address.
func (s *server) forgot(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	address, valid := typed(v.r.PostForm.Get("address"))
	err := account.ErrAddress
	if valid {
		err = s.Gateway.ForgotPassword(v.r.Context(), address, v.words.Lang, v.peer)
	}
	if errors.Is(err, account.ErrAddress) {
		return s.showForgot(v, http.StatusUnprocessableEntity, passwordData{Address: address, Error: v.words.T("register.invalid")})
	}
	if err != nil {
		return err
	}
	p := s.page(v, "registered.title")
	p.Path, p.Data = "/password", address
	return s.render(v, http.StatusOK, "forgotten", p)
}

// resetPage is where the mailed link leads. Looking at it changes nothing.
func (s *server) resetPage(v *visit) error {
	address, err := s.Accounts.ResetAddress(v.r.Context(), v.r.PathValue("token"))
	if err != nil {
		return err
	}
	return s.showReset(v, http.StatusOK, passwordData{Address: address})
}

func (s *server) showReset(v *visit, status int, d passwordData) error {
	p := s.page(v, "reset.title")
	p.Data = d
	return s.render(v, status, "reset", p)
}

// reset sets the new password. Every session ends with it, this browser's too:
// he logs in with what he has just typed.
func (s *server) reset(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	ctx, token := v.r.Context(), v.r.PathValue("token")
	address, err := s.Accounts.ResetAddress(ctx, token)
	if err != nil {
		return err
	}
	password := v.r.PostForm.Get("password")
	if account.CheckPassword(password) != nil {
		return s.showReset(v, http.StatusUnprocessableEntity, passwordData{Address: address, Error: v.words.T("claim.password.weak")})
	}
	if _, err := s.Gateway.ResetPassword(ctx, token, password); err != nil {
		return err
	}
	v.dropCookie(cookieSession)
	return v.seeOther("/login?done=password")
}
