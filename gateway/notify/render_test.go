package notify

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"cryptogramm.ru/cryptogramm/gateway/message"
)

var (
	mails  = flag.String("mails", "", "directory to write the example mails' pages into")
	update = flag.Bool("update", false, "rewrite the golden files")
)

const link = "https://gate.example/l/AbCdEf0123456789_-AbCdEf0123456789_-AbCdEf012?a=1&b=2"

func sample(lang string) Notice {
	return Notice{
		MessageID: "<ev1@gate.example>", From: message.Address{Mailbox: "service@gate.example"}, To: "chen@optics.example",
		Sender: message.Address{Name: "Иван Петров", Mailbox: "ivan@vektor.example"}, Subject: "Договор поставки № 17",
		Documents: []string{"Договор поставки № 17.pdf", "Annex A (specification).xlsx"}, Link: link, Language: lang,
		Expires: time.Date(2026, 12, 22, 9, 5, 0, 0, time.UTC), Date: time.Date(2026, 11, 22, 9, 5, 0, 0, time.UTC),
	}
}

// opened is a mail as its recipient's program has it.
type opened struct {
	letter     *message.Letter
	text, html string
}

type fataler interface{ Fatalf(string, ...any) }

func open(t fataler, mail []byte) opened {
	l, err := message.Parse(bytes.NewReader(mail), int64(len(mail)), message.DefaultLimits())
	if err != nil {
		t.Fatalf("our own mail does not parse: %v\n%s", err, mail)
	}
	for _, c := range mail {
		if c > '~' || c < ' ' && c != '\r' && c != '\n' && c != '\t' {
			t.Fatalf("octet %#x in a 7-bit mail", c)
		}
	}
	if l.Root.MediaType != "multipart/alternative" || len(l.Root.Parts) != 2 {
		t.Fatalf("%s of %d parts", l.Root.MediaType, len(l.Root.Parts))
	}
	o := opened{letter: l}
	for i, into := range []*string{&o.text, &o.html} {
		b, err := io.ReadAll(l.Open(l.Root.Parts[i].Range()))
		if err != nil {
			t.Fatalf("part %d: %v", i, err)
		}
		*into = strings.ReplaceAll(string(b), "\r\n", "\n")
	}
	return o
}

func render(t fataler, n Notice) opened {
	mail, err := Render(n)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return open(t, mail)
}

// inspect fails on anything a mail program would load or follow but the one
// link, and returns the page's elements and how often a link stands there.
func inspect(t fataler, page string) (tags []string, links []string) {
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return tags, links
		case html.StartTagToken, html.SelfClosingTagToken:
			tok := z.Token()
			tags = append(tags, tok.Data)
			if !strings.Contains(" html head meta title body div p span bdi ul li a ", " "+tok.Data+" ") {
				t.Fatalf("an element <%s>", tok.Data)
			}
			for _, a := range tok.Attr {
				switch {
				case a.Key == "href" && tok.Data == "a":
					links = append(links, a.Val)
				case !strings.Contains(" lang charset name content style rel ", " "+a.Key+" "), strings.Contains(a.Val, "url("):
					t.Fatalf("%s=%q on <%s>", a.Key, a.Val, tok.Data)
				}
			}
		}
	}
}

func TestNotice(t *testing.T) {
	for lang, want := range map[string]struct{ subject, from, language string }{
		"ru": {"Подписанные документы: Договор поставки № 17", "Иван Петров через Cryptogramm", "ru"},
		"en": {"Signed documents: Договор поставки № 17", "Иван Петров via Cryptogramm", "en"},
		"":   {"Подписанные документы / Signed documents: Договор поставки № 17", "Иван Петров via Cryptogramm", "ru, en"},
		"de": {"Подписанные документы / Signed documents: Договор поставки № 17", "Иван Петров via Cryptogramm", "ru, en"},
	} {
		n := sample(lang)
		o := render(t, n)
		l := o.letter
		if l.Subject != want.subject || l.MessageID != n.MessageID || !l.Date.Equal(n.Date) {
			t.Errorf("%q: subject %q, id %s, date %s", lang, l.Subject, l.MessageID, l.Date)
		}
		if !reflect.DeepEqual(l.From, []message.Address{{Name: want.from, Mailbox: "service@gate.example"}}) ||
			!reflect.DeepEqual(l.To, []message.Address{{Mailbox: n.To}}) {
			t.Errorf("%q: from %v to %v", lang, l.From, l.To)
		}
		h := l.Root.Header
		if got := h.Get("Reply-To"); !strings.Contains(got, "<ivan@vektor.example>") {
			t.Errorf("%q: Reply-To %q", lang, got)
		}
		if h.Get("Auto-Submitted") != "auto-generated" || h.Get("Content-Language") != want.language {
			t.Errorf("%q: %q %q", lang, h.Get("Auto-Submitted"), h.Get("Content-Language"))
		}
		if lang != "de" {
			golden(t, "notice-"+or(lang, "both")+".txt", o.text)
			show(t, "notice-"+or(lang, "both")+".html", o.html)
		}
	}
}

