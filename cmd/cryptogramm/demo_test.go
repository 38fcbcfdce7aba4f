package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/account"
)

// demoKit is a data directory and the demo that runs on it.
type demoKit struct {
	*server
	dir  string
	base int
	raw  []byte // demo.json
	file demoFile
}

// demoPorts are what the demo adds to its port base.
var demoPorts = []int{80, 143, 443, 465, 587, 993}

// startDemo starts a demo and waits for demo.json. Ports that somebody took
// between looking and listening are no failure.
func startDemo(t *testing.T, dir string) *demoKit {
	t.Helper()
	for range 10 {
		d := &demoKit{dir: dir, base: freeBase(t)}
		begin := time.Now()
		d.server = launch(t, "demo", "--data", dir, "--port-base", strconv.Itoa(d.base))
		ready := d.until("demo.json", func() bool {
			var err error
			d.raw, err = os.ReadFile(filepath.Join(dir, "demo.json"))
			return err == nil && json.Unmarshal(d.raw, &d.file) == nil && d.file.Web == net.JoinHostPort("127.0.0.1", strconv.Itoa(d.base+443))
		})
		if ready {
			t.Logf("the demo was ready after %.2f s", time.Since(begin).Seconds())
			return d
		}
		if code := <-d.ended; code != exitFail || !strings.Contains(d.err.String(), "address already in use") {
			t.Fatalf("exit %d\n%s", code, d.err)
		}
	}
	t.Fatal("no ports")
	return nil
}

func (d *demoKit) party(local string) demoParty {
	d.t.Helper()
	for _, p := range d.file.Parties {
		if p.Email == local+"@demo.test" {
			return p
		}
	}
	d.t.Fatalf("no party %s", local)
	return demoParty{}
}

// TestDemo is one life of a demo: start, use, stop, start again.
func TestDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o755); err != nil { // a careless operator's
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "demo.json"), `{"web": "of a life before"}`, 0o644)
	d := startDemo(t, dir)
	if out := d.out.String(); !strings.Contains(out, "https://"+d.file.Web) || strings.Contains(out, d.file.Admin.Password) {
		t.Errorf("greets with\n%s", out)
	}
	t.Run("demo.json", d.testFile)
	t.Run("doors", d.testDoors)
	t.Run("second on the same data", d.testSecond)
	d.exchange(t)
	t.Run("evidence", d.testEvidence)
	t.Run("fsck", d.testFsck)
	t.Run("stop", d.testStop)
	t.Run("taken ports", d.testTaken)
	t.Run("again", d.testAgain)
	t.Run("damage", d.testDamage)
}

