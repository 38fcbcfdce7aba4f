package imapd

import "time"

// Limits bound what one client and all clients together may take. What may be
// appended is the gateway's limit of a letter. Zero members get the default
// named.
type Limits struct {
	Connections  int           // in all; 12,000
	PerPeer      int           // from one IP address (IPv6: one /64), loopback too; 100
	AuthFailures int           // on one connection; 3
	Searches     int           // that read bodies, at once; 4
	Handshake    time.Duration // from the first octet wanted to TLS; 30 s
	Login        time.Duration // from Accept to being logged in; 2 min
	Idle         time.Duration // autologout (RFC 9051 §5.4); 30 min
	Input        time.Duration // for the next octets of a command or literal; 5 min
	Output       time.Duration // for the client to take 64 KiB; 2 min
}

func (l Limits) withDefaults() Limits {
	number(&l.Connections, 12000)
	number(&l.PerPeer, 100)
	number(&l.AuthFailures, 3)
	number(&l.Searches, 4)
	number(&l.Handshake, 30*time.Second)
	number(&l.Login, 2*time.Minute)
	number(&l.Idle, 30*time.Minute)
	number(&l.Input, 5*time.Minute)
	number(&l.Output, 2*time.Minute)
	return l
}

func number[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Bounds of the protocol that nobody needs to turn.
const (
	maxCommand   = 40 << 10 // octets of a command without its literals; the engine gives up at 50 KiB
	maxResponse  = 4000     // of a line that answers "+": the engine's buffer has 4,096
	maxTag       = 64       // of a tag
	maxDiscard   = 64 << 10 // of the literals of a command that was refused
	maxMistakes  = 20       // lines that are no command
	maxPlain     = 50       // commands before STARTTLS
	readChunk    = 4 << 10  // octets read at once
	outputBuffer = 64 << 10 // octets gathered before they are sent
	closeWait    = time.Second
	turnAway     = 5 * time.Second // for the handshake of a client that is one too many
)
