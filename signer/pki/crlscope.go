package pki

import (
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// crlScope is the issuing distribution point of a CRL (RFC 5280 §5.2.5): which
// certificates of the issuer it speaks of. The zero value is all of them.
type crlScope struct {
	names          []generalName // nil: not bound to a distribution point
	onlyUsers      bool
	onlyAuthority  bool
	onlyAttributes bool
	someReasons    bool
	indirect       bool
}

func (s *crlScope) read(v cryptobyte.String, issuer Name) error {
	seq, err := sequence(v)
	if err != nil {
		return err
	}
	var name cryptobyte.String
	var named bool
	if !seq.ReadOptionalASN1(&name, &named, cbasn1.Tag(0).Constructed().ContextSpecific()) {
		return errDER
	}
	if named {
		rdns, err := parseRDNs(issuer.Raw)
		if err != nil {
			return err
		}
		if s.names, err = readPointName(name, rdns); err != nil {
			return err
		}
		if s.names == nil { // a point without names would look like none
			return errDER
		}
	}
	if !optionalFlag(&seq, 1, &s.onlyUsers) || !optionalFlag(&seq, 2, &s.onlyAuthority) ||
		!skipOptional(&seq, cbasn1.Tag(3).ContextSpecific(), &s.someReasons) ||
		!optionalFlag(&seq, 4, &s.indirect) || !optionalFlag(&seq, 5, &s.onlyAttributes) || !seq.Empty() {
		return errDER
	}
	return nil
}

// optionalFlag reads an implicitly tagged BOOLEAN DEFAULT FALSE.
func optionalFlag(seq *cryptobyte.String, n uint8, out *bool) bool {
	var b cryptobyte.String
	var present bool
	if !seq.ReadOptionalASN1(&b, &present, cbasn1.Tag(n).ContextSpecific()) {
		return false
	}
	if !present {
		return true
	}
	*out = len(b) == 1 && b[0] == 0xff
	return len(b) == 1 && (b[0] == 0xff || b[0] == 0)
}

// excludes says why the list does not settle the status of a certificate; "" if it does.
func (s *crlScope) excludes(c *Certificate) string {
	switch {
	case s.indirect:
		return "it is an indirect CRL"
	case s.someReasons:
		return "it covers only some reasons"
	case s.onlyAttributes:
		return "it covers only attribute certificates"
	case s.onlyUsers && c.ext.isCA:
		return "it covers only user certificates"
	case s.onlyAuthority && !c.ext.isCA:
		return "it covers only CA certificates"
	case s.names != nil && !s.coversPointOf(c):
		return "it belongs to another distribution point"
	}
	return ""
}

// coversPointOf: one name of the point is also a name of the certificate's own
// distribution points, or the name of its issuer (§6.3.3 (b)(2)(i) and its last paragraph).
func (s *crlScope) coversPointOf(c *Certificate) bool {
	for _, n := range s.names {
		if c.ext.crlNames[n.key()] || n.form == formDirectory && nameKey(n.keys) == c.issuerKey {
			return true
		}
	}
	return false
}
