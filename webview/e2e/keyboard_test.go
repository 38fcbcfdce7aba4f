package e2e

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// reach presses Tab until what a selector names has the focus, and sees to it
// that the focus can be seen. Nothing is clicked.
func (b *tab) reach(selector string) {
	b.t.Helper()
	const most = 60
	for range most {
		var there, seen bool
		b.do(chromedp.KeyEvent(kb.Tab),
			chromedp.Evaluate("!!document.activeElement && document.activeElement.matches('"+selector+"')", &there),
			chromedp.Evaluate("getComputedStyle(document.activeElement).outlineStyle != 'none' || document.activeElement.matches('.skip')", &seen))
		if !seen {
			b.t.Errorf("the focus cannot be seen on the way to %s at %s", selector, b.path())
		}
		if there {
			return
		}
	}
	b.t.Fatalf("%d times Tab do not lead to %s at %s", most, selector, b.path())
}

// enter reaches something and follows it with the Enter key.
func (b *tab) enter(selector string) {
	b.t.Helper()
	b.reach(selector)
	if resp, err := chromedp.RunResponse(b.ctx, chromedp.KeyEvent(kb.Enter)); err != nil || resp == nil {
		b.t.Fatalf("Enter on %s: %v", selector, err)
	}
	b.do(chromedp.WaitVisible("h1", chromedp.ByQuery))
}

// TestKeyboardAlone goes the recipient's way from the link to a preview of the
// protocol and to registration without a pointer.
func TestKeyboardAlone(t *testing.T) {
	d := running(t)
	anna := d.party(t, "anna")
	address := "guest-keyboard@example.net"
	notice := d.delivered(t, anna, signedLetter(t, anna, address, file{"a.pdf", []byte("x")}), address)[0]
	b := d.browser(t)
	b.open(notice.link(t))

	// The first stop is the way past the navigation.
	b.reach(".skip")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.reach("summary") // what "unqualified" means
	b.do(chromedp.KeyEvent(" "), chromedp.WaitVisible("details[open] p", chromedp.ByQuery))
	b.reach("#address")
	b.do(chromedp.KeyEvent(address))
	b.enter(`form[action="/letter"] button`)
	if !strings.HasPrefix(b.path(), "/received/") {
		t.Fatalf("confirming leads to %s", b.path())
	}
	b.reach(`a[href*="/document/"]`)
	b.enter(`a[href$="/wizard"]`)
	b.reach(`input[name="certificate"]`)
	b.enter("main form button.go")
	if !strings.Contains(b.text("main"), "not recorded") {
		t.Error("no preview")
	}
	b.enter(`main a[href="/register"]`)
	b.reach("#address")
	b.do(chromedp.KeyEvent(address))
	b.enter("main form button.go")
	if !strings.Contains(b.text("main"), address) {
		t.Error("no word of the mail")
	}
}

// TestDarkAndNarrow: the recipient's pages in the dark, on a screen of 320
// pixels (which is 400 % of 1280, WCAG 1.4.10) and without motion.
func TestDarkAndNarrow(t *testing.T) {
	d := running(t)
	anna := d.party(t, "anna")
	address := "guest-dark@example.net"
	notice := d.delivered(t, anna, signedLetter(t, anna, address, file{"a-name-without-any-place-to-break-the-line-in-" + strings.Repeat("x", 60) + ".pdf", []byte("x")}), address)[0]
	b := d.browser(t)
	b.do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: "dark"}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}))
	judge := func(name string) {
		t.Helper()
		for _, width := range []int64{320, 640, 1280} {
			var wide, moving int64
			b.do(emulation.SetDeviceMetricsOverride(width, 800, 1, false), chromedp.Evaluate("document.documentElement.scrollWidth", &wide),
				chromedp.Evaluate("document.getAnimations().length", &moving))
			if wide > width || moving != 0 {
				t.Errorf("%s is %d wide on a screen of %d, %d things move", name, wide, width, moving)
			}
			b.axe(name + " in the dark")
		}
	}
	b.open(notice.link(t))
	judge("letter")
	b.do(chromedp.SendKeys("#address", address, chromedp.ByQuery))
	b.press(`form[action="/letter"] button`)
	b.do(chromedp.Evaluate("document.querySelectorAll('details').forEach(d => d.open = true)", nil))
	judge("consignment")
	b.open(b.path() + "/wizard")
	judge("wizard")
	b.do(chromedp.Click(`input[value="preview"]`, chromedp.ByQuery))
	b.press("main form button.go")
	judge("preview")
}
