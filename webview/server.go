package webview

import (
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/webview/i18n"
)

// Config is what the web view needs. Outbox may be empty, the rest may not.
type Config struct {
	Gateway  *gateway.Gateway
	Accounts *account.Accounts
	DB       *store.DB
	BaseURL  string // scheme and host under which people reach it, no trailing slash
	Outbox   string // demo only: directory of outgoing mails (.eml), shown to loopback and to admins
	Log      *slog.Logger
	Now      func() time.Time
}

type server struct {
	Config
	texts     i18n.Catalogues
	templates templates
	assets    assets
	mux       *http.ServeMux
	inner     http.Handler // mux behind the cross-origin check
	strict    bool         // browsers are told to come by TLS only (RFC 6797)
}

// New builds the handler. Templates and texts are embedded, so an error in
// them is one of the program and panics here, before anything is served.
func New(c Config) http.Handler {
	s := &server{Config: c, mux: http.NewServeMux()}
	s.texts = must(i18n.Load())
	s.templates = must(parseTemplates())
	s.assets = must(loadAssets())
	s.routes()
	base := must(url.Parse(c.BaseURL))
	s.strict = base.Scheme == "https" && base.Hostname() != "localhost" // where other things listen too

	cross := http.NewCrossOriginProtection()
	if err := cross.AddTrustedOrigin(c.BaseURL); err != nil {
		panic(err) // the base URL was checked when the configuration was read
	}
	cross.SetDenyHandler(s.handle(func(*visit) error { return errOrigin }))
	s.inner = cross.Handler(http.HandlerFunc(s.route))
	return s
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// routes is the site map.
func (s *server) routes() {
	for pattern, h := range map[string]handler{
		"GET /{$}":              s.home,
		"POST /language":        s.language,
		"GET /login":            s.loginPage,
		"POST /login":           s.login,
		"POST /logout":          s.logout,
		"GET /register":         s.registerPage,
		"POST /register":        s.register,
		"GET /register/{token}": s.claimPage,

		"POST /register/{token}": s.claim,

		"GET /password":          s.forgotPage,
		"POST /password":         s.forgot,
		"GET /password/{token}":  s.resetPage,
		"POST /password/{token}": s.reset,

		"GET /settings":           s.settings,
		"POST /settings/receipts": s.change(s.setReceipts),
		"POST /settings/sessions": s.change(s.endSessions),

		"GET /refused":      s.refusals,
		"GET /refused/{id}": s.refusal,

		"GET /l/{token}":     s.link,
		"OPTIONS /l/{token}": s.linkOptions,
		"GET /letter":        s.letterPage,
		"POST /letter":       s.confirm,

		"GET /received":                             s.received,
		"GET /received/{consignment}":               s.consignment,
		"GET /received/{consignment}/document/{n}":  s.download(forRecipient, s.openDocument),
		"GET /received/{consignment}/signature/{n}": s.download(forRecipient, s.openSignature),
		"GET /received/{consignment}/letter":        s.download(forRecipient, s.openLetter),
		"GET /received/{consignment}/wizard":        s.wizardPage,
		"POST /received/{consignment}/wizard":       s.wizard,

		"GET /sent":                            s.sent,
		"GET /sent/{submission}":               s.submission,
		"GET /sent/{submission}/document/{n}":  s.download(forSender, s.openDocument),
		"GET /sent/{submission}/signature/{n}": s.download(forSender, s.openSignature),
		"GET /sent/{submission}/letter":        s.download(forSender, s.openLetter),

		"GET /protocol/{id}":       s.protocol, // also {id}.json, .html, .p7s
		"GET /protocol/{id}/view":  s.protocolView,
		"POST /protocol/{id}/sign": s.sign,
		"GET /report/{id}":         s.report, // also {id}.json, .html
		"GET /report/{id}/view":    s.reportView,

		"GET /certificates":                                 s.certificates,
		"POST /certificates":                                s.addCertificate,
		"POST /certificates/{sha}/remove":                   s.removeCertificate,
		"POST /certificates/challenge":                      s.newChallenge,
		"GET /certificates/challenge/{token}":               s.challenge,
		"GET /certificates/challenge/{token}/challenge.txt": s.challengeText,

		"GET /outbox":        s.outbox,
		"GET /outbox/{file}": s.mail,
	} {
		s.mux.Handle(pattern, s.handle(h))
	}
	s.mux.Handle("GET /static/{file}", s.assets)
}

// route finds the handler; what the mux itself would answer in plain text
// (404, 405) becomes a page of ours.
func (s *server) route(w http.ResponseWriter, r *http.Request) {
	if _, pattern := s.mux.Handler(r); pattern != "" {
		s.mux.ServeHTTP(w, r)
		return
	}
	probe := &statusProbe{header: http.Header{}}
	s.mux.ServeHTTP(probe, r)
	err := gateway.ErrNotFound
	if probe.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", probe.header.Get("Allow"))
		err = errMethod
	}
	s.handle(func(*visit) error { return err }).ServeHTTP(w, r)
}

// statusProbe learns what the mux would answer.
type statusProbe struct {
	header http.Header
	status int
}

func (p *statusProbe) Header() http.Header         { return p.header }
func (p *statusProbe) WriteHeader(status int)      { p.status = status }
func (p *statusProbe) Write(b []byte) (int, error) { return len(b), nil }
