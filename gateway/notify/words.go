package notify

import (
	"fmt"
	"time"
)

// words are all the strings of one language; a test sees to it that none is
// missing. Via, Site, Until, More, RegisterUntil and ChangedOpening are formats.
type words struct {
	Lang     string
	Months   [12]string // as they stand in a date
	YearMark string     // after the year

	Via                                             string // sender's name, service
	SubjectDocuments, SubjectLetter                 string
	OpeningDocuments, OpeningLetter, Checked        string
	Sender, Subject, Files, More, Address           string
	Open, Continue                                  string
	Free, Site                                      string
	NotReceipt, Until, ReplyTo, Unexpected          string
	RegisterSubject, RegisterOpening                string
	RegisterOnce, RegisterUntil, RegisterUnexpected string
	ResetSubject, ResetOpening, NewPassword         string
	ResetEnds, ResetUnexpected                      string
	ChangedSubject, ChangedOpening, AnotherPassword string
	ChangedEnds, ChangedUnexpected                  string
}

// languages are those a mail is written in: the one asked for, or both.
func languages(lang string) []*words {
	switch lang {
	case "ru":
		return []*words{russian()}
	case "en":
		return []*words{english()}
	}
	return []*words{russian(), english()}
}

// date is the day and minute in UTC, the way the language has it.
func (w *words) date(t time.Time) string {
	t = t.UTC()
	return fmt.Sprintf("%d %s %d%s, %s UTC", t.Day(), w.Months[t.Month()-1], t.Year(), w.YearMark, t.Format("15:04"))
}
