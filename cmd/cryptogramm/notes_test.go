package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestOperatorNotes: every command line in what operators read exists, with
// its flags.
func TestOperatorNotes(t *testing.T) {
	parser, err := kong.New(&cli{})
	if err != nil {
		t.Fatal(err)
	}
	for name, least := range map[string]int{
		"../../configs/operations.md": 6, "../../configs/cryptogramm.service": 1, "../../README.md": 3,
	} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := regexp.MustCompile(`(?m)^(?:ExecStart=/usr/local/bin/|\./bin/)?(?:cryptogramm|cg) (.*)$`).FindAllStringSubmatch(string(b), -1)
		if len(lines) < least {
			t.Errorf("%s has %d command lines", name, len(lines))
		}
		for _, m := range lines {
			if what := unknownWord(parser.Model.Node, strings.Fields(m[1])); what != "" {
				t.Errorf("%s: %q is not known in %s", name, what, m[0])
			}
		}
	}
}

// unknownWord follows a command line through the commands and is the first
// word that is neither command, flag nor argument of what comes before it.
func unknownWord(at *kong.Node, words []string) string {
	for _, w := range words {
		flag, isFlag := strings.CutPrefix(w, "--")
		switch {
		case isFlag:
			known := false
			for _, f := range at.Flags {
				known = known || f.Name == flag
			}
			if !known {
				return w
			}
		case len(at.Children) > 0:
			next := at
			for _, c := range at.Children {
				if c.Name == w {
					next = c
				}
			}
			if next == at {
				return w
			}
			at = next
		}
	}
	return ""
}
