package webview

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
	"cryptogramm.ru/cryptogramm/webview/i18n"
)

func catalogues(t *testing.T) i18n.Catalogues {
	t.Helper()
	all, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// sources are this package's templates and its code without tests.
func sources(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, glob := range []string{"templates/*.html", "*.go"} {
		files, err := filepath.Glob(glob)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %d files", glob, err, len(files))
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			out[f] = string(b)
		}
	}
	return out
}

// computed are keys put together from a prefix and a word.
var computed = []string{
	"verdict.line.", "indication.", "subindication.", "status.", "kind.", "state.", "grade.", "event.",
	"checkname.", "reason.", "sig.bound.", "error.", "refused.", "why.",
}

func TestEveryKeyUsedExistsAndEveryKeyIsUsed(t *testing.T) {
	en := catalogues(t)["en"]
	var all strings.Builder
	inTemplate := regexp.MustCompile(`\.[TN] "([^"]+)"`)
	inCode := regexp.MustCompile(`(?:\.T\(|\.N\(|s\.page\(v, )"([^"]+)"`)
	found := 0
	for name, text := range sources(t) {
		all.WriteString(text)
		for _, m := range append(inTemplate.FindAllStringSubmatch(text, -1), inCode.FindAllStringSubmatch(text, -1)...) {
			found++
			if !en.Has(m[1]) && m[1] != "error." {
				t.Errorf("%s: %s does not exist", name, m[1])
			}
		}
	}
	if found < 150 {
		t.Fatalf("only %d uses found", found)
	}
	text := all.String()
next:
	for _, key := range en.Keys() {
		for _, prefix := range computed {
			if strings.HasPrefix(key, prefix) {
				continue next
			}
		}
		if !strings.Contains(text, `"`+key+`"`) && key != "bytes" {
			t.Errorf("%s is not used", key)
		}
	}
}

func TestWordsFromBelowAreTranslated(t *testing.T) {
	var keys []string
	add := func(prefix string, words ...string) {
		for _, w := range words {
			keys = append(keys, prefix+w)
		}
	}
	add("verdict.line.", string(rem.Passed), string(rem.Failed), string(rem.Indeterminate), string(rem.Unsigned))
	add("grade.", string(rem.GradeConfirmed), string(rem.GradeCode), string(rem.GradeSession), string(rem.GradeSigned))
	for _, e := range []rem.Event{
		rem.SubmissionAcceptance, rem.SubmissionRejection, rem.SignatureRecheck, rem.NotificationForAcceptance, rem.NotificationForAcceptanceFailure,
		rem.ConsignmentAcceptance, rem.ContentHandover, rem.AcceptanceRejectionExpiry, rem.RecipientVerification,
	} {
		add("event.", string(e))
	}
	for _, s := range []store.State{store.StatePending, store.StateNotified, store.StateFailed, store.StateReceived, store.StateVerified, store.StateExpired} {
		add("state.", string(s))
	}
	add("kind.", "qualified", "unqualified", "foreign")
	add("status.", "passed", "failed", "indeterminate")
	add("sig.bound.", "address", "registered")
	for _, r := range []rem.Reason{
		rem.ReasonSignatureFailed, rem.ReasonCertificateTime, rem.ReasonSignerNotSender, rem.ReasonSignerUnbound, rem.ReasonNotCovered,
		rem.ReasonUntrusted, rem.ReasonNoSignedAttrs, rem.ReasonUnsupported, rem.ReasonNoCertificate, rem.ReasonNoContent, rem.ReasonFrom,
		rem.ReasonRevocationUnknown, rem.ReasonUnsigned, rem.ReasonEncrypted, rem.ReasonMalformed,
	} {
		add("why.", string(r))
	}
	for _, f := range failures() {
		add("error.", f.text, f.text+".text")
	}
	add("error.", "internal", "internal.text", "large", "large.text")
	for lang, c := range catalogues(t) {
		for _, key := range keys {
			if !c.Has(key) {
				t.Errorf("%s has no %s", lang, key)
			}
		}
	}
}

func TestTemplatesParse(t *testing.T) {
	all, err := parseTemplates()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 15 {
		t.Fatalf("only %d pages", len(all))
	}
	for name, tpl := range all {
		if tpl.Lookup("main") == nil || tpl.Lookup("layout") == nil {
			t.Errorf("%s has no main or no layout", name)
		}
	}
}

// The pages run under a policy that allows neither inline style nor script.
func TestTemplatesHaveNoInlineStyleOrScript(t *testing.T) {
	bad := regexp.MustCompile(`(?i)<script|<style|\sstyle=|\son[a-z]+=|javascript:|https?://|<iframe|\starget=`)
	for name, text := range sources(t) {
		if strings.HasSuffix(name, ".html") {
			if m := bad.FindString(text); m != "" {
				t.Errorf("%s holds %q", name, m)
			}
		}
	}
}
