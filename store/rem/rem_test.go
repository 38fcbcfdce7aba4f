package rem

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 123456789, time.UTC)

func env(recipients ...string) Envelope {
	return Envelope{ID: "tx", Account: "u1", Login: "anna@a.test", Addresses: []string{"anna@a.test"}, From: "anna@a.test", Recipients: recipients}
}

func facts(from ...string) LetterFacts {
	return LetterFacts{Ref: Ref{SHA256: DigestOf([]byte("wire")), Size: 4}, From: from, FromName: "Anna", To: []string{"boris@b.test"}}
}

func TestSubmitFollowsTheVerdictTable(t *testing.T) {
	tests := []struct {
		reason  Reason
		verdict Verdict
		policy  Policy
		want    string // "" is accepted
	}{
		{"", Passed, Policy{}, ""},
		{ReasonSignatureFailed, Failed, Policy{}, "550 5.7.7"},
		{ReasonCertificateTime, Failed, Policy{}, "550 5.7.7"},
		{ReasonSignerNotSender, Failed, Policy{}, "550 5.7.1"},
		{ReasonSignerUnbound, Indeterminate, Policy{}, "550 5.7.1"},
		{ReasonNotCovered, Failed, Policy{}, "550 5.7.7"},
		{ReasonUntrusted, Indeterminate, Policy{}, "550 5.7.7"},
		{ReasonNoSignedAttrs, Indeterminate, Policy{}, "550 5.7.7"},
		{ReasonNoSignedAttrs, Indeterminate, Policy{AcceptBare: true}, ""},
		{ReasonUnsupported, Indeterminate, Policy{}, "550 5.7.7"},
		{ReasonNoCertificate, Indeterminate, Policy{}, "550 5.7.7"},
		{ReasonNoContent, Indeterminate, Policy{}, "550 5.7.7"},
		{ReasonRevocationUnknown, Indeterminate, Policy{Revocation: "hard"}, "451 4.7.5"},
		{ReasonRevocationUnknown, Indeterminate, Policy{}, "451 4.7.5"},
		{ReasonRevocationUnknown, Indeterminate, Policy{Revocation: "soft"}, ""},
		{ReasonSignatureFailed, Failed, Policy{Revocation: "soft", AcceptBare: true}, "550 5.7.7"},
		{ReasonUnsigned, Unsigned, Policy{}, "550 5.7.0"},
		{ReasonEncrypted, Unsigned, Policy{}, "550 5.6.0"},
		{ReasonMalformed, Failed, Policy{}, "550 5.6.0"},
		{ReasonTooMany, Failed, Policy{}, "451 4.7.1"},
		{"a reason of tomorrow", Failed, Policy{}, "550 5.6.0"},
	}
	for _, tt := range tests {
		a, r := Submit(env("b@b.test"), facts("anna@a.test"), Finding{Verdict: tt.verdict, Reason: tt.reason, Detail: "what"}, tt.policy, noon)
		got := ""
		if r != nil {
			got = fmt.Sprintf("%d %d.%d.%d", r.Code, r.Enhanced[0], r.Enhanced[1], r.Enhanced[2])
		}
		if got != tt.want || (a == nil) != (tt.want != "") {
			t.Errorf("%s %+v: %q, want %q", tt.reason, tt.policy, got, tt.want)
		}
	}
}

func TestEveryReasonHasItsOwnReply(t *testing.T) {
	for _, r := range []Reason{ReasonSignatureFailed, ReasonCertificateTime, ReasonSignerNotSender, ReasonSignerUnbound, ReasonNotCovered, ReasonUntrusted,
		ReasonNoSignedAttrs, ReasonUnsupported, ReasonNoCertificate, ReasonNoContent, ReasonFrom, ReasonRevocationUnknown, ReasonUnsigned, ReasonEncrypted, ReasonTooMany, ReasonMalformed} {
		if _, ok := replies[r]; !ok {
			t.Errorf("reason %s has no reply", r)
		}
	}
}

