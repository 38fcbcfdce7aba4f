package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"cryptogramm.ru/cryptogramm/gateway/message"
)

// Security is how the connection to a relay is protected. There is no
// "if available": whoever can cut STARTTLS out of an answer would choose.
type Security string

// Protections of a relay connection. The certificate is always verified.
const (
	Plain       Security = "plain" // for a relay on the same machine or network
	StartTLS    Security = "starttls"
	ImplicitTLS Security = "tls"
)

// Relay is the operator's mail server, which takes our mail to the world.
type Relay struct {
	Address  string // host:port
	Security Security
	Roots    *x509.CertPool // nil: those of the system
	Login    string         // "" for no AUTH; wants TLS
	Password string
	Hello    string        // our name in EHLO; "localhost" when empty
	Timeout  time.Duration // for one mail from dialling to the last reply; 2 minutes when zero
}

const relayTimeout = 2 * time.Minute

// errNoTLS keeps a password from going out in the clear.
var errNoTLS = errors.New("AUTH wanted on a connection without TLS")

// Send hands one mail to the relay and returns nil once it has answered 250 to
// the whole of it. A connection that breaks before that answer may have
// delivered the mail; sending it again is then the caller's choice.
//
// Errors: *PermanentError when the relay refuses this sender, recipient or
// mail (5xx) or the recipient's address cannot be one; else *TemporaryError.
func (r *Relay) Send(ctx context.Context, from, to string, mail []byte) error {
	if err := envelope(from, to); err != nil {
		return &PermanentError{Stage: "address", Err: err}
	}
	timeout := r.Timeout
	if timeout == 0 {
		timeout = relayTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := r.dial(ctx)
	if err != nil {
		return classify(ctx, "connect", err)
	}
	// The client has a deadline per command but none while a body is written:
	// closing the connection ends whatever is under way.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	c, stage, err := r.begin(conn, timeout)
	if err != nil {
		conn.Close()
		return classify(ctx, stage, err)
	}
	defer c.Close()
	if stage, err = transact(c, from, to, mail); err != nil {
		return classify(ctx, stage, err)
	}
	_ = c.Quit() // the mail is taken: how the relay says goodbye changes nothing
	return nil
}

func (r *Relay) dial(ctx context.Context) (net.Conn, error) {
	dialer := &net.Dialer{}
	if r.Security == ImplicitTLS {
		config, err := r.tls()
		if err != nil {
			return nil, err
		}
		return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", r.Address)
	}
	return dialer.DialContext(ctx, "tcp", r.Address)
}

func (r *Relay) tls() (*tls.Config, error) {
	host, _, err := net.SplitHostPort(r.Address)
	if err != nil {
		return nil, err
	}
	return &tls.Config{ServerName: host, RootCAs: r.Roots, MinVersion: tls.VersionTLS12}, nil
}

// begin greets, protects and authenticates. The stage it returns names where
// an error happened.
func (r *Relay) begin(conn net.Conn, timeout time.Duration) (c *smtp.Client, stage string, err error) {
	stage = "greeting"
	switch r.Security {
	case Plain, ImplicitTLS:
		c = smtp.NewClient(conn)
	case StartTLS:
		config, err := r.tls()
		if err != nil {
			return nil, stage, err
		}
		if c, err = smtp.NewClientStartTLS(conn, config); err != nil {
			return nil, "STARTTLS", err
		}
	default:
		return nil, stage, fmt.Errorf("unknown relay security %q", r.Security)
	}
	c.CommandTimeout, c.SubmissionTimeout = timeout, timeout
	hello := r.Hello
	if hello == "" {
		hello = "localhost"
	}
	if err = c.Hello(hello); err != nil || r.Login == "" {
		return c, stage, err
	}
	return c, "AUTH", r.authenticate(c)
}

func (r *Relay) authenticate(c *smtp.Client) error {
	if _, ok := c.TLSConnectionState(); !ok {
		return errNoTLS
	}
	if !c.SupportsAuth(sasl.Plain) && c.SupportsAuth(sasl.Login) {
		return c.Auth(sasl.NewLoginClient(r.Login, r.Password))
	}
	return c.Auth(sasl.NewPlainClient("", r.Login, r.Password))
}

func transact(c *smtp.Client, from, to string, mail []byte) (stage string, err error) {
	if err := c.Mail(from, &smtp.MailOptions{Size: int64(len(mail))}); err != nil {
		return "MAIL", err
	}
	if err := c.Rcpt(to, nil); err != nil {
		return "RCPT", err
	}
	w, err := c.Data()
	if err != nil {
		return "DATA", err
	}
	if _, err := bytes.NewReader(mail).WriteTo(w); err != nil {
		return "DATA", err
	}
	return "DATA", w.Close()
}

// envelope keeps anything that is not an address out of the SMTP commands.
func envelope(list ...string) error {
	for _, a := range list {
		if !message.ValidAddress(a) {
			return fmt.Errorf("not a mail address: %s", inert(a, maxFile))
		}
	}
	return nil
}
