package e2e

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// curl asks one IMAP URL and returns the octets and the exit code.
func (m mailbox) curl(t *testing.T, url string, more ...string) ([]byte, int) {
	t.Helper()
	args := append([]string{"-sS", "--cacert", m.CA, "--user", m.User + ":" + m.Password, "--url", url}, more...)
	cmd := exec.Command("curl", args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if errs.Len() > 0 {
		t.Logf("curl %s: %s", url, errs.String())
	}
	return out.Bytes(), cmd.ProcessState.ExitCode()
}

// TestCurl reads a mailbox with URLs (RFC 5092).
func TestCurl(t *testing.T) {
	d := running(t)
	p := d.newParty(t, "curl")
	letter := signedLetter(t, p, "guest-curl@example.net", file{"a.pdf", bytes.Repeat([]byte("%PDF curl\n"), 9000)})
	d.delivered(t, p, letter, "guest-curl@example.net")
	d.mailbox(p).reads(t, "Sent", letter)
}

// reads demands a letter, the only one of a folder with its subject, in every
// way curl can ask for it.
func (m mailbox) reads(t *testing.T, folder string, letter []byte) {
	t.Helper()
	w := m.open(t, folder)
	uid := w.await("ALL")
	base := "imaps://" + m.IMAPS + "/"
	list, code := m.curl(t, base)
	for _, f := range folders {
		if code != 0 || !bytes.Contains(list, []byte("\" "+f+"\r\n")) && !bytes.Contains(list, []byte("\" \""+f+"\"\r\n")) {
			t.Errorf("%s is not listed, exit %d:\n%s", f, code, list)
		}
	}
	one := fmt.Sprintf("%s%s;UID=%d", base, folder, uid)
	_, body, _ := bytes.Cut(letter, []byte("\r\n\r\n"))
	for url, want := range map[string][]byte{
		one: letter,
		fmt.Sprintf("%s%s;MAILINDEX=%d", base, folder, len(w.search("ALL"))): letter,
		one + ";SECTION=TEXT":                                  body,
		one + ";SECTION=HEADER.FIELDS%20(SUBJECT)":             []byte("Subject: " + field(letter, "Subject") + "\r\n\r\n"),
		one + ";SECTION=TEXT;PARTIAL=1000.50000":               body[1000:51000],
		one + ";SECTION=1.1":                                   []byte("Please find the document attached.\r\n"),
		one + ";SECTION=TEXT;PARTIAL=99999999.100":             nil,
		fmt.Sprintf("%s;PARTIAL=%d.900", one, len(letter)-300): letter[len(letter)-300:],
	} {
		if got, code := m.curl(t, url); code != 0 || !bytes.Equal(got, want) {
			t.Errorf("%s: exit %d, %d octets, want %d: %.80q", strings.TrimPrefix(url, base), code, len(got), len(want), got)
		}
	}
	subject := strings.Fields(field(letter, "Subject"))[0]
	if got, code := m.curl(t, base+folder+"?SUBJECT%20"+subject); code != 0 || !strings.HasPrefix(string(got), "* SEARCH") || len(strings.Fields(string(got))) != 3 {
		t.Errorf("search: exit %d, %q", code, got)
	}
	if got, code := m.curl(t, base+folder, "-X", `STATUS `+folder+` (MESSAGES UIDNEXT SIZE)`); code != 0 || !strings.Contains(string(got), "MESSAGES 1") {
		t.Errorf("STATUS: exit %d, %q", code, got)
	}

	// The other port: TLS first, or nothing at all.
	plain := "imap://" + m.IMAP + "/"
	if got, code := m.curl(t, plain+strings.TrimPrefix(one, base), "--ssl-reqd"); code != 0 || !bytes.Equal(got, letter) {
		t.Errorf("STARTTLS: exit %d, %d octets", code, len(got))
	}
	if got, code := m.curl(t, plain); code != loginDenied || len(got) != 0 {
		t.Errorf("a password in the clear: exit %d, %q", code, got)
	}
	wrong := m
	wrong.Password = "wrong " + m.Password
	if _, code := wrong.curl(t, base); code != loginDenied {
		t.Errorf("a wrong password: exit %d", code)
	}
}

// loginDenied is CURLE_LOGIN_DENIED.
const loginDenied = 67
