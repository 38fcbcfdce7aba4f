package smtpd

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/gateway/door"
)

// guard is a conn on one end of a pipe, without a server behind it.
func guard(t *testing.T, mode mode) (*conn, net.Conn) {
	t.Helper()
	s := &Server{letter: 1000, limits: Limits{}.withDefaults()}
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	c := newConn(s, near, door.Door{})
	c.mode = mode
	return c, far
}

// reads are what single Reads of n octets give until the end.
func reads(c io.Reader, n int) (out []string) {
	b := make([]byte, n)
	for {
		k, err := c.Read(b)
		if err != nil {
			return out
		}
		out = append(out, string(b[:k]))
	}
}

func TestReadStopsAtCommandLines(t *testing.T) {
	c, far := guard(t, command)
	go func() { far.Write([]byte("NOOP\r\nMAIL FROM:<a@b.test>\r\nRSET\r\nhalf")); far.Close() }()
	got := reads(c, 4096)
	want := []string{"NOOP\r\n", "MAIL FROM:<a@b.test>\r\n", "RSET\r\n"} // half a line is no line
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestReadOfASmallBuffer(t *testing.T) {
	c, far := guard(t, command)
	go func() { far.Write([]byte("NOOP\r\nRSET\r\n")); far.Close() }()
	if got := strings.Join(reads(c, 1), ""); got != "NOOP\r\nRSET\r\n" {
		t.Errorf("%q", got)
	}
}

func TestReadStopsAtChunks(t *testing.T) {
	c, far := guard(t, command)
	c.open = true // no Data to wait for
	go func() { far.Write([]byte("BDAT 8\r\nab\ncd\r\n.NOOP\r\n")); far.Close() }()
	got := reads(c, 5)
	want := []string{"BDAT ", "8\r\n", "ab\ncd", "\r\n.", "NOOP\r", "\n"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// What the engine repeats of the client's words cannot leave the line.
func TestRepliesAreText(t *testing.T) {
	c, far := guard(t, command)
	go func() {
		c.Write([]byte("500 5.5.2 \x1b[2J\x00\xff" + strings.Repeat("y", 600) + "\r\n"))
		c.Write([]byte("250-part"))
		c.Write([]byte("ial\r\n250 2.0.0 end\r\n"))
		c.flush()
		far.Close()
	}()
	got, _ := io.ReadAll(far)
	want := "500 5.5.2 ?[2J??" + strings.Repeat("y", maxReplyLine-16) + "\r\n250-partial\r\n250 2.0.0 end\r\n"
	if string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}
