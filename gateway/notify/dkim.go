package notify

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// DKIM signs outgoing mail for a domain (RFC 6376). The same mail gets the same
// signature: there is no signing time in it.
type DKIM struct {
	Domain   string        // in A-labels
	Selector string        // the key's name under _domainkey.Domain
	Key      crypto.Signer // RSA of at least 1024 bits (RFC 8301), or Ed25519 (RFC 8463)
}

// errNoDKIM means that a mail cannot be signed, by this key or at all.
var errNoDKIM = errors.New("no DKIM signature can be made")

// signedFields are the header fields that a signature covers, each as often as
// it is there. Those with true are named once more than that, so that nobody
// can add another one to a signed mail (RFC 6376 §8.15).
var signedFields = []struct {
	name string
	once bool
}{
	{"from", true}, {"reply-to", true}, {"to", true}, {"subject", true}, {"date", true}, {"message-id", true},
	{"in-reply-to", false}, {"references", false}, {"auto-submitted", false}, {"content-language", false},
	{"mime-version", true}, {"content-type", true}, {"content-transfer-encoding", true},
}

// sign answers the mail behind a DKIM-Signature field; not an octet of the mail
// itself is changed. Canonicalisation is relaxed/relaxed, without a length.
func (d *DKIM) sign(mail []byte) ([]byte, error) {
	algorithm, err := d.algorithm()
	if err != nil {
		return nil, err
	}
	header, body, ok := bytes.Cut(mail, []byte("\r\n\r\n"))
	if !ok {
		return nil, fmt.Errorf("%w: the mail has no body", errNoDKIM)
	}
	fields := splitFields(string(header))
	names, covered := pick(fields)

	bodyHash := sha256.New()
	relaxBody(bodyHash, body)
	field := fmt.Sprintf("DKIM-Signature: v=1; a=%s; c=relaxed/relaxed; d=%s;\r\n\ts=%s;\r\n\th=%s;\r\n\tbh=%s;\r\n\tb=",
		algorithm, d.Domain, d.Selector, strings.Join(names, ":\r\n\t "), base64.StdEncoding.EncodeToString(bodyHash.Sum(nil)))

	h := sha256.New()
	for _, f := range covered {
		h.Write([]byte(relaxField(f) + "\r\n"))
	}
	h.Write([]byte(relaxField(field))) // without a line end (RFC 6376 §3.7)
	signature, err := d.seal(h.Sum(nil))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoDKIM, err)
	}
	signed := make([]byte, 0, len(field)+len(signature)*2+len(mail))
	signed = append(signed, field...)
	signed = append(signed, folded(base64.StdEncoding.EncodeToString(signature))...)
	signed = append(signed, "\r\n"...)
	return append(signed, mail...), nil
}

// algorithm is the name of the signature that the key makes (RFC 6376 §3.3,
// RFC 8463 §3).
func (d *DKIM) algorithm() (string, error) {
	if d.Key == nil || d.Domain == "" || d.Selector == "" || strings.ContainsAny(d.Domain+d.Selector, " ;\t\r\n") {
		return "", fmt.Errorf("%w: domain, selector and key are needed", errNoDKIM)
	}
	switch k := d.Key.Public().(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 1024 {
			return "", fmt.Errorf("%w: RSA with %d bits", errNoDKIM, k.N.BitLen())
		}
		return "rsa-sha256", nil
	case ed25519.PublicKey:
		return "ed25519-sha256", nil
	default:
		return "", fmt.Errorf("%w: key of type %T", errNoDKIM, k)
	}
}

// seal signs a digest. Ed25519 takes it as the message (RFC 8463 §3).
func (d *DKIM) seal(digest []byte) ([]byte, error) {
	if _, ok := d.Key.Public().(ed25519.PublicKey); ok {
		return d.Key.Sign(rand.Reader, digest, crypto.Hash(0))
	}
	return d.Key.Sign(rand.Reader, digest, crypto.SHA256)
}

// splitFields cuts a header into its fields, folds included, line ends of the
// fields not.
func splitFields(header string) []string {
	var fields []string
	for line := range strings.SplitSeq(header, "\r\n") {
		if n := len(fields); n > 0 && (strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")) {
			fields[n-1] += "\r\n" + line
		} else {
			fields = append(fields, line)
		}
	}
	return fields
}

// pick names the covered fields and gives them in that order: of fields with
// the same name the last one first (RFC 6376 §5.4.2).
func pick(fields []string) (names, covered []string) {
	for _, s := range signedFields {
		for i := len(fields) - 1; i >= 0; i-- {
			if name, _, _ := strings.Cut(fields[i], ":"); strings.EqualFold(strings.TrimRight(name, " \t"), s.name) {
				names, covered = append(names, s.name), append(covered, fields[i])
			}
		}
		if s.once {
			names = append(names, s.name)
		}
	}
	return names, covered
}

// relaxField is a field in relaxed form (RFC 6376 §3.4.2), without a line end.
func relaxField(f string) string {
	name, value, _ := strings.Cut(f, ":")
	value = strings.ReplaceAll(value, "\r\n", "")
	return strings.ToLower(strings.TrimRight(name, " \t")) + ":" + strings.TrimPrefix(relaxLine(value), " ")
}

// relaxLine makes every run of blanks one and drops those at the end.
func relaxLine(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	blank := false
	for i := range len(s) {
		if s[i] == ' ' || s[i] == '\t' {
			blank = true
			continue
		}
		if blank {
			b.WriteByte(' ')
			blank = false
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// relaxBody hashes a body in relaxed form (RFC 6376 §3.4.4): empty lines at its
// end do not count, and a last line has its end.
func relaxBody(h hash.Hash, body []byte) {
	empty := 0
	for line := range strings.SplitSeq(string(body), "\r\n") {
		line = relaxLine(line)
		if line == "" {
			empty++
			continue
		}
		for ; empty > 0; empty-- {
			h.Write([]byte("\r\n"))
		}
		h.Write([]byte(line + "\r\n"))
	}
}

// folded cuts text into lines of a folded field.
func folded(s string) string {
	const width = 72
	var b strings.Builder
	for len(s) > width {
		b.WriteString(s[:width] + "\r\n\t ")
		s = s[width:]
	}
	b.WriteString(s)
	return b.String()
}
