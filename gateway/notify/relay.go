package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
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

// Relay is the operator's mail server, which takes our mail to the world. It
// may be used by many at once and must not be copied.
type Relay struct {
	Address  string // host:port
	Security Security
	Roots    *x509.CertPool // nil: those of the system
	Login    string         // "" for no AUTH; wants TLS
	Password string
	Hello    string        // our name in EHLO; "localhost" when empty
	Timeout  time.Duration // for one mail from dialling to the last reply; 2 minutes when zero

	mu   sync.Mutex
	idle []*connection // kept for the next mails, the latest last
}

const relayTimeout = 2 * time.Minute

// errNoTLS keeps a password from going out in the clear.
var errNoTLS = errors.New("AUTH wanted on a connection without TLS")

// Send hands one mail to the relay and returns nil once it has answered 250 to
// the whole of it. A connection that breaks before that answer may have
// delivered the mail; sending it again is then the caller's choice. Connections
// are kept for a while: one that turns out to be over before the mail was on
// its way is replaced, once.
//
// Errors: *PermanentError when the relay refuses this sender, recipient or
// mail (5xx), does not offer what the mail needs (SMTPUTF8, 8BITMIME, SIZE), or
// an address cannot be one; else *TemporaryError.
func (r *Relay) Send(ctx context.Context, from, to string, mail []byte) error {
	m, err := newMailing(from, to, mail)
	if err != nil {
		return &PermanentError{Stage: "address", Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout())
	defer cancel()
	if l := r.take(); l != nil {
		stage, err := r.carry(ctx, l, m)
		if !stale(stage, err) || ctx.Err() != nil {
			return classify(ctx, stage, err)
		}
	}
	l, stage, err := r.connect(ctx)
	if err == nil {
		stage, err = r.carry(ctx, l, m)
	}
	return classify(ctx, stage, err)
}

func (r *Relay) timeout() time.Duration {
	if r.Timeout == 0 {
		return relayTimeout
	}
	return r.Timeout
}

// connect dials, greets and logs in.
func (r *Relay) connect(ctx context.Context) (l *connection, stage string, err error) {
	conn, err := r.dial(ctx)
	if err != nil {
		return nil, "connect", err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	c, stage, err := r.begin(conn)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, stage, err
	}
	return &connection{conn: conn, client: c}, stage, nil
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
func (r *Relay) begin(conn net.Conn) (c *smtp.Client, stage string, err error) {
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
	c.CommandTimeout, c.SubmissionTimeout = r.timeout(), r.timeout()
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
