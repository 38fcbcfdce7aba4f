package document

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"pgregory.net/rapid"
)

// inspect reads a page as a browser would and fails on anything that runs,
// loads or leads elsewhere. It returns the names of the elements in order.
func inspect(t interface{ Fatalf(string, ...any) }, page []byte) []string {
	var tags []string
	z := html.NewTokenizer(bytes.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return tags
		case html.CommentToken:
			t.Fatalf("a comment: %s", z.Raw())
		case html.StartTagToken, html.SelfClosingTagToken:
			tok := z.Token()
			tags = append(tags, tok.Data)
			if !strings.Contains(" html head meta title style body div main header p h1 h2 h3 section strong span dl dt dd ul ol li bdi article table caption tbody tr td th pre code footer ", " "+tok.Data+" ") {
				t.Fatalf("an element <%s>", tok.Data)
			}
			for _, a := range tok.Attr {
				if !strings.Contains(" lang charset http-equiv content name class role scope aria-hidden ", " "+a.Key+" ") {
					t.Fatalf("an attribute %s on <%s>", a.Key, tok.Data)
				}
				if a.Key == "http-equiv" && a.Val != "Content-Security-Policy" {
					t.Fatalf("http-equiv %s", a.Val)
				}
			}
		}
	}
}

// TestSelfContained holds for whatever a sender or a certificate says.
func TestSelfContained(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyProtocol(t)
		for _, lang := range []string{"ru", "en"} {
			page, err := p.HTML(lang)
			if err != nil {
				t.Fatal(err)
			}
			inspect(t, page)
			text, err := p.Text(lang)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range string(page) + string(text) {
				if hidden(r) && r != '\n' {
					t.Fatalf("U+%04X on the page", r)
				}
			}
		}
	})
}

// TestMarkupStaysText: hostile text changes no element of a page.
func TestMarkupStaysText(t *testing.T) {
	plain, hostile := sampleProtocol(), sampleProtocol()
	evil := `</style></title></bdi><script>alert(1)</script><img src=x onerror=alert(1)><a href="http://evil.example">`
	hostile.Sender.Name, hostile.Letter.Subject, hostile.ID = evil, evil, evil
	hostile.Finding.Documents[0].Name = evil
	hostile.Finding.Signatures[0].Signer = evil
	hostile.Finding.Signatures[0].Checks[5].Detail = evil
	one, err1 := plain.HTML("en")
	two, err2 := hostile.HTML("en")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if a, b := strings.Join(inspect(t, one), " "), strings.Join(inspect(t, two), " "); a != b {
		t.Errorf("elements differ:\n%s\n%s", a, b)
	}
}

// TestStyle: the only style is the one that the page's policy names, and it
// loads nothing.
func TestStyle(t *testing.T) {
	page, err := sampleProtocol().HTML("ru")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "<style>")
	css, _, ok := strings.Cut(rest, "</style>")
	if !ok {
		t.Fatal("no style")
	}
	sum := sha256.Sum256([]byte(css))
	source := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	if source != StyleSource() || !strings.Contains(html.UnescapeString(string(page)), "default-src 'none'; style-src "+source) {
		t.Errorf("the style is not the one the policy allows: %s", source)
	}
	for _, no := range []string{"url(", "@import", "image-set", "@font-face", "expression"} {
		if strings.Contains(css, no) {
			t.Errorf("the style has %s", no)
		}
	}
}

func TestLanguage(t *testing.T) {
	for lang, want := range map[string]string{"ru": "ru", "en": "en", "": "en", "de": "en", "RU": "en"} {
		page, err := sampleProtocol().HTML(lang)
		if err != nil || !bytes.Contains(page, []byte(`<html lang="`+want+`">`)) {
			t.Errorf("%q is not shown in %s: %v", lang, want, err)
		}
	}
}
