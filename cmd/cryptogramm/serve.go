package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/imapd"
	"cryptogramm.ru/cryptogramm/gateway/smtpd"
	"cryptogramm.ru/cryptogramm/webview"
	"golang.org/x/net/netutil"
)

// ServeCmd runs a configured gateway until it is told to stop.
type ServeCmd struct {
	Config string `required:"" help:"Configuration file." type:"existingfile" placeholder:"FILE"`
}

// Run serves until ctx ends.
func (c *ServeCmd) Run(ctx context.Context, s *Streams) int {
	log := slog.New(slog.NewJSONHandler(s.Err, nil))
	config, err := readConfig(c.Config)
	if err != nil {
		return s.fail(err)
	}
	pair, err := config.keyPair(time.Now())
	if err != nil {
		return s.fail(fmt.Errorf("tls: %w", err))
	}
	unlock, err := lockData(config.Data)
	if err != nil {
		return s.fail(err)
	}
	defer unlock()
	i, err := openInstallation(ctx, config, log)
	if err != nil {
		return s.fail(err)
	}
	defer i.close()
	if config.Relay.Address == "" {
		log.Warn("relay.address is empty: mail to recipients is only written to a folder", "folder", config.path("outbox"))
	}
	if info, err := os.Stat(config.Data); err == nil && info.Mode().Perm()&0o077 != 0 {
		log.Warn("the data directory is open to others: chmod 700 it", "data", config.Data, "mode", info.Mode().Perm().String())
	}
	log.Info("starting", "config", c.Config, "domain", config.Domain, "store", config.Store.Driver, "policy", config.Policy)
	d := doors{installation: i, certificate: pair}
	if err := d.serve(ctx, nil, func() error { log.Info("ready"); return nil }); err != nil {
		return s.fail(err)
	}
	return exitOK
}

