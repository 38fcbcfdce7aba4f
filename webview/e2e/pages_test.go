package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// shots is where a picture of every page is put, to be looked at.
const shots = "../../e2e-shots"

type screen struct {
	name   string
	width  int64
	height int64
}

var screens = []screen{{"desktop", 1280, 900}, {"phone", 390, 844}}

// see takes a picture of the page as it is, at both widths, and lets axe-core
// judge it. Nothing may stick out sideways.
func (b *tab) see(name string) {
	b.t.Helper()
	for _, s := range screens {
		var wide int64
		var shot []byte
		b.do(emulation.SetDeviceMetricsOverride(s.width, s.height, 1, s.name == "phone"),
			chromedp.Evaluate("document.documentElement.scrollWidth", &wide), chromedp.FullScreenshot(&shot, 100))
		if wide > s.width {
			b.t.Errorf("%s is %d wide on a %s of %d", name, wide, s.name, s.width)
		}
		if err := os.WriteFile(filepath.Join(shots, name+"-"+s.name+".png"), shot, 0o644); err != nil {
			b.t.Fatal(err)
		}
		b.axe(name + " on a " + s.name)
	}
	b.do(emulation.ClearDeviceMetricsOverride())
}

// violation is what axe-core reports.
type violation struct {
	ID    string `json:"id"`
	Help  string `json:"help"`
	Nodes []struct {
		HTML string `json:"html"`
	} `json:"nodes"`
}

func (b *tab) axe(where string) {
	b.t.Helper()
	script, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		b.t.Fatalf("axe-core is not installed (npm install): %v", err)
	}
	var result string
	await := func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
	b.do(chromedp.Evaluate(string(script)+"\n;0", nil),
		chromedp.Evaluate("axe.run().then(r => JSON.stringify({v: r.violations, n: r.passes.length}))", &result, await))
	var r struct {
		V []violation `json:"v"`
		N int         `json:"n"`
	}
	if err := json.Unmarshal([]byte(result), &r); err != nil || r.N == 0 {
		b.t.Fatalf("axe on %s: %v, %d passes", where, err, r.N)
	}
	for _, v := range r.V {
		b.t.Errorf("%s: %s: %s\n%s", where, v.ID, v.Help, v.Nodes[0].HTML)
	}
}

// language switches the language by the button every page has.
func (b *tab) language(lang string) {
	b.t.Helper()
	b.open("/")
	var now string
	b.do(chromedp.Evaluate("document.documentElement.lang", &now))
	if now != lang {
		b.press(`form[action="/language"] button`)
	}
}

// TestPages looks at every route, in both languages, at two widths.
func TestPages(t *testing.T) {
	if err := os.MkdirAll(shots, 0o755); err != nil {
		t.Fatal(err)
	}
	d := running(t)
	anna, clara := d.party(t, "anna"), d.party(t, "clara")
	contract := file{"Contract of sale No. 7 — с приложениями и длинным именем файла.pdf", []byte("%PDF\n")}
	annex := file{"annex.pdf", []byte("%PDF annex\n")}
	for _, lang := range []string{"en", "ru"} {
		t.Run(lang, func(t *testing.T) {
			guest := fmt.Sprintf("guest-pages-%s@example.net", lang)
			letter := headers(`"Анна Петрова" <`+anna.Email+">", clara.Email, "Pages "+lang, mixed("outer", note("two files"),
				contract.entity(), file{contract.name + ".p7s", sign(t, anna, contract.body)}.entity(),
				annex.entity(), file{"annex.pdf.sig", sign(t, anna, annex.body)}.entity()))
			notices := d.delivered(t, anna, letter, clara.Email, guest)
			g := d.browser(t)
			g.language(lang)
			g.guestPages(lang, notices[1].link(t), guest)
			b := d.browser(t)
			b.login(clara)
			b.language(lang)
			b.recipientPages(lang, notices[0].link(t), clara)
			s := d.browser(t)
			s.login(anna)
			s.language(lang)
			s.senderPages(lang)
		})
	}
}

