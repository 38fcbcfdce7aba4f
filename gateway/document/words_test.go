package document

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// TestWordsComplete: neither language lacks a string that the other has.
func TestWordsComplete(t *testing.T) {
	ru, en := reflect.ValueOf(*russian()), reflect.ValueOf(*english())
	for i := range ru.NumField() {
		name := ru.Type().Field(i).Name
		if ru.Field(i).Kind() == reflect.Map {
			if a, b := keys(ru.Field(i)), keys(en.Field(i)); a != b {
				t.Errorf("%s: ru has %s, en has %s", name, a, b)
			}
		}
		for lang, v := range map[string]reflect.Value{"ru": ru.Field(i), "en": en.Field(i)} {
			if empty(v) && !(lang == "en" && name == "YearMark") {
				t.Errorf("%s.%s has an empty string", lang, name)
			}
		}
	}
}

func keys(m reflect.Value) string {
	var list []string
	for _, k := range m.MapKeys() {
		list = append(list, k.String())
	}
	sort.Strings(list)
	return strings.Join(list, "|")
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		return v.String() == ""
	case reflect.Array:
		for i := range v.Len() {
			if empty(v.Index(i)) {
				return true
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if empty(v.Field(i)) {
				return true
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			if empty(v.MapIndex(k)) {
				return true
			}
		}
		return v.Len() == 0
	}
	return false
}

// TestVocabulary: every word of the verdict table, the checks and the events
// has a sentence in both languages.
func TestVocabulary(t *testing.T) {
	sub := strings.Fields(`HASH_FAILURE SIG_CRYPTO_FAILURE FORMAT_FAILURE CRYPTO_CONSTRAINTS_FAILURE
		CHAIN_CONSTRAINTS_FAILURE EXPIRED NOT_YET_VALID REVOKED SIG_CONSTRAINTS_FAILURE NO_CERTIFICATE_CHAIN_FOUND
		NO_SIGNING_CERTIFICATE_FOUND SIGNED_DATA_NOT_FOUND TRY_LATER CRYPTO_CONSTRAINTS_FAILURE_NO_POE`)
	checks := strings.Fields(`content content-conflict content-is-attributes signed-content-type signed-attributes
		content-type message-digest signer-certificate signer-identity algorithm signature signing-certificate
		algorithm-protection path path-algorithms validity basic-constraints path-length key-usage extended-key-usage
		name-constraints critical-extensions policy-constraints names revocation signer-is-sender format`)
	reasons := []rem.Reason{
		rem.ReasonSignatureFailed, rem.ReasonCertificateTime, rem.ReasonSignerNotSender, rem.ReasonSignerUnbound,
		rem.ReasonNotCovered, rem.ReasonUntrusted, rem.ReasonNoSignedAttrs, rem.ReasonUnsupported, rem.ReasonNoCertificate,
		rem.ReasonNoContent, rem.ReasonFrom, rem.ReasonRevocationUnknown, rem.ReasonUnsigned, rem.ReasonEncrypted, rem.ReasonMalformed,
	}
	events := []rem.Event{
		rem.SubmissionAcceptance, rem.SubmissionRejection, rem.SignatureRecheck, rem.NotificationForAcceptance, rem.NotificationForAcceptanceFailure,
		rem.ConsignmentAcceptance, rem.ContentHandover, rem.AcceptanceRejectionExpiry, rem.RecipientVerification,
	}
	for _, w := range []*words{russian(), english()} {
		for _, x := range sub {
			has(t, w.SubIndications, x)
		}
		for _, x := range checks {
			has(t, w.CheckNames, x)
		}
		for _, x := range reasons {
			has(t, w.Reasons, x)
		}
		for _, x := range events {
			has(t, w.Events, x)
		}
		for _, x := range []rem.Grade{rem.GradeConfirmed, rem.GradeCode, rem.GradeSession, rem.GradeSigned} {
			has(t, w.Grades, x)
		}
		for _, x := range []rem.Verdict{rem.Passed, rem.Failed, rem.Indeterminate, rem.Unsigned} {
			has(t, w.Verdicts, x)
		}
	}
}

func has[K ~string, V any](t *testing.T, m map[K]V, k K) {
	t.Helper()
	if _, ok := m[k]; !ok {
		t.Errorf("no words for %q", k)
	}
}

func TestDisplay(t *testing.T) {
	long := strings.Repeat("я", maxShown)
	for _, c := range []struct{ in, want string }{
		{"Договор № 1.pdf", "Договор № 1.pdf"},
		{"invoice\u202efdp.exe", "invoice‹U+202E›fdp.exe"},
		{"a\u2066b\u2069\u200fc\u061c", "a‹U+2066›b‹U+2069›‹U+200F›c‹U+061C›"},
		{"tab\tline\r\nnul\x00del\x7f", "tab‹U+0009›line‹U+000D›‹U+000A›nul‹U+0000›del‹U+007F›"},
		{"zero\u200bwidth\ufeff\U000e0041", "zero‹U+200B›width‹U+FEFF›‹U+E0041›"},
		{"next\u2028\u2029", "next‹U+2028›‹U+2029›"},
		{"می\u200cخواهم", "می\u200cخواهم"},
		{"❤\ufe0f\u3164", "❤\ufe0f‹U+3164›"},
		{"bad\xffoctet", "bad\ufffdoctet"},
		{long, long},
		{long + "xyz", long + "… (+3)"},
	} {
		if got := display(c.in); got != c.want {
			t.Errorf("display(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestCountAndSize(t *testing.T) {
	ru, en := russian(), english()
	for n, want := range map[int64]string{0: "байт", 1: "байт", 2: "байта", 4: "байта", 5: "байт", 11: "байт", 12: "байт", 14: "байт", 21: "байт", 22: "байта", 111: "байт", 1002: "байта"} {
		if got := ru.count(n, ru.Bytes); got != want {
			t.Errorf("%d %s, want %s", n, got, want)
		}
	}
	if got := en.count(1, en.Bytes) + en.count(2, en.Bytes); got != "bytebytes" {
		t.Error(got)
	}
	for n, want := range map[int64]string{1: "1 byte", 999: "999 bytes", 1000: "1 000 bytes", 1234567: "1 234 567 bytes"} {
		if got := strings.ReplaceAll(en.size(n), "\u00a0", " "); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestWhen(t *testing.T) {
	if got := russian().when(noon); got != "22 ноября 2026 г., 09:00:05 UTC" {
		t.Error(got)
	}
	if got := english().when(noon); got != "22 November 2026, 09:00:05 UTC" {
		t.Error(got)
	}
}

// TestQualified: only a passed signature under an anchor so marked is called
// qualified.
func TestQualified(t *testing.T) {
	for _, w := range []*words{russian(), english()} {
		for _, kind := range []string{"", "qualified", "unqualified", "foreign", "QUALIFIED", "something"} {
			for _, indication := range []string{"TOTAL-PASSED", "TOTAL-FAILED", "INDETERMINATE", ""} {
				got := w.trust(rem.Signature{AnchorKind: kind, Indication: indication})
				if want := kind == "qualified" && indication == "TOTAL-PASSED"; (got == w.AnchorKinds["qualified"]) != want {
					t.Errorf("%s: anchor %q, %s: %s", w.Lang, kind, indication, got)
				}
			}
		}
	}
}

// TestToneOfUnknown: a word this package does not know never looks good.
func TestToneOfUnknown(t *testing.T) {
	w := english()
	for _, v := range []rem.Verdict{"", "PASSED", "total-passed", rem.Failed, rem.Indeterminate, rem.Unsigned} {
		if r := w.resultOf(finding{Verdict: v}); r.Tone == good || r.Head == w.Verdicts[rem.Passed].Short || r.Head == "" {
			t.Errorf("verdict %q looks like %+v", v, r)
		}
	}
	for _, s := range []string{"", "ok", "PASSED", "failed", "indeterminate"} {
		if c := w.check(rem.Check{Name: "x", Status: s}); c.Tone == good {
			t.Errorf("status %q looks good", s)
		}
	}
	for _, s := range []string{"", "PASSED", "TOTAL-FAILED", "INDETERMINATE"} {
		if indicationTone(s) == good {
			t.Errorf("indication %q looks good", s)
		}
	}
	if got := fmt.Sprint(w.resultOf(finding{Verdict: rem.Passed}).Tone, indicationTone("TOTAL-PASSED")); got != "goodgood" {
		t.Error(got)
	}
}
