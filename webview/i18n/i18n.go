// Package i18n holds the words of the web view: one embedded file per
// language and what a language needs besides words, which is plural forms,
// dates and sizes.
//
// Invariants, kept by tests: every language has the same keys, the same
// placeholders in each and its own number of plural forms. Texts are plain
// text, never markup. Deliberately absent: number formats beyond sizes,
// time zones (everything is UTC) and any fallback from one language to another.
package i18n

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"
)

//go:embed ru.txt en.txt
var files embed.FS

// Catalogue is one language. It is immutable and safe for concurrent use.
type Catalogue struct {
	Lang  string // BCP 47: "ru", "en"
	texts map[string]string
	rules rules
}

// Catalogues are all languages.
type Catalogues map[string]*Catalogue

// Default is the language where nothing is known of a reader's.
const Default = "en"

// Load reads the embedded languages.
func Load() (Catalogues, error) {
	all := Catalogues{}
	for lang, r := range map[string]rules{"ru": russian(), "en": english()} {
		b, err := files.ReadFile(lang + ".txt")
		if err != nil {
			return nil, err
		}
		texts, err := parse(string(b))
		if err != nil {
			return nil, fmt.Errorf("texts of %q: %w", lang, err)
		}
		all[lang] = &Catalogue{Lang: lang, texts: texts, rules: r}
	}
	return all, nil
}

// parse reads "key = text" lines; empty lines and "#" lines are skipped.
func parse(s string) (map[string]string, error) {
	texts := map[string]string{}
	for n, line := range strings.Split(s, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		key, text, ok := strings.Cut(line, " = ")
		if !ok || key == "" || text == "" {
			return nil, fmt.Errorf("line %d is not \"key = text\"", n+1)
		}
		if _, twice := texts[key]; twice {
			return nil, fmt.Errorf("line %d: %s is there twice", n+1, key)
		}
		texts[key] = text
	}
	return texts, nil
}

// Match chooses a language by an Accept-Language field (RFC 9110 §12.5.4).
// Browsers list tags in order of preference, so the first one known wins and
// weights are not read.
func (cs Catalogues) Match(accept string) *Catalogue {
	const enough = 200 // octets; a longer list is nobody's preference
	if len(accept) > enough {
		accept = accept[:enough]
	}
	for tag := range strings.SplitSeq(accept, ",") {
		tag, _, _ = strings.Cut(strings.TrimSpace(tag), ";")
		base, _, _ := strings.Cut(tag, "-")
		if c, ok := cs[strings.ToLower(base)]; ok {
			return c
		}
	}
	return cs[Default]
}

// T is the text of a key with its placeholders filled. A key that does not
// exist shows as itself.
func (c *Catalogue) T(key string, args ...any) string {
	text, ok := c.texts[key]
	switch {
	case !ok:
		return key
	case len(args) == 0:
		return text
	}
	return fmt.Sprintf(text, args...)
}

// Has reports whether a key exists.
func (c *Catalogue) Has(key string) bool {
	_, ok := c.texts[key]
	return ok
}

// Or is the text of prefix+name, or name itself where there is none: for words
// that come from below, such as names of checks.
func (c *Catalogue) Or(prefix string, name any) string {
	s := fmt.Sprint(name)
	if c.Has(prefix + s) {
		return c.T(prefix + s)
	}
	return s
}

// N is the plural form of a key that fits n, with n filled in.
func (c *Catalogue) N(key string, n int) string {
	forms := strings.Split(c.T(key), " | ")
	i := c.rules.plural(int64(n))
	if i >= len(forms) {
		i = len(forms) - 1
	}
	return fmt.Sprintf(forms[i], n)
}

// Keys are all keys, in order.
func (c *Catalogue) Keys() []string { return slices.Sorted(maps.Keys(c.texts)) }
