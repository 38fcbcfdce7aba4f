package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// printFinding writes a finding for people: the verdict first, then who signed
// what, then what nobody signed. Outside text is made safe for a terminal.
func printFinding(w io.Writer, f rem.Finding) error {
	p := &textPrinter{w: w}
	p.line("Verdict: %s", strings.ToUpper(string(f.Verdict)))
	if f.Detail != "" {
		p.line("  %s", f.Detail)
	}
	for i, s := range f.Signatures {
		p.line("")
		p.signature(i+1, s)
	}
	p.list("Shown, but not signed:", f.Uncovered)
	p.list("Not signed, which is permitted:", f.Unsigned)
	return p.err
}

type textPrinter struct {
	w   io.Writer
	err error
}

func (p *textPrinter) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, message.SafeDisplay(text))
	}
}

func (p *textPrinter) field(name, value string) {
	if value != "" {
		p.line("  %-12s %s", name, value)
	}
}

func (p *textPrinter) signature(n int, s rem.Signature) {
	p.line("Signature %d (%s): %s", n, s.Place, strings.TrimSpace(s.Indication+" "+s.SubIndication))
	signer := s.Signer
	if signer == "" {
		signer = "unknown"
	}
	p.field("signer", signer)
	p.field("e-mail", s.Email)
	p.field("issuer", s.Issuer)
	p.field("serial", s.Serial)
	p.field("trust", s.AnchorKind)
	p.field("format", strings.Trim(s.Format+", "+s.Algorithm, ", "))
	if s.ClaimedTime != nil {
		p.field("says signed", s.ClaimedTime.UTC().Format(time.RFC3339)+" (the signer's claim)")
	}
	p.field("judged as of", s.BestTime.UTC().Format(time.RFC3339))
	p.field("covers", strings.Join(s.Covers, ", "))
	for _, c := range s.Checks {
		if c.Status != "passed" || c.Detail != "" {
			p.field(c.Status, strings.TrimSuffix(c.Name+": "+c.Detail, ": "))
		}
	}
}

func (p *textPrinter) list(title string, items []string) {
	if len(items) == 0 {
		return
	}
	p.line("")
	p.line("%s", title)
	for _, item := range items {
		p.line("  - %s", item)
	}
}
