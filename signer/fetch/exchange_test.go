package fetch

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestRedirects: to the same host, three times, over the same two schemes.
func TestRedirects(t *testing.T) {
	other := newSite(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "other") })
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		to := r.URL.Query().Get("to")
		var n int
		if _, err := fmt.Sscanf(r.URL.Path, "/hops/%d", &n); err == nil && n > 0 {
			to = fmt.Sprintf("/hops/%d", n-1)
		}
		if to == "" {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s", r.Method, body)
			return
		}
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	client := New(loopback(s, other))
	unlisted := newSite(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "unlisted") })
	to := func(target string) string { return s.URL + "/?to=" + url.QueryEscape(target) }
	port := func(x *site, host string) string { return fmt.Sprintf("http://%s:%d/", host, x.port()) }
	for _, c := range []struct {
		url string
		ok  bool
	}{
		{s.URL, true}, {s.URL + "/hops/3", true}, {s.URL + "/hops/4", false},
		{to("/other"), true}, {to(other.URL), true}, // another port of the same host that is configured
		{to(port(s, "127.0.0.2")), false}, {to(port(s, "localhost")), false}, {to(port(unlisted, "127.0.0.1")), false},
		{to("ftp://127.0.0.1/"), false}, {to("file:///etc/passwd"), false}, {to("http://169.254.169.254/"), false}, {to("//[::1]/"), false},
	} {
		out, err := client.exchange(t.Context(), query{url: c.url, body: []byte("question"), limit: 100})
		if (err == nil) != c.ok || !c.ok && !errors.Is(err, ErrRefused) || c.ok && !strings.Contains(string(out), "POST question") && string(out) != "other" {
			t.Errorf("%s: %q %v", c.url, out, err)
		}
	}
	if unlisted.connections.Load() > 0 {
		t.Error("a port that is not configured was reached")
	}
}

// TestAnswers: how much is taken, and in what form.
func TestAnswers(t *testing.T) {
	bomb := func() []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.CopyN(z, zeros{}, 64<<20)
		z.Close()
		return b.Bytes()
	}()
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/exact":
			w.Write(make([]byte, 1000))
		case "/declared":
			w.Header().Set("Content-Length", fmt.Sprint(25<<20))
			io.CopyN(w, zeros{}, 25<<20)
		case "/chunked":
			io.CopyN(w, zeros{}, 25<<20)
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb)
		case "/header":
			w.Header().Set("X", strings.Repeat("x", 2*maxHeader))
		case "/cut":
			w.Header().Set("Content-Length", "1000")
			w.Write(make([]byte, 10))
		case "/echo":
			fmt.Fprintf(w, "%q %q %q", r.Header["Accept-Encoding"], r.Header["Cookie"], r.Header["Content-Type"])
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	client := New(loopback(s))
	get := func(path string, limit int64) ([]byte, error) {
		return client.exchange(t.Context(), query{url: s.URL + path, limit: limit})
	}
	if out, err := get("/exact", 1000); err != nil || len(out) != 1000 {
		t.Errorf("as large as allowed: %d %v", len(out), err)
	}
	for _, path := range []string{"/declared", "/chunked", "/gzip", "/absent"} {
		if out, err := get(path, maxCRL); !errors.Is(err, errAnswer) {
			t.Errorf("%s: %d octets, %v", path, len(out), err)
		}
	}
	for _, path := range []string{"/header", "/cut"} {
		if out, err := get(path, maxCRL); err == nil {
			t.Errorf("%s: %d octets", path, len(out))
		}
	}
	if out, err := get("/exact", 999); !errors.Is(err, errAnswer) {
		t.Errorf("one octet more than allowed: %d %v", len(out), err)
	}
	if out, err := get("/echo", 100); err != nil || string(out) != `["identity"] [] []` {
		t.Errorf("%s %v", out, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestSlow: whoever dribbles, in the header or the body, is cut off in time.
func TestSlow(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/header" {
			<-r.Context().Done()
			return
		}
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte{0x30}); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			tick := time.NewTimer(5 * time.Millisecond)
			select {
			case <-tick.C:
			case <-r.Context().Done():
			}
		}
	})
	config := loopback(s)
	config.Timeout = 150 * time.Millisecond
	client := New(config)
	for _, path := range []string{"/header", "/body"} {
		start := time.Now()
		_, err := client.do(t.Context(), query{url: s.URL + path, limit: maxCRL}, func(b []byte) (any, error) { return b, nil })
		if took := time.Since(start); err == nil || took > 10*time.Second {
			t.Errorf("%s: %v after %v", path, err, took)
		}
	}
}
