package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"cryptogramm.ru/cryptogramm/gateway"
)

// DemoCmd runs the whole system on loopback, with nothing to configure.
type DemoCmd struct {
	Data     string `help:"Data directory; made when missing." default:"demo-data" type:"path" placeholder:"DIR"`
	PortBase int    `help:"Ports are this plus 465, 587, 443, 80." default:"1000"`
	Verbose  bool   `help:"Log every transaction, request and job."`
}

const demoDomain = "demo.test"

// demoFile is DIR/demo.json: everything a client needs to try the demo.
type demoFile struct {
	SMTP struct {
		Submissions string `json:"submissions"`
		Submission  string `json:"submission"`
	} `json:"smtp"`
	Web     string      `json:"web"`
	CA      string      `json:"ca"`
	Outbox  string      `json:"outbox"`
	Admin   demoAdmin   `json:"admin"`
	Parties []demoParty `json:"parties"`
}

type demoAdmin struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

type demoParty struct {
	Email    string `json:"email"`
	Name     string `json:"name"`
	Password string `json:"password"`
	Cert     string `json:"cert"`
	Key      string `json:"key"`
}

// Run serves the demo until ctx ends.
func (c *DemoCmd) Run(ctx context.Context, s *Streams) int {
	if err := c.run(ctx, s); err != nil {
		return s.fail(err)
	}
	return exitOK
}

func (c *DemoCmd) run(ctx context.Context, s *Streams) error {
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return err
	}
	unlock, err := lockData(data)
	if err != nil {
		return err
	}
	defer unlock()
	if err := makeDirs(filepath.Join(data, "outbox")); err != nil {
		return err
	}
	ready := filepath.Join(data, "demo.json")
	if err := os.Remove(ready); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	level := slog.LevelWarn
	if c.Verbose {
		level = slog.LevelInfo
	}
	log := slog.New(slog.NewTextHandler(s.Err, &slog.HandlerOptions{Level: level}))
	config := c.config(data)
	i, err := openInstallation(ctx, config, log)
	if err != nil {
		return err
	}
	defer i.db.Close()
	scene, err := setScene(ctx, i)
	if err != nil {
		return err
	}
	d := doors{installation: i, certificate: scene.server}
	return d.serve(ctx, map[string]gateway.Step{jobCRL: scene.renewCRLs}, func() error {
		f := c.describe(config, scene)
		b, err := json.MarshalIndent(f, "", "  ")
		if err != nil {
			return err
		}
		c.greet(s, config, f)
		return writeDurably(ready, append(b, '\n'), 0o600)
	})
}

func (c *DemoCmd) config(data string) *Config {
	at := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.PortBase+port)) }
	config := defaultConfig()
	config.Data, config.Domain, config.BaseURL, config.outbox = data, demoDomain, "https://"+at(443), true
	config.derive(data)
	config.SMTP.Submissions, config.SMTP.Submission = at(465), at(587)
	config.Web.HTTPS, config.Web.Redirect = at(443), at(80)
	return config
}

func (c *DemoCmd) describe(config *Config, scene *demoScene) demoFile {
	f := demoFile{Web: config.Web.HTTPS, CA: scene.bundle, Outbox: config.path("outbox"), Admin: scene.state.Admin, Parties: scene.state.Parties}
	f.SMTP.Submissions, f.SMTP.Submission = config.SMTP.Submissions, config.SMTP.Submission
	return f
}

func (c *DemoCmd) greet(s *Streams, config *Config, f demoFile) {
	fmt.Fprintf(s.Out, "Cryptogramm demo on %s (loopback only)\n", config.BaseURL)
	fmt.Fprintf(s.Out, "  submission  smtps://%s  smtp+starttls://%s\n", f.SMTP.Submissions, f.SMTP.Submission)
	fmt.Fprintf(s.Out, "  outgoing mail  %s/outbox\n", config.BaseURL)
	for _, p := range f.Parties {
		fmt.Fprintf(s.Out, "  %-18s  %s\n", p.Email, p.Name)
	}
	fmt.Fprintf(s.Out, "  passwords, certificates and keys: %s\n", filepath.Join(config.Data, "demo.json"))
}
