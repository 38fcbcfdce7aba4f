package message

import (
	"bytes"
	"errors"
	"io"
	"net/mail"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
)

func testDate() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

func notice() Mail {
	return Mail{
		From: Address{"Cryptogramm", "notice@demo.test"}, ReplyTo: Address{"Анна Кларк", "anna@demo.test"}, To: []Address{{"", "boris@demo.test"}},
		Subject: "Анна sent you a signed letter: Договор поставки № 17 от 3 марта 2026 года", MessageID: "ev1@demo.test", Date: testDate(), AutoSubmitted: true, Language: "en, ru",
		Text: "Open the letter:\nhttps://demo.test/l/abcdefghijklmnopqrstuvwxyz234567\nПисьмо ждёт вас.\n",
		HTML: "<p>Open <a href=\"https://demo.test/l/abcdefghijklmnopqrstuvwxyz234567\">the letter</a>.</p>",
	}
}

// fieldNames is the fixed header list for m.
func fieldNames(m Mail) []string {
	var names []string
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"From", true}, {"Reply-To", m.ReplyTo != Address{}}, {"To", true}, {"Subject", m.Subject != ""}, {"Date", true},
		{"Message-ID", m.MessageID != ""}, {"In-Reply-To", m.InReplyTo != ""}, {"References", m.InReplyTo != ""},
		{"Auto-Submitted", m.AutoSubmitted}, {"Content-Language", m.Language != ""}, {"MIME-Version", true}, {"Content-Type", true},
		{"Content-Transfer-Encoding", len(m.Attachments) == 0 && (m.Text == "" || m.HTML == "")},
	} {
		if f.set {
			names = append(names, f.name)
		}
	}
	return names
}

// checkComposed holds for all that Compose writes.
func checkComposed(t testing.TB, m Mail, text []byte) *Letter {
	t.Helper()
	if n, err := slowStrict(text, len(text)); err != nil {
		t.Fatalf("octet %d: %v", n, err)
	}
	for _, line := range strings.Split(string(text), "\r\n") {
		if len(line) > 998 || strings.ContainsFunc(line, func(r rune) bool { return r > '~' || r != '\t' && unicode.IsControl(r) }) {
			t.Fatalf("line %q", line)
		}
	}
	l := parse(t, text)
	if a := l.Ambiguity(); a != "" {
		t.Fatalf("ambiguous: %s\n%s", a, text)
	}
	var names []string
	for _, f := range l.Root.Header {
		names = append(names, f.Name)
	}
	if want := fieldNames(m); !reflect.DeepEqual(names, want) {
		t.Fatalf("fields %q, want %q", names, want)
	}
	if l.Subject != m.Subject || !reflect.DeepEqual(l.To, m.To) || !reflect.DeepEqual(l.From, []Address{m.From}) || !l.Date.Equal(m.Date.Truncate(time.Second)) {
		t.Fatalf("subject %q, from %q, to %q, date %v\n%s", l.Subject, l.From, l.To, l.Date, text)
	}
	if std, err := mail.ReadMessage(bytes.NewReader(text)); err != nil || len(std.Header) != len(names) {
		t.Fatalf("the library reads %v, error %v", std, err)
	}
	return l
}

