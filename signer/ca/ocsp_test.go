package ca

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"cryptogramm.ru/cryptogramm/signer/pki"
)

// TestRespond: package pki and x/crypto read the same in an answer of every kind
// of authority's key.
func TestRespond(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]any{"ECDSA": newKey(t, "ECDSA"), "RSA": newKey(t, "RSA"), "Ed25519": ed} {
		t.Run(name, func(t *testing.T) {
			root, err := NewRoot(Request{Subject: subject("Root"), Key: key}, now)
			if err != nil {
				t.Fatal(err)
			}
			der, err := root.Issue(Request{Subject: subject("Anna"), Usage: Client, Key: newKey(t, "ECDSA").Public()}, now)
			if err != nil {
				t.Fatal(err)
			}
			leaf, issuer := parse(t, der), parse(t, root.Certificate())
			revoked := &Revocation{Serial: leaf.Serial, Time: now.Add(-time.Minute), Reason: KeyCompromise}
			for _, c := range []struct {
				standing Standing
				theirs   int
				settled  bool
				verdict  pki.SubIndication
			}{
				{Standing{Issued: true}, ocsp.Good, true, ""},
				{Standing{Issued: true, Revocation: revoked}, ocsp.Revoked, true, pki.Revoked},
				{Standing{}, ocsp.Unknown, false, pki.TryLater},
			} {
				r := Responder{Authority: root, Validity: time.Hour, Standing: func(s *big.Int) Standing {
					if s.Cmp(leaf.Serial) != 0 {
						t.Errorf("asked about %s", s)
					}
					return c.standing
				}}
				request, err := pki.NewOCSPRequest(leaf, issuer, bytes.Repeat([]byte{1}, pki.NonceSize))
				if err != nil {
					t.Fatal(err)
				}
				answer, err := r.Respond(request.Raw, now)
				if err != nil {
					t.Fatal(err)
				}
				ours, err := pki.ParseOCSPResponse(answer)
				if err != nil {
					t.Fatal(err)
				}
				if err := request.Answered(ours, now, 0); err != nil {
					t.Errorf("its nonce: %v", err)
				}
				if err := ours.Settles(leaf, issuer, now); (err == nil) != c.settled {
					t.Errorf("settles: %v", err)
				}
				store := pki.NewTrustStore([]pki.Anchor{{Certificate: issuer, Kind: pki.Foreign}}, nil, nil)
				p := store.Validate(pki.PathRequest{Leaf: leaf, OCSPs: []*pki.OCSPResponse{ours}, At: now})
				if p.Verdict.SubIndication != c.verdict {
					t.Errorf("%v", p.Verdict)
				}
				x, err := x509.ParseCertificate(root.Certificate())
				if err != nil {
					t.Fatal(err)
				}
				if name == "Ed25519" { // which x/crypto does not know
					x = nil
				}
				if theirs, err := ocsp.ParseResponse(answer, x); err != nil || theirs.Status != c.theirs || theirs.SerialNumber.Cmp(leaf.Serial) != 0 {
					t.Errorf("x/crypto: %+v %v", theirs, err)
				}
			}
		})
	}
}

// TestRespondRefuses: what is no request, and what is none of its business.
func TestRespondRefuses(t *testing.T) {
	h := newHouse(t, "ECDSA")
	der, err := h.issuing.Issue(Request{Subject: subject("Anna"), Usage: Client, Key: newKey(t, "ECDSA").Public()}, now)
	if err != nil {
		t.Fatal(err)
	}
	request, err := pki.NewOCSPRequest(parse(t, der), parse(t, h.issuing.Certificate()), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := Responder{Authority: h.root, Standing: func(*big.Int) Standing { return Standing{Issued: true} }}
	for _, c := range []struct {
		request []byte
		want    []byte
	}{{nil, malformedRequest}, {[]byte("rubbish"), malformedRequest}, {request.Raw, unauthorized}} {
		answer, err := r.Respond(c.request, now)
		if err != nil || !bytes.Equal(answer, c.want) {
			t.Errorf("%x: %x %v", c.request, answer, err)
		}
		if _, err := pki.ParseOCSPResponse(answer); !errors.Is(err, pki.ErrOCSPStatus) {
			t.Errorf("reads as %v", err)
		}
	}
}
