package fetch

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"cryptogramm.ru/cryptogramm/signer/pki"
)

// Bounds of one letter.
const (
	maxPerLetter  = 12 // fetches in all
	maxIssuers    = 4  // of which for issuers' certificates
	freshAnswer   = 24 * time.Hour
	refreshAfter  = time.Hour
	keepIssuerFor = time.Hour
)

// Session is what one letter may have fetched. It is safe for concurrent use.
type Session struct {
	client *Client
	// pause is called before the session waits for a network, and what it returns
	// after: so that who waits need not hold what others could use.
	pause func() (resume func(context.Context) error)

	mu               sync.Mutex
	fetches, issuers int
	until            time.Time // of the first fetch, plus Total
}

// Session begins one for a letter. pause may be nil.
func (c *Client) Session(pause func() (resume func(context.Context) error)) *Session {
	if pause == nil {
		pause = func() func(context.Context) error { return func(context.Context) error { return nil } }
	}
	return &Session{client: c, pause: pause}
}

// Found is what there is about the status of a certificate. Each item settled
// it when it was fetched; whether it still does is for a path to say.
type Found struct {
	OCSPs []*pki.OCSPResponse
	CRLs  []*pki.CRL
}

// Status asks about a certificate of a path that has reached an anchor: first
// what is kept, then its responders, then its lists. What is kept and still
// counts stands in when newer cannot be had. The error is that of resuming. Why
// something could not be fetched is in the log alone: told to a sender, it would
// show him nets that he cannot see.
func (s *Session) Status(ctx context.Context, c, issuer *pki.Certificate, at time.Time) (Found, error) {
	request, err := pki.NewOCSPRequest(c, issuer, nonce())
	if err != nil {
		return Found{}, err
	}
	kept, fresh := s.kept(request, c)
	if fresh {
		return kept, nil
	}
	for _, address := range c.OCSPURLs() {
		a := answered{request, c, issuer, address, at}
		q := query{url: address, about: request.Key(), body: request.Raw, kind: "application/ocsp-request", limit: maxOCSP}
		got, err := s.fetch(ctx, q, func(b []byte) (any, error) { return s.client.answer(b, a) })
		if r, ok := got.(*pki.OCSPResponse); ok || err != nil {
			return kept.with(r, nil), err
		}
	}
	for _, address := range c.CRLURLs() {
		a := answered{request, c, issuer, address, at}
		// One list may be good for one issuer and bad for another.
		q := query{url: address, about: string(issuer.SHA256[:]), limit: maxCRL}
		got, err := s.fetch(ctx, q, func(b []byte) (any, error) { return s.client.list(b, a) })
		if l, ok := got.(*pki.CRL); ok || err != nil {
			return kept.with(nil, l), err
		}
	}
	return kept, nil
}

// with puts what was fetched in the place of what was kept; nil is nothing.
func (f Found) with(r *pki.OCSPResponse, l *pki.CRL) Found {
	if r != nil {
		f.OCSPs = []*pki.OCSPResponse{r}
	}
	if l != nil {
		f.CRLs = []*pki.CRL{l}
	}
	return f
}

func nonce() []byte {
	b := make([]byte, pki.NonceSize)
	rand.Read(b)
	return b
}

// kept is what is remembered about a certificate, and whether something of it
// is young enough that nothing newer need be asked for.
func (s *Session) kept(request *pki.OCSPRequest, c *pki.Certificate) (found Found, fresh bool) {
	k, now := s.client, s.client.Now()
	if e, ok := k.lookup(k.kept, ocspKey(request.Key())); ok {
		found.OCSPs, fresh = append(found.OCSPs, e.value.(*pki.OCSPResponse)), now.Before(e.stale)
	}
	for _, address := range c.CRLURLs() {
		if e, ok := k.lookup(k.kept, crlKey(address, c.Issuer)); ok {
			found.CRLs, fresh = append(found.CRLs, e.value.(*pki.CRL)), fresh || now.Before(e.stale)
		}
	}
	return found, fresh
}

func ocspKey(request string) string { return "ocsp " + request }

func crlKey(address string, issuer pki.Name) string {
	return "crl " + address + "\x00" + string(issuer.Raw)
}

// answered is what an answer has to be about.
type answered struct {
	request   *pki.OCSPRequest
	c, issuer *pki.Certificate
	source    string
	at        time.Time
}

