package webview

import (
	"net/http"
	"strings"

	"cryptogramm.ru/cryptogramm/store"
)

// refusalView is a letter that was not accepted, as its sender sees it.
type refusalView struct {
	ID, Sender   string
	Time         moment
	Why          string // in the reader's language, "" for a reason without words
	Detail       string // English, ASCII: what his mail program was told
	Size, SHA256 string
	Finding      findingView
}

// refusals lists the letters of an account that were not accepted.
func (s *server) refusals(v *visit) error {
	user, err := v.account()
	if err != nil {
		return err
	}
	at := cursor(v)
	rows, err := s.DB.Refusals(v.r.Context(), user.ID, at)
	if err != nil {
		return err
	}
	p := s.page(v, "refusals.title")
	d := struct {
		Rows  []refusalView
		Paged bool
		Older string
	}{Paged: at.BeforeID != ""}
	if len(rows) > perPage {
		rows = rows[:perPage]
		last := rows[perPage-1]
		d.Older = older("/refused", last.Time, last.ID)
	}
	for _, r := range rows {
		d.Rows = append(d.Rows, p.refusal(r))
	}
	p.Section, p.Data = "sent", d
	return s.render(v, http.StatusOK, "refusals", p)
}

// refusal shows one with every check; another's is like none.
func (s *server) refusal(v *visit) error {
	user, err := v.account()
	if err != nil {
		return err
	}
	id := v.r.PathValue("id")
	if !validID(id) {
		return store.ErrNotFound
	}
	r, err := s.DB.Refusal(v.r.Context(), id)
	if err != nil {
		return err
	}
	if r.Account != user.ID {
		return store.ErrNotFound
	}
	v.subject = r.ID
	p := s.page(v, "refusal.title")
	p.Section, p.Data = "sent", p.refusal(*r)
	return s.render(v, http.StatusOK, "refusal", p)
}

func (p *page) refusal(r store.Refusal) refusalView {
	v := refusalView{
		ID: r.ID, Sender: safe(r.Sender), Time: p.moment(r.Time), Size: p.Size(r.Wire.Size),
		Detail: safe(strings.ReplaceAll(r.Text, "\n", " ")), Finding: p.finding(r.Finding, ""),
	}
	if !r.Wire.SHA256.IsZero() {
		v.SHA256 = r.Wire.SHA256.String()
	}
	if key := "why." + r.Reason; p.Has(key) {
		v.Why = p.T(key)
	}
	return v
}
