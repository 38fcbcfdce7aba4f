package pki

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"testing"
)

// subtrees makes name constraints out of permitted and excluded bases.
func subtrees(permitted, excluded [][]byte) pkix.Extension {
	var body [][]byte
	for i, list := range [][][]byte{permitted, excluded} {
		var trees []byte
		for _, base := range list {
			trees = append(trees, tlv(0x30, base)...)
		}
		if trees != nil {
			body = append(body, tlv(0xa0|byte(i), trees))
		}
	}
	return ext("2.5.29.30", true, tlv(0x30, body...)...)
}

func dirName(t testing.TB, n pkix.Name) []byte {
	der, err := asn1.Marshal(n.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	return tlv(0xa4, der)
}

var constraintRules = []rule{
	{"mailbox on a host", func(w *world) { w.inter.PermittedEmailAddresses = []string{"EXAMPLE.com"} },
		func(w *world) { w.inter.PermittedEmailAddresses = []string{"mail.example.com"} }, chainFails(), "name-constraints"},
	{"one mailbox", func(w *world) { w.inter.PermittedEmailAddresses = []string{"alice@example.com"} },
		func(w *world) { w.inter.PermittedEmailAddresses = []string{"Alice@example.com"} }, chainFails(), "name-constraints"},
	{"mailboxes inside a domain", func(w *world) { w.inter.PermittedEmailAddresses = []string{".com"} },
		func(w *world) { w.inter.PermittedEmailAddresses = []string{".example.com"} }, chainFails(), "name-constraints"},
	{"excluded host", func(w *world) { w.inter.ExcludedEmailAddresses = []string{"ple.com"} },
		func(w *world) { w.inter.ExcludedEmailAddresses = []string{"example.com"} }, chainFails(), "name-constraints"},
	{"excluded mailbox in other case", func(w *world) { w.inter.ExcludedEmailAddresses = []string{"bob@example.com"} },
		func(w *world) { w.inter.ExcludedEmailAddresses = []string{"ALICE@example.com"} }, chainFails(), "name-constraints"},
	{"constraints of the anchor", func(w *world) { w.root.PermittedEmailAddresses = []string{"example.com"} },
		func(w *world) { w.root.PermittedEmailAddresses = []string{"example.org"} }, chainFails(), "name-constraints"},
	{"constraints add up", func(w *world) {
		w.root.PermittedEmailAddresses = []string{"example.com", "example.org"}
		w.inter.PermittedEmailAddresses = []string{"example.com"}
	}, func(w *world) {
		w.root.PermittedEmailAddresses = []string{"example.org"}
		w.inter.PermittedEmailAddresses = []string{"example.com"}
	}, chainFails(), "name-constraints"},
	{"a lower CA cannot widen", func(w *world) {
		w.root.PermittedEmailAddresses = []string{"example.com"}
		w.inter.PermittedEmailAddresses = []string{""}
	}, func(w *world) {
		w.root.PermittedEmailAddresses = []string{"example.org"}
		w.inter.PermittedEmailAddresses = []string{"example.com", "example.org"}
	}, chainFails(), "name-constraints"},
	{"e-mail in the subject alone", func(w *world) {
		w.leaf.EmailAddresses = nil
		w.leaf.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "alice@example.com"}}
		w.inter.PermittedEmailAddresses = []string{"example.com"}
	}, func(w *world) {
		w.leaf.EmailAddresses = nil
		w.leaf.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "alice@example.org"}}
		w.inter.PermittedEmailAddresses = []string{"example.com"}
	}, chainFails(), "name-constraints"},
	{"e-mail without a mailbox cannot be judged", func(w *world) {
		w.leaf.EmailAddresses = nil
		w.leaf.ExtraExtensions = []pkix.Extension{altNames(ia5(1, "example.com"))}
	}, func(w *world) {
		w.leaf.EmailAddresses = nil
		w.leaf.ExtraExtensions = []pkix.Extension{altNames(ia5(1, "example.com"))}
		w.inter.ExcludedEmailAddresses = []string{"example.org"}
	}, chainFails(), "name-constraints"},
	{"DNS domain", func(w *world) {
		w.leaf.DNSNames = []string{"a.Example.com"}
		w.inter.PermittedDNSDomains = []string{"example.com"}
	},
		func(w *world) {
			w.leaf.DNSNames = []string{"aexample.com"}
			w.inter.PermittedDNSDomains = []string{"example.com"}
		}, chainFails(), "name-constraints"},
	{"DNS domain with a root dot", func(w *world) {
		w.leaf.DNSNames = []string{"a.example.org."}
		w.inter.ExcludedDNSDomains = []string{"example.com"}
	}, func(w *world) {
		w.leaf.DNSNames = []string{"a.example.com."}
		w.inter.ExcludedDNSDomains = []string{"example.com"}
	}, chainFails(), "name-constraints"},
	{"wildcard over an excluded name", func(w *world) {
		w.leaf.DNSNames = []string{"*.example.org"}
		w.inter.ExcludedDNSDomains = []string{"a.example.com"}
	}, func(w *world) {
		w.leaf.DNSNames = []string{"*.example.com"}
		w.inter.ExcludedDNSDomains = []string{"a.example.com"}
	}, chainFails(), "name-constraints"},
	{"directory subtree", func(w *world) {
		w.inter.ExtraExtensions = []pkix.Extension{subtrees([][]byte{dirName(w.t, pkix.Name{Country: []string{"de"}})}, nil)}
	}, func(w *world) {
		w.inter.ExtraExtensions = []pkix.Extension{subtrees([][]byte{dirName(w.t, pkix.Name{Country: []string{"FR"}})}, nil)}
	}, chainFails(), "name-constraints"},
	{"excluded directory subtree in other spelling", func(w *world) {
		w.inter.ExtraExtensions = []pkix.Extension{subtrees(nil, [][]byte{dirName(w.t, pkix.Name{Country: []string{"DE"}, Organization: []string{"Sample"}})})}
	}, func(w *world) {
		w.inter.ExtraExtensions = []pkix.Extension{subtrees(nil, [][]byte{dirName(w.t, pkix.Name{Country: []string{"DE"}, Organization: []string{" EXAMPLE  "}})})}
	}, chainFails(), "name-constraints"},
	{"URI host", func(w *world) {
		w.leaf.ExtraExtensions = []pkix.Extension{altNames(ia5(6, "https://a.example.com/x"), ia5(1, "alice@example.com"))}
		w.inter.PermittedURIDomains = []string{".example.com"}
	}, func(w *world) {
		w.leaf.ExtraExtensions = []pkix.Extension{altNames(ia5(6, "https://example.com/x"), ia5(1, "alice@example.com"))}
		w.inter.PermittedURIDomains = []string{".example.com"}
	}, chainFails(), "name-constraints"},
	{"URI with an address for a host", asIs, func(w *world) {
		w.leaf.ExtraExtensions = []pkix.Extension{altNames(ia5(6, "https://192.0.2.1/x"))}
		w.inter.ExcludedURIDomains = []string{"example.com"}
	}, chainFails(), "name-constraints"},
	{"IP range", func(w *world) {
		w.leaf.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 7).To4()}
		w.inter.PermittedIPRanges = []*net.IPNet{{IP: net.IPv4(192, 0, 2, 0).To4(), Mask: net.CIDRMask(24, 32)}}
	}, func(w *world) {
		w.leaf.IPAddresses = []net.IP{net.IPv4(192, 0, 3, 7).To4()}
		w.inter.PermittedIPRanges = []*net.IPNet{{IP: net.IPv4(192, 0, 2, 0).To4(), Mask: net.CIDRMask(24, 32)}}
	}, chainFails(), "name-constraints"},
	{"constraint on a form that cannot be compared", func(w *world) {
		w.inter.ExtraExtensions = []pkix.Extension{subtrees(nil, [][]byte{{0x88, 1, 0x2a}})}
	}, func(w *world) {
		w.leaf.ExtraExtensions = []pkix.Extension{altNames([]byte{0x88, 1, 0x2b})}
		w.inter.ExtraExtensions = []pkix.Extension{subtrees(nil, [][]byte{{0x88, 1, 0x2a}})}
	}, chainFails(), "name-constraints"},
	{"constraints bind the issuing CA too", func(w *world) {
		w.root.ExtraExtensions = []pkix.Extension{subtrees([][]byte{dirName(w.t, pkix.Name{Country: []string{"DE"}})}, nil)}
	}, func(w *world) {
		w.inter.Subject.Country = []string{"FR"}
		w.root.ExtraExtensions = []pkix.Extension{subtrees([][]byte{dirName(w.t, pkix.Name{Country: []string{"DE"}})}, nil)}
	}, chainFails(), "name-constraints"},
}
