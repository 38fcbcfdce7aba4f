package imapd

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
)

// feed is the engine's listener: connections come to it once they are TLS.
type feed struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// push is false when the engine is gone.
func (f *feed) push(c net.Conn) bool {
	select {
	case f.conns <- c:
		return true
	case <-f.done:
		return false
	}
}

// Accept is part of net.Listener.
func (f *feed) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close is part of net.Listener.
func (f *feed) Close() error {
	f.once.Do(func() { close(f.done) })
	return nil
}

// Addr is part of net.Listener.
func (f *feed) Addr() net.Addr { return feedAddr{} }

type feedAddr struct{}

func (feedAddr) Network() string { return "imapd" }
func (feedAddr) String() string  { return "imapd" }

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
