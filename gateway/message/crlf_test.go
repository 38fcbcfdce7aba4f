package message

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"
)

func TestStrictCRLF(t *testing.T) {
	longest := strings.Repeat("x", MaxLine)
	for _, c := range []struct {
		name, text string
		max        int64
		passed     string
		want       error
	}{
		{"empty", "", 0, "", nil},
		{"plain", "a\r\n\r\nb\r\n", 99, "a\r\n\r\nb\r\n", nil},
		{"no line end at the end", "a\r\nb", 99, "a\r\nb", nil},
		{"beyond ASCII", "\xff\xc3\xa9\x01\t\r\n", 99, "\xff\xc3\xa9\x01\t\r\n", nil},
		{"bare LF", "ab\nc", 99, "ab", ErrBareLineEnd},
		{"LF first", "\nc", 99, "", ErrBareLineEnd},
		{"LF after CRLF", "a\r\n\nc", 99, "a\r\n", ErrBareLineEnd},
		{"bare CR", "ab\rc\r\n", 99, "ab\r", ErrBareLineEnd},
		{"CR CR LF", "ab\r\r\n", 99, "ab\r", ErrBareLineEnd},
		{"CR at the end", "ab\r", 99, "ab\r", ErrBareLineEnd},
		{"NUL", "ab\x00\r\n", 99, "ab", ErrBareLineEnd},
		{"NUL after CR", "ab\r\x00", 99, "ab\r", ErrBareLineEnd},
		{"exactly as large as allowed", "abc\r\n", 5, "abc\r\n", nil},
		{"one octet too large", "abc\r\nd", 5, "abc\r\n", ErrTooLarge},
		{"too large between CR and LF", "abc\r\n", 4, "abc\r", ErrTooLarge},
		{"bare LF before too large", "a\nbcdef", 3, "a", ErrBareLineEnd},
		{"too large before bare LF", "abc\n", 3, "abc", ErrTooLarge},
		{"nothing allowed", "a", 0, "", ErrTooLarge},
		{"longest line", longest + "\r\n" + longest, math.MaxInt64, longest + "\r\n" + longest, nil},
		{"line too long", "a\r\n" + longest + "x\r\n", math.MaxInt64, "a\r\n" + longest, ErrLineTooLong},
		{"longest line and bare LF", longest + "\n", math.MaxInt64, longest, ErrBareLineEnd},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, split := range splits() {
				got, err := io.ReadAll(StrictCRLF(split(strings.NewReader(c.text)), c.max))
				if string(got) != c.passed || !errors.Is(err, c.want) {
					t.Errorf("%s: %d octets, error %v; want %d, %v", name, len(got), err, len(c.passed), c.want)
				}
			}
		})
	}
}

func splits() map[string]func(io.Reader) io.Reader {
	return map[string]func(io.Reader) io.Reader{
		"whole":        func(r io.Reader) io.Reader { return r },
		"octets":       iotest.OneByteReader,
		"halves":       iotest.HalfReader,
		"data and EOF": iotest.DataErrReader,
	}
}

func TestStrictCRLFPassesErrors(t *testing.T) {
	r := StrictCRLF(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("abc"))), 99)
	got, err := io.ReadAll(r)
	if string(got) != "a" || !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("%q, %v", got, err)
	}
	if n, err := r.Read(make([]byte, 8)); n != 0 || !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("the error did not stay: %d, %v", n, err)
	}
}

// slowStrict is the rule, an octet at a time.
func slowStrict(text []byte, max int) (passed int, err error) {
	line, cr := 0, false
	for i, c := range text {
		switch {
		case i >= max:
			return i, ErrTooLarge
		case c == 0, cr != (c == '\n'):
			return i, ErrBareLineEnd
		case c == '\r':
			cr = true
			continue
		case c == '\n':
			cr, line = false, 0
			continue
		}
		if line++; line > MaxLine {
			return i, ErrLineTooLong
		}
	}
	if cr {
		return len(text), ErrBareLineEnd
	}
	return len(text), nil
}

func FuzzStrictCRLF(f *testing.F) {
	for _, s := range []string{"", "a\r\nb\r\n", "a\nb", "a\rb", "\r\r\n", "a\x00", "abc\r\n.\r\n", "\r\n\r\n\r"} {
		f.Add([]byte(s), uint16(100), uint8(3))
		f.Add([]byte(s), uint16(3), uint8(1))
	}
	f.Fuzz(func(t *testing.T, text []byte, max uint16, split uint8) {
		n, want := slowStrict(text, int(max))
		for _, chunk := range []int{int(split)%7 + 1, 1 << 16} {
			r := StrictCRLF(&chunks{text, chunk}, int64(max))
			got, err := io.ReadAll(r)
			if !errors.Is(err, want) || want == nil && err != nil || !bytes.Equal(got, text[:n]) {
				t.Fatalf("by %d: %q, %v; want %q, %v", chunk, got, err, text[:n], want)
			}
		}
	})
}

// chunks reads n octets at a time.
type chunks struct {
	text []byte
	n    int
}

func (c *chunks) Read(b []byte) (int, error) {
	if len(c.text) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), c.n)], c.text)
	c.text = c.text[n:]
	return n, nil
}

func BenchmarkStrictCRLF(b *testing.B) {
	text := strings.Repeat(strings.Repeat("x", 76)+"\r\n", 1<<14)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := io.Copy(io.Discard, StrictCRLF(strings.NewReader(text), math.MaxInt64)); err != nil {
			b.Fatal(err)
		}
	}
}
