package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func outlineOf(t testing.TB, mail string) *Outline {
	t.Helper()
	o, err := OutlineOf(strings.NewReader(mail), int64(len(mail)))
	if err != nil {
		t.Fatal(err)
	}
	if !o.consistent() {
		t.Fatalf("inconsistent: %+v", o)
	}
	return o
}

var nested = string(crlf(`From: Anna <anna@one.test>
To: "Bob, the builder" <bob@far.test>, undisclosed:;
Subject: =?utf-8?q?caf=C3=A9?=
Message-ID: <1@one.test>
Content-Type: multipart/mixed; boundary="out"

prologue
--out
Content-Type: text/plain; charset=koi8-r
Content-Disposition: inline; filename="a;b.txt"

one
two
--out
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/alternative; boundary=in

--in

plain
--in
Content-Type: text/html

<p>
--in--
--out
Content-Type: application/pdf
Content-Transfer-Encoding: base64

AAAA

--out--
epilogue
`))

func TestOutlineOfNestedMail(t *testing.T) {
	o := outlineOf(t, nested)
	var got []string
	for _, e := range o.Entities {
		got = append(got, fmt.Sprintf("%s/%s %d %d", e.Type, e.Subtype, e.Lines, e.After))
	}
	want := []string{"multipart/mixed 29 7", "text/plain 1 2", "message/rfc822 10 6", "multipart/alternative 7 6", "text/plain 0 5", "text/html 0 6", "application/pdf 1 7"}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
	e := o.Entities[0].Envelope
	if e.Subject != "=?utf-8?q?caf=C3=A9?=" || e.MessageID != "<1@one.test>" {
		t.Errorf("envelope %+v", e)
	}
	to := []EnvelopeAddress{{"Bob, the builder", "bob", "far.test"}, {"", "undisclosed", ""}, {}}
	if !reflect.DeepEqual(e.To, to) {
		t.Errorf("To %+v", e.To)
	}
	if p := o.Entities[1].DispParams; len(p) != 1 || p[0] != (Param{"filename", "a;b.txt"}) {
		t.Errorf("disposition %+v", p)
	}
}

