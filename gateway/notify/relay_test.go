package notify

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

const body = "From: a@gate.example\r\nSubject: x\r\n\r\n.leading dot\r\n..\r\n.\r\nend\r\n"

// peer is a real SMTP server that answers a stage with an error and remembers
// what it took.
type peer struct {
	refuse map[string]error
	mechs  []string

	mu    sync.Mutex
	taken []string // "from|to|body|tls|login"
}

type peerSession struct {
	*peer
	conn            *smtp.Conn
	from, to, login string
}

func (p *peer) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &peerSession{peer: p, conn: c}, p.refuse["session"]
}

func (s *peerSession) AuthMechanisms() []string { return s.mechs }

func (s *peerSession) Auth(mech string) (sasl.Server, error) {
	check := func(login, password string) error {
		if password != "secret" {
			return smtp.ErrAuthFailed
		}
		s.login = mech + " " + login
		return nil
	}
	if mech == sasl.Login {
		return &loginServer{check: check}, nil
	}
	return sasl.NewPlainServer(func(_, login, password string) error { return check(login, password) }), nil
}

// loginServer is the server half of AUTH LOGIN with an initial response.
type loginServer struct {
	login string
	check func(login, password string) error
}

func (l *loginServer) Next(response []byte) ([]byte, bool, error) {
	if l.login == "" {
		l.login = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.login, string(response))
}

func (s *peerSession) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return s.refuse["MAIL"]
}

func (s *peerSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return s.refuse["RCPT"]
}

func (s *peerSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.refuse["DATA"]; err != nil {
		return err
	}
	protection := "clear"
	if _, ok := s.conn.TLSConnectionState(); ok {
		protection = "tls"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = append(s.taken, strings.Join([]string{s.from, s.to, string(b), protection, s.login}, "|"))
	return nil
}

func (s *peerSession) Reset()        {}
func (s *peerSession) Logout() error { return nil }

func (p *peer) mails() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.taken...)
}

// identity is a key with a certificate for 127.0.0.1 and the roots to trust it.
func identity(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, roots
}

