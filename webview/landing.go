package webview

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// link takes the token out of the address bar: it goes into a cookie, and the
// visitor to a clean address. Nothing here counts as receipt; what looks like
// a program is noted apart.
func (s *server) link(v *visit) error {
	token := v.r.PathValue("token")
	c, err := s.Gateway.Landing(v.r.Context(), token)
	if errors.Is(err, gateway.ErrNotFound) {
		return errLink
	}
	if err != nil {
		return err
	}
	v.subject = c.ID
	if program(v.r) {
		if err := s.Gateway.NoteFetch(v.r.Context(), c.ID, v.r.Method, v.r.UserAgent()); err != nil {
			return err
		}
	}
	v.setCookie(cookieLink, token, linkLife)
	return v.seeOther("/letter")
}

// linkOptions answers OPTIONS, which only programs send.
func (s *server) linkOptions(v *visit) error {
	c, err := s.Gateway.Landing(v.r.Context(), v.r.PathValue("token"))
	if err == nil {
		v.subject = c.ID
		err = s.Gateway.NoteFetch(v.r.Context(), c.ID, v.r.Method, v.r.UserAgent())
	}
	if err != nil && !errors.Is(err, gateway.ErrNotFound) && !errors.Is(err, gateway.ErrGone) {
		return err
	}
	v.w.Header().Set("Allow", "GET, HEAD, OPTIONS")
	v.w.WriteHeader(http.StatusNoContent)
	return nil
}

// program reports whether a request does not show itself as a person following
// a link: browsers name a navigation (Fetch Metadata) and a prefetch. Being
// wrong costs nothing, for neither answer counts.
func program(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return true
	}
	for _, h := range []string{"Sec-Purpose", "Purpose", "X-Moz"} {
		if strings.Contains(strings.ToLower(r.Header.Get(h)), "pre") { // prefetch, prerender, preview
			return true
		}
	}
	return r.Header.Get("Sec-Fetch-Mode") != "navigate"
}

// landed is the consignment whose link the visitor followed.
func (s *server) landed(v *visit) (*store.ConsignmentRow, error) {
	token := v.cookie(cookieLink)
	if token == "" {
		return nil, errLink
	}
	c, err := s.Gateway.Landing(v.r.Context(), token)
	if errors.Is(err, gateway.ErrNotFound) {
		return nil, errLink
	}
	if err != nil {
		return nil, err
	}
	v.subject = c.ID
	return c, nil
}

// letterData is what anyone who holds the link may see: who, when, how many
// files. Neither the subject, nor names of files, nor the recipient's address.
type letterData struct {
	Signers            []signatureView
	Verdict            tag
	Sender, SenderName string
	Sent, Until        moment
	Files              int
	Received           moment
	Open               string // where the files are, for who has them already
	NeedsAccount       bool
	Own                bool // the visitor's account has the address
	Token              string
	Address, Error     string
}

func (s *server) letterPage(v *visit) error {
	c, err := s.landed(v)
	if err != nil {
		return err
	}
	return s.showLetter(v, http.StatusOK, c, letterData{})
}

func (s *server) showLetter(v *visit, status int, c *store.ConsignmentRow, d letterData) error {
	sub, err := s.DB.Submission(v.r.Context(), c.Submission)
	if err != nil {
		return err
	}
	p := s.page(v, "letter.title")
	d.Signers = p.signatures(oncePerCertificate(sub.Finding.Signatures), "")
	d.Verdict = p.verdict(sub.Finding.Verdict)
	d.Sender, d.SenderName = safe(c.Sender), safe(c.SenderName)
	d.Sent, d.Until, d.Received = p.moment(c.Time), p.moment(c.Expires), p.moment(c.ReceivedAt)
	for _, doc := range sub.Finding.Documents {
		if !doc.Note {
			d.Files++
		}
	}
	d.Own = v.user != nil && has(v.user, c.Recipient)
	switch {
	case c.ReceivedBy != "" && (v.guest != nil && v.opened == c.ID || v.user != nil && v.user.ID == c.ReceivedBy):
		d.Open = "/received/" + c.ID
	case !d.Own:
		if d.NeedsAccount, err = s.claimed(v, c.Recipient); err != nil {
			return err
		}
	}
	d.Token = s.pageToken(v.cookie(cookieLink), c.ID, s.Now())
	if d.Error == "stale" {
		p.Alert, d.Error = p.T("letter.stale"), ""
	}
	p.Data = d
	return s.render(v, status, "letter", p)
}

