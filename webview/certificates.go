package webview

import (
	"errors"
	"net/http"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

type certificatesData struct{ Certificates []certificateView }

func (s *server) certificates(v *visit) error {
	user, err := v.account()
	if err != nil {
		return err
	}
	list, err := s.DB.UserCertificates(v.r.Context(), user.ID)
	if err != nil {
		return err
	}
	p := s.page(v, "cert.title")
	switch v.r.URL.Query().Get("done") {
	case "added":
		p.Done = p.T("cert.added.done")
	case "removed":
		p.Done = p.T("cert.removed.done")
	}
	p.Section, p.Data = "certificates", certificatesData{p.certificates(list, s.Now())}
	return s.render(v, http.StatusOK, "certificates", p)
}

// newChallenge makes a text to sign. It is a POST because the text is kept.
func (s *server) newChallenge(v *visit) error {
	user, err := v.account()
	if err != nil {
		return err
	}
	_, token, err := s.Accounts.Challenge(v.r.Context(), user.ID)
	if err != nil {
		return err
	}
	return v.seeOther("/certificates/challenge/" + token)
}

type challengeData struct {
	Token, Text, Error string
	Refused            *refusedView
}

func (s *server) challenge(v *visit) error {
	return s.showChallenge(v, http.StatusOK, challengeData{Token: v.r.PathValue("token")})
}

func (s *server) showChallenge(v *visit, status int, d challengeData) error {
	user, err := v.account()
	if err != nil {
		return err
	}
	text, err := s.Accounts.ChallengeText(v.r.Context(), user.ID, d.Token)
	if err != nil {
		return err
	}
	p := s.page(v, "challenge.title")
	d.Text = safeLines(string(text))
	p.Section, p.Path, p.Data = "certificates", "/certificates/challenge/"+d.Token, d
	return s.render(v, status, "challenge", p)
}

func (s *server) challengeText(v *visit) error {
	user, err := v.account()
	if err != nil {
		return err
	}
	text, err := s.Accounts.ChallengeText(v.r.Context(), user.ID, v.r.PathValue("token"))
	if err != nil {
		return err
	}
	return v.file("challenge.txt", text)
}

// addCertificate registers the certificate that signed the challenge.
func (s *server) addCertificate(v *visit) error {
	user, err := v.account()
	if err != nil {
		return err
	}
	signature, wrong, err := v.upload("signature")
	if err != nil {
		return err
	}
	if v.r.MultipartForm == nil { // too large to be read, so the challenge is not known either
		return &http.MaxBytesError{Limit: maxSignature}
	}
	d := challengeData{Token: v.r.FormValue("challenge")}
	if wrong != "" {
		d.Error = v.words.T(wrong)
		return s.showChallenge(v, uploadStatus(wrong), d)
	}
	cert, err := s.Gateway.RegisterCertificate(v.r.Context(), user, d.Token, signature)
	var refusal *rem.Refusal
	switch {
	case errors.As(err, &refusal):
		v.err = err
		d.Refused = s.page(v, "challenge.title").refused(refusal)
		return s.showChallenge(v, http.StatusUnprocessableEntity, d)
	case errors.Is(err, store.ErrExists):
		return s.taken(v, err)
	case errors.Is(err, gateway.ErrNotFound): // the challenge is too old, or not his
		return errors.Join(account.ErrToken, err)
	case err != nil:
		return err
	}
	v.subject = cert.SHA256.String()
	return v.seeOther("/certificates?done=added")
}

// taken: the certificate is registered to another account. The challenge is
// used up by then, so the page to return to is the list.
func (s *server) taken(v *visit, err error) error {
	v.err = err
	list, err := s.DB.UserCertificates(v.r.Context(), v.user.ID)
	if err != nil {
		return err
	}
	p := s.page(v, "cert.title")
	p.Alert = p.T("cert.exists")
	p.Section, p.Data = "certificates", certificatesData{p.certificates(list, s.Now())}
	return s.render(v, http.StatusConflict, "certificates", p)
}

func (s *server) removeCertificate(v *visit) error {
	user, err := v.account()
	if err != nil {
		return err
	}
	sha, err := rem.ParseDigest(v.r.PathValue("sha"))
	if err != nil || sha.IsZero() {
		return store.ErrNotFound
	}
	if err := s.Accounts.RemoveCertificate(v.r.Context(), user.ID, sha); err != nil {
		return err
	}
	v.subject = sha.String()
	return v.seeOther("/certificates?done=removed")
}
