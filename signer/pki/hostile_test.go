package pki

import (
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"
)

// soon is far more than any bounded piece of work here takes, also on a busy machine.
const soon = 5 * time.Second

// Names times constraints: the work ends at a limit, and the path fails.
func TestNameConstraintWorkIsBounded(t *testing.T) {
	for _, c := range []struct {
		count  int
		passes bool
	}{{20, true}, {1500, false}} {
		w := newWorld(t, rings[0])
		var bases, names [][]byte
		for i := range c.count {
			bases = append(bases, ia5(1, fmt.Sprintf("h%d.example.org", i)))
			names = append(names, ia5(1, fmt.Sprintf("a@b%d.example.com", i)))
		}
		w.inter.ExtraExtensions = []pkix.Extension{subtrees(nil, bases)}
		w.leaf.EmailAddresses, w.leaf.ExtraExtensions = nil, []pkix.Extension{altNames(names...)}
		store, req := w.build()
		started := time.Now()
		p := store.Validate(req)
		if (p.Verdict == Passed()) != c.passes || !c.passes && !slices.Equal(notPassed(p), []string{"name-constraints"}) {
			t.Errorf("%d: %v, %v", c.count, p.Verdict, notPassed(p))
		}
		if d := time.Since(started); d > soon {
			t.Errorf("%d: took %v", c.count, d)
		}
	}
}

// Layers of equal certificates (same name and key, other serial numbers) make
// exponentially many chains out of few signatures. The search ends at a limit
// without an anchor, and finds the way with one.
func TestLayersOfTwinsAreBounded(t *testing.T) {
	w := newWorld(t, rings[0])
	w.noCRLs = true
	w.build()
	const layers, twins = 5, 12
	template := *w.inter
	below := w.issuer(w.root, w.rootDER)
	signer := w.keys[0]
	for layer := range layers {
		template.Subject.CommonName = fmt.Sprintf("Layer %d", layer)
		key := w.keys[1+layer%2]
		for twin := range twins {
			template.SerialNumber = big.NewInt(int64(0x5000 + layer*twins + twin))
			w.extra = append(w.extra, w.parse(w.sign(&template, below, key.Public(), signer)))
		}
		below, signer = w.issuer(&template, w.extra[len(w.extra)-1].Raw), key
	}
	leaf := w.parse(w.sign(w.leaf, below, w.keys[2].Public(), signer))
	for _, anchored := range []bool{false, true} {
		w.noAnchor = !anchored
		store, req := w.build()
		req.Leaf = leaf
		started := time.Now()
		p := store.Validate(req)
		if (p.Anchor != nil) != anchored || p.publicKeyOperations > maxOperations || p.Verdict.Indication != Indeterminate {
			t.Errorf("anchored %v: %v after %d operations, anchor %v", anchored, p.Verdict, p.publicKeyOperations, p.Anchor)
		}
		if d := time.Since(started); d > soon {
			t.Errorf("anchored %v: took %v", anchored, d)
		}
	}
}

// A path of ten certificates is taken, one of eleven is not.
func TestDepthLimit(t *testing.T) {
	for _, c := range []struct {
		between int
		found   bool
	}{{maxDepth - 2, true}, {maxDepth - 1, false}} {
		w := newWorld(t, rings[0])
		w.noCRLs = true
		w.build()
		issuer, signer := w.issuer(w.root, w.rootDER), w.keys[0]
		template := *w.inter
		for i := range c.between {
			template.Subject.CommonName = fmt.Sprintf("CA %d", i)
			der := w.sign(&template, issuer, w.keys[1+i%2].Public(), signer)
			w.extra = append(w.extra, w.parse(der))
			issuer, signer = w.issuer(&template, der), w.keys[1+i%2]
		}
		store, req := w.build()
		req.Leaf = w.parse(w.sign(w.leaf, issuer, w.keys[3].Public(), signer))
		if p := store.Validate(req); (p.Anchor != nil) != c.found {
			t.Errorf("%d between: %v, chain of %d", c.between, p.Verdict, len(p.Chain))
		}
	}
}

// Many lists in the issuer's name that he did not sign use up the operations of
// the request, and fail the path: unknown may be accepted by a policy, and among
// the lists that were not reached may be the one that revokes.
func TestForgedCRLsAreBounded(t *testing.T) {
	w := newWorld(t, rings[0])
	w.interCRLKey = w.keys[4]
	for i := range 200 {
		newest(w)
		w.crls[i].Number = big.NewInt(int64(i + 2))
	}
	store, req := w.build()
	p := store.Validate(req)
	if p.Verdict != constraintsFailed() || p.publicKeyOperations > maxOperations {
		t.Errorf("%v after %d operations", p.Verdict, p.publicKeyOperations)
	}
}

func TestSignatureCacheIsBounded(t *testing.T) {
	c := newSignatureCache(10)
	id := func(i int) signatureID { return signatureID{object: [32]byte{byte(i), byte(i >> 8)}} }
	for i := range 1000 {
		c.add(id(i))
		if !c.has(id(i)) {
			t.Fatalf("%d is not there", i)
		}
		if !c.has(id(0)) {
			t.Fatalf("what is in use was dropped at %d", i)
		}
	}
	if len(c.young)+len(c.old) > 20 {
		t.Errorf("%d remembered", len(c.young)+len(c.old))
	}
	if c.has(id(500)) {
		t.Error("what is not in use is kept for ever")
	}
}
