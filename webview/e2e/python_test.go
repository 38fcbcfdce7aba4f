package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// python runs testdata/mailbox.py on a mailbox whose Sent holds letter alone.
func (m mailbox) python(t *testing.T, letter, other []byte) {
	t.Helper()
	dir := t.TempDir()
	number, err := strconv.Atoi(port(m.IMAPS))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]any{"port": number, "user": m.User, "password": m.Password, "ca": m.CA,
		"letter": filepath.Join(dir, "letter.eml"), "other": filepath.Join(dir, "other.eml")}
	configure(t, filepath.Join(dir, "letter.eml"), string(letter))
	configure(t, filepath.Join(dir, "other.eml"), string(other))
	stdin, err := json.Marshal(told)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("python3", filepath.Join("testdata", "mailbox.py"))
	cmd.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8")
	cmd.Stdin = bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("mailbox.py: %v\n%s", err, out)
	}
}

// TestPython goes through a mailbox with imaplib.
func TestPython(t *testing.T) {
	d := running(t)
	p := d.newParty(t, "python")
	inner := mixed("inner", note("Please find the document attached."), file{"a.pdf", bytes.Repeat([]byte("%PDF python\n"), 9000)}.entity())
	letter := headers(p.Email, "guest-python@example.net", "Contract: =?utf-8?b?0LTQvtCz0L7QstC+0YA=?= 7", smime(inner, sign(t, p, inner)))
	d.delivered(t, p, letter, "guest-python@example.net")
	other := headers(p.Email, "guest-python@example.net", "Never sent", smime(inner, sign(t, p, inner)))
	d.mailbox(p).open(t, "Sent").await("ALL")
	d.mailbox(p).python(t, letter, other)
	d.fsck(t)
}
