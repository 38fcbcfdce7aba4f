package webview

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCommonName(t *testing.T) {
	for in, want := range map[string]string{
		"CN=Alice Ivanova,C=RU": "Alice Ivanova", "C=RU,CN=Alice": "Alice", "O=X\\,CN=Mallory,CN=Alice": "Alice",
		"CN=Ivanov\\, Ivan,O=X": "Ivanov, Ivan", "O=No Name,C=RU": "O=No Name,C=RU", "": "", "OU=a+CN=b": "b",
		"CN=a\u202eb": "a‹U+202E›b", "CN=tail\\": "tail\\", "XCN=x,CN=y": "y",
	} {
		if got := commonName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzCommonName(f *testing.F) {
	f.Add("CN=Ivanov\\, Ivan,O=X")
	f.Add("O=X\\,CN=Mallory,CN=Alice")
	f.Add("CN=\\")
	f.Fuzz(func(t *testing.T, s string) {
		// An escaped comma never begins a name: escaping all of s hides any CN.
		if got := commonName("O=" + strings.NewReplacer(`\`, `\\`, ",", `\,`, "+", `\+`).Replace(s) + ",CN=real"); got != "real" {
			t.Fatalf("%q: %q", s, got)
		}
	})
}

var rowLink = regexp.MustCompile(`href="/sent/([a-z2-7]{26})"`)
var olderLink = regexp.MustCompile(`href="(/sent\?before=[^"]+)"`)

// Every letter is on one page of the list, and on one only.
func TestListsArePaged(t *testing.T) {
	w := newWorld(t)
	const n = perPage + 7
	var want []string
	for i := range n {
		if i%3 == 0 { // some share a moment
			w.pass(time.Second)
		}
		want = append(want, w.send(fmt.Sprintf("Letter %d", i), w.bob))
	}
	b := w.as(w.alice.user)
	var got []string
	path, pages := "/sent", 0
	for path != "" && pages < 5 {
		a := b.get(path).want(http.StatusOK)
		for _, m := range rowLink.FindAllStringSubmatch(a.body, -1) {
			got = append(got, m[1])
		}
		path = ""
		if m := olderLink.FindStringSubmatch(a.body); m != nil {
			path = m[1]
		}
		pages++
	}
	slices.Sort(got)
	slices.Sort(want)
	if pages != 2 || !slices.Equal(got, want) {
		t.Errorf("%d pages, %d letters, want 2 and %d", pages, len(got), len(want))
	}
	for _, bad := range []string{"x", "1.2", "99999999999999999999.aaaaaaaaaaaaaaaaaaaaaaaaaa", ".", "-1.%00"} {
		b.get("/sent?before="+bad).want(http.StatusOK, "Letter ")
	}
}
