package gateway

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// mails are the files of the outbox, oldest name first.
func (w *world) mails() (out []string) {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.outbox, "*.eml"))
	w.must(err)
	slices.Sort(files)
	for _, f := range files {
		b, err := os.ReadFile(f)
		w.must(err)
		out = append(out, string(b))
	}
	return out
}

// mailTo is the plain text of the one mail to an address, after its header.
func (w *world) mailTo(address string) string {
	w.t.Helper()
	var found []string
	for _, m := range w.mails() {
		l, err := message.Parse(strings.NewReader(m), int64(len(m)), message.DefaultLimits())
		w.must(err)
		if len(l.To) != 1 {
			w.t.Fatalf("a mail to %v", l.To)
		}
		if l.To[0].Mailbox == address {
			found = append(found, m[:l.Root.Body.Offset]+w.plain(l, l.Root))
		}
	}
	if len(found) != 1 {
		w.t.Fatalf("%d mails to %s", len(found), address)
	}
	return found[0]
}

// plain is all text of a letter, decoded.
func (w *world) plain(l *message.Letter, p *message.Part) string {
	w.t.Helper()
	var b strings.Builder
	for _, child := range p.Parts {
		b.WriteString(w.plain(l, child))
	}
	if len(p.Parts) == 0 {
		_, err := io.Copy(&b, l.Open(rem.Range{Offset: p.Body.Offset, Length: p.Body.Length, Encoding: p.Encoding}))
		w.must(err)
	}
	return b.String()
}

// between is what stands in s after the first start and before the next end.
func between(s, start, end string) string {
	_, after, _ := strings.Cut(s, start)
	within, _, _ := strings.Cut(after, end)
	return within
}