func (b *tab) guestPages(lang, link, address string) {
	b.t.Helper()
	for _, p := range []struct{ path, name string }{{"/", "home"}, {"/login", "login"}, {"/register", "register"}, {"/outbox", "outbox"}, {"/nothing-here", "404"}} {
		b.open(p.path)
		b.see(lang + "-" + p.name)
	}
	b.open("/outbox")
	b.press("main table a")
	b.see(lang + "-outbox-mail")
	b.open(link)
	b.see(lang + "-letter")
	b.do(chromedp.SendKeys("#address", "wrong@example.net", chromedp.ByQuery))
	b.press(`form[action="/letter"] button`)
	b.see(lang + "-letter-wrong-address")
	b.do(chromedp.SetValue("#address", address, chromedp.ByQuery))
	b.press(`form[action="/letter"] button`)
	b.see(lang + "-guest-consignment")
	b.do(chromedp.Evaluate("document.querySelectorAll('details').forEach(d => d.open = true)", nil))
	b.see(lang + "-guest-consignment-open")
	b.press(`a[href$="/wizard"]`)
	b.see(lang + "-guest-wizard")
	b.do(chromedp.Click(`input[value="preview"]`, chromedp.ByQuery))
	b.press("main form button.go")
	b.see(lang + "-guest-preview")
	b.open("/login")
	b.do(chromedp.SendKeys("#address", "nobody@example.net", chromedp.ByQuery), chromedp.SendKeys("#password", "wrong password", chromedp.ByQuery))
	b.press("main form button.go")
	b.see(lang + "-login-wrong")
	b.register(lang, fmt.Sprintf("new-%s@example.net", lang))
}

// register goes the way of somebody new: address, mail, name and password.
func (b *tab) register(lang, address string) {
	b.t.Helper()
	known := b.d.mails(b.t)
	b.open("/register")
	b.do(chromedp.SendKeys("#address", address, chromedp.ByQuery))
	b.press("main form button.go")
	b.see(lang + "-register-sent")
	m := readMail(b.t, b.d.notice(b.t, known, address))
	i := strings.Index(m.text, "https://")
	b.open(strings.Fields(m.text[i:])[0])
	b.see(lang + "-claim")
	b.do(chromedp.SendKeys("#name", "Новый Человек", chromedp.ByQuery), chromedp.SendKeys("#password", "a long enough password", chromedp.ByQuery))
	b.press(`main form button.go`)
	b.open("/received")
	b.see(lang + "-received-empty")
	b.accountPages(lang, party{Email: address, Password: "a long enough password"})
}

// accountPages are the settings, a new password by mail, and what was refused.
func (b *tab) accountPages(lang string, p party) {
	b.t.Helper()
	b.open("/refused")
	b.see(lang + "-refused-empty")
	letter := headers(p.Email, "boris@demo.test", "Unsigned", note("hello"))
	if r := b.d.submit(b.t, p, letter, "boris@demo.test"); r.code != 550 {
		b.t.Fatalf("%d %s", r.code, r.text)
	}
	boris := b.d.party(b.t, "boris")
	signed := signedLetter(b.t, party{Email: p.Email, Cert: boris.Cert, Key: boris.Key}, "boris@demo.test", file{"contract.pdf", []byte("%PDF\n")})
	if r := b.d.submit(b.t, p, signed, "boris@demo.test"); r.code != 550 {
		b.t.Fatalf("%d %s", r.code, r.text)
	}
	b.open("/refused")
	b.see(lang + "-refused")
	b.press(`main a[href^="/refused/"]`)
	b.see(lang + "-refusal")
	b.open("/settings")
	b.see(lang + "-settings")
	b.do(chromedp.Click("#outside", chromedp.ByQuery))
	b.press(`form[action="/settings/receipts"] button`)
	b.see(lang + "-settings-saved")
	b.newPassword(lang, p, "another long password")
	b.login(party{Email: p.Email, Password: "another long password"})
	b.open("/settings")
	b.press(`form[action="/settings/sessions"] button`)
	b.see(lang + "-sessions-ended")
}

