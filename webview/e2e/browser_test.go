package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// chromiumFlags keep Chromium from talking to anybody but us.
var chromiumFlags = []string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
	"--disable-background-networking", "--disable-component-update", "--disable-sync"}

// tab is one person's browser with a download folder.
type tab struct {
	t         *testing.T
	ctx       context.Context
	d         *demo
	downloads string
}

func (d *demo) browser(t *testing.T) *tab {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("/usr/bin/chromium"), chromedp.NoSandbox,
		chromedp.IgnoreCertErrors, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900))
	for _, f := range chromiumFlags {
		opts = append(opts, chromedp.Flag(strings.TrimPrefix(f, "--"), true))
	}
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, stop := chromedp.NewContext(alloc)
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(func() {
		chromedp.Cancel(ctx) // closes the browser and waits, so that its folder is still when it is removed
		allocator := chromedp.FromContext(ctx).Allocator
		cancel()
		stop()
		stopAlloc()
		if allocator != nil {
			allocator.Wait()
		}
	})
	b := &tab{t: t, ctx: ctx, d: d, downloads: t.TempDir()}
	b.do(browser.SetDownloadBehavior(browser.SetDownloadBehaviorBehaviorAllow).WithDownloadPath(b.downloads))
	return b
}

func (b *tab) do(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		var where, page string
		chromedp.Run(b.ctx, chromedp.Location(&where), chromedp.Text("body", &page, chromedp.ByQuery))
		b.t.Fatalf("%v at %s\n%.1500s", err, where, page)
	}
}

func (b *tab) open(path string) {
	b.t.Helper()
	if !strings.HasPrefix(path, "https://") {
		path = "https://" + b.d.Web + path
	}
	b.do(chromedp.Navigate(path), chromedp.WaitVisible("h1", chromedp.ByQuery))
}

// press clicks what leads to another page and waits for it.
func (b *tab) press(selector string) {
	b.t.Helper()
	resp, err := chromedp.RunResponse(b.ctx, chromedp.Click(selector, chromedp.ByQuery))
	if err != nil || resp == nil {
		b.t.Fatalf("press %s: %v", selector, err)
	}
	b.do(chromedp.WaitVisible("h1", chromedp.ByQuery))
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	var s string
	b.do(chromedp.Text(selector, &s, chromedp.ByQuery))
	return s
}

// choose takes one choice of the page's form and goes on.
func (b *tab) choose(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(selector, chromedp.ByQuery))
	b.press("main form button.go")
}

func (b *tab) path() string {
	b.t.Helper()
	var where string
	b.do(chromedp.Location(&where))
	return strings.TrimPrefix(where, "https://"+b.d.Web)
}

func (b *tab) login(p party) {
	b.t.Helper()
	b.open("/login")
	b.do(chromedp.SendKeys("#address", p.Email, chromedp.ByQuery), chromedp.SendKeys("#password", p.Password, chromedp.ByQuery))
	b.press("main form button.go")
}

// download clicks a link and returns the file that was saved. The browser first
// takes the name with an empty file, and then puts the whole one in its place.
func (b *tab) download(selector string) (name string, content []byte) {
	b.t.Helper()
	old := map[string]bool{}
	for _, n := range b.saved() {
		old[n] = true
	}
	b.do(chromedp.Click(selector, chromedp.ByQuery))
	err := wait(20*time.Second, func() bool {
		for _, n := range b.saved() {
			if !old[n] && !strings.HasSuffix(n, ".crdownload") {
				name = n
				content, _ = os.ReadFile(filepath.Join(b.downloads, n))
			}
		}
		return len(content) > 0
	})
	if err != nil {
		b.t.Fatalf("nothing was saved by %s: %v", selector, err)
	}
	return name, content
}

func (b *tab) saved() []string {
	entries, err := os.ReadDir(b.downloads)
	if err != nil {
		b.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

// uploadSignature signs bytes with OpenSSL and uploads what it made.
func (b *tab) uploadSignature(p party, name string, content []byte) {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), name+".p7s")
	if err := os.WriteFile(path, sign(b.t, p, content), 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.SetUploadFiles("#signature", []string{path}, chromedp.ByQuery))
	b.press("form[enctype] button.go")
}

// registerCertificate proves possession of a key to the gateway, once.
func (b *tab) registerCertificate(p party) {
	b.t.Helper()
	b.open("/certificates")
	b.press(`form[action="/certificates/challenge"] button`)
	_, challenge := b.download(`a[href$="challenge.txt"]`)
	b.uploadSignature(p, "challenge.txt", challenge)
	b.open("/certificates")
	if s := b.text("main"); !strings.Contains(s, "Cryptogramm Demo Issuing CA") {
		b.t.Fatalf("the certificate is not listed:\n%s", s)
	}
}