func TestFromIsOneAddressOfTheLogin(t *testing.T) {
	tests := map[string]struct {
		from []string
		ok   bool
	}{
		"own":             {[]string{"anna@a.test"}, true},
		"domain case":     {[]string{"anna@A.TEST"}, true},
		"local part case": {[]string{"Anna@a.test"}, false},
		"none":            {nil, false},
		"two":             {[]string{"anna@a.test", "anna@a.test"}, false},
		"another's":       {[]string{"boris@a.test"}, false},
		"empty":           {[]string{""}, false},
	}
	for name, tt := range tests {
		_, r := Submit(env("b@b.test"), facts(tt.from...), Finding{Verdict: Passed}, Policy{}, noon)
		if (r == nil) != tt.ok {
			t.Errorf("%s: refusal %v", name, r)
		}
		if r != nil && (r.Reason != ReasonFrom || r.Code != 550 || r.Enhanced != [3]int{5, 7, 1}) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestRefusalTextIsBoundedASCII(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reason := rapid.SampledFrom([]Reason{ReasonSignatureFailed, ReasonUnsigned, ReasonFrom, ""}).Draw(t, "reason")
		r := Refuse(reason, rapid.String().Draw(t, "detail")+strings.Repeat("x", rapid.IntRange(0, 900).Draw(t, "long")), Finding{})
		if len(r.Text) > maxReply {
			t.Fatalf("%d octets", len(r.Text))
		}
		for i := range len(r.Text) {
			if c := r.Text[i]; c != '\n' && (c < ' ' || c > '~') {
				t.Fatalf("octet %#x in %q", c, r.Text)
			}
		}
		if strings.Count(r.Text, "\n") != 1 {
			t.Fatalf("lines: %q", r.Text)
		}
	})
}

func TestRefusalIsFoundByErrorsAs(t *testing.T) {
	cause := errors.New("cause")
	err := fmt.Errorf("receive: %w", &Refusal{Reason: ReasonUnsigned, Err: cause})
	var r *Refusal
	if !errors.As(err, &r) || !errors.Is(err, cause) || r.Reason != ReasonUnsigned {
		t.Fatal(err)
	}
}

func TestAcceptedLetterMakesAConsignmentPerRecipient(t *testing.T) {
	f := Finding{Verdict: Passed, Documents: []Document{{Name: "a.pdf", Size: 3, SHA256: DigestOf([]byte("a")), SignedSHA256: DigestOf([]byte("s")), Signatures: []int{0}}},
		Signatures: []Signature{{Signer: "CN=Anna", SignatureSHA256: DigestOf([]byte("sig")), CertificateSHA256: DigestOf([]byte("cert")), Indication: "TOTAL-PASSED"}}}
	a, r := Submit(env("b@b.test", "c@c.test"), facts("anna@a.test"), f, Policy{LinkLifetime: time.Hour}, noon)
	if r != nil {
		t.Fatal(r)
	}
	if len(a.Consignments) != 2 || a.Consignments[0].ID == a.Consignments[1].ID || !a.Consignments[0].Expires.Equal(noon.Add(time.Hour)) {
		t.Fatalf("%+v", a.Consignments)
	}
	again, _ := Submit(env("b@b.test", "c@c.test"), facts("anna@a.test"), f, Policy{}, noon.Add(time.Minute))
	if again.Consignments[0].ID != a.Consignments[0].ID {
		t.Error("a consignment's id depends on more than its submission and recipient")
	}
	e := a.Evidence()
	if e.Subject != "tx" || e.Event != SubmissionAcceptance || e.ID != ExpectedID(SubmissionAcceptance, "tx", 0) {
		t.Errorf("%+v", e)
	}
	rec := e.Record
	if len(rec.Recipients) != 2 || rec.Documents[0].SHA256 != f.Documents[0].SHA256 || rec.Signatures[0].SHA256 != f.Signatures[0].SignatureSHA256 ||
		rec.Digests["letter.sha256"] != DigestOf([]byte("wire")).String() || rec.Time != "2026-05-04T12:00:00.123456Z" {
		t.Errorf("%+v", rec)
	}
}

