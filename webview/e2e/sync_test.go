package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
)

// folders are what every account has.
var folders = []string{"Drafts", "INBOX", "Receipts", "Received", "Sent", "Trash"}

// mirror is a program that keeps a Maildir tree and a mailbox alike. run
// returns what it says it has changed, nothing when both were alike already.
type mirror struct {
	dir string
	run func(t *testing.T) (changes string)
}

// mbsync mirrors with isync. It shows its counters on a terminal only.
func (m mailbox) mbsync(t *testing.T) mirror {
	t.Helper()
	dir := t.TempDir()
	rc := filepath.Join(dir, "mbsyncrc")
	config := fmt.Sprintf(`IMAPStore far
Host localhost
Port %s
User %s
Pass %s
SSLType IMAPS
CertificateFile %s
AuthMechs LOGIN

MaildirStore near
Path %[5]s/mail/
Inbox %[5]s/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState %[5]s/state/
`, port(m.IMAPS), m.User, m.Password, m.CA, dir)
	configure(t, rc, config, filepath.Join(dir, "mail"), filepath.Join(dir, "state"))
	counters := regexp.MustCompile(`C: (\d+)/(\d+)  B: (\d+)/(\d+)  F: (\S+ \S+ \S+)  N: (\S+ \S+ \S+)`)
	return mirror{filepath.Join(dir, "mail"), func(t *testing.T) string {
		t.Helper()
		out, err := exec.Command("script", "-qec", "mbsync -c "+rc+" -a", "/dev/null").CombinedOutput()
		all := counters.FindAllStringSubmatch(string(out), -1)
		if err != nil || len(all) == 0 {
			t.Fatalf("mbsync: %v\n%s", err, out)
		}
		last := all[len(all)-1]
		if last[1] != last[2] || last[3] != last[4] || bytes.Contains(out, []byte("rror")) || bytes.Contains(out, []byte("Warning")) {
			t.Errorf("mbsync:\n%s", out)
		}
		const nothing = "+0/0 *0/0 #0/0"
		if last[5] == nothing && last[6] == nothing {
			return ""
		}
		return "far " + last[5] + ", near " + last[6]
	}}
}

// offlineimap mirrors with offlineimap3, which names every change.
func (m mailbox) offlineimap(t *testing.T) mirror {
	t.Helper()
	dir := t.TempDir()
	rc := filepath.Join(dir, "offlineimaprc")
	config := fmt.Sprintf(`[general]
accounts = all
metadata = %[1]s/meta
ui = basic
[Account all]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = %[1]s/mail
[Repository far]
type = IMAP
remotehost = localhost
remoteport = %[2]s
remoteuser = %[3]s
remotepass = %[4]s
ssl = yes
sslcacertfile = %[5]s
`, dir, port(m.IMAPS), m.User, m.Password, m.CA)
	configure(t, rc, config)
	idle := regexp.MustCompile(`^(OfflineIMAP |  Licensed|imaplib2 |\*\*\* |Establishing|Syncing |Creating |$)`)
	return mirror{filepath.Join(dir, "mail"), func(t *testing.T) string {
		t.Helper()
		out, err := exec.Command("offlineimap", "-c", rc, "-o").CombinedOutput()
		if err != nil || bytes.Contains(out, []byte("ERROR")) {
			t.Fatalf("offlineimap: %v\n%s", err, out)
		}
		var changes []string
		for l := range strings.SplitSeq(string(out), "\n") {
			if !idle.MatchString(l) {
				changes = append(changes, l)
			}
		}
		return strings.Join(changes, "\n")
	}}
}

func configure(t *testing.T, path, content string, dirs ...string) {
	t.Helper()
	for _, d := range dirs {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// files are the messages of one folder of the tree.
func (m mirror) files(t *testing.T, folder string) []string {
	t.Helper()
	var out []string
	for _, sub := range []string{"cur", "new"} {
		names, err := filepath.Glob(filepath.Join(m.dir, folder, sub, "*"))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, names...)
	}
	sort.Strings(out)
	return out
}

// only is the one message of a folder.
func (m mirror) only(t *testing.T, folder string) string {
	t.Helper()
	names := m.files(t, folder)
	if len(names) != 1 {
		t.Fatalf("%s holds %d messages", folder, len(names))
	}
	return names[0]
}

// flag adds Maildir flags to a message, as a mail program does.
func (m mirror) flag(t *testing.T, name, add string) {
	t.Helper()
	base, old, _ := strings.Cut(filepath.Base(name), ":2,")
	letters := strings.Split(strings.ReplaceAll(old, add, "")+add, "")
	sort.Strings(letters)
	next := filepath.Join(filepath.Dir(filepath.Dir(name)), "cur", base+":2,"+strings.Join(letters, ""))
	if err := os.Rename(name, next); err != nil {
		t.Fatal(err)
	}
}

// put adds a message of our own.
func (m mirror) put(t *testing.T, folder, message string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, folder, "cur", "1700000000.1.client:2,DS"), []byte(message), 0o600); err != nil {
		t.Fatal(err)
	}
}

