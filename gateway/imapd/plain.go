package imapd

import (
	"context"
)

// plainCapabilities are those before STARTTLS: nobody logs in here.
const plainCapabilities = "CAPABILITY IMAP4rev2 IMAP4rev1 SASL-IR LITERAL- STARTTLS LOGINDISABLED"

// plain serves a connection up to STARTTLS (RFC 9051 §6.2.1). nil when TLS is
// up.
//
// Nothing said here reaches the engine, which starts anew on the TLS stream:
// what an attacker on the wire put before the handshake is forgotten.
func (c *conn) plain(ctx context.Context) error {
	c.say("* OK [" + plainCapabilities + "] STARTTLS is required")
	for range maxPlain {
		line, err := c.readTo('\n')
		if err != nil {
			return errNoTLS
		}
		if !oneLine(line) || !c.begin(line) || announcement(line).there {
			c.end("Not a command")
			return errNoTLS
		}
		if c.verb == "STARTTLS" {
			return c.upgrade(ctx)
		}
		c.plainResponse()
		if c.fail != nil {
			return errNoTLS
		}
	}
	c.end("Too many commands")
	return errNoTLS
}

// plainResponse answers what changes nothing.
func (c *conn) plainResponse() {
	switch c.verb {
	case "CAPABILITY":
		c.say("* " + plainCapabilities)
		c.say(c.tag + " OK CAPABILITY completed")
	case "NOOP":
		c.say(c.tag + " OK NOOP completed")
	case "LOGOUT":
		c.say("* BYE Logging out")
		c.say(c.tag + " OK LOGOUT completed")
		c.fail = errNoTLS
	case "LOGIN", "AUTHENTICATE":
		c.say(c.tag + " NO [PRIVACYREQUIRED] TLS is required to log in")
	default:
		c.say(c.tag + " BAD Only after STARTTLS and login")
	}
}

// upgrade answers STARTTLS and shakes hands. Octets that came with the command
// were sent before TLS by whoever could; they end the connection.
func (c *conn) upgrade(ctx context.Context) error {
	if len(c.in) > 0 {
		c.end("Octets after STARTTLS")
		return errNoTLS
	}
	c.say(c.tag + " OK Begin TLS negotiation now")
	if err := c.flush(); err != nil {
		return err
	}
	c.hush = true
	return c.handshake(ctx, c.srv.Limits.Handshake)
}
