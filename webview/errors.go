package webview

import (
	"context"
	"errors"
	"net/http"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/store"
)

// Errors that arise here, beside those of the packages below.
var (
	errLogin  = errors.New("log in first") // becomes a redirect, not a page
	errAbsent = errors.New("not the guest's consignment")
	errLink   = errors.New("no link was followed")
	errOrigin = errors.New("the request comes from another site")
	errMethod = errors.New("method not allowed")
	errForm   = errors.New("malformed form")
	errCut    = errors.New("download cut short")
)

// failure is one row of the table from error to page. text names the words of
// the page: "error.<text>" and "error.<text>.text".
type failure struct {
	err    error
	status int
	text   string
}

// failures is the web's one table from error to reply. Order matters where an
// error wraps another. What is not in it is "internal", and tells nothing.
func failures() []failure {
	return []failure{
		{account.ErrToken, http.StatusGone, "token"},
		{gateway.ErrNotFound, http.StatusNotFound, "notfound"},
		{errAbsent, http.StatusNotFound, "notfound"},
		{errLink, http.StatusNotFound, "link"},
		{gateway.ErrGone, http.StatusGone, "gone"},
		{gateway.ErrUsed, http.StatusConflict, "used"},
		{gateway.ErrNotReceived, http.StatusNotFound, "notfound"},
		{gateway.ErrBusy, http.StatusServiceUnavailable, "unavailable"},
		{gateway.ErrStopped, http.StatusServiceUnavailable, "unavailable"},
		{gateway.ErrFull, http.StatusServiceUnavailable, "unavailable"},
		{account.ErrClaimed, http.StatusConflict, "claimed"},
		{account.ErrThrottled, http.StatusTooManyRequests, "throttled"},
		{account.ErrBusy, http.StatusServiceUnavailable, "unavailable"},
		{account.ErrDenied, http.StatusForbidden, "denied"},
		{store.ErrNotFound, http.StatusNotFound, "notfound"},
		{store.ErrUnavailable, http.StatusServiceUnavailable, "unavailable"},
		{errOrigin, http.StatusForbidden, "origin"},
		{errMethod, http.StatusMethodNotAllowed, "method"},
		{errForm, http.StatusBadRequest, "bad"},
		{context.Canceled, 499, "unavailable"}, // the client went away; 499 shows in the log only
		{context.DeadlineExceeded, http.StatusServiceUnavailable, "unavailable"},
	}
}

func failureOf(err error) failure {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return failure{err, http.StatusRequestEntityTooLarge, "large"}
	}
	for _, f := range failures() {
		if errors.Is(err, f.err) {
			return f
		}
	}
	return failure{err, http.StatusInternalServerError, "internal"}
}

// errorPage is the data of error.html.
type errorPage struct {
	Text   string
	ShowID bool
}

// fail answers an error. Once a body has begun nothing can be answered any
// more: the connection is cut instead.
func (s *server) fail(v *visit, err error) {
	if v.err = err; v.w.status != 0 {
		v.err = errors.Join(errCut, err)
		return
	}
	if errors.Is(err, errLogin) {
		s.askLogin(v)
		return
	}
	f := failureOf(err)
	for _, h := range []string{"Content-Disposition", "Content-Length"} {
		v.w.Header().Del(h)
	}
	v.w.Header().Set("Content-Security-Policy", policy)
	switch f.status {
	case http.StatusServiceUnavailable:
		v.w.Header().Set("Retry-After", "60")
	case http.StatusTooManyRequests:
		v.w.Header().Set("Retry-After", "900") // the window of the failure budgets
	}
	p := s.page(v, "error."+f.text)
	p.Data = errorPage{Text: "error." + f.text + ".text", ShowID: f.status >= http.StatusInternalServerError}
	if err := s.render(v, f.status, "error", p); err != nil {
		v.err = errors.Join(v.err, err)
	}
}
