package signer

import (
	"context"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// The digest by which reports and evidence name octets, whatever the signers use.
var oidSHA256 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}

const readSize = 16 << 10

// content is what is known of the signed octets after one pass over them.
type content struct {
	found    bool
	conflict bool // the CMS carries content where it must not
	isSet    bool // it has the form of signed attributes
	size     int64
	first    byte
	sums     []*sum // SHA-256 and what the signers need
}

type sum struct {
	algorithm *pki.Hash
	state     hash.Hash
	value     []byte
}

// Write takes one piece of the content.
func (c *content) Write(p []byte) (int, error) {
	if c.size == 0 && len(p) > 0 {
		c.first = p[0]
	}
	c.size += int64(len(p))
	for _, s := range c.sums {
		s.state.Write(p)
	}
	return len(p), nil
}

// digest returns the digest of the content by one algorithm, nil when there was no content.
func (c *content) digest(h *pki.Hash) []byte {
	i := slices.IndexFunc(c.sums, func(s *sum) bool { return s.algorithm.Name == h.Name })
	if i < 0 {
		return nil
	}
	return c.sums[i].value
}

// readContent finds the content, reads it once for every digest, and once more only if it begins like a set.
func readContent(ctx context.Context, job Job, sd *cms.SignedData) (*content, error) {
	c := &content{conflict: sd.Attached && (job.Attached == Detached || job.Content != nil)}
	source := job.Content
	switch {
	case c.conflict:
	case sd.Attached:
		source = eContent(job.Signature)
	case job.Attached == Enveloping:
		source = nil
	}
	if source == nil {
		return c, nil
	}
	if err := c.prepare(sd.Signers); err != nil {
		return nil, err
	}
	if !sd.Attached && job.Known.fill(c) {
		return c, nil
	}
	if err := withSource(ctx, source, func(r io.Reader) error { _, err := io.CopyBuffer(c, r, make([]byte, readSize)); return err }); err != nil {
		return nil, err
	}
	for _, s := range c.sums {
		s.value = s.state.Sum(nil)
	}
	c.found = true
	if c.first != 0x31 {
		return c, nil
	}
	return c, withSource(ctx, source, func(r io.Reader) (err error) { c.isSet, err = cms.IsAttributes(r); return err })
}

// fill completes prepared content by what is known of it, if that is enough.
func (k *Known) fill(c *content) bool {
	for _, s := range c.sums {
		if k == nil || k.Digests[s.algorithm.Name] == nil {
			return false
		}
	}
	for _, s := range c.sums {
		s.value = k.Digests[s.algorithm.Name]
	}
	c.found, c.isSet, c.size = true, k.IsAttributes, k.Size
	return true
}

// prepare lists SHA-256 and the digests of the signers, each once. Those not known are Check's finding.
func (c *content) prepare(signers []cms.SignerInfo) error {
	own, err := pki.HashByOID(oidSHA256)
	if err != nil {
		return fmt.Errorf("SHA-256: %w", err)
	}
	c.sums = []*sum{{algorithm: own, state: own.New()}}
	for i := range signers {
		h, err := pki.HashByOID(signers[i].Digest.OID)
		if err == nil && !slices.ContainsFunc(c.sums, func(s *sum) bool { return s.algorithm.Name == h.Name }) {
			c.sums = append(c.sums, &sum{algorithm: h, state: h.New()})
		}
	}
	return nil
}

// eContent is the source of the content inside a signature.
func eContent(signature cms.Source) cms.Source {
	return func() (io.ReadCloser, error) {
		in, err := signature()
		if err != nil {
			return nil, err
		}
		content, err := cms.Content(in)
		if err != nil {
			in.Close()
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{content, in}, nil
	}
}

// withSource opens a source for one pass that ends when the context does.
func withSource(ctx context.Context, source cms.Source, read func(io.Reader) error) error {
	in, err := source()
	if err != nil {
		return err
	}
	defer in.Close()
	return read(contextReader{ctx, in})
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// undecodable says whether a source that decodes base64 while it is read found none: the octets' fault, not the disk's.
func undecodable(err error) bool {
	var corrupt base64.CorruptInputError
	return errors.As(err, &corrupt)
}
