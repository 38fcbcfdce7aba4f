package smtpd

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// guard is a conn on one end of a pipe, without a server behind it.
func guard(t *testing.T, mode mode) (*conn, net.Conn) {
	t.Helper()
	s := &Server{letter: 1000, limits: Limits{}.withDefaults()}
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	c := newConn(s, near, door{})
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

// However a letter is cut, no Read goes past CRLF.CRLF, and nothing is lost.
func TestReadStopsAtTheEndOfALetter(t *testing.T) {
	text := "a.\r\nb\r\n..\r\nend.\r\n.\r\nMAIL FROM:<x>\r\n"
	end := strings.Index(text, "\r\n.\r\n") + 5
	for size := 1; size <= len(text); size++ {
		for _, window := range []int{1, 2, 3, 7, 4096} {
			c, far := guard(t, letter)
			go func() {
				for p := []byte(text); len(p) > 0; p = p[min(size, len(p)):] {
					far.Write(p[:min(size, len(p))])
				}
				far.Close()
			}()
			got, at := reads(c, window), 0
			for _, g := range got {
				if at < end && at+len(g) > end {
					t.Fatalf("packets of %d, window %d: a read goes past the end: %q", size, window, got)
				}
				at += len(g)
			}
			if strings.Join(got, "") != text {
				t.Fatalf("packets of %d, window %d: %q", size, window, got)
			}
		}
	}
}

func TestStrict(t *testing.T) {
	for text, want := range map[string]bool{
		"a\r\nb\r\n": true, "\r\n\r\n": true, "abc": true, "a\r\n\r\n.": true,
		"a\nb": false, "a\rb": false, "\r\r\n": false, "a\x00": false, "\n": false, "\r\n\n": false, "a\r\n\rb": false,
	} {
		for cut := range len(text) { // the verdict does not hang on the cut
			prev, ok := byte(0), true
			for _, p := range [][]byte{[]byte(text[:cut]), []byte(text[cut:])} {
				if len(p) > 0 {
					ok = ok && strict(prev, p)
					prev = p[len(p)-1]
				}
			}
			if ok != want {
				t.Errorf("%q cut at %d: %v, want %v", text, cut, ok, want)
			}
		}
	}
}

// FuzzStrict compares strict, whatever the cuts, with the definition.
func FuzzStrict(f *testing.F) {
	f.Add([]byte("a\r\nb\r\n"), uint8(3))
	f.Add([]byte("a\n.\n\r\r\n\x00"), uint8(1))
	f.Fuzz(func(t *testing.T, text []byte, size uint8) {
		want := bytes.IndexByte(text, 0) < 0
		rest := bytes.ReplaceAll(text, []byte("\r\n"), nil)
		want = want && !bytes.Contains(rest, []byte("\n")) && !bytes.Contains(bytes.TrimSuffix(rest, []byte("\r")), []byte("\r"))
		// Taking pairs out may bring a CR and an LF together that were apart.
		for i, b := range text {
			if b == '\n' && (i == 0 || text[i-1] != '\r') || b == '\r' && i+1 < len(text) && text[i+1] != '\n' {
				want = false
			}
		}
		got, prev := true, byte(0)
		for p := text; len(p) > 0; {
			n := min(int(size)+1, len(p))
			got = got && strict(prev, p[:n])
			prev, p = p[n-1], p[n:]
		}
		if got != want {
			t.Errorf("%q by %d: %v, want %v", text, size, got, want)
		}
	})
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

func TestPeerKey(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::/64", "2001:db8::ffff": "2001:db8::/64", "": "",
	} {
		if got := peerKey(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := host(&net.TCPAddr{IP: net.ParseIP("::ffff:192.0.2.1"), Port: 9}); got != "192.0.2.1" {
		t.Errorf("mapped address: %q", got)
	}
}