// keyPair reads the certificate of all doors. One that no client would accept
// stops the start.
func (c *Config) keyPair(now time.Time) (tls.Certificate, error) {
	pair, err := c.TLS.read()
	if err != nil {
		return pair, err
	}
	if now.After(pair.Leaf.NotAfter) {
		return pair, fmt.Errorf("%s ended at %s; renew it", c.TLS.Certificate, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return pair, nil
}

// maxHTTP bounds open web connections.
const maxHTTP = 2000

// maxSMTP and otherFiles are what else may be open at once: submissions, and
// letters, database, fetches and mails on their way.
const (
	maxSMTP    = 1000
	otherFiles = 2000
)

// drain is how long open transactions may take to end at a stop.
const drain = 20 * time.Second

// doors are the listeners in front of an installation.
type doors struct {
	*installation
	certificate tls.Certificate
}

// door is one listener and what answers it.
type door struct {
	key     string // of the configuration
	address string
	serve   func(net.Listener) error
}

// serve opens every door, calls ready, and carries out jobs, until ctx ends
// or a door fails. steps are job steps beside the gateway's own.
func (d *doors) serve(ctx context.Context, steps map[string]gateway.Step, ready func() error) error {
	defer runtime.KeepAlive(make([]byte, ballast))
	housekeeping, endHousekeeping := context.WithCancel(ctx)
	defer endHousekeeping()
	go giveBack(housekeeping)
	want := uint64(maxHTTP + maxSMTP + d.config.IMAP.Connections + otherFiles)
	if have := openFiles(want); have < want {
		d.log.Warn("not as many files may be open as there may be connections", "limit", have, "wanted", want)
	}
	config := &tls.Config{Certificates: []tls.Certificate{d.certificate}, MinVersion: tls.VersionTLS12}
	mail := smtpd.New(smtpd.Config{
		Gateway: d.gateway, Accounts: d.accounts, TLS: config, Domain: d.config.Domain, Log: d.log,
	})
	boxes := imapd.New(imapd.Config{
		Gateway: d.gateway, Accounts: d.accounts, DB: d.db, TLS: config, Now: time.Now, Log: d.log,
		Limits: imapd.Limits{Connections: d.config.IMAP.Connections, PerPeer: d.config.IMAP.PerAddress},
	})
	web := d.webServer(config)
	redirect := &http.Server{Handler: http.RedirectHandler(d.config.BaseURL+"/", http.StatusMovedPermanently), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	limit := func(serve func(net.Listener) error) func(net.Listener) error {
		return func(l net.Listener) error { return serve(netutil.LimitListener(limitPeers(l, maxPeerHTTP), maxHTTP)) }
	}
	list := []door{
		{"smtp.submissions", d.config.SMTP.Submissions, mail.ServeTLS},
		{"smtp.submission", d.config.SMTP.Submission, mail.Serve},
		{"imap.imaps", d.config.IMAP.IMAPS, boxes.ServeTLS},
		{"imap.imap", d.config.IMAP.IMAP, boxes.Serve},
		{"web.https", d.config.Web.HTTPS, limit(func(l net.Listener) error { return web.ServeTLS(l, "", "") })},
		{"web.redirect", d.config.Web.Redirect, limit(redirect.Serve)},
	}
	ended := make(chan error, len(list)+1)
	if err := open(list, ended); err != nil {
		return err
	}
	stopJobs, done := d.work(ctx, steps, ended)
	defer stopJobs()
	err := ready()
	if err == nil {
		select {
		case <-ctx.Done():
			d.log.Info("stopping")
		case <-d.node.Lost():
			err = fmt.Errorf("another process has taken this node's name, %q, while the database was away", d.config.Node)
		case err = <-ended:
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	stopJobs()
	err = errors.Join(err, shutdown(last, mail.Shutdown, boxes.Shutdown, web.Shutdown, redirect.Shutdown))
	select {
	case <-done:
	case <-last.Done(): // a job that a relay holds up: it is claimed again at the next start
		err = errors.Join(err, errors.New("a job was still under way at the end"))
	}
	return err
}

// work carries out jobs until stop; what ends it before goes to ended.
func (d *doors) work(ctx context.Context, steps map[string]gateway.Step, ended chan<- error) (stop context.CancelFunc, done <-chan struct{}) {
	ctx, stop = context.WithCancel(context.WithoutCancel(ctx))
	end := make(chan struct{})
	go func() {
		defer close(end)
		if err := d.gateway.Run(ctx, steps); err != nil {
			ended <- err
		}
	}()
	return stop, end
}

// shutdown ends all servers at once and waits for each.
func shutdown(ctx context.Context, servers ...func(context.Context) error) error {
	stopped := make(chan error, len(servers))
	for _, s := range servers {
		go func() { stopped <- s(ctx) }()
	}
	var all []error
	for range servers {
		all = append(all, <-stopped)
	}
	return errors.Join(all...)
}

// open listens on every configured address before any of them is served, so
// that a taken port stops the start.
func open(list []door, ended chan<- error) error {
	var listeners []net.Listener
	for _, d := range list {
		if d.address == "" {
			listeners = append(listeners, nil)
			continue
		}
		l, err := net.Listen("tcp", d.address)
		if err != nil {
			for _, l := range listeners {
				if l != nil {
					l.Close()
				}
			}
			return fmt.Errorf("%s: %w", d.key, err)
		}
		listeners = append(listeners, l)
	}
	for n, d := range list {
		if listeners[n] == nil {
			continue
		}
		go func() {
			if err := d.serve(listeners[n]); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				ended <- fmt.Errorf("%s: %w", d.key, err)
			}
		}()
	}
	return nil
}

func (d *doors) webServer(config *tls.Config) *http.Server {
	outbox := ""
	if d.config.outbox {
		outbox = d.config.path("outbox")
	}
	return &http.Server{
		Handler: webview.New(webview.Config{
			Gateway: d.gateway, Accounts: d.accounts, DB: d.db, BaseURL: d.config.BaseURL, Outbox: outbox, Log: d.log, Now: time.Now,
		}),
		TLSConfig:         config.Clone(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 32}, // each may hold a form or an upload in memory
		ErrorLog:          slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
	}
}