// oncePerCertificate names a person once who signed several files.
func oncePerCertificate(list []rem.Signature) []rem.Signature {
	seen := map[rem.Digest]bool{}
	var out []rem.Signature
	for _, s := range list {
		if s.CertificateSHA256.IsZero() || !seen[s.CertificateSHA256] {
			seen[s.CertificateSHA256] = true
			out = append(out, s)
		}
	}
	return out
}

func has(u *store.User, address string) bool {
	for _, a := range u.Addresses {
		if rem.SameAddress(a, address) {
			return true
		}
	}
	return false
}

// claimed reports whether an address belongs to a claimed account: then only
// its session may confirm.
func (s *server) claimed(v *visit, address string) (bool, error) {
	u, err := s.DB.UserByAddress(v.r.Context(), address)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && u.Claimed, err
}

// confirm is the act that counts: a person's POST from the page he was shown.
func (s *server) confirm(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	c, err := s.landed(v)
	if err != nil {
		return err
	}
	if !s.checkPageToken(v.r.PostForm.Get("token"), v.cookie(cookieLink), c.ID) {
		return s.showLetter(v, http.StatusForbidden, c, letterData{Error: "stale"})
	}
	q := gateway.HandoverRequest{Consignment: c.ID, Peer: v.peer, Language: v.words.Lang}
	q.Address, _ = typed(v.r.PostForm.Get("address"))
	own := v.user != nil && has(v.user, c.Recipient)
	if own {
		q.User = v.user
	}
	user, err := s.Gateway.Handover(v.r.Context(), q)
	switch {
	case errors.Is(err, gateway.ErrAddressMismatch):
		v.err = err
		return s.showLetter(v, http.StatusUnprocessableEntity, c, letterData{Address: q.Address, Error: v.words.T("letter.mismatch")})
	case errors.Is(err, gateway.ErrSessionRequired):
		v.err = err
		return s.showLetter(v, http.StatusForbidden, c, letterData{})
	case err != nil:
		return err
	}
	if !own {
		if err := s.startGuest(v, user.ID, c.ID); err != nil {
			return err
		}
	}
	return v.seeOther("/received/" + c.ID)
}

// startGuest opens one consignment to who confirmed it by its link. A login
// with another address stays as it is.
func (s *server) startGuest(v *visit, user, consignment string) error {
	if old := v.cookie(cookieGuest); old != "" {
		if err := s.Accounts.EndSession(v.r.Context(), old); err != nil {
			return err
		}
	}
	secret, err := s.Accounts.NewSession(v.r.Context(), user, consignment, 0)
	if err != nil {
		return err
	}
	v.setCookie(cookieGuest, secret, linkLife)
	return nil
}

// pageToken ties a form to the browser that was shown it: time and HMAC under
// the link's own secret, which only that browser and the mail hold.
func (s *server) pageToken(link, consignment string, made time.Time) string {
	return fmt.Sprintf("%d.%s", made.Unix(), base64.RawURLEncoding.EncodeToString(pageMAC(link, consignment, made.Unix())))
}

func pageMAC(link, consignment string, made int64) []byte {
	m := hmac.New(sha256.New, []byte(link))
	fmt.Fprintf(m, "letter\x00%s\x00%d", consignment, made)
	return m.Sum(nil)
}

func (s *server) checkPageToken(token, link, consignment string) bool {
	at, mac, ok := strings.Cut(token, ".")
	made, err := strconv.ParseInt(at, 10, 64)
	if !ok || err != nil {
		return false
	}
	got, err := base64.RawURLEncoding.DecodeString(mac)
	age := s.Now().Sub(time.Unix(made, 0))
	return err == nil && age > -time.Minute && age < linkLife && hmac.Equal(got, pageMAC(link, consignment, made))
}
