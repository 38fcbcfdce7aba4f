package fetch

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Bounds over all letters together.
const (
	maxFetches  = 32   // fetches under way
	maxPerHost  = 4    // of which at one host
	maxHosts    = 1024 // hosts that are known to be busy or to have failed
	maxFailed   = 4096 // addresses that are known to have failed
	maxFailures = 3    // in a row, after which a host is left alone
	rest        = 30 * time.Second
)

// errBusy: the fetch was not begun, and says nothing of its address.
var errBusy = errors.New("too many fetches are under way")

// errResting: what failed a moment ago is not tried again yet.
var errResting = errors.New("it failed a moment ago")

// host is what is known of one host. All but places is guarded by Client.mu.
type host struct {
	places        chan struct{} // one token for each fetch under way
	known, trying int           // who wait or fetch; who fetch
	failures      int           // in a row
	until         time.Time     // left alone until then
}

// do makes a query once for all who ask it at the same time, and hands its
// answer to take, whose result they all get. What fails is not tried again for
// a while. The query goes on to its end even if those who wait give up.
func (c *Client) do(ctx context.Context, q query, take func([]byte) (any, error)) (any, error) {
	key := q.key()
	if cause, failed := c.lookup(c.failed, key); failed {
		return nil, fmt.Errorf("%w: %w", errResting, cause.value.(error))
	}
	flight := c.flights.DoChan(key, func() (any, error) {
		start := c.Now()
		out, err := c.fly(context.WithoutCancel(ctx), q, take)
		c.Log.Info("fetch", "url", q.url, "took", c.Now().Sub(start), "error", err)
		if err != nil && !errors.Is(err, errBusy) {
			c.keep(c.failed, entry{key: key, value: err, size: 256, expires: c.Now().Add(rest)})
		}
		return out, err
	})
	select {
	case r := <-flight:
		return r.Val, r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fly waits for a free place, as long as a fetch may take, and makes the query.
func (c *Client) fly(ctx context.Context, q query, take func([]byte) (any, error)) (any, error) {
	name := hostOf(q.url)
	waiting, done := context.WithTimeout(ctx, c.Timeout)
	defer done()
	h, err := c.enter(waiting, name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	body, err := c.exchange(ctx, q)
	c.leave(h, name, err != nil && !errors.Is(err, ErrRefused) && !errors.Is(err, errAnswer))
	if err != nil {
		return nil, err
	}
	return take(body)
}

// enter waits for a place at a host and one among all, unless the host is left
// alone. A host that does not answer keeps places of its own only.
func (c *Client) enter(ctx context.Context, name string) (*host, error) {
	h := c.host(name)
	if h == nil {
		return nil, errBusy
	}
	select {
	case h.places <- struct{}{}:
	case <-ctx.Done():
		c.forget(h, name)
		return nil, errBusy
	}
	if !c.try(h) {
		<-h.places
		c.forget(h, name)
		return nil, fmt.Errorf("%s: %w", name, errResting)
	}
	select {
	case c.busy <- struct{}{}:
		return h, nil
	case <-ctx.Done():
		c.mu.Lock()
		h.trying--
		c.mu.Unlock()
		<-h.places
		c.forget(h, name)
		return nil, errBusy
	}
}

// host finds or adds a host; nil when too many are known.
func (c *Client) host(name string) *host {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hosts[name]
	if h == nil {
		for other, o := range c.hosts {
			if len(c.hosts) >= maxHosts && o.known == 0 && !c.Now().Before(o.until) {
				delete(c.hosts, other)
			}
		}
		if len(c.hosts) >= maxHosts {
			return nil
		}
		h = &host{places: make(chan struct{}, maxPerHost)}
		c.hosts[name] = h
	}
	h.known++
	return h
}

// try tells whether a host may be asked: it does not rest, and after a rest
// only one fetch finds out whether it is back.
func (c *Client) try(h *host) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Now().Before(h.until) || h.failures >= maxFailures && h.trying > 0 {
		return false
	}
	h.trying++
	return true
}

func (c *Client) leave(h *host, name string, failed bool) {
	<-c.busy
	c.mu.Lock()
	h.trying--
	if failed {
		h.failures++
	} else {
		h.failures = 0
	}
	if h.failures >= maxFailures {
		h.until = c.Now().Add(rest)
	}
	c.mu.Unlock()
	<-h.places
	c.forget(h, name)
}

// forget drops a host of which there is nothing to remember.
func (c *Client) forget(h *host, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.known--; h.known == 0 && h.failures == 0 {
		delete(c.hosts, name)
	}
}
