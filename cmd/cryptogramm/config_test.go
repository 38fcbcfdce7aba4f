package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
)

const exampleConfig = "../../configs/cryptogramm.toml"

// required is a configuration that names only what has no default.
const required = `data = "data"
domain = "example.org"
base_url = "https://docs.example.org"
[tls]
certificate_file = "/etc/cryptogramm/tls.pem"
key_file = "/etc/cryptogramm/tls.key"
`

// withKeys adds lines to the required ones; a line without a table goes first.
func withKeys(lines string) string {
	if strings.HasPrefix(lines, "[") {
		return required + lines
	}
	return lines + "\n" + required
}

func configFile(t *testing.T, text string) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "cryptogramm.toml"), text, 0o644)
}

// TestExampleConfig: configs/cryptogramm.toml names every key, and the value it
// gives is what holds without it.
func TestExampleConfig(t *testing.T) {
	b, err := os.ReadFile(exampleConfig)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := toml.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	if have, want := treeKeys(tree), structKeys(reflect.TypeFor[Config]()); !slices.Equal(have, want) {
		t.Errorf("the file has the keys\n%q, the program\n%q", have, want)
	}
	example, err := readConfig(exampleConfig)
	if err != nil {
		t.Fatal(err)
	}
	bare, err := readConfig(configFile(t, required))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := effective(t, example), effective(t, bare); !reflect.DeepEqual(got, want) {
		t.Errorf("the file states\n%+v\nwithout it holds\n%+v", got, want)
	}
}

