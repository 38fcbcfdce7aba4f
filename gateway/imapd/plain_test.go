package imapd

import "net"

// servePlain is a door without TLS, which only measurements have.
func (s *Server) servePlain(l net.Listener) error {
	for {
		raw, err := l.Accept()
		if err != nil {
			return nil
		}
		c := newConn(s, raw, door{name: "imap"})
		c.secure = true
		s.mu.Lock()
		s.conns[c] = struct{}{}
		s.peers[peerKey(c.peer)]++
		s.working.Add(1)
		s.listeners[l] = struct{}{}
		s.mu.Unlock()
		if !s.feed.push(c) {
			c.Close()
			return nil
		}
	}
}
