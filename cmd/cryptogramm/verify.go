package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/judge"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// VerifyCmd judges one file by the rules of the gateway's door, without server
// and network. Its exit codes are 0 passed, 1 failed, 2 indeterminate,
// 3 unsigned, 4 usage or unreadable.
type VerifyCmd struct {
	Config        string    `help:"Trust what the installation of this configuration trusts." xor:"place" placeholder:"FILE"`
	Data          string    `help:"Trust what the installation in this data directory trusts." xor:"place" placeholder:"DIR"`
	JSON          bool      `help:"Print the finding as JSON." name:"json"`
	Trust         []string  `help:"Trust anchors: a PEM or DER file, or a folder of them. Nothing is trusted without." placeholder:"F|DIR"`
	Intermediates []string  `help:"File of intermediate certificates." placeholder:"FILE"`
	CRL           []string  `help:"Revocation list, PEM or DER." name:"crl" placeholder:"FILE"`
	OCSP          []string  `help:"OCSP response, DER or PEM." name:"ocsp" placeholder:"FILE"`
	At            time.Time `help:"Judge as of this moment (RFC 3339) instead of now." placeholder:"TIME"`
	Content       string    `help:"The file that a detached signature was made for; by default FILE without its extension." placeholder:"FILE"`
	File          string    `arg:"" help:"Letter (.eml), signature, certificate or evidence file; - reads standard input."`
}

// Run verifies and prints.
func (c *VerifyCmd) Run(ctx context.Context, s *Streams) int {
	finding, err := c.verify(ctx, s)
	if err == nil && finding.Reason == judge.ReasonInterrupted {
		err = errors.New(finding.Detail)
	}
	if err == nil {
		err = c.print(s.Out, finding)
	}
	if err != nil {
		fmt.Fprintln(s.Err, "cryptogramm:", err)
		return exitUsage
	}
	return finding.Exit()
}

func (c *VerifyCmd) verify(ctx context.Context, s *Streams) (rem.Finding, error) {
	if c.At.IsZero() {
		c.At = time.Now()
	}
	verifier, err := c.newVerifier(ctx)
	if err != nil {
		return rem.Finding{}, err
	}
	in, err := openInput(c.File, s.In)
	if err != nil {
		return rem.Finding{}, err
	}
	defer in.Close()
	v := verification{
		VerifyCmd: c, input: in, verifier: verifier,
		log: slog.New(slog.NewTextHandler(s.Err, &slog.HandlerOptions{Level: slog.LevelError})),
	}
	kind, err := in.kind()
	switch {
	case err != nil:
		return rem.Finding{}, err
	case c.Content != "" || kind == isSignatureFile:
		return v.signature(ctx)
	case kind == isEvidence:
		return v.evidence()
	case kind == isCertificate:
		return v.certificate(ctx)
	}
	return v.letter(ctx)
}

// verification is one run.
type verification struct {
	*VerifyCmd
	*input
	verifier *signer.Verifier
	log      *slog.Logger
}

// letter judges a letter whose sender is whom From names. A file with LF line
// ends only, as mail programs save letters on Unix, is judged in the CRLF form
// in which it went over the wire, and every signature says so.
func (v *verification) letter(ctx context.Context) (rem.Finding, error) {
	converted, err := v.canonical()
	if err != nil {
		return rem.Finding{}, err
	}
	l, err := message.Parse(v.input, v.size, message.DefaultLimits())
	if errors.Is(err, message.ErrMalformed) || errors.Is(err, message.ErrLimit) {
		return rem.Finding{
			Verdict: rem.Failed, Reason: rem.ReasonMalformed, Detail: message.SafeDisplay(err.Error()),
			Signatures: []rem.Signature{}, Uncovered: []string{},
		}, nil
	}
	if err != nil {
		return rem.Finding{}, err
	}
	if len(l.Root.Header) == 0 {
		return rem.Finding{}, fmt.Errorf("%s: neither a letter nor a signature nor a certificate", v.name)
	}
	var party rem.Party
	for _, a := range l.From {
		party.Addresses = append(party.Addresses, a.Mailbox)
	}
	f, err := v.withStored(ctx, func() rem.Finding {
		return judge.Judge(ctx, l, judge.Request{
			Verifier: v.verifier, Party: party, Policy: rem.Policy{DocumentSigner: "any"}, Now: v.At, Log: v.log,
		})
	})
	if err != nil {
		return rem.Finding{}, err
	}
	for i := range f.Signatures {
		if converted {
			f.Signatures[i].Checks = append(f.Signatures[i].Checks, rem.Check{
				Name: "line-ends", Status: "passed", Detail: "the file has LF line ends; it was judged with CRLF, as sent",
			})
		}
	}
	return f, nil
}

// signature judges a signature file. One whose content is elsewhere is tried
// with the file beside it that has its name without the extension.
func (v *verification) signature(ctx context.Context) (rem.Finding, error) {
	req := judge.FileRequest{Verifier: v.verifier, Now: v.At, Log: v.log, Name: v.name, Signature: v.source()}
	if v.Content == "" {
		f, err := v.files(ctx, req)
		if err != nil {
			return rem.Finding{}, err
		}
		beside := strings.TrimSuffix(v.VerifyCmd.File, filepath.Ext(v.VerifyCmd.File))
		if f.Reason != rem.ReasonNoContent || v.VerifyCmd.File == stdinName || beside == v.VerifyCmd.File || !isFile(beside) {
			return f, nil
		}
		v.Content = beside
	}
	if !isFile(v.Content) {
		return rem.Finding{}, fmt.Errorf("%s: not a file", v.Content)
	}
	req.ContentName = filepath.Base(v.Content)
	req.Content = func() (io.ReadCloser, error) { return os.Open(v.Content) }
	return v.files(ctx, req)
}

func (v *verification) files(ctx context.Context, req judge.FileRequest) (rem.Finding, error) {
	return v.withStored(ctx, func() rem.Finding { return judge.Files(ctx, req) })
}

// certificate judges the first certificate of the file; the others may be its
// authorities'.
func (v *verification) certificate(ctx context.Context) (rem.Finding, error) {
	b, err := v.all(maxTrustFile)
	if err != nil {
		return rem.Finding{}, err
	}
	list, err := pki.ParsePEMOrDER(unbase64(b))
	if err == nil && len(list) == 0 {
		err = errors.New("no certificate")
	}
	if err != nil {
		return rem.Finding{}, fmt.Errorf("%s: %w", v.name, err)
	}
	return judge.Certificate(ctx, list[0], list[1:], judge.FileRequest{Verifier: v.verifier, Now: v.At, Log: v.log, Name: v.name}), nil
}

func (c *VerifyCmd) print(w io.Writer, f rem.Finding) error {
	if !c.JSON {
		return printFinding(w, f)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(f)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
