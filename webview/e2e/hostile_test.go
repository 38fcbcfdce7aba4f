package e2e

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// piece is what clients ask for at once.
const piece = 64 << 10

// inPieces reads a section the way mail programs read big parts.
func (w *wire) inPieces(uid uint32, section string) []byte {
	w.t.Helper()
	var out []byte
	for {
		b := w.body(uid, fmt.Sprintf("%s<%d.%d>", section, len(out), piece))
		out = append(out, b...)
		if len(b) < piece {
			return out
		}
	}
}

// exactly demands that every way of reading a message gives its octets.
func (w *wire) exactly(uid uint32, message []byte) {
	w.t.Helper()
	if got := w.body(uid, "[]"); !bytes.Equal(got, message) {
		w.t.Errorf("BODY[] has %d octets, %d were stored", len(got), len(message))
	}
	if got := append(w.body(uid, "[HEADER]"), w.body(uid, "[TEXT]")...); !bytes.Equal(got, message) {
		w.t.Errorf("header and text have %d octets, %d were stored", len(got), len(message))
	}
	if got := w.inPieces(uid, "[]"); !bytes.Equal(got, message) {
		w.t.Errorf("the pieces have %d octets, %d were stored", len(got), len(message))
	}
	a := w.ok(fmt.Sprintf("UID FETCH %d (RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE INTERNALDATE FLAGS)", uid))
	if len(a.lines) == 0 || !strings.Contains(a.lines[0].text, fmt.Sprintf("RFC822.SIZE %d", len(message))) ||
		!strings.Contains(a.lines[0].text, "ENVELOPE (") || !strings.Contains(a.lines[0].text, "BODYSTRUCTURE (") {
		w.t.Errorf("%d octets: %.500v", len(message), a)
	}
	for _, section := range []string{"[1]", "[1.MIME]", "[2]", "[1.1.1.1.1.1.1]", "[99]", "[1.HEADER]", "[1.TEXT]"} {
		w.body(uid, section)
	}
	w.ok("NOOP")
}

