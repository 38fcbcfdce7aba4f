package imapd

import (
	"context"
	"net"

	"cryptogramm.ru/cryptogramm/gateway/door"
)

// servePlain is a door without TLS, which only measurements have.
func (s *Server) servePlain(l net.Listener) error {
	defer context.AfterFunc(s.ctx, func() { l.Close() })()
	plain := door.Door{Name: "imap"}
	for {
		raw, err := l.Accept()
		if err != nil {
			return nil
		}
		c := newConn(s, raw, plain)
		c.secure = true
		s.hall.Adopt(c, plain)
	}
}
