package pki

import (
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// readDistributionPoints collects the names under which complete CRLs of this
// certificate's own issuer may be published (RFC 5280 §4.2.1.13). Points for a
// part of the reasons and points of another CRL issuer are passed over: they
// belong to partitioned and indirect CRLs, which are not used.
func (c *Certificate) readDistributionPoints(v cryptobyte.String) error {
	seq, err := sequence(v)
	if err != nil {
		return err
	}
	issuer, err := parseRDNs(c.Issuer.Raw)
	if err != nil {
		return err
	}
	c.ext.crlNames = make(map[string]bool)
	for !seq.Empty() {
		var point, name cryptobyte.String
		var named, reasons, other bool
		ok := seq.ReadASN1(&point, cbasn1.SEQUENCE) &&
			point.ReadOptionalASN1(&name, &named, cbasn1.Tag(0).Constructed().ContextSpecific()) &&
			skipOptional(&point, cbasn1.Tag(1).ContextSpecific(), &reasons) &&
			skipOptional(&point, cbasn1.Tag(2).Constructed().ContextSpecific(), &other) && point.Empty()
		if !ok {
			return errDER
		}
		if !named {
			continue
		}
		names, err := readPointName(name, issuer)
		if err != nil {
			return err
		}
		if reasons || other {
			continue
		}
		for _, n := range names {
			c.ext.crlNames[n.key()] = true
			addAddress(&c.ext.addresses.crls, n)
		}
	}
	return nil
}

// readPointName reads DistributionPointName; the short form is relative to the
// name of the CRL's issuer.
func readPointName(in cryptobyte.String, issuer []relativeName) ([]generalName, error) {
	var body cryptobyte.String
	var tag cbasn1.Tag
	if !in.ReadAnyASN1(&body, &tag) || !in.Empty() {
		return nil, errDER
	}
	switch tag {
	case cbasn1.Tag(0).Constructed().ContextSpecific():
		return readGeneralNames(body)
	case cbasn1.Tag(1).Constructed().ContextSpecific():
		rdn, err := parseRDN(body)
		if err != nil {
			return nil, err
		}
		full := append(append([]relativeName(nil), issuer...), rdn)
		return []generalName{directoryName(full)}, nil
	}
	return nil, errDER
}
