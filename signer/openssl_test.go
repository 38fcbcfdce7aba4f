package signer

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// peer drives the openssl command in a directory of its own.
type peer struct {
	testing.TB
	command, dir string
}

func newPeer(t testing.TB) *peer {
	command, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal(err)
	}
	return &peer{t, command, t.TempDir()}
}

func (p *peer) write(name string, b []byte) string {
	p.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		p.Fatal(err)
	}
	return path
}

// party writes a certificate and key and returns the arguments that name them.
func (p *peer) party(of cmstest.Party) []string {
	p.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(of.Key)
	if err != nil {
		p.Fatal(err)
	}
	name := of.Certificate.SerialNumber.Text(16)
	certificate := p.write(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: of.Certificate.Raw}))
	return []string{"-signer", certificate, "-inkey", p.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))}
}

func (p *peer) cms(arguments ...string) []byte {
	p.Helper()
	out := filepath.Join(p.dir, "out")
	arguments = append(append([]string{"cms"}, arguments...), "-binary", "-outform", "DER", "-out", out)
	if said, err := exec.Command(p.command, arguments...).CombinedOutput(); err != nil {
		p.Fatalf("openssl %s: %v\n%s", strings.Join(arguments, " "), err, said)
	}
	return readFile(p, out)
}

// peerCases are what openssl can be asked for.
func peerCases(w world) []peerCase {
	return []peerCase{
		{name: "detached"},
		{name: "opaque", arguments: []string{"-nodetach"}},
		{name: "BER", arguments: []string{"-nodetach", "-stream"}},
		{name: "CAdES", arguments: []string{"-cades"}, format: "CAdES-BES"},
		{name: "key identifier", arguments: []string{"-keyid"}},
		{name: "no certificates", arguments: []string{"-nocerts"}, verdict: pki.Verdict{Indication: pki.Indeterminate, SubIndication: pki.NoSigningCertificateFound}},
		{name: "no attributes", arguments: []string{"-noattr"}, verdict: pki.Verdict{Indication: pki.Indeterminate, SubIndication: pki.SigConstraintsFailure}},
		{name: "SHA-1", arguments: []string{"-md", "sha1"}, verdict: pki.Verdict{Indication: pki.TotalFailed, SubIndication: pki.CryptoConstraintsFailure}},
		{name: "SHA-384", arguments: []string{"-md", "sha384"}},
		{name: "SHA-512", arguments: []string{"-md", "sha512"}},
		{name: "PSS", arguments: []string{"-keyopt", "rsa_padding_mode:pss"}, rsaOnly: true},
		{name: "PSS SHA-512", arguments: []string{"-md", "sha512", "-keyopt", "rsa_padding_mode:pss"}, rsaOnly: true},
		{name: "PSS short salt", arguments: []string{"-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:20"}, rsaOnly: true},
		{name: "extra certificates", extra: []cmstest.Party{w.root, w.mallory}},
		{name: "several signers", signers: []cmstest.Party{w.p521, w.revoked}, verdict: pki.Verdict{Indication: pki.TotalFailed, SubIndication: pki.Revoked}},
	}
}

type peerCase struct {
	name      string
	arguments []string
	signers   []cmstest.Party // besides the one whose turn it is
	extra     []cmstest.Party // certificates behind the last argument
	rsaOnly   bool
	format    string
	verdict   pki.Verdict // zero: passed
}

func TestOpenSSLSignatures(t *testing.T) {
	p := newPeer(t)
	w := theWorld()
	for _, signer := range []cmstest.Party{w.rsa, w.ecdsa, w.p384} {
		for _, c := range peerCases(w) {
			if c.fits(signer) {
				t.Run(signer.Certificate.PublicKeyAlgorithm.String()+" "+signer.Certificate.Subject.CommonName+"/"+c.name, func(t *testing.T) {
					c.check(t, w, (&peer{t, p.command, p.dir}).sign(c, signer), signer)
				})
			}
		}
	}
}

func (c peerCase) fits(signer cmstest.Party) bool {
	return !c.rsaOnly || signer.Certificate.PublicKeyAlgorithm == x509.RSA
}

func (c peerCase) opaque() bool { return slices.Contains(c.arguments, "-nodetach") }

