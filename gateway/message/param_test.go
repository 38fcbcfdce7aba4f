package message

import (
	"errors"
	"strings"
	"testing"
)

func TestFileName(t *testing.T) {
	for _, c := range []struct{ name, header, want string }{
		{"plain", "Content-Disposition: attachment; filename=a.pdf\n", "a.pdf"},
		{"quoted", "Content-Disposition: attachment; filename=\"a b; c=d.pdf\"\n", "a b; c=d.pdf"},
		{"escaped", `Content-Disposition: attachment; filename="a\"b\\c.pdf"` + "\n", `a"b\c.pdf`},
		{"capitals", "CONTENT-DISPOSITION: ATTACHMENT; FILENAME=A.pdf\n", "A.pdf"},
		{"RFC 2231", "Content-Disposition: attachment;\n filename*=utf-8'ru'%D0%94.pdf\n", "Д.pdf"},
		{"RFC 2231 in KOI8-R", "Content-Disposition: attachment; filename*=koi8-r''%E4.pdf\n", "Д.pdf"},
		{"RFC 2231 in sections", "Content-Disposition: attachment;\n filename*0*=utf-8''%D0;\n filename*1*=%94;\n filename*2=\" %41.pdf\"\n", "Д %41.pdf"},
		{"sections out of order", "Content-Disposition: attachment; filename*1=b; filename*0=a\n", "ab"},
		{"a section missing", "Content-Disposition: attachment; filename*0=a; filename*2=c\n", "a"},
		{"extended before plain", "Content-Disposition: attachment; filename=\"_.pdf\"; filename*=utf-8''%D0%94.pdf\n", "Д.pdf"},
		{"RFC 2047 in quotes", "Content-Disposition: attachment; filename=\"=?koi8-r?B?5M/Hz9fP0g==?=.pdf\"\n", "Договор.pdf"},
		{"RFC 2047 without quotes", "Content-Disposition: attachment; filename==?utf-8?B?0JQ=?=.pdf\n", "Д.pdf"},
		{"RFC 2047 folded", "Content-Disposition: attachment; filename=\"=?utf-8?B?0JQ=?=\n =?utf-8?Q?.pdf?=\"\n", "Д.pdf"},
		{"UTF-8 as it is", "Content-Disposition: attachment; filename=\"Д.pdf\"\n", "Д.pdf"},
		{"blanks without quotes", "Content-Disposition: attachment; filename=a (1) b.pdf \n", "a (1) b.pdf"},
		{"quotes left open", "Content-Disposition: attachment; filename=\"a.pdf\n", "a.pdf"},
		{"of Content-Type", "Content-Type: application/pdf; name=\"a.pdf\"\n", "a.pdf"},
		{"both", "Content-Type: application/pdf; name=\"a.pdf\"\nContent-Disposition: inline; filename=b.pdf\n", "b.pdf"},
		{"two", "Content-Disposition: attachment; filename=a.pdf; filename=b.exe\n", "a.pdf"},
		{"a line end hidden", "Content-Disposition: attachment; filename*=utf-8''a%0D%0Ab%00\n", "a\uFFFD\uFFFDb\uFFFD"},
		{"none", "Content-Disposition: attachment\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := parse(t, crlf(c.header+"\nx\n")).Root
			if p.FileName != c.want {
				t.Errorf("%q, want %q", p.FileName, c.want)
			}
		})
	}
}

// A file name that only some programs find must not pass for none.
func TestHiddenName(t *testing.T) {
	for _, c := range []struct {
		header string
		hidden bool
	}{
		{"Content-Type: text/html\nContent-Disposition: inline; filename*1=a.html\n", true},
		{"Content-Type: text/html\nContent-Disposition: inline; filename a.html\n", true},
		{"Content-Type: text/html\nContent-Disposition: filename=a.html\n", true},
		{"Content-Type: text/html; name*x=a.html\n", true},
		{"Content-Type: text/html; \"name\"=a.html\n", true},
		{"Content-Type: text/html; FileName=a.html\n", true},
		{"Content-Type: text/html\nContent-Disposition: inline; name=a.html\n", true},
		{"Content-Type: text/html; name=a.html\n", false},
		{"Content-Type: text/html; name=\"\"\nContent-Disposition: inline; filename=\"\"\n", false},
		{"Content-Type: text/html; charset=utf-8\nContent-Disposition: inline\n", false},
		{"Subject: name\n", false},
	} {
		if p := parse(t, crlf(c.header+"\nx\n")).Root; p.HiddenName != c.hidden {
			t.Errorf("%q: hidden %t", c.header, p.HiddenName)
		}
	}
}

