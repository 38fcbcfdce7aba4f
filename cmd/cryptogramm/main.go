// Command cryptogramm is the whole system in one binary: gateway, web view,
// demo, offline verifier and the operator's tools.
//
// It alone reads configuration, environment and flags, builds the parts and
// hands them over; results are rendered here as text or JSON.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes of every command; `verify` gives 0–3 its own meaning.
const (
	exitOK    = 0
	exitFail  = 1
	exitUsage = 4
)

// command is what each subcommand's struct offers.
type command interface {
	Run(ctx context.Context, s *Streams) int
}

type cli struct {
	Demo     DemoCmd     `cmd:"" help:"Run everything on loopback with a demo CA and sample parties. Needs no configuration."`
	Serve    ServeCmd    `cmd:"" help:"Run the gateway as configured."`
	Verify   VerifyCmd   `cmd:"" help:"Judge a signed letter, file or certificate by the gateway's own rules, offline."`
	User     UserCmd     `cmd:"" help:"Add and list accounts, set passwords."`
	Trust    TrustCmd    `cmd:"" help:"Trust anchors, intermediate certificates and CRLs."`
	Evidence EvidenceCmd `cmd:"" help:"List and show evidence."`
	Bench    BenchCmd    `cmd:"" help:"Measure an installation of its own."`
	Fsck     FsckCmd     `cmd:"" help:"Re-derive everything the installation claims and report every difference."`
	Version  VersionCmd  `cmd:"" help:"Print the version."`
}

func main() {
	tune()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], &Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}

// errExit stands for kong's own wish to leave (after --help).
var errExit = errors.New("exit")

// run is main without the process around it.
func run(ctx context.Context, args []string, s *Streams) (code int) {
	var c cli
	asked := -1
	parser, err := kong.New(&c,
		kong.Name("cryptogramm"),
		kong.Description("Legally significant document exchange by ordinary e-mail."),
		kong.Writers(s.Out, s.Err),
		kong.Exit(func(n int) { asked = n; panic(errExit) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		return s.fail(err)
	}
	defer func() {
		if r := recover(); r != nil {
			if err, ok := r.(error); !ok || !errors.Is(err, errExit) {
				panic(r)
			}
			code = asked
		}
	}()
	parsed, err := parser.Parse(args)
	if err != nil {
		return s.usage(err)
	}
	return parsed.Selected().Target.Addr().Interface().(command).Run(ctx, s)
}
