package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

func TestOCSPRequest(t *testing.T) {
	w := newWorld(t, rings[0])
	w.build()
	leaf, issuer := w.parse(w.leafDER), w.parse(w.interDER)
	nonce := bytes.Repeat([]byte{7}, NonceSize)
	r, err := NewOCSPRequest(leaf, issuer, nonce)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ocsp.ParseRequest(r.Raw)
	if err != nil || theirs.SerialNumber.Cmp(leaf.Serial) != 0 || theirs.HashAlgorithm != crypto.SHA1 {
		t.Fatalf("x/crypto reads %+v, %v", theirs, err)
	}
	again, err := ParseOCSPRequest(r.Raw)
	if err != nil || again.Key() != r.Key() || !bytes.Equal(again.Nonce(), append([]byte{4, 32}, nonce...)) {
		t.Fatalf("%+v %v", again, err)
	}
	if q := again.Queries(issuer); len(q) != 1 || q[0].Serial.Cmp(leaf.Serial) != 0 {
		t.Errorf("asks about %+v", q)
	}
	if q := again.Queries(leaf); len(q) != 0 {
		t.Errorf("asks another authority about %+v", q)
	}
}

func TestNonce(t *testing.T) {
	w := newWorld(t, rings[0])
	w.build()
	request, err := NewOCSPRequest(w.parse(w.leafDER), w.parse(w.interDER), []byte("chance"))
	if err != nil {
		t.Fatal(err)
	}
	with := func(value []byte) []byte {
		return tlv(0xa1, tlv(0x30, tlv(0x30, append([]byte{6, 9}, extOCSPNonce...), tlv(4, value))))
	}
	for _, c := range []struct {
		name       string
		extensions []byte
		age        time.Duration
		want       error
	}{
		{"echo", with(tlv(4, []byte("chance"))), 100 * time.Hour, nil},
		{"another", with(tlv(4, []byte("cHance"))), time.Minute, ErrNonce},
		{"longer", with(tlv(4, []byte("chance!"))), time.Minute, ErrNonce},
		{"empty", with(nil), time.Minute, ErrNonce},
		{"bare", with([]byte("chance")), time.Minute, ErrNonce},
		{"none, fresh", nil, time.Hour, nil},
		{"none, stale", nil, time.Hour + time.Second, ErrStale},
	} {
		a := newAnswering()
		a.extensions, a.singles[0].this = c.extensions, noon.Add(-c.age)
		r, err := ParseOCSPResponse(a.make(w))
		if err != nil {
			t.Fatal(err)
		}
		if err := request.Answered(r, noon, time.Hour); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// seeds are files that openssl ocsp made; none is an error.
func seeds(f *testing.F, pattern string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "ocsp", pattern))
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds %s: %v", pattern, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

// An accepted response is one exact encoding, x/crypto reads the same status in
// it where it reads it at all, and it settles nothing without a good signature.
func FuzzParseOCSPResponse(f *testing.F) {
	seeds(f, "*.response")
	w := newWorld(f, rings[0])
	w.build()
	leaf, issuer := w.parse(w.leafDER), w.parse(w.interDER)
	signed := map[string]bool{} // by the issuer or for it
	for _, by := range []*x509.Certificate{nil, delegate()} {
		a := newAnswering()
		a.by = by
		der := a.make(w)
		r, err := ParseOCSPResponse(der)
		if err != nil || r.Settles(leaf, issuer, noon) != nil {
			f.Fatalf("seed: %v", err)
		}
		signed[string(r.tbs)] = true
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := ParseOCSPResponse(der)
		if err != nil {
			return
		}
		if !bytes.Equal(r.Raw, der) {
			t.Fatal("raw octets differ from the input")
		}
		if _, err := ParseOCSPResponse(append(slices.Clone(der), 0)); err == nil {
			t.Fatal("trailing octet accepted")
		}
		if theirs, err := ocsp.ParseResponse(der, nil); err == nil && len(r.answers) == 1 {
			if ours := map[certStatus]int{statusGood: ocsp.Good, statusRevoked: ocsp.Revoked, statusUnknown: ocsp.Unknown}[r.answers[0].status]; ours != theirs.Status {
				t.Fatalf("status %d, x/crypto reads %d", ours, theirs.Status)
			}
			if !theirs.ThisUpdate.Equal(r.answers[0].thisUpdate) || !theirs.NextUpdate.Equal(r.answers[0].nextUpdate) {
				t.Fatal("other times than x/crypto reads")
			}
		}
		if r.Settles(leaf, issuer, noon) == nil && !signed[string(r.tbs)] {
			t.Fatal("settled by what the issuer has not signed")
		}
	})
}

// An accepted request reads the same again when it is written by us.
func FuzzParseOCSPRequest(f *testing.F) {
	seeds(f, "*.request")
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := ParseOCSPRequest(der)
		if err != nil {
			return
		}
		own := &OCSPRequest{ids: r.ids, nonce: r.nonce}
		written, err := own.marshal()
		if err != nil {
			t.Fatalf("cannot be written: %v", err)
		}
		again, err := ParseOCSPRequest(written)
		if err != nil || len(again.ids) != len(r.ids) || !bytes.Equal(again.nonce, r.nonce) || again.Key() != r.Key() {
			t.Fatalf("reads differently: %v", err)
		}
	})
}
