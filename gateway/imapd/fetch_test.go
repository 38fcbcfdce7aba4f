package imapd

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/message"
)

// strange are letters that break other servers.
func strange() map[string]string {
	nested := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
		}
		return b.String()
	}
	return map[string]string{
		"plain":           plainMail,
		"junk header":     "From anna Mon May\r\nnothing\r\n: empty\r\nSubject: x\r\n\r\nbody\r\n",
		"no header":       "\r\nbody only\r\n",
		"no blank line":   "Subject: x\r\nTo: y@z.test",
		"empty multipart": "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n",
		"no boundary":     "Content-Type: multipart/alternative\r\n\r\nx\r\n",
		"10,000 parts":    "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 10000) + "--b--\r\n",
		"10,000 nested":   nested(10000),
		"1,000 mails":     strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 1000) + "\r\nx\r\n",
		"8-bit names": "From: \"J\xf6rg \\\"x\\\"\" <j\xf6rg@\xfc.test>\r\nSubject: \xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82\r\n" +
			"Content-Type: text/plain; name=\"\xff\xfe.txt\"\r\nContent-Disposition: attachment; filename=\"\xd1\x84.txt\"\r\n\r\n\xff\x00\xfe\r\n",
		"bare line ends": "Subject: a\nTo: b@c.test\n\nbody\rmore\n",
		"group":          "To: friends: a@b.test, \"c d\"@e.test;, undisclosed:;\r\n\r\n",
		"long words":     "Subject: " + strings.Repeat("x", 5000) + "\r\n\r\n",
		"digest":         "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: in\r\n\r\none\r\n--b--\r\n",
	}
}

// balanced reads an IMAP list and is false when it is none.
func balanced(s string) bool {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return false
			}
		case '"':
			for i++; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
		case '{':
			var n int
			end := strings.Index(s[i:], "}\r\n")
			if _, err := fmt.Sscanf(s[i:], "{%d}", &n); err != nil || end < 0 {
				return false
			}
			i += end + 2 + n
		}
	}
	return depth == 0
}

