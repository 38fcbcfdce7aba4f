package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/document"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// The evidence file of a receipt is checked without anything else.
func TestVerifyEvidenceFile(t *testing.T) {
	e := rem.Attest(rem.ContentHandover, "consignment", 0, time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), rem.Record{Sender: "anna@a.test", Recipient: "bob@b.test"})
	record, err := rem.Canonical(e.Record)
	if err != nil {
		t.Fatal(err)
	}
	salt := []byte("0123456789abcdef")
	good, err := document.EvidenceFile{Gateway: "gate.test", Salt: salt, Record: record, Digest: rem.DigestOf(append(salt[:len(salt):len(salt)], record...))}.JSON()
	if err != nil {
		t.Fatal(err)
	}
	k := verifyKit{dir: t.TempDir()}
	for _, c := range []struct {
		name, content string
		code          int
		out           string
	}{
		{"good.json", string(good), 0, "ContentHandover of 2026-06-01T12:00:00.000000Z, evidence " + e.ID + " of gate.test"},
		{"edited.json", "\n" + string(good) + "\r\n", 0, "Verdict: PASSED"},
		{"changed.json", strings.Replace(string(good), "bob@", "eve@", 1), 1, "it was changed"},
		{"pretty.json", strings.Replace(string(good), ",", ",\n", 1), 4, ""},
		{"other.json", `{"format":"cryptogramm-report/1"}`, 4, ""},
	} {
		if err := os.WriteFile(filepath.Join(k.dir, c.name), []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errs := k.verify(t, "", "@"+c.name)
		if code != c.code || !strings.Contains(out, c.out) {
			t.Errorf("%s: exit %d, want %d and %q\n%s%s", c.name, code, c.code, c.out, out, errs)
		}
	}
	if code, out, _ := k.verify(t, string(good), "--json", "-"); code != 0 || !bytes.Contains([]byte(out), []byte(`"verdict": "passed"`)) || strings.Contains(out, "TOTAL-PASSED") {
		t.Errorf("from standard input: exit %d\n%s", code, out)
	}
}
