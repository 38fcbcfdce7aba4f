package message

import (
	"bytes"
	"fmt"
	"strings"
)

// Signer makes a detached S/MIME signature, SHA-256 in DER, over the octets of
// a MIME entity.
type Signer func(entity []byte) ([]byte, error)

// ComposeSigned writes a letter as multipart/signed (RFC 8551 §3.5.3). Its
// header is that of Compose; the entity that Compose would write is the first
// part, in a form that no transport changes, and the signature over exactly its
// octets the second. The same Mail under the same signature is the same octets.
// Errors: those of Compose and sign's own.
func ComposeSigned(m Mail, sign Signer) ([]byte, error) {
	header, err := m.header()
	if err != nil {
		return nil, err
	}
	entity, err := m.content(sturdyEntity)
	if err != nil {
		return nil, err
	}
	signature, err := sign(entity)
	if err != nil {
		return nil, fmt.Errorf("sign letter %s: %w", m.MessageID, err)
	}
	var b bytes.Buffer
	b.WriteString("Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n" +
		"Content-Disposition: attachment; filename=\"smime.p7s\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	writeBase64(&b, signature)
	const kind = "signed; micalg=sha-256;\r\n protocol=\"application/pkcs7-signature\""
	return append(header, multipartEntity(kind, [][]byte{entity, b.Bytes()})...), nil
}

// sturdyEntity writes text so that no mail program on the way touches it (RFC
// 8551 §3.1.2, §3.1.3): no line ends with a blank or begins with "From ".
// Quoted-printable sees to the first; where the second happens, and where it is
// the shorter anyway, the text is base64.
func sturdyEntity(subtype, text string) []byte {
	text = mailText(text)
	var b bytes.Buffer
	b.WriteString("Content-Type: text/" + subtype + "; charset=utf-8\r\nContent-Transfer-Encoding: ")
	if len(text)+2*octetsBeyondASCII(text) <= len(text)*4/3 { // else it is the longer for sure
		quoted := quotedPrintable(text)
		if len(quoted) <= len(text)*4/3 && !bytes.HasPrefix(quoted, []byte("From ")) && !bytes.Contains(quoted, []byte("\nFrom ")) {
			b.WriteString("quoted-printable\r\n\r\n")
			b.Write(quoted)
			return b.Bytes()
		}
	}
	b.WriteString("base64\r\n\r\n")
	writeBase64(&b, []byte(text))
	return b.Bytes()
}

// octetsBeyondASCII is how many octets of a text quoted-printable writes as three.
func octetsBeyondASCII(text string) int {
	n := 0
	for i := range len(text) {
		if text[i] >= 0x80 {
			n++
		}
	}
	return n
}

// FieldID makes any text fit for Mail.InReplyTo: a message id stays, all else,
// and one that is too long for a field, becomes "".
func FieldID(id string) string {
	if len(id) > maxFieldID || !strings.HasPrefix(id, "<") || !validMessageID(id) {
		return ""
	}
	return id
}
