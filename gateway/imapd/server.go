package imapd

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/door"
	"cryptogramm.ru/cryptogramm/store"
)

// Config is what New needs. All but Limits and Now is required.
type Config struct {
	Gateway  *gateway.Gateway
	Accounts *account.Accounts
	DB       *store.DB // read only: changes go through Gateway
	TLS      *tls.Config
	Limits   Limits
	Now      func() time.Time // nil: time.Now
	Log      *slog.Logger
}

// Server serves any number of listeners until Shutdown.
type Server struct {
	Config
	hall      *door.Hall
	ctx       context.Context // of every command; ends when Shutdown loses patience
	engine    *imapserver.Server
	searching chan struct{} // a token for each search that reads bodies
	buffers   sync.Pool     // of *[]byte, output of connections that have some
}

// New makes a server; Serve and ServeTLS give it listeners.
func New(c Config) *Server {
	s := &Server{Config: c}
	s.Limits = c.Limits.withDefaults()
	if s.Now == nil {
		s.Now = time.Now
	}
	s.TLS = c.TLS.Clone()
	s.TLS.MinVersion = max(s.TLS.MinVersion, tls.VersionTLS12)
	s.searching = make(chan struct{}, s.Limits.Searches)
	s.buffers.New = func() any { b := make([]byte, 0, outputBuffer+outputBuffer/4); return &b }
	s.engine = imapserver.New(&imapserver.Options{
		NewSession: s.newSession,
		Caps:       capabilities(),
		Logger:     engineLog{s.Log},
		// Every connection that it gets is TLS, which the engine cannot see.
		InsecureAuth: true,
	})
	s.hall = door.New(door.Config{
		Connections: s.Limits.Connections, PerPeer: s.Limits.PerPeer, Log: s.Log,
		Guest: func(raw net.Conn, d door.Door) door.Guest { return newConn(s, raw, d) },
		Serve: s.engine.Serve, Stop: func() { s.engine.Close() },
	})
	s.ctx = s.hall.Context()
	return s
}

// capabilities are those the engine leaves to us (RFC 9051 §6.1.1). SASL-IR,
// IDLE, UNSELECT, ENABLE and LITERAL- it adds; LITERAL+ would let a client send
// 100 MiB unasked.
func capabilities() imap.CapSet {
	set := imap.CapSet{}
	for _, c := range []imap.Cap{
		imap.CapIMAP4rev1, imap.CapIMAP4rev2, imap.CapNamespace, imap.CapUIDPlus, imap.CapESearch, imap.CapSearchRes,
		imap.CapListExtended, imap.CapListStatus, imap.CapMove, imap.CapStatusSize, imap.CapChildren, imap.CapSpecialUse,
	} {
		set[c] = struct{}{}
	}
	return set
}

func (s *Server) newSession(c *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
	guard, ok := c.NetConn().(*conn)
	if !ok || !guard.secure {
		return nil, nil, &imap.Error{Type: imap.StatusResponseTypeBye, Code: imap.ResponseCodePrivacyRequired, Text: "TLS is not available"}
	}
	return &session{srv: s, conn: guard, engine: c, began: s.Now()}, nil, nil
}

// ServeTLS serves TLS from the first octet ("imaps", 993) until Shutdown
// closes l, which gives nil; afterwards door.ErrClosed.
func (s *Server) ServeTLS(l net.Listener) error {
	return s.hall.Serve(l, door.Door{Name: "imaps", Implicit: true})
}

// Serve serves STARTTLS ("imap", 143) likewise.
func (s *Server) Serve(l net.Listener) error { return s.hall.Serve(l, door.Door{Name: "imap"}) }

// Shutdown stops listening, says BYE to clients between two commands, waits for
// commands on their way, and returns nil. When ctx ends first, what is left is
// cut off, commands not yet committed fail: the error of ctx.
func (s *Server) Shutdown(ctx context.Context) error { return s.hall.Shutdown(ctx) }

// engineLog takes the engine's own reports: recovered panics, and what clients
// write that is no IMAP. The errors of sessions never get here, see reply.go.
type engineLog struct{ log *slog.Logger }

// Printf is part of imapserver.Logger.
func (l engineLog) Printf(format string, v ...any) {
	if strings.HasPrefix(format, "panic") {
		l.log.Error("imap engine", "report", fmt.Sprintf(format, v...))
		return
	}
	l.log.Debug("imap engine", "report", fmt.Sprintf(format, v...))
}
