package main

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/signer/ca"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// trustKit is a folder of certificates and CRLs in every form.
type trustKit struct {
	dir           string
	root, issuing *ca.Authority
}

func newTrustKit(t *testing.T) trustKit {
	t.Helper()
	now := time.Now()
	k := trustKit{dir: t.TempDir()}
	var err error
	if k.root, err = ca.NewRoot(ca.Request{Subject: pkix.Name{CommonName: "Root \x1b[31m\u202e"}}, now); err != nil {
		t.Fatal(err)
	}
	if k.issuing, err = k.root.NewIssuing(ca.Request{Subject: pkix.Name{CommonName: "Issuing"}}, now); err != nil {
		t.Fatal(err)
	}
	other, err := ca.NewRoot(ca.Request{Subject: pkix.Name{CommonName: "Other"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	crl := func(a *ca.Authority, at time.Time) []byte {
		der, err := a.CRL([]ca.Revocation{{Serial: big.NewInt(7), Time: now}}, at, 24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	root := ca.MarshalCertificate(k.root.Certificate())
	for name, b := range map[string][]byte{
		"root.der": k.root.Certificate(), "root.pem": root, "issuing.pem": ca.MarshalCertificate(k.issuing.Certificate()),
		"both.pem":   append(bytes.Clone(root), ca.MarshalCertificate(other.Certificate())...),
		"broken.pem": append(bytes.Clone(root), []byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")...),
		"root.crl":   crl(k.root, now), "new.crl": crl(k.root, now.Add(time.Minute)),
		"ended.crl": crl(k.issuing, now.Add(-48*time.Hour)),
		"crls.pem":  append(ca.MarshalCRL(crl(k.root, now)), ca.MarshalCRL(crl(k.issuing, now))...),
		"text.txt":  []byte("no certificate\n"), "empty": nil,
	} {
		write(t, k.file(name), string(b), 0o644)
	}
	return k
}

func (k trustKit) file(name string) string { return filepath.Join(k.dir, name) }

func trustList(t *testing.T, dir string) []trustEntry {
	t.Helper()
	return decode[[]trustEntry](t, call(t, "", "trust", "list", "--json", "--data", dir))
}

// TestTrustAdd gives files in every form, each twice: the second time changes
// nothing.
func TestTrustAdd(t *testing.T) {
	k := newTrustKit(t)
	for _, c := range []struct {
		args, want string // want: types and kinds in the list
	}{
		{"root.pem", "anchor:unqualified"},
		{"root.der", "anchor:unqualified"},
		{"--kind=qualified root.pem", "anchor:qualified"},
		{"--kind=foreign both.pem", "anchor:foreign anchor:foreign"},
		{"root.pem root.der both.pem", "anchor:unqualified anchor:unqualified"},
		{"--intermediates=issuing.pem", "intermediate:"},
		{"--crl=root.crl", "crl:"},
		{"--crl=crls.pem", "crl: crl:"},
		{"--intermediates=issuing.pem --crl=crls.pem root.pem", "anchor:unqualified intermediate: crl: crl:"},
	} {
		t.Run(c.args, func(t *testing.T) {
			dir := emptyInstallation(t)
			args := []string{"trust", "add", "--data", dir}
			for _, a := range strings.Fields(c.args) {
				flag, name, found := strings.Cut(a, "=")
				switch {
				case flag == "--kind":
					args = append(args, a)
				case found:
					args = append(args, flag, k.file(name))
				default:
					args = append(args, k.file(a))
				}
			}
			var first []trustEntry
			for range 2 {
				call(t, "", args...).want(t, exitOK, "")
				var have []string
				list := trustList(t, dir)
				for _, e := range list {
					have = append(have, e.Type+":"+e.Kind)
				}
				if got := strings.Join(have, " "); got != c.want {
					t.Errorf("list has %s, want %s", got, c.want)
				}
				if first == nil {
					first = list
				} else if len(first) != len(list) || first[0].SHA256 != list[0].SHA256 {
					t.Errorf("adding again changed the list: %+v", list)
				}
			}
		})
	}
}

func TestTrustAddRefuses(t *testing.T) {
	k := newTrustKit(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{k.file("text.txt")}, "text.txt: no CERTIFICATE"},
		{[]string{k.file("empty")}, "empty: no CERTIFICATE"},
		{[]string{k.file("root.crl")}, "root.crl: "},
		{[]string{k.file("crls.pem")}, "crls.pem: no CERTIFICATE"},
		{[]string{k.file("broken.pem")}, "broken.pem: "},
		{[]string{"--intermediates", k.file("text.txt")}, "text.txt: no CERTIFICATE"},
		{[]string{"--crl", k.file("root.pem")}, "root.pem: no X509 CRL"},
		{[]string{"--crl", k.file("root.der")}, "root.der: "},
		{[]string{"--crl", k.file("empty")}, "empty: no X509 CRL"},
	} {
		dir := emptyInstallation(t)
		call(t, "", append([]string{"trust", "add", "--data", dir}, c.args...)...).want(t, exitFail, c.want)
		if list := trustList(t, dir); len(list) > 0 {
			t.Errorf("%q adds %+v", c.args, list)
		}
		if rows, err := database(t, dir).AuditTrail(t.Context(), store.Page{}); err != nil || len(rows) > 0 {
			t.Errorf("%q: audit %+v, %v", c.args, rows, err)
		}
	}
}

// TestTrustAddPartly: one bad file does not undo the good ones, and the audit
// has what was added.
func TestTrustAddPartly(t *testing.T) {
	k, dir := newTrustKit(t), emptyInstallation(t)
	call(t, "", "trust", "add", "--data", dir, k.file("text.txt"), k.file("root.pem")).want(t, exitFail, "text.txt")
	if list := trustList(t, dir); len(list) != 1 {
		t.Errorf("%+v", list)
	}
	rows, err := database(t, dir).AuditTrail(t.Context(), store.Page{})
	if want := "unqualified anchor " + rem.DigestOf(k.root.Certificate()).String(); err != nil || len(rows) != 1 || rows[0].Detail != want {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestTrustList(t *testing.T) {
	k, dir := newTrustKit(t), emptyInstallation(t)
	if a := call(t, "", "trust", "list", "--json", "--data", dir); a.out != "[]\n" {
		t.Errorf("of nothing: %s", a.out)
	}
	call(t, "", "trust", "add", "--data", dir, "--intermediates", k.file("issuing.pem"), "--crl", k.file("root.crl"), k.file("root.pem")).want(t, exitOK, "")
	text := call(t, "", "trust", "list", "--data", dir)
	text.want(t, exitOK, "unqualified")
	text.want(t, exitOK, `CN=Root \1B[31m\E2\80\AE`)
	list := decode[[]json.RawMessage](t, call(t, "", "trust", "list", "--json", "--data", dir))
	if len(list) != 3 {
		t.Fatalf("%d entries", len(list))
	}
	sameKeys(t, "anchor", list[0], "type", "kind", "name", "sha256")
	sameKeys(t, "intermediate", list[1], "type", "name", "sha256")
	sameKeys(t, "crl", list[2], "type", "name", "sha256", "next_update")

	text.want(t, exitOK, "until 20")

	older := trustList(t, dir)[2]
	call(t, "", "trust", "add", "--data", dir, "--crl", k.file("new.crl")).want(t, exitOK, "")
	newer := trustList(t, dir)[2]
	b, err := os.ReadFile(k.file("new.crl"))
	if err != nil || newer.SHA256 != rem.DigestOf(b) || !newer.NextUpdate.After(*older.NextUpdate) {
		t.Errorf("the newer list: %+v after %+v, %v", newer, older, err)
	}
	call(t, "", "trust", "add", "--data", dir, "--crl", k.file("root.crl")).want(t, exitOK, "")
	if list := trustList(t, dir); list[2].SHA256 != newer.SHA256 {
		t.Error("an older list took the place of a newer one")
	}
	call(t, "", "trust", "add", "--data", dir, "--crl", k.file("ended.crl")).want(t, exitOK, "")
	call(t, "", "trust", "list", "--data", dir).want(t, exitOK, "ended 20")
}

func TestTrustRemove(t *testing.T) {
	k, dir := newTrustKit(t), emptyInstallation(t)
	call(t, "", "trust", "add", "--data", dir, k.file("root.pem")).want(t, exitOK, "")
	sha := rem.DigestOf(k.root.Certificate()).String()
	call(t, "", "trust", "remove", "--data", dir, sha).want(t, exitOK, "")
	if list := trustList(t, dir); len(list) > 0 {
		t.Errorf("%+v", list)
	}
	call(t, "", "trust", "remove", "--data", dir, sha).want(t, exitFail, "not found")
	rows, err := database(t, dir).AuditTrail(t.Context(), store.Page{})
	if err != nil || len(rows) != 2 || rows[0].Action != "trust remove" || rows[0].Detail != sha {
		t.Errorf("%+v, %v", rows, err)
	}
}
