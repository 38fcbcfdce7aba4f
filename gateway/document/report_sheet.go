package document

import (
	"sort"
	"strconv"

	"cryptogramm.ru/cryptogramm/store/rem"
)

func recipientOf(row ReportRow) ReportRecipient {
	c := row.Consignment
	events := append([]ReportEvent{}, row.Events...)
	for i := range events {
		events[i].Time = instant(events[i].Time)
	}
	sort.SliceStable(events, func(i, j int) bool {
		a, b := events[i], events[j]
		return a.Time.Before(b.Time) || a.Time.Equal(b.Time) && a.Event.Rank() < b.Event.Rank()
	})
	return ReportRecipient{Address: c.Recipient, Consignment: c.ID, Expires: instant(c.Expires), Events: events}
}

func (r Report) sheet(w *words) *sheet {
	f := finding{
		Verdict: r.Verdict, Documents: r.Documents, Signatures: r.Signatures,
		Uncovered: r.Uncovered, NotSigned: r.NotSigned,
	}
	view := w.ReportForRecipient
	if r.Role == "sender" {
		view = w.ReportForSender
	}
	s := &sheet{
		Words: w, Title: w.ReportTitle, Subtitle: w.ReportOf + " " + r.Submission + ", " + view,
		Result:   w.resultOf(f),
		Sections: []section{r.sending(w), r.recipients(w), w.documents(f), w.shortSignatures(f), w.openPart(f)},
	}
	return s
}

func (r Report) sending(w *words) section {
	list := append(w.letter(r.Sender, r.Letter), rows(
		row{Label: w.SubmissionID, Value: r.Submission, Mono: true, Outside: true},
		row{Label: w.AcceptanceEvidence, Value: r.Acceptance, Mono: true},
		row{Label: w.Repeats, Value: r.Repeats, Mono: true, Outside: true, Note: w.RepeatsNote},
		row{Label: w.Made, Value: w.when(r.Made)},
		row{Label: w.Gateway, Value: r.Gateway, Outside: true})...)
	return section{Title: w.SubmissionPart, Rows: list}
}

func (r Report) recipients(w *words) section {
	s := section{Title: w.Recipients}
	if r.Role != "sender" {
		s.Title = w.RecipientsOwn
	}
	for i, one := range r.Recipients {
		s.Cards = append(s.Cards, w.recipient(i, one))
	}
	return s
}

// recipient is the way of one copy: the last event is its badge.
func (w *words) recipient(i int, r ReportRecipient) card {
	c := card{Number: strconv.Itoa(i+1) + ".", Title: r.Address, Tone: plain}
	c.Rows = rows(
		row{Label: w.ConsignmentID, Value: r.Consignment, Mono: true, Outside: true},
		row{Label: w.Expires, Value: w.when(r.Expires)})
	if len(r.Events) == 0 {
		c.Lead = w.NoEvents
		return c
	}
	c.Tone = eventTone(r.Events[len(r.Events)-1])
	for _, e := range r.Events {
		c.Events = append(c.Events, w.event(e))
	}
	return c
}

func eventTone(e ReportEvent) tone {
	switch e.Event {
	case rem.SignatureRecheck:
		if e.Reason == "" {
			return good
		}
		return bad
	case rem.ContentHandover, rem.RecipientVerification, rem.ConsignmentAcceptance:
		return good
	case rem.NotificationForAcceptanceFailure, rem.AcceptanceRejectionExpiry:
		return bad
	}
	return plain
}

func (w *words) event(e ReportEvent) event {
	out := event{Time: w.when(e.Time), Title: or(w.Events, e.Event), Tone: eventTone(e)}
	grade := row{}
	if g, ok := w.Grades[e.Grade]; ok {
		grade = row{Label: w.Grade, Value: g.Short, Note: g.Long}
	} else {
		grade = row{Label: w.Grade, Value: string(e.Grade), Outside: true}
	}
	detail := row{Label: w.Detail, Value: e.Detail, Outside: true}
	if v, ok := w.Verdicts[rem.Verdict(e.Detail)]; ok && e.Event == rem.RecipientVerification {
		detail = row{Label: w.CheckedResult, Value: v.Short}
	}
	if e.Event == rem.SignatureRecheck && e.Reason == "" {
		detail = row{Label: w.CheckedResult, Value: w.Verdicts[rem.Passed].Short}
	}
	list := []row{
		{Label: w.By, Value: e.By, Outside: true},
		grade,
		{Label: w.Reason, Value: w.reason(e), Outside: true},
		detail,
	}
	if e.Certificate != nil {
		list = append(list, w.certificate(*e.Certificate)...)
	}
	list = append(list,
		row{Label: w.ProtocolID, Value: e.Protocol, Mono: true, Outside: true},
		row{Label: w.Evidence, Value: e.Evidence, Mono: true, Outside: true})
	out.Rows = rows(list...)
	return out
}

// reason is a mail system's word, or for what was found of signatures a row of
// the verdict table.
func (w *words) reason(e ReportEvent) string {
	if text, ok := w.Reasons[rem.Reason(e.Reason)]; ok && e.Event == rem.SignatureRecheck {
		return text
	}
	return or(w.Reports, e.Reason)
}

// shortSignatures names each signature with its answer; every check of it is
// for the protocol.
func (w *words) shortSignatures(f finding) section {
	s := w.signatures(f)
	for i := range s.Cards {
		s.Cards[i].Checks = nil
	}
	return s
}
