//go:build kill

package main

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/smtp"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// signBytes signs as a party of the demo.
func signBytes(t *testing.T, p demoParty, content []byte) []byte {
	t.Helper()
	certPEM, err := os.ReadFile(p.Cert)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := pki.ParsePEMOrDER(certPEM)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		t.Fatalf("key of %s cannot sign", p.Email)
	}
	out, err := cms.Sign(bytes.NewReader(content), cms.SignOptions{Signer: key, Certificate: chain[0], Chain: chain[1:], Detached: true, SigningTime: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// signedTestLetter is a multipart/signed letter of one text part.
func signedTestLetter(t *testing.T, p demoParty, id, text string) []byte {
	t.Helper()
	entity := "Content-Type: text/plain; charset=utf-8\r\n\r\n" + text + "\r\n"
	sig := base64.StdEncoding.EncodeToString(signBytes(t, p, []byte(entity)))
	var folded strings.Builder
	for len(sig) > 0 {
		n := min(76, len(sig))
		folded.WriteString(sig[:n] + "\r\n")
		sig = sig[n:]
	}
	return []byte("From: " + p.Email + "\r\nTo: boris@demo.test\r\nSubject: kill\r\nMessage-ID: <" + id + "@kill.test>\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=b\r\n\r\n--b\r\n" + entity +
		"\r\n--b\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n" + folded.String() + "\r\n--b--\r\n")
}

// submitOnce sends one letter. An error means that no answer to the letter was
// heard.
func submitOnce(address string, p demoParty, body []byte, recipients []string) (id string, code int, err error) {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return "", 0, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	c, err := smtp.NewClient(tls.Client(conn, &tls.Config{InsecureSkipVerify: true}), "127.0.0.1")
	if err != nil {
		return "", 0, err
	}
	if err := c.Auth(smtp.PlainAuth("", p.Email, p.Password, "127.0.0.1")); err != nil {
		return "", 0, err
	}
	if err := c.Mail(p.Email); err != nil {
		return "", 0, err
	}
	for _, r := range recipients {
		if err := c.Rcpt(r); err != nil {
			return "", 0, err
		}
	}
	if _, err = c.Text.Cmd("DATA"); err != nil {
		return "", 0, err
	}
	if _, _, err = c.Text.ReadResponse(354); err != nil {
		return "", 0, err
	}
	w := c.Text.DotWriter()
	if _, err = w.Write(body); err != nil {
		return "", 0, err
	}
	if err = w.Close(); err != nil {
		return "", 0, err
	}
	code, text, err := c.Text.ReadResponse(0)
	if protocol := (*textproto.Error)(nil); err != nil && !asProtocol(err, &protocol) {
		return "", 0, err
	}
	if m := regexp.MustCompile(`[a-z2-7]{26}`).FindString(text); code == 250 {
		id = m
	}
	return id, code, nil
}

func asProtocol(err error, target **textproto.Error) bool {
	e, ok := err.(*textproto.Error)
	*target = e
	return ok
}

// webStep is a person's act in the web view that a crash may hit.
type webStep struct {
	name, event string
	prepare     func(*victim) func() // everything up to the act; the act itself is returned
	done        func(*victim) int    // how many evidences there must be afterwards
}

var handoverStep = webStep{
	name: "handover", event: "ContentHandover",
	prepare: func(v *victim) func() {
		v.t.Helper()
		link, address := v.unreadLink("guest")
		v.acts["handover"]++
		return func() { v.person("").confirm(link, address) }
	},
	done: func(v *victim) int { return v.acts["handover"] + v.acts["acknowledge"] },
}

var acknowledgeStep = webStep{
	name: "acknowledge", event: "RecipientVerification",
	prepare: func(v *victim) func() {
		v.t.Helper()
		b := v.person("boris@demo.test")
		b.registerCertificate()
		link, _ := v.unreadLink("boris@demo.test")
		page := b.confirm(link, "")
		v.acts["acknowledge"]++
		protocol := b.draft(page)
		return func() { v.person("boris@demo.test").sign(protocol) }
	},
	done: func(v *victim) int { return v.acts["acknowledge"] },
}

var linkPattern = regexp.MustCompile(`https://[^\s"<>]+/l/[A-Za-z0-9_-]{43}`)

// unreadLink finds a link that nobody has followed yet.
func (v *victim) unreadLink(to string) (link, address string) {
	v.t.Helper()
	names, _ := filepath.Glob(filepath.Join(v.demo.Outbox, "*.eml"))
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			v.t.Fatal(err)
		}
		m := regexp.MustCompile(`(?m)^To: <?(` + to + `[^>\s]*)`).FindSubmatch(b)
		text := strings.ReplaceAll(string(b), "=\r\n", "")
		l := linkPattern.FindString(text)
		if m == nil || l == "" || v.used[l] {
			continue
		}
		v.used[l] = true
		address = string(m[1])
		if !strings.Contains(address, "@") {
			v.t.Fatalf("address %q in %s", address, n)
		}
		return l, address
	}
	v.t.Fatalf("no unread link for %s in %d mails", to, len(names))
	return "", ""
}

