package document

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// text writes a sheet for reading in a terminal or a mail: labels on lines of
// their own, values indented below, nothing wrapped so that digests can be copied.
func (s *sheet) text() []byte {
	t := &textWriter{}
	t.mark(s)
	t.line("", s.Title)
	t.line("", strings.Repeat("=", utf8.RuneCountInString(s.Title)))
	t.line("", display(s.Subtitle))
	if s.Result.Head != "" {
		t.line("", "")
		t.line("", "*** "+display(s.Result.Head)+" ***")
		for _, x := range s.Result.Text {
			t.line("", display(x))
		}
		t.line("", display(s.Result.Code))
	}
	for _, sec := range s.Sections {
		t.section(sec)
	}
	t.line("", "")
	t.mark(s)
	t.line("", s.Words.Footer)
	return t.b.Bytes()
}

type textWriter struct{ b bytes.Buffer }

func (t *textWriter) line(indent, s string) {
	if s != "" {
		t.b.WriteString(indent)
	}
	t.b.WriteString(s)
	t.b.WriteByte('\n')
}

func (t *textWriter) lines(indent string, list []string) {
	for _, s := range list {
		t.line(indent, s)
	}
}

func (t *textWriter) mark(s *sheet) {
	if s.Mark == "" {
		return
	}
	bar := strings.Repeat("!", 72)
	t.lines("", []string{bar, strings.ToUpper(s.Mark), s.MarkText, bar, ""})
}

func (t *textWriter) section(s section) {
	t.line("", "")
	t.line("", s.Title)
	t.line("", strings.Repeat("-", utf8.RuneCountInString(s.Title)))
	t.lines("", s.Intro)
	t.rows("", s.Rows)
	for _, x := range s.List {
		t.line("", "- "+display(x))
	}
	if s.Code != "" {
		t.line("    ", s.Code)
	}
	for _, c := range s.Cards {
		t.card(c)
	}
}

func (t *textWriter) card(c card) {
	head := display(c.Title)
	if c.Number != "" {
		head = c.Number + " " + head
	}
	if c.Badge != "" {
		head += " [" + display(c.Badge) + "]"
	}
	t.line("", "")
	t.line("", head)
	if c.Lead != "" {
		t.line("  ", display(c.Lead))
	}
	t.rows("  ", c.Rows)
	for _, e := range c.Events {
		t.line("  ", "* "+e.Time+": "+display(e.Title))
		t.rows("      ", e.Rows)
	}
	if len(c.Checks) > 0 {
		t.line("  ", c.Caption+":")
	}
	for _, k := range c.Checks {
		line := display(k.Status) + ": " + display(k.Label)
		if k.Name != "" {
			line += " (" + display(k.Name) + ")"
		}
		if k.Detail != "" {
			line += ": " + display(k.Detail)
		}
		t.line("    ", line)
	}
}

func (t *textWriter) rows(indent string, list []row) {
	for _, r := range list {
		t.line(indent, r.Label+": "+display(r.Value))
		if r.Note != "" {
			t.line(indent+"    ", r.Note)
		}
	}
}
