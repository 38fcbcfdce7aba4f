package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestComplaint(t *testing.T) {
	var out, errs bytes.Buffer
	s := &Streams{Out: &out, Err: &errs}
	code := s.fail(errors.Join(errors.New("one \x1b[31m\r\x9b"), errors.New("two \u202e")))
	want := "cryptogramm: one ‹U+001B›[31m‹U+000D›\uFFFD\ncryptogramm: two ‹U+202E›\n"
	if code != exitFail || errs.String() != want || out.Len() > 0 {
		t.Errorf("exit %d\n%s%s", code, out.String(), errs.String())
	}
	if code := s.usage(errors.New("x")); code != exitUsage {
		t.Errorf("usage exits %d", code)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestJSONToBrokenPipe(t *testing.T) {
	var errs bytes.Buffer
	s := &Streams{Out: brokenPipe{}, Err: &errs}
	if code := s.json(1); code != exitFail || !strings.Contains(errs.String(), "broken pipe") {
		t.Errorf("exit %d, %s", code, errs.String())
	}
}

// FuzzJSON: what is printed reads back as it was, and holds nothing that a
// terminal obeys.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{"", "Анна <a>&", "\x1b[31m\x7f\u009b0m\t\n\r", "\u202eexe.pdf\u2069\u200b", "\U000e0041 tags", "\\u0041 \"quoted\"", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "\uFFFD")
		var out bytes.Buffer
		if code := (&Streams{Out: &out, Err: &out}).json(map[string]string{s: s}); code != exitOK {
			t.Fatalf("exit %d: %s", code, out.String())
		}
		var back map[string]string
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || len(back) != 1 || back[s] != s {
			t.Errorf("%q came back as %q, %v", s, back, err)
		}
		if strings.ContainsFunc(out.String(), steers) {
			t.Errorf("%q printed raw: %q", s, out.String())
		}
	})
}
