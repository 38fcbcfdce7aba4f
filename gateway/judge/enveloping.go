package judge

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// file sorts one leaf: a document, a signature beside its file, a signature
// around its content, or an encrypted thing.
func (j *judgement) file(s scope, f *leaf) error {
	if !f.candidate() {
		j.add(s, f)
		return nil
	}
	return j.signature(s, f)
}

// signature sorts a leaf that may be a signature.
func (j *judgement) signature(s scope, f *leaf) error {
	if j.probes++; j.probes > maxSignatures {
		j.add(s, f)
		j.spent = maxSignatures
		j.spend()
		return nil
	}
	p, err := probe(f.open)
	if err != nil {
		return err
	}
	switch p.kind {
	case enclosing:
		return j.enveloping(s, f)
	case separate, malformed, notCMS:
		j.pending = append(j.pending, &detached{leaf: f, scope: s, probed: p})
	default:
		f.encrypted, f.certsOnly = p.kind == encrypted, p.kind == certsOnly
		j.add(s, f)
	}
	return nil
}

// enveloping judges a signature with its content inside, then the content.
func (j *judgement) enveloping(s scope, f *leaf) error {
	if len(s.cover) >= maxNesting {
		j.object(rem.ReasonMalformed, fmt.Sprintf("%s: more than %d signatures within one another", f.title(), maxNesting))
		return nil
	}
	around := &seal{outer: s.letterSeal(), place: f.title(), at: f.at}
	mime, err := f.holdsMIME()
	if err != nil {
		return err
	}
	around.ofLetter = mime || f.isLetter()
	if around.ofLetter {
		around.place = where(f.path)
	} else {
		around.subject = message.SafeDisplay(innerName(f.name))
	}
	if err := j.verify(around, signer.Job{Signature: f.open, Attached: signer.Enveloping}); err != nil {
		return err
	}
	if mime {
		return j.opaque(s.within(around), f)
	}
	inner := &leaf{
		name: innerName(f.name), mediaType: "application/octet-stream", path: f.path,
		at: f.at.inside(), open: contentOf(f.open),
	}
	if around.ofLetter { // text without a header is text/plain (RFC 2045 §5.2)
		inner.name, inner.mediaType, inner.note = noteText, "text/plain", true
	}
	return j.file(s.within(around), inner)
}

// opaque takes the entity inside an opaque signature to pieces.
func (j *judgement) opaque(s scope, f *leaf) error {
	in, err := contentOf(f.open)()
	if err != nil {
		return j.defect(f, err)
	}
	defer in.Close()
	r, size, err := j.spool.add(j.reader(in))
	if err != nil {
		return j.defect(f, err)
	}
	inner, err := message.Parse(r, size, j.Limits)
	if err != nil {
		return j.defect(f, err)
	}
	// Content signed on a Unix system has LF line ends (openssl cms -binary)
	// and is read alike everywhere; other ambiguities are not forgiven.
	strict := *inner
	strict.BareLineEnd = false
	if what := strict.Ambiguity(); what != "" {
		j.object(rem.ReasonMalformed, fmt.Sprintf("%s: its content can be read in more than one way: %s", f.title(), what))
	}
	s.letter, s.at, s.prefix = inner, f.at.inside(), f.path
	return j.walk(s, inner.Root)
}

// defect objects to content that cannot be read, or passes on an error that is
// not the content's.
func (j *judgement) defect(f *leaf, err error) error {
	if j.ctx.Err() != nil || !isDefect(err) {
		return err
	}
	j.object(rem.ReasonMalformed, fmt.Sprintf("%s cannot be read: %v", f.title(), err))
	return nil
}

// isLetter says whether the signature stands for a letter by its place and
// name: the body of the letter, or the S/MIME part as clients name it.
func (f *leaf) isLetter() bool {
	return isSMIME(f.mediaType) && (f.path == "" || f.name == "" || strings.EqualFold(f.name, "smime.p7m")) && !namesFile(f.name)
}

// namesFile is true of contract.pdf.p7m: a file in its signature.
func namesFile(name string) bool {
	return extension(strings.TrimSuffix(name, signatureExtension(name))) != ""
}

// innerName is the name of the file inside an enveloping signature.
func innerName(name string) string {
	if inner := strings.TrimSuffix(name, signatureExtension(name)); inner != "" {
		return inner
	}
	return "content"
}

// holdsMIME says whether the content is a MIME entity (RFC 8551 §3.5.2) rather
// than a file. Either way the signature covers all of it; the answer only
// decides what is listed. Clients use application/octet-stream, too.
func (f *leaf) holdsMIME() (bool, error) {
	ext := strings.ToLower(signatureExtension(f.name))
	typed := isSMIME(f.mediaType) || f.mediaType == "application/octet-stream" && ext == ".p7m"
	if !typed || namesFile(f.name) {
		return false, nil
	}
	in, err := contentOf(f.open)()
	if err != nil {
		return false, ioOnly(err)
	}
	defer in.Close()
	head, err := io.ReadAll(io.LimitReader(in, 64<<10))
	if err != nil {
		return false, ioOnly(err)
	}
	return isEntity(head), nil
}

// ioOnly drops errors of the content: the verifier reports those.
func ioOnly(err error) error {
	if isDefect(err) {
		return nil
	}
	return err
}

// isEntity says whether text begins with header fields, a Content- or
// MIME-Version field among them.
func isEntity(head []byte) bool {
	found := false
	lines := bufio.NewScanner(bytes.NewReader(head))
	lines.Buffer(nil, len(head)+1)
	for n := 0; lines.Scan(); n++ {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" {
			return found
		}
		if n > 0 && (line[0] == ' ' || line[0] == '\t') {
			continue
		}
		name, _, ok := strings.Cut(line, ":")
		if !ok || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return false
		}
		name = strings.ToLower(name)
		found = found || strings.HasPrefix(name, "content-") || name == "mime-version"
	}
	return found
}
