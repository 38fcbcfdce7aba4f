package notify

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/emersion/go-smtp"

	"cryptogramm.ru/cryptogramm/gateway/message"
)

// errUnable means that this relay cannot take this mail whenever it is asked.
var errUnable = errors.New("the relay is not able to take this mail")

// mailing is one mail with its envelope, and what it asks of a relay.
type mailing struct {
	from, to string
	octets   []byte
	utf8     bool // SMTPUTF8 (RFC 6531): an address or a header field beyond ASCII
	eight    bool // 8BITMIME (RFC 6152): a body beyond ASCII
}

// newMailing keeps anything that is not an address out of the SMTP commands.
func newMailing(from, to string, octets []byte) (*mailing, error) {
	m := &mailing{octets: octets}
	var ok [2]bool
	m.from, ok[0] = message.CanonicalAddress(from)
	m.to, ok[1] = message.CanonicalAddress(to)
	if !ok[0] || !ok[1] {
		return nil, fmt.Errorf("not mail addresses: %s, %s", inert(from, maxFile), inert(to, maxFile))
	}
	header, body, _ := bytes.Cut(octets, []byte("\r\n\r\n"))
	m.utf8 = beyondASCII([]byte(m.from)) || beyondASCII([]byte(m.to)) || beyondASCII(header)
	m.eight = beyondASCII(body)
	return m, nil
}

func beyondASCII(b []byte) bool {
	return bytes.ContainsFunc(b, func(r rune) bool { return r >= utf8.RuneSelf })
}

// able compares what a mail asks for with what the relay offers. What it does
// not offer today it is not asked for: the mail would arrive changed, or
// nowhere.
func (m *mailing) able(c *smtp.Client) error {
	if ok, _ := c.Extension("SMTPUTF8"); m.utf8 && !ok {
		return fmt.Errorf("%w: it knows no internationalized addresses (SMTPUTF8)", errUnable)
	}
	if ok, _ := c.Extension("8BITMIME"); m.eight && !ok {
		return fmt.Errorf("%w: it takes 7-bit text only (no 8BITMIME)", errUnable)
	}
	if most, ok := c.MaxMessageSize(); ok && most > 0 && len(m.octets) > most {
		return fmt.Errorf("%w: it takes %d octets, this mail has %d", errUnable, most, len(m.octets))
	}
	return nil
}
