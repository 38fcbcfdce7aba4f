package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// BenchCmd measures an installation of its own, beside the floor or beside
// another server in the same run: figures of different runs say little.
type BenchCmd struct {
	Intake BenchIntakeCmd `cmd:"" help:"Letters per second, judged and stored before 250, beside what the disk allows."`
	IMAP   BenchIMAPCmd   `cmd:"" help:"Reading letters by IMAP, beside another server if one is named." name:"imap"`
}

// benchPlace is where the measured installation is made, and on what.
type benchPlace struct {
	Dir  string `help:"Measure on the disk of this directory; a scratch directory is made in it." type:"existingdir" default:"." placeholder:"DIR"`
	JSON bool   `help:"Print JSON." name:"json"`
	Servers
}

// begin starts an installation in a scratch directory, until target.end.
func (p *benchPlace) begin(ctx context.Context) (*target, error) {
	parent, err := filepath.Abs(p.Dir)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, "bench-")
	if err != nil {
		return nil, err
	}
	t, err := startTarget(ctx, dir, p.Servers)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return t, nil
}

// backend names what is measured.
func (p *benchPlace) backend() string {
	name := "sqlite"
	if p.StoreDSNFile != "" {
		name = "postgres"
	}
	if p.S3URLFile != "" {
		return name + "+s3"
	}
	return name + "+dir"
}

// target is a demo in a process of its own: what it takes is not what the
// clients in this process take.
type target struct {
	binary, dir, data string // dir: all that the run writes; data: the demo's part
	base              int
	servers           Servers
	process           *exec.Cmd
	ended             chan error
	file              demoFile
}

// startTarget runs a demo below dir until stop.
func startTarget(ctx context.Context, dir string, servers Servers) (*target, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, err
	}
	base, err := freePortBase()
	if err != nil {
		return nil, err
	}
	t := &target{binary: binary, dir: dir, data: filepath.Join(dir, "data"), base: base, servers: servers}
	return t, t.start(ctx)
}

// freePortBase is a port base whose ports were free a moment ago: by chance, so
// that two who look at once find different ones, and below the ports that a
// system gives to clients.
func freePortBase() (int, error) {
	for range 100 {
		base := 20000 + mrand.IntN(11500)
		free := true
		for _, p := range []int{80, 143, 443, 465, 587, 993} {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(base+p)))
			if free = free && err == nil; err == nil {
				l.Close()
			}
		}
		if free {
			return base, nil
		}
	}
	return 0, errors.New("no free ports")
}

// startTime is how long a demo may take until it serves.
const startTime = 60 * time.Second

func (t *target) start(ctx context.Context) error {
	args := []string{"demo", "--data", t.data, "--port-base", strconv.Itoa(t.base)}
	if t.servers.StoreDSNFile != "" {
		args = append(args, "--store-dsn-file", t.servers.StoreDSNFile)
	}
	if t.servers.S3URLFile != "" {
		args = append(args, "--s3-url-file", t.servers.S3URLFile)
	}
	t.process = exec.CommandContext(ctx, t.binary, args...) // #nosec G204 -- this very program
	t.process.Cancel = func() error { return t.process.Process.Signal(syscall.SIGTERM) }
	t.process.WaitDelay = 2 * drain
	log, err := os.OpenFile(t.data+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	t.process.Stderr = log
	if err := t.process.Start(); err != nil {
		return err
	}
	t.ended = make(chan error, 1)
	go func() { t.ended <- t.process.Wait() }()
	return t.ready(ctx)
}

// ready waits for demo.json.
func (t *target) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		b, err := readSmall(filepath.Join(t.data, "demo.json"), maxConfig)
		if err == nil && json.Unmarshal(b, &t.file) == nil {
			return nil
		}
		select {
		case err := <-t.ended:
			t.ended <- err
			said, _ := readSmall(t.data+".log", maxConfig)
			return fmt.Errorf("the measured gateway ended: %w\n%s", err, said)
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the measured gateway does not start: %w", ctx.Err()), t.stop())
		case <-tick.C:
		}
	}
}

// stop ends the process in good order.
func (t *target) stop() error {
	err := t.process.Process.Signal(syscall.SIGTERM)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	return errors.Join(err, <-t.ended, os.Remove(filepath.Join(t.data, "demo.json")))
}

// end stops the process and removes what the run has written.
func (t *target) end() error { return errors.Join(t.stop(), os.RemoveAll(t.dir)) }

// restart ends the process and starts another on the same data.
func (t *target) restart(ctx context.Context) error {
	if err := t.stop(); err != nil {
		return err
	}
	return t.start(ctx)
}
