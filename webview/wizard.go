package webview

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/document"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// maxSignature bounds an uploaded signature, in octets.
const maxSignature = 1 << 20

// preview is the wizard's choice of no certificate.
const preview = "preview"

type wizardData struct {
	Subject, Back, Error string
	Certificates         []certificateView
	Preview              bool // chosen
}

type certificateView struct {
	Name, Subject, Issuer, Serial, SHA256, Until string
	Expired, Chosen                              bool
	NotAfter, Added                              moment
}

// mine finds the consignment for which the visitor runs the wizard: it has
// to be his as a recipient.
func (s *server) mine(v *visit) (view *gateway.View, user *store.User, asGuest bool, err error) {
	id := v.r.PathValue("consignment")
	if user, asGuest, err = v.viewer(id); err != nil {
		return nil, nil, false, err
	}
	if view, err = s.Gateway.View(v.r.Context(), user, id); err != nil {
		return nil, nil, false, err
	}
	if view.Consignment.ReceivedBy != user.ID {
		return nil, nil, false, gateway.ErrNotFound
	}
	v.subject = id
	return view, user, asGuest, nil
}

func (s *server) wizardPage(v *visit) error {
	view, user, asGuest, err := s.mine(v)
	if err != nil {
		return err
	}
	return s.showWizard(v, http.StatusOK, wizardFor{view, user, asGuest}, "")
}

// wizardFor is whose wizard is shown for what.
type wizardFor struct {
	view    *gateway.View
	user    *store.User
	asGuest bool
}

func (s *server) showWizard(v *visit, status int, q wizardFor, wrong string) error {
	p := s.page(v, "wizard.title")
	d := wizardData{Subject: p.subject(q.view.Submission.Letter.Subject), Back: "/received/" + q.view.Consignment.ID}
	if wrong != "" {
		d.Error = p.T(wrong)
	}
	if !q.asGuest {
		list, err := s.DB.UserCertificates(v.r.Context(), q.user.ID)
		if err != nil {
			return err
		}
		d.Certificates = p.certificates(list, s.Now())
	}
	d.Preview = choose(d.Certificates)
	p.Section, p.AsGuest, p.Data = "received", q.asGuest, d
	return s.render(v, status, "wizard", p)
}

// choose marks the only usable certificate; with several the person picks
// (S4.10), with none the preview is what is left.
func choose(list []certificateView) (preview bool) {
	usable := -1
	for i, c := range list {
		if c.Expired {
			continue
		}
		if usable >= 0 {
			return false
		}
		usable = i
	}
	if usable < 0 {
		return true
	}
	list[usable].Chosen = true
	return false
}

func (p *page) certificates(list []store.UserCertificate, now time.Time) []certificateView {
	out := make([]certificateView, len(list))
	for i, c := range list {
		out[i] = certificateView{
			Name: commonName(c.Subject), Subject: safe(c.Subject), Issuer: safe(c.Issuer), Serial: c.Serial,
			SHA256: c.SHA256.String(), NotAfter: p.moment(c.NotAfter), Added: p.moment(c.Added),
			Expired: now.After(c.NotAfter), Until: p.T("wizard.until", p.Day(c.NotAfter)),
		}
		if out[i].Expired {
			out[i].Until = p.T("wizard.expired", p.Day(c.NotAfter))
		}
	}
	return out
}

// wizard checks the signatures again, now. With a certificate of his own the
// result becomes a protocol to sign; without, it is shown and forgotten.
func (s *server) wizard(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	view, user, asGuest, err := s.mine(v)
	if err != nil {
		return err
	}
	q := gateway.DraftRequest{User: user, Consignment: view.Consignment.ID, Language: v.words.Lang}
	switch choice := v.r.PostForm.Get("certificate"); {
	case choice == "":
		return s.showWizard(v, http.StatusUnprocessableEntity, wizardFor{view, user, asGuest}, "wizard.missing")
	case choice != preview:
		q.Certificate, err = rem.ParseDigest(choice)
		if err != nil || asGuest {
			return s.showWizard(v, http.StatusUnprocessableEntity, wizardFor{view, user, asGuest}, "wizard.unknown")
		}
	}
	row, made, err := s.Gateway.Draft(v.r.Context(), q)
	if errors.Is(err, gateway.ErrNotFound) { // the consignment is his, so it is the certificate
		return s.showWizard(v, http.StatusUnprocessableEntity, wizardFor{view, user, asGuest}, "wizard.unknown")
	}
	if err != nil {
		return err
	}
	if made.Preview() {
		return s.showProtocol(v, http.StatusOK, protocolPage{row: row, made: made, asGuest: asGuest})
	}
	return v.seeOther("/protocol/" + row.ID)
}

// ownProtocol finds a protocol of the visitor's own account.
func (s *server) ownProtocol(v *visit, id string) (*store.Protocol, error) {
	user, err := v.account()
	if err != nil {
		return nil, err
	}
	row, err := s.DB.Protocol(v.r.Context(), id)
	if err != nil {
		return nil, err
	}
	if row.User != user.ID {
		return nil, gateway.ErrNotFound
	}
	v.subject = row.Consignment
	return row, nil
}

// protocol shows a protocol, or saves what is stored of it.
func (s *server) protocol(v *visit) error {
	id, ext, _ := strings.Cut(v.r.PathValue("id"), ".")
	row, err := s.ownProtocol(v, id)
	if err != nil {
		return err
	}
	switch {
	case ext == "":
		made, err := document.ParseProtocol(row.Body)
		if err != nil {
			return err
		}
		return s.showProtocol(v, http.StatusOK, protocolPage{row: row, made: made})
	case ext == "json":
		return v.file("protocol.json", row.Body)
	case ext == "html":
		return v.file("protocol.html", row.HTML)
	case ext == "p7s" && len(row.Signature) > 0:
		return v.file("protocol.json.p7s", row.Signature)
	}
	return gateway.ErrNotFound
}

