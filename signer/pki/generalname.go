package pki

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// nameForm is the context tag number of a GeneralName (RFC 5280 §4.2.1.6).
type nameForm uint8

const (
	formOther     nameForm = 0
	formEmail     nameForm = 1
	formDNS       nameForm = 2
	formX400      nameForm = 3
	formDirectory nameForm = 4
	formEDIParty  nameForm = 5
	formURI       nameForm = 6
	formIP        nameForm = 7
	formID        nameForm = 8
)

// String is the word a report shows for the form.
func (f nameForm) String() string {
	return [...]string{"otherName", "e-mail", "DNS", "X.400", "directory", "EDI party", "URI", "IP", "registered ID"}[f]
}

// generalName is one GeneralName. text is set for e-mail, DNS and URI; rdns and
// its comparison keys for directory names; value holds the content octets always.
type generalName struct {
	form  nameForm
	value []byte
	text  string
	rdns  []relativeName
	keys  []string
	clean bool
}

// key is equal for names that match, for use in maps.
func (g generalName) key() string {
	if g.form == formDirectory {
		return string(rune(g.form)) + nameKey(g.keys)
	}
	return string(rune(g.form)) + string(g.value)
}

// directoryName makes the GeneralName of a distinguished name.
func directoryName(rdns []relativeName) generalName {
	return generalName{form: formDirectory, rdns: rdns, keys: canonical(rdns), clean: cleanNames(rdns)}
}

// cleanNames tells whether every text of a name is without control characters.
func cleanNames(rdns []relativeName) bool {
	for _, rdn := range rdns {
		for _, a := range rdn {
			if a.isText && !a.clean {
				return false
			}
		}
	}
	return true
}

func readGeneralName(in *cryptobyte.String) (generalName, error) {
	var content cryptobyte.String
	var tag cbasn1.Tag
	if !in.ReadAnyASN1(&content, &tag) || tag&0xc0 != 0x80 || tag&0x1f > 8 {
		return generalName{}, fmt.Errorf("general name: %w", errDER)
	}
	g := generalName{form: nameForm(tag & 0x1f), value: content, clean: true}
	constructed := tag&0x20 != 0
	wantConstructed := g.form == formOther || g.form == formX400 || g.form == formDirectory || g.form == formEDIParty
	if constructed != wantConstructed {
		return g, fmt.Errorf("general name of form %s: %w", g.form, errDER)
	}
	switch g.form {
	case formEmail, formDNS, formURI: // IA5String: octets above 127 do not fit the type
		g.text, g.clean, _ = decodeText(cbasn1.IA5String, content)
	case formDirectory: // explicitly tagged, because Name is a CHOICE
		rdns, err := parseRDNs(content)
		if err != nil {
			return g, err
		}
		g.rdns, g.keys, g.clean = rdns, canonical(rdns), cleanNames(rdns)
	}
	return g, nil
}

// readGeneralNames reads the content of a SEQUENCE OF GeneralName.
func readGeneralNames(in cryptobyte.String) ([]generalName, error) {
	var out []generalName
	for !in.Empty() {
		g, err := readGeneralName(&in)
		if err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, nil
}
