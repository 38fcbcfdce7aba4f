package judge

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// scope is where in the nest of letters and signatures a part stands.
type scope struct {
	letter *message.Letter
	at     location // of the letter; zero for the outermost
	prefix string   // its path, for texts
	cover  []*seal  // signatures around it, outermost first
}

// within is the scope of what a signature covers; a broken one covers nothing.
func (s scope) within(around *seal) scope {
	if len(around.validations) == 0 {
		return s
	}
	s.cover = append(s.cover[:len(s.cover):len(s.cover)], around)
	return s
}

func (s scope) path(p *message.Part) string {
	if s.prefix != "" && p.Path != "" {
		return s.prefix + "." + p.Path
	}
	return s.prefix + p.Path
}

// letterSeal is the innermost signature of a letter around s, or nil.
func (s scope) letterSeal() *seal {
	for i := len(s.cover) - 1; i >= 0; i-- {
		if s.cover[i].ofLetter {
			return s.cover[i]
		}
	}
	return nil
}

// walk takes a part to pieces. Its error is one of reading.
func (j *judgement) walk(s scope, p *message.Part) error {
	if err := j.ctx.Err(); err != nil {
		return err
	}
	if len(p.Parts) == 0 {
		return j.file(s, newLeaf(s, p))
	}
	if err := j.margin(s, p); err != nil {
		return err
	}
	if isSigned(p) {
		return j.signedParts(s, p)
	}
	for _, child := range p.Parts {
		if err := j.walk(s, child); err != nil {
			return err
		}
	}
	return nil
}

// isSigned tells multipart/signed with a CMS signature from one with PGP's.
// The protocol parameter is a hint; the second part is what counts.
func isSigned(p *message.Part) bool {
	if p.MediaType != "multipart/signed" {
		return false
	}
	return len(p.Parts) < 2 || p.Parts[1].MediaType != "application/pgp-signature"
}

// signedParts judges a multipart/signed (RFC 1847 §2.1): the first part is
// covered, the second is the signature, more must not be there.
func (j *judgement) signedParts(s scope, p *message.Part) error {
	if len(s.cover) >= maxNesting {
		return j.tooDeep(s, p)
	}
	if len(p.Parts) < 2 {
		j.object(rem.ReasonSignatureFailed, fmt.Sprintf("%s: multipart/signed without its signature", where(s.path(p))))
		return j.walk(s, p.Parts[0])
	}
	signature, signed := newLeaf(s, p.Parts[1]), p.Parts[0].Entity
	around := &seal{ofLetter: true, outer: s.letterSeal(), place: where(s.path(p)), at: signature.at}
	err := j.verify(around, signer.Job{Signature: signature.open, Attached: signer.Detached, Content: func() (io.ReadCloser, error) {
		return io.NopCloser(s.letter.Raw(signed)), nil
	}})
	if err != nil {
		return err
	}
	inner := s
	if !around.unsigned {
		inner = s.within(around)
	}
	if around.unsigned || !signature.candidate() { // shown as a file of its own
		signature.certsOnly = around.unsigned
		j.add(s, signature)
	}
	if err := j.walk(inner, p.Parts[0]); err != nil {
		return err
	}
	for _, extra := range p.Parts[2:] {
		if err := j.walk(s, extra); err != nil {
			return err
		}
	}
	return nil
}

func (j *judgement) tooDeep(s scope, p *message.Part) error {
	j.object(rem.ReasonMalformed, fmt.Sprintf("%s: more than %d signatures within one another", where(s.path(p)), maxNesting))
	return nil
}

// where names a signature over a whole letter or a part of it.
func where(path string) string {
	if path == "" {
		return "letter"
	}
	return "part " + path
}

// add takes a leaf as a document.
func (j *judgement) add(s scope, f *leaf) {
	if len(j.leaves) >= j.Limits.Parts {
		if !j.crowded {
			j.object(rem.ReasonMalformed, fmt.Sprintf("the letter has more than %d parts", j.Limits.Parts))
		}
		j.crowded = true
		return
	}
	f.seals = s.cover
	j.leaves = append(j.leaves, f)
}

// reader ends with the context.
func (j *judgement) reader(r io.Reader) io.Reader { return contextReader{j, r} }

type contextReader struct {
	j *judgement
	r io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.j.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

func newSHA256() hash.Hash { return sha256.New() }