// TestNoticeOnce: the link stands once in the text and once as href; nothing
// else is a link; whatever the sender writes.
func TestNoticeOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
			"", "http://evil.example/x", "HTTPS://EVIL.example", "WWW.evil.example", "=?utf-8?q?a=0D=0ABcc:_x@y.example?=", "\r\nBcc: x@y.example",
			"\x00", "\xff\xfe", "<a href=http://evil.example>x</a>", "<img src=x>", "bank <security@bank.example>", "a\u202eb", strings.Repeat("я", 5000), link,
		}))
		n := sample(rapid.SampledFrom([]string{"ru", "en", ""}).Draw(t, "lang"))
		n.Sender.Name, n.Subject = text.Draw(t, "name"), text.Draw(t, "subject")
		n.Documents = rapid.SliceOfN(text, 0, 30).Draw(t, "documents")
		o := render(t, n)
		if c := strings.Count(o.text, link); c != 1 {
			t.Fatalf("the link stands %d times in\n%s", c, o.text)
		}
		lower := strings.ToLower(o.text)
		if strings.Count(lower, "://") != 1 || strings.Contains(lower, "www.") {
			t.Fatalf("another link in\n%s", o.text)
		}
		_, links := inspect(t, o.html)
		if len(links) != 1 || links[0] != link || strings.Count(strings.ToLower(o.html), "://") != 1 {
			t.Fatalf("links %q in\n%s", links, o.html)
		}
		l := o.letter
		if len(l.From) != 1 || l.From[0].Mailbox != "service@gate.example" || len(l.To) != 1 || len(l.Cc) != 0 || len(l.Root.Header.All("Bcc")) != 0 || len(l.Root.Header) != 10 {
			t.Fatalf("header: %+v", l.Root.Header)
		}
		if reply := strings.Replace(l.Root.Header.Get("Reply-To"), "ivan@vektor.example", "", 1); strings.Contains(message.DecodeHeader(reply), "@") {
			t.Errorf("%q replies under another address: %s", text, reply)
		}
		if strings.Contains(l.From[0].Name, "@") && !strings.HasPrefix(l.From[0].Name, "ivan@vektor.example ") {
			t.Fatalf("From poses as %q", l.From[0].Name)
		}
		for _, r := range o.text + o.html + l.Subject + l.From[0].Name {
			if r != '\n' && message.SafeDisplay(string(r)) != string(r) {
				t.Fatalf("U+%04X in the mail", r)
			}
		}
	})
}

// TestMarkupStaysText: a hostile name adds no element to the page.
func TestMarkupStaysText(t *testing.T) {
	plain, evil := sample(""), sample("")
	evil.Subject = `</bdi></div><script>alert(1)</script>`
	evil.Sender.Name, evil.Documents[0] = `"><img src=x>`, `<a href="https://evil.example">`
	one, _ := inspect(t, render(t, plain).html)
	two, _ := inspect(t, render(t, evil).html)
	if !reflect.DeepEqual(one, two) {
		t.Errorf("%v\n%v", one, two)
	}
}

func TestNoticeFiles(t *testing.T) {
	n := sample("en")
	n.Documents = nil
	o := render(t, n)
	if strings.Contains(o.text, "Files") || !strings.Contains(o.text, "signed letter") || !strings.HasPrefix(o.letter.Subject, "Signed letter: ") {
		t.Errorf("a letter without files: %q\n%s", o.letter.Subject, o.text)
	}
	for range 1000 {
		n.Documents = append(n.Documents, "a file.pdf")
	}
	o = render(t, n)
	if c := strings.Count(o.text, "a file.pdf"); c != maxFiles || !strings.Contains(o.text, "Files: 1000\n") || !strings.Contains(o.text, "and 980 more") {
		t.Errorf("%d names in\n%s", c, o.text)
	}
	n.Documents = []string{strings.Repeat("я", 10000)}
	if o = render(t, n); strings.Contains(o.text, strings.Repeat("я", maxFile+1)) || !strings.Contains(o.text, "я…") {
		t.Error("a long name is not cut")
	}
}

func TestNoticeSame(t *testing.T) {
	one, err1 := Render(sample(""))
	two, err2 := Render(sample(""))
	if err1 != nil || err2 != nil || !bytes.Equal(one, two) {
		t.Errorf("the same notice is written in two ways: %v %v", err1, err2)
	}
}

