package e2e

import (
	"crypto/tls"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"testing"
	"time"
)

// TestScannersAreNotReaders lets machines do with a link what they do; none of
// it is a receipt.
func TestScannersAreNotReaders(t *testing.T) {
	d := running(t)
	anna := d.party(t, "anna")
	address := "guest-scanner@example.net"
	link := d.delivered(t, anna, signedLetter(t, anna, address, file{"a.pdf", []byte("x")}), address)[0].link(t)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for _, method := range []string{"HEAD", "GET", "OPTIONS", "POST", "PUT", "PROPFIND"} {
		for _, purpose := range []string{"", "prefetch"} {
			req, err := http.NewRequest(method, link, nil)
			if err != nil {
				t.Fatal(err)
			}
			if purpose != "" {
				req.Header.Set("Sec-Purpose", purpose)
				req.Header.Set("Purpose", purpose)
			}
			r, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
		}
	}
	// A POST that no page of ours asked for.
	for _, form := range []url.Values{{}, {"address": {address}}, {"address": {address}, "token": {"x"}}} {
		r, err := client.PostForm("https://"+d.Web+"/letter", form)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
	}
	// A scanner with a browser: loads the page and runs its scripts.
	args := append([]string{"--dump-dom", "--virtual-time-budget=5000", "--ignore-certificate-errors", "--user-data-dir=" + t.TempDir()}, chromiumFlags...)
	dom, err := exec.Command("chromium", append(args, link)...).Output()
	if err != nil || len(dom) < 500 {
		t.Fatalf("chromium saw nothing: %v %s", err, dom)
	}
	for _, e := range d.evidence(t) {
		if e.Recipient == address && e.Event != "NotificationForAcceptance" {
			t.Errorf("a machine left %s", e.Event)
		}
	}
	d.fsck(t)
}