func TestOutlineIsTheSameAsParse(t *testing.T) {
	l, err := Parse(strings.NewReader(nested), int64(len(nested)), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	o := outlineOf(t, nested)
	n := 0
	l.Root.Walk(func(p *Part) bool {
		var path []int
		for w := range strings.SplitSeq(p.Path, ".") {
			if w != "" {
				path = append(path, int(w[0]-'0'))
			}
		}
		i, ok := o.Find(path)
		if !ok || o.Entities[i].Body != p.Body || o.Entities[i].Type+"/"+o.Entities[i].Subtype != p.MediaType {
			t.Errorf("part %q: %+v, want %+v", p.Path, o.Entities[i], p)
		}
		n++
		return true
	})
	if n != 4 {
		t.Errorf("%d parts", n)
	}
}

func TestSections(t *testing.T) {
	o := outlineOf(t, nested)
	for _, c := range []struct {
		section Section
		want    string
		absent  bool
	}{
		{Section{}, nested, false},
		{Section{Kind: SectionHeader, Fields: []string{"subject", "X"}}, "Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\n", false},
		{Section{Kind: SectionHeader, Except: []string{"From", "TO", "Content-type"}}, "Subject: =?utf-8?q?caf=C3=A9?=\r\nMessage-ID: <1@one.test>\r\n\r\n", false},
		{Section{Part: []int{1}}, "one\r\ntwo", false},
		{Section{Part: []int{1}, Kind: SectionMIME}, "Content-Type: text/plain; charset=koi8-r\r\nContent-Disposition: inline; filename=\"a;b.txt\"\r\n\r\n", false},
		{Section{Part: []int{1}, Kind: SectionHeader}, "", true},
		{Section{Part: []int{1, 1}}, "", true},
		{Section{Part: []int{2}, Kind: SectionHeader}, "Subject: inner\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n", false},
		{Section{Part: []int{2}, Kind: SectionHeader, Fields: []string{"SUBJECT"}}, "Subject: inner\r\n\r\n", false},
		{Section{Part: []int{2}, Kind: SectionText}, "--in\r\n\r\nplain\r\n--in\r\nContent-Type: text/html\r\n\r\n<p>\r\n--in--", false},
		{Section{Part: []int{2, 1}}, "plain", false},
		{Section{Part: []int{2, 2}}, "<p>", false},
		{Section{Part: []int{2, 3}}, "", true},
		{Section{Part: []int{3}}, "AAAA\r\n", false},
		{Section{Part: []int{4}}, "", true},
		{Section{Part: []int{0}}, "", true},
		{Section{Part: []int{-1}}, "", true},
		{Section{Kind: SectionMIME}, "", true},
	} {
		slice, ok := o.Slice(c.section)
		if ok == c.absent {
			t.Errorf("%+v: found %v", c.section, ok)
			continue
		}
		if !ok {
			continue
		}
		got, err := io.ReadAll(slice.Open(strings.NewReader(nested)))
		if err != nil || string(got) != c.want {
			t.Errorf("%+v: %q %v, want %q", c.section, got, err, c.want)
		}
	}
}

func TestPartOneOfAPlainMailIsItsBody(t *testing.T) {
	mail := "Subject: x\r\n\r\nbody\r\n"
	o := outlineOf(t, mail)
	for _, c := range []struct {
		section Section
		want    string
	}{{Section{Part: []int{1}}, "body\r\n"}, {Section{Part: []int{1}, Kind: SectionMIME}, "Subject: x\r\n\r\n"}, {Section{Kind: SectionText}, "body\r\n"}} {
		s, ok := o.Slice(c.section)
		got, _ := io.ReadAll(s.Open(strings.NewReader(mail)))
		if !ok || string(got) != c.want {
			t.Errorf("%+v: %q %v", c.section, got, ok)
		}
	}
	if _, ok := o.Find([]int{1, 1}); ok {
		t.Error("1.1 found")
	}
}

// junk are mails that are none.
func junk() map[string]string {
	return map[string]string{
		"empty":            "",
		"blank":            "\r\n",
		"no header":        "\r\nbody",
		"no blank line":    "Subject: x",
		"junk line":        "Subject: x\r\nno field\r\nContent-Type: text/html\r\n\r\nb",
		"8-bit":            "Subject: \xff\xfe\r\nFrom: \x00\xe9 <\xe9@\xff>\r\nContent-Type: text/plain; name=\"\xff\"\r\n\r\n\xff",
		"no boundary":      "Content-Type: multipart/mixed\r\n\r\nx",
		"no parts":         "Content-Type: multipart/mixed; boundary=b\r\n\r\nx\r\n--b--\r\n",
		"only delimiters":  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n--b--",
		"mail in a header": "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n--b",
		"open mail":        "Content-Type: message/rfc822\r\n",
		"mail in mail":     strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 200),
		"nested":           deep(200),
		"many":             "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 10000),
		"many open":        deep(10000),
		"groups":           "To: a:b:c:;;:,<,<@x:y@z>,(,\"\r\nFrom: @,@@,<>,<@>,a@b@c\r\n\r\n",
		"parameters":       "Content-Type: text/plain; " + strings.Repeat("a=b;", 1000) + "\r\n\r\n",
		"bare":             "Subject: x\ny\r\rz\n\nbody\n",
	}
}

func deep(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	return b.String()
}

func TestOutlineOfJunk(t *testing.T) {
	for name, mail := range junk() {
		t.Run(name, func(t *testing.T) { checkOutline(t, mail) })
	}
	for name, want := range map[string]string{"no boundary": "text/plain", "no parts": "text/plain", "empty": "text/plain"} {
		o := outlineOf(t, junk()[name])
		if got := o.Entities[0].Type + "/" + o.Entities[0].Subtype; got != want || len(o.Entities) != 1 {
			t.Errorf("%s: %s", name, got)
		}
	}
	if o := outlineOf(t, junk()["many"]); len(o.Entities) != outlineParts {
		t.Errorf("%d entities", len(o.Entities))
	}
	last := outlineOf(t, junk()["mail in mail"]).Entities
	if e := last[len(last)-1]; len(last) != outlineDepth || e.Type != "application" {
		t.Errorf("%d entities, the last %s", len(last), e.Type)
	}
}

// checkOutline holds what holds for every mail.
func checkOutline(t *testing.T, mail string) {
	o := outlineOf(t, mail)
	if o.Entities[0].Header.End() != o.Entities[0].Body.Offset || o.Entities[0].Body.End() != o.Size {
		t.Errorf("the mail is not all of it: %+v of %d", o.Entities[0], o.Size)
	}
	code := o.Encode()
	again, err := DecodeOutline(code)
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	if !reflect.DeepEqual(o, again) {
		t.Fatalf("decode(encode):\n%+v\n%+v", o, again)
	}
	if !bytes.Equal(code, again.Encode()) {
		t.Fatal("encode(decode(encode)) differs")
	}
	header := "Subject: other\r\nFrom: x@y.test\r\n\r\n"
	n := o.WithHeader([]byte(header))
	whole := header + mail[o.HeaderSize():]
	if n.Size != int64(len(whole)) || !n.consistent() || n.Entities[0].Envelope.Subject != "other" {
		t.Fatalf("another header: %+v", n.Entities[0])
	}
	for i := range o.Entities {
		a, b := o.Entities[i].Body, n.Entities[i].Body
		if mail[a.Offset:a.End()] != whole[b.Offset:b.End()] {
			t.Fatalf("entity %d has other octets behind another header", i)
		}
	}
	if s, ok := o.Slice(Section{Kind: SectionHeader, Fields: []string{"from"}}); ok {
		if _, err := io.Copy(io.Discard, s.Open(strings.NewReader(mail))); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzOutline(f *testing.F) {
	f.Add([]byte(nested))
	for _, mail := range junk() {
		if len(mail) < 4096 {
			f.Add([]byte(mail))
		}
	}
	seeds, err := filepath.Glob("testdata/*/*.eml")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds (%v)", err)
	}
	for _, name := range seeds {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, mail []byte) { checkOutline(t, string(mail)) })
}

