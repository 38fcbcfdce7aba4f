package webview

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/document"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// moment is a time for <time>: what machines and what people read.
type moment struct{ ISO, Text string }

// moment of the zero time is empty.
func (p *page) moment(t time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	return moment{ISO: t.UTC().Format(time.RFC3339), Text: p.Time(t)}
}

// tag is a word with a colour that says the same.
type tag struct{ Class, Text string }

func (p *page) verdict(v rem.Verdict) tag {
	return tag{class(string(v)), p.Or("verdict.line.", string(v))}
}

// class is the colour of a verdict, an indication, a status or a state.
func class(word string) string {
	switch word {
	case "passed", "TOTAL-PASSED", "received", "verified":
		return "ok"
	case "failed", "TOTAL-FAILED", "unsigned":
		return "bad"
	case "indeterminate", "INDETERMINATE", "expired":
		return "mid"
	}
	return ""
}

func (p *page) state(s store.State) tag { return tag{class(string(s)), p.Or("state.", string(s))} }

// grade is how a receipt was confirmed, "" for none.
func (p *page) grade(g rem.Grade) string {
	if g == "" {
		return ""
	}
	return p.Or("grade.", string(g))
}

// findingView is a finding as pages show it.
type findingView struct {
	Verdict    tag
	Detail     string
	Documents  []fileView
	Signatures []signatureView
	Uncovered  []string
	NotSigned  []string
}

type fileView struct {
	Name, MediaType, Size string
	SHA256, SignedSHA256  string
	Signatures            []int // numbers, from 1
	Note                  bool
	Href                  string
}

type signatureView struct {
	N                           int
	Own                         bool // the reader's, uploaded just now
	Tag                         tag
	Why                         string // the sub-indication in words
	Name, Subject, Email        string
	Issuer, Serial, Kind, Bound string
	KindHelp                    string // what the kind means, "" where there is nothing to say
	Algorithm, Format, Place    string
	SHA256, CertificateSHA256   string
	Covers                      []string
	Claimed, Judged             *moment
	Wrong                       []checkView // did not pass, failed ones first
	Passed                      []checkView
	Href                        string
}

type checkView struct {
	Name   string
	Tag    tag
	Detail string
}

// finding shows f; base is the path under which its files can be had, "" for
// nowhere.
func (p *page) finding(f rem.Finding, base string) findingView {
	v := findingView{
		Verdict: p.verdict(f.Verdict), Detail: safe(f.Detail),
		Signatures: p.signatures(f.Signatures, base), Uncovered: safeAll(f.Uncovered), NotSigned: p.notSigned(f.Unsigned),
	}
	for i, d := range f.Documents {
		file := fileView{
			Name: safe(d.Name), MediaType: safe(d.MediaType), Size: p.Size(d.Size),
			SHA256: d.SHA256.String(), Note: d.Note, Href: numbered(base, "/document/", i),
		}
		if d.SignedSHA256 != d.SHA256 && !d.SignedSHA256.IsZero() {
			file.SignedSHA256 = d.SignedSHA256.String()
		}
		for _, n := range d.Signatures {
			file.Signatures = append(file.Signatures, n+1)
		}
		v.Documents = append(v.Documents, file)
	}
	// The covering text is the least of the letter, wherever it stood in it.
	slices.SortStableFunc(v.Documents, func(a, b fileView) int { return cmp.Compare(order(a), order(b)) })
	return v
}

func order(f fileView) int {
	if f.Note {
		return 1
	}
	return 0
}

func (p *page) signatures(list []rem.Signature, base string) []signatureView {
	var out []signatureView
	for i, s := range list {
		v := signatureView{
			N: i + 1, Tag: tag{class(s.Indication), p.Or("indication.", s.Indication)},
			Name: commonName(s.Signer), Subject: safe(s.Signer), Email: safe(s.Email), Issuer: safe(s.Issuer),
			Serial: s.Serial, Algorithm: s.Algorithm, Format: s.Format, Place: p.place(s.Place), Covers: safeAll(s.Covers),
			SHA256: s.SignatureSHA256.String(), Href: numbered(base, "/signature/", i),
		}
		if s.SubIndication != "" {
			v.Why = p.Or("subindication.", s.SubIndication)
		}
		if s.AnchorKind != "" {
			v.Kind = p.Or("kind.", s.AnchorKind)
			if key := "kind.help." + s.AnchorKind; p.Has(key) {
				v.KindHelp = p.T(key)
			}
		}
		if s.Bound != "" {
			v.Bound = p.Or("sig.bound.", s.Bound)
		}
		if !s.CertificateSHA256.IsZero() {
			v.CertificateSHA256 = s.CertificateSHA256.String()
		}
		if s.ClaimedTime != nil {
			m := p.moment(*s.ClaimedTime)
			v.Claimed = &m
		}
		if !s.BestTime.IsZero() {
			m := p.moment(s.BestTime)
			v.Judged = &m
		}
		v.Wrong, v.Passed = p.checks(s.Checks)
		out = append(out, v)
	}
	return out
}

