package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// receipt is a mail of the Receipts folder, checked and taken apart.
type receipt struct {
	raw    []byte
	uid    uint32
	signer string // subject and e-mail of the certificate, as OpenSSL prints them
	text   string
	record struct {
		ID, Event, Submission, Recipient, Grade, Reason string
	}
	digest string
}

// verified has OpenSSL check a signed mail against the demo's root alone; it
// returns the signed entity and the signer.
func verified(t *testing.T, ca string, raw []byte) (entity []byte, signer string) {
	t.Helper()
	dir := t.TempDir()
	name, content, cert := filepath.Join(dir, "mail.eml"), filepath.Join(dir, "content"), filepath.Join(dir, "signer.pem")
	configure(t, name, string(raw))
	must(t, nil, "openssl", "cms", "-verify", "-in", name, "-CAfile", ca, "-no-CApath", "-no-CAstore", "-out", content, "-signer", cert)
	entity, err := os.ReadFile(content)
	if err != nil {
		t.Fatal(err)
	}
	return entity, string(must(t, nil, "openssl", "x509", "-in", cert, "-noout", "-subject", "-email", "-nameopt", "utf8"))
}

// receipt reads one receipt as somebody without this program would: OpenSSL
// verifies the mail, and SHA-256 of salt and record is the digest.
func (w *wire) receipt(t *testing.T, d *demo, uid uint32) receipt {
	t.Helper()
	r := receipt{raw: w.body(uid, "[]"), uid: uid}
	entity, signer := verified(t, d.CA, r.raw)
	r.signer = signer
	m, err := mail.ReadMessage(bytes.NewReader(entity))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" {
		t.Fatalf("the receipt is %s: %v", kind, err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	text, file := leaf(t, parts, "text/plain"), leaf(t, parts, "application/json")
	r.text = string(text)
	var e struct {
		Digest, Format, Gateway, Salt string
		Record                        json.RawMessage
	}
	if err := json.Unmarshal(file, &e); err != nil {
		t.Fatalf("evidence file: %v\n%s", err, file)
	}
	salt, err := hex.DecodeString(e.Salt)
	if err != nil || len(salt) < 16 {
		t.Errorf("salt %q: %v", e.Salt, err)
	}
	if sum := sha256.Sum256(append(salt, e.Record...)); hex.EncodeToString(sum[:]) != e.Digest {
		t.Errorf("the digest is %s, of salt and record it is %x", e.Digest, sum)
	}
	if err := json.Unmarshal(e.Record, &r.record); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), r.record.ID+".json")
	configure(t, path, string(file))
	if out, code := d.cryptogramm(t, "verify", path); code != 0 {
		t.Errorf("verify of the evidence file exits %d\n%s", code, out)
	}
	r.digest = e.Digest
	// The gateway's own row says the same.
	out, code := d.cryptogramm(t, "evidence", "show", r.record.ID, "--data", d.dir)
	if code != 0 || !strings.Contains(out, e.Digest) {
		t.Errorf("evidence show %s: exit %d\n%s", r.record.ID, code, out)
	}
	return r
}

