package signer

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

const hostileSize = 10<<20 - 64<<10 // what the signature itself needs is left

// hostileMessages are about as large as a structure may be, each a way to make a reader slow or greedy.
func hostileMessages(t testing.TB, w world) map[string][]byte {
	attribute := func(value []byte) []byte { return cmstest.Attribute(t, cmstest.OIDSigningTime, value) }
	message := func(change func(*cmstest.Message, *cmstest.Signature)) []byte {
		m, s := cmstest.Message{Content: []byte(text)}, cmstest.Signature{Party: w.ecdsa}
		change(&m, &s)
		m.Signatures = append(m.Signatures, s)
		return m.Encode(t)
	}
	fill := func(piece []byte, n int) []byte { return bytes.Repeat(piece, n/len(piece)) }
	nested := fill([]byte{0x30, 0x02, 0x05, 0x00}, hostileSize)
	many := func(n int) (members [][]byte) {
		for range n {
			values := slices.Repeat([][]byte{cmstest.TLV(0x30, fill([]byte{5, 0}, hostileSize/n/64-64))}, 64)
			members = append(members, cmstest.Attribute(t, cmstest.OIDSigningTime, values...))
		}
		return members
	}
	wide := cmstest.Open(0x30, fill([]byte{0x30, 0x80, 0x30, 0x80, 0, 0, 0, 0}, hostileSize))
	return map[string][]byte{
		"zeros":          make([]byte, hostileSize),
		"open sequences": fill([]byte{0x30, 0x80}, hostileSize),
		"signed value": message(func(_ *cmstest.Message, s *cmstest.Signature) {
			s.Attributes = [][]byte{attribute(cmstest.TLV(0x30, nested))}
		}),
		"signed values":       message(func(_ *cmstest.Message, s *cmstest.Signature) { s.Attributes = many(16) }),
		"unsigned values":     message(func(_ *cmstest.Message, s *cmstest.Signature) { s.Unsigned = many(16) }),
		"unsigned open value": message(func(_ *cmstest.Message, s *cmstest.Signature) { s.Unsigned = [][]byte{attribute(wide)} }),
		"unsigned octets": message(func(_ *cmstest.Message, s *cmstest.Signature) {
			s.Unsigned = [][]byte{attribute(cmstest.TLV(4, make([]byte, hostileSize)))}
		}),
		"certificates": message(func(m *cmstest.Message, _ *cmstest.Signature) {
			for range 63 {
				m.Certificates = append(m.Certificates, largeCertificate(t, w, hostileSize/64))
			}
			m.Certificates = append(m.Certificates, w.ecdsa.Certificate.Raw)
		}),
		"one certificate": message(func(m *cmstest.Message, _ *cmstest.Signature) { m.Certificates = [][]byte{cmstest.TLV(0x30, nested)} }),
		"revocation list": message(func(m *cmstest.Message, _ *cmstest.Signature) { m.CRLs = [][]byte{largeCRL(t, w, hostileSize)} }),
		"revocation lists": message(func(m *cmstest.Message, _ *cmstest.Signature) {
			m.CRLs = slices.Repeat([][]byte{cmstest.TLV(0x30, fill([]byte{0x30, 0}, hostileSize/64))}, 64)
		}),
		"issuer name":        largeName(t, w),
		"content of pieces":  pieces(t, fill([]byte{4, 1, 'x'}, hostileSize)),
		"content of nothing": pieces(t, fill([]byte{4, 0}, hostileSize)),
	}
}

// pieces is an unsigned message whose content is divided.
func pieces(t testing.TB, content []byte) []byte {
	return cmstest.Open(0x30, cmstest.DER(t, cms.OIDSignedData), cmstest.Open(0xa0, cmstest.Open(0x30, []byte{2, 1, 1, 0x31, 0},
		cmstest.Open(0x30, cmstest.DER(t, cms.OIDData), cmstest.Open(0xa0, cmstest.Open(0x24, content))), []byte{0x31, 0})))
}

