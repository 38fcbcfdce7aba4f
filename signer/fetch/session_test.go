package fetch

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/signer/pki"
)

// published is a CA whose lists a site serves, and a certificate that names it.
type published struct {
	*authority
	site   *site
	leaf   *pki.Certificate
	answer atomic.Pointer[http.HandlerFunc]
}

func publish(t testing.TB, h http.HandlerFunc) *published {
	p := &published{authority: newAuthority(t, "Published CA")}
	p.site = newSite(t, func(w http.ResponseWriter, r *http.Request) { (*p.answer.Load())(w, r) })
	p.serve(h)
	p.leaf = p.issue(0x1003, func(c *x509.Certificate) { c.CRLDistributionPoints = []string{p.site.URL + "/ca.crl"} })
	return p
}

func (p *published) serve(h http.HandlerFunc) { p.answer.Store(&h) }

func octets(b []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.Write(b) }
}

// status asks in a session of its own.
func (p *published) status(t testing.TB, c *Client) Found {
	t.Helper()
	found, err := c.Session(nil).Status(t.Context(), p.leaf, p.parsed(), c.Now())
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestLists: which of what is served settles a status.
func TestLists(t *testing.T) {
	p := publish(t, nil)
	stranger := newAuthority(t, "Published CA")
	other := newAuthority(t, "Another CA")
	broken := p.list(time.Hour)
	broken[len(broken)-1] ^= 1
	for _, c := range []struct {
		name string
		body http.HandlerFunc
		want bool
	}{
		{"fresh", octets(p.list(time.Hour)), true},
		{"revoked", octets(p.list(time.Hour, 0x1003)), true},
		{"stale", octets(p.list(-time.Minute)), false},
		{"of another issuer", octets(other.list(time.Hour)), false},
		{"of another key", octets(stranger.list(time.Hour)), false},
		{"broken signature", octets(broken), false},
		{"rubbish", octets([]byte("rubbish")), false},
		{"empty", octets(nil), false},
		{"a page", octets([]byte("<html>moved</html>")), false},
		{"PEM", octets([]byte("-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n")), false},
		{"too large", func(w http.ResponseWriter, _ *http.Request) {
			w.Write(append([]byte{0x30, 0x84, 1, 0x8f, 0xff, 0}, make([]byte, 25<<20)...))
		}, false},
		{"absent", http.NotFound, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.serve(c.body)
			client := New(loopback(p.site))
			found := p.status(t, client)
			if (len(found.CRLs) == 1) != c.want {
				t.Fatalf("%d lists", len(found.CRLs))
			}
			if c.want && found.CRLs[0].Source != p.site.URL+"/ca.crl" {
				t.Errorf("source %q", found.CRLs[0].Source)
			}
			before := p.site.requests.Load()
			if again := p.status(t, client); len(again.CRLs) != len(found.CRLs) || p.site.requests.Load() != before {
				t.Errorf("asked again: %d lists, %d requests", len(again.CRLs), p.site.requests.Load()-before)
			}
		})
	}
}

// TestLargeList: 20 MiB are read, checked and searched. The bound is far above
// what that takes, and far below what anything quadratic would.
func TestLargeList(t *testing.T) {
	p := publish(t, nil)
	serials := make([]int64, 500_000)
	for i := range serials {
		serials[i] = int64(i) + 1<<40
	}
	der := p.list(time.Hour, serials...)
	if len(der) < 16<<20 || len(der) > maxCRL {
		t.Fatalf("%d octets", len(der))
	}
	p.serve(octets(der))
	config := loopback(p.site)
	config.Timeout = 30 * time.Second
	start := time.Now()
	found := p.status(t, New(config))
	if took := time.Since(start); len(found.CRLs) != 1 || took > 30*time.Second {
		t.Errorf("%d lists after %v", len(found.CRLs), took)
	}
}

// TestOneFetchForMany: 100 letters at once about one list, and one after
// another about what failed.
func TestOneFetchForMany(t *testing.T) {
	p := publish(t, nil)
	list := p.list(time.Hour)
	arrived := make(chan struct{}, 200)
	release := make(chan struct{})
	p.serve(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		w.Write(list)
	})
	client := New(loopback(p.site))
	var all sync.WaitGroup
	var settled atomic.Int64
	for range 100 {
		all.Go(func() {
			pause := func() func(context.Context) error {
				arrived <- struct{}{}
				return func(context.Context) error { return nil }
			}
			found, err := client.Session(pause).Status(t.Context(), p.leaf, p.parsed(), client.Now())
			if err == nil && len(found.CRLs) == 1 {
				settled.Add(1)
			}
		})
	}
	for range 100 {
		<-arrived
	}
	close(release)
	all.Wait()
	if n := p.site.requests.Load(); n != 1 || settled.Load() != 100 {
		t.Errorf("%d requests, %d settled", n, settled.Load())
	}
}