func TestContentFields(t *testing.T) {
	for _, c := range []struct{ header, mediaType, encoding, disposition, ambiguity string }{
		{"", "text/plain", "7bit", "", ""},
		{"Content-Type: Text/HTML; Charset=UTF-8\nContent-Transfer-Encoding: Base64\nContent-Disposition: Inline\n", "text/html", "base64", "inline", ""},
		{"Content-Type: text/plain; charset=us-ascii (Plain text);\n", "text/plain", "7bit", "", ""},
		{"Content-Type: (a (nested) comment) text/plain\n", "text/plain", "7bit", "", ""},
		{"Content-Type: text\n", "text/plain", "7bit", "", noteType},
		{"Content-Type:\n", "text/plain", "7bit", "", noteType},
		{"Content-Type: text / html\n", "text/plain", "7bit", "", noteType},
		{"Content-Transfer-Encoding: base64 (so)\n", "text/plain", "base64", "", ""},
		{"Content-Transfer-Encoding: base64; x\n", "text/plain", "unreadable", "", noteEncoding},
		{"Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit\n", "text/plain", "base64", "", noteDuplicates + "Content-Transfer-Encoding"},
		{"Content-Disposition: inline\nContent-disposition: attachment\n", "text/plain", "7bit", "inline", noteDuplicates + "Content-Disposition"},
		{"Content-Type: text/html;\n \n charset=utf-8\n", "text/html", "7bit", "", noteBlank},
		{"Content-Type: text/html\n\t \n", "text/html", "7bit", "", noteBlank},
		{"Content-Type:\n text/html\n", "text/html", "7bit", "", ""},
		{"X-Spam:\n \n a\n", "text/plain", "7bit", "", ""},
		{"Subject: a\nSubject: b\n", "text/plain", "7bit", "", noteDuplicates + "Subject"},
		{"From: a@demo.test\nFrom: b@demo.test\n", "text/plain", "7bit", "", ""},
	} {
		l := parse(t, crlf(c.header+"\nx\n"))
		p := l.Root
		if p.MediaType != c.mediaType || p.Encoding != c.encoding || p.Disposition != c.disposition || l.Ambiguity() != c.ambiguity {
			t.Errorf("%q: %q %q %q, ambiguity %q", c.header, p.MediaType, p.Encoding, p.Disposition, l.Ambiguity())
		}
		if p.Range().Encoding != c.encoding {
			t.Errorf("%q: range %+v", c.header, p.Range())
		}
	}
}

func TestHeaderKeepsEverything(t *testing.T) {
	raw := string(crlf("From: a@demo.test\nX-Folded: one\n two\n\tthree\nx-folded:four\nJunk\n\xff: x\nEmpty:\n"))
	h, doubts := splitHeader(raw)
	if len(h) != 4 || len(doubts) != 1 || doubts[0] != noteJunk {
		t.Fatalf("%q, doubts %q", h, doubts)
	}
	if got := h.Get("X-FOLDED"); got != "one two\tthree" {
		t.Errorf("value %q", got)
	}
	if list := h.All("x-folded"); len(list) != 2 || list[0].Raw != "X-Folded: one\r\n two\r\n\tthree\r\n" || list[1].Value() != "four" {
		t.Errorf("fields %q", list)
	}
	if h.Get("Junk") != "" || h.Count("Empty") != 1 {
		t.Errorf("fields %q", h)
	}
}

func TestParameterLimit(t *testing.T) {
	if _, err := parseStructured("a/b"+strings.Repeat("; p*0=x", 3), 2); !errors.Is(err, ErrLimit) {
		t.Errorf("error %v", err)
	}
}
