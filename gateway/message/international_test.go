package message

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestCanonicalAddress(t *testing.T) {
	for in, want := range map[string]string{
		"anna@Demo.TEST":                    "anna@Demo.TEST",
		"пётр@demo.test":                    "пётр@demo.test",
		"пе\u0308тр@demo.test":              "пётр@demo.test", // decomposed as some keyboards write it
		"anna@почта.рф":                     "anna@xn--80a1acny.xn--p1ai",
		"anna@ПОЧТА.рф":                     "anna@xn--80a1acny.xn--p1ai",
		"anna@XN--80a1acny.xn--p1ai":        "anna@xn--80a1acny.xn--p1ai",
		"пётр@почта.рф":                     "пётр@xn--80a1acny.xn--p1ai",
		"李雷@例え.テスト":                         "李雷@xn--r8jz45g.xn--zckzah",
		"ก\u0e33@demo.test":                 "ก\u0e33@demo.test", // has a compatibility form, but none in ASCII
		"a@b\u3002test":                     "a@b.test",          // the full stop of Chinese and Japanese keyboards
		"a@straße.test":                     "a@xn--strae-oqa.test",
		strings.Repeat("п", 32) + "@b.test": strings.Repeat("п", 32) + "@b.test",
	} {
		if got, ok := CanonicalAddress(in); !ok || got != want {
			t.Errorf("%q becomes %q, %v; want %q", in, got, ok, want)
		}
	}
	for name, in := range map[string]string{
		"override":                "ann\u202ea@demo.test",
		"no-break space":          "an\u00a0na@demo.test",
		"ideographic space":       "an\u3000na@demo.test",
		"zero width space":        "an\u200bna@demo.test",
		"joiner":                  "an\u200dna@demo.test",
		"soft hyphen":             "an\u00adna@demo.test",
		"variation selector":      "anna\ufe0f@demo.test",
		"filler":                  "an\u3164na@demo.test",
		"invisible letter":        "an\u115fna@demo.test",
		"C1 control":              "an\u0085na@demo.test",
		"private":                 "an\ue000na@demo.test",
		"unassigned":              "an\u0378na@demo.test",
		"replacement":             "an\ufffdna@demo.test",
		"no UTF-8":                "an\xffna@demo.test",
		"wide at":                 "anna\uff20evil.test@demo.test",
		"wide letter":             "\uff41nna@demo.test",
		"small at":                "anna\ufe6bx@demo.test",
		"begins with a mark":      "\u0301nna@demo.test",
		"atom begins with a mark": "anna.\u0301@demo.test",
		"tag":                     "anna\U000e0041@demo.test",
		"long in octets":          strings.Repeat("п", 33) + "@b.test",
		"very long":               strings.Repeat("п", 2000) + "@b.test",
		"soft hyphen in domain":   "anna@de\u00admo.test",
		"override in domain":      "anna@de\u202emo.test",
		"label is no punycode":    "anna@xn--\u00e9.test",
		"broken A-label":          "anna@xn--zzzzzzzzzz999999.test",
		"A-label of plain ASCII":  "anna@xn--demo-.test",
		"A-label not normalized":  "anna@xn--zn7c.com",
		"two domains":             "anna@почта.рф@demo.test",
		"mixed directions":        "anna@0\u05d0a.test",
		"slash from a mapping":    "anna@a\u2100b.test",
		"at from a mapping":       "anna@a\uff20b.test",
	} {
		if got, ok := CanonicalAddress(in); ok || got != in {
			t.Errorf("%s: %q becomes %q, %v", name, in, got, ok)
		}
	}
}

// TestInternationalHeaders: raw UTF-8 in a header (RFC 6532), and written by us.
func TestInternationalHeaders(t *testing.T) {
	l := parse(t, []byte("From: Пётр <пе\u0308тр@почта.рф>\r\nSubject: Договор\r\n\r\nx\r\n"))
	want := Address{"Пётр", "пётр@xn--80a1acny.xn--p1ai"}
	if len(l.From) != 1 || l.From[0] != want || l.FromError != nil {
		t.Errorf("%+v %v", l.From, l.FromError)
	}
	mail, err := Compose(Mail{
		From: Address{"Служба", "service@demo.test"}, ReplyTo: Address{Mailbox: "анна@почта.рф"},
		To: []Address{want}, Subject: "x", MessageID: "<1@demo.test>", Date: testDate(), Text: "x",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Reply-To: анна@xn--80a1acny.xn--p1ai\r\n", "To: =?utf-8?b?0J/RkdGC0YA=?= <пётр@xn--80a1acny.xn--p1ai>\r\n", "From: =?utf-8?b?"} {
		if !strings.Contains(string(mail), line) {
			t.Errorf("no %q in\n%s", line, mail)
		}
	}
	if again := parse(t, mail); len(again.To) != 1 || again.To[0] != want {
		t.Errorf("read back as %+v", again.To)
	}
}

// FuzzCanonicalAddress: the kept form is its own kept form, within its bounds,
// and holds nothing that a header, a command or a reader could take otherwise.
func FuzzCanonicalAddress(f *testing.F) {
	for _, s := range []string{"anna@demo.test", "пётр@почта.рф", "a@xn--80a1acny.xn--p1ai", "\u0301@b", "a@b\u3002c", "ﬁ@b.test", "a@\u200c.test", "=?utf-8?q?=0d?=@b.test", "\u1100\u1161@b.test"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, ok := CanonicalAddress(s)
		if !ok {
			if a != s {
				t.Errorf("%q is changed to %q without being one", s, a)
			}
			return
		}
		again, ok := CanonicalAddress(a)
		local, domain, _ := strings.Cut(a, "@")
		if !ok || again != a || len(a) > maxAddress || !utf8.ValidString(a) || !isASCII(domain) || !norm.NFC.IsNormalString(a) {
			t.Errorf("%q becomes %q, then %q %v", s, a, again, ok)
		}
		if strings.ContainsAny(a, " \t\r\n\x00<>,;:\"()[]\\") || SafeDisplay(a) != a || strings.Count(norm.NFKC.String(local), "@") > 0 {
			t.Errorf("%q is kept as %q", s, a)
		}
	})
}
