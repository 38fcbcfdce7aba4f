package judge

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// leaf is one file of the letter, or a text of it.
type leaf struct {
	name      string // outside text
	mediaType string
	path      string // place in the letter: "1.2", "" for the letter itself
	note      bool   // an unnamed text, which file signatures need not cover
	disguised bool   // programs may show another name than name
	at        location
	open      Source // decoded octets

	encrypted bool // CMS enveloped-data
	certsOnly bool // CMS without signers

	seals []*seal // that cover it, outermost first
	label string  // how texts name it; set by measure
	sum   rem.Digest
	size  int64
	sums  map[string][]byte // by the name of the hash
	isSet bool              // it has the form of signed attributes
}

// Names for the texts of a letter, which have none.
const (
	noteText = "letter.txt"
	noteHTML = "letter.html"
)

// newLeaf makes the leaf of a part. s is the letter it stands in.
func newLeaf(s scope, p *message.Part) *leaf {
	f := &leaf{
		name: p.FileName, mediaType: p.MediaType, path: s.path(p), at: s.at.part(p.Range()),
		open: func() (io.ReadCloser, error) { return s.letter.Open(p.Range()), nil },
	}
	text := p.MediaType == "text/plain" || p.MediaType == "text/html"
	// A disposition that is not known is an attachment (RFC 2183 §2.8).
	shown := p.Disposition == "" || p.Disposition == "inline"
	f.note = f.name == "" && !p.HiddenName && text && shown
	f.disguised = p.HiddenName || isDocumentName(p.Params["name"])
	switch {
	case f.name != "":
	case f.note && p.MediaType == "text/html":
		f.name = noteHTML
	case f.note:
		f.name = noteText
	}
	return f
}

// maxTitle is how many characters of a name are shown.
const maxTitle = 255

// title is the name for people, on one line and without tricks of script.
func (f *leaf) title() string {
	switch {
	case f.label != "":
		return f.label
	case f.name != "":
		return message.SafeDisplay(shorten(f.name, maxTitle))
	case f.path != "":
		return fmt.Sprintf("part %s (%s)", f.path, f.mediaType)
	}
	return fmt.Sprintf("the letter (%s)", f.mediaType)
}

// shorten keeps the first n characters of a valid text.
func shorten(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i] + "…"
		}
	}
	return s
}

// isSMIME and isSignatureType name the media types of RFC 8551 §3.2 and their
// older forms.
func isSMIME(mediaType string) bool {
	return mediaType == "application/pkcs7-mime" || mediaType == "application/x-pkcs7-mime"
}

func isSignatureType(mediaType string) bool {
	return mediaType == "application/pkcs7-signature" || mediaType == "application/x-pkcs7-signature"
}

// signatureExtension is the extension by which a file says that it is a
// signature, with its dot and as it is written, or "".
func signatureExtension(name string) string {
	ext := extension(name)
	switch strings.ToLower(ext) {
	case ".p7s", ".p7m", ".sig", ".sgn", ".sign":
		return ext
	}
	return ""
}

func extension(name string) string {
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		return name[i:]
	}
	return ""
}

// candidate says whether the file may be a signature and has to be looked at.
//
// What names itself contract.pdf is a document, of whatever type it says it is:
// programs hand it out under that name, and octets may well be a signature and
// a PDF at once.
func (f *leaf) candidate() bool {
	typed := isSMIME(f.mediaType) || isSignatureType(f.mediaType)
	return (typed || signatureExtension(f.name) != "") && !f.disguised && !isDocumentName(f.name)
}

// isDocumentName says whether a name has an extension that no S/MIME part has
// (RFC 8551 §3.2.1).
func isDocumentName(name string) bool {
	switch strings.ToLower(extension(name)) {
	case "", ".p7c", ".p7z":
		return false
	}
	return signatureExtension(name) == ""
}

// insists says whether the file must be a signature; others, like a mail
// program's settings.sig, are documents when they are no CMS.
func (f *leaf) insists() bool {
	ext := strings.ToLower(signatureExtension(f.name))
	return isSMIME(f.mediaType) || isSignatureType(f.mediaType) || ext == ".p7s" || ext == ".p7m"
}

// kind is what a candidate turned out to be.
type kind int

const (
	notCMS kind = iota
	malformed
	encrypted
	certsOnly
	separate  // signed, content elsewhere
	enclosing // signed, content inside
)

// claim is the digest that one signer wrote down.
type claim struct {
	hash  *pki.Hash
	value []byte
}

// probed is a first look at a candidate.
type probed struct {
	kind   kind
	claims []claim
	hashes []*pki.Hash // of all signers
	defect string
}

// probe reads a candidate without judging it.
func probe(open Source) (probed, error) {
	in, err := open()
	if err != nil {
		return probed{}, err
	}
	defer in.Close()
	sd, err := cms.Parse(dearmour(in))
	switch {
	case err == nil && len(sd.Signers) == 0:
		return probed{kind: certsOnly}, nil
	case err == nil && sd.Attached:
		return probed{kind: enclosing}, nil
	case err == nil:
		return probed{kind: separate, claims: claims(sd), hashes: hashes(sd)}, nil
	case errors.Is(err, cms.ErrEnveloped):
		return probed{kind: encrypted}, nil
	case errors.Is(err, cms.ErrNotSignedData):
		return probed{kind: notCMS, defect: "it is no CMS signature"}, nil
	case isDefect(err):
		return probed{kind: malformed, defect: err.Error()}, nil
	}
	return probed{}, err
}

func claims(sd *cms.SignedData) (out []claim) {
	for i := range sd.Signers {
		h, err := pki.HashByOID(sd.Signers[i].Digest.OID)
		if err != nil {
			continue
		}
		if value, err := sd.Signers[i].MessageDigest(); err == nil {
			out = append(out, claim{h, value})
		}
	}
	return out
}

func hashes(sd *cms.SignedData) (out []*pki.Hash) {
	for i := range sd.Signers {
		if h, err := pki.HashByOID(sd.Signers[i].Digest.OID); err == nil {
			out = append(out, h)
		}
	}
	return out
}

// isDefect says whether octets are at fault and not the disk they lie on.
func isDefect(err error) bool {
	var corrupt base64.CorruptInputError
	return errors.As(err, &corrupt) || errors.Is(err, errArmour) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, message.ErrMalformed) || errors.Is(err, message.ErrLimit) ||
		errors.Is(err, cms.ErrMalformed) || errors.Is(err, cms.ErrTooLarge) || errors.Is(err, cms.ErrNotSignedData)
}
