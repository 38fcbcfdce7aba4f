package notify

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// turns serves connections one after another, each by its own lines as script
// does, and tells how many there were. "drop" ends a connection after the line
// before it, unasked.
func turns(t *testing.T, connections ...[]string) (r *Relay, count func() int, heard <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	n := 0
	ch := make(chan string, 100)
	t.Cleanup(func() { l.Close() })
	go func() {
		for _, lines := range connections {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			n++
			mu.Unlock()
			answer(conn, lines, ch)
		}
	}()
	r = &Relay{Address: l.Addr().String(), Security: Plain, Timeout: 10 * time.Second}
	return r, func() int { mu.Lock(); defer mu.Unlock(); return n }, ch
}

func answer(conn net.Conn, lines []string, heard chan<- string) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for i, line := range lines {
		if line == "drop" {
			return
		}
		if i > 0 {
			heard <- readCommand(reader)
		}
		if _, err := io.WriteString(conn, line+"\r\n"); err != nil {
			return
		}
	}
	heard <- readCommand(reader)
}

func hello(more ...string) []string { return append([]string{"220 peer", "250 peer"}, more...) }

func mailTaken(more ...string) []string {
	return append([]string{"250 ok", "250 ok", "354 go", "250 taken"}, more...)
}

// TestRelayReuse: mails share a connection, and what breaks between them costs
// no mail and doubles none.
func TestRelayReuse(t *testing.T) {
	for _, c := range []struct {
		name        string
		connections [][]string
		want        []string // outcome of each mail: "", "temporary", "permanent"
		connected   int
		bodies      int
	}{
		{"three mails on one", [][]string{hello(mailTaken(mailTaken(mailTaken()...)...)...)}, []string{"", "", ""}, 1, 3},
		{"closed while idle", [][]string{hello(mailTaken("drop")...), hello(mailTaken()...)}, []string{"", ""}, 2, 2},
		{"421 on the next mail", [][]string{hello(mailTaken("421 too many mails", "drop")...), hello(mailTaken()...)}, []string{"", ""}, 2, 2},
		{"dropped at RCPT of the next", [][]string{hello(mailTaken("250 ok", "drop")...), hello(mailTaken()...)}, []string{"", ""}, 2, 2},
		{"dropped before the last reply", [][]string{hello(mailTaken("250 ok", "250 ok", "354 go", "drop")...), hello(mailTaken()...)}, []string{"", "temporary"}, 1, 1},
		{"the second connection fails too", [][]string{hello(mailTaken("drop")...), {"220 peer", "drop"}}, []string{"", "temporary"}, 2, 1},
		{"refused, then another", [][]string{hello(append([]string{"250 ok", "550 no such box", "250 reset", "250 peer"}, mailTaken()...)...)}, []string{"permanent", ""}, 1, 1},
		{"refused, then the reset is too", [][]string{hello("250 ok", "550 no such box", "502 no reset"), hello(mailTaken()...)}, []string{"permanent", ""}, 2, 1},
		{"refused, then the reset is not heard", [][]string{hello("250 ok", "550 no such box", "drop"), hello(mailTaken()...)}, []string{"permanent", ""}, 2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, count, heard := turns(t, c.connections...)
			for i, want := range c.want {
				if got := outcome(send(r)); got != want {
					t.Errorf("mail %d: %q, want %q", i+1, got, want)
				}
			}
			r.Close()
			bodies := 0
			for len(heard) > 0 {
				if <-heard == "body" {
					bodies++
				}
			}
			if count() != c.connected || bodies != c.bodies {
				t.Errorf("%d connections, %d bodies; want %d and %d", count(), bodies, c.connected, c.bodies)
			}
		})
	}
}

func outcome(err error) string {
	var permanent *PermanentError
	var temporary *TemporaryError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &permanent):
		return "permanent"
	case errors.As(err, &temporary):
		return "temporary"
	}
	return err.Error()
}

