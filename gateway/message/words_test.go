package message

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestDecodeHeader(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"plain", "Contract 17", "Contract 17"},
		{"UTF-8 as it is", "Договор", "Договор"},
		{"base64", "=?UTF-8?B?0JTQvtCz0L7QstC+0YA=?=", "Договор"},
		{"base64 without padding", "=?utf-8?b?0JTQvtCz0L7QstC+0YA?=", "Договор"},
		{"quoted", "=?utf-8?q?=D0=94_a=5Fb?=", "Д a_b"},
		{"KOI8-R", "=?koi8-r?B?5M/Hz9fP0g==?=", "Договор"},
		{"windows-1251", "=?windows-1251?Q?=C4=EE=E3=EE=E2=EE=F0?=", "Договор"},
		{"label of the wild", "=?cp1251?Q?=C4?=", "Д"},
		{"GB2312", "=?gb2312?B?us/NrA==?=", "合同"},
		{"ISO-2022-JP", "=?iso-2022-jp?B?GyRCN0BMcxsoQg==?=", "契約"},
		{"a language", "=?utf-8*ru?b?0JQ=?=", "Д"},
		{"words next to each other", "=?utf-8?q?a?=  \t=?utf-8?q?b?=", "ab"},
		{"words of two charsets", "=?koi8-r?B?5A==?= =?windows-1251?Q?=C4?=", "ДД"},
		{"a character split", "=?utf-8?b?0A==?= =?utf-8?b?lA==?=", "Д"},
		{"text between", "=?utf-8?q?a?= x =?utf-8?q?b?= ", "a x b "},
		{"text right after", "a=?utf-8?q?b?=c", "abc"},
		{"blanks in a word", "=?utf-8?q?a b?=", "a b"},
		{"no words", "=?, =?utf-8?, =?utf-8?x?a?=, =?utf-8?q?a?b?=", "=?, =?utf-8?, =?utf-8?x?a?=, =?utf-8?q?a?b?="},
		{"bad base64", "=?utf-8?b?*?=", "=?utf-8?b?*?="},
		{"bad escape", "=?utf-8?q?=4?=", "=4"},
		{"an empty word", "a=?utf-8?q??=b", "ab"},
		{"unknown charset", "=?x-none?q?=FFa?=", "\uFFFDa"},
		{"bad UTF-8", "a\xffb", "a\uFFFDb"},
		{"a line end hidden", "=?utf-8?q?a=0D=0ABcc:_x?=", "a\uFFFD\uFFFDBcc: x"},
		{"a NUL hidden", "=?utf-8?q?a=00?=", "a\uFFFD"},
		{"a tab", "a\tb", "a b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := DecodeHeader(c.text); got != c.want {
				t.Errorf("%q gives %q, want %q", c.text, got, c.want)
			}
		})
	}
}

func FuzzDecodeHeader(f *testing.F) {
	for _, s := range []string{"plain", "=?utf-8?b?0JTQvtCz0L7QstC+0YA=?=", "=?koi8-r?q?=C4?= =?koi8-r?q?=C4?=", "=?utf-8?q?=0D=0A?=", "=?=?=?utf-8?q?a?=", "=?iso-2022-jp?b?GyRC?=", "=?utf-16?b?/v8=?="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := DecodeHeader(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
			t.Fatalf("%q gives %q", s, got)
		}
		if len(got) > 4*len(s) {
			t.Fatalf("%d octets of %d", len(got), len(s))
		}
		if !strings.Contains(s, "=?") && got != cleanLine(s) {
			t.Fatalf("%q without words gives %q", s, got)
		}
		if shown := SafeDisplay(got); SafeDisplay(shown) != shown || strings.ContainsFunc(shown, hidden) {
			t.Fatalf("%q is shown as %q", got, shown)
		}
		if text := HeaderText(s); !fits(text) || decodeWords(text) != text {
			t.Fatalf("%q does not fit", text)
		}
	})
}

func TestSafeDisplay(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"Договор №7.pdf", "Договор №7.pdf"},
		{"invoice\u202Efdp.exe", "invoice‹U+202E›fdp.exe"},
		{"a\u2066b\u2069", "a‹U+2066›b‹U+2069›"},
		{"a\r\nb\x00\x7f\u0085", "a‹U+000D›‹U+000A›b‹U+0000›‹U+007F›‹U+0085›"},
		{"zero\u200Bwidth\uFEFF", "zero‹U+200B›width‹U+FEFF›"},
		{"a\u2028b", "a‹U+2028›b"},
		{"tag\U000E0041", "tag‹U+E0041›"},
		{"blank\u3164", "blank‹U+3164›"},
		{"می\u200Cخواهم", "می\u200Cخواهم"},
		{"❤\uFE0F", "❤\uFE0F"},
		{"bad\xff", "bad\uFFFD"},
	} {
		if got := SafeDisplay(c.text); got != c.want {
			t.Errorf("%q is shown as %q, want %q", c.text, got, c.want)
		}
	}
}
