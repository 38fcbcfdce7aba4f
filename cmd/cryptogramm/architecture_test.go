package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "cryptogramm.ru/cryptogramm/"

// allowed is the one-way flow: what each package of ours may import of ours.
// "*" stands for everything below a folder.
var allowed = map[string][]string{
	"store/rem":           {},
	"store/blob":          {"store/rem"},
	"store/blob/blobtest": {"store/rem", "store/blob"},
	"store":               {"store/rem", "store/blob"},
	"signer/pki":          {},
	"signer/cms":          {"signer/pki"},
	"signer/ca":           {"signer/pki"},
	"signer":              {"signer/cms", "signer/pki"},
	"gateway/message":     {"store/rem"},
	"gateway/document":    {"store/rem"},
	"gateway/notify":      {"gateway/message", "store/rem"},
	"gateway/judge":       {"gateway/message", "signer", "signer/pki", "signer/cms", "store/rem"},
	"gateway/account":     {"store/rem", "store"},
	"gateway": {"store/rem", "store", "store/blob", "gateway/judge", "gateway/document", "gateway/message",
		"gateway/notify", "gateway/account", "signer", "signer/pki"},
	"gateway/smtpd":   {"gateway", "gateway/account", "gateway/message", "store/rem"},
	"webview":         {"gateway", "gateway/*", "store", "store/blob", "store/rem", "signer", "webview/i18n"},
	"cmd/cryptogramm": {"*"},
}

// pure packages do no I/O of their own and know neither clock nor context.
var pure = map[string][]string{
	"store/rem":        {"os", "net", "net/http", "context", "database/sql", "log/slog"},
	"signer/cms":       {"os", "net", "net/http", "context", "database/sql", "log/slog"},
	"gateway/message":  {"os", "net", "net/http", "context", "database/sql", "log/slog"},
	"gateway/document": {"os", "net", "net/http", "context", "database/sql", "log/slog"},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func listPackages(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := map[string][]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages[strings.TrimPrefix(p.ImportPath, module)] = p.Imports
	}
	return packages
}

func TestImportsFlowOneWay(t *testing.T) {
	packages := listPackages(t)
	if len(packages) < 15 {
		t.Fatalf("only %d packages listed", len(packages))
	}
	for name, imports := range packages {
		rule, known := allowed[name]
		if !known {
			t.Errorf("package %s has no place in the architecture", name)
			continue
		}
		for _, i := range imports {
			own, ours := strings.CutPrefix(i, module)
			if ours && !permits(rule, own) {
				t.Errorf("%s imports %s", name, own)
			}
		}
		for _, i := range pure[name] {
			if slices.Contains(imports, i) {
				t.Errorf("%s is pure, yet imports %s", name, i)
			}
		}
	}
	if permits(allowed["signer/cms"], "store") {
		t.Error("the rule permits what it must not")
	}
}

func permits(rule []string, own string) bool {
	return slices.ContainsFunc(rule, func(r string) bool {
		folder, all := strings.CutSuffix(r, "*")
		return r == own || all && strings.HasPrefix(own, folder)
	})
}
