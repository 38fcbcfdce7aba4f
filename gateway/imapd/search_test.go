package imapd

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
)

func TestSearch(t *testing.T) {
	r := startRig(t, Limits{})
	koi, err := charmap.KOI8R.NewEncoder().String("Договор подписан")
	if err != nil {
		t.Fatal(err)
	}
	r.put(t, "Drafts", plainMail, `\Seen`, "$Work")                                                                                                                                               // 1
	r.put(t, "Drafts", "From: =?utf-8?q?J=C3=B6rg?= <j@x.test>\r\nSubject: =?koi8-r?b?5M/Hz9fP0g==?=\r\nDate: Tue, 1 Dec 2020 23:30:00 -0500\r\n\r\nx\r\n", `\Flagged`)                           // 2
	r.put(t, "Drafts", "Subject: koi\r\nContent-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\n"+base64.StdEncoding.EncodeToString([]byte(koi))+"\r\n", `\Deleted`) // 3
	r.put(t, "Drafts", "Subject: qp\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<b>STRA=C3=9FE lo=\r\nng</b>\r\n--b\r\n"+
		"Content-Type: message/rfc822\r\n\r\nSubject: innermost\r\n\r\ndeep text\r\n--b\r\nContent-Type: application/pdf; name=offer.pdf\r\n\r\nsecret\r\n--b--\r\n") // 4
	r.put(t, "Drafts", "Subject: long\r\n\r\n"+strings.Repeat("filler ", 9359)+"needle "+strings.Repeat("x", 70000)+"\r\n", `\Answered`, `\Draft`) // 5: "needle" lies across a chunk
	c := r.open(t, "Drafts")
	for key, want := range map[string]string{
		"ALL": "1 2 3 4 5", "2:3": "2 3", "*": "5", "UID 4:*": "4 5", "UID 9:*": "5", "NOT 2:*": "1", "SEEN": "1", "UNSEEN": "2 3 4 5", "KEYWORD $work": "1", "UNKEYWORD $Work": "2 3 4 5",
		"FLAGGED": "2", "DELETED": "3", "ANSWERED DRAFT": "5", "NEW": "", "OLD": "1 2 3 4 5", "RECENT": "",
		"LARGER 1000": "5", "SMALLER 1000": "1 2 3 4", "SINCE 4-May-2026": "1 2 3 4 5", "BEFORE 4-May-2026": "", "ON 4-May-2026": "1 2 3 4 5", "SINCE 5-May-2026": "",
		"SENTON 1-Dec-2020": "2", "SENTSINCE 1-Jan-2026": "1", "SENTBEFORE 2-Dec-2020": "2",
		"FROM anna": "1", "FROM JÖRG": "2", "SUBJECT ДОГОВОР": "2", "TO bob": "1", "CC x": "", "BCC x": "", `HEADER Message-ID ""`: "1", "HEADER Message-ID 1@ONE": "1", "HEADER X-None x": "",
		"BODY подпиСАН": "3", "TEXT подписан": "3", "TEXT договор": "2 3", "BODY anna": "", "TEXT anna": "1", `BODY "straße LONG"`: "4", "BODY straSSe": "", "BODY deep": "4", "BODY innermost": "4",
		"BODY offer.pdf": "4", "BODY secret": "", "BODY needle": "5", "BODY absent": "", `BODY ""`: "1 2 3 4 5", "TEXT subject": "1 2 3 4 5",
		"OR BODY deep BODY needle": "4 5", "NOT BODY deep SUBJECT qp": "", "NOT (BODY deep)": "1 2 3 5", "OR (FLAGGED) (OR SEEN DELETED)": "1 2 3", "TEXT x TEXT deep": "4",
	} {
		got := c.ok("SEARCH CHARSET UTF-8 " + literalText(key))
		if len(got) != 1 || strings.TrimSpace(strings.TrimPrefix(got[0], "* SEARCH")) != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	has(t, c.ok("SEARCH RETURN (MIN MAX COUNT ALL) UNSEEN"), `ALL 2:5 MIN 2 MAX 5 COUNT 4`)
	has(t, c.ok("UID SEARCH RETURN (COUNT) SUBJECT nothing"), `UID COUNT 0`)
	c.ok("SEARCH RETURN (SAVE) OR SEEN DELETED")
	if got := c.ok("FETCH $ UID"); len(got) != 2 || got[1] != "* 3 FETCH (UID 3)\r\n" {
		t.Errorf("%q", got)
	}
	has(t, c.ok("SEARCH $ UNSEEN"), "* SEARCH 3\r\n")
	has(t, c.ok("UID SEARCH UID $"), "* SEARCH 1 3\r\n")
	c.ok("SEARCH RETURN (SAVE MIN) ALL")
	has(t, c.ok("SEARCH $"), "* SEARCH 1\r\n")
	c.no("SEARCH RETURN (SAVE) "+strings.Repeat("TEXT x"+"1 ", 1)+many(40), "NO [LIMIT]")
	has(t, c.ok("SEARCH $"), "* SEARCH\r\n")
	c.no("SEARCH CHARSET KOI8-R ALL", "NO [BADCHARSET]")
	c.no("SEARCH BOGUS", "BAD")
	c.ok("ENABLE IMAP4rev2")
	has(t, c.ok("SEARCH 2"), `* ESEARCH (TAG "`)
	c.ok("SELECT Trash")
	c.ok("UID SEARCH 1:* BODY x")
	c.ok("FETCH 1:* FLAGS")
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "BODY w%d ", i)
	}
	return strings.TrimSpace(b.String())
}