// TestOutage: what is kept stands in while nothing newer can be had, and no
// longer than it says itself; newer things are asked for again.
func TestOutage(t *testing.T) {
	p := publish(t, nil)
	p.serve(octets(p.list(3 * time.Hour)))
	var c clock
	config := loopback(p.site)
	config.Now = c.now
	client := New(config)
	if found := p.status(t, client); len(found.CRLs) != 1 {
		t.Fatal("nothing found")
	}
	p.serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	for _, step := range []struct {
		after    time.Duration
		requests int64
		lists    int
	}{
		{59 * time.Minute, 0, 1}, // young: nobody is asked
		{2 * time.Minute, 1, 1},  // asked, failed, the kept one stands in
		{time.Second, 0, 1},      // not asked again so soon
		{rest, 1, 1},
		{2 * time.Hour, 1, 0}, // the kept one has ended
	} {
		c.advance(step.after)
		before := p.site.requests.Load()
		found := p.status(t, client)
		if n := p.site.requests.Load() - before; len(found.CRLs) != step.lists || n != step.requests {
			t.Errorf("after %v: %d lists, %d requests", step.after, len(found.CRLs), n)
		}
	}
	c.Store(0)
	p.serve(octets(p.list(time.Hour)))
	client = New(config)
	l, err := pki.ParseCRL(p.list(2 * time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	l.Source = p.site.URL + "/ca.crl"
	client.Restore([]*pki.CRL{l}, nil)
	before := p.site.requests.Load()
	if found := p.status(t, client); len(found.CRLs) != 1 || bytes.Equal(found.CRLs[0].Raw, l.Raw) || p.site.requests.Load() != before+1 {
		t.Error("a restored list is not asked for anew")
	}
	p.site.CloseClientConnections()
	p.site.Close()
	client = New(config)
	client.Restore([]*pki.CRL{l}, nil)
	if found := p.status(t, client); len(found.CRLs) != 1 || !bytes.Equal(found.CRLs[0].Raw, l.Raw) {
		t.Error("a restored list does not stand in")
	}
}

// TestHangingHost: it is left alone after a few tries, others are not kept
// waiting, and it is asked again after a rest.
func TestHangingHost(t *testing.T) {
	gone := make(chan struct{})
	hanging := newSite(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-gone:
		}
	})
	t.Cleanup(func() { close(gone) })
	var c clock
	config := loopback(hanging)
	config.Now, config.Timeout = c.now, 100*time.Millisecond
	client := New(config)
	ask := func(i int) error {
		_, err := client.do(t.Context(), query{url: fmt.Sprintf("%s/%d", hanging.URL, i), limit: 10}, func(b []byte) (any, error) { return b, nil })
		return err
	}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			if ask(i) == nil {
				t.Error("an answer")
			}
		})
	}
	all.Wait()
	if n := hanging.requests.Load(); n > 2*maxPerHost {
		t.Errorf("%d requests of 100", n)
	}
	before, start := hanging.requests.Load(), time.Now()
	for i := range 50 {
		if err := ask(1000 + i); !errors.Is(err, errResting) {
			t.Errorf("%v", err)
		}
	}
	if hanging.requests.Load() != before || time.Since(start) > 10*time.Second {
		t.Error("a resting host was asked")
	}
	c.advance(rest + time.Second)
	for i := range 10 {
		all.Go(func() { ask(2000 + i) })
	}
	all.Wait()
	if n := hanging.requests.Load() - before; n > 2 {
		t.Errorf("%d requests to find out whether it is back", n)
	}
	for range 3 * maxHosts { // names are no way to fill the memory
		client.do(t.Context(), query{url: fmt.Sprintf("http://10.0.0.1:%d/%d", hanging.port(), c.Add(1)), limit: 1}, nil)
	}
	client.mu.Lock()
	defer client.mu.Unlock()
	if len(client.hosts) > maxHosts || len(client.failed.byKey) > maxFailed {
		t.Errorf("%d hosts, %d failures kept", len(client.hosts), len(client.failed.byKey))
	}
}