// protocolView shows the stored HTML as the page it is.
func (s *server) protocolView(v *visit) error {
	row, err := s.ownProtocol(v, v.r.PathValue("id"))
	if err != nil {
		return err
	}
	return v.paper(row.HTML)
}

// paper shows a document of ours that brings its own style and loads nothing.
func (v *visit) paper(html []byte) error {
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	v.w.WriteHeader(http.StatusOK)
	if v.r.Method == http.MethodHead {
		return nil
	}
	_, err := v.w.Write(html)
	return err
}

// protocolPage is a protocol with what has become of it.
type protocolPage struct {
	row     *store.Protocol
	made    *document.Protocol
	asGuest bool
	wrong   string // key of what is wrong with the upload
	refused *rem.Refusal
}

type protocolData struct {
	ID, Consignment, Subject, Sender, Recipient, Certificate string
	Preview, Expired, CanSign                                bool
	Made, Until, Signed                                      moment
	Finding                                                  findingView
	Error                                                    string
	Refused                                                  *refusedView
}

// refusedView is why a signature was not accepted, with every check.
type refusedView struct {
	Text       string // in the reader's language, "" for a reason without words
	Detail     string // English, ASCII
	Signatures []signatureView
}

func (s *server) showProtocol(v *visit, status int, q protocolPage) error {
	p := s.page(v, "protocol.title")
	row, made := q.row, q.made
	d := protocolData{
		ID: row.ID, Consignment: made.Consignment, Subject: p.subject(made.Letter.Subject),
		Sender: person(made.Sender), Recipient: person(made.Recipient), Preview: made.Preview(),
		Made: p.moment(made.Made), Signed: p.moment(row.SignedAt),
		Finding: p.finding(made.Finding, "/received/"+made.Consignment), Refused: p.refused(q.refused),
	}
	if !d.Preview {
		d.Certificate = safe(made.RecipientCertificate.Subject)
		d.Until = p.moment(row.Expires)
		d.Expired = row.SignedAt.IsZero() && !s.Now().Before(row.Expires)
		d.CanSign = row.SignedAt.IsZero() && !d.Expired
		p.Path = "/protocol/" + row.ID
	}
	if q.wrong != "" {
		d.Error = p.T(q.wrong)
	}
	p.Section, p.AsGuest, p.Data = "received", q.asGuest, d
	return s.render(v, status, "protocol", p)
}

func (p *page) refused(r *rem.Refusal) *refusedView {
	if r == nil {
		return nil
	}
	v := &refusedView{Signatures: p.signatures(r.Finding.Signatures, "")}
	for i := range v.Signatures {
		v.Signatures[i].Covers = nil // it covers what the page is about
		v.Signatures[i].Own = true   // none of the letter's, whose numbers are the page's anchors
	}
	if key := "refused." + string(r.Reason); p.Has(key) {
		v.Text = p.T(key)
	}
	v.Detail, _, _ = strings.Cut(r.Text, "\n")
	return v
}

// upload reads a form with one signature file. wrong is a key that says what
// is wrong with the file; err is for what is no form at all.
func (v *visit) upload(name string) (b []byte, wrong string, err error) {
	const fields = 16 << 10 // the other fields and the form's own lines
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxSignature+fields)
	err = formError(v.r.ParseMultipartForm(maxSignature + fields))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, "protocol.sign.large", nil
	}
	if err != nil {
		return nil, "", err
	}
	defer v.r.MultipartForm.RemoveAll()
	f, _, err := v.r.FormFile(name)
	if errors.Is(err, http.ErrMissingFile) {
		return nil, "protocol.sign.missing", nil
	}
	if err != nil {
		return nil, "", errors.Join(errForm, err)
	}
	defer f.Close()
	b, err = io.ReadAll(io.LimitReader(f, maxSignature+1))
	switch {
	case err != nil:
		return nil, "", err
	case len(b) == 0:
		return nil, "protocol.sign.missing", nil
	case len(b) > maxSignature:
		return nil, "protocol.sign.large", nil
	}
	return b, "", nil
}

// sign takes the recipient's signature over the protocol's bytes (S4.12).
func (s *server) sign(v *visit) error {
	row, err := s.ownProtocol(v, v.r.PathValue("id"))
	if err != nil {
		return err
	}
	made, err := document.ParseProtocol(row.Body)
	if err != nil {
		return err
	}
	signature, wrong, err := v.upload("signature")
	if err != nil {
		return err
	}
	if wrong != "" {
		return s.showProtocol(v, uploadStatus(wrong), protocolPage{row: row, made: made, wrong: wrong})
	}
	err = s.Gateway.Acknowledge(v.r.Context(), gateway.AcknowledgeRequest{User: v.user, Protocol: row.ID, Signature: signature})
	var refusal *rem.Refusal
	if errors.As(err, &refusal) {
		v.err = err
		return s.showProtocol(v, http.StatusUnprocessableEntity, protocolPage{row: row, made: made, refused: refusal})
	}
	if err != nil {
		return err
	}
	return v.seeOther("/protocol/" + row.ID)
}

func uploadStatus(wrong string) int {
	if wrong == "protocol.sign.large" {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusUnprocessableEntity
}
