package pki

import (
	"bytes"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Name is a distinguished name as it was encoded (DER RDNSequence). Raw that is
// not a Name reads as an empty one; ParseName tells them apart.
type Name struct{ Raw []byte }

// attribute is one AttributeTypeAndValue.
type attribute struct {
	id      objectID
	element []byte // the value with its tag and length
	text    string
	isText  bool
	clean   bool // no control characters, octets fit the string type
}

type relativeName []attribute

// ParseName reads one DER Name and nothing after it.
func ParseName(der []byte) (Name, error) {
	if _, err := parseRDNs(der); err != nil {
		return Name{}, err
	}
	return Name{Raw: der}, nil
}

func parseRDNs(der []byte) ([]relativeName, error) {
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, fmt.Errorf("name: %w", errDER)
	}
	var out []relativeName
	for !seq.Empty() {
		var set cryptobyte.String
		if !seq.ReadASN1(&set, cbasn1.SET) {
			return nil, fmt.Errorf("relative name: %w", errDER)
		}
		rdn, err := parseRDN(set)
		if err != nil {
			return nil, err
		}
		out = append(out, rdn)
	}
	return out, nil
}

// parseRDN reads the content of one SET OF AttributeTypeAndValue.
func parseRDN(set cryptobyte.String) (relativeName, error) {
	if set.Empty() {
		return nil, fmt.Errorf("empty relative name: %w", errDER)
	}
	var rdn relativeName
	for !set.Empty() {
		var seq, value cryptobyte.String
		var a attribute
		var tag cbasn1.Tag
		ok := set.ReadASN1(&seq, cbasn1.SEQUENCE)
		if ok {
			a.id, ok = readObjectID(&seq)
		}
		var element cryptobyte.String
		if !ok || !seq.ReadAnyASN1Element(&element, &tag) || !seq.Empty() {
			return nil, fmt.Errorf("attribute of a name: %w", errDER)
		}
		a.element = element
		if !element.ReadAnyASN1(&value, &tag) {
			return nil, fmt.Errorf("attribute of a name: %w", errDER)
		}
		a.text, a.clean, a.isText = decodeText(tag, value)
		rdn = append(rdn, a)
	}
	return rdn, nil
}

func (n Name) attributes() []attribute {
	rdns, _ := parseRDNs(n.Raw)
	return slices.Concat(rdns...)
}

// Get returns the text values of an attribute type, in the order of the encoding.
func (n Name) Get(oid asn1.ObjectIdentifier) []string { return n.values(encodeOID(oid)) }

func (n Name) values(id objectID) []string {
	var out []string
	for _, a := range n.attributes() {
		if a.id == id && a.isText {
			out = append(out, a.text)
		}
	}
	return out
}

// CommonName is the last, that is the most specific, common name; "" if there is none.
func (n Name) CommonName() string {
	all := n.values(attributeCommonName)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

// Equal compares by RFC 5280 §7.1: string type, case and white space do not count.
func (n Name) Equal(o Name) bool {
	if bytes.Equal(n.Raw, o.Raw) && len(n.Raw) > 0 {
		return true
	}
	a, errA := parseRDNs(n.Raw)
	b, errB := parseRDNs(o.Raw)
	return errA == nil && errB == nil && slices.Equal(canonical(a), canonical(b))
}

// canonical returns one comparison key for each relative name.
func canonical(rdns []relativeName) []string {
	keys := make([]string, len(rdns))
	for i, rdn := range rdns {
		keys[i] = rdn.key()
	}
	return keys
}

// key is the same for relative names that match, whatever the order of their attributes.
func (r relativeName) key() string {
	parts := make([]string, len(r))
	for i, a := range r {
		value := "s" + fold(a.text)
		if !a.isText {
			value = "r" + string(a.element)
		}
		parts[i] = lengthPrefixed(string(a.id)) + lengthPrefixed(value)
	}
	slices.Sort(parts)
	return strings.Join(parts, "")
}

// lengthPrefixed keeps concatenated keys unambiguous.
func lengthPrefixed(s string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) + s
}

// nameKey folds a whole name into one map key.
func nameKey(rdnKeys []string) string {
	var b strings.Builder
	for _, k := range rdnKeys {
		b.WriteString(lengthPrefixed(k))
	}
	return b.String()
}

// attributeNames are the short names of RFC 4514 §3, then those in wide use,
// then the Russian ones of qualified certificates.
var attributeNames = map[objectID]string{
	"\x55\x04\x03": "CN", "\x55\x04\x07": "L", "\x55\x04\x08": "ST", "\x55\x04\x0a": "O",
	"\x55\x04\x0b": "OU", "\x55\x04\x06": "C", "\x55\x04\x09": "street",
	"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19": "DC",
	"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01": "UID",
	attributeEmailAddress:                      "emailAddress",
	"\x55\x04\x04":                             "SN", "\x55\x04\x2a": "GN", "\x55\x04\x0c": "title",
	"\x55\x04\x05": "serialNumber", "\x55\x04\x41": "pseudonym", "\x55\x04\x61": "organizationIdentifier",
	"\x2a\x85\x03\x64\x01": "OGRN", "\x2a\x85\x03\x64\x03": "SNILS", "\x2a\x85\x03\x64\x04": "INNLE",
	"\x2a\x85\x03\x64\x05": "OGRNIP", "\x2a\x85\x03\x03\x81\x03\x01\x01": "INN",
}

// String is RFC 4514: most specific first, special characters escaped. Control
// characters and invisible or direction-changing ones appear as \xx.
func (n Name) String() string {
	rdns, _ := parseRDNs(n.Raw)
	parts := make([]string, 0, len(rdns))
	for _, rdn := range slices.Backward(rdns) {
		values := make([]string, len(rdn))
		for i, a := range rdn {
			values[i] = a.String()
		}
		parts = append(parts, strings.Join(values, "+"))
	}
	return strings.Join(parts, ",")
}

func (a attribute) String() string {
	short, known := attributeNames[a.id]
	if !known || !a.isText {
		if !known {
			short = a.id.String()
		}
		return short + "=#" + hex.EncodeToString(a.element)
	}
	return short + "=" + escapeText(a.text)
}

// escapeText is RFC 4514 §2.4, with every character that does not show escaped as well.
const upperHex = "0123456789ABCDEF"

func escapeText(s string) string {
	var out strings.Builder
	for i, r := range s {
		last := i == len(s)-1
		switch {
		case strings.ContainsRune(`"+,;<>\`, r), r == '#' && i == 0, r == ' ' && (i == 0 || last):
			out.WriteByte('\\')
			out.WriteRune(r)
		case r != ' ' && !unicode.IsGraphic(r), r != ' ' && unicode.IsSpace(r):
			for _, c := range []byte(string(r)) {
				out.Write([]byte{'\\', upperHex[c>>4], upperHex[c&15]})
			}
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}
