package webview

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/webview/i18n"
)

// visit is one request: who asks, in which language, and the one event that
// is logged about it.
type visit struct {
	id    string // shown to the user and logged
	w     *recorder
	r     *http.Request
	words *i18n.Catalogue
	peer  string

	user    *store.User // of a claimed account's session
	guest   *store.User // of a link's session
	opened  string      // the consignment the guest may see
	subject string      // id of what the request is about, for the log
	err     error       // what went wrong, for the log
}

// handler serves one route. An error becomes a page by the table in errors.go.
type handler func(*visit) error

// policy is what every page allows: its own style and images, forms to itself.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// answerTime is how long a page may take, judging included, until the client
// has it. Downloads have their own measure.
const answerTime = 3 * time.Minute

type visitKey struct{}

func visitOf(r *http.Request) *visit { return r.Context().Value(visitKey{}).(*visit) }

// ServeHTTP gives the request an id and safe headers, and logs one event.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := s.Now()
	v := &visit{id: s.Gateway.NewID(), w: &recorder{ResponseWriter: w}, words: s.texts.Match(r.Header.Get("Accept-Language"))}
	v.peer, _, _ = net.SplitHostPort(r.RemoteAddr)
	v.r = r.WithContext(context.WithValue(r.Context(), visitKey{}, v))

	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
	if s.strict {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	// The deadline is the connection's and outlives an answer, so each request
	// sets its own. It is of the real clock, whatever the gateway's says.
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
	defer func() {
		if p := recover(); p != nil {
			s.fail(v, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
		s.log(v, s.Now().Sub(start))
		if errors.Is(v.err, errCut) { // the client must not take a part for the whole
			panic(http.ErrAbortHandler)
		}
	}()
	s.inner.ServeHTTP(v.w, v.r)
}

// handle finds out who asks, then runs h.
func (s *server) handle(h handler) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		v := visitOf(r)
		v.r = r // now with path values
		err := s.identify(v)
		if err == nil {
			err = h(v)
		}
		if err != nil {
			s.fail(v, err)
		}
	})
}

// log writes the request's one event: the pattern and never the path, which
// may hold a token.
func (s *server) log(v *visit, took time.Duration) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("id", v.id), slog.String("method", v.r.Method), slog.String("route", v.r.Pattern),
		slog.Int("status", v.w.code()), slog.Int64("bytes", v.w.bytes), slog.Duration("took", took),
		slog.String("peer", v.peer), slog.String("language", v.words.Lang),
	}
	if v.user != nil {
		attrs = append(attrs, slog.String("user", v.user.ID))
	}
	if v.guest != nil {
		attrs = append(attrs, slog.String("guest", v.guest.ID))
	}
	if v.subject != "" {
		attrs = append(attrs, slog.String("subject", v.subject))
	}
	if v.err != nil {
		attrs = append(attrs, slog.String("error", v.err.Error()))
	}
	if v.w.code() >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	s.Log.LogAttrs(context.WithoutCancel(v.r.Context()), level, "http", attrs...)
}

// identify reads the cookies. One that opens nothing is no error: the visitor
// is then nobody.
func (s *server) identify(v *visit) error {
	session, user, err := s.session(v, cookieSession)
	if err != nil {
		return err
	}
	if user != nil && session.Consignment == "" && user.Claimed {
		v.user = user
	}
	session, user, err = s.session(v, cookieGuest)
	if err != nil {
		return err
	}
	if user != nil && session.Consignment != "" {
		v.guest, v.opened = user, session.Consignment
	}
	v.words = s.languageOf(v)
	return nil
}

func (s *server) session(v *visit, name string) (*store.Session, *store.User, error) {
	c := v.cookie(name)
	if c == "" {
		return nil, nil, nil
	}
	session, user, err := s.Accounts.Session(v.r.Context(), c)
	if errors.Is(err, account.ErrNoSession) {
		return nil, nil, nil
	}
	return session, user, err
}

// languageOf: what the visitor chose, else his profile's, else his browser's.
func (s *server) languageOf(v *visit) *i18n.Catalogue {
	if c, ok := s.texts[v.cookie(cookieLanguage)]; ok {
		return c
	}
	for _, u := range []*store.User{v.user, v.guest} {
		if u != nil && s.texts[u.Language] != nil {
			return s.texts[u.Language]
		}
	}
	return v.words
}

// account is the visitor's claimed account; errLogin where there is none.
func (v *visit) account() (*store.User, error) {
	if v.user == nil {
		return nil, errLogin
	}
	return v.user, nil
}

// viewer is as whom the visitor looks at a consignment: as the guest who
// opened its link, else by his account. A guest sees nothing beside his own
// consignment; to him the rest is absent, not forbidden.
func (v *visit) viewer(consignment string) (u *store.User, asGuest bool, err error) {
	switch {
	case v.guest != nil && v.opened == consignment:
		return v.guest, true, nil
	case v.user != nil:
		return v.user, false, nil
	case v.guest != nil:
		return nil, false, errAbsent
	}
	return nil, false, errLogin
}

// recorder remembers what was answered, for the log.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

func (w *recorder) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
