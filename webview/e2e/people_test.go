package e2e

import (
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// newParty is somebody whose mailbox no other test has touched: an account
// made by the operator and a certificate of the demo's issuer.
func (d *demo) newParty(t *testing.T, local string) party { return d.newPartyIn(t, local, "en") }

// newPartyIn is newParty for somebody who reads "en" or "ru".
func (d *demo) newPartyIn(t *testing.T, local, language string) party {
	t.Helper()
	dir := t.TempDir()
	local += "-" + serial()[1:7] // a test that is run again has another party
	p := party{Email: local + "@demo.test", Name: "Party " + local, Password: rand.Text(),
		Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	add := exec.Command(d.bin, "user", "add", "--data", d.dir, "--language", language, "--name", p.Name, p.Email)
	add.Stdin = strings.NewReader(p.Password + "\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("user add: %v\n%s", err, out)
	}
	request, usage := filepath.Join(dir, "request.pem"), filepath.Join(dir, "usage")
	must(t, nil, "openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", p.Key, "-out", request, "-subj", "/O=Cryptogramm demo/CN="+p.Name)
	extensions := "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,nonRepudiation\nextendedKeyUsage=emailProtection\n" +
		"subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nsubjectAltName=email:" + p.Email + "\n"
	if err := os.WriteFile(usage, []byte(extensions), 0o600); err != nil {
		t.Fatal(err)
	}
	authority := filepath.Dir(d.CA)
	must(t, nil, "openssl", "x509", "-req", "-in", request, "-days", "30", "-extfile", usage, "-out", p.Cert,
		"-CA", filepath.Join(authority, "issuing.pem"), "-CAkey", filepath.Join(authority, "issuing.key"), "-set_serial", "0x"+serial())
	must(t, nil, "cp", filepath.Join(authority, "issuing.pem"), dir)
	return p
}

// serial is a positive random number in hexadecimal digits.
func serial() string {
	const digits = "0123456789abcdef"
	b := make([]byte, 16)
	rand.Read(b)
	for i := range b {
		b[i] = digits[b[i]&15]
	}
	return "1" + string(b)
}

// take follows a link as its claimed account and confirms; it returns the
// consignment's page.
func (b *tab) take(link string) string {
	b.t.Helper()
	b.open(link)
	b.press(`form[action="/letter"] button`)
	if p := b.path(); !strings.HasPrefix(p, "/received/") {
		b.t.Fatalf("after confirming: %s", p)
	}
	return b.path()
}
