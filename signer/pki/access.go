package pki

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Limits of the addresses that one certificate may name for one purpose.
const (
	maxAddresses = 4
	maxAddress   = 1024 // octets
)

// addresses are the URLs at which a certificate says that more can be had. They
// are a stranger's words: whoever dials them has to mind where they lead.
type addresses struct{ issuers, ocsp, crls []string }

// IssuerURLs are where certificates of the issuer are said to be (RFC 5280
// §4.2.2.1, id-ad-caIssuers): http and https only, at most four.
func (c *Certificate) IssuerURLs() []string { return slices.Clone(c.ext.addresses.issuers) }

// OCSPURLs are where the certificate's status is said to be answered (id-ad-ocsp).
func (c *Certificate) OCSPURLs() []string { return slices.Clone(c.ext.addresses.ocsp) }

// CRLURLs are where complete CRLs of the certificate's own issuer are said to
// be (§4.2.1.13): full names only.
func (c *Certificate) CRLURLs() []string { return slices.Clone(c.ext.addresses.crls) }

// readAuthorityInfo reads AuthorityInfoAccessSyntax (§4.2.2.1). Methods and
// forms of names that are not used are passed over.
func (c *Certificate) readAuthorityInfo(v cryptobyte.String) error {
	seq, err := sequence(v)
	if err != nil {
		return err
	}
	for !seq.Empty() {
		var description cryptobyte.String
		if !seq.ReadASN1(&description, cbasn1.SEQUENCE) {
			return errDER
		}
		method, ok := readObjectID(&description)
		if !ok {
			return errDER
		}
		name, err := readGeneralName(&description)
		if err != nil || !description.Empty() {
			return errDER
		}
		switch method {
		case accessOCSP:
			addAddress(&c.ext.addresses.ocsp, name)
		case accessIssuers:
			addAddress(&c.ext.addresses.issuers, name)
		}
	}
	return nil
}

// addAddress keeps a name that is a plain http or https URL.
func addAddress(list *[]string, n generalName) {
	if n.form != formURI || !n.clean || len(n.value) > maxAddress || len(*list) == maxAddresses {
		return
	}
	u, err := url.Parse(n.text)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" || strings.ContainsAny(n.text, " \t") {
		return
	}
	if u.Scheme == "http" || u.Scheme == "https" {
		*list = append(*list, n.text)
	}
}

// readNoCheck: the issuer says that this responder's own certificate need not be
// checked as long as it lives.
func (c *Certificate) readNoCheck(v cryptobyte.String) error {
	var null cryptobyte.String
	if !v.ReadASN1(&null, cbasn1.NULL) || !null.Empty() || !v.Empty() {
		return errDER
	}
	c.ext.noCheck = true
	return nil
}