// checks sorts what did not pass, and was fatal, before what a reader need not
// look at.
func (p *page) checks(list []rem.Check) (wrong, passed []checkView) {
	rank := func(c rem.Check) int {
		if c.Status == "failed" {
			return 0
		}
		return 1
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b rem.Check) int { return cmp.Compare(rank(a), rank(b)) })
	for _, c := range list {
		v := checkView{p.Or("checkname.", c.Name), tag{class(c.Status), p.Or("status.", c.Status)}, safe(c.Detail)}
		if c.Status == "passed" {
			passed = append(passed, v)
		} else {
			wrong = append(wrong, v)
		}
	}
	return wrong, passed
}

// place is where a signature stands: a file's name, or the letter itself.
func (p *page) place(s string) string {
	if s == "letter" {
		return p.T("sig.place.letter")
	}
	return safe(s)
}

// notSigned shows what may stand outside a signature: the judge lists header
// fields one by one, a reader wants them in one line.
func (p *page) notSigned(list []string) []string {
	var out, fields []string
	for _, s := range list {
		if s == "header fields" { // so papers sum them up
			out = append(out, p.T("open.header.all"))
		} else if name, ok := strings.CutPrefix(s, "header field "); ok {
			fields = append(fields, safe(name))
		} else if name, ok := strings.CutPrefix(s, "covering note "); ok {
			out = append(out, p.T("open.note", safe(name)))
		} else {
			out = append(out, safe(s))
		}
	}
	if len(fields) > 0 {
		out = append(out, p.T("open.header", strings.Join(fields, ", ")))
	}
	return out
}

func safeAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = safe(s)
	}
	return out
}

// commonName is the CN of a subject in RFC 4514 text, else the whole subject.
// It is only a short name for the page; the subject stands beside it.
func commonName(subject string) string {
	const prefix = "CN="
	start := 0
	for i := 0; i <= len(subject); i++ {
		if i+1 < len(subject) && subject[i] == '\\' {
			i++ // the next octet is escaped
			continue
		}
		if i == len(subject) || subject[i] == ',' || subject[i] == '+' {
			if rdn := subject[start:i]; strings.HasPrefix(rdn, prefix) {
				return safe(unescape(rdn[len(prefix):]))
			}
			start = i + 1
		}
	}
	return safe(subject)
}

// unescape undoes "\," and its like (RFC 4514 §2.4); hex pairs stay as they are.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`,+"\<>;= #`, s[i+1]) >= 0 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// evidenceView is one evidence as pages show it.
type evidenceView struct {
	ID, Event, Digest string
	Time              moment
	Facts             []string
	Record            string // indented JSON, "" once erased
}

func (p *page) evidence(rows []store.EvidenceRow) []evidenceView {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b store.EvidenceRow) int { return later(a.Time, a.Event, b.Time, b.Event) })
	out := make([]evidenceView, 0, len(rows))
	for _, e := range rows {
		v := evidenceView{ID: e.ID, Event: p.Or("event.", string(e.Event)), Digest: e.Digest.String(), Time: p.moment(e.Time)}
		var r rem.Record
		if err := json.Unmarshal(e.Record, &r); err == nil {
			v.Facts = p.facts(r)
			var b bytes.Buffer
			if json.Indent(&b, e.Record, "", "  ") == nil {
				v.Record = safeLines(b.String())
			}
		}
		out = append(out, v)
	}
	return out
}

// later orders events by time, and those of one moment as they follow from
// one another.
func later(at time.Time, event rem.Event, bt time.Time, other rem.Event) int {
	order := []rem.Event{
		rem.SubmissionAcceptance, rem.SubmissionRejection, rem.SignatureRecheck, rem.NotificationForAcceptance, rem.NotificationForAcceptanceFailure,
		rem.ConsignmentAcceptance, rem.ContentHandover, rem.RecipientVerification, rem.AcceptanceRejectionExpiry,
	}
	return cmp.Or(at.Compare(bt), cmp.Compare(slices.Index(order, event), slices.Index(order, other)))
}

// facts are the particulars of a record in a line each.
func (p *page) facts(r rem.Record) []string {
	var out []string
	if r.Recipient != "" {
		out = append(out, safe(r.Recipient))
	}
	if r.Grade != "" {
		out = append(out, p.grade(r.Grade))
	}
	if r.Reason != "" {
		out = append(out, p.Or("reason.", r.Reason))
	}
	return out
}

// safeLines is safe for text of several lines.
func safeLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = safe(strings.TrimSuffix(l, "\r"))
	}
	return strings.Join(lines, "\n")
}

// person is "Name <address>" or the address alone.
func person(who document.Person) string {
	if who.Name == "" {
		return safe(who.Address)
	}
	return safe(who.Name) + " <" + safe(who.Address) + ">"
}

// numbered is the address of the i-th file under base; people count from one.
func numbered(base, kind string, i int) string {
	if base == "" {
		return ""
	}
	return base + kind + strconv.Itoa(i+1)
}
