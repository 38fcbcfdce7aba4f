package judge

import (
	"fmt"
	"strings"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// detached is a signature file whose file has to be found.
type detached struct {
	*leaf
	scope scope
	probed
	fixed    *leaf // the file that was given with it; nil: to be found
	document bool  // it turned out to be no signature
}

// pair finds the file of each signature file and judges the pair.
//
// First by name (x.pdf.p7s, x.pdf), then by stem (x.p7s, x.pdf), then by
// digest. A name is a claim: when it names a file that the signature does not
// fit, the signature has failed, even if it would fit another one. Where the
// name leaves several files, the digest chooses among them.
func (j *judgement) pair() error {
	if err := j.measure(); err != nil {
		return err
	}
	for _, d := range j.pending {
		if d.document {
			continue
		}
		target := j.target(d)
		s := &seal{outer: d.scope.letterSeal(), place: d.title(), at: d.at}
		job := signer.Job{Signature: d.open, Attached: signer.Detached}
		if target != nil {
			s.subject, job.Content, job.Known = target.title(), target.open, target.known()
		}
		if err := j.verify(s, job); err != nil {
			return err
		}
		if target != nil && len(s.validations) > 0 {
			target.seals = append(target.seals[:len(target.seals):len(target.seals)], s)
		}
		j.mislead(d, s, target)
	}
	return nil
}

// measure takes what is no signature after all for a document, hashes every
// document, and tells apart those of one name.
func (j *judgement) measure() error {
	hashes := map[string]*pki.Hash{}
	for _, d := range j.pending {
		if d.kind == notCMS && !d.insists() && len(j.named(d)) == 0 {
			d.document = true
			j.add(d.scope, d.leaf)
		}
		for _, h := range d.hashes {
			hashes[h.Name] = h
		}
	}
	names := map[string]int{}
	for _, f := range j.leaves {
		names[f.title()]++
		if err := f.measure(j, hashes); err != nil {
			if err := j.defect(f, err); err != nil {
				return err
			}
		}
	}
	for _, f := range j.leaves {
		if title := f.title(); names[title] > 1 && f.path != "" {
			f.label = fmt.Sprintf("%s (part %s)", title, f.path)
		}
	}
	return nil
}

// target is the file that a signature is about, nil when there is none.
func (j *judgement) target(d *detached) *leaf {
	if d.fixed != nil {
		return d.fixed
	}
	for _, candidates := range [][]*leaf{j.named(d), j.stemmed(d)} {
		for _, f := range candidates {
			if f.matches(d.claims) {
				return f
			}
		}
		if len(candidates) == 1 {
			return candidates[0]
		}
		if len(candidates) > 1 && len(d.claims) > 0 && sameName(candidates) {
			return candidates[0] // fits none of them: changed, not absent
		}
	}
	for _, f := range j.leaves {
		if f.matches(d.claims) {
			return f
		}
	}
	return nil
}

// named are the files that have the signature's name without its extension.
func (j *judgement) named(d *detached) (out []*leaf) {
	ext := signatureExtension(d.name)
	if ext == "" {
		return nil
	}
	want := strings.TrimSuffix(d.name, ext)
	for _, f := range j.leaves {
		if !f.note && f.name == want {
			out = append(out, f)
		}
	}
	return out
}

// stemmed are the files that share the signature's stem.
func (j *judgement) stemmed(d *detached) (out []*leaf) {
	ext := signatureExtension(d.name)
	if ext == "" {
		return nil
	}
	want := strings.TrimSuffix(d.name, ext)
	for _, f := range j.leaves {
		if !f.note && f.name != want && strings.TrimSuffix(f.name, extension(f.name)) == want {
			out = append(out, f)
		}
	}
	return out
}

func sameName(files []*leaf) bool {
	for _, f := range files {
		if f.name != files[0].name {
			return false
		}
	}
	return true
}

// mislead says of a signature that fits another file than the one it is named
// for which one that is: swapped documents are the usual cause.
func (j *judgement) mislead(d *detached, s *seal, target *leaf) {
	if target == nil || target.matches(d.claims) || len(j.objections) == 0 {
		return
	}
	for _, f := range j.leaves {
		if f != target && f.matches(d.claims) {
			last := &j.objections[len(j.objections)-1]
			if last.reason == rem.ReasonSignatureFailed {
				last.detail = oneLine(fmt.Sprintf("%s: the signature %s belongs to another file, %s", s.subject, s.place, message.SafeDisplay(f.name)))
			}
			return
		}
	}
}
