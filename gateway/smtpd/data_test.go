package smtpd

import (
	"io"
	"net"
	"strings"
	"testing"
)

// dataGuard is a guard to which a letter comes after 354, in packets of size.
func dataGuard(t *testing.T, text string, size int) *conn {
	t.Helper()
	c, far := guard(t, letter)
	c.srv.letter = 1 << 20
	c.data = dataReader{conn: c, begin: true, end: endOfData}
	go sendCut(far, text, size)
	return c
}

func sendCut(far net.Conn, text string, size int) {
	defer far.Close()
	for p := []byte(text); len(p) > 0; p = p[min(size, len(p)):] {
		if _, err := far.Write(p[:min(size, len(p))]); err != nil {
			return
		}
	}
}

// readWindow reads r by window octets to its end.
func readWindow(r io.Reader, window int) (string, error) {
	var out []byte
	for b := make([]byte, window); ; {
		n, err := r.Read(b)
		out = append(out, b[:n]...)
		if err != nil {
			return string(out), err
		}
	}
}

func TestDataReader(t *testing.T) {
	long := strings.Repeat("x", maxAuthLine)
	for wire, want := range map[string]string{
		".\r\n":                           "",
		"a\r\n.\r\n":                      "a\r\n",
		"..\r\n.\r\n":                     ".\r\n",
		"a.\r\n.b\r\n..c\r\n...\r\n.\r\n": "a.\r\nb\r\n.c\r\n..\r\n",
		"\r\n\r\n.\r\n":                   "\r\n\r\n",
		// No end, and no dot dropped that would hide the octet that is wrong.
		"a\n.\nb\r\n.\r\n":            "a\n.\nb\r\n",
		"a\n.\r\nb\r\n.\r\n":          "a\n.\r\nb\r\n",
		"a\r.\rb\r\n.\r\n":            "a\r.\rb\r\n",
		"a\r\n.\rb\r\n.\r\n":          "a\r\n\rb\r\n",
		"a\r\n.\nb\r\n.\r\n":          "a\r\n\nb\r\n",
		"a\r\n.\r\r\nb\r\n.\r\n":      "a\r\n\r\r\nb\r\n",
		"a\x00\r\n.\r\n":              "a\x00\r\n",
		long + "\r\n.\r\n":            long + "\r\n",
		long[1:] + "\r\n.\r\n":        long[1:] + "\r\n", // CR and LF in two buffers
		long[1:] + "\n.\r\n\r\n.\r\n": long[1:] + "\n.\r\n\r\n",
		"." + long + ".\r\n.\r\n":     long + ".\r\n",
		long + ".\r\n.\r\n":           long + ".\r\n",
	} {
		for _, size := range []int{1, 2, 3, 7, 5000} {
			for _, window := range []int{1, 2, 5, 4096, 32 << 10} {
				c := dataGuard(t, wire+"MAIL FROM:<x>\r\n", size)
				got, err := readWindow(&c.data, window)
				if got != want || err != io.EOF {
					t.Fatalf("%.40q by %d, window %d: %.40q, %v, want %.40q", wire, size, window, got, err, want)
				}
				checkAfterData(t, c)
			}
		}
	}
}

// checkAfterData: the engine finds an empty letter, and the next line after its
// answer is the client's next command.
func checkAfterData(t *testing.T, c *conn) {
	t.Helper()
	b := make([]byte, len(endOfData))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != endOfData {
		t.Fatalf("the engine reads %q, %v", b, err)
	}
	c.mode = command
	if got := strings.Join(reads(c, 4096), ""); got != "MAIL FROM:<x>\r\n" {
		t.Fatalf("after the letter: %q", got)
	}
}

// What Data leaves of a letter is no command.
func TestDataLeftUnread(t *testing.T) {
	c := dataGuard(t, "a\r\nRSET\r\n..\r\nb\r\n.\r\nMAIL FROM:<x>\r\n", 5)
	if _, err := io.ReadFull(&c.data, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	checkAfterData(t, c)
}

func TestDataWithoutAnEnd(t *testing.T) {
	for _, wire := range []string{"", "a", "a\r\n", "a\r\n.", "a\r\n.\r", "a\n.\n", "a\r\n.\n", "a\r.\r", "\n.\r\n"} {
		c := dataGuard(t, wire, 2)
		for range 2 { // errors stay
			if _, err := io.Copy(io.Discard, &c.data); err == nil || err == io.EOF {
				t.Errorf("%q: %v", wire, err)
			}
		}
		if _, err := c.Read(make([]byte, 9)); err == nil {
			t.Errorf("%q: the engine goes on", wire)
		}
	}
}

func TestDataWithoutBound(t *testing.T) {
	c, far := guard(t, letter)
	c.data = dataReader{conn: c, begin: true, end: endOfData}
	text := strings.Repeat("x\r\n", 200<<10)
	go sendCut(far, text, 4096)
	n, err := io.Copy(io.Discard, &c.data)
	if most := 2*c.srv.letter + letterLine; err == nil || n > most || n < most-maxAuthLine {
		t.Errorf("%d octets, %v; want at most %d", n, err, most)
	}
}

// FuzzDataReader compares with the definition: the letter is what stands before
// the first CRLF.CRLF, without the first of the dots that begin its lines.
func FuzzDataReader(f *testing.F) {
	for _, s := range []string{"a\r\n.b\r\n..\r\n", "a\n.\n\r\r\n\x00", "a\r\n.\r\nRSET\r\n", ".\r\r\n.", strings.Repeat("y", maxAuthLine) + "\r\n.."} {
		f.Add([]byte(s), uint16(3), uint16(5))
	}
	f.Fuzz(func(t *testing.T, text []byte, size, window uint16) {
		wire := "\r\n" + string(text) + "\r\n.\r\n"
		before, _, _ := strings.Cut(wire, "\r\n.\r\n")
		want := strings.TrimPrefix(strings.ReplaceAll(before+"\r\n", "\r\n.", "\r\n"), "\r\n")
		c := dataGuard(t, wire[2:], int(size)+1)
		got, err := readWindow(&c.data, int(window)+1)
		if got != want || err != io.EOF {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
		if most := int64(len(before) + 3); c.data.size != most {
			t.Errorf("%q: %d octets read, want %d", text, c.data.size, most)
		}
	})
}
