package message

import (
	"errors"
	"net/mail"
	"reflect"
	"strings"
	"testing"
)

func TestValidAddress(t *testing.T) {
	label := strings.Repeat("a", 63)
	for _, s := range []string{"a@b.test", "a.b+c@demo.test", "o'neil!#$%&*/=?^_`{|}~-@x", "A@B-C.D1", "a@xn--e1afmkfd.xn--p1ai", label + "x@" + label + ".test", "a@1.test"} {
		if !ValidAddress(s) {
			t.Errorf("%s is refused", s)
		}
	}
	for _, s := range []string{"", "a", "@", "a@", "@b.test", ".a@b.test", "a.@b.test", "a..b@c.test", "a@b@c.test", `"a b"@c.test`, "a b@c.test", "a@[127.0.0.1]",
		"a@127.0.0.1", "a@-b.test", "a@b-.test", "a@b..test", "a@b.test.", "a@b_c.test", "a@b.test\r\nBcc: c@d.test", "a@b.test\x00", "<a@b.test>", "a@b.test ",
		"a,b@c.test", "=?utf-8?q?=0d=0a?=@b.test", label + "xx@b.test", "a@" + label + "x.test", "a@" + strings.Repeat("a.", 126) + "ab"} {
		if ValidAddress(s) {
			t.Errorf("%q is accepted", s)
		}
	}
}

func TestFrom(t *testing.T) {
	a, b := Address{"", "a@demo.test"}, Address{"", "b@demo.test"}
	for _, c := range []struct {
		name, from string
		want       []Address
		fails      bool
	}{
		{"bare", "a@demo.test", []Address{a}, false},
		{"named", "Anna B. Clark <a@demo.test>", []Address{{"Anna B. Clark", "a@demo.test"}}, false},
		{"quoted name", `"b@demo.test, \"Anna\"" <a@demo.test>`, []Address{{`b@demo.test, "Anna"`, "a@demo.test"}}, false},
		{"encoded name", "=?koi8-r?B?4c7OwQ==?= <a@demo.test>", []Address{{"Анна", "a@demo.test"}}, false},
		{"name beyond ASCII", "Анна <a@demo.test>", []Address{{"Анна", "a@demo.test"}}, false},
		{"comments", "(one) a@demo.test (two, three)", []Address{a}, false},
		{"named and a comment", "Anna (x) <a@demo.test> (y)", []Address{{"Anna", "a@demo.test"}}, false},
		{"two", "a@demo.test, b@demo.test", []Address{a, b}, false},
		{"two by comma in quotes", `"x,y" <a@demo.test>,b@demo.test`, []Address{{"x,y", "a@demo.test"}, b}, false},
		{"empty elements", ", a@demo.test,, ", []Address{a}, false},
		{"nothing", "", nil, false},
		{"group", "g: a@demo.test;", nil, true},
		{"empty group", "g:;", nil, true},
		{"source route", "<@x.test,@y.test:a@demo.test>", nil, true},
		{"two in brackets", "<a@demo.test, b@demo.test>", nil, true},
		{"two bracketed", "<a@demo.test><b@demo.test>", nil, true},
		{"address as a name", "a@demo.test <b@demo.test>", nil, true},
		{"comma in a name", "Clark, Anna <a@demo.test>", nil, true},
		{"quoted local part", `"a b"@demo.test`, nil, true},
		{"comment in an address", "a(x)@demo.test", nil, true},
		{"comment in brackets", "<a@demo.test(x)>", nil, true},
		{"comment left open", "a@demo.test (x", nil, true},
		{"quotes left open", `"Anna <a@demo.test>`, nil, true},
		{"bracket left open", "Anna <a@demo.test", nil, true},
		{"text after brackets", "<a@demo.test> x", nil, true},
		{"NUL in the name", "a\x00 <a@demo.test>", nil, true},
		{"address literal", "a@[127.0.0.1]", nil, true},
		{"no address", "Anna", nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := parse(t, []byte("From: "+c.from+"\r\n\r\nx\r\n"))
			if l.FromFields != 1 || !reflect.DeepEqual(l.From, c.want) || (l.FromError != nil) != c.fails {
				t.Errorf("%d fields: %+v, error %v; want %+v", l.FromFields, l.From, l.FromError, c.want)
			}
			if c.fails && !errors.Is(l.FromError, ErrMalformed) {
				t.Errorf("error %v", l.FromError)
			}
		})
	}
}

