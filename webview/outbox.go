package webview

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/message"
)

// Bounds of the demo's outbox: how many mails are listed, how much of one is
// read, in octets.
const (
	maxMails = 100
	maxMail  = 1 << 20
)

// mayReadOutbox: the outbox holds other people's links, so it is for the demo
// alone, on this machine or for an admin.
func (s *server) mayReadOutbox(v *visit) bool {
	if s.Outbox == "" {
		return false
	}
	ip := net.ParseIP(v.peer)
	return ip != nil && ip.IsLoopback() || v.user != nil && v.user.Admin
}

type mailView struct {
	File, Subject, From, To string
	Date                    moment
	Text                    []mailText
}

// mailText is a run of a mail's text; Link is set for a link into this site.
type mailText struct{ Text, Link string }

func (s *server) outbox(v *visit) error {
	if !s.mayReadOutbox(v) {
		return gateway.ErrNotFound
	}
	root, err := os.OpenRoot(s.Outbox)
	if errors.Is(err, fs.ErrNotExist) {
		return s.showOutbox(v, nil)
	}
	if err != nil {
		return err
	}
	defer root.Close()
	files, err := newest(s.Outbox)
	if err != nil {
		return err
	}
	p := s.page(v, "outbox.title")
	var mails []mailView
	for _, f := range files {
		if m, _, err := s.readMail(root, f, p); err == nil {
			mails = append(mails, m)
		}
	}
	return s.showOutbox(v, mails)
}

func (s *server) showOutbox(v *visit, mails []mailView) error {
	p := s.page(v, "outbox.title")
	p.Section, p.Data = "outbox", mails
	return s.render(v, http.StatusOK, "outbox", p)
}

// newest lists the latest mails of a directory.
func newest(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	type file struct {
		name string
		time time.Time
	}
	var files []file
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && strings.HasSuffix(e.Name(), ".eml") {
			files = append(files, file{e.Name(), info.ModTime()})
		}
	}
	slices.SortFunc(files, func(a, b file) int {
		if c := b.time.Compare(a.time); c != 0 {
			return c
		}
		return strings.Compare(b.name, a.name)
	})
	var names []string
	for _, f := range files[:min(len(files), maxMails)] {
		names = append(names, f.name)
	}
	return names, nil
}

// readMail reads one mail and its plain text.
func (s *server) readMail(root *os.Root, name string, p *page) (m mailView, text string, err error) {
	f, err := root.Open(name)
	if err != nil {
		return m, "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxMail))
	if err != nil {
		return m, "", err
	}
	l, err := message.Parse(strings.NewReader(string(b)), int64(len(b)), message.DefaultLimits())
	if err != nil {
		return m, "", err
	}
	m = mailView{File: name, Subject: safe(l.Subject), From: addresses(l.From), To: addresses(l.To), Date: p.moment(l.Date)}
	l.Root.Walk(func(part *message.Part) bool {
		if text == "" && part.MediaType == "text/plain" {
			r := l.Open(part.Range())
			defer r.Close()
			b, e := io.ReadAll(io.LimitReader(r, maxMail))
			if e == nil {
				text = string(b)
			}
		}
		return true
	})
	return m, text, nil
}

func addresses(list []message.Address) string {
	var out []string
	for _, a := range list {
		out = append(out, strings.TrimSpace(safe(a.Name)+" <"+safe(a.Mailbox)+">"))
	}
	return strings.Join(out, ", ")
}

func (s *server) mail(v *visit) error {
	if !s.mayReadOutbox(v) {
		return gateway.ErrNotFound
	}
	name := v.r.PathValue("file")
	root, err := os.OpenRoot(s.Outbox)
	if err != nil || !strings.HasSuffix(name, ".eml") {
		return gateway.ErrNotFound
	}
	defer root.Close()
	p := s.page(v, "outbox.title")
	m, text, err := s.readMail(root, name, p)
	if err != nil { // a name that is not there, or leads elsewhere, or is no mail
		return errors.Join(gateway.ErrNotFound, err)
	}
	m.Text = s.links(text)
	p.Kicker, p.Title, p.Section, p.Data = p.Title, p.subject(m.Subject), "outbox", m
	return s.render(v, http.StatusOK, "mail", p)
}

// links makes addresses that lead into this site followable.
func (s *server) links(text string) []mailText {
	var out []mailText
	for {
		i := strings.Index(text, s.BaseURL+"/")
		if i < 0 || s.BaseURL == "" {
			return append(out, mailText{Text: safeLines(text)})
		}
		n := strings.IndexFunc(text[i:], func(r rune) bool { return r <= ' ' || r == '>' || r == '<' || r == '"' })
		if n < 0 {
			n = len(text) - i
		}
		link := text[i : i+n]
		out = append(out, mailText{Text: safeLines(text[:i])}, mailText{Text: safe(link), Link: strings.TrimPrefix(link, s.BaseURL)})
		text = text[i+n:]
	}
}
