package pki

import (
	"encoding/asn1"
	"slices"
	"testing"
)

// rdn makes a relative name of one attribute.
func rdn(oid []byte, tag byte, value string) []byte {
	return tlv(0x31, tlv(0x30, tlv(6, oid), tlv(tag, []byte(value))))
}

var (
	cn      = []byte{0x55, 4, 3}
	country = []byte{0x55, 4, 6}
	inn     = []byte{0x2a, 0x85, 3, 3, 0x81, 3, 1, 1}
)

func nameOf(t testing.TB, rdns ...[]byte) Name {
	t.Helper()
	n, err := ParseName(tlv(0x30, rdns...))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNameString(t *testing.T) {
	for _, c := range []struct {
		name Name
		want string
	}{
		{nameOf(t), ""},
		{nameOf(t, rdn(country, 19, "DE"), rdn(cn, 12, "Алиса")), "CN=Алиса,C=DE"},
		{nameOf(t, rdn(cn, 12, ` a,b+c"d\e<f>;# `)), `CN=\ a\,b\+c\"d\\e\<f\>\;#\ `},
		{nameOf(t, rdn(cn, 12, "#x")), `CN=\#x`},
		{nameOf(t, rdn(cn, 12, "a\x00b\nc")), `CN=a\00b\0Ac`},
		{nameOf(t, rdn(cn, 12, "fdp.\u202eexe")), `CN=fdp.\E2\80\AEexe`},
		{nameOf(t, rdn(cn, 12, "a\u00a0b")), `CN=a\C2\A0b`},
		{nameOf(t, rdn(cn, 30, "\x04\x10\x04\x3b")), "CN=Ал"},
		{nameOf(t, rdn(cn, 20, "M\xfcller")), "CN=Müller"},
		{nameOf(t, rdn(inn, 18, "007700000000")), "INN=007700000000"},
		{nameOf(t, rdn([]byte{0x2a, 3}, 12, "x")), "1.2.3=#0c0178"},
		{nameOf(t, rdn([]byte{0x69, 0x83, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, 12, "x")), "2.25.36893488147419103231=#0c0178"},
		{nameOf(t, rdn(cn, 2, "\x05")), "CN=#020105"},
		{nameOf(t, tlv(0x31, tlv(0x30, tlv(6, cn), tlv(12, []byte("a"))), tlv(0x30, tlv(6, country), tlv(19, []byte("DE"))))), "CN=a+C=DE"},
		{Name{Raw: []byte("rubbish")}, ""},
	} {
		if got := c.name.String(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

func TestNameEqual(t *testing.T) {
	base := nameOf(t, rdn(country, 19, "DE"), rdn(cn, 12, "Straße Nr 1"))
	for _, c := range []struct {
		name string
		n    Name
		want bool
	}{
		{"itself", base, true},
		{"case, spaces and string types", nameOf(t, rdn(country, 12, "de"), rdn(cn, 30, "\x00 \x00S\x00T\x00R\x00A\x00S\x00S\x00E\x00 \x00 \x00N\x00R\x00 \x001")), true},
		{"other order", nameOf(t, rdn(cn, 12, "Straße Nr 1"), rdn(country, 19, "DE")), false},
		{"longer", nameOf(t, rdn(country, 19, "DE"), rdn(cn, 12, "Straße Nr 1"), rdn(cn, 12, "x")), false},
		{"space inside", nameOf(t, rdn(country, 19, "DE"), rdn(cn, 12, "Straße Nr1")), false},
		{"not a text", nameOf(t, rdn(country, 19, "DE"), rdn(cn, 4, "Straße Nr 1")), false},
		{"no name at all", Name{Raw: []byte{1}}, false},
	} {
		if got := base.Equal(c.n); got != c.want || c.n.Equal(base) != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	// Parts of a key cannot move between fields.
	a, b := nameOf(t, rdn(cn, 12, "ab"), rdn(cn, 12, "c")), nameOf(t, rdn(cn, 12, "a"), rdn(cn, 12, "bc"))
	if a.Equal(b) {
		t.Error("ab, c equals a, bc")
	}
	if (Name{}).Equal(Name{}) {
		t.Error("what is no name equals nothing")
	}
}

func TestNameGet(t *testing.T) {
	n := nameOf(t, rdn(cn, 12, "first"), rdn(inn, 18, "123"), rdn(cn, 12, "last"))
	if n.CommonName() != "last" {
		t.Errorf("common name %q", n.CommonName())
	}
	if got := n.Get(asn1.ObjectIdentifier{2, 5, 4, 3}); !slices.Equal(got, []string{"first", "last"}) {
		t.Errorf("%q", got)
	}
	if got := n.Get(asn1.ObjectIdentifier{1, 2, 643, 3, 131, 1, 1}); !slices.Equal(got, []string{"123"}) {
		t.Errorf("%q", got)
	}
	if nameOf(t).CommonName() != "" || nameOf(t).Get(asn1.ObjectIdentifier{9}) != nil {
		t.Error("something out of nothing")
	}
}

func TestParseNameRefuses(t *testing.T) {
	for name, der := range map[string][]byte{
		"empty":                {},
		"trailing octet":       append(tlv(0x30, rdn(cn, 12, "a")), 0),
		"empty relative name":  tlv(0x30, tlv(0x31)),
		"no value":             tlv(0x30, tlv(0x31, tlv(0x30, tlv(6, cn)))),
		"two values":           tlv(0x30, tlv(0x31, tlv(0x30, tlv(6, cn), []byte{12, 0, 12, 0}))),
		"OID with a gap":       tlv(0x30, rdn([]byte{0x55, 0x80, 1}, 12, "a")),
		"OID without an end":   tlv(0x30, rdn([]byte{0x55, 0x84}, 12, "a")),
		"long form for a byte": {0x30, 0x81, 0},
	} {
		if _, err := ParseName(der); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestWorst(t *testing.T) {
	order := []Verdict{{}, Passed(), {Indeterminate, TryLater}, {Indeterminate, NoCertificateChainFound}, {TotalFailed, Expired}}
	for i, a := range order {
		for j, b := range order {
			if got := Worst(a, b); got != order[max(i, j)] {
				t.Errorf("worst of %v and %v is %v", a, b, got)
			}
		}
	}
	first, second := Verdict{TotalFailed, Revoked}, Verdict{TotalFailed, Expired}
	if Worst(first, second) != first || Worst(second, first) != second {
		t.Error("between equals the first stands")
	}
	if odd := (Verdict{"SOMETHING", ""}); Worst(odd, Passed()) != odd {
		t.Error("an unknown word passed")
	}
}
