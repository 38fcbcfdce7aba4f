package judge

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// FuzzJudge changes letters that real programs made with keys that are gone.
// Whatever comes out has to be a sound finding; one that passes may show no
// document but those that were signed, octet for octet.
func FuzzJudge(f *testing.F) {
	k := kit{t: f, verifier: clientVerifier(f)}
	recorded, err := filepath.Glob(clients + "/*.eml")
	if err != nil || len(recorded) == 0 {
		f.Fatal(err, "no recorded letters")
	}
	signed := map[rem.Digest]bool{}
	for _, name := range recorded {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		if finding := k.judge(string(b), k.request()); finding.Verdict == rem.Passed {
			for _, d := range finding.Documents {
				signed[d.SHA256], signed[d.SignedSHA256] = true, true // a file, and an entity that is taken for a file
			}
			f.Add([]byte(letter(mixed(string(b), text("footer")))))
		}
	}
	for _, seed := range []string{letter(p7m(enveloped())), letter(signedWith(text("x"), p7s(nil), text("y"))), letter(mixed(text("n"), file("a.pdf", "a")))} {
		f.Add([]byte(seed))
	}
	q := k.request()
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := message.Parse(strings.NewReader(string(raw)), int64(len(raw)), message.DefaultLimits())
		if err != nil {
			return
		}
		finding := Judge(context.Background(), l, q)
		sound(t, finding)
		reopen(t, l, finding)
		if finding.Verdict != rem.Passed {
			return
		}
		for _, d := range finding.Documents {
			if len(d.Signatures) > 0 && !signed[d.SHA256] {
				t.Errorf("passed with %s, whose octets nobody signed", d.Name)
			}
		}
	})
}

// FuzzArmour: what an armour yields never depends on the size of the reads,
// and what passes through unchanged is either binary or no armour.
func FuzzArmour(f *testing.F) {
	k := use(f, cmstest.Ed25519)
	der := k.sign(pdf, k.anna)
	f.Add(der)
	f.Add([]byte(pemText("CMS", der)))
	f.Add([]byte(base64Lines(der)))
	f.Add([]byte("-----BEGIN CMS-----\nMAA=\n-----END CMS-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, err := readSlowly(dearmour(strings.NewReader(string(b))), 1<<20)
		bytewise, err1 := readSlowly(dearmour(strings.NewReader(string(b))), 5)
		if (err == nil) != (err1 == nil) || err == nil && whole != bytewise {
			t.Errorf("%q (%v) and %q (%v)", whole, err, bytewise, err1)
		}
	})
}
