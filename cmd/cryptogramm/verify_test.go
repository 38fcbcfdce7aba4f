package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
)

// recorded are letters that real programs made, with their root and CRL.
const recorded = "../../gateway/judge/testdata/clients"

// verifyKit is a folder with everything the cases name.
type verifyKit struct {
	dir string
}

func newVerifyKit(t *testing.T) verifyKit {
	k := verifyKit{dir: t.TempDir()}
	root := cmstest.NewRoot(t, "Root")
	anna := root.Issue(t, cmstest.NewKey(t, cmstest.P256), "anna", nil)
	detached := cmstest.Message{Content: []byte("contract"), Signatures: []cmstest.Signature{{Party: anna}}}.Encode(t)
	enveloping := cmstest.Message{Content: []byte("contract"), Attached: true, Signatures: []cmstest.Signature{{Party: anna}}}.Encode(t)
	certificate := pemBlock("CERTIFICATE", anna.Certificate.Raw)
	letter, err := os.ReadFile(filepath.Join(recorded, "21-snail-file.eml"))
	if err != nil {
		t.Fatal(err)
	}
	lf := bytes.ReplaceAll(letter, []byte("\r\n"), []byte("\n"))
	for name, content := range map[string][]byte{
		"letter.eml":              letter,
		"lf.eml":                  lf,
		"mbox.eml":                append([]byte("From anna Mon Jun  1 12:00:00 2026\n"), lf...),
		"mixed.eml":               bytes.Replace(lf, []byte("\n"), []byte("\r\n"), 1),
		"changed.eml":             bytes.Replace(letter, []byte("I agree"), []byte("I agrEe"), 1),
		"from.eml":                append([]byte("From: boris@b.test\r\n"), letter...),
		"plain.eml":               []byte("From: anna@a.test\r\nSubject: x\r\n\r\nHello\r\n"),
		"beside/contract.pdf":     []byte("contract"),
		"beside/contract.pdf.p7s": detached,
		"beside/contract.b64":     []byte(base64.StdEncoding.EncodeToString(detached)),
		"alone/contract.pdf.p7s":  detached,
		"other.pdf":               []byte("another"),
		"contract.pdf.p7m":        enveloping,
		"contract.pem":            pemBlock("CMS", detached),
		"anna.pem":                certificate,
		"anna.der":                anna.Certificate.Raw,
		"trust/root.pem":          pemBlock("CERTIFICATE", root.Certificate.Raw),
		"trust/root.crl":          root.CRL(t),
		"trust/README":            []byte("not a certificate"),
		"empty/README":            nil,
		"rubbish.bin":             []byte("\x00\x01\x02 rubbish"),
		"file.pdf":                []byte("%PDF-1.7\r\nrubbish\r\n"),
	} {
		path := filepath.Join(k.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func pemBlock(label string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
}

// verify runs the command line as main would, inside the folder.
func (k verifyKit) verify(t *testing.T, stdin string, args ...string) (int, string, string) {
	t.Helper()
	for i, a := range args {
		a = strings.ReplaceAll(a, "@", k.dir+"/")
		args[i] = strings.ReplaceAll(a, "RECORDED", recorded)
	}
	var out, errs bytes.Buffer
	code := run(context.Background(), append([]string{"verify"}, args...), &Streams{In: strings.NewReader(stdin), Out: &out, Err: &errs})
	return code, out.String(), errs.String()
}

// TestVerify runs command lines: exit code, and a part of the output.
func TestVerify(t *testing.T) {
	k := newVerifyKit(t)
	const (
		theirs = "--trust=RECORDED/root.pem --crl=RECORDED/root.crl --at=2026-06-01T12:00:00Z "
		ours   = "--trust=@trust --at=2026-06-01T12:00:00Z "
	)
	for _, c := range []struct {
		args string
		code int
		out  string
	}{
		{theirs + "@letter.eml", 0, "Verdict: PASSED"},
		{theirs + "@letter.eml", 0, "covers       letter.txt, contract.pdf"},
		{theirs + "--json @letter.eml", 0, `"verdict": "passed"`},
		{theirs + "@lf.eml", 0, "line-ends: the file has LF line ends"},
		{theirs + "@mbox.eml", 0, "Verdict: PASSED"},
		{theirs + "@mixed.eml", 1, "changed after signing"},
		{theirs + "@changed.eml", 1, "it was changed after signing"},
		{theirs + "@from.eml", 1, "2 From fields"},
		{theirs + "@plain.eml", 3, "Verdict: UNSIGNED"},
		{theirs + "--json @plain.eml", 3, `"signatures": []`},
		{"--at=2026-06-01T12:00:00Z @letter.eml", 2, "no chain to a trusted authority"},
		{"--at=2026-06-01T12:00:00Z --trust=RECORDED/root.pem @letter.eml", 2, "revoked is not known"},
		{"--at=2020-06-01T12:00:00Z --trust=RECORDED/root.pem @letter.eml", 1, "not yet valid"},
		{"--at=2050-06-01T12:00:00Z --trust=RECORDED/root.pem @letter.eml", 1, "expired"},

		{ours + "--content=@beside/contract.pdf @alone/contract.pdf.p7s", 0, "Verdict: PASSED"},
		{ours + "@beside/contract.pdf.p7s", 0, "covers       contract.pdf"},
		{ours + "--json @beside/contract.pdf.p7s", 0, `"uncovered": []`},
		{ours + "@alone/contract.pdf.p7s", 2, "has no file that it belongs to"},
		{ours + "--content=@other.pdf @beside/contract.pdf.p7s", 1, "does not match the file"},
		{ours + "--content=@beside/contract.pdf @contract.pem", 0, "PASSED"},
		{ours + "--content=@beside/contract.pdf @beside/contract.b64", 0, "PASSED"},
		{ours + "@contract.pdf.p7m", 0, "covers       contract.pdf"},
		{ours + "--content=@beside/contract.pdf @contract.pdf.p7m", 0, "PASSED"},
		{ours + "--content=@other.pdf @contract.pdf.p7m", 1, "other.pdf is not signed"},
		{ours + "--content=@beside/contract.pdf @rubbish.bin", 1, "cannot be read"},
		{ours + "@anna.pem", 0, "X.509"},
		{ours + "@anna.der", 0, "X.509"},
		{"--at=2026-06-01T12:00:00Z @anna.der", 2, "X.509"},
		{"--trust=@trust/root.pem --at=2026-06-01T12:00:00Z @anna.pem", 2, "TRY_LATER"},
		{"--trust=@trust/root.pem --crl=@trust/root.crl --at=2026-06-01T12:00:00Z @anna.pem", 0, "PASSED"},
		{"--intermediates=@trust/root.pem --crl=@trust/root.crl --at=2026-06-01T12:00:00Z @anna.pem", 2, "NO_CERTIFICATE_CHAIN_FOUND"},
	} {
		t.Run(c.args, func(t *testing.T) {
			code, out, errs := k.verify(t, "", strings.Fields(c.args)...)
			if code != c.code || !strings.Contains(out, c.out) {
				t.Errorf("exit %d, want %d and %q\n%s%s", code, c.code, c.out, out, errs)
			}
		})
	}
}

// TestVerifyUsage has what is not a verdict: exit 4, nothing on standard output.
func TestVerifyUsage(t *testing.T) {
	k := newVerifyKit(t)
	for _, args := range []string{
		"", "@absent.eml", "@trust", "@rubbish.bin", "@file.pdf", "--at=yesterday @letter.eml", "--nonsense @letter.eml",
		"--trust=@absent @letter.eml", "--trust=@empty @letter.eml", "--trust=@file.pdf @letter.eml", "--crl=@file.pdf @letter.eml",
		"--intermediates=@file.pdf @letter.eml", "--content=@absent @contract.pdf.p7m", "--content=@trust @contract.pdf.p7m",
		"@letter.eml @lf.eml",
	} {
		code, out, errs := k.verify(t, "", strings.Fields(args)...)
		if code != 4 || out != "" || errs == "" {
			t.Errorf("verify %s: exit %d\n%s%s", args, code, out, errs)
		}
	}
}

// TestVerifyStandardInput: - is a letter or a signature like any other.
func TestVerifyStandardInput(t *testing.T) {
	k := newVerifyKit(t)
	for _, c := range []struct{ file, args string }{
		{"letter.eml", "--trust=RECORDED/root.pem --crl=RECORDED/root.crl --at=2026-06-01T12:00:00Z -"},
		{"lf.eml", "--trust=RECORDED/root.pem --crl=RECORDED/root.crl --at=2026-06-01T12:00:00Z -"},
		{"beside/contract.pdf.p7s", "--trust=@trust --content=@beside/contract.pdf --at=2026-06-01T12:00:00Z -"},
		{"anna.pem", "--trust=@trust --at=2026-06-01T12:00:00Z -"},
	} {
		b, err := os.ReadFile(filepath.Join(k.dir, c.file))
		if err != nil {
			t.Fatal(err)
		}
		if code, out, errs := k.verify(t, string(b), strings.Fields(c.args)...); code != 0 {
			t.Errorf("%s: exit %d\n%s%s", c.file, code, out, errs)
		}
	}
}

// TestVerifyJSON holds the names that scripts rely on.
func TestVerifyJSON(t *testing.T) {
	k := newVerifyKit(t)
	_, out, _ := k.verify(t, "", "--json", "--trust=RECORDED/root.pem", "--crl=RECORDED/root.crl", "--at=2026-06-01T12:00:00Z", "@letter.eml")
	var f map[string]any
	if err := json.Unmarshal([]byte(out), &f); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"verdict", "indication", "subindication", "signatures", "uncovered"} {
		if _, ok := f[name]; !ok {
			t.Errorf("no %q in %v", name, slices.Sorted(maps.Keys(f)))
		}
	}
	signature := f["signatures"].([]any)[0].(map[string]any)
	for _, name := range []string{"format", "algorithm", "signer", "email", "serial", "claimed_time", "best_time", "indication", "subindication", "checks", "covers"} {
		if signature[name] == nil {
			t.Errorf("no %q in a signature", name)
		}
	}
	if signature["email"] != "anna@a.test" || signature["best_time"] != "2026-06-01T12:00:00Z" || f["indication"] != "TOTAL-PASSED" {
		t.Errorf("%v", f)
	}
	if strings.Contains(out, ": null") {
		t.Errorf("a null:\n%s", out)
	}
}