func content(t testing.TB, l *Letter, p *Part) string {
	t.Helper()
	b, err := io.ReadAll(l.Open(p.Range()))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCompose(t *testing.T) {
	m := notice()
	text, err := Compose(m)
	if err != nil {
		t.Fatal(err)
	}
	l := checkComposed(t, m, text)
	if l.Root.MediaType != "multipart/alternative" || len(l.Root.Parts) != 2 {
		t.Fatalf("%s of %d parts", l.Root.MediaType, len(l.Root.Parts))
	}
	if got := content(t, l, l.Root.Parts[0]); got != strings.ReplaceAll(m.Text, "\n", "\r\n") {
		t.Errorf("text %q", got)
	}
	if got := content(t, l, l.Root.Parts[1]); strings.TrimRight(got, "\r\n") != m.HTML {
		t.Errorf("HTML %q", got)
	}
	if !strings.Contains(string(text), "\r\nhttps://demo.test/l/abcdefghijklmnopqrstuvwxyz234567\r\n") {
		t.Error("the link does not stand on a line of its own")
	}
	if again, err := Compose(m); err != nil || !bytes.Equal(text, again) {
		t.Errorf("another letter the second time, error %v", err)
	}
	golden := filepath.Join("testdata", "compose", "notice.eml")
	if *update {
		if err := writeGolden(golden, text); err != nil {
			t.Fatal(err)
		}
	}
	if want := readFile(t, golden); !bytes.Equal(text, want) {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

func TestComposeShapes(t *testing.T) {
	pdf := Attachment{"Договор \"№ 7\".pdf", "application/pdf", bytes.Repeat([]byte{0, 1, 0xff}, 100)}
	for _, c := range []struct {
		name   string
		change func(*Mail)
		shape  string
	}{
		{"text", func(m *Mail) { m.HTML = "" }, "text/plain"},
		{"HTML", func(m *Mail) { m.Text = "" }, "text/html"},
		{"attachment", func(m *Mail) { m.Attachments = []Attachment{pdf}; m.HTML = "" }, "multipart/mixed text/plain application/pdf"},
		{"all", func(m *Mail) { m.Attachments = []Attachment{pdf, {"", "text/csv", nil}} }, "multipart/mixed multipart/alternative text/plain text/html application/pdf text/csv"},
		{"reply", func(m *Mail) { m.InReplyTo = "<y@demo.test>"; m.HTML = "" }, "text/plain"},
		{"long words", func(m *Mail) { m.Subject = strings.Repeat("x", 3000); m.HTML = "" }, "text/plain"},
		{"blanks kept", func(m *Mail) { m.Subject = "  a   b  "; m.HTML = "" }, "text/plain"},
		{"looks encoded", func(m *Mail) { m.Subject = "=?utf-8?q?a?="; m.From.Name = "=?utf-8?q?a?="; m.HTML = "" }, "text/plain"},
		{"name of an address", func(m *Mail) { m.From.Name = `boris@demo.test, "B" \ (c)`; m.HTML = "" }, "text/plain"},
		{"many recipients", func(m *Mail) { m.To = slicesRepeat(Address{"Борис", "b@demo.test"}, 200); m.HTML = "" }, "text/plain"},
		{"long lines", func(m *Mail) { m.Text = strings.Repeat("x", 2000) + "\rb\r\nc"; m.HTML = "" }, "text/plain"},
		{"boundary in the text", func(m *Mail) { m.Text = "--=_0123456789\n--\n.\nFrom x\n" }, "multipart/alternative text/plain text/html"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := notice()
			c.change(&m)
			text, err := Compose(m)
			if err != nil {
				t.Fatal(err)
			}
			l := checkComposed(t, m, text)
			var shape []string
			l.Root.Walk(func(p *Part) bool {
				shape = append(shape, p.MediaType)
				if p.MediaType == "application/pdf" && (p.FileName != pdf.Name || content(t, l, p) != string(pdf.Content)) {
					t.Errorf("the attachment is %q", p.FileName)
				}
				return true
			})
			if got := strings.Join(shape, " "); got != c.shape {
				t.Errorf("shape %s, want %s", got, c.shape)
			}
		})
	}
}

func slicesRepeat(a Address, n int) []Address {
	list := make([]Address, n)
	for i := range list {
		list[i] = a
	}
	return list
}

func TestComposeRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Mail)
	}{
		{"line end in Subject", func(m *Mail) { m.Subject = "a\r\nBcc: c@demo.test" }},
		{"LF in Subject", func(m *Mail) { m.Subject = "a\nb" }},
		{"NUL in Subject", func(m *Mail) { m.Subject = "a\x00b" }},
		{"line end in an encoded word", func(m *Mail) { m.Subject = "=?utf-8?q?a=0D=0ABcc:_c@demo.test?=" }},
		{"line end in an encoded word of base64", func(m *Mail) { m.From.Name = "=?utf-8?b?DQo=?=" }},
		{"bad UTF-8", func(m *Mail) { m.Subject = "\xff" }},
		{"line end in a name", func(m *Mail) { m.ReplyTo.Name = "a\r\nb" }},
		{"line end in an address", func(m *Mail) { m.To[0].Mailbox = "a@demo.test\r\nBcc: c@demo.test" }},
		{"two addresses in one", func(m *Mail) { m.To[0].Mailbox = "a@demo.test, c@demo.test" }},
		{"name without address", func(m *Mail) { m.ReplyTo = Address{Name: "Anna"} }},
		{"no sender", func(m *Mail) { m.From = Address{} }},
		{"no recipient", func(m *Mail) { m.To = nil }},
		{"too many recipients", func(m *Mail) { m.To = slicesRepeat(Address{"", "b@demo.test"}, 1001) }},
		{"no date", func(m *Mail) { m.Date = time.Time{} }},
		{"no text", func(m *Mail) { m.Text, m.HTML = "", "" }},
		{"line end in Message-ID", func(m *Mail) { m.MessageID = "<a\r\nb@demo.test>" }},
		{"blank in In-Reply-To", func(m *Mail) { m.InReplyTo = "<a@demo.test> <b@demo.test>" }},
		{"line end in the language", func(m *Mail) { m.Language = "en\r\nBcc: c@demo.test" }},
		{"too long a Subject", func(m *Mail) { m.Subject = strings.Repeat("x", 1<<20) }},
		{"line end in a file name", func(m *Mail) { m.Attachments = []Attachment{{"a\r\nb", "text/csv", nil}} }},
		{"line end in a media type", func(m *Mail) { m.Attachments = []Attachment{{"a", "text/csv\r\nX: y", nil}} }},
		{"parameter in a media type", func(m *Mail) { m.Attachments = []Attachment{{"a", "text/csv; x=y", nil}} }},
		{"multipart as a file", func(m *Mail) { m.Attachments = []Attachment{{"a", "multipart/mixed", nil}} }},
		{"too long a file name", func(m *Mail) { m.Attachments = []Attachment{{strings.Repeat("x", 256), "text/csv", nil}} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := notice()
			c.change(&m)
			if text, err := Compose(m); !errors.Is(err, ErrHeaderValue) {
				t.Errorf("error %v\n%s", err, text)
			}
		})
	}
}