func (d *demoKit) testFile(t *testing.T) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(d.raw, &top); err != nil {
		t.Fatal(err)
	}
	sameKeys(t, "demo.json", d.raw, "smtp", "imap", "web", "ca", "outbox", "admin", "parties")
	sameKeys(t, "smtp", top["smtp"], "submissions", "submission")
	sameKeys(t, "imap", top["imap"], "imaps", "imap")
	sameKeys(t, "admin", top["admin"], "email", "password")
	var parties []json.RawMessage
	if err := json.Unmarshal(top["parties"], &parties); err != nil || len(parties) < 2 {
		t.Fatalf("%d parties, %v", len(parties), err)
	}
	for _, p := range parties {
		sameKeys(t, "a party", p, "email", "name", "password", "cert", "key")
	}
	if d.file.SMTP.Submissions != net.JoinHostPort("127.0.0.1", strconv.Itoa(d.base+465)) || d.file.SMTP.Submission != net.JoinHostPort("127.0.0.1", strconv.Itoa(d.base+587)) {
		t.Errorf("%+v", d.file.SMTP)
	}
	if d.file.IMAP.IMAPS != net.JoinHostPort("127.0.0.1", strconv.Itoa(d.base+993)) || d.file.IMAP.IMAP != net.JoinHostPort("127.0.0.1", strconv.Itoa(d.base+143)) {
		t.Errorf("%+v", d.file.IMAP)
	}
	seen := map[string]bool{d.file.Admin.Password: true}
	for _, p := range d.file.Parties {
		if seen[p.Password] || account.CheckPassword(p.Password) != nil {
			t.Errorf("password of %s is weak or not his alone", p.Email)
		}
		seen[p.Password] = true
		for _, path := range []string{p.Cert, p.Key} {
			if info, err := os.Stat(path); err != nil || !filepath.IsAbs(path) || !info.Mode().IsRegular() {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	if info, err := os.Stat(d.file.Outbox); err != nil || !info.IsDir() {
		t.Error(err)
	}
	d.checkPrivate(t)
}

// checkPrivate looks at every file; DIR itself keeps the mode it was given.
func (d *demoKit) checkPrivate(t *testing.T) {
	t.Helper()
	if info, err := os.Stat(filepath.Join(d.dir, "demo.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("demo.json: %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
		if e.IsDir() && e.Name() == "ca" {
			permissions(t, filepath.Join(d.dir, e.Name()))
		}
	}
}

func (d *demoKit) testDoors(t *testing.T) {
	config := clientTLS(t, d.file.CA)
	admin := demoParty{Email: d.file.Admin.Email, Password: d.file.Admin.Password}
	for _, p := range append(d.file.Parties, admin) {
		if err := client(t, d.file.SMTP.Submissions, false, config, p).Quit(); err != nil {
			t.Error(err)
		}
	}
	if err := client(t, d.file.SMTP.Submission, true, config, admin).Quit(); err != nil {
		t.Error(err)
	}
	b := browser(t, config)
	for url, want := range map[string]int{"https://" + d.file.Web + "/": 0, "http://127.0.0.1:" + strconv.Itoa(d.base+80) + "/x": 301} {
		r, err := b.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if want == 301 && (r.StatusCode != 301 || r.Header.Get("Location") != "https://"+d.file.Web+"/") || r.StatusCode >= 400 {
			t.Errorf("%s answers %d %q", url, r.StatusCode, r.Header)
		}
	}
	b.CloseIdleConnections()
}

// testSecond: a second demo on the same data does not disturb the first.
func (d *demoKit) testSecond(t *testing.T) {
	call(t, "", "demo", "--data", d.dir, "--port-base", strconv.Itoa(freeBase(t))).want(t, exitFail, "in use by process "+strconv.Itoa(os.Getpid()))
	if b, err := os.ReadFile(filepath.Join(d.dir, "demo.json")); err != nil || !bytes.Equal(b, d.raw) {
		t.Errorf("demo.json changed: %v", err)
	}
}

// exchange has one letter accepted and one refused.
func (d *demoKit) exchange(t *testing.T) {
	t.Helper()
	anna := d.party("anna")
	c := client(t, d.file.SMTP.Submissions, false, clientTLS(t, d.file.CA), anna)
	defer c.Quit()
	letter := letterOf(t, anna, "I agree to 100 EUR")
	if err := submit(t, c, anna.Email, letter, "boris@demo.test", "guest@example.net"); err != nil {
		t.Fatalf("not accepted: %v\n%s", err, d.err)
	}
	changed := bytes.Replace(letter, []byte("100 EUR"), []byte("900 EUR"), 1)
	if err := submit(t, c, anna.Email, changed, "boris@demo.test"); err == nil || !strings.Contains(err.Error(), "5.7.7") {
		t.Fatalf("a changed letter is answered with %v", err)
	}
	d.until("two notices", func() bool {
		return strings.Count(call(t, "", "evidence", "list", "--data", d.dir, "--event", "NotificationForAcceptance").out, "\n") == 2
	})
}

func (d *demoKit) testEvidence(t *testing.T) {
	a := call(t, "", "evidence", "list", "--json", "--data", d.dir)
	list := decode[[]evidenceEntry](t, a)
	for _, raw := range decode[[]json.RawMessage](t, a) {
		sameKeys(t, "an evidence", raw, "id", "event", "time", "submission", "consignment", "sender", "recipient", "grade", "reason", "log_index", "digest")
	}
	count := map[string]int{}
	var submission, consignment string
	for i, e := range list {
		count[string(e.Event)]++
		if i > 0 && e.Time.Before(list[i-1].Time) {
			t.Errorf("%s stands after a later one", e.ID)
		}
		if e.Event == "SubmissionAcceptance" {
			submission = e.Submission
		}
		if e.Consignment != "" {
			consignment = e.Consignment
		}
		d.checkDigest(t, e)
	}
	if want := map[string]int{"SubmissionAcceptance": 1, "SubmissionRejection": 1, "NotificationForAcceptance": 2}; !reflect.DeepEqual(count, want) {
		t.Errorf("events %v, want %v", count, want)
	}
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"--submission", submission}, 3}, {[]string{"--consignment", consignment}, 1}, {[]string{"--event", "SubmissionRejection"}, 1},
		{[]string{"--submission", submission, "--event", "NotificationForAcceptance"}, 2}, {[]string{"--submission", "x"}, 0}, {[]string{"--event", "x"}, 0},
	} {
		args := append([]string{"evidence", "list", "--data", d.dir}, c.args...)
		text := call(t, "", args...)
		if n := len(decode[[]evidenceEntry](t, call(t, "", append(args, "--json")...))); n != c.want || strings.Count(text.out, "\n") != c.want {
			t.Errorf("%q lists %d as JSON, and\n%s", c.args, n, text.out)
		}
	}
	call(t, "", "evidence", "list", "--data", d.dir).want(t, exitOK, "SubmissionAcceptance")
	call(t, "", "evidence", "show", "--data", d.dir, "nosuch").want(t, exitFail, "evidence nosuch: not found")
}

