package e2e

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// receivedMail is a notice as a mail client reads it.
type receivedMail struct {
	raw        []byte
	header     mail.Header
	text, html string
}

var linkPattern = regexp.MustCompile(`https://[^\s"<>]+/l/[A-Za-z0-9_-]{43}`)

func readMail(t *testing.T, path string) receivedMail {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return mailOf(t, raw)
}

func mailOf(t *testing.T, raw []byte) receivedMail {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	out := receivedMail{raw: raw, header: m.Header}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		if enc := p.Header.Get("Content-Transfer-Encoding"); strings.EqualFold(enc, "base64") {
			b = must(t, b, "base64", "-d", "-i")
		} else if strings.EqualFold(enc, "quoted-printable") {
			b, _ = io.ReadAll(quotedprintable.NewReader(bytes.NewReader(b)))
		}
		switch kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type")); kind {
		case "text/plain":
			out.text = string(b)
		case "text/html":
			out.html = string(b)
		}
	}
	return out
}

// link is the one link of a notice.
func (m receivedMail) link(t *testing.T) string {
	t.Helper()
	inText, inHTML := linkPattern.FindAllString(m.text, -1), linkPattern.FindAllString(m.html, -1)
	if len(inText) != 1 || len(inHTML) == 0 {
		t.Fatalf("links: %q and %q", inText, inHTML)
	}
	for _, l := range inHTML {
		if l != inText[0] {
			t.Fatalf("two links: %s and %s", l, inText[0])
		}
	}
	return inText[0]
}

// delivered submits a good letter and returns each recipient's notice.
func (d *demo) delivered(t *testing.T, from party, letter []byte, recipients ...string) []receivedMail {
	t.Helper()
	known := d.mails(t)
	if r := d.submit(t, from, letter, recipients...); r.code != 250 {
		t.Fatalf("%d %s", r.code, r.text)
	}
	var out []receivedMail
	for _, to := range recipients {
		out = append(out, readMail(t, d.notice(t, known, to)))
	}
	return out
}

// TestDelivery sends to one local and one outside recipient and a Bcc.
func TestDelivery(t *testing.T) {
	d := running(t)
	anna := d.party(t, "anna")
	to := []string{"boris@demo.test", "guest-delivery@example.net", "hidden-delivery@example.org"}
	letter := signedLetter(t, anna, to[0]+", "+to[1], file{"contract.pdf", []byte("%PDF-1.4 x\n")})
	before := len(d.evidenceOf(t, "SubmissionAcceptance"))
	notices := d.delivered(t, anna, letter, to...)
	links := map[string]bool{}
	for i, m := range notices {
		links[m.link(t)] = true
		for j, other := range to {
			if i != j && (bytes.Contains(m.raw, []byte(other)) || strings.Contains(m.text, other) || strings.Contains(m.html, other)) {
				t.Errorf("the notice to %s names %s", to[i], other)
			}
		}
		if a, err := mail.ParseAddress(m.header.Get("Reply-To")); err != nil || a.Address != anna.Email {
			t.Errorf("Reply-To %q", m.header.Get("Reply-To"))
		}
		for _, remote := range []string{"src=\"http", "url(", "<img", "<script", "<link"} {
			if strings.Contains(strings.ToLower(m.html), remote) {
				t.Errorf("the notice has %s", remote)
			}
		}
		if !strings.Contains(m.text, "contract.pdf") {
			t.Error("the notice does not name the file")
		}
	}
	if len(links) != 3 {
		t.Errorf("%d different links", len(links))
	}
	list := d.evidenceOf(t, "SubmissionAcceptance")
	if len(list) != before+1 {
		t.Fatalf("%d acceptances", len(list)-before)
	}
	id := list[len(list)-1].Submission

	// The same letter once more is the same submission: nobody is told again.
	mails := len(d.mails(t))
	if r := d.submit(t, anna, letter, to...); r.code != 250 || !strings.Contains(r.text, id) {
		t.Errorf("retry: %d %s", r.code, r.text)
	}
	if len(d.evidenceOf(t, "SubmissionAcceptance")) != before+1 || len(d.mails(t)) != mails {
		t.Error("a retry was accepted twice")
	}
	// The same signed bytes to somebody else are a new submission that says so.
	again := bytes.Replace(letter, []byte("Subject: "), []byte("Subject: again "), 1)
	again = regexp.MustCompile(`Message-ID: <`).ReplaceAll(again, []byte("Message-ID: <again."))
	d.delivered(t, anna, again, "other-delivery@example.net")
	list = d.evidenceOf(t, "SubmissionAcceptance")
	out, _ := d.cryptogramm(t, "evidence", "show", list[len(list)-1].ID, "--data", d.dir)
	if !strings.Contains(out, `\"repeats\":\"`+id+`\"`) {
		t.Errorf("the repetition is not flagged: %s", out)
	}
	d.fsck(t)
}

