package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// TestUsage: a command line that makes no sense is 4, says why, and does
// nothing.
func TestUsage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "absent")
	for _, c := range []struct{ args, want string }{
		{"", "expected one of"},
		{"nonsense", "unexpected argument nonsense"},
		{"\x1b[31m", "‹U+001B›"},
		{"user", "expected one of"},
		{"serve", "--config"},
		{"serve --config " + dir, "no such file"},
		{"serve --config " + t.TempDir(), "is a directory"},
		{"serve --data " + dir, "unknown flag --data"},
		{"demo --port-base x", "--port-base"},
		{"demo extra", "unexpected argument"},
		{"user list", "--config=FILE or --data=DIR"},
		{"fsck", "--config=FILE or --data=DIR"},
		{"fsck --data " + dir + " --config " + exampleConfig, "can't be used together"},
		{"user add --data " + dir, "<email>"},
		{"user add --data " + dir + " --language de a@b.test", "--language"},
		{"trust add --data " + dir, "nothing to add"},
		{"trust add --data " + dir + " --kind good " + exampleConfig, "--kind"},
		{"trust add --data " + dir + " " + dir, "no such file"},
		{"trust remove --data " + dir + " abc", "64"},
		{"trust remove --data " + dir + " " + strings.Repeat("x", 64), "digest"},
		{"evidence show --data " + dir, "<id>"},
		{"version --nonsense", "unknown flag"},
	} {
		a := call(t, "", strings.Fields(c.args)...)
		a.want(t, exitUsage, c.want)
		if a.out != "" {
			t.Errorf("%q prints\n%s", c.args, a.out)
		}
	}
}

// TestNoInstallation: a command that reads makes nothing where there is
// nothing, and says where it looked.
func TestNoInstallation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "absent\x1b[2J")
	for _, args := range [][]string{
		{"user", "list"}, {"user", "add", "a@b.test"}, {"user", "passwd", "a@b.test"}, {"trust", "list"},
		{"trust", "add", exampleConfig}, {"trust", "remove", strings.Repeat("ab", 32)}, {"evidence", "list"}, {"evidence", "show", "x"}, {"fsck"},
	} {
		call(t, "a long password\n", append(args, "--data", dir)...).want(t, exitFail, "no installation in "+filepath.Dir(dir)+"/absent‹U+001B›[2J")
	}
	if matches, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), "*")); len(matches) > 0 {
		t.Errorf("made %q", matches)
	}
}

// TestEveryCommandHelps also holds the rule that whatever reads can print JSON.
func TestEveryCommandHelps(t *testing.T) {
	parser, err := kong.New(&cli{})
	if err != nil {
		t.Fatal(err)
	}
	reads := map[string]bool{}
	for _, leaf := range parser.Model.Leaves(false) {
		path := strings.Fields(leaf.FullPath())[1:]
		a := call(t, "", append(path, "--help")...)
		a.want(t, exitOK, "Usage: cryptogramm "+strings.Join(path, " "))
		if leaf.Help == "" || !strings.Contains(a.out, leaf.Help[:10]) {
			t.Errorf("%s has no help", leaf.FullPath())
		}
		for _, f := range leaf.Flags {
			if f.Name == "json" && f.Target.Kind() == reflect.Bool {
				reads[strings.Join(path, " ")] = true
			}
			if f.Help == "" {
				t.Errorf("%s --%s has no help", leaf.FullPath(), f.Name)
			}
		}
	}
	for _, name := range []string{"verify", "user list", "trust list", "evidence list", "evidence show", "fsck", "version"} {
		if !reads[name] {
			t.Errorf("%s has no --json", name)
		}
	}
	call(t, "", "--help").want(t, exitOK, "Usage: cryptogramm <command>")
}

func TestVersion(t *testing.T) {
	call(t, "", "version").want(t, exitOK, "cryptogramm ")
	a := call(t, "", "version", "--json")
	sameKeys(t, "version", json.RawMessage(a.out), "go", "version")
}