// checkDigest does by hand what the command promises to make possible.
func (d *demoKit) checkDigest(t *testing.T, e evidenceEntry) {
	t.Helper()
	a := call(t, "", "evidence", "show", "--json", "--data", d.dir, e.ID)
	var row struct{ ID, Event, Digest, Salt, Record string }
	if err := json.Unmarshal([]byte(a.out), &row); err != nil {
		t.Fatal(err)
	}
	salt, err := base64.StdEncoding.DecodeString(row.Salt)
	if err != nil || len(salt) < 16 {
		t.Errorf("salt %q, %v", row.Salt, err)
	}
	sum := sha256.Sum256(append(salt, row.Record...))
	if got := hex.EncodeToString(sum[:]); got != row.Digest || got != e.Digest.String() || row.ID != e.ID || row.Event != string(e.Event) {
		t.Errorf("%+v has the digest %s, its row %s", e, got, row.Digest)
	}
}

func (d *demoKit) testFsck(t *testing.T) {
	call(t, "", "fsck", "--data", d.dir).want(t, exitOK, "1 submissions, 1 letters, 0 unreferenced, 0 pending, 0 problems\n")
	a := call(t, "", "fsck", "--json", "--data", d.dir)
	sameKeys(t, "fsck", json.RawMessage(a.out), "submissions", "letters", "unreferenced", "pending", "problems")
	if r := decode[fsckResult](t, a); r.Submissions != 1 || r.Letters != 1 || r.Problems == nil || len(r.Problems) > 0 {
		t.Errorf("%+v", r)
	}
}

// testStop stops while a mail program and a browser sit on open connections.
func (d *demoKit) testStop(t *testing.T) {
	config := clientTLS(t, d.file.CA)
	idle := client(t, d.file.SMTP.Submissions, false, config, d.party("boris"))
	defer idle.Close()
	b := browser(t, config)
	if r, err := b.Get("https://" + d.file.Web + "/"); err != nil {
		t.Fatal(err)
	} else {
		r.Body.Close()
	}
	half, err := net.Dial("tcp", d.file.SMTP.Submissions) // never speaks
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	begin := time.Now()
	d.cancel()
	if code := <-d.ended; code != exitOK { // an idle client that held it up would be an error
		t.Errorf("exit %d\n%s", code, d.err)
	}
	t.Logf("stopped within %.2f s", time.Since(begin).Seconds())
	idle.Close()
	half.Close()
	b.CloseIdleConnections()
	d.ended <- exitOK
	d.stop() // nothing is left
	for _, p := range demoPorts {
		if !portFree(d.base + p) {
			t.Errorf("port %d is still open", d.base+p)
		}
	}
	log := d.err.String()
	for _, p := range append(d.file.Parties, demoParty{Password: d.file.Admin.Password}) {
		if strings.Contains(log, p.Password) {
			t.Errorf("the log has the password of %s", p.Email)
		}
	}
	if log != "" && !strings.Contains(log, "level=") {
		t.Errorf("logs\n%s", log)
	}
}