// TestShareOfOneLetter: fetches, those for issuers among them, and time.
func TestShareOfOneLetter(t *testing.T) {
	p := publish(t, http.NotFound)
	config := loopback(p.site)
	client := New(config)
	s := client.Session(nil)
	for i := range 10 {
		c := p.issue(int64(i), func(c *x509.Certificate) { c.IssuingCertificateURL = []string{fmt.Sprintf("%s/%d.cer", p.site.URL, i)} })
		if _, err := s.Issuers(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.site.requests.Load(); n != maxIssuers {
		t.Errorf("%d fetches for issuers", n)
	}
	for i := range 10 {
		c := p.issue(int64(i), func(c *x509.Certificate) {
			for j := range 3 {
				c.CRLDistributionPoints = append(c.CRLDistributionPoints, fmt.Sprintf("%s/%d/%d.crl", p.site.URL, i, j))
			}
		})
		if _, err := s.Status(t.Context(), c, p.parsed(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.site.requests.Load(); n != maxPerLetter {
		t.Errorf("%d fetches in all", n)
	}
	gone := make(chan struct{})
	defer close(gone)
	p.serve(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-gone:
		}
	})
	config.Total, config.Timeout = 300*time.Millisecond, 200*time.Millisecond
	start := time.Now()
	many := p.issue(77, func(c *x509.Certificate) {
		for j := range 4 {
			c.OCSPServer = append(c.OCSPServer, fmt.Sprintf("%s/o%d", p.site.URL, j))
			c.CRLDistributionPoints = append(c.CRLDistributionPoints, fmt.Sprintf("%s/c%d", p.site.URL, j))
		}
	})
	if _, err := New(config).Session(nil).Status(t.Context(), many, p.parsed(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("all of it took %v", took)
	}
}

// TestPause: what a session is told to give up is given up while it waits, and
// only then; who cannot have it back ends the judgement.
func TestPause(t *testing.T) {
	p := publish(t, nil)
	list := p.list(time.Hour)
	var paused atomic.Bool
	p.serve(func(w http.ResponseWriter, _ *http.Request) {
		if !paused.Load() {
			t.Error("fetched without a pause")
		}
		w.Write(list)
	})
	lost := errors.New("no slot")
	pause := func(err error) func() func(context.Context) error {
		return func() func(context.Context) error {
			paused.Store(true)
			return func(context.Context) error { paused.Store(false); return err }
		}
	}
	client := New(loopback(p.site))
	if _, err := client.Session(pause(lost)).Status(t.Context(), p.leaf, p.parsed(), time.Now()); !errors.Is(err, lost) {
		t.Errorf("%v", err)
	}
	client = New(loopback(p.site))
	s := client.Session(pause(nil))
	for range 2 {
		if found, err := s.Status(t.Context(), p.leaf, p.parsed(), time.Now()); err != nil || len(found.CRLs) != 1 {
			t.Errorf("%v %v", found, err)
		}
	}
}

// TestCache: bounds in octets and entries, the one used last stays.
func TestCache(t *testing.T) {
	c := New(Config{})
	k := newCache(100, 5)
	far := time.Now().Add(time.Hour)
	for i := range 10 {
		c.keep(k, entry{key: fmt.Sprint(i), value: i, size: 30, expires: far})
		c.lookup(k, "0")
	}
	for key, want := range map[string]bool{"0": true, "9": true, "8": true, "7": false} {
		if _, ok := c.lookup(k, key); ok != want {
			t.Errorf("%s: %v", key, ok)
		}
	}
	c.keep(k, entry{key: "large", size: 101, expires: far})
	if _, ok := c.lookup(k, "large"); ok || k.room != 100 || len(k.byKey) != 0 {
		t.Errorf("room %d, %d entries", k.room, len(k.byKey))
	}
	for i := range 10 {
		c.keep(k, entry{key: fmt.Sprint(i), size: 1, expires: far})
	}
	if len(k.byKey) != 5 || k.recency.Len() != 5 || k.room != 95 {
		t.Errorf("%d entries, room %d", len(k.byKey), k.room)
	}
	c.keep(k, entry{key: "old", size: 1, expires: time.Now().Add(-time.Second)})
	if _, ok := c.lookup(k, "old"); ok {
		t.Error("an entry that has ended")
	}
}

// TestPoisoning: one CA's certificate that names the list of another does not
// keep that list from others.
func TestPoisoning(t *testing.T) {
	p := publish(t, nil)
	p.serve(octets(p.list(time.Hour)))
	other := newAuthority(t, "Another CA")
	hostile := other.issue(5, func(c *x509.Certificate) { c.CRLDistributionPoints = p.leaf.CRLURLs() })
	client := New(loopback(p.site))
	if found, err := client.Session(nil).Status(t.Context(), hostile, other.parsed(), time.Now()); err != nil || len(found.CRLs) != 0 {
		t.Fatalf("%v %v", found, err)
	}
	if found := p.status(t, client); len(found.CRLs) != 1 {
		t.Error("the list is not to be had any more")
	}
}