func TestRenderRefuses(t *testing.T) {
	for name, change := range map[string]func(*Notice){
		"no link":           func(n *Notice) { n.Link = "" },
		"other scheme":      func(n *Notice) { n.Link = "javascript:alert(1)" },
		"relative":          func(n *Notice) { n.Link = "/l/x" },
		"line end in link":  func(n *Notice) { n.Link += "\r\nBcc: x@y.example" },
		"blank in link":     func(n *Notice) { n.Link += " x" },
		"bad recipient":     func(n *Notice) { n.To = "a@b>,<c@d.example" },
		"two recipients":    func(n *Notice) { n.To = "a@b.example,c@d.example" },
		"bad service":       func(n *Notice) { n.From.Mailbox = "" },
		"bad Message-ID":    func(n *Notice) { n.MessageID = "<a@b>\r\nBcc: x@y.example" },
		"no date":           func(n *Notice) { n.Date = time.Time{} },
		"sender no address": func(n *Notice) { n.Sender.Mailbox = "x" },
	} {
		n := sample("ru")
		change(&n)
		mail, err := Render(n)
		if err == nil {
			t.Errorf("%s: rendered\n%s", name, mail)
		} else if !errors.Is(err, ErrLink) && !errors.Is(err, message.ErrHeaderValue) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "AbCdEf0123") {
			t.Errorf("%s: the error holds the link: %v", name, err)
		}
	}
}

func TestAccountMails(t *testing.T) {
	for kind, write := range map[string]func(AccountMail) ([]byte, error){
		"registration": RenderRegistration, "reset": RenderReset, "password-changed": RenderPasswordChanged,
	} {
		for _, lang := range []string{"ru", "en", ""} {
			n := sample(lang)
			mail, err := write(AccountMail{MessageID: n.MessageID, From: n.From, To: n.To, Link: n.Link, Language: lang, Expires: n.Expires, Date: n.Date})
			if err != nil {
				t.Fatal(err)
			}
			o := open(t, mail)
			_, links := inspect(t, o.html)
			if strings.Count(o.text, link) != 1 || len(links) != 1 || links[0] != link || strings.Count(o.html, "://") != 1 {
				t.Errorf("%s: links: %v\n%s", kind, links, o.text)
			}
			if o.letter.From[0] != (message.Address{Name: "Cryptogramm", Mailbox: "service@gate.example"}) || len(o.letter.Root.Header.All("Reply-To")) != 0 {
				t.Errorf("%s: %v", kind, o.letter.From)
			}
			golden(t, kind+"-"+or(lang, "both")+".txt", o.text)
			show(t, kind+"-"+or(lang, "both")+".html", o.html)
		}
	}
}

// TestInternationalParties: a sender's address beyond ASCII keeps no notice
// from a recipient within it.
func TestInternationalParties(t *testing.T) {
	for _, c := range []struct {
		sender, to string
		replyTo    int
		utf8       bool
	}{
		{"ivan@vektor.example", "chen@optics.example", 1, false},
		{"иван@vektor.example", "chen@optics.example", 0, false},
		{"иван@vektor.example", "陈@optics.example", 1, true},
		{"ivan@vektor.example", "陈@optics.example", 1, true},
		{"ivan@почта.рф", "chen@optics.example", 1, false},
	} {
		n := sample("en")
		n.Sender.Mailbox, n.To = c.sender, c.to
		mail, err := Render(n)
		if err != nil {
			t.Fatal(err)
		}
		l, err := message.Parse(bytes.NewReader(mail), int64(len(mail)), message.DefaultLimits())
		if err != nil || len(l.Root.Header.All("Reply-To")) != c.replyTo {
			t.Errorf("%s to %s: %v, %d Reply-To", c.sender, c.to, err, len(l.Root.Header.All("Reply-To")))
		}
		m, err := newMailing(n.From.Mailbox, c.to, mail)
		if err != nil || m.utf8 != c.utf8 || m.eight {
			t.Errorf("%s to %s: %v, needs %+v", c.sender, c.to, err, m)
		}
	}
}

// TestWords: neither language lacks a string that the other has, and formats
// take the same values.
func TestWords(t *testing.T) {
	ru, en := reflect.ValueOf(*russian()), reflect.ValueOf(*english())
	for i := range ru.NumField() {
		name := ru.Type().Field(i).Name
		a, b := ru.Field(i), en.Field(i)
		if a.Kind() != reflect.String {
			continue
		}
		if a.String() == "" || b.String() == "" && name != "YearMark" {
			t.Errorf("%s is empty", name)
		}
		for _, verb := range []string{"%s", "%d", "%"} {
			if strings.Count(a.String(), verb) != strings.Count(b.String(), verb) {
				t.Errorf("%s: %q, %q", name, a, b)
			}
		}
	}
	for _, w := range []*words{russian(), english()} {
		for _, m := range w.Months {
			if m == "" {
				t.Errorf("%s lacks a month", w.Lang)
			}
		}
	}
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "mails", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%s differs (%v); got:\n%s", name, err, got)
	}
}

func show(t *testing.T, name, page string) {
	t.Helper()
	if *mails == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(*mails, name), []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
}
