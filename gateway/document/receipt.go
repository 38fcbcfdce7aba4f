package document

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// A receipt is a mail: what may be long is cut, and what is left out is
// counted. The evidence file beside the text has all of it.
const (
	maxReceiptFiles      = 100
	maxReceiptPeople     = 100
	maxReceiptSignatures = 20
	maxReceiptChecks     = 400 // of all signatures together
	maxReceiptName       = 200 // characters of a file's or signer's name
	maxReceiptDetail     = 400
	maxReceiptSubject    = 120
)

// Receipt is what the sender is told of one evidence. It is a paper for him
// alone: an acceptance names every recipient.
type Receipt struct {
	Evidence  rem.Evidence
	Gateway   string
	Subject   string      // of the letter; outside text
	MessageID string      // of the letter; outside text
	Finding   rem.Finding // of the letter; zero where nothing was judged
	Expires   time.Time   // until when the link of a consignment works; zero: not said
	File      string      // name of the evidence file beside the text; "": it is too large for a mail
	Digest    rem.Digest
	Salt      []byte
}

// Title is the subject of the receipt's mail: the event, to whom, and what the
// letter was about. lang is "ru" or "en"; anything else is both. Outside text
// in it is safe to show and cut.
func (r Receipt) Title(lang string) string {
	event := both(lang, func(w *words) string { return w.receiptTitle(r.Evidence.Event).Short })
	if to := r.Evidence.Record.Recipient; to != "" {
		event += " (" + to + ")"
	}
	return titled(event, r.Subject)
}

// titled puts the letter's subject behind what has happened to it.
func titled(event, subject string) string {
	if s := strings.TrimSpace(clip(display(subject), maxReceiptSubject)); s != "" {
		event += ": " + s
	}
	return event
}

// Text is the receipt for reading: UTF-8 with LF line ends, in the language of
// Title, one after the other where it is both.
func (r Receipt) Text(lang string) string {
	return bothTexts(lang, r.sheet)
}

// both puts a word of each language asked for side by side.
func both(lang string, word func(*words) string) string {
	var list []string
	for _, w := range languages(lang) {
		list = append(list, word(w))
	}
	return strings.Join(list, " / ")
}

func bothTexts(lang string, sheetOf func(*words) *sheet) string {
	var list []string
	for _, w := range languages(lang) {
		list = append(list, string(sheetOf(w).text()))
	}
	return strings.Join(list, "\n\n"+strings.Repeat("* ", 20)+"*\n\n\n")
}

// languages are those asked for: one, or both when it is not known.
func languages(lang string) []*words {
	switch lang {
	case "ru":
		return []*words{russian()}
	case "en":
		return []*words{english()}
	}
	return []*words{russian(), english()}
}

// receiptTitle names an event and says what it means for the sender.
func (w *words) receiptTitle(e rem.Event) sentence {
	if s, ok := w.Receipt.Titles[e]; ok {
		return s
	}
	return sentence{Short: or(w.Events, e)}
}

func (r Receipt) sheet(w *words) *sheet {
	e, t := r.Evidence, w.receiptTitle(r.Evidence.Event)
	s := &sheet{
		Words: w, Title: w.Receipt.Of + " " + e.ID, Subtitle: w.when(e.Time),
		Result: result{Tone: eventTone(EventOf(e)), Head: t.Short},
	}
	if t.Long != "" {
		s.Result.Text = []string{t.Long}
	}
	s.Sections = append(s.Sections, r.event(w))
	s.Sections = append(s.Sections, r.people(w)...)
	s.Sections = append(s.Sections, r.files(w)...)
	s.Sections = append(s.Sections, r.signed(w)...)
	s.Sections = append(s.Sections, r.proof(w), w.ownSignature())
	return s
}

// event is who, what, when and to whom.
func (r Receipt) event(w *words) section {
	rec := r.Evidence.Record
	list := rows(
		row{Label: w.Receipt.When, Value: w.when(r.Evidence.Time)},
		row{Label: w.Sender, Value: rec.Sender, Outside: true},
		row{Label: w.Recipient, Value: rec.Recipient, Outside: true},
		row{Label: w.LetterSubject, Value: clip(r.Subject, maxReceiptDetail), Outside: true},
		row{Label: w.MessageID, Value: r.MessageID, Outside: true},
		row{Label: w.SubmissionID, Value: rec.Submission},
		row{Label: w.ConsignmentID, Value: rec.Consignment},
		row{Label: w.Expires, Value: w.when(r.Expires)},
		row{Label: w.LetterDigest, Value: rec.Digests["letter.sha256"]},
		row{Label: w.Repeats, Value: rec.Repeats, Note: w.RepeatsNote})
	if g, ok := w.Grades[rec.Grade]; ok {
		list = append(list, row{Label: w.Grade, Value: g.Short, Note: g.Long})
	} else if rec.Grade != "" {
		list = append(list, row{Label: w.Grade, Value: string(rec.Grade), Outside: true})
	}
	list = append(append(list, r.verdict(w)...), r.reasons(w)...)
	list = append(list, rows(
		row{Label: w.ProtocolID, Value: rec.Protocol},
		row{Label: w.ProtocolDigest, Value: rec.Digests["protocol.sha256"]})...)
	return section{Title: w.Receipt.What, Rows: list}
}

// verdict is what was found out about the letter's signatures: when it came, or
// by the recheck that the evidence is of.
func (r Receipt) verdict(w *words) []row {
	v := r.Finding.Verdict
	switch {
	case r.Evidence.Event == rem.SignatureRecheck:
		v = rechecked(r.Evidence.Record)
	case !judged(r.Evidence.Event):
		return nil
	}
	return rows(row{Label: w.Result, Value: w.Verdicts[v].Short, Note: w.Verdicts[v].Long})
}

// rechecked is the verdict of a recheck. Its record holds reason and
// signatures, the worst of which says the rest.
func rechecked(r rem.Record) rem.Verdict {
	switch {
	case r.Reason == "":
		return rem.Passed
	case slices.ContainsFunc(r.Signatures, func(s rem.SignatureRecord) bool { return s.Indication == "TOTAL-FAILED" }):
		return rem.Failed
	}
	return rem.Indeterminate
}

// reasons is what went wrong and what the sender can do about it.
func (r Receipt) reasons(w *words) []row {
	rec := r.Evidence.Record
	reason := rec.Reason
	if text, ok := w.Reasons[rem.Reason(reason)]; ok {
		reason = text
	} else if text, ok := w.Reports[reason]; ok {
		reason = text
	}
	advice := ""
	if r.Evidence.Event == rem.SubmissionRejection {
		advice = w.Receipt.Advice[rem.Reason(rec.Reason)]
	}
	return rows(
		row{Label: w.Reason, Value: reason, Outside: true},
		row{Label: w.Receipt.Detail, Value: clip(rec.Detail, maxReceiptDetail), Outside: true},
		row{Label: w.Receipt.ToDo, Value: advice})
}

// people are the recipients, as the sender gave them.
func (r Receipt) people(w *words) []section {
	all := r.Evidence.Record.Recipients
	if len(all) == 0 {
		return nil
	}
	shown := all[:min(len(all), maxReceiptPeople)]
	list := append([]string{}, shown...)
	if more := len(all) - len(shown); more > 0 {
		list = append(list, w.more(more))
	}
	return []section{{Title: w.Recipients, List: list}}
}

// more says how many are not named.
func (w *words) more(n int) string { return w.Receipt.More + " " + strconv.Itoa(n) }

// clip keeps the first n characters of outside text and says that it was cut.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n]) + "…"
}