// sign has openssl sign the text. Its -keyopt belongs to the signer before it.
func (p *peer) sign(c peerCase, signer cmstest.Party) []byte {
	p.Helper()
	options, key := c.arguments, []string(nil)
	if at := slices.Index(c.arguments, "-keyopt"); at >= 0 {
		options, key = c.arguments[:at], c.arguments[at:]
	}
	arguments := append([]string{"-sign", "-in", p.write("content", []byte(text))}, options...)
	if c.extra != nil {
		arguments = append(arguments, "-certfile", p.bundle(c.extra))
	}
	arguments = append(append(arguments, p.party(signer)...), key...)
	for _, other := range c.signers {
		arguments = append(arguments, p.party(other)...)
	}
	return p.cms(arguments...)
}

// makeOpenSSLGolden keeps what openssl makes, for machines that have none.
func makeOpenSSLGolden(t *testing.T) {
	p := newPeer(t)
	w := theWorld()
	set := newGoldenSet(t, "openssl", w)
	for kind, signer := range map[string]cmstest.Party{"rsa": w.rsa, "ecdsa": w.ecdsa} {
		for _, c := range peerCases(w) {
			if !c.fits(signer) {
				continue
			}
			signature, job := p.sign(c, signer), Job{}
			c.check(t, w, signature, signer)
			job.Signature, job.Content = source(signature), source([]byte(text))
			if c.opaque() {
				job.Content = nil
			}
			a := artefact{signature: signature, want: observed(verify(t, w.verifier(t), job))}
			if c.opaque() {
				a.want.expect, a.want.content = Enveloping, "none"
			}
			set.add(kind+"-"+strings.ReplaceAll(strings.ToLower(c.name), " ", "-"), a)
		}
	}
}

// check verifies what openssl made, and again over content that is not what it signed.
func (c peerCase) check(t *testing.T, w world, signature []byte, signer cmstest.Party) {
	t.Helper()
	if c.verdict == (pki.Verdict{}) {
		c.verdict = pki.Passed()
	}
	if c.format == "" {
		c.format = "CMS"
	}
	job := Job{Signature: source(signature)}
	opaque := c.opaque()
	if !opaque {
		job.Content, job.Attached = source([]byte(text)), Detached
	}
	r := verify(t, w.verifier(t), job)
	if r.Verdict != c.verdict || r.Attached != opaque || len(r.Validations) != 1+len(c.signers) {
		t.Fatalf("%v, %d signatures, attached %v: %+v", r.Verdict, len(r.Validations), r.Attached, r.Validations)
	}
	found := false
	for _, v := range r.Validations {
		found = found || v.Certificate != nil && string(v.Certificate.Raw) == string(signer.Certificate.Raw)
		if v.Format != c.format {
			t.Errorf("format %s", v.Format)
		}
	}
	if c.verdict == pki.Passed() && !found {
		t.Error("not attributed to its signer")
	}
	if opaque {
		return
	}
	job.Content = source([]byte(text + " "))
	if r := verify(t, w.verifier(t), job); r.Verdict.Indication != pki.TotalFailed && c.verdict == pki.Passed() {
		t.Errorf("over other content: %v", r.Verdict)
	}
}

// bundle writes several certificates into one file.
func (p *peer) bundle(parties []cmstest.Party) string {
	var b []byte
	for _, party := range parties {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: party.Certificate.Raw})...)
	}
	return p.write("bundle.pem", b)
}

// A second signer adds his signature to a finished message.
func TestOpenSSLResign(t *testing.T) {
	p := newPeer(t)
	w := theWorld()
	first := p.write("first", p.cms(append([]string{"-sign", "-nodetach", "-in", p.write("content", []byte(text))}, p.party(w.rsa)...)...))
	second := p.cms(append([]string{"-resign", "-inform", "DER", "-in", first}, p.party(w.ecdsa)...)...)
	peerCase{arguments: []string{"-nodetach"}, signers: []cmstest.Party{w.ecdsa}}.check(t, w, second, w.rsa)
	stranger := p.write("second", second)
	third := p.cms(append([]string{"-resign", "-inform", "DER", "-in", stranger}, p.party(w.mallory)...)...)
	r := verify(t, w.verifier(t), Job{Signature: source(third)})
	if (r.Verdict != pki.Verdict{Indication: pki.Indeterminate, SubIndication: pki.NoCertificateChainFound}) || len(r.Validations) != 3 {
		t.Errorf("with a stranger's signature: %v", r.Verdict)
	}
}
