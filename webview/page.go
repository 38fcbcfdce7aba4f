package webview

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
	"cryptogramm.ru/cryptogramm/webview/i18n"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// templates are the pages by name, each with the layout and the parts.
type templates map[string]*template.Template

func parseTemplates() (templates, error) {
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	all := templates{}
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		t, err := template.New(name).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", file)
		if err != nil {
			return nil, fmt.Errorf("page %s: %w", name, err)
		}
		all[name] = t
	}
	return all, nil
}

// page is what every template gets. Its methods are the templates' functions.
type page struct {
	*i18n.Catalogue
	assets assets

	ID      string // of the request
	Title   string // the one h1
	Kicker  string // what kind of page, above the title
	Section string // the part of the site, marked in the navigation
	Path    string // where a change of language comes back to
	User    *store.User
	Guest   string // the consignment a guest may see
	Demo    bool   // the outbox may be seen
	AsGuest bool   // this page is shown to the guest, not to the account
	Alert   string
	Done    string
	Data    any
}

// page starts a page; title is a key.
func (s *server) page(v *visit, title string) *page {
	p := &page{
		Catalogue: v.words, assets: s.assets, ID: v.id, Title: v.words.T(title), Path: v.r.URL.EscapedPath(),
		User: v.user, Guest: v.opened, Demo: s.mayReadOutbox(v),
	}
	return p
}

// render writes a page whole or not at all.
func (s *server) render(v *visit, status int, name string, p *page) error {
	var b bytes.Buffer
	if err := s.templates[name].ExecuteTemplate(&b, "layout", p); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", p.Lang)
	h.Set("Vary", "Cookie, Accept-Language")
	v.w.WriteHeader(status)
	if v.r.Method == http.MethodHead {
		return nil
	}
	_, err := v.w.Write(b.Bytes())
	return err
}

// Asset is the address of a static file; it changes with the file.
func (p *page) Asset(name string) string {
	return "/static/" + name + "?v=" + p.assets[name].digest.String()[:16]
}

// OtherLang is the language the switch leads to.
func (p *page) OtherLang() string {
	if p.Lang == "ru" {
		return "en"
	}
	return "ru"
}

// part is what a shared block of a template gets.
type part struct {
	Page *page
	List any
}

// With hands a list or a text to a shared block.
func (p *page) With(list any) part { return part{Page: p, List: list} }

// field is one labelled input. Addresses are typed as text with the keyboard
// of an address: type="email" would rewrite an international domain.
type field struct {
	Name, Type, Mode, Label, Value, Complete, Accept, Error, Hint string
}

// Describedby ties error and hint to the input (WCAG 3.3.1, 3.3.2).
func (f field) Describedby() string {
	var ids []string
	if f.Error != "" {
		ids = append(ids, f.Name+"-error")
	}
	if f.Hint != "" {
		ids = append(ids, f.Name+"-hint")
	}
	return strings.Join(ids, " ")
}

// Field is an input of a known kind with what the visitor typed and what is
// wrong with it, if anything.
func (p *page) Field(kind, value, wrong string) field {
	f := map[string]field{
		"login":       {Name: "address", Type: "text", Mode: "email", Label: "field.email", Complete: "username"},
		"email":       {Name: "address", Type: "text", Mode: "email", Label: "field.email", Complete: "email"},
		"receiver":    {Name: "address", Type: "text", Mode: "email", Label: "letter.address.label", Complete: "email", Hint: "letter.address.hint"},
		"password":    {Name: "password", Type: "password", Label: "field.password", Complete: "current-password"},
		"newpassword": {Name: "password", Type: "password", Label: "field.password", Complete: "new-password", Hint: "claim.password.hint"},
		"name":        {Name: "name", Type: "text", Label: "field.name", Complete: "name"},
		"signature":   {Name: "signature", Type: "file", Label: "protocol.sign.file", Hint: "protocol.sign.hint"},
	}[kind]
	f.Label = p.T(f.Label)
	if f.Hint != "" {
		f.Hint = p.T(f.Hint)
	}
	f.Value, f.Error = value, wrong
	return f
}

// safe is text from outside as it may be shown: control characters and
// changes of direction are visible.
func safe(s string) string { return message.SafeDisplay(s) }

// subject is text from outside as a heading.
func (p *page) subject(s string) string {
	if s = strings.TrimSpace(safe(s)); s == "" {
		return p.T("nosubject")
	}
	return s
}

// asset is a static file, served under an address that names its content.
type asset struct {
	bytes  []byte
	mime   string
	digest rem.Digest
}

type assets map[string]asset

func loadAssets() (assets, error) {
	all := assets{}
	for name, mime := range map[string]string{"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"} {
		b, err := staticFiles.ReadFile("static/" + name)
		if err != nil {
			return nil, err
		}
		all[name] = asset{b, mime, rem.DigestOf(b)}
	}
	return all, nil
}

// ServeHTTP serves the style sheet and the icon, which are nobody's secret.
func (a assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, ok := a[r.PathValue("file")]
	if !ok {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", file.mime)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Write(file.bytes)
}
