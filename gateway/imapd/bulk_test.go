package imapd

import (
	"fmt"
	"strings"
	"testing"
)

// TestManyFlagsChange: a session hears of changed flags page by page, of each
// message once, whatever their number.
func TestManyFlagsChange(t *testing.T) {
	r := startRig(t, Limits{})
	r.put(t, "Drafts", plainMail)
	c := r.open(t, "Drafts")
	n := 1
	for ; n < 3*page; n *= 2 {
		c.ok("COPY 1:* Drafts")
	}
	quiet := r.open(t, "Drafts")
	c.ok(`STORE 1:* +FLAGS.SILENT (\Flagged one)`)
	c.ok(`STORE 3 +FLAGS.SILENT (\Deleted)`)
	c.ok("EXPUNGE")
	told := quiet.ok("NOOP")
	if len(told) != n {
		t.Fatalf("%d responses, want %d", len(told), n)
	}
	for i, line := range told[:n-1] {
		seq := i + 1
		if seq >= 3 { // the third has gone, which is said last
			seq++
		}
		if want := fmt.Sprintf("* %d FETCH (UID %d FLAGS (\\Flagged one))\r\n", seq, seq); line != want {
			t.Fatalf("%q, want %q", line, want)
		}
	}
	if told[n-1] != "* 3 EXPUNGE\r\n" {
		t.Errorf("%q", told[n-1])
	}
	if more := append(quiet.ok("NOOP"), c.ok("NOOP")...); len(more) > 0 {
		t.Errorf("told again: %.200q", more)
	}
}

// TestFetchOfLongOutlines: pages end early where headers and outlines are long,
// and nothing gets lost between them.
func TestFetchOfLongOutlines(t *testing.T) {
	r := startRig(t, Limits{})
	var b strings.Builder
	b.WriteString("Content-Type: multipart/mixed; boundary=b\r\nX: " + strings.Repeat("x", 100_000) + "\r\n\r\n")
	for range 900 {
		b.WriteString("--b\r\nContent-Description: " + strings.Repeat("d", 250) + "\r\n\r\nx\r\n")
	}
	b.WriteString("--b--\r\n")
	r.put(t, "Drafts", b.String())
	r.put(t, "Drafts", plainMail)
	c := r.open(t, "Drafts")
	for range 4 {
		c.ok("COPY 1:* Drafts")
	}
	for _, items := range []string{"BODYSTRUCTURE", "(UID BODY.PEEK[HEADER])"} {
		if got := c.ok("FETCH 1:* " + items); len(got) != 32 || len(got[30]) < 100_000 || len(got[31]) > 1000 {
			t.Errorf("%s: %d responses", items, len(got))
		}
	}
}

// TestCostlyQuestions: what costs much for each message or name is refused.
func TestCostlyQuestions(t *testing.T) {
	r := startRig(t, Limits{})
	r.put(t, "Drafts", plainMail)
	c := r.open(t, "Drafts")
	for _, key := range []string{"UNSEEN ", "KEYWORD x ", "NOT SEEN ", "OR SEEN UNSEEN ", "HEADER A b ", "UID 1 ", "(UNSEEN) "} {
		c.ok("SEARCH " + strings.TrimSpace(strings.Repeat(key, 20)))
		c.no("SEARCH "+strings.TrimSpace(strings.Repeat(key, 300)), "NO [LIMIT]")
	}
	c.no(`LIST "" `+strings.Repeat("%*", 4000), "NO [LIMIT]")
	c.no(`LIST "" (`+strings.TrimSpace(strings.Repeat("%a ", 4000))+")", "NO [LIMIT]")
	c.no(`LIST `+strings.Repeat("x", 1000)+` (a b c d e)`, "NO [LIMIT]")
	c.ok(`LIST "" (INBOX Dra* %)`)
}