// largeCertificate has as many alternative names as fit.
func largeCertificate(t testing.TB, w world, size int) []byte {
	names := bytes.Repeat(cmstest.TLV(0x81, []byte("a@b.example")), (size-1000)/13)
	return w.root.Issue(t, w.ecdsa.Key, "large", func(c *x509.Certificate) {
		c.EmailAddresses = nil
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: cmstest.TLV(0x30, names)}}
	}).Certificate.Raw
}

// largeCRL has as many entries as fit, the shortest there are.
func largeCRL(t testing.TB, w world, size int) []byte {
	entry := cmstest.TLV(0x30, []byte{2, 1, 7}, cmstest.DER(t, cmstest.NotBefore))
	algorithm := cmstest.SignatureAlgorithm(t, w.root.Key.Public(), crypto.SHA256)
	tbs := cmstest.TLV(0x30, []byte{2, 1, 1}, algorithm, w.root.Certificate.RawSubject, cmstest.DER(t, cmstest.NotBefore), cmstest.DER(t, cmstest.NotAfter),
		cmstest.TLV(0x30, bytes.Repeat(entry, size/len(entry))))
	return cmstest.TLV(0x30, tbs, algorithm, cmstest.TLV(3, []byte{0}, cmstest.Sign(t, w.root.Key, crypto.SHA256, tbs)))
}

// largeName names its signer by an issuer of a million parts.
func largeName(t testing.TB, w world) []byte {
	part := cmstest.TLV(0x31, cmstest.TLV(0x30, cmstest.DER(t, asn1.ObjectIdentifier{2, 5, 4, 3}), cmstest.TLV(0x0c, []byte("x"))))
	issuer := *w.ecdsa.Certificate
	issuer.RawIssuer = cmstest.TLV(0x30, bytes.Repeat(part, hostileSize/len(part)))
	return cmstest.Message{Content: []byte(text), Signatures: []cmstest.Signature{{Party: cmstest.Party{Key: w.ecdsa.Key, Certificate: &issuer}}}}.Encode(t)
}

// crowd has as many signers, certificates of one key identifier and issuers of one name as there may be, all with the
// slowest keys.
func crowd(t testing.TB, w world) []byte {
	m := cmstest.Message{Content: []byte(text), Certificates: [][]byte{}}
	id := []byte("the same for all")
	for range 16 {
		p := w.root.Issue(t, cmstest.NewKey(t, cmstest.P521), "crowd", func(c *x509.Certificate) { c.SubjectKeyId = id })
		m.Signatures = append(m.Signatures, cmstest.Signature{Party: p})
		m.Certificates = append(m.Certificates, p.Certificate.Raw)
	}
	for range 48 {
		ca := cmstest.NewRootOf(t, cmstest.P521, w.root.Certificate.Subject.CommonName)
		m.Certificates = append(m.Certificates, ca.Certificate.Raw)
	}
	return m.Encode(t)
}

func TestHostileMessages(t *testing.T) {
	w := theWorld()
	messages := hostileMessages(t, w)
	messages["crowd"] = crowd(t, w)
	for name, b := range messages {
		t.Run(name, func(t *testing.T) {
			v := w.verifier(t)
			if name == "crowd" {
				v = verifier(t, w.strange.Certificate.Raw, w.strangeCRL)
			}
			job := Job{Signature: source(b), Content: source([]byte(text)), Attached: Detached}
			var r *Report
			start, spent := time.Now(), processorTime(t)
			r = verify(t, v, job)
			// On a busy machine the clock says less than the processor, on an idle one the collector's threads count twice.
			took := min(time.Since(start), processorTime(t)-spent)
			grown := peak(func() { r = verify(t, v, job) })
			t.Logf("%d octets: %s, %v, %.1f MiB", len(b), r.Kind, took.Round(time.Millisecond), float64(grown)/(1<<20))
			if took > hostileTime {
				t.Errorf("took %v", took)
			}
			if limit := uint64(4*len(b) + 1<<20); grown > limit {
				t.Errorf("memory grew by %d octets", grown)
			}
			if must := strings.HasPrefix(name, "unsigned") || name == "certificates"; must != (r.Verdict == pki.Passed()) &&
				!strings.HasPrefix(name, "revocation") {
				t.Errorf("verdict %v", r.Verdict)
			}
		})
	}
}

