package main

import (
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/signer/ca"
	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// answered is a signature file whose signer only OCSP can clear.
type answered struct {
	t          *testing.T
	dir        string
	root, anna cmstest.Party
	signature  []byte
}

func newAnswered(t *testing.T) answered {
	a := answered{t: t, dir: t.TempDir(), root: cmstest.NewRoot(t, "Root")}
	a.anna = a.root.Issue(t, cmstest.NewKey(t, cmstest.P256), "anna", nil)
	a.signature = cmstest.Message{Content: []byte("contract"), Attached: true, Signatures: []cmstest.Signature{{Party: a.anna}}}.Encode(t)
	a.write("contract.p7m", a.signature)
	a.write("root.pem", pemBlock("CERTIFICATE", a.root.Certificate.Raw))
	return a
}

func (a answered) write(name string, b []byte) {
	write(a.t, filepath.Join(a.dir, name), string(b), 0o644)
}

// respond is the root's answer about anna.
func (a answered) respond(s ca.Standing, at time.Time) []byte {
	a.t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(a.root.Key)
	if err != nil {
		a.t.Fatal(err)
	}
	authority, err := ca.Load(pemBlock("CERTIFICATE", a.root.Certificate.Raw), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := pki.ParseCertificate(a.anna.Certificate.Raw)
	if err != nil {
		a.t.Fatal(err)
	}
	issuer, err := pki.ParseCertificate(a.root.Certificate.Raw)
	if err != nil {
		a.t.Fatal(err)
	}
	request, err := pki.NewOCSPRequest(leaf, issuer, []byte("nonce"))
	if err != nil {
		a.t.Fatal(err)
	}
	r := ca.Responder{Authority: authority, Validity: time.Hour, Standing: func(*big.Int) ca.Standing { return s }}
	der, err := r.Respond(request.Raw, at)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

// TestVerifyOCSP: answers from files, by the exit codes that lists give.
func TestVerifyOCSP(t *testing.T) {
	a := newAnswered(t)
	good := a.respond(ca.Standing{Issued: true}, cmstest.At)
	a.write("good.ocsp", good)
	a.write("good.pem", pemBlock("OCSP RESPONSE", good))
	a.write("old.ocsp", a.respond(ca.Standing{Issued: true}, cmstest.At.Add(-2*time.Hour)))
	a.write("unknown.ocsp", a.respond(ca.Standing{}, cmstest.At))
	a.write("revoked.ocsp", a.respond(ca.Standing{Issued: true, Revocation: &ca.Revocation{Time: cmstest.At.Add(-time.Minute), Reason: ca.KeyCompromise}}, cmstest.At))
	a.write("refusal.ocsp", []byte{0x30, 3, 0x0a, 1, 3})
	a.write("rubbish.ocsp", []byte("rubbish"))
	for _, c := range []struct {
		args string
		code int
		out  string
	}{
		{"@contract.p7m", 2, "no CRL is at hand"},
		{"--ocsp=@good.ocsp @contract.p7m", 0, "good by the OCSP response, 2026-06-01 12:00:00 UTC"},
		{"--ocsp=@good.pem @contract.p7m", 0, "Verdict: PASSED"},
		{"--ocsp=@old.ocsp @contract.p7m", 2, "out of date"},
		{"--ocsp=@unknown.ocsp @contract.p7m", 2, "does not know"},
		{"--ocsp=@revoked.ocsp @contract.p7m", 1, "keyCompromise"},
		{"--ocsp=@good.ocsp --ocsp=@revoked.ocsp @contract.p7m", 1, "keyCompromise"},
		{"--ocsp=@refusal.ocsp @contract.p7m", 4, "tryLater"},
		{"--ocsp=@rubbish.ocsp @contract.p7m", 4, "--ocsp: "},
		{"--ocsp=@absent.ocsp @contract.p7m", 4, "no such file"},
	} {
		args := strings.Fields(strings.ReplaceAll("verify --at=2026-06-01T12:00:00Z --trust=@root.pem "+c.args, "@", a.dir+"/"))
		call(t, "", args...).want(t, c.code, c.out)
	}
}

// TestVerifyStored: an installation that has accepted a signature keeps what its
// finding rested on, and verify finds it by the signature.
func TestVerifyStored(t *testing.T) {
	a := newAnswered(t)
	dir := emptyInstallation(t)
	db := database(t, dir)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(db.AddAnchor(ctx, store.Anchor{DER: a.root.Certificate.Raw, Kind: "foreign", Subject: "CN=Root"}))
	user := store.User{ID: "u", Email: "anna@example.net", Name: "Anna", Language: "en", Claimed: true, Addresses: []string{"anna@example.net"}}
	must(db.AddUser(ctx, user, "hash"))
	verify := func() answer {
		return call(t, "", "verify", "--at=2026-06-01T12:00:00Z", "--data="+dir, filepath.Join(a.dir, "contract.p7m"))
	}
	verify().want(t, 2, "no CRL is at hand")
	accepted, refusal := rem.Submit(
		rem.Envelope{ID: rem.NewID(cmstest.At, [11]byte{1}), Account: "u", Login: user.Email, Addresses: user.Addresses, From: user.Email, Recipients: []string{"b@b.test"}},
		rem.LetterFacts{From: user.Addresses, Ref: rem.Ref{SHA256: rem.DigestOf([]byte("letter")), Size: 6}},
		rem.Finding{
			Verdict:    rem.Passed,
			Signatures: []rem.Signature{{SignatureSHA256: rem.DigestOf(a.signature)}},
			Used:       []rem.Material{{Kind: rem.MaterialOCSP, Source: "http://ca.test", DER: a.respond(ca.Standing{Issued: true}, cmstest.At)}},
		}, rem.Policy{}, cmstest.At)
	if refusal != nil {
		t.Fatal(refusal)
	}
	must(db.AddSubmission(ctx, store.NewSubmission{Accepted: accepted, Evidence: []rem.Evidence{accepted.Evidence()}, Links: map[string]rem.Digest{}}))
	verify().want(t, 0, "good by the OCSP response of http://ca.test")
}
