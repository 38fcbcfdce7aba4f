package document

import (
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// Delay tells a sender that a notice is late. It is no evidence: nothing has
// happened yet.
type Delay struct {
	Consignment rem.Consignment
	Subject     string // of the letter; outside text
	Sent        time.Time
	Now, Until  time.Time // until when it is tried
	LastError   string    // outside text
	Gateway     string
}

// Title is the subject of the mail; see Receipt.Title.
func (d Delay) Title(lang string) string {
	event := both(lang, func(w *words) string { return w.Receipt.DelayTitle })
	return titled(event+" ("+d.Consignment.Recipient+")", d.Subject)
}

// Text is the mail's text; see Receipt.Text.
func (d Delay) Text(lang string) string { return bothTexts(lang, d.sheet) }

func (d Delay) sheet(w *words) *sheet {
	r := w.Receipt
	return &sheet{
		Words: w, Title: w.Consignment + " " + d.Consignment.ID, Subtitle: w.when(d.Now),
		Result: result{Tone: warn, Head: r.DelayTitle, Text: []string{r.DelayText}},
		Sections: []section{{Title: r.What, Rows: rows(
			row{Label: w.Recipient, Value: d.Consignment.Recipient, Outside: true},
			row{Label: w.LetterSubject, Value: clip(d.Subject, maxReceiptDetail), Outside: true},
			row{Label: w.LetterReceived, Value: w.when(d.Sent)},
			row{Label: w.SubmissionID, Value: d.Consignment.Submission},
			row{Label: w.ConsignmentID, Value: d.Consignment.ID},
			row{Label: r.DelayTries, Value: w.when(d.Until)},
			row{Label: r.DelayError, Value: clip(d.LastError, maxReceiptDetail), Outside: true},
			row{Label: w.Gateway, Value: d.Gateway},
		)}},
	}
}