// newPassword goes the way of somebody who has forgotten his.
func (b *tab) newPassword(lang string, p party, password string) {
	b.t.Helper()
	known := b.d.mails(b.t)
	b.open("/password")
	b.see(lang + "-forgot")
	b.do(chromedp.SetValue("#address", "nonsense", chromedp.ByQuery))
	b.press("main form button.go")
	b.see(lang + "-forgot-wrong")
	b.do(chromedp.SetValue("#address", p.Email, chromedp.ByQuery))
	b.press("main form button.go")
	b.see(lang + "-forgotten")
	m := readMail(b.t, b.d.notice(b.t, known, p.Email))
	i := strings.Index(m.text, "https://")
	b.open(strings.Fields(m.text[i:])[0])
	b.see(lang + "-reset")
	b.do(chromedp.SendKeys("#password", "short", chromedp.ByQuery))
	b.press("main form button.go")
	b.see(lang + "-reset-weak")
	b.do(chromedp.SendKeys("#password", password, chromedp.ByQuery))
	b.press("main form button.go")
	b.see(lang + "-reset-done")
}

func (b *tab) recipientPages(lang, link string, p party) {
	b.t.Helper()
	b.open("/certificates")
	if !strings.Contains(b.text("main"), "Cryptogramm Demo Issuing CA") {
		b.see(lang + "-certificates-empty")
		b.press(`form[action="/certificates/challenge"] button`)
		b.see(lang + "-challenge")
		b.registerCertificate(p)
	}
	b.open("/certificates")
	b.see(lang + "-certificates")
	b.open(link)
	b.see(lang + "-letter-session")
	b.press(`form[action="/letter"] button`)
	page := b.path()
	b.see(lang + "-consignment")
	b.open(page + "/wizard")
	b.see(lang + "-wizard")
	b.do(chromedp.Click(`input[name="certificate"]`, chromedp.ByQuery))
	b.press("main form button.go")
	b.see(lang + "-protocol")
	protocolPage := b.path()
	_, protocol := b.download(`a[href$=".json"]`)
	b.uploadSignature(p, "protocol.json", append(protocol, ' '))
	b.see(lang + "-protocol-refused")
	b.open(protocolPage)
	b.uploadSignature(p, "protocol.json", protocol)
	b.see(lang + "-protocol-signed")
	b.paper(lang+"-protocol-paper", protocolPage+".html")
	b.open("/report" + strings.TrimPrefix(page, "/received"))
	b.see(lang + "-report-recipient")
	b.open("/received")
	b.see(lang + "-received")
}

func (b *tab) senderPages(lang string) {
	b.t.Helper()
	b.open("/sent")
	b.see(lang + "-sent")
	b.press(`main a[href^="/sent/"]`)
	b.see(lang + "-submission")
	report := "/report" + strings.TrimPrefix(b.path(), "/sent")
	b.open(report)
	b.see(lang + "-report-sender")
	b.paper(lang+"-report-sender-paper", report+".html")
}

// paper saves a document from the page that is open and looks at the file: a
// document stands alone, and within the site scripts are off in it.
func (b *tab) paper(name, href string) {
	b.t.Helper()
	_, html := b.download(`a[href="` + href + `"]`)
	path := filepath.Join(b.t.TempDir(), "paper.html")
	if err := os.WriteFile(path, html, 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.Navigate("file://"+path), chromedp.WaitVisible("h1", chromedp.ByQuery))
	b.see(name)
	b.print(name)
}

// print is the page on paper.
func (b *tab) print(name string) {
	b.t.Helper()
	b.do(chromedp.ActionFunc(func(ctx context.Context) error {
		pdf, _, err := page.PrintToPDF().WithPrintBackground(true).Do(ctx)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(shots, name+".pdf"), pdf, 0o644)
	}))
}
