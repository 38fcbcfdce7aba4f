package pki

import (
	"strings"
)

// Emails returns the mailboxes the certificate speaks for: those of the subject
// alternative name, or of the subject's emailAddress only if the former holds no
// e-mail at all (RFC 5280 §4.2.1.6). Domains are lower-case, local parts as
// written. Entries that are no plain ASCII addr-spec are left out, and a control
// character in any name leaves nothing: its reader may have seen another address
// than we do. Such a certificate fails the "names" check.
func (c *Certificate) Emails() []string {
	if c.unclean != "" {
		return nil
	}
	var out []string
	seen := map[string]bool{} // a certificate has room for thousands
	for _, s := range c.mailboxes() {
		if m, ok := plainMailbox(s); ok && !seen[m] {
			seen[m] = true
			out = append(out, m)
		}
	}
	return out
}

// mailboxes are the e-mail names as encoded, from the one place that counts.
func (c *Certificate) mailboxes() []string {
	var out []string
	for _, g := range c.ext.names {
		if g.form == formEmail {
			out = append(out, g.text)
		}
	}
	if out == nil {
		out = c.Subject.values(attributeEmailAddress)
	}
	return out
}

// atext beyond letters and digits, RFC 5322 §3.2.3.
const atextMarks = "!#$%&'*+-/=?^_`{|}~"

// plainMailbox accepts dot-atom "@" host name and folds the domain's case.
func plainMailbox(s string) (string, bool) {
	local, domain, found := strings.Cut(s, "@")
	if !found || len(local) > 64 || len(domain) > 255 {
		return "", false
	}
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune(atextMarks, r) }) {
			return "", false
		}
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || strings.ContainsFunc(label, func(r rune) bool { return !alphanumeric(r) && r != '-' }) {
			return "", false
		}
	}
	return local + "@" + foldASCII(domain), true
}

func alphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
