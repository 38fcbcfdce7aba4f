package imapd

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store"
)

// signedMail is of the shape that the gateway stores: multipart/signed, 20 KB.
func signedMail() string {
	b64 := strings.Repeat(strings.Repeat("A", 76)+"\r\n", 230)
	return "From: Anna Ivanova <anna@one.test>\r\nTo: bob@far.test\r\nSubject: =?utf-8?b?0JTQvtCz0L7QstC+0YA=?=\r\nDate: Mon, 4 May 2026 03:02:01 +0000\r\nMessage-ID: <1@one.test>\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=b1\r\n\r\n--b1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + b64 +
		"\r\n--b1\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=smime.p7s\r\n\r\n" + b64[:1600] + "\r\n--b1--\r\n"
}

// fill gives a mailbox n letters: some by APPEND, doubled by COPY beside the
// protocol until there are enough.
func (r *rig) fill(b testing.TB, box string, n int) {
	b.Helper()
	ctx := context.Background()
	c := r.logIn(b)
	first := min(n, 250)
	mail := signedMail()
	for range first {
		c.send(fmt.Sprintf("a APPEND %s {%d}\r\n", box, len(mail)))
		c.want("+ ")
		c.send(mail + "\r\n")
		c.want("a OK")
	}
	m, err := r.DB.MailboxByName(ctx, r.user.ID, box)
	if err != nil {
		b.Fatal(err)
	}
	for have := first; have < n; {
		more := min(have, n-have, 5000)
		if _, err := r.DB.CopyMessages(ctx, store.CopyRequest{From: m.ID, To: m.ID, UIDs: []store.UIDRange{{From: 1, To: uint32(more)}}},
			store.Quota{Octets: 1 << 40, Messages: 1 << 30, Mailboxes: 1000}); err != nil {
			b.Fatal(err)
		}
		have += more
	}
	c.ok("LOGOUT")
}

// skim reads responses up to the tagged one without looking at them.
func (c *client) skim(b testing.TB, tag string) (octets int64) {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			b.Fatal(err)
		}
		octets += int64(len(line))
		if n := len(line); n > 4 && line[n-3] == '}' {
			size := 0
			for i, f := n-4, 1; line[i] != '{'; i, f = i-1, f*10 {
				size += int(line[i]-'0') * f
			}
			if _, err := c.in.Discard(size); err != nil {
				b.Fatal(err)
			}
			octets += int64(size)
			continue
		}
		if string(line[:min(len(line), len(tag)+3)]) == tag+" OK" {
			return octets
		}
		if line[0] != '*' && line[0] != ')' {
			b.Fatalf("%q", line)
		}
	}
}

// insecure runs the engine on a plain connection, for the row of the table
// that has no TLS.
func (r *rig) insecure(b testing.TB) *client {
	b.Helper()
	addr := r.listen(b, r.servePlain)
	c := dial(b, addr)
	c.raw.SetDeadline(time.Now().Add(time.Hour))
	c.want("* OK")
	c.ok("LOGIN " + anna + ` "` + secret + `"`)
	return c
}

func BenchmarkFetchBody(b *testing.B) {
	r := startRig(b, Limits{})
	r.fill(b, "Drafts", 1000)
	for name, c := range map[string]*client{"TLS": r.logIn(b), "plain": r.insecure(b)} {
		c.raw.SetDeadline(time.Now().Add(time.Hour))
		c.ok("SELECT Drafts")
		b.Run(name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				io.WriteString(c, "a FETCH 1:1000 BODY.PEEK[]\r\n")
				b.SetBytes(c.skim(b, "a"))
				n += 1000
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "letters/s")
		})
		b.Run(name+" a command each", func(b *testing.B) {
			n := 0
			for b.Loop() {
				fmt.Fprintf(c, "a FETCH %d BODY.PEEK[]\r\n", n%1000+1)
				c.skim(b, "a")
				n++
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "letters/s")
		})
	}
}

func BenchmarkList(b *testing.B) {
	r := startRig(b, Limits{})
	r.fill(b, "Drafts", 10000)
	c := r.insecure(b)
	for b.Loop() {
		io.WriteString(c, "a SELECT Drafts\r\nb FETCH 1:* (FLAGS UID ENVELOPE BODYSTRUCTURE)\r\n")
		c.skim(b, "a")
		c.skim(b, "b")
	}
}

func BenchmarkOpen100000(b *testing.B) {
	r := startRig(b, Limits{})
	r.fill(b, "Drafts", 100000)
	c := r.insecure(b)
	for b.Loop() {
		io.WriteString(c, "a SELECT Drafts\r\n")
		c.skim(b, "a")
	}
}

// TestOpensALargeMailbox: one of 100,000 letters opens within a second, by a
// wide margin, and its last letter is found as fast.
func TestOpensALargeMailbox(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	r := startRig(t, Limits{})
	r.fill(t, "Drafts", n)
	c := r.logIn(t)
	start := time.Now()
	has(t, c.ok("SELECT Drafts"), fmt.Sprintf("* %d EXISTS", n))
	if took := time.Since(start); took > time.Second {
		t.Errorf("opened after %v", took)
	}
	start = time.Now()
	has(t, c.ok("FETCH * (UID FLAGS ENVELOPE)"), fmt.Sprintf("* %d FETCH (UID %d", n, n))
	if took := time.Since(start); took > time.Second {
		t.Errorf("the last letter after %v", took)
	}
}
