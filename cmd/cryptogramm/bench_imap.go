package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
)

// BenchIMAPCmd reads letters of 20 KB with one client program from an
// installation of its own and, if one is named, from another server in turn.
type BenchIMAPCmd struct {
	benchPlace
	Letters int `help:"Letters in the mailbox that is listed." default:"10000"`
	Fetch   int `help:"Letters that are fetched." default:"1000"`
	Idle    int `help:"Idle connections whose memory is weighed." default:"1000"`
	Rounds  int `help:"How often; medians count." default:"3"`

	Peer         string `help:"Another server to measure: its IMAPS door." placeholder:"HOST:PORT"`
	PeerPlain    string `help:"Its door without TLS." placeholder:"HOST:PORT"`
	PeerName     string `help:"What it is called in the results." default:"peer" placeholder:"NAME"`
	User         string `help:"Its user." placeholder:"USER"`
	PasswordFile string `help:"A secret file with the user's password." type:"existingfile" placeholder:"FILE"`
	PeerPIDFile  string `help:"File with the process id of its master, to weigh it." placeholder:"FILE" name:"peer-pid-file"`
	PeerCold     string `help:"Shell command that makes it forget indexes and caches." placeholder:"COMMAND"`
}

// imapRow is one figure of one server, the median of all rounds.
type imapRow struct {
	Server string  `json:"server"`
	What   string  `json:"what"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
}

type imapResult struct {
	Backend string    `json:"backend"`
	Rows    []imapRow `json:"rows"`
}

// Run measures, server by server, and prints each row as it is known.
func (c *BenchIMAPCmd) Run(ctx context.Context, s *Streams) int {
	r := imapResult{Backend: c.backend(), Rows: []imapRow{}}
	err := c.run(ctx, func(row imapRow) {
		r.Rows = append(r.Rows, row)
		if !c.JSON {
			fmt.Fprintf(s.Out, "%-12s %-46s %9.1f %s\n", display(row.Server), row.What, row.Value, row.Unit)
		}
	})
	if err != nil {
		return s.fail(err)
	}
	if c.JSON {
		return s.json(r)
	}
	return exitOK
}

// imapServer is one server under measurement.
type imapServer struct {
	name  string
	tls   imapDoor
	plain imapDoor // address "": it has none
	cold  func(context.Context) error
	pid   func() (int, error)
}

func (c *BenchIMAPCmd) run(ctx context.Context, row func(imapRow)) (err error) {
	t, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.end()) }()
	servers, err := c.servers(t)
	if err != nil {
		return err
	}
	letter, err := benchLetter(t.file.Parties[0], t.file.Parties[1].Email)
	if err != nil {
		return err
	}
	for _, s := range servers {
		m := &imapMeasure{BenchIMAPCmd: c, server: s, row: row}
		if err := m.all(ctx, letter); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// servers are ours and the other one. A peer's certificate is not checked:
// nothing but bench letters goes there.
func (c *BenchIMAPCmd) servers(t *target) ([]imapServer, error) {
	roots, err := pool(t.file.CA)
	if err != nil {
		return nil, err
	}
	anna := t.file.Parties[0]
	list := []imapServer{{
		name: "cryptogramm",
		tls:  imapDoor{t.file.IMAP.IMAPS, &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}, anna.Email, anna.Password},
		cold: t.restart,
		pid:  func() (int, error) { return t.process.Process.Pid, nil },
	}}
	if c.Peer == "" {
		return list, nil
	}
	password, err := secret(c.PasswordFile)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(c.Peer)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{ServerName: host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} // #nosec G402 -- see above
	return append(list, imapServer{
		name: c.PeerName, tls: imapDoor{c.Peer, config, c.User, password}, plain: imapDoor{c.PeerPlain, nil, c.User, password},
		cold: func(ctx context.Context) error {
			return exec.CommandContext(ctx, "/bin/sh", "-c", c.PeerCold).Run() // #nosec G204 -- the operator's own command
		},
		pid: func() (int, error) { return readPID(c.PeerPIDFile) },
	}), nil
}

func readPID(file string) (int, error) {
	b, err := readSmall(file, 100)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}
