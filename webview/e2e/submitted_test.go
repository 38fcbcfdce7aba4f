package e2e

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestHostileSubmissions sends well signed letters whose outer header is hardly
// one. What is accepted lies in Sent octet by octet; what is not is refused in
// the transaction and leaves nothing there.
func TestHostileSubmissions(t *testing.T) {
	d := running(t)
	p := d.newParty(t, "hostile-sender")
	w := d.mailbox(p).open(t, "Sent")
	from := "From: " + p.Email + "\n"
	id := 0
	identified := func() string {
		id++
		return fmt.Sprintf("Message-ID: <hostile.%d.%d@client.test>\n", os.Getpid(), id)
	}
	inner := mixed("inner", note("Please find the document attached."), file{"\xc4\xcf\xc7\xcf\xd7\xcf\xd2 договор.pdf", []byte("%PDF\n")}.entity())
	signed := smime(inner, sign(t, p, inner))
	deep := note("Please find the document attached.")
	for i := range 40 {
		deep = mixed(fmt.Sprint("deep", i), deep)
	}
	many := [][]byte{note("Please find the documents attached.")}
	for i := range 300 {
		many = append(many, file{fmt.Sprintf("%d.txt", i), []byte("x")}.entity())
	}
	for _, tt := range []struct {
		name     string
		header   string
		entity   []byte
		accepted bool
	}{
		{"bare minimum", from, signed, true},
		{"8-bit header", "Subject: \xc4\xcf\xc7\xcf\xd7\xcf\xd2\nTo: \"\xff\xfe\" <boris@demo.test>\n" + from, signed, true},
		{"broken encoded words", "Subject: =?utf-8?q?=?= =?x?b?!!!?= =?utf-8?b?0L/RgNC40LLQtdGC?=\n" + from, signed, true},
		{"wrong fields", "To: (((((\nCc: <<<@@@>>>, \"open\nDate: never\nReply-To: ;;;\n" + from, signed, true},
		{"two Subjects", "Subject: one\nSubject: another\n" + from, signed, false},
		{"same field often", strings.Repeat("Received: from nowhere\n", 500) + from, signed, true},
		{"long line", "X-Long: " + strings.Repeat("x", 900) + "\n" + from, signed, true},
		{"200 KB of header", strings.Repeat("X-Fold: "+strings.Repeat("f", 60)+"\n\t"+strings.Repeat("g", 60)+"\n", 1500) + from, signed, true},
		{"junk line", "this is no field\n" + from, signed, false},
		{"2 MB of header", strings.Repeat("X-Fold: "+strings.Repeat("f", 900)+"\n", 2200) + from, signed, false},
		{"no From", "Subject: nobody\n", signed, false},
		{"two From in one", "From: " + p.Email + ", boris@demo.test\n", signed, false},
		{"nothing at all", "", nil, false},
		{"40 deep", from, smime(deep, sign(t, p, deep)), true},
		{"300 parts", from, smime(mixed("many", many...), sign(t, p, mixed("many", many...))), true},
		{"10,000 deep", from, bytes.Replace(nested(10000), []byte("Subject: nested\r\n"), nil, 1), false},
		{"empty multipart", from, crlf("Content-Type: multipart/mixed; boundary=x\n\n--x--\n"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.t = t
			before := len(w.search("ALL"))
			letter := append(crlf(tt.header+identified()+"MIME-Version: 1.0\n"), tt.entity...)
			r := d.submit(t, p, letter, "boris@demo.test")
			if accepted := r.code == 250; accepted != tt.accepted || !accepted && r.code/100 != 5 {
				t.Fatalf("%d %s", r.code, r.text)
			}
			w.ok("NOOP")
			uids := w.search("ALL")
			if !tt.accepted {
				if len(uids) != before {
					t.Error("something refused is in Sent")
				}
				return
			}
			if len(uids) != before+1 {
				t.Fatalf("%d new letters in Sent", len(uids)-before)
			}
			w.exactly(uids[len(uids)-1], letter)
		})
	}
	d.fsck(t)
}

// TestHostileReceived hands such a letter over: its recipient has a header of
// ours around the octets that were signed.
func TestHostileReceived(t *testing.T) {
	d := running(t)
	p, q := d.newParty(t, "hostile-from"), d.newParty(t, "hostile-to")
	f := file{"\xc4\xcf\xc7\xcf\xd7\xcf\xd2.pdf", bytes.Repeat([]byte("%PDF\r\x00\n"), 3000)}
	inner := mixed("inner", note("Please find the document attached."), f.entity())
	letter := append(crlf("Subject: =?utf-8?b?0YHRh9GR0YI=?=\xc4\xcf =?x?q?=0D=0AEvil:=20yes?=\nDate: never\nTo: \"\xff\" <"+q.Email+">, (((\nX-Other: kept back\nFrom: \"\xd0\xd1\" <"+p.Email+
		">\nMIME-Version: 1.0\n"), smime(inner, sign(t, p, inner))...)
	notice := d.delivered(t, p, letter, q.Email)[0]
	b := d.browser(t)
	b.login(q)
	b.take(notice.link(t))
	w := d.mailbox(q).open(t, "Received")
	uid := w.await("ALL")
	w.verifies(t, d, uid, p, f)
	raw := w.body(uid, "[]")
	w.exactly(uid, raw)
	if _, body, _ := bytes.Cut(letter, []byte("\r\n\r\n")); !bytes.HasSuffix(raw, body) {
		t.Error("the body is not the one that was submitted")
	}
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	for _, b := range head {
		if b >= 0x80 {
			t.Fatalf("our header has 8-bit octets:\n%q", head)
		}
	}
	if field(raw, "Evil") != "" || field(raw, "X-Other") != "" || !strings.Contains(field(raw, "From"), p.Email) {
		t.Errorf("our header:\n%s", head)
	}
}
