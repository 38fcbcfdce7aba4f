package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
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
	"store/floor":         {},
	"signer/pki":          {},
	"signer/cms":          {"signer/pki"},
	"signer/ca":           {"signer/pki"},
	"signer/fetch":        {"signer/pki"},
	"signer":              {"signer/cms", "signer/fetch", "signer/pki"},
	"gateway/message":     {"store/rem"},
	"gateway/document":    {"store/rem"},
	"gateway/notify":      {"gateway/message", "store/rem"},
	"gateway/judge":       {"gateway/message", "signer", "signer/pki", "signer/cms", "store/rem"},
	"gateway/account":     {"store/rem", "store"},
	"gateway": {"store/rem", "store", "store/blob", "gateway/judge", "gateway/document", "gateway/message",
		"gateway/notify", "gateway/account", "signer", "signer/fetch", "signer/pki"},
	"gateway/door":       {},
	"gateway/imapd":      {"gateway", "gateway/account", "gateway/door", "gateway/message", "store", "store/blob", "store/rem"},
	"gateway/smtpd":      {"gateway", "gateway/account", "gateway/door", "gateway/message", "store/rem"},
	"webview/i18n":       {},
	"signer/cms/cmstest": {},
	"webview":            {"gateway", "gateway/*", "store", "store/blob", "store/rem", "signer", "webview/i18n"},
	"cmd/cryptogramm":    {"*"},
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

// writers are the packages that change state; everything else reads.
var writers = []string{"gateway", "gateway/account", "store", "cmd/cryptogramm"}

// changing are the beginnings of the names of store methods that change state.
var changing = []string{"Add", "Set", "Remove", "Delete", "UseToken", "Claim", "Finish", "Retry", "Put", "Sign", "Ensure", "Copy", "Create", "Rename", "Expunge", "Prune", "Hold", "Release", "Drop", "Clear", "Audit"}

func TestOnlyWritersWrite(t *testing.T) {
	files, calls := 0, 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		room, err := filepath.Rel("../..", filepath.Dir(path))
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if name := changesStore(n); name != "" {
				if calls++; !slices.Contains(writers, filepath.ToSlash(room)) {
					t.Errorf("%s calls DB.%s", path, name)
				}
			}
			return true
		})
		return nil
	})
	if err != nil || files < 100 || calls < 10 {
		t.Fatalf("%d files, %d calls: %v", files, calls, err)
	}
}

// changesStore is the name of the method when n is x.DB.Method and Method
// changes state.
func changesStore(n ast.Node) string {
	method, ok := n.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	db, ok := method.X.(*ast.SelectorExpr)
	if !ok || db.Sel.Name != "DB" {
		return ""
	}
	name := method.Sel.Name
	if slices.ContainsFunc(changing, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
		return name
	}
	return ""
}
