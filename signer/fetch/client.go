package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// Limits of one answer in octets, and of its header.
const (
	maxOCSP         = 1 << 20
	maxCRL          = 20 << 20
	maxCertificates = 64 << 10
	maxHeader       = 16 << 10
	maxRedirects    = 3
)

// Config of a Client. The zero value fetches from public addresses on ports 80
// and 443 only.
type Config struct {
	Now       func() time.Time // nil: time.Now
	Log       *slog.Logger     // nil: nothing is logged
	Resolver  *net.Resolver    // nil: the system's
	AllowNets []netip.Prefix   // nets that may be dialled though they are not public
	Ports     []uint16         // nil: 80 and 443
	Timeout   time.Duration    // of one fetch, redirects included; 0: 5 s
	Total     time.Duration    // of all fetches for one letter; 0: 20 s
	CacheSize int64            // octets of what is kept in memory; 0: 64 MiB
}

// Client fetches and remembers. It is safe for concurrent use.
type Client struct {
	Config
	http    *http.Client
	flights singleflight.Group
	busy    chan struct{} // one token for each fetch under way

	mu     sync.Mutex
	kept   *cache
	failed *cache
	hosts  map[string]*host
}

// New makes a client.
func New(c Config) *Client {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Ports == nil {
		c.Ports = []uint16{80, 443}
	}
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	if c.Total == 0 {
		c.Total = 20 * time.Second
	}
	if c.CacheSize == 0 {
		c.CacheSize = 64 << 20
	}
	client := &Client{
		Config: c, busy: make(chan struct{}, maxFetches), hosts: map[string]*host{},
		kept: newCache(c.CacheSize, maxKept), failed: newCache(1<<20, maxFailed),
	}
	dialer := &net.Dialer{Timeout: c.Timeout, Resolver: c.Resolver, ControlContext: client.control}
	client.http = &http.Client{
		CheckRedirect: client.redirect,
		Transport: &http.Transport{ // no Proxy: the environment's would be dialled unchecked
			DialContext: dialer.DialContext, DisableKeepAlives: true, DisableCompression: true,
			MaxResponseHeaderBytes: maxHeader, TLSHandshakeTimeout: c.Timeout, ResponseHeaderTimeout: c.Timeout,
		},
	}
	return client
}

// redirect follows to the same host only: another one is another's word.
func (c *Client) redirect(to *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects: %w", maxRedirects, ErrRefused)
	}
	if !strings.EqualFold(to.URL.Hostname(), via[0].URL.Hostname()) {
		return fmt.Errorf("redirected to another host, %s: %w", to.URL.Host, ErrRefused)
	}
	return c.allowed(to.URL)
}

// query is one request.
type query struct {
	url   string
	about string // tells apart what is asked at one address; "" for a GET
	body  []byte // nil: GET
	kind  string // media type of the body
	limit int64  // octets of the answer
}

func (q query) key() string { return q.url + "\x00" + q.about }

// errAnswer: the host has answered, but not with what was asked for.
var errAnswer = errors.New("not an answer")

// exchange makes one request, and reads the answer up to its limit.
func (c *Client) exchange(ctx context.Context, q query) ([]byte, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if q.body != nil {
		method, body = http.MethodPost, bytes.NewReader(q.body)
	}
	req, err := http.NewRequestWithContext(ctx, method, q.url, body)
	if err != nil {
		return nil, err
	}
	if err := c.allowed(req.URL); err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "cryptogramm")
	req.Header.Set("Accept-Encoding", "identity")
	if q.body != nil {
		req.Header.Set("Content-Type", q.kind)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	encoding := res.Header.Get("Content-Encoding")
	switch {
	case res.StatusCode >= 500:
		return nil, fmt.Errorf("%s answers %s", req.URL.Host, res.Status)
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answers %s: %w", req.URL.Host, res.Status, errAnswer)
	case encoding != "" && encoding != "identity":
		return nil, fmt.Errorf("content encoding %q: %w", encoding, errAnswer)
	case res.ContentLength > q.limit:
		return nil, fmt.Errorf("%d octets, limit %d: %w", res.ContentLength, q.limit, errAnswer)
	}
	out, err := io.ReadAll(io.LimitReader(res.Body, q.limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(out)) > q.limit {
		return nil, fmt.Errorf("more than %d octets: %w", q.limit, errAnswer)
	}
	return out, nil
}

// hostOf is the key of a URL's host; what cannot be parsed is refused later.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}