// testTaken takes one port after the other: the start says which it is, and
// leaves nothing open.
func (d *demoKit) testTaken(t *testing.T) {
	names := map[int]string{80: "web.redirect", 143: "imap.imap", 443: "web.https", 465: "smtp.submissions", 587: "smtp.submission", 993: "imap.imaps"}
	for _, taken := range demoPorts {
		base := freeBase(t)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(base+taken)))
		if err != nil {
			t.Fatal(err)
		}
		s := launch(t, "demo", "--data", d.dir, "--port-base", strconv.Itoa(base))
		code := <-s.ended
		s.ended <- code
		s.stop()
		if text := s.err.String(); code != exitFail || !strings.Contains(text, names[taken]+": ") || !strings.Contains(text, "address already in use") {
			t.Errorf("port %d taken: exit %d\n%s", taken, code, text)
		}
		if s.out.String() != "" {
			t.Errorf("greets all the same:\n%s", s.out)
		}
		l.Close()
		for _, p := range demoPorts {
			if !portFree(base + p) {
				t.Errorf("port %d taken: %d stays open", taken, p)
			}
		}
		if _, err := os.Stat(filepath.Join(d.dir, "demo.json")); err == nil {
			t.Error("demo.json is there, and nobody answers")
		}
	}
}

// testAgain: a second life has the same parties, passwords and letters.
func (d *demoKit) testAgain(t *testing.T) {
	again := startDemo(t, d.dir)
	if !reflect.DeepEqual(again.file.Parties, d.file.Parties) || again.file.Admin != d.file.Admin || again.file.CA != d.file.CA {
		t.Errorf("parties changed:\n%+v\n%+v", d.file.Parties, again.file.Parties)
	}
	c := client(t, again.file.SMTP.Submission, true, clientTLS(t, again.file.CA), again.party("anna"))
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	if n := len(decode[[]userEntry](t, call(t, "", "user", "list", "--json", "--data", d.dir))); n != len(d.file.Parties)+1 {
		t.Errorf("%d accounts", n)
	}
	if n := len(trustList(t, d.dir)); n != 4 { // root, issuing, a CRL of each
		t.Errorf("%d entries of trust", n)
	}
	if code := again.stop(); code != exitOK {
		t.Errorf("exit %d\n%s", code, again.err)
	}
	call(t, "", "evidence", "list", "--data", d.dir).want(t, exitOK, "SubmissionRejection")
}

// testDamage changes one octet of the letter: fsck finds it, and exits 1.
func (d *demoKit) testDamage(t *testing.T) {
	damaged := 0
	err := filepath.WalkDir(filepath.Join(d.dir, "blobs"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		damaged++
		return os.WriteFile(path, bytes.Replace(b, []byte("100 EUR"), []byte("900 EUR"), 1), 0o600)
	})
	if err != nil || damaged != 1 {
		t.Fatalf("%d letters, %v", damaged, err)
	}
	a := call(t, "", "fsck", "--data", d.dir)
	if a.code != exitFail || !strings.Contains(a.out, "problem: submission ") || !strings.HasSuffix(a.out, "1 problems\n") {
		t.Errorf("exit %d\n%s", a.code, a.out)
	}
	a = call(t, "", "fsck", "--json", "--data", d.dir)
	if r := decode[fsckResult](t, a); a.code != exitFail || len(r.Problems) != 1 {
		t.Errorf("exit %d: %+v", a.code, r)
	}
}