func FuzzCompose(f *testing.F) {
	f.Add("Subject", "Anna", "id@demo.test", "text", "<p>html</p>", "a.pdf")
	f.Add("Тема\r\nBcc: x@y.test", "=?utf-8?q?=0A?=", "<a b>", "a\rb\x00", "", "\u202E.exe")
	f.Add(strings.Repeat("й", 200), `a"b\c, d <e@f.test>`, "", "--=_x\r\n.\r\n", "\xff", "=?utf-8?q?a?=")
	f.Fuzz(func(t *testing.T, subject, name, id, text, html, file string) {
		m := Mail{From: Address{name, "notice@demo.test"}, To: []Address{{name, "boris@demo.test"}}, Subject: subject, MessageID: id,
			Date: testDate(), Text: text, HTML: html, Attachments: []Attachment{{file, "application/octet-stream", []byte(html)}}}
		b, err := Compose(m)
		if err != nil {
			if !errors.Is(err, ErrHeaderValue) {
				t.Fatal(err)
			}
			m.Subject, m.From.Name, m.To[0].Name, m.MessageID, m.Text = HeaderText(subject), "", "", "", "text"
			m.Attachments[0].Name = ""
			if b, err = Compose(m); err != nil {
				if len(subject) < maxOwnHeader/8 {
					t.Fatalf("made fit, and refused: %v", err)
				}
				return
			}
		}
		m.From.Name, m.To[0].Name = strings.TrimSpace(m.From.Name), strings.TrimSpace(m.To[0].Name)
		checkComposed(t, m, b)
		if again, err := Compose(m); err != nil || len(again) > 0 && m.From.Name == name && !bytes.Equal(b, again) {
			t.Fatalf("another letter the second time, error %v", err)
		}
	})
}