func TestStrangeLettersAreFetchedExactly(t *testing.T) {
	r := startRig(t, Limits{})
	c := r.open(t, "Drafts")
	for name, mail := range strange() {
		t.Run(name, func(t *testing.T) {
			c.t = t
			if got := c.append("Drafts", mail); !strings.HasPrefix(got, "OK") {
				t.Fatal(got)
			}
			began := time.Now()
			whole := c.ok("FETCH * BODY.PEEK[]")
			if len(whole) == 2 { // EXISTS is told first
				whole = whole[1:]
			}
			has(t, whole, fmt.Sprintf("BODY[] {%d}\r\n%s)\r\n", len(mail), mail))
			got := c.ok("FETCH * (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE)")
			if len(got) != 1 || !balanced(got[0]) || !strings.Contains(got[0], " BODYSTRUCTURE (") || !strings.Contains(got[0], " BODY (") {
				t.Errorf("%.900q", got)
			}
			has(t, got, fmt.Sprintf("RFC822.SIZE %d ", len(mail)))
			header, body := c.section("BODY.PEEK[HEADER]"), c.section("BODY.PEEK[TEXT]")
			if header+body != mail {
				t.Errorf("header %.100q and text %.100q are not the letter", header, body)
			}
			c.ok("FETCH * (BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[1.1.HEADER] BODY.PEEK[9999.4294967295] BODY.PEEK[HEADER.FIELDS (Subject)])")
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// section fetches one section of the last message.
func (c *client) section(name string) string {
	c.t.Helper()
	got := c.ok("FETCH * " + name)
	if len(got) != 1 {
		c.t.Fatalf("%s: %.300q", name, got)
	}
	_, text, ok := strings.Cut(got[0], "}\r\n")
	if !ok {
		c.t.Fatalf("%s: %.300q", name, got)
	}
	return strings.TrimSuffix(text, ")\r\n")
}

func TestFetchItems(t *testing.T) {
	r := startRig(t, Limits{})
	mail := "From: \"A \\\"q\\\" B\" <a@b.test>\r\nTo: x: c@d.test, e@f.test;\r\nSubject: =?utf-8?b?0Lg=?=\r\nDate: Mon, 4 May 2026 03:02:01 +0000\r\nMessage-ID: <1@b.test>\r\nIn-Reply-To: <0@b.test>\r\n" +
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=D0=B8 =\r\ny\r\n--b\r\n" +
		"Content-Type: message/rfc822\r\nContent-Language: en, ru\r\n\r\nSubject: in\r\n\r\nin\r\n--b--\r\n"
	r.put(t, "Drafts", mail)
	c := r.open(t, "Drafts")
	for command, want := range map[string]string{
		"FETCH 1 ENVELOPE": `* 1 FETCH (ENVELOPE ("Mon, 4 May 2026 03:02:01 +0000" "=?utf-8?b?0Lg=?=" (("A \"q\" B" NIL "a" "b.test")) (("A \"q\" B" NIL "a" "b.test")) (("A \"q\" B" NIL "a" "b.test")) ` +
			`((NIL NIL "x" NIL)(NIL NIL "c" "d.test")(NIL NIL "e" "f.test")(NIL NIL NIL NIL)) NIL NIL "<0@b.test>" "<1@b.test>"))`,
		"FETCH 1 BODY": `* 1 FETCH (BODY (("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" 11 1)("message" "rfc822" NIL NIL NIL "7bit" 17 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" NIL NIL NIL "7bit" 2 0) 2) "mixed"))`,
		"FETCH 1 BODYSTRUCTURE": `* 1 FETCH (BODYSTRUCTURE (("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" 11 1 NIL NIL NIL NIL)("message" "rfc822" NIL NIL NIL "7bit" 17 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) ` +
			`("text" "plain" NIL NIL NIL "7bit" 2 0 NIL NIL NIL NIL) 2 NIL NIL ("en" "ru") NIL) "mixed" ("boundary" "b") NIL NIL NIL))`,
		"FETCH 1 FAST":          `* 1 FETCH (FLAGS () INTERNALDATE " 4-May-2026 03:02:01 +0000" RFC822.SIZE ` + fmt.Sprint(len(mail)) + `)`,
		"FETCH 1 RFC822.HEADER": "* 1 FETCH (RFC822.HEADER {",
		"FETCH 1 (RFC822.PEEK)": "* 1 FETCH (RFC822.PEEK {",
		"FETCH 1 BODY.PEEK[2.HEADER.FIELDS (SUBJECT x)]<3.4>":                                  "* 1 FETCH (BODY[2.HEADER.FIELDS (\"SUBJECT\" \"x\")]<3> {4}\r\nject)",
		"FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (from to subject date content-type in-reply-to)]": "* 1 FETCH (BODY[HEADER.FIELDS.NOT (\"from\" \"to\" \"subject\" \"date\" \"content-type\" \"in-reply-to\")] {26}\r\nMessage-ID: <1@b.test>\r\n\r\n)",
		"FETCH 1 BODY.PEEK[1]<4.100>":                                                          "* 1 FETCH (BODY[1]<4> {7}\r\nB8 =\r\ny)",
		"FETCH 1 BODY.PEEK[1]<5.9223372036854775807>":                                          "* 1 FETCH (BODY[1]<5> {6}\r\n",
		"FETCH 1 BODY.PEEK[]<9223372036854775807.9223372036854775807>":                         "* 1 FETCH (BODY[]<9223372036854775807> {0}\r\n)",
		"FETCH 1 BODY.PEEK[7]":                                                                 "* 1 FETCH (BODY[7] NIL)",
		"FETCH 1 BODY.PEEK[2.1]":                                                               "* 1 FETCH (BODY[2.1] {2}\r\nin)",
		"FETCH 1 BINARY.PEEK[1]":                                                               "* 1 FETCH (BINARY[1] ~{4}\r\nи y)",
		"FETCH 1 BINARY.PEEK[1]<2.9>":                                                          "* 1 FETCH (BINARY[1]<2> ~{2}\r\n y)",
		"FETCH 1 BINARY.SIZE[1]":                                                               "* 1 FETCH (BINARY.SIZE[1] 4)",
		"FETCH 1 (UID RFC822.SIZE)":                                                            "* 1 FETCH (UID 1 RFC822.SIZE ",
		"UID FETCH 1 FLAGS":                                                                    "* 1 FETCH (UID 1 FLAGS ())",
	} {
		got := c.ok(command)
		if len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%s:\n%q\n%q", command, got, want)
		}
	}
	c.no("FETCH 1 BODY.PEEK[]<5.9223372036854775808>", "BAD")
	c.no("FETCH 1 BODY.PEEK[0]x", "BAD")
	c.ok("NOOP")
}

// bigLetter is a letter with one large part.
func bigLetter(octets int) string {
	line := strings.Repeat("0123456789abcdef", 4) + "0123456789\r\n"
	return "Subject: big\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsmall\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n" +
		strings.Repeat(line, octets/len(line)) + "\r\n--b--\r\n"
}

func TestBigPartInPieces(t *testing.T) {
	r := startRig(t, Limits{})
	c := r.open(t, "Drafts")
	mail := bigLetter(25 << 20)
	if got := c.append("Drafts", mail); !strings.HasPrefix(got, "OK") {
		t.Fatal(got)
	}
	c.ok("NOOP")
	o, err := message.OutlineOf(strings.NewReader(mail), int64(len(mail)))
	if err != nil {
		t.Fatal(err)
	}
	part := o.Entities[2].Body
	began := time.Now()
	var got strings.Builder
	for off := 0; int64(off) < part.Length; off += 64 << 10 {
		got.WriteString(c.section(fmt.Sprintf("BODY.PEEK[2]<%d.%d>", off, 64<<10)))
	}
	if got.String() != mail[part.Offset:part.End()] {
		t.Error("the pieces are not the part")
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("25 MB in pieces took %v", took)
	}
}

func TestHugeHeader(t *testing.T) {
	r := startRig(t, Limits{})
	c := r.open(t, "Drafts")
	c.raw.SetDeadline(time.Now().Add(3 * patience))
	const size = 100 << 20
	head := "Subject: huge\r\n" + strings.Repeat("X-Junk: "+strings.Repeat("y", 90)+"\r\n", size/100) + "To: a@b.test\r\n\r\n"
	if got := c.append("Drafts", head+"body\r\n"); !strings.HasPrefix(got, "OK") {
		t.Fatal(got)
	}
	c.ok("NOOP")
	if got := c.section("BODY.PEEK[HEADER.FIELDS (Subject TO)]"); got != "Subject: huge\r\nTo: a@b.test\r\n\r\n" {
		t.Errorf("%q", got)
	}
	if got := c.section(fmt.Sprintf("BODY.PEEK[HEADER]<%d.1000>", len(head)-10)); got != head[len(head)-10:] {
		t.Errorf("%q", got)
	}
	if got := c.section("BODY.PEEK[TEXT]"); got != "body\r\n" {
		t.Errorf("%q", got)
	}
	has(t, c.ok("FETCH * ENVELOPE"), `"huge"`)
	if got := c.section("BODY.PEEK[HEADER]"); got != head {
		t.Error("the header is another")
	}
}

// Pieces of any size and place are those of the letter.
func TestPartialsOfEverySection(t *testing.T) {
	r := startRig(t, Limits{})
	mail := strange()["digest"]
	r.put(t, "Drafts", mail)
	c := r.open(t, "Drafts")
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, section := range []string{"", "HEADER", "TEXT", "1", "1.MIME", "1.HEADER", "1.TEXT", "1.1", "HEADER.FIELDS (Content-Type)", "HEADER.FIELDS.NOT (X)"} {
		whole := c.section("BODY.PEEK[" + section + "]")
		for range 20 {
			from, n := rnd.IntN(len(whole)+3), rnd.IntN(len(whole)+3)
			got := c.section(fmt.Sprintf("BODY.PEEK[%s]<%d.%d>", section, from, n))
			if want := whole[min(from, len(whole)):min(from+n, len(whole))]; got != want {
				t.Errorf("%s<%d.%d>: %q, want %q", section, from, n, got, want)
			}
		}
	}
}
