package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// terminal is a program on a terminal of its own: what it has painted so far,
// and the keyboard.
type terminal struct {
	painted chan []byte
	keys    io.Writer
	seen    []byte
}

// onTerminal runs a command line under script(1).
func onTerminal(t *testing.T, home, command string) *terminal {
	t.Helper()
	cmd := exec.Command("script", "-qec", "stty cols 140 rows 50; "+command, "/dev/null")
	cmd.Env = append(os.Environ(), "HOME="+home, "TERM=xterm", "LANG=C.UTF-8", "LC_ALL=C.UTF-8")
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &terminal{painted: make(chan []byte, 100), keys: keys}
	go func() {
		defer close(s.painted)
		for {
			b := make([]byte, 4096)
			n, err := out.Read(b)
			if err != nil {
				return
			}
			s.painted <- b[:n]
		}
	}()
	t.Cleanup(func() {
		keys.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return s
}

var escapes = regexp.MustCompile("\x1b[\\[(][0-9;?]*[a-zA-Z]|\x1b[=>]")

// await reads until the screen has shown what a pattern says.
func (s *terminal) await(t *testing.T, pattern string) []byte {
	t.Helper()
	want := regexp.MustCompile(pattern)
	limit := time.After(patience)
	for {
		plain := escapes.ReplaceAll(s.seen, []byte("\n"))
		if m := want.Find(plain); m != nil {
			return m
		}
		select {
		case b, open := <-s.painted:
			if !open {
				t.Fatalf("the program ended before it showed %s:\n%s", pattern, plain)
			}
			s.seen = append(s.seen, b...)
		case <-limit:
			t.Fatalf("the screen does not show %s:\n%s", pattern, plain)
		}
	}
}

// neomutt opens the last letter of a folder. S/MIME is checked by OpenSSL with
// the commands of NeoMutt's own sample smime.rc.
func (m mailbox) neomutt(t *testing.T, folder string) *terminal {
	t.Helper()
	dir := t.TempDir()
	rc := filepath.Join(dir, "neomuttrc")
	configure(t, rc, fmt.Sprintf(`set imap_user="%s"
set imap_pass="%s"
set imap_authenticators="plain:login"
set ssl_force_tls=yes
set ssl_ca_certificates_file="%[3]s"
set certificate_file="%[3]s"
set crypt_use_gpgme=no
set crypt_verify_sig=yes
set smime_is_default=yes
set smime_ca_location="%[3]s"
set smime_certificates="%[4]s"
set smime_keys="%[4]s"
set smime_verify_command="openssl smime -verify -inform DER -in %%s %%C -content %%f"
set smime_get_signer_cert_command="openssl smime -verify -in %%f -noverify -signer %%c -out /dev/null"
set smime_get_cert_email_command="openssl x509 -in %%f -noout -email"
set smime_pk7out_command="openssl smime -verify -in %%f -noverify -pk7out"
set folder="%[4]s"
set tmpdir="%[4]s"
set record=""
set prompt_after=no
unset wait_key
push "<last-entry><display-message>"
`, m.User, m.Password, m.CA, dir), filepath.Join(dir, "Mail"))
	return onTerminal(t, dir, fmt.Sprintf("neomutt -n -F %s -f imaps://%s/%s", rc, m.IMAPS, folder))
}

// TestNeomutt reads a receipt on a terminal.
func TestNeomutt(t *testing.T) {
	d := running(t)
	p := d.newParty(t, "neomutt")
	letter := signedLetter(t, p, "guest-neomutt@example.net", file{"a.pdf", []byte("%PDF neomutt\n")})
	d.delivered(t, p, letter, "guest-neomutt@example.net")
	far := d.mailbox(p)
	far.open(t, "Receipts").await("ALL")
	s := far.neomutt(t, "Receipts")
	said := s.await(t, `S/MIME signature [a-zA-Z ]*verified`)
	if !bytes.Contains(said, []byte("successfully")) {
		t.Errorf("%s:\n%s", said, escapes.ReplaceAll(s.seen, []byte("\n")))
	}
	s.await(t, "Verification successful")
}