// leaf is the next part of a multipart, decoded.
func leaf(t *testing.T, r *multipart.Reader, want string) []byte {
	t.Helper()
	p, err := r.NextPart()
	if err != nil {
		t.Fatalf("no part %s: %v", want, err)
	}
	kind, _, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
	if err != nil || kind != want {
		t.Fatalf("part %s, want %s: %v", kind, want, err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(p); err != nil { // decodes quoted-printable by itself
		t.Fatal(err)
	}
	if strings.EqualFold(p.Header.Get("Content-Transfer-Encoding"), "base64") {
		return must(t, b.Bytes(), "base64", "-d", "-i")
	}
	return b.Bytes()
}

// receipts waits until a folder holds n receipts and checks all of them.
func (w *wire) receipts(t *testing.T, d *demo, n int) map[string]receipt {
	t.Helper()
	var uids []uint32
	err := wait(20*time.Second, func() bool {
		w.ok("NOOP")
		uids = w.search("ALL")
		return len(uids) >= n
	})
	if err != nil || len(uids) != n {
		t.Fatalf("%d receipts, want %d", len(uids), n)
	}
	out := map[string]receipt{}
	for _, uid := range uids {
		r := w.receipt(t, d, uid)
		out[r.record.Event] = r
	}
	return out
}

// keywords waits until the only letter of Sent has exactly these system
// keywords.
func (w *wire) keywords(t *testing.T, want string) {
	t.Helper()
	var have string
	err := wait(20*time.Second, func() bool {
		w.ok("NOOP")
		have = ""
		for _, flags := range w.flags() {
			for _, f := range strings.Fields(flags) {
				if strings.HasPrefix(f, "$") {
					have += f + " "
				}
			}
		}
		return sorted(have) == sorted(want)
	})
	if err != nil {
		t.Errorf("the Sent copy has keywords %s, want %s", have, want)
	}
}

func sorted(words string) string {
	list := strings.Fields(words)
	for i := range list {
		for j := i; j > 0 && list[j] < list[j-1]; j-- {
			list[j], list[j-1] = list[j-1], list[j]
		}
	}
	return strings.Join(list, " ")
}

// TestExchangeByMail is the whole exchange as two mail programs see it: the
// notice in the recipient's INBOX, the letter in his Received, and in the
// sender's Receipts every step with the gateway's signature.
func TestExchangeByMail(t *testing.T) {
	d := running(t)
	p, q := d.newParty(t, "exchange-sender"), d.newParty(t, "exchange-recipient")
	contract := file{"договор.pdf", bytes.Repeat([]byte("%PDF exchange\r\n\x00\xff"), 2000)}
	letter := signedLetter(t, p, q.Email, contract)
	id := field(letter, "Message-ID")
	if r := d.submit(t, p, letter, q.Email); r.code != 250 {
		t.Fatalf("%d %s", r.code, r.text)
	}
	sender, recipient := d.mailbox(p), d.mailbox(q)
	sent := sender.open(t, "Sent")
	if got := sent.body(sent.await("ALL"), "[]"); !bytes.Equal(got, letter) {
		t.Errorf("the Sent copy is not what was sent: %d octets, want %d", len(got), len(letter))
	}
	inbox := recipient.open(t, "INBOX")
	notice := mailOf(t, inbox.body(inbox.await("ALL"), "[]"))
	if !strings.Contains(notice.text, contract.name) || field(notice.raw, "Auto-Submitted") == "" {
		t.Errorf("the notice:\n%s", notice.text)
	}
	sent.keywords(t, "$Notified")
	folder := sender.open(t, "Receipts")
	folder.receipts(t, d, 2)

	b := d.browser(t)
	b.login(q)
	b.registerCertificate(q)
	page := b.take(notice.link(t))
	received := recipient.open(t, "Received")
	uid := received.await("ALL")
	received.verifies(t, d, uid, p, contract)
	sent.keywords(t, "$Notified $Received")

	b.verifies(page, q)
	sent.keywords(t, "$Notified $Received $Verified")
	list := folder.receipts(t, d, 5)
	for _, event := range []string{"SubmissionAcceptance", "NotificationForAcceptance", "ConsignmentAcceptance", "ContentHandover", "RecipientVerification"} {
		r, ok := list[event]
		if !ok {
			t.Errorf("no receipt of %s", event)
			continue
		}
		for _, name := range []string{"In-Reply-To", "References"} {
			if got := field(r.raw, name); got != id {
				t.Errorf("%s: %s is %q, the letter is %s", event, name, got, id)
			}
		}
		from, err := mail.ParseAddress(field(r.raw, "From"))
		if err != nil || !strings.Contains(r.signer, from.Address) {
			t.Errorf("%s is from %q and signed by %s", event, field(r.raw, "From"), r.signer)
		}
		if event != "SubmissionAcceptance" && (r.record.Recipient != q.Email || !strings.Contains(r.text, q.Email)) {
			t.Errorf("%s does not name the recipient:\n%s", event, r.text)
		}
		if mid := field(r.raw, "Message-ID"); !strings.Contains(mid, r.record.ID) {
			t.Errorf("%s has Message-ID %s", event, mid)
		}
	}
	if g := list["ContentHandover"].record.Grade; g != "session" {
		t.Errorf("the handover is graded %q", g)
	}
	if n := len(recipient.open(t, "Receipts").search("ALL")); n != 0 {
		t.Errorf("the recipient has %d receipts", n)
	}
	d.fsck(t)
}

// verifies reads a received letter by IMAP: OpenSSL finds the sender's
// signature good, and the file is what was sent.
func (w *wire) verifies(t *testing.T, d *demo, uid uint32, sender party, f file) {
	t.Helper()
	raw := w.body(uid, "[]")
	entity, signer := verified(t, d.CA, raw)
	if !strings.Contains(signer, sender.Email) {
		t.Errorf("signed by %s", signer)
	}
	m, err := mail.ReadMessage(bytes.NewReader(entity))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	leaf(t, parts, "text/plain")
	if got := leaf(t, parts, "application/octet-stream"); !bytes.Equal(got, f.body) {
		t.Errorf("the file has %d octets, %d were sent", len(got), len(f.body))
	}
	path := filepath.Join(t.TempDir(), "received.eml")
	configure(t, path, string(raw))
	if out, code := d.cryptogramm(t, "verify", "--trust", d.CA, "--crl", filepath.Join(filepath.Dir(d.CA), "crl.pem"), path); code != 0 {
		t.Errorf("verify exits %d\n%s", code, out)
	}
}

// verifies goes through the wizard on a consignment's page.
func (b *tab) verifies(page string, p party) {
	b.t.Helper()
	b.open(page + "/wizard")
	b.choose(`input[name="certificate"]`)
	_, protocol := b.download(`a[href$=".json"]`)
	b.uploadSignature(p, "protocol.json", protocol)
}

// TestRefusalByMail: a refused letter leaves a receipt that says more than an
// SMTP reply can, in the sender's language.
func TestRefusalByMail(t *testing.T) {
	d := running(t)
	for language, title := range map[string]string{"en": "Letter not sent", "ru": "Письмо не отправлено"} {
		t.Run(language, func(t *testing.T) {
			p := d.newPartyIn(t, "refused-"+language, language)
			good := signedLetter(t, p, "boris@demo.test", file{"contract.pdf", []byte("%PDF\n")})
			letter := bytes.Replace(good, []byte("document attached"), []byte("document attachet"), 1)
			answer := d.submit(t, p, letter, "boris@demo.test")
			if answer.code != 550 {
				t.Fatalf("%d %s", answer.code, answer.text)
			}
			r := d.mailbox(p).open(t, "Receipts").receipts(t, d, 1)["SubmissionRejection"]
			d.refusal(t, r, letter)
			if id := r.record.Submission; !strings.Contains(answer.text, id) || !strings.Contains(r.text, id) {
				t.Errorf("reply and receipt do not both name %s:\n%s", id, answer.text)
			}
			if subject, err := new(mime.WordDecoder).DecodeHeader(field(r.raw, "Subject")); err != nil || !strings.HasPrefix(subject, title) || !strings.Contains(r.text, title) {
				t.Errorf("the receipt is called %q, %v:\n%s", subject, err, r.text)
			}
			if n := len(d.mailbox(p).open(t, "Sent").search("ALL")); n != 0 {
				t.Errorf("%d refused letters are in Sent", n)
			}
		})
	}
	d.fsck(t)
}

// refusal demands that a receipt names every check of the letter's signature
// with its result.
func (d *demo) refusal(t *testing.T, r receipt, letter []byte) {
	t.Helper()
	if r.record.Reason != "signature-failed" {
		t.Fatalf("%+v", r.record)
	}
	if got, want := field(r.raw, "In-Reply-To"), field(letter, "Message-ID"); got != want {
		t.Errorf("In-Reply-To is %q, the letter is %s", got, want)
	}
	for _, check := range d.checks(t, letter) {
		if !strings.Contains(r.text, "("+check+")") {
			t.Errorf("the receipt does not name the check %q:\n%s", check, r.text)
		}
	}
}

// checks are the names of the checks as `verify` prints them.
func (d *demo) checks(t *testing.T, letter []byte) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "letter.eml")
	configure(t, path, string(letter))
	out, _ := d.cryptogramm(t, "verify", "--json", "--trust", d.CA, "--crl", filepath.Join(filepath.Dir(d.CA), "crl.pem"), path)
	var v struct {
		Signatures []struct {
			Checks []struct{ Name string }
		}
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil || len(v.Signatures) == 0 || len(v.Signatures[0].Checks) == 0 {
		t.Fatalf("verify: %v\n%s", err, out)
	}
	var names []string
	for _, s := range v.Signatures {
		for _, c := range s.Checks {
			names = append(names, c.Name)
		}
	}
	return names
}