func TestEvidenceIDsAreUniquePerSubjectEventAttempt(t *testing.T) {
	seen := map[string]string{}
	for _, subject := range []string{"a", "b", "ab"} {
		for _, event := range []Event{ContentHandover, RecipientVerification, "", "b"} {
			for attempt := range 3 {
				id := Attest(event, subject, attempt, noon, Record{}).ID
				key := fmt.Sprint(subject, "/", event, "/", attempt)
				if other, taken := seen[id]; taken {
					t.Errorf("%s and %s share an id", key, other)
				}
				if len(id) != 26 {
					t.Errorf("id %q", id)
				}
				seen[id] = key
			}
		}
	}
}

// Expected forms follow RFC 8785 §3.2: sorted members, short escapes, no
// spaces; the member order example is the RFC's own set of keys.
func TestCanonical(t *testing.T) {
	tests := []struct{ in, want string }{
		{`{"b":1,"a":[true,false,null,-7]}`, `{"a":[true,false,null,-7],"b":1}`},
		{`"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/"`, `"€$\u000f\nA'B\"\\\\\"/"`},
		{`{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Dagesh","1":"One","\ud83d\ude00":"Smiley","\u0080":"Control","\u00f6":"Latin"}`,
			"{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"ö\":\"Latin\",\"€\":\"Euro Sign\",\"😀\":\"Smiley\",\"\ufb33\":\"Dagesh\"}"},
		{`"<&>"`, `"<&>"`},
	}
	for _, tt := range tests {
		got, err := Canonical(json.RawMessage(tt.in))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s:\n got %s %v\nwant %s", tt.in, got, err, tt.want)
		}
	}
	for _, bad := range []string{`1.5`, `9007199254740992`, `1e3`} {
		if _, err := Canonical(json.RawMessage(bad)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add(`{"a":1,"b":["x\ny",{"z":null}]}`)
	f.Add(`"\ud800"`)
	f.Fuzz(func(t *testing.T, in string) {
		first, err := Canonical(json.RawMessage(in))
		if err != nil {
			return
		}
		second, err := Canonical(json.RawMessage(first))
		if err != nil || string(first) != string(second) {
			t.Fatalf("not a fixed point: %q then %q (%v)", first, second, err)
		}
	})
}

func TestDigestText(t *testing.T) {
	d := DigestOf([]byte("x"))
	got, err := ParseDigest(d.String())
	if err != nil || got != d {
		t.Fatal(got, err)
	}
	for _, bad := range []string{"00", strings.ToUpper(d.String()), d.String() + "00", strings.Repeat("g", 64)} {
		if _, err := ParseDigest(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	var zero Digest
	if b, _ := json.Marshal(zero); string(b) != `""` {
		t.Errorf("zero digest is %s", b)
	}
}

func TestAddressFolding(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"a@B.test", "a@b.TEST", true}, {"A@b.test", "a@b.test", false}, {"a@b.test", "a@c.test", false},
		{"", "", false}, {"a@\u0130.test", "a@i.test", false}, {"a@\u212a.test", "a@k.test", false},
	} {
		if SameAddress(tt.a, tt.b) != tt.same {
			t.Errorf("%q %q", tt.a, tt.b)
		}
	}
	if Domain("x@Y.test") != "y.test" || Domain("x") != "" {
		t.Error("domain")
	}
}

func TestSignedOctetsAreEachOnceAndInOneOrder(t *testing.T) {
	a, b := DigestOf([]byte("a")), DigestOf([]byte("b"))
	one := Finding{Documents: []Document{{SignedSHA256: a}, {SignedSHA256: b}, {Note: true}, {SignedSHA256: a}}}
	two := Finding{Documents: []Document{{SignedSHA256: b}, {SignedSHA256: a}}}
	got, again := one.SignedOctets(), two.SignedOctets()
	if len(got) != 2 || !slices.Equal(got, again) || got[0].IsZero() {
		t.Errorf("%v and %v", got, again)
	}
}
