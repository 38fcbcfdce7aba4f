package main

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"text/tabwriter"
	"time"

	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// TrustCmd keeps what signatures are judged against.
type TrustCmd struct {
	Add    TrustAddCmd    `cmd:"" help:"Add anchors, intermediate certificates or CRLs."`
	List   TrustListCmd   `cmd:"" help:"List them."`
	Remove TrustRemoveCmd `cmd:"" help:"Remove an anchor."`
}

// TrustAddCmd adds from PEM or DER files.
type TrustAddCmd struct {
	Place
	Kind          string   `help:"Kind of the anchors: ${enum}. 'qualified' is the operator's word for it." enum:"qualified,unqualified,foreign" default:"unqualified"`
	CRL           []string `help:"CRL file." type:"existingfile" placeholder:"FILE" name:"crl"`
	Intermediates []string `help:"File of intermediate certificates." type:"existingfile" placeholder:"FILE"`
	Anchors       []string `arg:"" optional:"" help:"Files of anchor certificates." type:"existingfile"`
}

// maxTrustFile bounds one file of certificates or CRLs.
const maxTrustFile = 64 << 20

// Run adds everything it was given; adding again changes nothing but the kind
// of an anchor. What was added before an error stays, and is in the audit.
func (c *TrustAddCmd) Run(ctx context.Context, s *Streams) int {
	if len(c.Anchors)+len(c.CRL)+len(c.Intermediates) == 0 {
		return s.usage(errors.New("nothing to add: name files of anchors, --intermediates or --crl"))
	}
	_, db, err := c.open(ctx)
	if err != nil {
		return s.fail(err)
	}
	defer db.Close()
	now := time.Now()
	var added []string
	for _, f := range c.Anchors {
		err = errors.Join(err, eachCertificate(f, func(cert *pki.Certificate) error {
			added = append(added, c.Kind+" anchor "+rem.Digest(cert.SHA256).String())
			return addAnchor(ctx, db, cert, pki.AnchorKind(c.Kind), now)
		}))
	}
	for _, f := range c.Intermediates {
		err = errors.Join(err, eachCertificate(f, func(cert *pki.Certificate) error {
			added = append(added, "intermediate "+rem.Digest(cert.SHA256).String())
			return addIntermediate(ctx, db, cert, now)
		}))
	}
	for _, f := range c.CRL {
		err = errors.Join(err, eachCRL(f, func(l *pki.CRL) error {
			added = append(added, "crl "+rem.DigestOf(l.Raw).String())
			return putCRL(ctx, db, l, now)
		}))
	}
	if len(added) > 0 {
		err = errors.Join(err, db.Audit(ctx, operator, "trust add", strings.Join(added, "\n")))
	}
	if err != nil {
		return s.fail(err)
	}
	return exitOK
}

// operator is the actor of what is done on the command line.
const operator = "command line"

