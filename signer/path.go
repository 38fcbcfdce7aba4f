package signer

import (
	"bytes"
	"context"
	"slices"

	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// maxHops is how many missing issuers above one another are fetched.
const maxHops = 3

// Path judges a certificate with all that is at hand: what req brings, what is
// Given, and what can be fetched. It answers also those certificates of the
// chain that were fetched. The error is the context's, or that of a session
// that could not go on.
//
// A signer can bring an old list in which he does not stand yet. So lists that
// came with a signature spare nobody the question whether there is a newer one.
func (v *Verifier) Path(ctx context.Context, req pki.PathRequest) (pki.Path, []*pki.Certificate, error) {
	req.Extra = slices.Concat(v.Given.Certificates, req.Extra)
	req.OCSPs = slices.Concat(v.Given.OCSPs, req.OCSPs)
	req.ExtKeyUsages = v.ExtKeyUsages
	carried := req.ExtraCRLs
	if req.ExtraCRLs = slices.Concat(v.Given.CRLs, carried); v.Fetch == nil {
		return v.trust().Validate(req), nil, nil
	}
	req.ExtraCRLs = v.Given.CRLs
	path := v.trust().Validate(req)
	before := len(req.Extra)
	path, err := v.climb(ctx, &req, path)
	if err != nil {
		return path, nil, err
	}
	news, err := v.settle(ctx, &req, path)
	if err != nil {
		return path, nil, err
	}
	if req.ExtraCRLs = slices.Concat(req.ExtraCRLs, carried); news || len(carried) > 0 {
		path = v.trust().Validate(req)
	}
	return path, inChain(path, req.Extra[:len(req.Extra)-before]), nil
}

// climb fetches the issuers that are missing between the leaf and an anchor,
// and puts them in front of req.Extra.
func (v *Verifier) climb(ctx context.Context, req *pki.PathRequest, path pki.Path) (pki.Path, error) {
	for range maxHops {
		if path.Anchor != nil {
			break
		}
		top := path.Chain[len(path.Chain)-1]
		bodies, err := v.Fetch.Issuers(ctx, top)
		if err != nil {
			return path, err
		}
		found := issuersIn(bodies, top)
		found = slices.DeleteFunc(found, func(c *pki.Certificate) bool { return contains(req.Extra, c) })
		if len(found) == 0 {
			break
		}
		req.Extra = slices.Concat(found, req.Extra)
		path = v.trust().Validate(*req)
	}
	return path, nil
}

// maxFetchedIssuers is how many certificates of one hop are tried.
const maxFetchedIssuers = 4

// issuersIn are the certificates in fetched octets that have the name of the
// issuer. Their keys are the path's matter.
func issuersIn(bodies [][]byte, c *pki.Certificate) []*pki.Certificate {
	var out []*pki.Certificate
	for _, b := range bodies {
		list, err := pki.ParsePEMOrDER(b)
		if err != nil {
			if sd, err := cms.Parse(bytes.NewReader(b)); err == nil {
				list = sd.Certificates
			}
		}
		for _, i := range list {
			if i.Subject.Equal(c.Issuer) && len(out) < maxFetchedIssuers && !contains(out, i) {
				out = append(out, i)
			}
		}
	}
	return out
}

// settle fetches what is known of the certificates that nothing at hand
// settles, provided that their path is in order otherwise. It tells whether
// anything was found.
func (v *Verifier) settle(ctx context.Context, req *pki.PathRequest, path pki.Path) (bool, error) {
	tryLater := pki.Verdict{Indication: pki.Indeterminate, SubIndication: pki.TryLater}
	if path.Anchor == nil || path.Verdict != tryLater {
		return false, nil
	}
	at, news := req.StatusAt, false
	if at.IsZero() {
		at = req.At
	}
	for _, u := range path.Unsettled {
		found, err := v.Fetch.Status(ctx, u.Certificate, u.Issuer, at)
		if err != nil {
			return false, err
		}
		req.OCSPs = slices.Concat(found.OCSPs, req.OCSPs)
		req.ExtraCRLs = slices.Concat(found.CRLs, req.ExtraCRLs)
		news = news || len(found.OCSPs) > 0 || len(found.CRLs) > 0
	}
	return news, nil
}

func contains(list []*pki.Certificate, c *pki.Certificate) bool {
	return slices.ContainsFunc(list, func(o *pki.Certificate) bool { return o.SHA256 == c.SHA256 })
}

// inChain are those of the certificates that are part of a path to an anchor.
func inChain(path pki.Path, list []*pki.Certificate) []*pki.Certificate {
	var out []*pki.Certificate
	for _, c := range list {
		if path.Anchor != nil && contains(path.Chain, c) {
			out = append(out, c)
		}
	}
	return out
}