// written are the octets of a message as they went over the wire: mirrors keep
// lines with LF and mbsync adds a field of its own.
func written(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b = regexp.MustCompile(`(?m)^X-TUID: .*\n`).ReplaceAll(b, nil)
	return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
}

// TestMirrors lets two programs keep a mailbox and a Maildir tree alike in
// both directions. A run after which nothing happened changes nothing.
func TestMirrors(t *testing.T) {
	for name, of := range map[string]func(mailbox, *testing.T) mirror{"mbsync": mailbox.mbsync, "offlineimap": mailbox.offlineimap} {
		t.Run(name, func(t *testing.T) {
			d := running(t)
			p := d.newParty(t, name)
			d.handed(t, p, file{"mirrored.pdf", bytes.Repeat([]byte("%PDF mirrored\n"), 5000)})
			m := of(d.mailbox(p), t)
			m.down(t, d.mailbox(p))
			m.both(t, d.mailbox(p))
			before := len(d.evidence(t))
			m.hides(t, d.mailbox(p))
			if after := len(d.evidence(t)); after != before {
				t.Errorf("%d rows of evidence became %d", before, after)
			}
			d.fsck(t)
		})
	}
}

// handed sends somebody a letter and takes it as he would, so that INBOX holds
// a notice and Received the letter.
func (d *demo) handed(t *testing.T, p party, f file) {
	t.Helper()
	anna := d.party(t, "anna")
	notice := d.delivered(t, anna, signedLetter(t, anna, p.Email, f), p.Email)[0]
	b := d.browser(t)
	b.login(p)
	b.take(notice.link(t))
}

// down: everything comes, octet by octet, and then nothing.
func (m mirror) down(t *testing.T, far mailbox) {
	t.Helper()
	if changes := m.run(t); changes == "" {
		t.Error("the first run brought nothing")
	}
	for _, f := range folders {
		if !exists(filepath.Join(m.dir, f, "cur")) {
			t.Errorf("%s was not made", f)
		}
	}
	for _, f := range []string{"INBOX", "Received"} {
		w := far.open(t, f)
		if want := w.body(w.await("ALL"), "[]"); !bytes.Equal(written(t, m.only(t, f)), want) {
			t.Errorf("%s is not what the server holds", f)
		}
	}
	if changes := m.run(t); changes != "" {
		t.Errorf("the second run: %s", changes)
	}
}

// both: a flag here, a flag there, a draft here.
func (m mirror) both(t *testing.T, far mailbox) {
	t.Helper()
	m.flag(t, m.only(t, "INBOX"), "F")
	m.put(t, "Drafts", "From: "+far.User+"\nSubject: a draft made here\nMessage-ID: <draft@client.test>\n\nDear Sirs,\n")
	w := far.open(t, "Received")
	w.ok(`UID STORE 1:* +FLAGS (\Answered)`)
	if changes := m.run(t); changes == "" {
		t.Error("changes on both sides, and nothing was done")
	}
	if name := m.only(t, "Received"); !strings.Contains(name[strings.LastIndex(name, ":2,"):], "R") {
		t.Errorf("the answered letter is %s", filepath.Base(name))
	}
	inbox := far.open(t, "INBOX")
	if len(inbox.search("FLAGGED")) != 1 {
		t.Errorf("the flag did not arrive: %v", inbox.flags())
	}
	drafts := far.open(t, "Drafts")
	uid := drafts.await(`SUBJECT "a draft made here"`)
	if b := drafts.body(uid, "[TEXT]"); string(b) != "Dear Sirs,\r\n" {
		t.Errorf("the draft reads %q", b)
	}
	if flags := drafts.flags()[uid]; !strings.Contains(flags, `\Draft`) {
		t.Errorf("the draft has flags %s", flags)
	}
	if changes := m.run(t); changes != "" {
		t.Errorf("a run after a run: %s", changes)
	}
}

// hides: a letter deleted here is gone there.
func (m mirror) hides(t *testing.T, far mailbox) {
	t.Helper()
	if err := os.Remove(m.only(t, "Received")); err != nil {
		t.Fatal(err)
	}
	if changes := m.run(t); changes == "" {
		t.Error("the deletion was not done")
	}
	if uids := far.open(t, "Received").search("ALL"); len(uids) != 0 {
		t.Errorf("Received still shows %v", uids)
	}
	if changes := m.run(t); changes != "" {
		t.Errorf("a run after the deletion: %s", changes)
	}
}
