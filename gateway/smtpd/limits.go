package smtpd

import "time"

// Limits bound what one client and all clients together may take. The size of
// a letter is the gateway's limit. Zero members get the default named.
type Limits struct {
	Connections  int           // in all; 1,000
	PerPeer      int           // from one IP address (IPv6: one /64), loopback too; 50
	Recipients   int           // of one letter, each counted once; 100
	AuthFailures int           // on one connection; 3
	Handshake    time.Duration // from the first octet wanted to TLS; 30 s
	Login        time.Duration // from Accept to AUTH; 5 min
	Idle         time.Duration // for the next octet, and for the client to take a reply; 5 min
	Transaction  time.Duration // from MAIL to the last octet of the letter; 30 min
}

func (l Limits) withDefaults() Limits {
	number(&l.Connections, 1000)
	number(&l.PerPeer, 50)
	number(&l.Recipients, 100)
	number(&l.AuthFailures, 3)
	number(&l.Handshake, 30*time.Second)
	number(&l.Login, 5*time.Minute)
	number(&l.Idle, 5*time.Minute)
	number(&l.Transaction, 30*time.Minute)
	return l
}

func number[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Bounds of the protocol that nobody needs to turn.
const (
	maxLine      = 1000      // octets of a command line with CRLF; RFC 5321 §4.5.3.1.4 asks for 512
	maxAuthLine  = 4096      // of an AUTH line or response: two addresses and a password of 1,000 octets in base64
	maxReplyLine = 510       // octets of a reply line without CRLF, RFC 5321 §4.5.3.1.5
	maxCommands  = 1000      // lines without a letter getting on
	maxPlain     = 50        // lines before STARTTLS
	letterLine   = 256 << 10 // octets of one line of a letter, as message.StrictCRLF has it
	closeWait    = time.Second
	turnAway     = 5 * time.Second // for the handshake of a client that is one too many
)
