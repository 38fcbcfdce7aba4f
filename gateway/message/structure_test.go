package message

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
)

// checkStructure is the property that every parsed letter has: spans nest,
// and each multipart is covered, octet by octet, by its prologue, delimiter
// lines, entities and epilogue.
func checkStructure(t testing.TB, l *Letter, text []byte) {
	t.Helper()
	if l.Root.Entity != (Span{0, int64(len(text))}) {
		t.Fatalf("the root is %v of %d octets", l.Root.Entity, len(text))
	}
	l.Root.Walk(func(p *Part) bool {
		if !p.Entity.Contains(p.HeaderRange) || !p.Entity.Contains(p.Body) || p.HeaderRange.End() > p.Body.Offset || p.Body.End() != p.Entity.End() {
			t.Fatalf("part %q: entity %v, header %v, body %v", p.Path, p.Entity, p.HeaderRange, p.Body)
		}
		if p.Entity.Length < 0 || p.HeaderRange.Length < 0 || p.Body.Length < 0 {
			t.Fatalf("part %q: negative span", p.Path)
		}
		checkCover(t, p, text)
		return true
	})
}

func checkCover(t testing.TB, p *Part, text []byte) {
	t.Helper()
	if !p.Multipart() {
		if len(p.Parts) > 0 || p.Prologue != (Span{}) || p.Epilogue != (Span{}) {
			t.Fatalf("part %q is no multipart and has parts", p.Path)
		}
		return
	}
	delimiter := "^(\r?\n)?--" + regexp.QuoteMeta(p.Params["boundary"])
	next := regexp.MustCompile(delimiter + "[ \t]*\r?(\n|$)$")
	closes := regexp.MustCompile(delimiter + "--[ \t]*\r?(\n|$)$")
	if p.Prologue.Offset != p.Body.Offset || p.Epilogue.End() != p.Body.End() {
		t.Fatalf("part %q: body %v, prologue %v, epilogue %v", p.Path, p.Body, p.Prologue, p.Epilogue)
	}
	at := p.Prologue.End()
	for _, child := range p.Parts {
		if !p.Body.Contains(child.Entity) || at > child.Entity.Offset {
			t.Fatalf("part %q: %v is not after %d in %v", child.Path, child.Entity, at, p.Body)
		}
		if gap := text[at:child.Entity.Offset]; !next.Match(gap) {
			t.Fatalf("part %q: %q before it is no delimiter", child.Path, gap)
		}
		at = child.Entity.End()
	}
	gap := text[at:p.Epilogue.Offset]
	if p.Unterminated && len(gap) > 0 || !p.Unterminated && !closes.Match(gap) {
		t.Fatalf("part %q: %q before the epilogue, unterminated %t", p.Path, gap, p.Unterminated)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range append(golden(f, "structure"), golden(f, "signed")...) {
		f.Add(readFile(f, name))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := Parse(bytes.NewReader(text), int64(len(text)), DefaultLimits())
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrLimit) {
				t.Fatal(err)
			}
			return
		}
		checkStructure(t, l, text)
		checkCost(t, text)
		l.Root.Walk(func(p *Part) bool {
			if s := SafeDisplay(p.FileName); strings.ContainsAny(p.FileName, "\r\n\x00") || SafeDisplay(s) != s {
				t.Fatalf("file name %q shown as %q", p.FileName, s)
			}
			return true
		})
		for _, a := range l.From {
			if !ValidAddress(a.Mailbox) {
				t.Fatalf("From has %q", a.Mailbox)
			}
		}
	})
}

// checkCost: each octet is read once, and a line is compared with no more
// boundaries than are open.
func checkCost(t testing.TB, text []byte) {
	t.Helper()
	r := &countingReaderAt{ReaderAt: bytes.NewReader(text)}
	p := newParser(r, int64(len(text)), DefaultLimits())
	if err := p.run(); err != nil {
		t.Fatal(err)
	}
	if lines := int64(bytes.Count(text, []byte("\n")) + 1); r.octets != int64(len(text)) || p.checked > lines*int64(p.limits.Depth) {
		t.Fatalf("%d octets read of %d, %d comparisons for %d lines", r.octets, len(text), p.checked, lines)
	}
}