// TestRealClients sends the way people do: s-nail signs by itself, swaks
// speaks STARTTLS with AUTH LOGIN.
func TestRealClients(t *testing.T) {
	d := running(t)
	anna := d.party(t, "anna")
	dir := t.TempDir()
	both := filepath.Join(dir, "both.pem")
	key, err := os.ReadFile(anna.Key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := os.ReadFile(anna.Cert)
	if err != nil {
		t.Fatal(err)
	}
	contract := filepath.Join(dir, "договор.pdf")
	if err := os.WriteFile(both, append(key, cert...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(contract, []byte("%PDF-1.4 s-nail\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	known := d.mails(t)
	cmd := exec.Command("s-nail", "-:/", "-S", "v15-compat", "-S", "mta=smtps://"+strings.Replace(d.SMTP.Submissions, "127.0.0.1", "localhost", 1), "-S", "user="+anna.Email, "-S", "password="+anna.Password,
		"-S", "smtp-auth=plain", "-S", "tls-ca-file="+d.CA, "-S", "tls-ca-no-defaults", "-S", "from="+anna.Email, "-S", "smime-sign",
		"-S", "smime-sign-cert="+both, "-S", "smime-sign-digest=sha256", "-S", "ttycharset=utf-8", "-s", "Договор", "-a", contract, "boris@demo.test", "guest-snail@example.net")
	cmd.Stdin = strings.NewReader("Просим подписать.\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("s-nail: %v\n%s", err, out)
	}
	m := readMail(t, d.notice(t, known, "guest-snail@example.net"))
	if !strings.Contains(m.text, "договор.pdf") {
		t.Errorf("the notice does not name the file:\n%s", m.text)
	}

	good := signedLetter(t, anna, "boris@demo.test", file{"a.txt", []byte("swaks\n")})
	for name, letter := range map[string][]byte{"good": good, "changed": bytes.Replace(good, []byte("document attached"), []byte("document detached"), 1)} {
		path := filepath.Join(dir, name+".eml")
		letter = bytes.ReplaceAll(letter, []byte("\r\n"), []byte("\n")) // swaks makes CRLF of it
		if err := os.WriteFile(path, letter, 0o600); err != nil {
			t.Fatal(err)
		}
		host, port, _ := strings.Cut(d.SMTP.Submission, ":")
		out, err := exec.Command("swaks", "--server", host, "--port", port, "--tls", "--auth", "LOGIN", "--auth-user", anna.Email, "--auth-password", anna.Password,
			"--from", anna.Email, "--to", "boris@demo.test", "--data", "@"+path).CombinedOutput()
		if (err == nil) != (name == "good") {
			t.Errorf("swaks %s: %v\n%s", name, err, out)
		}
		if name == "changed" && !bytes.Contains(out, []byte("550-5.7.7")) {
			t.Errorf("swaks was not told:\n%s", out)
		}
	}
}