// start runs the peer; config is nil for a server without TLS.
func (p *peer) start(t *testing.T, config *tls.Config, implicit bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	s := smtp.NewServer(p)
	s.Domain, s.AllowInsecureAuth, s.TLSConfig = "peer.example", true, config
	s.ErrorLog = log.New(io.Discard, "", 0)
	if implicit {
		l = tls.NewListener(l, config)
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return address
}

func send(r *Relay) error {
	return r.Send(context.Background(), "service@gate.example", "chen@optics.example", []byte(body))
}

func TestRelayDelivers(t *testing.T) {
	config, roots := identity(t)
	for _, c := range []struct {
		name     string
		config   *tls.Config
		security Security
		login    string
		mechs    []string
		want     string
	}{
		{"plain", nil, Plain, "", nil, "clear|"},
		{"plain although TLS is offered", config, Plain, "", nil, "clear|"},
		{"STARTTLS", config, StartTLS, "", nil, "tls|"},
		{"STARTTLS with PLAIN", config, StartTLS, "gate", []string{sasl.Login, sasl.Plain}, "tls|PLAIN gate"},
		{"implicit TLS with LOGIN", config, ImplicitTLS, "gate", []string{sasl.Login}, "tls|LOGIN gate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &peer{mechs: c.mechs}
			r := &Relay{Address: p.start(t, c.config, c.security == ImplicitTLS), Security: c.security, Roots: roots, Login: c.login, Password: "secret", Hello: "gate.example"}
			if err := send(r); err != nil {
				t.Fatal(err)
			}
			want := "service@gate.example|chen@optics.example|" + body + "|" + c.want
			if got := p.mails(); len(got) != 1 || got[0] != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// TestRelayReplies: which replies are for good.
func TestRelayReplies(t *testing.T) {
	reply := func(code int) error {
		return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 1, 1}, Message: "no\u202e www.evil.example https://evil.example"}
	}
	for _, c := range []struct {
		stage     string
		code      int
		permanent bool
	}{
		{"MAIL", 451, false}, {"MAIL", 530, false}, {"MAIL", 550, true},
		{"RCPT", 450, false}, {"RCPT", 452, false}, {"RCPT", 550, true}, {"RCPT", 553, true},
		{"DATA", 421, false}, {"DATA", 452, false}, {"DATA", 552, true}, {"DATA", 554, true},
		{"session", 421, false}, {"session", 554, false},
	} {
		p := &peer{refuse: map[string]error{c.stage: reply(c.code)}}
		err := send(&Relay{Address: p.start(t, nil, false), Security: Plain})
		var permanent *PermanentError
		var temporary *TemporaryError
		code, text := 0, ""
		switch {
		case errors.As(err, &permanent):
			code, text = permanent.Code, permanent.Text
		case errors.As(err, &temporary):
			code, text = temporary.Code, temporary.Text
		}
		if (permanent != nil) != c.permanent || (permanent == nil) == (temporary == nil) || code != c.code {
			t.Errorf("%d to %s: %T %v", c.code, c.stage, err, err)
		}
		if strings.Contains(text+err.Error(), "https://") || strings.Contains(text, "www.") || strings.Contains(text, "\u202e") {
			t.Errorf("the reply is not made safe: %q", text)
		}
		if len(p.mails()) != 0 {
			t.Errorf("%d to %s: delivered all the same", c.code, c.stage)
		}
	}
}

// TestRelaySecurity: without the protection that was asked for nothing is
// handed over, neither mail nor password.
func TestRelaySecurity(t *testing.T) {
	config, roots := identity(t)
	for _, c := range []struct {
		name   string
		config *tls.Config
		relay  *Relay
	}{
		{"STARTTLS not offered", nil, &Relay{Security: StartTLS, Roots: roots}},
		{"certificate of nobody known", config, &Relay{Security: StartTLS, Roots: x509.NewCertPool()}},
		{"AUTH without TLS", nil, &Relay{Security: Plain, Login: "gate", Password: "secret"}},
		{"wrong password", config, &Relay{Security: StartTLS, Roots: roots, Login: "gate", Password: "wrong-one"}},
		{"TLS to a server that speaks none", nil, &Relay{Security: ImplicitTLS, Roots: roots}},
		{"no security named", nil, &Relay{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &peer{mechs: []string{sasl.Plain}}
			r := c.relay
			r.Address, r.Timeout = p.start(t, c.config, false), 5*time.Second
			err := send(r)
			var temporary *TemporaryError
			if !errors.As(err, &temporary) {
				t.Errorf("%T %v", err, err)
			}
			if len(p.mails()) != 0 {
				t.Error("delivered all the same")
			}
			if err != nil && r.Password != "" && strings.Contains(err.Error(), r.Password) {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
}

// script serves one connection with fixed lines: each is sent after one line
// was read ("" is sent unasked). A last line "hold" keeps the connection open
// without a word until the test ends, else it is dropped.
func script(t *testing.T, lines ...string) (address string, heard <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	ch := make(chan string, 100)
	t.Cleanup(func() { close(done); l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		for i, line := range lines {
			if line == "hold" {
				<-done
				return
			}
			if i > 0 {
				heardLine := readCommand(r)
				ch <- heardLine
			}
			if _, err := io.WriteString(conn, line+"\r\n"); err != nil {
				return
			}
		}
	}()
	return l.Addr().String(), ch
}

// readCommand reads one line, or a whole body once lines of one have begun.
func readCommand(r *bufio.Reader) string {
	line, _ := r.ReadString('\n')
	if !strings.HasPrefix(line, "From:") {
		return line
	}
	for line != ".\r\n" {
		next, err := r.ReadString('\n')
		if err != nil {
			return line
		}
		line = next
	}
	return "body"
}

// TestRelayDropped: wherever the connection breaks, the mail is to be sent
// again; after the last 250 it is not.
func TestRelayDropped(t *testing.T) {
	all := []string{"220 peer", "250 peer", "250 ok", "250 ok", "354 go", "250 taken"}
	for n := range len(all) + 1 {
		address, _ := script(t, all[:n]...)
		err := send(&Relay{Address: address, Security: Plain, Timeout: 10 * time.Second})
		var temporary *TemporaryError
		if n == len(all) && err != nil {
			t.Errorf("dropped at QUIT: %v", err)
		}
		if n < len(all) && (!errors.As(err, &temporary) || temporary.Code != 0) {
			t.Errorf("dropped after %d lines: %T %v", n, err, err)
		}
	}
}

// TestRelaySilent: a relay that stops talking costs the time allowed, no more.
func TestRelaySilent(t *testing.T) {
	all := []string{"220 peer", "250 peer", "250 ok", "250 ok", "354 go"}
	for n := range len(all) + 1 {
		address, _ := script(t, append(append([]string{}, all[:n]...), "hold")...)
		err := send(&Relay{Address: address, Security: Plain, Timeout: 50 * time.Millisecond})
		var temporary *TemporaryError
		if !errors.As(err, &temporary) {
			t.Errorf("silent after %d lines: %T %v", n, err, err)
		}
	}
}

// TestRelayStops: neither a cancelled context nor a relay that stops reading in
// the middle of a body keeps Send until some timer of the connection's own.
func TestRelayStops(t *testing.T) {
	big := append([]byte(body), bytes.Repeat([]byte("0123456789\r\n"), 4<<20)...) // more than the sockets hold
	for _, c := range []struct {
		name  string
		lines []string
		mail  []byte
	}{
		{"waiting for a reply", []string{"220 peer", "hold"}, []byte(body)},
		{"writing the body", []string{"220 peer", "250 peer", "250 ok", "250 ok", "354 go", "hold"}, big},
	} {
		t.Run(c.name, func(t *testing.T) {
			address, heard := script(t, c.lines...)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			begin := time.Now()
			result := make(chan error, 1)
			go func() {
				result <- (&Relay{Address: address, Security: Plain}).Send(ctx, "a@gate.example", "b@x.example", c.mail)
			}()
			for range len(c.lines) - 2 {
				<-heard
			}
			cancel()
			if err := <-result; !errors.Is(err, context.Canceled) || time.Since(begin) > relayTimeout/2 {
				t.Errorf("after %s: %v", time.Since(begin), err)
			}
		})
	}
}

func TestRelayUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	var temporary *TemporaryError
	if err := send(&Relay{Address: l.Addr().String(), Security: Plain}); !errors.As(err, &temporary) || temporary.Stage != "connect" {
		t.Errorf("%T %v", err, err)
	}
	if err := send(&Relay{Address: "no-port", Security: StartTLS}); !errors.As(err, &temporary) {
		t.Errorf("%T %v", err, err)
	}
}

// TestRelayAddresses: what is no address reaches no command.
func TestRelayAddresses(t *testing.T) {
	address, heard := script(t, "220 peer", "250 peer", "250 ok")
	r := &Relay{Address: address, Security: Plain}
	for _, bad := range []string{"", "no-at", "a@b>\r\nRCPT TO:<c@d", "a b@c.example", "a@b.example> SIZE=1", "a@é\u202e.example", "<a@b.example>"} {
		for _, pair := range [][2]string{{bad, "ok@x.example"}, {"ok@x.example", bad}} {
			err := r.Send(context.Background(), pair[0], pair[1], []byte(body))
			var permanent *PermanentError
			if !errors.As(err, &permanent) || permanent.Stage != "address" || permanent.Code != 0 {
				t.Errorf("%q: %T %v", pair, err, err)
			}
		}
	}
	if len(heard) != 0 {
		t.Errorf("the relay heard %q", <-heard)
	}
}