// processorTime is what the process has used so far.
func processorTime(t testing.TB) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// peak returns by how many octets the live heap grew at most while f ran: what
// the collector has not come to yet is no growth.
func peak(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	base, done, most := m.HeapAlloc, make(chan struct{}), make(chan uint64)
	go func() {
		var top uint64
		for tick := time.NewTicker(time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				most <- top
				return
			case <-tick.C:
				runtime.GC()
				runtime.ReadMemStats(&m)
				if m.HeapAlloc > base {
					top = max(top, m.HeapAlloc-base)
				}
			}
		}
	}()
	f()
	close(done)
	return <-most
}

// Memory does not grow with the content: an opaque message of 64 MiB, whose content exists only while it is read.
func TestLargeContentIsStreamed(t *testing.T) {
	const size = 64 << 20
	w := theWorld()
	content := func() io.Reader { return io.LimitReader(new(counter), size) }
	signer, err := pki.ParseCertificate(w.rsa.Certificate.Raw)
	if err != nil {
		t.Fatal(err)
	}
	detached, err := cms.Sign(content(), cms.SignOptions{Signer: w.rsa.Key, Certificate: signer, Detached: true})
	if err != nil {
		t.Fatal(err)
	}
	head, tail := split(t, detached)
	signature := func(change int64) cms.Source {
		return func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(head), &divided{r: content(), change: change}, bytes.NewReader(tail))), nil
		}
	}
	v := w.verifier(t)
	var r *Report
	grown := peak(func() { r = verify(t, v, Job{Signature: signature(-1), Attached: Enveloping}) })
	t.Logf("the heap grew by %.2f MiB", float64(grown)/(1<<20))
	if r.Verdict != pki.Passed() || r.ContentSize != size || !r.Attached {
		t.Errorf("%v of %d octets", r.Verdict, r.ContentSize)
	}
	if grown > 4<<20 {
		t.Errorf("the heap grew by %d octets", grown)
	}
	if r := verify(t, v, Job{Signature: signature(1000), Attached: Enveloping}); r.Verdict.SubIndication != pki.HashFailure {
		t.Errorf("with one octet changed: %v", r.Verdict)
	}
}

// split cuts a detached DER message into what comes before and after a content, in BER.
func split(t *testing.T, der []byte) (head, tail []byte) {
	var info struct {
		Type    asn1.ObjectIdentifier
		Content struct {
			Version int
			Digests asn1.RawValue
			Content struct{ Type asn1.ObjectIdentifier }
			Others  asn1.RawValue `asn1:"tag:0"`
			Signers asn1.RawValue
		} `asn1:"explicit,tag:0"`
	}
	if rest, err := asn1.Unmarshal(der, &info); err != nil || len(rest) > 0 {
		t.Fatal(err)
	}
	c := info.Content
	head = slices.Concat([]byte{0x30, 0x80}, cmstest.DER(t, info.Type), []byte{0xa0, 0x80, 0x30, 0x80, 2, 1, 1}, c.Digests.FullBytes,
		[]byte{0x30, 0x80}, cmstest.DER(t, c.Content.Type), []byte{0xa0, 0x80, 0x24, 0x80})
	tail = slices.Concat(make([]byte, 6), c.Others.FullBytes, c.Signers.FullBytes, make([]byte, 6))
	return head, tail
}

// counter is an endless content.
type counter struct{ n byte }

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		c.n += 7
		p[i] = c.n
	}
	return len(p), nil
}

// divided turns a content into pieces of an OCTET STRING. change is the piece that is not what it was, -1 for none.
type divided struct {
	r      io.Reader
	buf    [4096]byte
	piece  []byte
	n      int64
	change int64
}

func (d *divided) Read(p []byte) (int, error) {
	if len(d.piece) == 0 {
		n, err := io.ReadFull(d.r, d.buf[4:])
		if n == 0 {
			return 0, err
		}
		copy(d.buf[:], []byte{4, 0x82, byte(n >> 8), byte(n)})
		if d.n == d.change {
			d.buf[100] ^= 1
		}
		d.n++
		d.piece = d.buf[:4+n]
	}
	n := copy(p, d.piece)
	d.piece = d.piece[n:]
	return n, nil
}
