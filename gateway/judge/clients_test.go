package judge

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store/rem"
)

var update = flag.Bool("update", false, "make testdata/clients anew with the installed openssl and s-nail")

const clients = "testdata/clients"

// TestClients judges letters that real programs made. Each .eml has its .want:
// verdict, reason, covers. Of every letter that passes, a copy with one changed
// octet of content must fail.
func TestClients(t *testing.T) {
	if *update {
		makeClients(t)
	}
	letters, err := filepath.Glob(clients + "/*.eml")
	if err != nil || len(letters) < 12 {
		t.Fatalf("%d letters, %v", len(letters), err)
	}
	k := kit{t: t, verifier: clientVerifier(t)}
	for _, name := range letters {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".eml"), func(t *testing.T) {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(name, ".eml") + ".want")
			if err != nil {
				t.Fatal(err)
			}
			k := k
			k.t = t
			f := k.judge(string(raw), k.request())
			if got := summary(f); got != string(want) {
				t.Fatalf("got\n%s(%s)\nwant\n%s", got, f.Detail, want)
			}
			if f.Verdict == rem.Passed {
				changedFails(t, k, string(raw))
			}
		})
	}
}

// changedFails changes the one octet that all letters have in plain sight or
// in base64.
func changedFails(t *testing.T, k kit, raw string) {
	t.Helper()
	changed := strings.Replace(raw, "agree", "agrEe", 1)
	if changed == raw {
		changed = strings.Replace(raw, "TUNDTTIz", "TUNDTTIx", 1) // "MCCM23" of the file, in base64
	}
	if changed == raw {
		at := strings.Index(raw, "\r\n\r\nMI") + 900 // into the content of an opaque signature
		changed = raw[:at] + string(rotate(raw[at])) + raw[at+1:]
	}
	if f := k.judge(changed, k.request()); f.Verdict == rem.Passed {
		t.Errorf("changed: %s %s", f.Verdict, f.Detail)
	}
}

// rotate gives another base64 letter.
func rotate(c byte) byte {
	if c == 'A' {
		return 'B'
	}
	return 'A'
}

func summary(f rem.Finding) string {
	s := string(f.Verdict) + " " + string(f.Reason) + "\n"
	for _, sig := range f.Signatures {
		s += strings.Join([]string{sig.Place, sig.Format, sig.Algorithm, sig.Signer, strings.TrimSpace(sig.Indication + " " + sig.SubIndication), strings.Join(sig.Covers, ",")}, "|") + "\n"
	}
	return s
}

