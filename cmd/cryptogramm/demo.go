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
	PortBase int    `help:"Ports are this plus 465, 587, 993, 143, 443, 80." default:"1000"`
	Verbose  bool   `help:"Log every transaction, request and job."`

	LetterMiB int64 `help:"Largest letter." default:"100" placeholder:"MIB" name:"letter-mib"`
	Servers
}

const demoDomain = "demo.test"

// demoFile is DIR/demo.json: everything a client needs to try the demo.
type demoFile struct {
	SMTP struct {
		Submissions string `json:"submissions"`
		Submission  string `json:"submission"`
	} `json:"smtp"`
	IMAP struct {
		IMAPS string `json:"imaps"`
		IMAP  string `json:"imap"`
	} `json:"imap"`
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
	config, err := c.config(data)
	if err != nil {
		return err
	}
	scene, err := openScene(config.path("ca"))
	if err != nil {
		return err
	}
	scene.configure(config)
	if err := config.save(); err != nil {
		return err
	}
	if err := c.makeBucket(ctx, config); err != nil {
		return err
	}
	i, err := openInstallation(ctx, config, log)
	if err != nil {
		return err
	}
	defer i.close()
	if err := scene.set(ctx, i); err != nil {
		return err
	}
	pair, err := config.keyPair(scene.now())
	if err != nil {
		return err
	}
	d := doors{installation: i, certificate: pair}
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

func (c *DemoCmd) config(data string) (*Config, error) {
	at := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.PortBase+port)) }
	config := defaultConfig()
	config.Data, config.Domain, config.BaseURL, config.outbox = data, demoDomain, "https://"+at(443), true
	config.SMTP = SMTPConfig{Submissions: at(465), Submission: at(587)}
	config.IMAP.IMAPS, config.IMAP.IMAP, config.IMAP.PerAddress = at(993), at(143), config.IMAP.Connections // all come from one address
	config.Web = WebConfig{HTTPS: at(443), Redirect: at(80)}
	config.Limits.LetterMiB = c.LetterMiB
	if err := c.Servers.configure(config); err != nil {
		return nil, err
	}
	config.derive(data)
	return config, nil
}

func (c *DemoCmd) describe(config *Config, scene *demoScene) demoFile {
	f := demoFile{Web: config.Web.HTTPS, CA: scene.bundle, Outbox: config.path("outbox"), Admin: scene.state.Admin, Parties: scene.state.Parties}
	f.SMTP.Submissions, f.SMTP.Submission = config.SMTP.Submissions, config.SMTP.Submission
	f.IMAP.IMAPS, f.IMAP.IMAP = config.IMAP.IMAPS, config.IMAP.IMAP
	return f
}

func (c *DemoCmd) greet(s *Streams, config *Config, f demoFile) {
	fmt.Fprintf(s.Out, "Cryptogramm demo on %s (loopback only)\n", config.BaseURL)
	fmt.Fprintf(s.Out, "  submission  smtps://%s  smtp+starttls://%s\n", f.SMTP.Submissions, f.SMTP.Submission)
	fmt.Fprintf(s.Out, "  mailboxes   imaps://%s  imap+starttls://%s\n", f.IMAP.IMAPS, f.IMAP.IMAP)
	fmt.Fprintf(s.Out, "  outgoing mail  %s/outbox\n", config.BaseURL)
	for _, p := range f.Parties {
		fmt.Fprintf(s.Out, "  %-18s  %s\n", p.Email, p.Name)
	}
	fmt.Fprintf(s.Out, "  passwords, certificates and keys: %s\n", filepath.Join(config.Data, "demo.json"))
}
