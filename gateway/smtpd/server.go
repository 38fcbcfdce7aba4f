package smtpd

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/emersion/go-smtp"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/door"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// Config is what New needs. All but Limits is required.
type Config struct {
	Gateway  *gateway.Gateway
	Accounts *account.Accounts
	TLS      *tls.Config
	Domain   string // what the greeting names
	Limits   Limits
	Log      *slog.Logger
}

// Server serves any number of listeners until Shutdown.
type Server struct {
	accounts *account.Accounts
	receive  func(context.Context, rem.Envelope, io.Reader) (string, error)
	newID    func() string
	letter   int64 // octets a letter may have
	tls      *tls.Config
	domain   string
	limits   Limits
	log      *slog.Logger

	hall   *door.Hall
	ctx    context.Context // of every letter; ends when Shutdown loses patience
	engine *smtp.Server
}

// New makes a server; Serve and ServeTLS give it listeners.
func New(c Config) *Server {
	s := &Server{
		accounts: c.Accounts, receive: c.Gateway.Receive, newID: c.Gateway.NewID, letter: c.Gateway.Limits.Letter,
		tls: c.TLS, domain: c.Domain, limits: c.Limits.withDefaults(), log: c.Log,
	}
	return s.init()
}

func (s *Server) init() *Server {
	s.tls = s.tls.Clone()
	s.tls.MinVersion = max(s.tls.MinVersion, tls.VersionTLS12)

	e := smtp.NewServer(smtp.BackendFunc(s.newSession))
	e.Domain = s.domain
	e.MaxMessageBytes = s.letter + 1 // the engine refuses a letter of exactly its limit
	e.MaxLineLength = 0              // the guard's to bound
	e.EnableSMTPUTF8 = true
	e.AllowInsecureAuth = true // the engine cannot see that every connection it gets is TLS
	e.ErrorLog = engineLog{s.log}
	s.engine = e
	s.hall = door.New(door.Config{
		Connections: s.limits.Connections, PerPeer: s.limits.PerPeer, Log: s.log,
		Guest: func(raw net.Conn, d door.Door) door.Guest { return newConn(s, raw, d) },
		Serve: e.Serve, Stop: func() { e.Shutdown(context.Background()) }, // its goroutines, without connections by then
	})
	s.ctx = s.hall.Context()
	return s
}

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	guard, ok := c.Conn().(*conn)
	if !ok || guard.security == "" {
		return nil, say(454, smtp.EnhancedCode{4, 7, 0}, "TLS is not available")
	}
	return &session{srv: s, conn: guard}, nil
}

// ServeTLS serves TLS from the first octet ("submissions", 465) until Shutdown
// closes l, which gives nil; afterwards door.ErrClosed.
func (s *Server) ServeTLS(l net.Listener) error {
	return s.hall.Serve(l, door.Door{Name: "submissions", Implicit: true})
}

// Serve serves STARTTLS ("submission", 587) likewise.
func (s *Server) Serve(l net.Listener) error {
	return s.hall.Serve(l, door.Door{Name: "submission"})
}

// Shutdown stops listening, tells clients between two commands to go (421),
// waits for letters on their way to be answered, and returns nil. When ctx ends
// first, what is left is cut off, letters not yet committed fail: the error of
// ctx.
func (s *Server) Shutdown(ctx context.Context) error { return s.hall.Shutdown(ctx) }

// engineLog takes the engine's own reports: recovered panics and broken
// connections.
type engineLog struct{ log *slog.Logger }

func (l engineLog) Printf(format string, v ...any) {
	l.log.Error("smtp engine", "report", fmt.Sprintf(format, v...))
}
func (l engineLog) Println(v ...any) { l.log.Error("smtp engine", "report", fmt.Sprintln(v...)) }