func eachCertificate(file string, add func(*pki.Certificate) error) error {
	b, err := readSmall(file, maxTrustFile)
	if err != nil {
		return err
	}
	certs, err := pki.ParsePEMOrDER(b)
	if err == nil && len(certs) == 0 {
		err = errors.New("no certificate")
	}
	for _, c := range certs {
		if err == nil {
			err = add(c)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

func addAnchor(ctx context.Context, db *store.DB, c *pki.Certificate, kind pki.AnchorKind, now time.Time) error {
	err := db.AddAnchor(ctx, store.Anchor{SHA256: c.SHA256, DER: c.Raw, Kind: string(kind), Subject: c.Subject.String(), Added: now})
	return ignoreExists(err)
}

func addIntermediate(ctx context.Context, db *store.DB, c *pki.Certificate, now time.Time) error {
	err := db.AddIntermediate(ctx, store.Intermediate{SHA256: c.SHA256, DER: c.Raw, Subject: c.Subject.String(), Added: now})
	return ignoreExists(err)
}

func ignoreExists(err error) error {
	if errors.Is(err, store.ErrExists) {
		return nil
	}
	return err
}

func eachCRL(file string, add func(*pki.CRL) error) error {
	b, err := readSmall(file, maxTrustFile)
	if err != nil {
		return err
	}
	lists, err := pki.ParseCRLs(b)
	for _, l := range lists {
		if err == nil {
			err = add(l)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// putCRL hands a CRL to the installation.
func putCRL(ctx context.Context, db *store.DB, l *pki.CRL, now time.Time) error {
	return db.PutCRL(ctx, store.CRL{
		SHA256: rem.DigestOf(l.Raw), DER: l.Raw, Issuer: l.Issuer.String(), Number: numberText(l.Number),
		ThisUpdate: l.ThisUpdate, NextUpdate: l.NextUpdate, Added: now,
	})
}

func numberText(n *big.Int) string {
	if n == nil {
		return ""
	}
	return n.String()
}

// TrustListCmd lists anchors, intermediates and CRLs.
type TrustListCmd struct {
	Place
	JSON bool `help:"Print JSON." name:"json"`
}

// trustEntry is one line of the list.
type trustEntry struct {
	Type       string     `json:"type"` // "anchor", "intermediate", "crl"
	Kind       string     `json:"kind,omitempty"`
	Name       string     `json:"name"`
	SHA256     rem.Digest `json:"sha256"`
	NextUpdate *time.Time `json:"next_update,omitempty"`
}

// Run prints the list.
func (c *TrustListCmd) Run(ctx context.Context, s *Streams) int {
	_, db, err := c.open(ctx)
	if err != nil {
		return s.fail(err)
	}
	defer db.Close()
	list, err := trustEntries(ctx, db)
	if err != nil {
		return s.fail(err)
	}
	if c.JSON {
		return s.json(list)
	}
	w := tabwriter.NewWriter(s.Out, 0, 4, 2, ' ', 0)
	for _, e := range list {
		note := e.Kind
		if e.NextUpdate != nil {
			note = "until "
			if e.NextUpdate.Before(time.Now()) {
				note = "ended " // whoever it speaks for is answered 451
			}
			note += e.NextUpdate.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.Type, e.SHA256, display(note), display(e.Name))
	}
	if err := w.Flush(); err != nil {
		return s.fail(err)
	}
	return exitOK
}

func trustEntries(ctx context.Context, db *store.DB) ([]trustEntry, error) {
	list := []trustEntry{}
	anchors, err := db.Anchors(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range anchors {
		list = append(list, trustEntry{Type: "anchor", Kind: a.Kind, Name: a.Subject, SHA256: a.SHA256})
	}
	between, err := db.Intermediates(ctx)
	if err != nil {
		return nil, err
	}
	for _, i := range between {
		list = append(list, trustEntry{Type: "intermediate", Name: i.Subject, SHA256: i.SHA256})
	}
	crls, err := db.CRLs(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range crls {
		e := trustEntry{Type: "crl", Name: l.Issuer, SHA256: l.SHA256}
		if !l.NextUpdate.IsZero() {
			e.NextUpdate = &l.NextUpdate
		}
		list = append(list, e)
	}
	return list, nil
}

// TrustRemoveCmd removes an anchor: nothing new is accepted under it. What was
// accepted before stays, with the certificate it was accepted under.
type TrustRemoveCmd struct {
	Place
	SHA256 string `arg:"" help:"SHA-256 of the anchor, hex."`
}

// Run removes it.
func (c *TrustRemoveCmd) Run(ctx context.Context, s *Streams) int {
	sha, err := rem.ParseDigest(c.SHA256)
	if err != nil {
		return s.usage(err)
	}
	_, db, err := c.open(ctx)
	if err != nil {
		return s.fail(err)
	}
	defer db.Close()
	err = db.RemoveAnchor(ctx, sha)
	if err == nil {
		err = db.Audit(ctx, operator, "trust remove", sha.String())
	}
	if err != nil {
		return s.fail(err)
	}
	return exitOK
}
