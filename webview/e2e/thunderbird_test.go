package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// signature is what Thunderbird says of a letter; status 0 is a good one
// (nsICMSMessageErrors.SUCCESS).
type signature struct {
	Subject, Shown, Signer, Address, Author, References string
	Status                                              int
}

// account gives Thunderbird somebody's account, key and the root to trust.
func (b *thunderbird) account(p party, m mailbox) {
	b.t.Helper()
	p12 := filepath.Join(b.t.TempDir(), "key.p12")
	must(b.t, nil, "openssl", "pkcs12", "-export", "-inkey", p.Key, "-in", p.Cert, "-certfile", filepath.Join(filepath.Dir(p.Cert), "issuing.pem"),
		"-passout", "pass:key", "-out", p12)
	pem, err := os.ReadFile(m.CA)
	if err != nil {
		b.t.Fatal(err)
	}
	var root strings.Builder
	for l := range strings.SplitSeq(string(pem), "\n") {
		if !strings.HasPrefix(l, "-----") {
			root.WriteString(l)
		}
	}
	number := func(address string) int { n, _ := strconv.Atoi(port(address)); return n }
	b.run("setUp", map[string]any{"root": root.String(), "p12": p12, "p12Password": "key", "user": m.User, "password": m.Password, "name": p.Name,
		"imap": number(m.IMAPS), "smtp": number(m.SMTP)}, nil)
}

// TestThunderbird sets an account up, sends a letter that Thunderbird signs,
// and reads the receipt.
func TestThunderbird(t *testing.T) {
	d := running(t)
	p := d.newParty(t, "thunderbird")
	far := d.mailbox(p)
	b := startThunderbird(t)
	b.account(p, far)
	b.allFolders()
	subject := "Договор от Thunderbird"
	before := len(d.evidenceOf(t, "SubmissionAcceptance"))
	b.sends(subject, "boris@demo.test")
	if n := len(d.evidenceOf(t, "SubmissionAcceptance")); n != before+1 {
		t.Fatalf("%d letters were accepted", n-before)
	}

	// Thunderbird has appended its own copy by now; there is still one.
	w := far.open(t, "Sent")
	uids := w.search("ALL")
	if len(uids) != 1 {
		t.Fatalf("Sent holds %d letters", len(uids))
	}
	letter := w.body(uids[0], "[]")
	var shown int
	if b.run("count", map[string]any{"folder": "Sent", "subject": subject}, &shown); shown != 1 {
		t.Errorf("Thunderbird shows %d copies in Sent", shown)
	}
	if s := b.good("Sent"); s.Address != p.Email || s.Subject != subject {
		t.Errorf("Sent shows %+v", s)
	}
	receipt := b.good("Receipts")
	if id := strings.Trim(field(letter, "Message-ID"), "<>"); receipt.References != id {
		t.Errorf("the receipt is threaded under %q, the letter is %q", receipt.References, id)
	}
	b.see("thunderbird-receipt")
	d.fsck(t)
}

func (b *thunderbird) allFolders() {
	b.t.Helper()
	var got map[string]string
	b.run("folders", len(folders), &got)
	uses := map[string]string{"INBOX": "Inbox", "Sent": "SentMail", "Drafts": "Drafts", "Trash": "Trash", "Received": "", "Receipts": ""}
	for name, want := range uses {
		if name == "INBOX" && got["Inbox"] != "" {
			name = "Inbox" // shown by its localized name
		}
		if use, there := got[name]; !there || use != want {
			b.t.Errorf("%s is used as %q, want %q; all: %v", name, use, want, got)
		}
	}
}

// sends writes a letter with a file; the account's settings have it signed.
func (b *thunderbird) sends(subject, to string) {
	b.t.Helper()
	contract := filepath.Join(b.t.TempDir(), "договор.pdf")
	configure(b.t, contract, "%PDF-1.4 Thunderbird\n")
	var signed bool
	b.run("send", map[string]any{"to": to, "subject": subject, "text": "Please find the contract attached.\n", "file": contract}, &signed)
	if !signed {
		b.t.Fatal("the letter was not to be signed")
	}
}

// good opens the newest letter of a folder and demands a good signature of the
// one it says it is from.
func (b *thunderbird) good(folder string) signature {
	b.t.Helper()
	var s signature
	b.run("read", map[string]any{"folder": folder}, &s)
	if s.Status != 0 || s.Shown != "Good signature" || s.Address == "" || !strings.Contains(s.Author, "<"+s.Address+">") {
		b.t.Errorf("%s: %+v", folder, s)
	}
	return s
}
