package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// listen counts connections to one port on every address of the machine.
func listen(t *testing.T, address string, seen *atomic.Int64) (port int, err error) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		return 0, err
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			seen.Add(1)
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// inward are the ways to write an address that leads back to this machine or
// into its network.
func inward(t *testing.T) []string {
	t.Helper()
	hosts := []string{"127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "localhost", "LOCALHOST.", "[::1]", "[::]",
		"[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "user@127.0.0.1", "127.0.0.1.nip.invalid"}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsPrivate() {
			hosts = append(hosts, n.IP.String())
		}
	}
	return hosts
}

// authority is a root of our own that the gateway trusts and has no CRL of.
func (d *demo) authority(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, nil, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", filepath.Join(dir, "root.key"), "-out", filepath.Join(dir, "root.pem"),
		"-days", "30", "-subj", "/O=Far/CN=Far Root", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
	if out, err := exec.Command(d.bin, "trust", "add", "--data", d.dir, filepath.Join(dir, "root.pem")).CombinedOutput(); err != nil {
		t.Fatalf("trust add: %v\n%s", err, out)
	}
	return dir
}

// issued makes a key and a certificate with these extensions.
func issued(t *testing.T, dir, issuer, name, extensions string) {
	t.Helper()
	path := func(suffix string) string { return filepath.Join(dir, name+suffix) }
	must(t, nil, "openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path(".key"), "-out", path(".csr"), "-subj", "/O=Far/CN="+name)
	configure(t, path(".ext"), extensions+"subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
	must(t, nil, "openssl", "x509", "-req", "-in", path(".csr"), "-days", "20", "-extfile", path(".ext"), "-out", path(".pem"),
		"-CA", filepath.Join(dir, issuer+".pem"), "-CAkey", filepath.Join(dir, issuer+".key"), "-set_serial", "0x"+serial())
}

// visits are extensions that name three places at each host: of a CRL, of an
// OCSP responder and of the issuer's certificate.
func visits(p party, hosts []string) string {
	var points, access []string
	for _, host := range hosts {
		points = append(points, "URI:http://"+host+"/ca.crl")
		access = append(access, "OCSP;URI:http://"+host+"/ocsp", "caIssuers;URI:http://"+host+"/ca.cer")
	}
	return "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,nonRepudiation\nextendedKeyUsage=emailProtection\nsubjectAltName=email:" + p.Email +
		"\ncrlDistributionPoints=" + strings.Join(points, ",") + "\nauthorityInfoAccess=" + strings.Join(access, ",") + "\n"
}

// TestHostileAddresses signs with certificates that send whoever checks them to
// addresses he must not go to. The letters are refused as long as revocation is
// unknown, and nobody is visited.
func TestHostileAddresses(t *testing.T) {
	d := running(t)
	p := d.newParty(t, "addresses")
	var seen atomic.Int64
	number, err := listen(t, ":0", &seen)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listen(t, ":80", &seen); err != nil {
		t.Logf("only ports 80 and 443 may be fetched from at all; nobody can listen there: %v", err)
	}
	hosts := inward(t)
	for _, h := range inward(t) {
		hosts = append(hosts, fmt.Sprintf("%s:%d", h, number))
	}
	dir := d.authority(t)
	issued(t, dir, "root", "all", visits(p, hosts))
	wants := map[string]int{"all": 451, "orphan": 550}
	const tried = 4 // of one kind in a certificate
	for i := 0; i < len(hosts); i += tried {
		name := fmt.Sprint("some", i)
		issued(t, dir, "root", name, visits(p, hosts[i:min(i+tried, len(hosts))]))
		wants[name] = 451
	}
	issued(t, dir, "root", "between", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n")
	issued(t, dir, "between", "orphan", visits(p, hosts)) // its issuer is to be had by AIA alone
	for name, code := range wants {
		signer := party{Email: p.Email, Cert: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+".key")}
		r := d.submit(t, p, signedLetter(t, signer, "boris@demo.test", file{"a.pdf", []byte("%PDF\n")}), "boris@demo.test")
		if r.code != code || !strings.HasPrefix(r.text, "4.7.5 ") && !strings.HasPrefix(r.text, "5.7.7 ") {
			t.Errorf("%s: %d %s", name, r.code, r.text)
		}
	}
	if n := seen.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
	// The listener is one that would have noticed.
	exec.Command("curl", "-s", "--max-time", "5", fmt.Sprintf("http://127.0.0.1:%d/", number)).Run()
	if seen.Load() == 0 {
		t.Error("the listener does not listen")
	}
	d.fsck(t)
}