// effective is a configuration with the gateway's own defaults in it.
func effective(t *testing.T, c *Config) string {
	t.Helper()
	c.Data = t.TempDir()
	i, err := openInstallation(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer i.close()
	c.Data, c.Limits = "", Limits{}
	return fmt.Sprintf("%+v %+v %+v", *c, i.gateway.Limits, i.gateway.Policy)
}

func treeKeys(tree map[string]any) (all []string) {
	for k, v := range tree {
		if table, ok := v.(map[string]any); ok {
			for _, inner := range treeKeys(table) {
				all = append(all, k+"."+inner)
			}
			continue
		}
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

func structKeys(typ reflect.Type) (all []string) {
	for f := range typ.Fields() {
		name := f.Tag.Get("toml")
		if name == "" {
			continue
		}
		if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[duration]() {
			for _, inner := range structKeys(f.Type) {
				all = append(all, name+"."+inner)
			}
			continue
		}
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func TestConfigRefused(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "data is missing"},
		{"", "tls.key_file is missing"},
		{strings.Replace(required, `base_url = "https://docs.example.org"`, "", 1), "base_url is missing"},
		{withKeys("[limits]\nletter_mb = 3"), ":8: unknown key limits.letter_mb"},
		{withKeys("[limit]\nletter_mib = 3"), "unknown key limit"},
		{withKeys("nodes = 'x'"), ":1: unknown key nodes"},
		{withKeys("[limits]\na = 1\nletter_mib = 1\nb = 2"), ":10: unknown key limits.b"},
		{withKeys("[limits]\nletter_mib = 'big'"), ":8: limits.letter_mib"},
		{withKeys("[limits]\nletter_mib = -1"), "limits.letter_mib: -1"},
		{withKeys("[limits]\nletter_mib = 9223372036854775807"), "limits.letter_mib"},
		{withKeys("[limits]\njudging_slots = -1"), "limits.judging_slots"},
		{withKeys("[limits]\nslot_wait = '30'"), "missing unit"},
		{withKeys("[limits]\nslot_wait = '-30s'"), "is not more than 0"},
		{withKeys("[limits]\nlink_life = '0s'"), "is not more than 0"},
		{withKeys("[store]\ndriver = 'mysql'"), `store.driver: "mysql" is not one of sqlite, postgres`},
		{withKeys("[store]\ndriver = 'postgres'"), "store.dsn_file is missing"},
		{withKeys("[blobs]\ndriver = 'tape'"), `blobs.driver: "tape" is not one of dir, s3`},
		{withKeys("[blobs]\ndriver = 's3'"), "blobs.endpoint is missing"},
		{withKeys("[blobs]\ndriver = 's3'\nendpoint = 'store'"), "blobs.bucket is missing"},
		{withKeys("[blobs]\ndriver = 's3'\nendpoint = 'store'\nbucket = 'b'"), "blobs.access_key_file is missing"},
		{withKeys("[blobs]\ndriver = 's3'\nendpoint = 'store'\nbucket = 'b'\naccess_key_file = 'a'"), "blobs.secret_key_file is missing"},
		{withKeys("[blobs]\ndriver = 's3'\nendpoint = 'https://store'"), "is not host or host:port"},
		{withKeys("[blobs]\ndriver = 's3'\nendpoint = ':9000'"), "is not host or host:port"},
		{withKeys("[blobs]\ndriver = 's3'\ncache_mib = 99"), "blobs.cache_mib: 99 is less than the largest letter, 100 MiB"},
		{withKeys("[limits]\nletter_mib = 4096\n[blobs]\ndriver = 's3'\nspool_mib = 4095"), "blobs.spool_mib: 4095 is less than the largest letter"},
		{withKeys("[blobs]\nretention_days = -1"), "blobs.retention_days: -1"},
		{withKeys("[imap]\nimaps = '993'"), "imap.imaps"},
		{withKeys("[imap]\nconnections = -1"), "imap.connections: -1"},
		{withKeys("[imap]\nper_address = -1"), "imap.per_address: -1"},
		{withKeys("[signing]\ncertificate_file = 'c'"), "signing.key_file is missing: signing.certificate_file is given"},
		{withKeys("[signing]\nkey_file = 'k'"), "signing.certificate_file is missing: signing.key_file is given"},
		{withKeys("[dkim]\nselector = 's'"), "dkim.key_file is missing"},
		{withKeys("[dkim]\nkey_file = 'k'"), "dkim.selector is missing"},
		{withKeys("[dkim]\nselector = 'a b'\nkey_file = 'k'"), "dkim.selector: "},
		{withKeys("[relay]\nper_destination = 1001"), "relay.per_destination: 1001"},
		{withKeys("[policy]\nrevocation = 'none'"), "policy.revocation"},
		{withKeys("[revocation]\nallow = ['10.0.0.0']"), ":8: "},
		{withKeys("[revocation]\nallow = ['intranet/8']"), ":8: "},
		{withKeys("[revocation]\nports = []"), "revocation.ports: "},
		{withKeys("[revocation]\nports = [80, 0]"), "revocation.ports: "},
		{withKeys("[revocation]\nports = [65536]"), ":8: "},
		{withKeys("[policy]\ndocument_signer = ''"), "policy.document_signer"},
		{withKeys("[relay]\nsecurity = 'ssl'"), "relay.security"},
		{withKeys("[relay]\naddress = 'mail.example.org'"), "relay.address"},
		{withKeys("[relay]\nlogin = 'us'"), "relay.password_file is missing"},
		{withKeys("[relay]\nlogin = 'us'\npassword_file = 'x'\nsecurity = 'plain'"), "not sent without TLS"},
		{withKeys("[smtp]\nsubmissions = '465'"), "smtp.submissions"},
		{withKeys("domains = ['example.org', 'not a domain']"), "domains: "},
		{strings.Replace(required, "https://docs", "http://docs", 1), "base_url: "},
		{strings.Replace(required, "docs.example.org", "docs.example.org/path", 1), "base_url: "},
		{strings.Replace(required, "docs.example.org", "user@docs.example.org", 1), "base_url: "},
		{strings.Replace(required, `"example.org"`, `"example org"`, 1), "domain: "},
		{"data = ", ":1: "},
		{required + required, ":10: tls: "},
		{strings.Repeat("#", maxConfig+1), "larger than"},
	} {
		_, err := readConfig(configFile(t, c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.200s\n gives %v, want %q", c.text, err, c.want)
		}
	}
}

// TestConfigErrorsKeepValues: somebody may have written a password into the
// file, and errors go to a log.
func TestConfigErrorsKeepValues(t *testing.T) {
	path := configFile(t, withKeys("[relay]\npassword = 'hunter2 hunter2'\nport = 25"))
	_, err := readConfig(path)
	want := path + ":8: unknown key relay.password\n" + path + ":9: unknown key relay.port"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
	call(t, "", "serve", "--config", path).want(t, exitFail, "cryptogramm: "+path+":9: unknown key relay.port")
}

func TestConfigRead(t *testing.T) {
	path := configFile(t, withKeys("[smtp]\nsubmission = ''\n[limits]\nletter_mib = 7\nlink_life = '90m'\n[relay]\nlogin = 'us'\npassword_file = 'relay.secret'\n[policy]\naccept_without_signed_attributes = true"))
	c, err := readConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	if c.Data != filepath.Join(dir, "data") || c.Relay.PasswordFile != filepath.Join(dir, "relay.secret") || c.TLS.Key != "/etc/cryptogramm/tls.key" {
		t.Errorf("paths %q, %q, %q", c.Data, c.Relay.PasswordFile, c.TLS.Key)
	}
	if c.SMTP.Submission != "" || c.SMTP.Submissions != ":465" {
		t.Errorf("doors %q, %q: an empty one is closed, an absent one has its default", c.SMTP.Submission, c.SMTP.Submissions)
	}
	if l := c.limits(); l.Letter != 7<<20 || l.LinkLife != 90*time.Minute {
		t.Errorf("limits %+v", l)
	}
	if !slices.Equal(c.Domains, []string{"example.org"}) || !c.policy().AcceptBare || c.policy().Revocation != "hard" {
		t.Errorf("domains %q, policy %+v", c.Domains, c.policy())
	}
}

// TestConfigRevocation: what the file names is what the fetching client dials.
func TestConfigRevocation(t *testing.T) {
	for text, want := range map[string]string{
		"":              "[] [80 443]",
		"fetch = false": "",
		"allow = ['10.1.0.0/16', 'fd00::/8']\nports = [8080]": "[10.1.0.0/16 fd00::/8] [8080]",
	} {
		c, err := readConfig(configFile(t, withKeys("[revocation]\n"+text)))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if f := c.Revocation.client(slog.New(slog.DiscardHandler)); f != nil {
			got = fmt.Sprint(f.AllowNets, f.Ports)
		}
		if got != want {
			t.Errorf("%q: dials %s, want %s", text, got, want)
		}
	}
}

// TestConfigLocal: an address is ours by its domain, whatever its case.
func TestConfigLocal(t *testing.T) {
	c := &Config{Domains: []string{"example.org", "Example.net"}}
	for address, want := range map[string]bool{
		"anna@example.org": true, "anna@EXAMPLE.org": true, "anna@example.net": true,
		"anna@mail.example.org": false, "anna@example.com": false, "example.org": false, "": false,
	} {
		if c.local(address) != want {
			t.Errorf("%q is ours: %v", address, !want)
		}
	}
}

// FuzzConfig: whatever the file holds, what is accepted makes sense.
func FuzzConfig(f *testing.F) {
	b, err := os.ReadFile(exampleConfig)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b))
	f.Add(required)
	f.Add(withKeys("[limits]\nslot_wait = '1h'"))
	f.Add(withKeys("[blobs]\ndriver = 's3'\nendpoint = 'store:9000'\nbucket = 'b'\naccess_key_file = 'a'\nsecret_key_file = 's'\ncache_mib = 200"))
	path := filepath.Join(f.TempDir(), "fuzz.toml")
	f.Fuzz(func(t *testing.T, text string) {
		write(t, path, text, 0o600)
		c, err := readConfig(path)
		if err != nil {
			return
		}
		l := c.limits()
		if l.Letter < 0 || l.Slots < 0 || l.SlotWait < 0 || l.LinkLife < 0 || !filepath.IsAbs(c.Data) || len(c.Domains) == 0 ||
			c.Blobs.Driver == "s3" && (c.Blobs.CacheMiB < c.largestLetter() || c.Blobs.Bucket == "" || !filepath.IsAbs(c.Blobs.SecretKeyFile)) ||
			(c.Signing.Certificate == "") != (c.Signing.Key == "") {
			t.Errorf("accepted: %+v", c)
		}
	})
}
