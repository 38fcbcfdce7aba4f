package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// trustMaterial is what a trust store is made of, and OCSP responses.
type trustMaterial struct {
	anchors       []pki.Anchor
	intermediates []*pki.Certificate
	crls          []*pki.CRL
	ocsps         []*pki.OCSPResponse
}

// trustSource gives material; sources are joined in their order.
type trustSource func(context.Context, *trustMaterial) error

// trustSources are where this command takes its trust from.
func (c *VerifyCmd) trustSources() []trustSource {
	return []trustSource{c.trustOfInstallation, c.trustOfFlags}
}

// newVerifier judges offline, by what the sources give.
func (c *VerifyCmd) newVerifier(ctx context.Context) (*signer.Verifier, error) {
	var m trustMaterial
	for _, source := range c.trustSources() {
		if err := source(ctx, &m); err != nil {
			return nil, err
		}
	}
	return &signer.Verifier{
		Trust: pki.NewTrustStore(m.anchors, m.intermediates, m.crls), Given: signer.Material{OCSPs: m.ocsps},
	}, nil
}

// trustOfInstallation takes over what an installation trusts, when one is
// named. It reads its database and nothing else.
func (c *VerifyCmd) trustOfInstallation(ctx context.Context, m *trustMaterial) error {
	if c.Config == "" && c.Data == "" {
		return nil
	}
	_, db, err := Place{Config: c.Config, Data: c.Data}.open(ctx)
	if err != nil {
		return err
	}
	theirs, err := gateway.ReadTrust(ctx, db)
	m.anchors = append(m.anchors, theirs.Anchors...)
	m.intermediates = append(m.intermediates, theirs.Intermediates...)
	m.crls = append(m.crls, theirs.CRLs...)
	return errors.Join(err, db.Close())
}

// trustOfFlags reads --trust, --intermediates, --crl and --ocsp.
func (c *VerifyCmd) trustOfFlags(_ context.Context, m *trustMaterial) error {
	for _, path := range c.Trust {
		if err := m.addTrust(path); err != nil {
			return fmt.Errorf("--trust: %w", err)
		}
	}
	for _, path := range c.Intermediates {
		list, err := readCertificates(path)
		if err != nil {
			return fmt.Errorf("--intermediates: %w", err)
		}
		m.intermediates = append(m.intermediates, list...)
	}
	for _, path := range c.CRL {
		if err := m.addCRLs(path); err != nil {
			return fmt.Errorf("--crl: %w", err)
		}
	}
	for _, path := range c.OCSP {
		b, err := readSmall(path, maxTrustFile)
		if err != nil {
			return fmt.Errorf("--ocsp: %w", err)
		}
		list, err := pki.ParseOCSPResponses(b)
		if err != nil {
			return fmt.Errorf("--ocsp: %s: %w", path, err)
		}
		m.ocsps = append(m.ocsps, list...)
	}
	return nil
}

// addTrust adds a file of anchors, or every certificate and CRL of a folder by
// their usual extensions. Nothing given here is "qualified": only an operator
// says that of an installation's anchors.
func (m *trustMaterial) addTrust(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return m.addAnchors(path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	found := false
	for _, e := range entries {
		file, ext := filepath.Join(path, e.Name()), strings.ToLower(filepath.Ext(e.Name()))
		switch {
		case slices.Contains([]string{".pem", ".crt", ".cer", ".der"}, ext):
			err, found = m.addAnchors(file), true
		case ext == ".crl":
			err, found = m.addCRLs(file), true
		}
		if err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%s: no certificate in it", path)
	}
	return nil
}

func (m *trustMaterial) addAnchors(path string) error {
	list, err := readCertificates(path)
	for _, c := range list {
		m.anchors = append(m.anchors, pki.Anchor{Certificate: c, Kind: pki.Unqualified})
	}
	return err
}

func (m *trustMaterial) addCRLs(path string) error {
	b, err := readSmall(path, maxTrustFile)
	if err != nil {
		return err
	}
	list, err := pki.ParseCRLs(b)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	m.crls = append(m.crls, list...)
	return nil
}

func readCertificates(path string) ([]*pki.Certificate, error) {
	b, err := readSmall(path, maxTrustFile)
	if err != nil {
		return nil, err
	}
	list, err := pki.ParsePEMOrDER(b)
	if err == nil && len(list) == 0 {
		err = errors.New("no certificate")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}