// answer reads an OCSP response, and keeps it if it settles what was asked.
func (c *Client) answer(body []byte, a answered) (any, error) {
	r, err := pki.ParseOCSPResponse(body)
	if err == nil {
		err = a.request.Answered(r, c.Now(), freshAnswer)
	}
	if err == nil {
		err = r.Settles(a.c, a.issuer, a.at)
	}
	if err != nil {
		return nil, err
	}
	r.Source = a.source
	c.keepOCSP(r, a.request.Key(), c.Now().Add(refreshAfter))
	return r, nil
}

// list reads a CRL, and keeps it likewise.
func (c *Client) list(body []byte, a answered) (any, error) {
	l, err := pki.ParseCRL(body)
	if err == nil {
		err = l.Settles(a.c, a.issuer, a.at)
	}
	if err != nil {
		return nil, err
	}
	l.Source = a.source
	c.keepCRL(l, c.Now().Add(refreshAfter))
	return l, nil
}

func (c *Client) keepOCSP(r *pki.OCSPResponse, key string, stale time.Time) {
	c.keep(c.kept, entry{key: ocspKey(key), value: r, size: 2 * int64(len(r.Raw)), stale: stale, expires: r.Expires()})
}

func (c *Client) keepCRL(l *pki.CRL, stale time.Time) {
	c.keep(c.kept, entry{key: crlKey(l.Source, l.Issuer), value: l, size: 2 * int64(len(l.Raw)), stale: stale, expires: l.NextUpdate})
}

// Restore keeps what an earlier process has fetched, by its Source. It is asked
// for anew at its first use, and stands in until that succeeds.
func (c *Client) Restore(lists []*pki.CRL, responses []*pki.OCSPResponse) {
	for _, l := range lists {
		if l.Source != "" {
			c.keepCRL(l, time.Time{})
		}
	}
	for _, r := range responses {
		if keys := r.Keys(); r.Source != "" && len(keys) == 1 {
			c.keepOCSP(r, keys[0], time.Time{})
		}
	}
}

// Issuers fetches what is said to be certificates of the issuer of c, undecoded:
// one DER or PEM certificate, or several in a certs-only CMS (RFC 5280
// §4.2.2.1). The error is that of resuming.
func (s *Session) Issuers(ctx context.Context, c *pki.Certificate) ([][]byte, error) {
	var out [][]byte
	for _, address := range c.IssuerURLs() {
		key := aboutIssuer + " " + address
		if e, ok := s.client.lookup(s.client.kept, key); ok {
			out = append(out, e.value.([]byte))
			continue
		}
		got, err := s.fetch(ctx, query{url: address, about: aboutIssuer, limit: maxCertificates}, func(b []byte) (any, error) {
			s.client.keep(s.client.kept, entry{key: key, value: b, size: int64(len(b)), expires: s.client.Now().Add(keepIssuerFor)})
			return b, nil
		})
		if err != nil {
			return out, err
		}
		if b, ok := got.([]byte); ok {
			out = append(out, b)
		}
	}
	return out, nil
}

// fetch makes one query within the letter's share; nil when it failed. The error
// is that of resuming, and ends the letter's judgement.
func (s *Session) fetch(ctx context.Context, q query, take func([]byte) (any, error)) (any, error) {
	left := s.spend(q)
	if left <= 0 {
		return nil, nil
	}
	resume := s.pause()
	waiting, cancel := context.WithTimeout(ctx, left)
	out, err := s.client.do(waiting, q, take)
	cancel()
	if err != nil {
		s.client.Log.Debug("not fetched", "url", q.url, "error", err)
		out = nil
	}
	return out, resume(ctx)
}

// spend takes one fetch off the share, and says how long it may take: 0 when
// the share is spent.
func (s *Session) spend(q query) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now() // how long somebody waits, not what time it is
	if s.until.IsZero() {
		s.until = now.Add(s.client.Total)
	}
	issuer := q.about == aboutIssuer
	if s.fetches == maxPerLetter || issuer && s.issuers == maxIssuers {
		return 0
	}
	if s.fetches++; issuer {
		s.issuers++
	}
	return s.until.Sub(now)
}

// aboutIssuer marks queries for issuers' certificates.
const aboutIssuer = "issuer"
