package judge

import (
	"fmt"
	"slices"
	"strings"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// maxCovers bounds, in octets, the names that all signatures together list as
// covered: many signatures over many files would list every name many times.
// Document.Signatures is complete in any case.
const maxCovers = 256 << 10

// maxHeaderNames bounds how many header fields are named as not signed.
const maxHeaderNames = 64

// settle judges what can only be judged once everything is known: which
// signature belongs to which file, what is covered, who is bound.
func (j *judgement) settle() error {
	if err := j.pair(); err != nil {
		return err
	}
	j.sameBytes()
	if len(j.seals) == 0 {
		j.nothingSigned()
	} else {
		j.coverage()
		j.bind()
	}
	j.documents()
	return nil
}

// sameBytes lets a file signature cover every other copy of the very octets it
// signs: they are provably the same document.
func (j *judgement) sameBytes() {
	for _, s := range j.seals {
		if s.ofLetter || len(s.validations) == 0 {
			continue
		}
		for _, f := range j.leaves {
			if f.sum == s.report.ContentSHA256 && f.size == s.report.ContentSize && !f.sum.IsZero() && !slices.Contains(f.seals, s) {
				f.seals = append(f.seals[:len(f.seals):len(f.seals)], s)
			}
		}
	}
}

// nothingSigned words the absence of signatures.
func (j *judgement) nothingSigned() {
	for _, f := range j.leaves {
		j.finding.Uncovered = append(j.finding.Uncovered, f.title())
	}
	if i := slices.IndexFunc(j.leaves, func(f *leaf) bool { return f.encrypted }); i >= 0 {
		j.object(rem.ReasonEncrypted, fmt.Sprintf("%s is encrypted: it cannot be judged", j.leaves[i].title()))
		return
	}
	if i := slices.IndexFunc(j.leaves, func(f *leaf) bool { return f.certsOnly }); i >= 0 {
		j.object(rem.ReasonUnsigned, fmt.Sprintf("%s holds certificates only: nothing is signed", j.leaves[i].title()))
		return
	}
	j.object(rem.ReasonUnsigned, "nothing in the letter is signed")
}

// coverage lists what is shown and not signed. Under a signature of the letter
// that is everything outside of it; otherwise the covering note is permitted.
func (j *judgement) coverage() {
	ofLetter := slices.ContainsFunc(j.seals, func(s *seal) bool { return s.ofLetter })
	uncovered := []string{}
	for _, f := range j.leaves {
		switch {
		case len(f.seals) > 0:
			if f.encrypted && isSMIME(f.mediaType) {
				j.object(rem.ReasonEncrypted, fmt.Sprintf("%s is encrypted: it cannot be judged", f.title()))
			}
		case f.note && !ofLetter:
			j.finding.Unsigned = append(j.finding.Unsigned, "covering note "+f.title())
		default:
			uncovered = append(uncovered, f.title())
		}
	}
	if ofLetter {
		uncovered = append(uncovered, j.margins...)
	}
	j.finding.Uncovered = uncovered
	if len(uncovered) > 0 {
		verb := " is not signed"
		if len(uncovered) > 1 {
			verb = " are not signed"
		}
		j.object(rem.ReasonNotCovered, strings.Join(uncovered, ", ")+verb)
	}
}

// documents fills in the finding's documents and what each signature covers.
func (j *judgement) documents() {
	room := maxCovers
	for _, f := range j.leaves {
		d := rem.Document{
			Name: shorten(f.name, maxTitle), MediaType: f.mediaType, SHA256: f.sum, Size: f.size, Note: f.note, Signatures: []int{},
		}
		if d.Name == "" {
			d.Name = f.title()
		}
		f.at.document(&d)
		for _, s := range f.seals {
			d.SignedSHA256 = s.report.ContentSHA256 // the innermost stands
			for _, i := range s.signatures {
				d.Signatures = append(d.Signatures, i)
				if title := f.title(); len(title) <= room {
					sig := &j.finding.Signatures[i]
					sig.Covers = append(sig.Covers, title)
					room -= len(title)
				}
			}
		}
		j.finding.Documents = append(j.finding.Documents, d)
	}
}

// unsignedHeader names the header fields around the signed part: no signature
// of these kinds covers them.
func (j *judgement) unsignedHeader(h message.Header) {
	if len(j.seals) == 0 {
		return
	}
	seen := map[string]bool{}
	for _, f := range h {
		name := strings.ToLower(f.Name)
		if seen[name] || strings.HasPrefix(name, "content-") || name == "mime-version" {
			continue
		}
		if len(seen) == maxHeaderNames {
			break
		}
		seen[name] = true
		j.finding.Unsigned = append(j.finding.Unsigned, "header field "+message.SafeDisplay(f.Name))
	}
}
