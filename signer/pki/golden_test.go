package pki

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The golden set was made with openssl: two houses (RSA, ECDSA), each a root and
// an issuing CA with name constraints and CRLs of June 2025, and signers who are
// in order or wrong in one way each. A .want file holds the verdict, the checks
// that do not pass, the e-mail addresses, and what openssl verify says itself.
func TestGolden(t *testing.T) {
	wants, err := filepath.Glob("testdata/openssl/*/*.want")
	if err != nil || len(wants) < 33 {
		t.Fatalf("%d golden cases, %v", len(wants), err)
	}
	for _, file := range wants {
		name := strings.TrimSuffix(file, ".want")
		t.Run(filepath.Base(filepath.Dir(file))+"/"+filepath.Base(name), func(t *testing.T) {
			want := readFile(t, file)
			dir := filepath.Dir(file)
			store := NewTrustStore([]Anchor{{certificateIn(t, dir, "root.pem"), Unqualified}},
				[]*Certificate{certificateIn(t, dir, "issuing.pem")}, append(crlsIn(t, dir, "root.crl"), crlsIn(t, dir, "issuing.crl")...))
			leaf := certificateIn(t, dir, filepath.Base(name)+".pem")
			p := store.Validate(PathRequest{Leaf: leaf, At: noon})
			got := line("verdict", string(p.Verdict.Indication), string(p.Verdict.SubIndication)) +
				line("checks", notPassed(p)...) + line("emails", leaf.Emails()...) + line("openssl", opensslVerify(t, dir, name+".pem"))
			if got != string(want) {
				t.Errorf("got\n%swant\n%s%+v", got, want, p.Checks)
			}
		})
	}
}

func line(key string, values ...string) string {
	return strings.TrimSpace(key+" "+strings.Join(values, " ")) + "\n"
}

func readFile(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func certificateIn(t *testing.T, dir, file string) *Certificate {
	t.Helper()
	all, err := ParsePEMOrDER(readFile(t, filepath.Join(dir, file)))
	if err != nil || len(all) != 1 {
		t.Fatalf("%s: %d certificates, %v", file, len(all), err)
	}
	return all[0]
}

func crlsIn(t *testing.T, dir, file string) []*CRL {
	t.Helper()
	all, err := ParseCRLs(readFile(t, filepath.Join(dir, file)))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// opensslVerify is the second opinion: "ok" or "refused".
func opensslVerify(t *testing.T, dir, leaf string) string {
	t.Helper()
	crls := filepath.Join(t.TempDir(), "crls.pem")
	both := append(readFile(t, filepath.Join(dir, "root.crl")), readFile(t, filepath.Join(dir, "issuing.crl"))...)
	if err := os.WriteFile(crls, both, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("openssl", "verify", "-x509_strict", "-attime", strconv.FormatInt(noon.Unix(), 10), "-purpose", "smimesign",
		"-crl_check_all", "-CRLfile", crls, "-CAfile", filepath.Join(dir, "root.pem"), "-untrusted", filepath.Join(dir, "issuing.pem"), leaf).CombinedOutput()
	switch {
	case err == nil:
		return "ok"
	case strings.Contains(string(out), "verification failed"):
		return "refused"
	}
	return fmt.Sprintf("said %q, %v", out, err)
}
