package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"cryptogramm.ru/cryptogramm/gateway"
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
	pair, err := tls.LoadX509KeyPair(config.TLS.Certificate, config.TLS.Key)
	if err != nil {
		return s.fail(fmt.Errorf("tls: %w", err))
	}
	i, err := openInstallation(ctx, config, log)
	if err != nil {
		return s.fail(err)
	}
	defer i.db.Close()
	log.Info("starting", "config", c.Config, "domain", config.Domain, "store", config.Store.Driver, "policy", config.Policy)
	d := doors{installation: i, certificate: pair}
	if err := d.serve(ctx, nil, func() error { log.Info("ready"); return nil }); err != nil {
		return s.fail(err)
	}
	return exitOK
}

// maxHTTP bounds open web connections.
const maxHTTP = 2000

// drain is how long open transactions may take to end at a stop.
const drain = 20 * time.Second

// doors are the listeners in front of an installation.
type doors struct {
	*installation
	certificate tls.Certificate
}

// door is one listener and what answers it.
type door struct {
	address string
	serve   func(net.Listener) error
}

// serve opens every door, calls ready, and carries out jobs, until ctx ends
// or a door fails. steps are job steps beside the gateway's own.
func (d *doors) serve(ctx context.Context, steps map[string]gateway.Step, ready func() error) error {
	config := &tls.Config{Certificates: []tls.Certificate{d.certificate}, MinVersion: tls.VersionTLS12}
	mail := smtpd.New(smtpd.Config{
		Gateway: d.gateway, Accounts: d.accounts, TLS: config, Domain: d.config.Domain, Log: d.log,
	})
	web := d.webServer(config)
	redirect := &http.Server{Handler: http.RedirectHandler(d.config.BaseURL+"/", http.StatusMovedPermanently), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	limit := func(serve func(net.Listener) error) func(net.Listener) error {
		return func(l net.Listener) error { return serve(netutil.LimitListener(l, maxHTTP)) }
	}
	list := []door{
		{d.config.SMTP.Submissions, mail.ServeTLS},
		{d.config.SMTP.Submission, mail.Serve},
		{d.config.Web.HTTPS, limit(func(l net.Listener) error { return web.ServeTLS(l, "", "") })},
		{d.config.Web.Redirect, limit(redirect.Serve)},
	}
	ended := make(chan error, len(list)+1)
	if err := open(list, ended); err != nil {
		return err
	}
	jobs, stopJobs := context.WithCancel(context.WithoutCancel(ctx))
	defer stopJobs()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := d.gateway.Run(jobs, steps); err != nil {
			ended <- err
		}
	}()
	err := ready()
	if err == nil {
		select {
		case <-ctx.Done():
			d.log.Info("stopping")
		case err = <-ended:
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err = errors.Join(err, mail.Shutdown(last), web.Shutdown(last), redirect.Shutdown(last))
	stopJobs()
	<-done
	return err
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
			return err
		}
		listeners = append(listeners, l)
	}
	for n, d := range list {
		if listeners[n] == nil {
			continue
		}
		go func() {
			if err := d.serve(listeners[n]); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				ended <- fmt.Errorf("door %s: %w", d.address, err)
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
		ErrorLog:          slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
	}
}
