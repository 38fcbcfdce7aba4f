package document

import (
	"strconv"
	"strings"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// resultOf is the answer of a whole letter. What is not one of the four
// verdicts never looks like a pass.
func (w *words) resultOf(f finding) result {
	tones := map[rem.Verdict]tone{rem.Passed: good, rem.Failed: bad, rem.Indeterminate: warn, rem.Unsigned: bad}
	v, known := w.Verdicts[f.Verdict]
	if !known {
		v = w.Verdicts[rem.Indeterminate]
	}
	r := result{Tone: tones[f.Verdict], Head: v.Short, Text: []string{v.Long}, Code: codes(f.Indication, f.SubIndication)}
	if r.Tone == "" {
		r.Tone = warn
	}
	if f.Reason != "" && f.Verdict != rem.Passed {
		r.Text = append(r.Text, w.Reason+": "+or(w.Reasons, f.Reason)+".")
	}
	if f.Detail != "" {
		r.Text = append(r.Text, w.Detail+": "+f.Detail)
	}
	return r
}

func codes(indication, sub string) string {
	return strings.TrimSpace(indication + " " + sub)
}

func (w *words) documents(f finding) section {
	s := section{Title: w.Documents}
	if len(f.Documents) == 0 {
		s.Intro = []string{w.NoDocuments}
	}
	for i, d := range f.Documents {
		s.Cards = append(s.Cards, w.document(i, d, f.Signatures))
	}
	return s
}

func (w *words) document(i int, d Document, signatures []rem.Signature) card {
	c := card{Number: strconv.Itoa(i+1) + ".", Title: d.Name, Tone: plain}
	if d.Name == "" {
		c.Title = w.LetterItself
	}
	if d.Note {
		c.Badge = w.NoteBadge
	}
	signed := row{Label: w.SignedBy, Value: w.NotSignedShort}
	if len(d.Signatures) > 0 {
		signed = row{Label: w.SignedBy, Value: w.signers(d.Signatures, signatures), Outside: true}
	}
	c.Rows = rows(
		signed,
		row{Label: w.Size, Value: w.size(d.Size)},
		row{Label: w.MediaType, Value: d.MediaType, Outside: true},
		row{Label: w.FileDigest, Value: digest(d.SHA256), Mono: true},
		row{Label: w.SignedDigest, Value: digest(d.SignedSHA256), Mono: true, Note: w.signedNote(d)})
	return c
}

func (w *words) signedNote(d Document) string {
	if d.SHA256 == d.SignedSHA256 {
		return ""
	}
	return w.SignedDigestNote
}

// signers names signatures by their number on the same page.
func (w *words) signers(list []int, signatures []rem.Signature) string {
	var out []string
	for _, i := range list {
		if i >= 0 && i < len(signatures) {
			out = append(out, w.SignatureNumber+" "+strconv.Itoa(i+1)+" ("+w.signer(signatures[i])+")")
		}
	}
	return strings.Join(out, "; ")
}

func (w *words) signer(s rem.Signature) string {
	if s.Signer == "" {
		return w.NoCertificate
	}
	return s.Signer
}

func (w *words) signatures(f finding) section {
	s := section{Title: w.Signatures}
	if len(f.Signatures) == 0 {
		s.Intro = []string{w.NoSignatures}
	}
	for i, sig := range f.Signatures {
		s.Cards = append(s.Cards, w.signature(i, sig))
	}
	return s
}

func (w *words) signature(i int, s rem.Signature) card {
	c := card{
		Number: w.SignatureNumber + " " + strconv.Itoa(i+1), Title: w.signer(s), Tone: indicationTone(s.Indication),
		Lead: w.indication(s), Caption: w.Checks, Badge: codes(s.Indication, s.SubIndication),
	}
	email := row{Label: w.Email, Value: s.Email, Outside: true}
	if s.Email == "" {
		email = row{Label: w.Email, Value: w.NoEmail}
	}
	claimed := row{Label: w.ClaimedTime, Value: w.NoClaimedTime}
	if s.ClaimedTime != nil {
		claimed = row{Label: w.ClaimedTime, Value: w.when(*s.ClaimedTime), Note: w.ClaimedNote}
	}
	c.Rows = rows(
		email,
		row{Label: w.Bound, Value: or(w.Bindings, s.Bound), Outside: true},
		row{Label: w.AnchorKind, Value: w.trust(s), Outside: true},
		row{Label: w.Covers, Value: strings.Join(s.Covers, "; "), Outside: true},
		row{Label: w.Place, Value: w.place(s.Place), Outside: true},
		claimed,
		row{Label: w.JudgedAt, Value: w.when(s.BestTime), Note: w.JudgedNote},
		row{Label: w.Format, Value: or(w.Formats, s.Format), Outside: true},
		row{Label: w.Algorithm, Value: s.Algorithm, Outside: true},
		row{Label: w.Issuer, Value: s.Issuer, Outside: true},
		row{Label: w.Serial, Value: s.Serial, Outside: true, Mono: true},
		row{Label: w.CertificateDigest, Value: digest(s.CertificateSHA256), Mono: true},
		row{Label: w.SignatureDigest, Value: digest(s.SignatureSHA256), Mono: true})
	for _, k := range s.Checks {
		c.Checks = append(c.Checks, w.check(k))
	}
	return c
}

// indication puts the answer about one signature into sentences.
func (w *words) indication(s rem.Signature) string {
	head := or(w.Indications, s.Indication)
	if s.SubIndication == "" {
		return head
	}
	return head + " " + or(w.SubIndications, s.SubIndication)
}

// trust calls a signature qualified only when the anchor says so and the
// signature passed.
func (w *words) trust(s rem.Signature) string {
	if s.AnchorKind != "" && s.Indication != "TOTAL-PASSED" {
		return w.AnchorNotPassed
	}
	return or(w.AnchorKinds, s.AnchorKind)
}

func (w *words) place(p string) string {
	if p == "letter" || p == "the letter" {
		return w.LetterItself
	}
	return p
}

func indicationTone(indication string) tone {
	switch indication {
	case "TOTAL-PASSED":
		return good
	case "TOTAL-FAILED":
		return bad
	}
	return warn
}

func (w *words) check(k rem.Check) check {
	tones := map[string]tone{"passed": good, "failed": bad}
	c := check{Label: or(w.CheckNames, k.Name), Tone: tones[k.Status], Status: or(w.Statuses, k.Status), Detail: k.Detail}
	if c.Tone == "" {
		c.Tone = warn
	}
	if c.Label != k.Name {
		c.Name = k.Name
	}
	return c
}

// openPart says what no signature covers: first what ought to be covered, then
// what may stay open.
func (w *words) openPart(f finding) section {
	s := section{Title: w.NotSigned}
	if len(f.Uncovered) > 0 {
		s.Cards = append(s.Cards, openCard(w, f.Uncovered))
	}
	if len(f.NotSigned) > 0 {
		s.Intro = []string{w.NotSignedIntro}
	}
	for _, x := range f.NotSigned {
		s.List = append(s.List, w.open(x))
	}
	if len(f.Uncovered)+len(f.NotSigned) == 0 {
		s.Intro = []string{w.NothingOpen}
	}
	return s
}

func openCard(w *words, names []string) card {
	c := card{Title: w.UncoveredIntro, Tone: bad}
	for i, n := range names {
		c.Rows = append(c.Rows, row{Label: strconv.Itoa(i + 1), Value: n, Outside: true})
	}
	return c
}
