package pki

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxComparisons bounds the work of name constraints on one path: names times
// constraints, all chosen by whoever made the certificates.
const maxComparisons = 250_000

// nameConstraints is RFC 5280 §4.2.1.10. Subtree limits other than minimum 0
// without maximum are refused while reading, as the profile allows no others.
type nameConstraints struct {
	permitted, excluded []generalName
}

func (c *Certificate) readNameConstraints(v cryptobyte.String) error {
	seq, err := sequence(v)
	if err != nil {
		return err
	}
	nc := &nameConstraints{}
	for n, list := range []*[]generalName{&nc.permitted, &nc.excluded} {
		var field cryptobyte.String
		var present bool
		if !seq.ReadOptionalASN1(&field, &present, cbasn1.Tag(n).Constructed().ContextSpecific()) || present && field.Empty() {
			return errDER
		}
		if *list, err = readSubtrees(field); err != nil {
			return err
		}
	}
	if !seq.Empty() || nc.permitted == nil && nc.excluded == nil {
		return errDER
	}
	c.ext.constraints = nc
	return nil
}

func readSubtrees(in cryptobyte.String) ([]generalName, error) {
	var out []generalName
	for !in.Empty() {
		var subtree cryptobyte.String
		if !in.ReadASN1(&subtree, cbasn1.SEQUENCE) {
			return nil, errDER
		}
		base, err := readGeneralName(&subtree)
		if err != nil {
			return nil, err
		}
		minimum := cbasn1.Tag(0).ContextSpecific()
		if subtree.PeekASN1Tag(minimum) { // the default, written out
			if n, ok := readSmallInteger(&subtree, minimum, 1); !ok || n != 0 {
				return nil, errors.New("subtree with a minimum")
			}
		}
		if !subtree.Empty() {
			return nil, errors.New("subtree with a maximum")
		}
		if base.form == formIP && len(base.value) != 8 && len(base.value) != 32 {
			return nil, errDER
		}
		out = append(out, base)
	}
	return out, nil
}

// subjectNames are the names that constraints above a certificate apply to: its
// subject, all alternative names, and the e-mail of its subject where no
// alternative name has one.
func (c *Certificate) subjectNames() []generalName {
	names := slices.Clone(c.ext.names)
	if len(c.subjectRDNs) > 0 {
		names = append(names, generalName{form: formDirectory, keys: c.subjectRDNs})
	}
	if !slices.ContainsFunc(names, func(g generalName) bool { return g.form == formEmail }) {
		for _, s := range c.Subject.values(attributeEmailAddress) {
			names = append(names, generalName{form: formEmail, text: s, value: []byte(s)})
		}
	}
	return names
}

// allows checks names against one certificate's constraints. budget counts down
// by each comparison; when it is used up the answer is an error too.
func (nc *nameConstraints) allows(names []generalName, budget *int) error {
	for _, name := range names {
		for _, base := range nc.excluded {
			if base.form == name.form {
				if hit, err := covers(base, name, excluding, budget); err != nil || hit {
					return fmt.Errorf("%s name is excluded%s", name.form, because(err))
				}
			}
		}
		constrained, hit := false, false
		for _, base := range nc.permitted {
			if base.form != name.form || hit {
				continue
			}
			constrained = true
			var err error
			if hit, err = covers(base, name, permitting, budget); err != nil {
				return fmt.Errorf("%s name is not permitted%s", name.form, because(err))
			}
		}
		if constrained && !hit {
			return fmt.Errorf("%s name is not permitted", name.form)
		}
	}
	return nil
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

// direction says which mistake is the safe one in a comparison that could go
// either way: a permitted subtree covers too little, an excluded one too much.
type direction int

const (
	permitting direction = iota
	excluding
)

// covers tells whether a name lies in the subtree of base. An error means that
// the name cannot be judged, so that the path must fail.
func covers(base, name generalName, dir direction, budget *int) (bool, error) {
	if *budget--; *budget < 0 {
		return false, errors.New("too many names to compare")
	}
	switch name.form {
	case formEmail:
		return coversEmail(base.text, name.text, dir)
	case formDNS:
		return coversDNS(base.text, name.text, dir), nil
	case formDirectory:
		return len(base.keys) <= len(name.keys) && slices.Equal(base.keys, name.keys[:len(base.keys)]), nil
	case formURI:
		return coversURI(base.text, name.text)
	case formIP:
		return coversIP(base.value, name.value)
	}
	return false, errors.New("this form of name cannot be compared")
}

// coversEmail: a mailbox names itself, a host all mailboxes on it, ".domain"
// all mailboxes on hosts inside it.
func coversEmail(base, name string, dir direction) (bool, error) {
	at := strings.LastIndexByte(name, '@')
	if at < 1 || at == len(name)-1 {
		return false, errors.New("e-mail address without a mailbox")
	}
	local, host := name[:at], foldHost(name[at+1:])
	if at := strings.LastIndexByte(base, '@'); at >= 0 {
		sameLocal := base[:at] == local || dir == excluding && strings.EqualFold(base[:at], local)
		return sameLocal && foldHost(base[at+1:]) == host, nil
	}
	return coversHost(foldHost(base), host), nil
}

// coversHost: "" is everything, ".domain" what lies below it, "host" itself.
func coversHost(base, host string) bool {
	if base == "" || strings.HasPrefix(base, ".") {
		return strings.HasSuffix(host, base) && len(host) > len(base)
	}
	return base == host
}

// coversDNS: a domain and all below it; with a leading dot only what is below. A
// wildcard stands for names on both sides of a longer exclusion.
func coversDNS(base, name string, dir direction) bool {
	base, name = foldHost(base), foldHost(name)
	if base == "" || strings.HasPrefix(base, ".") {
		return strings.HasSuffix(name, base)
	}
	if parent, wild := strings.CutPrefix(name, "*."); wild && dir == excluding && strings.HasSuffix(base, "."+parent) {
		return true
	}
	return name == base || strings.HasSuffix(name, "."+base)
}

// coversURI applies host rules to the host of a URI; one without a host name
// cannot be judged (§4.2.1.10: "MUST reject").
func coversURI(base, name string) (bool, error) {
	u, err := url.Parse(name)
	if err != nil || u.Hostname() == "" || strings.ContainsAny(u.Hostname(), ":") || looksLikeIPv4(u.Hostname()) {
		return false, errors.New("URI without a host name")
	}
	return coversHost(foldHost(base), foldHost(u.Hostname())), nil
}

func looksLikeIPv4(host string) bool {
	return strings.Trim(host, "0123456789.") == ""
}

// coversIP: address and mask of the subtree, of the name's own family.
func coversIP(base, name []byte) (bool, error) {
	if len(name) != 4 && len(name) != 16 {
		return false, errors.New("IP address of a wrong length")
	}
	if len(base) != 2*len(name) {
		return false, nil
	}
	masked := make([]byte, len(name))
	subnet := make([]byte, len(name))
	for i := range name {
		masked[i] = name[i] & base[len(name)+i]
		subnet[i] = base[i] & base[len(name)+i]
	}
	return bytes.Equal(masked, subnet), nil
}

// foldHost lowers the case of a host name and drops a root dot at its end.
func foldHost(s string) string {
	return strings.TrimSuffix(foldASCII(s), ".")
}
