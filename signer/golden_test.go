package signer

import (
	"encoding/pem"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

var update = flag.Bool("update", false, "make testdata/golden anew, with new keys")

const goldenDir = "testdata/golden"

// want is what a golden file expects. In its text form absent lines are empty fields.
type want struct {
	expect  Attached
	content string // "none", or a name in the case's directory; default content.txt
	kind    Kind
	verdict string   // of the report
	objects []string // checks that did not pass for reasons of their own, of all signatures
	signer  []string // common names of the certificates attributed, "nobody" for none
}

func (w want) text() string {
	var b strings.Builder
	for _, line := range [][2]string{
		{"expect", string(w.expect)}, {"content", w.content}, {"kind", string(w.kind)}, {"verdict", w.verdict},
		{"objects", strings.Join(w.objects, " ")}, {"signer", strings.Join(w.signer, " ")},
	} {
		if line[1] != "" {
			fmt.Fprintf(&b, "%s: %s\n", line[0], line[1])
		}
	}
	return b.String()
}

func readWant(t *testing.T, path string) want {
	t.Helper()
	w := want{content: "content.txt"}
	for line := range strings.Lines(string(readFile(t, path))) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "expect":
			w.expect = Attached(value)
		case "content":
			w.content = value
		case "kind":
			w.kind = Kind(value)
		case "verdict":
			w.verdict = value
		case "objects":
			w.objects = strings.Fields(value)
		case "signer":
			w.signer = strings.Fields(value)
		default:
			ok = false
		}
		if !ok {
			t.Fatalf("%s: line %q", path, line)
		}
	}
	return w
}

// observed is the report in the golden files' words.
func observed(r *Report) want {
	w := want{kind: r.Kind, verdict: strings.TrimSpace(string(r.Verdict.Indication) + " " + string(r.Verdict.SubIndication))}
	for _, v := range r.Validations {
		name := "nobody"
		if v.Certificate != nil {
			name = v.Certificate.Subject.CommonName()
		}
		w.signer = append(w.signer, name)
		for _, check := range objections(v) {
			if !slices.Contains(w.objects, check) {
				w.objects = append(w.objects, check)
			}
		}
	}
	return w
}

// Each case is a message that must not pass, for its own reason, beside a twin that differs in that alone and passes.
func TestGolden(t *testing.T) {
	if *update {
		makeGolden(t)
	}
	files, err := filepath.Glob(filepath.Join(goldenDir, "*", "*.p7s"))
	if err != nil || len(files) < 100 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(file, goldenDir+"/"), ".p7s"), func(t *testing.T) {
			dir, stem := filepath.Dir(file), strings.TrimSuffix(file, ".p7s")
			w := readWant(t, stem+".want")
			job := Job{Signature: source(readFile(t, file)), Attached: w.expect}
			if w.content != "none" {
				job.Content = source(readFile(t, filepath.Join(dir, w.content)))
			}
			got := observed(verify(t, goldenVerifier(t, dir), job))
			got.expect, got.content = w.expect, w.content
			if got.text() != w.text() {
				t.Errorf("got\n%s\nwant\n%s", got.text(), w.text())
			}
		})
	}
}

// goldenVerifier trusts the set's root; a set without one is of foreign messages.
func goldenVerifier(t *testing.T, dir string) *Verifier {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "root.pem")); err != nil {
		return new(Verifier)
	}
	return verifier(t, readPEM(t, filepath.Join(dir, "root.pem")), readPEM(t, filepath.Join(dir, "root.crl")))
}

// Every case has its twin, in both sets, and only the twin passes.
func TestGoldenIsComplete(t *testing.T) {
	for _, set := range []cmstest.KeyKind{cmstest.RSA2048, cmstest.P256} {
		for _, c := range goldenCases() {
			if c.only != "" && c.only != set {
				continue
			}
			for _, suffix := range []string{".p7s", ".want", ".twin.p7s", ".twin.want"} {
				path := filepath.Join(goldenDir, string(set), c.name+suffix)
				if _, err := os.Stat(path); err != nil {
					t.Error(err)
				}
			}
			stem := filepath.Join(goldenDir, string(set), c.name)
			bad, twin := readWant(t, stem+".want"), readWant(t, stem+".twin.want")
			if bad.verdict == string(pki.TotalPassed) || twin.verdict != string(pki.TotalPassed) {
				t.Errorf("%s expects %s, its twin %s", c.name, bad.verdict, twin.verdict)
			}
		}
	}
}

func readPEM(t *testing.T, path string) []byte {
	t.Helper()
	block, _ := pem.Decode(readFile(t, path))
	if block == nil {
		t.Fatalf("%s is no PEM", path)
	}
	return block.Bytes
}

// goldenSet writes one directory of golden files.
type goldenSet struct {
	testing.TB
	dir string
}

// newGoldenSet empties the directory but for what all its files share.
func newGoldenSet(t *testing.T, name string, w world) goldenSet {
	s := goldenSet{t, filepath.Join(goldenDir, name)}
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.write("root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.root.Certificate.Raw}))
	s.write("root.crl", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: w.crl}))
	s.write("content.txt", []byte(text))
	return s
}

func (s goldenSet) write(name string, b []byte) {
	if err := os.WriteFile(filepath.Join(s.dir, name), b, 0o644); err != nil {
		s.Fatal(err)
	}
}

func (s goldenSet) add(name string, a artefact) {
	if a.content != nil {
		a.want.content = name + ".content"
		s.write(a.want.content, a.content)
	}
	s.write(name+".p7s", a.signature)
	s.write(name+".want", []byte(a.want.text()))
}

// makeGolden writes all sets that are made here.
func makeGolden(t *testing.T) {
	for _, kind := range []cmstest.KeyKind{cmstest.RSA2048, cmstest.P256} {
		f := newForge(t, kind)
		set := newGoldenSet(t, string(kind), f.world)
		for _, c := range goldenCases() {
			if c.only != "" && c.only != kind {
				continue
			}
			bad, twin := c.make(f)
			bad.want.complete(false)
			twin.want.complete(true)
			set.add(c.name, bad)
			set.add(c.name+".twin", twin)
		}
	}
	makeOpenSSLGolden(t)
}

// complete fills in what most cases have in common.
func (w *want) complete(twin bool) {
	if w.kind == "" {
		w.kind = Signed
	}
	if w.kind == Signed && w.signer == nil {
		w.signer = []string{"alice"}
	}
	if twin && w.verdict == "" {
		w.verdict = string(pki.TotalPassed)
	}
}