// person is a browser's worth of HTTP client.
type person struct {
	v     *victim
	party demoParty
	http  http.Client
}

// person opens a browser, signed in when an address is given. A browser that
// finds the server gone is a person who tries again later.
func (v *victim) person(email string) *person {
	v.t.Helper()
	jar, _ := cookiejar.New(nil)
	roots := x509.NewCertPool()
	b, err := os.ReadFile(v.demo.CA)
	if err != nil || !roots.AppendCertsFromPEM(b) {
		v.t.Fatal("demo CA: ", err)
	}
	p := &person{v: v, http: http.Client{Jar: jar, Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true,
	}}}
	for _, party := range v.demo.Parties {
		if party.Email == email {
			p.party = party
			p.post("/login", url.Values{"address": {email}, "password": {party.Password}})
		}
	}
	return p
}

func (p *person) url(path string) string {
	if strings.HasPrefix(path, "https://") {
		return path
	}
	return "https://" + p.v.demo.Web + path
}

func (p *person) get(path string) string {
	r, err := p.http.Get(p.url(path))
	return p.read(r, err)
}

func (p *person) read(r *http.Response, err error) string {
	if err != nil {
		return "" // gone: the audit will tell
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

func (p *person) post(path string, form url.Values) string {
	r, err := p.http.PostForm(p.url(path), form)
	return p.read(r, err)
}

func (p *person) upload(path, fileField, name string, content []byte, fields map[string]string) string {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for k, v := range fields {
		w.WriteField(k, v)
	}
	part, _ := w.CreateFormFile(fileField, name)
	part.Write(content)
	w.Close()
	r, err := p.http.Post(p.url(path), w.FormDataContentType(), &body)
	return p.read(r, err)
}

var (
	tokenField  = regexp.MustCompile(`name="token" value="([^"]+)"`)
	challenge   = regexp.MustCompile(`name="challenge" value="([^"]+)"`)
	certificate = regexp.MustCompile(`name="certificate" value="([0-9a-f]{64})"`)
	wizardPath  = regexp.MustCompile(`href="(/received/[a-z2-7]{26})/wizard"`)
	protocolRef = regexp.MustCompile(`/protocol/([a-z2-7]{26})\.json`)
)

func (p *person) must(re *regexp.Regexp, page string) string {
	p.v.t.Helper()
	m := re.FindStringSubmatch(page)
	if m == nil {
		p.v.t.Fatalf("no %s in the page:\n%.2000s", re, page)
	}
	return m[1]
}

// confirm follows a link and confirms; it returns the page of the consignment.
func (p *person) confirm(link, address string) string {
	p.v.t.Helper()
	page := p.get(link)
	return p.post("/letter", url.Values{"token": {p.must(tokenField, page)}, "address": {address}})
}

func (p *person) registerCertificate() {
	p.v.t.Helper()
	if certificate.MatchString(p.get("/certificates")) || strings.Contains(p.get("/certificates"), "/remove") {
		return
	}
	token := p.must(challenge, p.post("/certificates/challenge", nil))
	text := p.get("/certificates/challenge/" + token + "/challenge.txt")
	p.upload("/certificates", "signature", "challenge.txt.p7s", signBytes(p.v.t, p.party, []byte(text)), map[string]string{"challenge": token})
}

// draft lets the wizard make a protocol and returns its id.
func (p *person) draft(page string) string {
	p.v.t.Helper()
	path := p.must(wizardPath, page) + "/wizard"
	return p.must(protocolRef, p.post(path, url.Values{"certificate": {p.must(certificate, p.get(path))}}))
}

func (p *person) sign(protocol string) {
	p.v.t.Helper()
	text := p.get("/protocol/" + protocol + ".json")
	p.upload("/protocol/"+protocol+"/sign", "signature", "protocol.json.p7s", signBytes(p.v.t, p.party, []byte(text)), nil)
}