func TestEveryFromCounts(t *testing.T) {
	l := parse(t, crlf("From: a@demo.test\nFROM: a@demo.test\nfrom : b@demo.test, c@demo.test\n\nx\n"))
	if l.FromFields != 3 || len(l.From) != 4 {
		t.Errorf("%d fields, %v", l.FromFields, l.From)
	}
}

func TestToIsReadAsFarAsPossible(t *testing.T) {
	l := parse(t, crlf("To: Friends: Anna <a@demo.test>, b@demo.test; , junk, <@r.test:x@demo.test>, c@demo.test\nCc: undisclosed-recipients:;\n\nx\n"))
	want := []Address{{"Anna", "a@demo.test"}, {"", "b@demo.test"}, {"", "c@demo.test"}}
	if !reflect.DeepEqual(l.To, want) || l.Cc != nil {
		t.Errorf("To %+v, Cc %+v", l.To, l.Cc)
	}
}

func TestMessageIDAndDate(t *testing.T) {
	for _, c := range []struct{ header, id, date string }{
		{"Message-ID: <x.1@demo.test>\nDate: Wed, 4 Mar 2026 08:06:07 +0300 (MSK)\n", "<x.1@demo.test>", "2026-03-04T05:06:07Z"},
		{"Message-ID:\n <x@demo.test>\nDate: 4 Mar 2026 05:06:07 GMT\n", "<x@demo.test>", "2026-03-04T05:06:07Z"},
		{"Message-ID: x@demo.test\nDate: yesterday\n", "", "0001-01-01T00:00:00Z"},
		{"Message-ID: <a@b> <c@d>\n", "", "0001-01-01T00:00:00Z"},
		{"Message-ID: <é@b>\n", "", "0001-01-01T00:00:00Z"},
	} {
		l := parse(t, crlf(c.header+"\nx\n"))
		if l.MessageID != c.id || l.Date.Format("2006-01-02T15:04:05Z07:00") != c.date {
			t.Errorf("%q: %q, %v", c.header, l.MessageID, l.Date)
		}
	}
}

// FuzzAddress: a valid address reads back from a header field as itself, and
// what we take for a list of mailboxes the standard library does too.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"a@demo.test", "Anna <a@demo.test>", `"x, y" <a@demo.test>, b@demo.test`, "g:a@b.test;", "<@a:b@c.test>", "a@[1.2.3.4]", "(c) a@b.test (d)", "=?utf-8?q?a?= <a@b.test>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		room := 1000
		if ValidAddress(s) {
			list, err := parseMailboxes("x <"+s+">", &room)
			if err != nil || len(list) != 1 || list[0].Mailbox != s {
				t.Fatalf("%q reads back as %v, %v", s, list, err)
			}
			if p, err := mail.ParseAddress(s); err != nil || p.Address != s {
				t.Fatalf("%q for the library: %v, %v", s, p, err)
			}
		}
		list, err := parseMailboxes(s, &room)
		if err != nil || len(list) == 0 {
			return
		}
		specs := make([]string, len(list))
		for i, a := range list {
			if !ValidAddress(a.Mailbox) || strings.ContainsAny(a.Name, "\r\n\x00") {
				t.Fatalf("%q gives %+v", s, a)
			}
			specs[i] = a.Mailbox
		}
		oracle, err := mail.ParseAddressList(s)
		if err != nil {
			return // unknown charsets, folding and comments that the library does not read
		}
		for i, a := range oracle {
			if i >= len(specs) || a.Address != specs[i] || len(oracle) != len(specs) {
				t.Fatalf("%q gives %q; the library %v", s, specs, oracle)
			}
		}
	})
}
