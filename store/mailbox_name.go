package store

import (
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Separator parts the levels of a mailbox name.
const Separator = "/"

// CanonicalName is the spelling a mailbox is found by: in NFC, with the inbox,
// whose name alone has no case (RFC 9051 §5.1), in capitals.
func CanonicalName(name string) string {
	name = norm.NFC.String(name)
	first, rest, deep := strings.Cut(name, Separator)
	if !strings.EqualFold(first, "INBOX") {
		return name
	}
	if deep {
		return "INBOX" + Separator + rest
	}
	return "INBOX"
}
