package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// must runs a real tool and returns what it printed.
func must(t *testing.T, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, errs.String())
	}
	return out
}

// sign makes a detached CMS signature over exactly these bytes.
func sign(t *testing.T, p party, content []byte) []byte {
	t.Helper()
	args := []string{"cms", "-sign", "-binary", "-md", "sha256", "-outform", "DER", "-signer", p.Cert, "-inkey", p.Key}
	if issuing := filepath.Join(filepath.Dir(p.Cert), "issuing.pem"); exists(issuing) {
		args = append(args, "-certfile", issuing)
	}
	return must(t, content, "openssl", args...)
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

type file struct {
	name string
	body []byte
}

// entity is a MIME part holding a file.
func (f file) entity() []byte {
	return append(crlf(fmt.Sprintf("Content-Type: application/octet-stream; name=%q\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=%q\n\n", f.name, f.name)), base64Lines(f.body)...)
}

func base64Lines(b []byte) []byte {
	var out []byte
	for s := base64.StdEncoding.EncodeToString(b); len(s) > 0; {
		n := min(76, len(s))
		out = append(append(out, s[:n]...), "\r\n"...)
		s = s[n:]
	}
	return out
}

func note(text string) []byte {
	return crlf("Content-Type: text/plain; charset=utf-8\n\n" + text + "\n")
}

// mixed puts parts into one multipart.
func mixed(boundary string, parts ...[]byte) []byte {
	out := crlf("Content-Type: multipart/mixed; boundary=" + boundary + "\n\n")
	for _, p := range parts {
		out = append(append(append(out, "--"+boundary+"\r\n"...), p...), "\r\n"...)
	}
	return append(out, "--"+boundary+"--\r\n"...)
}

// smime wraps an entity and its signature (RFC 8551 §3.5.3).
func smime(entity, signature []byte) []byte {
	out := crlf("Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=sig\n\n--sig\n")
	out = append(append(out, entity...), "\r\n--sig\r\n"...)
	out = append(out, crlf("Content-Type: application/pkcs7-signature; name=smime.p7s\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=smime.p7s\n\n")...)
	return append(append(out, base64Lines(signature)...), "\r\n--sig--\r\n"...)
}

var letters int

// headers makes a letter out of an entity.
func headers(from, to, subject string, entity []byte) []byte {
	letters++
	return append(crlf(fmt.Sprintf("From: %s\nTo: %s\nSubject: %s\nDate: Sun, 22 Nov 2026 10:00:00 +0000\nMessage-ID: <%d.%d@client.test>\nMIME-Version: 1.0\n",
		from, to, subject, os.Getpid(), letters)), entity...)
}

// signedLetter is the plain good case: a note and a file, all of it signed.
func signedLetter(t *testing.T, p party, to string, f file) []byte {
	t.Helper()
	inner := mixed("inner", note("Please find the document attached."), f.entity())
	return headers(p.Email, to, "Contract "+f.name, smime(inner, sign(t, p, inner)))
}

// reply is the server's answer to the end of DATA, as a client prints it.
type reply struct {
	code int
	text string
}

var lastReply = regexp.MustCompile(`(?m)^< (\d{3})[ -](.*?)\r?$`)

// submit sends exactly these bytes with curl and returns the last answer but
// that to QUIT.
func (d *demo) submit(t *testing.T, login party, letter []byte, recipients ...string) reply {
	t.Helper()
	name := filepath.Join(t.TempDir(), "letter.eml")
	if err := os.WriteFile(name, letter, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-sv", "--url", "smtps://" + d.SMTP.Submissions, "--cacert", d.CA, "--user", login.Email + ":" + login.Password,
		"--mail-from", login.Email, "--upload-file", name}
	for _, r := range recipients {
		args = append(args, "--mail-rcpt", r)
	}
	out, _ := exec.Command("curl", args...).CombinedOutput()
	var r reply
	for _, m := range lastReply.FindAllStringSubmatch(string(out), -1) {
		if m[1] == "221" || m[1] == "354" {
			continue
		}
		code := 0
		fmt.Sscan(m[1], &code)
		if code != r.code {
			r = reply{code: code}
		}
		r.text += m[2] + "\n"
	}
	if r.code == 0 {
		t.Fatalf("curl got no reply:\n%s", out)
	}
	return r
}
