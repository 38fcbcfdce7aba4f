package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"
)

var errNoTLS = errors.New("left before TLS")

// plain serves a connection up to STARTTLS (RFC 3207). nil when TLS is up.
//
// Nothing said here reaches the engine, which starts anew on the TLS stream:
// what an attacker on the wire put before the handshake is forgotten.
func (c *conn) plain(ctx context.Context) error {
	c.say(220, c.srv.domain+" ESMTP ready, STARTTLS is required")
	for range maxPlain {
		if err := c.next(); err != nil {
			return errNoTLS
		}
		text := strings.TrimRight(string(c.line), "\r\n")
		c.line = nil
		name, arg, _ := strings.Cut(text, " ")
		switch strings.ToUpper(name) {
		case "STARTTLS":
			if arg != "" {
				c.say(501, "5.5.4 STARTTLS has no parameters")
				continue
			}
			return c.upgrade(ctx)
		case "QUIT":
			c.say(221, "2.0.0 Bye")
			return errNoTLS
		default:
			c.plainReply(strings.ToUpper(name), arg)
		}
		if c.fail != nil {
			return errNoTLS
		}
	}
	c.end(replyTooMany())
	return errNoTLS
}

// plainReply answers what changes nothing.
func (c *conn) plainReply(name, arg string) {
	switch name {
	case "EHLO", "HELO":
		if arg == "" {
			c.say(501, "5.5.4 A domain is required")
			return
		}
		if name == "HELO" {
			c.say(250, c.srv.domain)
			return
		}
		c.reply([]byte("250-" + c.srv.domain))
		for _, word := range []string{"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "SMTPUTF8", fmt.Sprintf("SIZE %d", c.srv.letter)} {
			c.reply([]byte("250-" + word))
		}
		c.say(250, "STARTTLS")
	case "NOOP", "RSET":
		c.say(250, "2.0.0 OK")
	case "MAIL", "RCPT", "DATA", "BDAT", "AUTH", "VRFY":
		c.say(530, "5.7.0 Must issue a STARTTLS command first")
	default:
		c.say(500, "5.5.2 Command not recognised")
	}
}

// upgrade answers STARTTLS and shakes hands. Octets that came with the command
// were sent before TLS by whoever could; they end the connection.
func (c *conn) upgrade(ctx context.Context) error {
	if c.in.Buffered() > 0 {
		c.end(replyInjected())
		return errNoTLS
	}
	c.say(220, "2.0.0 Ready to start TLS")
	if err := c.flush(); err != nil {
		return err
	}
	c.hush = true
	return c.handshake(ctx, c.srv.limits.Handshake)
}

// handshake turns the stream into TLS within a time, or fails for good.
func (c *conn) handshake(ctx context.Context, within time.Duration) error {
	if c.draining() {
		return errDrained
	}
	c.mu.Lock()
	c.waiting = true // Drain cuts it short
	c.raw.SetDeadline(time.Now().Add(within))
	c.mu.Unlock()
	t := tls.Server(c.raw, c.srv.tls)
	err := t.HandshakeContext(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = false
	if err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	c.raw.SetDeadline(time.Time{})
	c.Conn = t
	state := t.ConnectionState()
	c.security = tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
	c.lines, c.verb, c.left = 0, "", 0
	return nil
}
