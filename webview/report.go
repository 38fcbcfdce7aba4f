package webview

import (
	"net/http"
	"slices"
	"strings"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/document"
	"cryptogramm.ru/cryptogramm/store/rem"
)

type reportData struct {
	ID, Sender, Submission string
	IsSender               bool
	Verdict                tag
	Accepted, Made         moment
	Recipients             []reportRecipient
	Finding                findingView
	Back                   string
}

type reportRecipient struct {
	Address string
	Expires moment
	Events  []reportEvent
}

type reportEvent struct {
	Event       string
	Time        moment
	Facts       []string
	Certificate string
	Protocol    string
}

// reportFor makes the report the visitor may see. id is a submission or a
// consignment; a guest gets that of his one consignment.
func (s *server) reportFor(v *visit, id string) (r *document.Report, asGuest bool, err error) {
	user, asGuest, err := v.viewer(id)
	if err != nil {
		return nil, false, err
	}
	if r, err = s.Gateway.Report(v.r.Context(), user, id); err != nil {
		return nil, false, err
	}
	v.subject = id
	return r, asGuest, nil
}

// report shows a report, or saves it.
func (s *server) report(v *visit) error {
	id, ext, _ := strings.Cut(v.r.PathValue("id"), ".")
	r, asGuest, err := s.reportFor(v, id)
	if err != nil {
		return err
	}
	switch ext {
	case "":
		return s.showReport(v, id, r, asGuest)
	case "json":
		b, err := r.JSON()
		if err != nil {
			return err
		}
		return v.file("report-"+id+".json", b)
	case "html":
		b, err := r.HTML(v.words.Lang)
		if err != nil {
			return err
		}
		return v.file("report-"+id+".html", b)
	}
	return gateway.ErrNotFound
}

// reportView shows the report as the document that is saved.
func (s *server) reportView(v *visit) error {
	r, _, err := s.reportFor(v, v.r.PathValue("id"))
	if err != nil {
		return err
	}
	b, err := r.HTML(v.words.Lang)
	if err != nil {
		return err
	}
	return v.paper(b)
}

func (s *server) showReport(v *visit, id string, r *document.Report, asGuest bool) error {
	p := s.page(v, "report.title")
	p.Kicker, p.AsGuest = p.subject(r.Letter.Subject), asGuest
	d := reportData{
		ID: id, Sender: person(r.Sender), Submission: r.Submission, IsSender: r.Role == "sender",
		Verdict: p.verdict(r.Verdict), Accepted: p.moment(r.Letter.Received), Made: p.moment(r.Made), Back: "/received/" + id,
	}
	p.Section = "received"
	if d.IsSender {
		p.Section, d.Back = "sent", "/sent/"+r.Submission
	}
	for _, who := range r.Recipients {
		d.Recipients = append(d.Recipients, reportRecipient{
			Address: safe(who.Address), Expires: p.moment(who.Expires), Events: p.reportEvents(who.Events),
		})
	}
	d.Finding = p.finding(finding(r), "")
	p.Data = d
	return s.render(v, http.StatusOK, "report", p)
}

func (p *page) reportEvents(list []document.ReportEvent) []reportEvent {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b document.ReportEvent) int { return later(a.Time, a.Event, b.Time, b.Event) })
	var out []reportEvent
	for _, e := range list {
		x := reportEvent{
			Event: p.Or("event.", string(e.Event)), Time: p.moment(e.Time),
			Facts: p.facts(rem.Record{Grade: e.Grade, Reason: e.Reason}), Protocol: e.Protocol,
		}
		if e.Certificate != nil {
			x.Certificate = safe(e.Certificate.Subject)
		}
		out = append(out, x)
	}
	return out
}

// finding puts the report's parts back into the shape that pages show.
func finding(r *document.Report) rem.Finding {
	f := rem.Finding{Verdict: r.Verdict, Signatures: r.Signatures, Uncovered: r.Uncovered, Unsigned: r.NotSigned}
	for _, d := range r.Documents {
		f.Documents = append(f.Documents, rem.Document{
			Name: d.Name, MediaType: d.MediaType, Size: d.Size, SHA256: d.SHA256,
			SignedSHA256: d.SignedSHA256, Signatures: d.Signatures, Note: d.Note,
		})
	}
	return f
}