// TestGuestReceives follows a link as somebody without an account.
func TestGuestReceives(t *testing.T) {
	d := running(t)
	anna := d.party(t, "anna")
	address, other := "guest-receives@example.net", "second-receives@example.org"
	contract := file{"договор № 7.pdf", bytes.Repeat([]byte("%PDF-1.4 byte for byte \x00\xff\r\n"), 3000)}
	notices := d.delivered(t, anna, signedLetter(t, anna, address+", "+other, contract), address, other)

	b := d.browser(t)
	b.open(notices[0].link(t))
	if p := b.path(); p != "/letter" {
		t.Errorf("landed on %s: the token stays in the address", p)
	}
	if s := b.text("main"); !strings.Contains(s, "Анна Петрова") || !strings.Contains(s, anna.Email) {
		t.Errorf("the landing does not say who signed:\n%s", s)
	}
	b.do(chromedp.SendKeys("#address", other, chromedp.ByQuery))
	b.press(`form[action="/letter"] button`)
	if n := len(received(d.evidence(t), address)); n != 0 {
		t.Fatalf("another's address was taken: %d handovers", n)
	}
	b.do(chromedp.SetValue("#address", address, chromedp.ByQuery))
	b.press(`form[action="/letter"] button`)
	if p := b.path(); !strings.HasPrefix(p, "/received/") {
		t.Fatalf("after confirming: %s\n%s", p, b.text("main"))
	}
	if s := b.text("main"); strings.Contains(s, other) {
		t.Error("a recipient is told of another")
	}
	name, body := b.download(`.files a.btn[aria-label*="№ 7"]`)
	if !bytes.Equal(body, contract.body) || !strings.HasPrefix(name, "договор") {
		t.Errorf("%s: %d octets, sent %d", name, len(body), len(contract.body))
	}
	_, letter := b.download(`main a[href$="/letter"]`)
	if bytes.Contains(letter, []byte(other)) {
		t.Error("the recipient's letter names another")
	}
	path := filepath.Join(t.TempDir(), "letter.eml")
	if err := os.WriteFile(path, letter, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := d.cryptogramm(t, "verify", "--trust", d.CA, "--crl", filepath.Join(filepath.Dir(d.CA), "crl.pem"), path); code != 0 {
		t.Errorf("the recipient's copy does not verify: exit %d\n%s", code, out)
	}
	// Once more changes nothing.
	b.open(notices[0].link(t))
	list := received(d.evidence(t), address)
	if len(list) != 1 || list[0].Grade != "confirmed" {
		t.Errorf("handovers: %+v", list)
	}
	d.fsck(t)
}

func received(list []evidence, address string) []evidence {
	var out []evidence
	for _, e := range list {
		if e.Event == "ContentHandover" && e.Recipient == address {
			out = append(out, e)
		}
	}
	return out
}

// TestRecipientVerifies is the wizard: a claimed account checks, signs the
// protocol with OpenSSL, and both sides see it in the report.
func TestRecipientVerifies(t *testing.T) {
	d := running(t)
	anna, boris := d.party(t, "anna"), d.party(t, "boris")
	other := "second-verifies@example.org"
	notices := d.delivered(t, anna, signedLetter(t, anna, boris.Email, file{"act.pdf", []byte("%PDF act\n")}), boris.Email, other)

	b := d.browser(t)
	b.login(boris)
	b.registerCertificate(boris)
	b.open(notices[0].link(t))
	b.press(`form[action="/letter"] button`)
	page := b.path()
	if !strings.HasPrefix(page, "/received/") {
		t.Fatalf("after confirming: %s", page)
	}
	consignment := strings.TrimPrefix(page, "/received/")

	// A preview leaves no trace.
	b.open(page + "/wizard")
	b.do(chromedp.Click(`input[value="preview"]`, chromedp.ByQuery))
	b.press("main form button.go")
	if !strings.Contains(b.text("main"), "not recorded") {
		t.Errorf("the preview is not marked:\n%s", b.text("main"))
	}

	b.open(page + "/wizard")
	b.choose(`input[name="certificate"]`)
	protocolPage := b.path()
	_, protocol := b.download(`a[href$=".json"]`)
	_, html := b.download(`a[href$=".html"]`)
	if !json.Valid(protocol) || !bytes.Contains(protocol, []byte("TOTAL-PASSED")) || !bytes.Contains(html, []byte("act.pdf")) {
		t.Errorf("protocol:\n%.500s", protocol)
	}
	if bytes.Contains(protocol, []byte(other)) || bytes.Contains(html, []byte(other)) {
		t.Error("the protocol names another recipient")
	}
	b.uploadSignature(boris, "protocol.json", append(protocol, '\n')) // not these bytes
	if n := len(d.evidenceOf(t, "RecipientVerification")); n != 0 || !strings.Contains(b.text("main"), "The content is unchanged since signing") {
		t.Errorf("a wrong signature: %d verifications\n%s", n, b.text("main"))
	}
	b.open(protocolPage)
	b.uploadSignature(boris, "protocol.json", protocol)
	list := d.evidenceOf(t, "RecipientVerification")
	if len(list) != 1 || list[0].Recipient != boris.Email || list[0].Grade != "certificate" {
		t.Fatalf("verification: %+v\n%s", list, b.text("main"))
	}

	b.open("/report/" + consignment)
	mine := b.text("body")
	if strings.Contains(mine, other) || !strings.Contains(mine, boris.Email) || !strings.Contains(mine, anna.Email) {
		t.Errorf("the recipient's report:\n%s", mine)
	}
	s := d.browser(t)
	s.login(anna)
	s.open("/report/" + list[0].Submission)
	whole := s.text("body")
	for _, want := range []string{other, boris.Email} {
		if !strings.Contains(whole, want) {
			t.Errorf("the sender's report lacks %s", want)
		}
	}
	s.open("/sent")
	if !strings.Contains(s.text("main"), "act.pdf") {
		t.Error("the letter is not in Sent")
	}
	d.fsck(t)
}