func clientVerifier(t testing.TB) *signer.Verifier {
	t.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(clients, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	roots, err := pki.ParsePEMOrDER(read("root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	crls, err := pki.ParseCRLs(read("root.crl"))
	if err != nil {
		t.Fatal(err)
	}
	return &signer.Verifier{Trust: pki.NewTrustStore([]pki.Anchor{{Certificate: roots[0], Kind: pki.Unqualified}}, nil, crls)}
}

// maker runs the programs in a folder of its own.
type maker struct {
	t   *testing.T
	dir string
}

func (m maker) path(name string) string { return filepath.Join(m.dir, name) }

func (m maker) write(name, content string) {
	if err := os.WriteFile(m.path(name), []byte(content), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m maker) run(program string, args ...string) []byte {
	m.t.Helper()
	cmd := exec.Command(program, args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = m.dir, &out, &errs
	cmd.Env = append(os.Environ(), "HOME="+m.dir, "SOURCE_DATE_EPOCH=1780315200")
	if err := cmd.Run(); err != nil {
		m.t.Fatalf("%s %v: %v\n%s", program, args, err, errs.String())
	}
	return out.Bytes()
}

func (m maker) party(name string, p cmstest.Party) {
	key, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))+pemText("CERTIFICATE", p.Certificate.Raw))
}

// crlf is what a mail program does when it submits a letter that it keeps with
// LF line ends.
func crlf(b []byte) string {
	return strings.ReplaceAll(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n", "\r\n")
}

// makeClients makes the set. Keys are thrown away.
func makeClients(t *testing.T) {
	m := maker{t, t.TempDir()}
	if err := errorsOf(os.RemoveAll(clients), os.MkdirAll(clients, 0o755)); err != nil {
		t.Fatal(err)
	}
	root := cmstest.NewRoot(t, "Clients Root")
	anna := func(kind cmstest.KeyKind) cmstest.Party {
		return root.Issue(t, cmstest.NewKey(t, kind), "Anna", func(c *x509.Certificate) { c.EmailAddresses = []string{"anna@a.test"} })
	}
	for _, kind := range kinds {
		m.party(string(kind), anna(kind))
	}
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(clients, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("root.pem", pemText("CERTIFICATE", root.Certificate.Raw))
	write("root.crl", pemText("X509 CRL", root.CRL(t)))
	m.write("body.txt", "I agree.\nЯ согласна.\n.\nFrom now on.\n")
	m.write("contract.pdf", pdf+"MCCM23")
	for name, raw := range m.letters() {
		write(name+".eml", raw)
		k := kit{t: t, verifier: clientVerifier(t)}
		write(name+".want", summary(k.judge(raw, k.request())))
	}
}

func (m maker) letters() map[string]string {
	openssl := func(command string, args ...string) string {
		envelope := []string{command, "-sign", "-in", "body.txt", "-from", "anna@a.test", "-to", "boris@b.test", "-subject", "Contract"}
		return crlf(m.run("openssl", append(envelope, args...)...))
	}
	detached := func(form string) string {
		sig := m.run("openssl", "cms", "-sign", "-binary", "-in", "contract.pdf", "-signer", "ecdsa.pem", "-outform", form)
		return letter(mixed(text("See."), file("contract.pdf", pdf+"MCCM23"), file("contract.pdf.p7s", string(sig))))
	}
	enveloping := m.run("openssl", "cms", "-sign", "-binary", "-nodetach", "-in", "contract.pdf", "-signer", "ecdsa.pem", "-outform", "DER")
	m.write("entity.txt", mixed(text("I agree."), file("contract.pdf", pdf+"MCCM23"), file("second.pdf.sig", string(enveloping))))
	opaque := letter(p7m(m.run("openssl", "cms", "-sign", "-nodetach", "-in", "entity.txt", "-signer", "rsa.pem", "-outform", "DER")))
	snail := func(cert string, args ...string) string {
		os.Remove(m.path("out.eml"))
		in := append([]string{"-c", `s-nail -n -S v15-compat -S mta=test://out.eml -S from=anna@a.test -S ttycharset=utf-8 ` +
			`-S smime-sign -S smime-sign-cert="$0" -S smime-sign-digest=sha256 -s "Договор" "$@" boris@b.test < body.txt`, cert}, args...)
		m.run("sh", in...)
		b, err := os.ReadFile(m.path("out.eml"))
		if err != nil {
			m.t.Fatal(err)
		}
		_, saved, _ := bytes.Cut(b, []byte("\n")) // without the mbox line
		return crlf(saved)
	}
	return map[string]string{
		"01-openssl-smime-rsa":        openssl("smime", "-text", "-signer", "rsa.pem"),
		"02-openssl-cms-ecdsa":        openssl("cms", "-text", "-signer", "ecdsa.pem"),
		"03-openssl-cms-two-signers":  openssl("cms", "-text", "-signer", "rsa.pem", "-signer", "ecdsa.pem"),
		"04-openssl-opaque":           openssl("cms", "-text", "-nodetach", "-signer", "rsa.pem"),
		"05-openssl-opaque-stream":    openssl("cms", "-text", "-nodetach", "-stream", "-signer", "ecdsa.pem"),
		"06-openssl-cades":            openssl("cms", "-text", "-cades", "-signer", "ecdsa.pem"),
		"07-openssl-pss":              openssl("cms", "-text", "-signer", "rsa.pem", "-keyopt", "rsa_padding_mode:pss"),
		"08-openssl-keyid":            openssl("cms", "-text", "-keyid", "-signer", "rsa.pem"),
		"09-openssl-no-attributes":    openssl("cms", "-text", "-noattr", "-signer", "rsa.pem"),
		"10-openssl-sha1":             openssl("cms", "-text", "-md", "sha1", "-signer", "rsa.pem"),
		"11-openssl-sha512":           openssl("cms", "-text", "-md", "sha512", "-signer", "ecdsa.pem"),
		"12-openssl-no-certificate":   openssl("cms", "-text", "-nocerts", "-signer", "rsa.pem"),
		"13-openssl-opaque-no-header": openssl("cms", "-nodetach", "-signer", "rsa.pem"),
		"14-openssl-file-der":         detached("DER"),
		"15-openssl-file-pem":         detached("PEM"),
		"16-openssl-file-enveloping":  letter(mixed(text("See."), file("contract.pdf.p7m", string(enveloping)))),
		"17-openssl-opaque-files":     opaque,
		"20-snail-text":               snail("rsa.pem"),
		"21-snail-file":               snail("rsa.pem", "-a", "contract.pdf"),
		"22-snail-ecdsa":              snail("ecdsa.pem", "-a", "contract.pdf"),
	}
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