// literalText sends what is not ASCII in literals, as clients do.
func literalText(key string) string {
	words := strings.SplitAfter(key, " ")
	for i, w := range words {
		if text := strings.TrimSpace(w); strings.ContainsFunc(text, func(r rune) bool { return r > '~' }) && !strings.Contains(text, `"`) {
			words[i] = fmt.Sprintf("{%d+}\r\n%s", len(text), text) + w[len(text):]
		}
	}
	return strings.Join(words, "")
}

func TestFoldAndWholeRunes(t *testing.T) {
	for s, want := range map[string]string{"ABCxyz": "abcxyz", "ЁЖ": "ёж", "ΣΑΣς": "σασσ", "\xff\xfe": "\uFFFD\uFFFD", "ÀÉ": "àé"} {
		if got := fold(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
	for s, want := range map[string]int{"": 0, "a": 1, "ж": 2, "a\xd0": 1, "\xe2\x82": 0, "\xff": 1, "aж": 3} {
		if got := wholeRunes([]byte(s)); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

// A client that goes away ends its search.
func TestSearchEndsWithItsClient(t *testing.T) {
	r := startRig(t, Limits{Searches: 1})
	r.put(t, "Drafts", plainMail)
	c := r.open(t, "Drafts")
	r.searching <- struct{}{} // as if another client searched
	c.send("a SEARCH BODY x\r\n")
	c.Conn.Close()
	waitFor(t, "the end of the session", func() bool { return r.hall.Guests() == 0 })
	<-r.searching
	c = r.open(t, "Drafts")
	c.send("a SEARCH BODY body\r\nb NOOP\r\n") // what comes meanwhile is kept
	c.want("* SEARCH 1")
	c.want("a OK")
	c.want("b OK")
}

func TestMatchName(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a/b", true}, {"%", "a/b", false}, {"%/%", "a/b", true}, {"a%", "a", true}, {"a*b*c", "a/b/xc", true}, {"", "", true}, {"", "a", false},
		{"%", "INBOX", true}, {"a/%", "a/", true}, {strings.Repeat("*a", 100), strings.Repeat("a", 120) + "b", false},
	} {
		if got := matchName(c.pattern, c.name); got != c.want {
			t.Errorf("%q %q: %v", c.pattern, c.name, got)
		}
	}
	m := matcher("", []string{"inbox", "InBox/x"})
	if !m("INBOX") || !m("INBOX/x") || m("inbox") {
		t.Error("INBOX has no case")
	}
}