// TestRelayReuseTLS: login and encryption come once a connection, and many at
// a time get one each.
func TestRelayReuseTLS(t *testing.T) {
	config, roots := identity(t)
	p := &peer{mechs: []string{"PLAIN"}}
	r := &Relay{Address: p.start(t, config, false), Security: StartTLS, Roots: roots, Login: "gate", Password: "secret"}
	for range 3 {
		if err := send(r); err != nil {
			t.Fatal(err)
		}
	}
	p.refuse = map[string]error{"RCPT": &smtp.SMTPError{Code: 550, Message: "no"}}
	if got := outcome(send(r)); got != "permanent" {
		t.Error(got)
	}
	p.refuse = nil
	if err := send(r); err != nil {
		t.Error(err)
	}
	var wg sync.WaitGroup
	for range 2 * idleMost {
		wg.Go(func() {
			if err := send(r); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, m := range p.mails() {
		if !strings.HasSuffix(m, "|tls|PLAIN gate") {
			t.Errorf("%q", m)
		}
	}
	if n := len(p.mails()); n != 4+2*idleMost {
		t.Errorf("%d mails", n)
	}
	if n := len(r.idle); n == 0 || n > idleMost {
		t.Errorf("%d connections kept", n)
	}
	r.Close()
	if len(r.idle) != 0 {
		t.Error("connections kept after Close")
	}
	if err := send(r); err != nil {
		t.Error(err)
	}
	r.expire(r.idle[0])
	if len(r.idle) != 0 {
		t.Error("an expired connection is kept")
	}
}

// TestRelayNeeds: a mail that asks for more than the relay offers is not sent.
func TestRelayNeeds(t *testing.T) {
	const ascii = "service@gate.example"
	utf8Header := "From: a@gate.example\r\nReply-To: пётр@demo.test\r\n\r\nx\r\n"
	for _, c := range []struct {
		name, offer, to, mail string
		want                  string // the RCPT command; "" for refused
	}{
		{"address, offered", "SMTPUTF8", "пётр@почта.рф", body, "RCPT TO:<пётр@xn--80a1acny.xn--p1ai>"},
		{"address, not offered", "8BITMIME", "пётр@почта.рф", body, ""},
		{"domain alone needs nothing", "PIPELINING", "anna@почта.рф", body, "RCPT TO:<anna@xn--80a1acny.xn--p1ai>"},
		{"header, offered", "SMTPUTF8", ascii, utf8Header, "RCPT TO:<" + ascii + ">"},
		{"header, not offered", "PIPELINING", ascii, utf8Header, ""},
		{"8-bit text, not offered", "SMTPUTF8", ascii, body + "текст\r\n", ""},
		{"8-bit text, offered", "8BITMIME", ascii, body + "текст\r\n", "RCPT TO:<" + ascii + ">"},
		{"too large", "SIZE 10", ascii, body, ""},
		{"large enough", "SIZE 100000", ascii, body, "RCPT TO:<" + ascii + ">"},
		{"without a limit", "SIZE 0", ascii, body, "RCPT TO:<" + ascii + ">"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _, heard := turns(t, append([]string{"220 peer", "250-peer\r\n250 " + c.offer}, mailTaken()...))
			defer r.Close()
			err := r.Send(context.Background(), ascii, c.to, []byte(c.mail))
			var permanent *PermanentError
			if c.want == "" {
				if !errors.As(err, &permanent) || permanent.Code != 0 || !errors.Is(err, errUnable) {
					t.Errorf("%T %v", err, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			<-heard // EHLO
			mail, rcpt := <-heard, strings.TrimSpace(<-heard)
			if rcpt != c.want || strings.Contains(mail, "SMTPUTF8") != (c.offer == "SMTPUTF8") {
				t.Errorf("%q %q", mail, rcpt)
			}
		})
	}
}

// TestPerDestination: a domain has its places, however its name is written,
// and none of another's.
func TestPerDestination(t *testing.T) {
	hold, began := make(chan struct{}), make(chan struct{}, 10)
	p := &slowPeer{hold: hold, began: began}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(p)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	s := &Sender{Relay: &Relay{Address: l.Addr().String(), Security: Plain}, PerDestination: 2}
	to := func(address string) error {
		return s.Send(context.Background(), "service@gate.example", address, []byte(body), "<1@gate.example>")
	}
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			if err := to(fmt.Sprintf("u%d@slow.example", i)); err != nil {
				t.Error(err)
			}
		})
		<-began
	}
	if err := to("third@SLOW.example"); !errors.Is(err, ErrDestinationBusy) {
		t.Errorf("the third: %v", err)
	}
	wg.Go(func() {
		if err := to("u@quick.example"); err != nil {
			t.Error(err)
		}
	})
	<-began
	close(hold)
	wg.Wait()
	if err := to("third@slow.example"); err != nil || len(s.taken) != 0 {
		t.Errorf("once there is room: %v, %v", err, s.taken)
	}
	s.Relay.Close()
}

// slowPeer takes no mail before it is told to.
type slowPeer struct{ hold, began chan struct{} }

func (p *slowPeer) NewSession(*smtp.Conn) (smtp.Session, error) { return p, nil }
func (p *slowPeer) Mail(string, *smtp.MailOptions) error        { return nil }
func (p *slowPeer) Rcpt(string, *smtp.RcptOptions) error        { p.began <- struct{}{}; <-p.hold; return nil }
func (p *slowPeer) Data(r io.Reader) error                      { _, err := io.Copy(io.Discard, r); return err }
func (p *slowPeer) Reset()                                      {}
func (p *slowPeer) Logout() error                               { return nil }