// FuzzDecodeOutline: whatever decodes is safe to walk, and is what encodes to
// the same octets.
func FuzzDecodeOutline(f *testing.F) {
	f.Add(outlineOf(f, nested).Encode())
	f.Add(outlineOf(f, "").Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := DecodeOutline(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(o.Encode(), b) {
			t.Fatalf("another encoding of %+v", o)
		}
		for i := range o.Entities {
			e := &o.Entities[i]
			if e.Message() && o.Entities[i+1].Envelope == nil || !(Span{0, o.Size}).Contains(e.Body) {
				t.Fatalf("entity %d: %+v", i, e)
			}
		}
		o.Find([]int{1, 1, 2, 1})
	})
}

func TestDecodeOutlineOfNothing(t *testing.T) {
	for _, b := range [][]byte{nil, {}, {2}, {1}, {1, 0, 0}, append(outlineOf(t, nested).Encode(), 0)} {
		if _, err := DecodeOutline(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%v: %v", b, err)
		}
	}
}

func TestOutlineReadError(t *testing.T) {
	if _, err := OutlineOf(strings.NewReader("short"), 100); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// endless is a mail made while it is read.
type endless struct {
	head, line, tail string
	size             int64
	read             int64
}

func (e *endless) ReadAt(b []byte, off int64) (int, error) {
	n := 0
	for n < len(b) && off < e.size {
		switch {
		case off < int64(len(e.head)):
			b[n] = e.head[off]
		case off >= e.size-int64(len(e.tail)):
			b[n] = e.tail[off-(e.size-int64(len(e.tail)))]
		default:
			b[n] = e.line[(off-int64(len(e.head)))%int64(len(e.line))]
		}
		n, off = n+1, off+1
	}
	e.read += int64(n)
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func TestHugeHeader(t *testing.T) {
	for _, line := range []string{"X-Junk: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", "x"} {
		m := &endless{head: "Subject: x\r\nX: ", line: line, tail: "\r\nTo: a@b.test\r\n\r\nbody\r\n", size: 100 << 20}
		began := time.Now()
		o, err := OutlineOf(m, m.size)
		if err != nil {
			t.Fatal(err)
		}
		if o.Entities[0].Body.Length != 6 || o.Entities[0].Envelope.Subject != "x" || m.read != m.size {
			t.Errorf("%+v, %d octets read", o.Entities[0], m.read)
		}
		s, _ := o.Slice(Section{Kind: SectionHeader, Fields: []string{"To", "Subject"}})
		m.read = 0
		got, err := io.ReadAll(s.Open(m))
		if string(got) != "Subject: x\r\nTo: a@b.test\r\n\r\n" || err != nil || m.read > m.size {
			t.Errorf("%q %v, %d octets read", got, err, m.read)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("100 MiB of header took %v", took)
		}
	}
}

func TestOutlineKeepsLittleOfHostileHeaders(t *testing.T) {
	part := "--b\r\nContent-Type: text/plain; " + strings.Repeat("name"+strings.Repeat("x", 200)+"=y;", 90) + "\r\n\r\n"
	o := outlineOf(t, "Content-Type: multipart/mixed; boundary=b\r\n\r\n"+strings.Repeat(part, 900)+"--b--\r\n")
	if n := len(o.Encode()); n > 3*outlineText {
		t.Errorf("%d octets", n)
	}
}

func BenchmarkOutlineOf(b *testing.B) {
	mail := strings.Replace(nested, "AAAA", strings.Repeat(strings.Repeat("A", 76)+"\r\n", 260), 1)
	b.SetBytes(int64(len(mail)))
	for b.Loop() {
		if _, err := OutlineOf(strings.NewReader(mail), int64(len(mail))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeOutline(b *testing.B) {
	code := outlineOf(b, nested).Encode()
	b.ReportMetric(float64(len(code)), "octets")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeOutline(code); err != nil {
			b.Fatal(err)
		}
	}
}
