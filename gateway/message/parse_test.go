package message

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

func parse(t testing.TB, text []byte) *Letter {
	t.Helper()
	l, err := Parse(bytes.NewReader(text), int64(len(text)), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// crlf makes wire text of a Go string.
func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

// golden lists the letters of a set; a set of none is an error.
func golden(t testing.TB, set string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", set, "*.eml"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no letters in %s (%v)", set, err)
	}
	return names
}

// describe writes what Parse found, with the octets that the spans cut out.
func describe(letter *Letter, text []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ambiguity: %s\n", letter.Ambiguity())
	cut := func(s Span) []byte { return text[s.Offset:s.End()] }
	letter.Root.Walk(func(p *Part) bool {
		fmt.Fprintf(&b, "\npart %q %s %s\n", p.Path, p.MediaType, p.Encoding)
		fmt.Fprintf(&b, "  entity %d+%d header %d+%d\n", p.Entity.Offset, p.Entity.Length, p.HeaderRange.Offset, p.HeaderRange.Length)
		if p.Multipart() {
			fmt.Fprintf(&b, "  prologue %q epilogue %q unterminated %t\n", cut(p.Prologue), cut(p.Epilogue), p.Unterminated)
		} else {
			fmt.Fprintf(&b, "  body %q\n", cut(p.Body))
		}
		for _, a := range p.Ambiguous {
			fmt.Fprintf(&b, "  ambiguous: %s\n", a)
		}
		return true
	})
	return b.String()
}

func TestStructure(t *testing.T) {
	for _, name := range golden(t, "structure") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text := readFile(t, name)
			letter := parse(t, text)
			checkStructure(t, letter, text)
			got := describe(letter, text)
			wantFile := strings.TrimSuffix(name, ".eml") + ".want"
			if *update {
				if err := os.WriteFile(wantFile, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := string(readFile(t, wantFile)); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	nested := func(depth int) string {
		var b strings.Builder
		for i := range depth {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		}
		return b.String() + "\nx\n"
	}
	parts := func(n int) string {
		return "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", n) + "--b--\n"
	}
	parameters := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, ";\n p%d=v", i)
		}
		return "Content-Type: text/plain" + b.String() + "\n\nx\n"
	}
	addresses := func(n int) string {
		return "From: a@demo.test\nTo: " + strings.Repeat("b@demo.test,\n ", n-2) + "c@demo.test\n\nx\n"
	}
	header := func(n int) string {
		line := "X: " + strings.Repeat("x", 95) + "\n" // 100 octets
		return strings.Repeat(line, n/100) + "\nx\n"
	}
	small := Limits{Depth: 50, Parts: 20, HeaderBytes: 20000, Parameters: 10, Addresses: 10}
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"depth within", nested(19), nil},
		{"parts within", parts(19), nil},
		{"parts over", parts(20), ErrLimit},
		{"depth over", nested(20), ErrLimit},
		{"parameters within", parameters(10), nil},
		{"parameters over", parameters(11), ErrLimit},
		{"addresses within", addresses(10), nil},
		{"addresses over", addresses(11), ErrLimit},
		{"header within", header(20000), nil},
		{"header over", header(20100), ErrLimit},
		{"empty", "", ErrMalformed},
		{"no boundary", "Content-Type: multipart/mixed\n\n--b\n", ErrMalformed},
		{"empty boundary", "Content-Type: multipart/mixed; boundary=\"\"\n\n--\n", ErrMalformed},
		{"boundary beyond ASCII", "Content-Type: multipart/mixed; boundary=\"é\"\n\nx\n", ErrMalformed},
		{"boundary ends in a blank", "Content-Type: multipart/mixed; boundary=\"b \"\n\nx\n", ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			limits := small
			if c.name == "depth over" {
				limits.Parts, limits.Depth = 1000, 19
			}
			text := crlf(c.text)
			_, err := Parse(bytes.NewReader(text), int64(len(text)), limits)
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
}

func TestParsePassesReadErrors(t *testing.T) {
	broken := errors.New("disk gone")
	if _, err := Parse(failingReaderAt{broken}, 100, DefaultLimits()); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if _, err := Parse(strings.NewReader("Subject: x\r\n"), 100, DefaultLimits()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a letter shorter than said: %v", err)
	}
}

type failingReaderAt struct{ err error }

