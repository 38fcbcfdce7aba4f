package webview

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/store"
)

// perPage is how many letters a list shows at once.
const perPage = 50

// rowView is one letter of a list.
type rowView struct {
	ID, Subject, Sender, Name string
	Sent, Received            moment
	State                     tag
	Documents, Recipients     int
	States                    []tag
}

type listData struct {
	Rows  []rowView
	Paged bool   // not the first page
	Older string // where the next page is
}

// cursor reads where a list goes on: "<microseconds>.<id>".
func cursor(v *visit) store.Page {
	p := store.Page{Limit: perPage + 1}
	at, id, ok := strings.Cut(v.r.URL.Query().Get("before"), ".")
	micros, err := strconv.ParseInt(at, 10, 64)
	if ok && err == nil && validID(id) {
		p.Before, p.BeforeID = time.UnixMicro(micros).UTC(), id
	}
	return p
}

func older(path string, at time.Time, id string) string {
	return path + "?before=" + strconv.FormatInt(at.UnixMicro(), 10) + "." + id
}

// validID: 26 characters of lower-case base32 (rem.IDText).
func validID(s string) bool {
	const length = 26
	return len(s) == length && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

func (s *server) received(v *visit) error {
	if v.user == nil && v.guest != nil {
		return v.seeOther("/received/" + v.opened)
	}
	user, err := v.account()
	if err != nil {
		return err
	}
	at := cursor(v)
	rows, err := s.DB.Received(v.r.Context(), user.ID, at)
	if err != nil {
		return err
	}
	p := s.page(v, "received.title")
	d := listData{Paged: at.BeforeID != ""}
	if len(rows) > perPage {
		rows = rows[:perPage]
		last := rows[perPage-1]
		d.Older = older("/received", last.ReceivedAt, last.ID)
	}
	for _, c := range rows {
		d.Rows = append(d.Rows, rowView{
			ID: c.ID, Subject: p.subject(c.Subject), Sender: safe(c.Sender), Name: safe(c.SenderName),
			Sent: p.moment(c.Time), Received: p.moment(c.ReceivedAt), State: p.state(c.State),
		})
	}
	p.Section, p.Data = "received", d
	return s.render(v, http.StatusOK, "received", p)
}

func (s *server) sent(v *visit) error {
	user, err := v.account()
	if err != nil {
		return err
	}
	at := cursor(v)
	rows, err := s.DB.Submissions(v.r.Context(), user.ID, at)
	if err != nil {
		return err
	}
	p := s.page(v, "sent.title")
	d := listData{Paged: at.BeforeID != ""}
	if len(rows) > perPage {
		rows = rows[:perPage]
		last := rows[perPage-1]
		d.Older = older("/sent", last.Time, last.ID)
	}
	for _, r := range rows {
		d.Rows = append(d.Rows, rowView{
			ID: r.ID, Subject: p.subject(r.Subject), Sent: p.moment(r.Time),
			Documents: r.Documents, Recipients: r.Recipients, States: p.states(r.State),
		})
	}
	p.Section, p.Data = "sent", d
	return s.render(v, http.StatusOK, "sent", p)
}

// states sums up how far a letter has come, furthest last.
func (p *page) states(count map[string]int) []tag {
	var out []tag
	total := 0
	for _, n := range count {
		total += n
	}
	order := []store.State{store.StatePending, store.StateNotified, store.StateFailed, store.StateExpired, store.StateReceived, store.StateVerified}
	for _, state := range order {
		n := count[string(state)]
		if n == 0 {
			continue
		}
		t := p.state(state)
		if total > 1 {
			t.Text += ": " + strconv.Itoa(n)
		}
		out = append(out, t)
	}
	return out
}

// letterView is a letter as one of its parties sees it.
type letterView struct {
	ID                 string
	Sender, SenderName string
	Recipient          string
	Sent, Received     moment
	Grade              string
	Finding            findingView
	Evidence           []evidenceView
	Protocols          []protocolRow
	Repeats            string
	MessageID, SHA256  string
	Recipients         []recipientView
}

type protocolRow struct{ ID, Made, State string }

type recipientView struct {
	Address  string
	State    tag
	Received moment
	Grade    string
}

func (s *server) consignment(v *visit) error {
	id := v.r.PathValue("consignment")
	user, asGuest, err := v.viewer(id)
	if err != nil {
		return err
	}
	view, err := s.Gateway.View(v.r.Context(), user, id)
	if err != nil {
		return err
	}
	c, sub := view.Consignment, view.Submission
	v.subject = c.ID
	if view.Role == gateway.RoleSender && c.ReceivedBy != user.ID {
		return v.seeOther("/sent/" + c.Submission)
	}
	p := s.page(v, "view.kicker")
	p.Kicker, p.Title, p.Section, p.AsGuest = p.Title, p.subject(sub.Letter.Subject), "received", asGuest
	d := letterView{
		ID: c.ID, Sender: safe(sub.Sender), SenderName: safe(sub.SenderName), Recipient: safe(c.Recipient),
		Sent: p.moment(sub.Time), Received: p.moment(c.ReceivedAt), Grade: p.grade(c.Grade),
		Finding: p.finding(sub.Finding, p.Path), Evidence: p.evidence(view.Evidence),
	}
	if !asGuest {
		if d.Protocols, err = s.protocols(v, p, c.ID); err != nil {
			return err
		}
	}
	p.Data = d
	return s.render(v, http.StatusOK, "consignment", p)
}

// protocols lists the viewer's protocols of a consignment, newest first.
func (s *server) protocols(v *visit, p *page, consignment string) ([]protocolRow, error) {
	list, err := s.DB.Protocols(v.r.Context(), v.user.ID, consignment)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b store.Protocol) int { return b.Created.Compare(a.Created) })
	var out []protocolRow
	for _, x := range list {
		state := p.T("view.protocol.open", p.Time(x.Expires))
		switch {
		case len(x.Signature) > 0:
			state = p.T("view.protocol.signed", p.Time(x.SignedAt))
		case !s.Now().Before(x.Expires):
			state = p.T("view.protocol.expired", p.Time(x.Expires))
		}
		out = append(out, protocolRow{x.ID, p.Time(x.Created), state})
	}
	return out, nil
}

func (s *server) submission(v *visit) error {
	user, err := v.account()
	if err != nil {
		return err
	}
	view, err := s.Gateway.ViewSubmission(v.r.Context(), user, v.r.PathValue("submission"))
	if err != nil {
		return err
	}
	sub := view.Submission
	v.subject = sub.ID
	p := s.page(v, "sub.kicker")
	p.Kicker, p.Title, p.Section = p.Title, p.subject(sub.Letter.Subject), "sent"
	d := letterView{
		ID: sub.ID, Sender: safe(sub.Sender), SenderName: safe(sub.SenderName), Sent: p.moment(sub.Time),
		MessageID: safe(sub.Letter.MessageID), SHA256: sub.Letter.Ref.SHA256.String(), Repeats: sub.Repeats,
		Finding: p.finding(sub.Finding, p.Path), Evidence: p.evidence(view.Evidence),
	}
	for _, c := range view.Consignments {
		d.Recipients = append(d.Recipients, recipientView{
			Address: safe(c.Recipient), State: p.state(c.State), Received: p.moment(c.ReceivedAt), Grade: p.grade(c.Grade),
		})
	}
	p.Data = d
	return s.render(v, http.StatusOK, "submission", p)
}