// nested is a letter of n multiparts, each in the one before.
func nested(n int) []byte {
	var open, shut strings.Builder
	for i := range n {
		fmt.Fprintf(&open, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	for i := range n {
		fmt.Fprintf(&shut, "\n--b%d--\n", n-1-i)
	}
	return crlf("Subject: nested\nMIME-Version: 1.0\n" + open.String() + "\ninnermost\n" + shut.String())
}

// forwarded is n letters, each the attachment of the one before.
func forwarded(n int) []byte {
	return crlf(strings.Repeat("Subject: forwarded\nContent-Type: message/rfc822\n\n", n) + "Subject: first\n\nhello\n")
}

// siblings is a letter of n parts.
func siblings(n int) []byte {
	return crlf("Subject: many\nContent-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\nContent-Type: text/plain; name=x\n\nx\n", n) + "--b--\n")
}

// header is a letter whose header has n octets in folded lines.
func header(n int) []byte {
	fold := "X-Fold: " + strings.Repeat("\r\n "+strings.Repeat("f", 996), 100) + "\r\n"
	return append(bytes.Repeat([]byte(fold), n/len(fold)), "Subject: last\r\n\r\nbody\r\n"...)
}

// TestHostileLetters stores letters that are hardly letters, and one that is
// nothing but header, and reads them back.
func TestHostileLetters(t *testing.T) {
	d := running(t)
	w := d.mailbox(d.newParty(t, "hostile")).open(t, "Drafts")
	const depth = 10000
	for _, tt := range []struct {
		name    string
		message []byte
	}{
		{"junk header", crlf("this is no field\n: nothing\nX y: z\n\tfolded\nSubject\n=?utf-8?q?=\nFrom: <<<@@@>>>, \"open\nTo: (((((\nDate: never\nContent-Type: /;;=\"\n\nbody\n")},
		{"no header", crlf("\nbody alone\n")},
		{"no blank line", crlf("Subject: header alone\n")},
		{"no line end", []byte("Subject: x")},
		{"bare line feeds", []byte("Subject: lf\nFrom: a@b.test\n\nline\nline\n")},
		{"bare carriage returns", []byte("Subject: cr\rFrom: a@b.test\r\rline\r")},
		{"no text at all", crlf("\n")},
		{"empty multipart", crlf("Subject: empty\nContent-Type: multipart/mixed; boundary=x\n\n--x--\n")},
		{"multipart without parts", crlf("Content-Type: multipart/mixed; boundary=x\n\nno line is a delimiter\n")},
		{"multipart without boundary", crlf("Content-Type: multipart/mixed\n\n--\n\n----\n")},
		{"multipart that never ends", crlf("Content-Type: multipart/mixed; boundary=x\n\n--x\n\none\n--x\n")},
		{"empty message/rfc822", crlf("Content-Type: message/rfc822\n\n")},
		{"8-bit names", append([]byte("Subject: \xc4\xcf\xc7\xcf\xd7\xcf\xd2\r\nFrom: \xf0\x9f\x98\x80 <a@b.test>\r\nTo: \"\xff\xfe\" <\x80@\x81>\r\n"+
			"Content-Type: application/pdf; name=\"\xc4\xcf\xc7\xcf\xd7\xcf\xd2.pdf\"\r\nContent-Disposition: attachment; filename=договор.pdf\r\n\r\n"), 0x80, 0xff, '\r', '\n')},
		{"quotes and backslashes", crlf("Subject: \"\\\" {5}\nFrom: \"a\\\\\" <a@b.test>\nContent-Type: text/plain; name=\"\\\"{3+}\\\\\"\n\n{100+}\n")},
		{"nested multiparts", nested(depth)},
		{"nested letters", forwarded(depth)},
		{"10,000 parts", siblings(depth)},
		{"parameters", crlf("Content-Type: text/plain" + strings.Repeat("; a=b", depth) + "\n\nx\n")},
		{"addresses", crlf("To: " + strings.Repeat("a@b.test, ", depth) + "c@d.test\n\nx\n")},
		{"one line", append(crlf("Subject: line\n\n"), bytes.Repeat([]byte("x"), 3<<20)...)},
		{"100 MB of header", header(100_000_000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.t = t
			w.exactly(w.stored("Drafts", tt.message), tt.message)
		})
		runtime.GC() // what the client has read, beside a server on the same machine
	}
	w.t = t
	w.ok(`UID SEARCH TEXT "innermost"`)
	w.ok(`UID STORE 1:* +FLAGS.SILENT (\Deleted)`)
	w.ok("EXPUNGE")
	d.fsck(t)
}

// linear demands that twice the size takes about twice the time: four times
// would be quadratic. The quickest runs count; a busy machine gets more of them.
func linear(t *testing.T, what string, n int, took func(n int) time.Duration) {
	t.Helper()
	const rounds, most, noise = 3, 15, 20 * time.Millisecond
	one, two := time.Hour, time.Hour
	straight := func() bool { return two <= 3*one+noise }
	for i := 0; i < rounds || i < most && !straight(); i++ {
		one, two = min(one, took(n)), min(two, took(2*n))
	}
	t.Logf("%s: %v for %d, %v for %d", what, one.Round(time.Millisecond), n, two.Round(time.Millisecond), 2*n)
	if !straight() {
		t.Errorf("%s: twice the size takes %.1f times as long", what, float64(two)/float64(one))
	}
}

// TestLinear stores and reads hostile letters of two sizes.
func TestLinear(t *testing.T) {
	d := running(t)
	w := d.mailbox(d.newParty(t, "linear")).open(t, "Drafts")
	for _, tt := range []struct {
		name   string
		letter func(n int) []byte
		n      int
	}{
		{"nested multiparts", nested, 80_000},
		{"nested letters", forwarded, 200_000},
		{"parts", siblings, 150_000},
		{"header", header, 20_000_000},
	} {
		message := map[int][]byte{tt.n: tt.letter(tt.n), 2 * tt.n: tt.letter(2 * tt.n)}
		uids := map[int]uint32{}
		linear(t, "storing "+tt.name, tt.n, func(n int) time.Duration {
			start := time.Now()
			uids[n] = w.stored("Drafts", message[n])
			return time.Since(start)
		})
		linear(t, "reading "+tt.name, tt.n, func(n int) time.Duration {
			start := time.Now()
			if got := w.inPieces(uids[n], "[]"); !bytes.Equal(got, message[n]) {
				t.Errorf("%s: %d octets of %d", tt.name, len(got), len(message[n]))
			}
			w.ok(fmt.Sprintf("UID FETCH %d (ENVELOPE BODYSTRUCTURE)", uids[n]))
			return time.Since(start)
		})
	}
}

// TestBigPart submits 25 MB in one signed part and fetches it 64 KiB at a time.
func TestBigPart(t *testing.T) {
	d := running(t)
	p := d.newParty(t, "big")
	w := d.mailbox(p).open(t, "Sent")
	const size = 12_500_000
	uids, parts := map[int]uint32{}, map[int][]byte{}
	for _, n := range []int{size, 2 * size} {
		f := file{fmt.Sprintf("договор %d.bin", n), bytes.Repeat([]byte("0123456789abcdef\x00\xff\r\n\n\r--sig\r\n."), n/30)}
		letter := signedLetter(t, p, "guest-big@example.net", f)
		if r := d.submit(t, p, letter, "guest-big@example.net"); r.code != 250 {
			t.Fatalf("%d %s", r.code, r.text)
		}
		uids[n] = w.await("LARGER " + fmt.Sprint(n))
		parts[n] = bytes.TrimSuffix(base64Lines(f.body), []byte("\r\n"))
		if got := w.body(uids[n], "[]"); !bytes.Equal(got, letter) {
			t.Errorf("%d octets of %d", len(got), len(letter))
		}
	}
	linear(t, "a part in pieces", size, func(n int) time.Duration {
		start := time.Now()
		// The line end before the delimiter belongs to the delimiter; our part ends with one of its own.
		if got := w.inPieces(uids[n], "[1.2]"); !bytes.Equal(bytes.TrimSuffix(got, []byte("\r\n")), parts[n]) {
			t.Errorf("part of %d: %d octets, want %d", n, len(got), len(parts[n]))
		}
		return time.Since(start)
	})
}