func (f failingReaderAt) ReadAt([]byte, int64) (int, error) { return 0, f.err }

// A line end may be split by the scanner's buffer, and a line may be longer
// than it; the cut before the delimiter is exact all the same.
func TestCutsAroundLongLines(t *testing.T) {
	head := string(crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n"))
	for _, n := range []int{scanBuffer - len(head) - 2, scanBuffer - 2, scanBuffer - 1, scanBuffer, scanBuffer + 1, 3*scanBuffer - 1} {
		for _, eol := range []string{"\r\n", "\n"} {
			for extra := range 4 {
				body := strings.Repeat("x", n+extra)
				text := []byte(head + body + eol + "--b--" + eol)
				l := parse(t, text)
				checkStructure(t, l, text)
				got, err := io.ReadAll(l.Raw(l.Root.Parts[0].Body))
				if err != nil || string(got) != body {
					t.Errorf("%d octets and %q: %d octets, error %v", n+extra, eol, len(got), err)
				}
				if l.Root.Unterminated || l.BareLineEnd != (eol == "\n") {
					t.Errorf("%d octets and %q: unterminated %t, bare %t", n+extra, eol, l.Root.Unterminated, l.BareLineEnd)
				}
			}
		}
	}
}

func TestBareCRAtBufferEnd(t *testing.T) {
	for _, c := range []struct {
		after string
		bare  bool
	}{{"\n", false}, {"x\r\n", true}, {"", true}} {
		text := "\r\n" + strings.Repeat("x", scanBuffer-3) + "\r" + c.after
		if l := parse(t, []byte(text)); l.BareLineEnd != c.bare {
			t.Errorf("CR and %q at the buffer's end: bare %t", c.after, l.BareLineEnd)
		}
	}
}

// repeated is a letter that is never in memory: a head, then one line over and
// over.
type repeated struct {
	head, line string
	size       int64
}

func (r repeated) ReadAt(b []byte, off int64) (int, error) {
	for i := range b {
		at := off + int64(i)
		switch {
		case at >= r.size:
			return i, io.EOF
		case at < int64(len(r.head)):
			b[i] = r.head[at]
		default:
			b[i] = r.line[(at-int64(len(r.head)))%int64(len(r.line))]
		}
	}
	return len(b), nil
}

// hostile nests multiparts as deep as allowed; every line of the body then
// begins like all of their boundaries.
func hostile(size int64, line string) repeated {
	var b strings.Builder
	for i := range DefaultLimits().Depth {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=\"%s%02d\"\r\n\r\n--%[1]s%02[2]d\r\n", strings.Repeat("a", 60), i)
	}
	return repeated{head: b.String() + "\r\n", line: line, size: size}
}

// What Parse allocates depends on the structure alone, and each octet is read
// once however deep the nesting.
func TestMemoryIsThatOfTheStructure(t *testing.T) {
	const size = 16 << 20
	for _, line := range []string{strings.Repeat("x", 76) + "\r\n", "--" + strings.Repeat("a", 60) + "99\r\n", "x"} {
		r := &countingReaderAt{ReaderAt: hostile(size, line)}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		l, err := Parse(r, size, DefaultLimits())
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		if !l.Root.Unterminated {
			t.Error("the root counts as terminated")
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
			t.Errorf("%d octets allocated for a letter of %d", got, size)
		}
		if r.octets > size+scanBuffer {
			t.Errorf("%d octets read of %d", r.octets, size)
		}
	}
}

type countingReaderAt struct {
	io.ReaderAt
	octets int64
}

func (c *countingReaderAt) ReadAt(b []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(b, off)
	c.octets += int64(n)
	return n, err
}

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct{ name, line string }{
		{"base64", strings.Repeat("x", 76) + "\r\n"},
		{"likeBoundaries", "--" + strings.Repeat("a", 60) + "99\r\n"},
		{"shortHyphens", "--a\r\n"},
		{"nineHyphens", "--aaaaaaaaa\r\n"},
		{"oneLine", "x"},
	} {
		b.Run(c.name, func(b *testing.B) {
			const size = 8 << 20
			text, err := io.ReadAll(io.NewSectionReader(hostile(size, c.line), 0, size))
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(size)
			for b.Loop() {
				if _, err := Parse(bytes.NewReader(text), size, DefaultLimits()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
