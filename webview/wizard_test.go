package webview

import (
	"bytes"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/document"
	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestWizardSignsProtocol(t *testing.T) {
	s := newScene(t)
	b, path := s.recipient, "/protocol/"+s.protocol
	b.get("/received/"+s.toCarol.ID+"/wizard").want(http.StatusOK, "Кэрол Петрова", `value="preview"`, "checked")
	b.get(path).want(http.StatusOK, "The signatures are valid", "openssl cms -sign -binary -in protocol.json", "Sign before")

	body := b.get(path + ".json").want(http.StatusOK)
	p, err := document.ParseProtocol([]byte(body.body))
	s.check(err)
	if p.ID != s.protocol || p.Recipient.Address != "carol@demo.test" || p.Finding.Verdict != rem.Passed {
		t.Errorf("protocol %+v", p)
	}
	stored, err := s.db.Protocol(t.Context(), s.protocol)
	s.check(err)
	if body.body != string(stored.Body) || b.get(path+".html").body != string(stored.HTML) || b.get(path+"/view").body != string(stored.HTML) {
		t.Error("what is saved is not what is stored")
	}

	signature := s.sign(s.carol, []byte(body.body))
	b.upload(path+"/sign", nil, signature).wantRedirect(path)
	b.get(path).want(http.StatusOK, "The protocol is signed", ".p7s")
	if got := b.get(path + ".p7s").want(http.StatusOK).body; got != string(signature) {
		t.Error("the signature saved is not the one uploaded")
	}
	if got := s.events(s.toCarol.ID); !slices.Contains(got, string(rem.RecipientVerification)) {
		t.Errorf("recorded %v", got)
	}
	b.upload(path+"/sign", nil, signature).want(http.StatusConflict, "Already used")
	b.get("/received/"+s.toCarol.ID).want(http.StatusOK, "signed 2", "Recipient signed the protocol")
	s.sender.get("/sent/"+s.submission).want(http.StatusOK, "checked and signed")
	s.sender.get("/report/"+s.submission).want(http.StatusOK, s.protocol, "CN=Кэрол Петрова")
}

func TestRefusedSignatureShowsEachCheck(t *testing.T) {
	s := newScene(t)
	path := "/protocol/" + s.protocol
	body := []byte(s.recipient.get(path + ".json").body)
	stranger := s.certificate("carol@demo.test", "Another Key")
	for name, c := range map[string]struct {
		file   []byte
		status int
		texts  []string
	}{
		"changed bytes":       {s.sign(s.carol, append(bytes.Clone(body), ' ')), 422, []string{"does not match this file", "The content is unchanged since signing", "failed", "Checks that passed"}},
		"another certificate": {s.sign(stranger, body), 422, []string{"another certificate than the one chosen"}},
		"no signature":        {[]byte("hello"), 422, []string{"The signature was not accepted"}},
		"no file":             {nil, 422, []string{"Choose the signature file.", `aria-describedby="signature-error signature-hint"`}},
		"empty":               {[]byte{}, 422, []string{"Choose the signature file."}},
		"too large":           {make([]byte, maxSignature+1), 413, []string{"larger than 1 MB"}},
	} {
		a := s.recipient.upload(path+"/sign", nil, c.file)
		if a.StatusCode != c.status {
			t.Errorf("%s: %d, want %d: %s", name, a.StatusCode, c.status, brief(a.body))
		}
		for _, text := range c.texts {
			if !strings.Contains(a.body, text) {
				t.Errorf("%s: no %q in %s", name, text, brief(a.body))
			}
		}
	}
	// What failed is seen at once, what passed can be unfolded.
	page := s.recipient.upload(path+"/sign", nil, s.sign(s.carol, append(bytes.Clone(body), ' '))).body
	failed, folded := strings.Index(page, "The content is unchanged since signing"), strings.Index(page, "<details")
	passed := strings.Index(page, "The key may be used for signing")
	if failed < 0 || failed > folded || passed < folded {
		t.Errorf("failed check at %d, first fold at %d, passed check at %d", failed, folded, passed)
	}
	if strings.Contains(page, "<details open") {
		t.Error("passed checks are unfolded")
	}
	if own, first := strings.Count(page, `id="uploaded-1"`), strings.Count(page, `id="signature-1"`); own != 1 || first != 1 {
		t.Errorf("the page has %d uploaded-1 and %d signature-1", own, first)
	}
	if got := s.events(s.toCarol.ID); slices.Contains(got, string(rem.RecipientVerification)) {
		t.Errorf("a refused signature was recorded: %v", got)
	}
	s.recipient.do("POST", path+"/sign", strings.NewReader("x=y"), "application/x-www-form-urlencoded").want(http.StatusBadRequest)
	s.recipient.do("POST", path+"/sign", strings.NewReader("rubbish"), "multipart/form-data; boundary=b").want(http.StatusBadRequest)
}

// Far more than the limit is cut off while it is read.
func TestEndlessUploadIsCutOff(t *testing.T) {
	s := newScene(t)
	a := s.recipient.upload("/protocol/"+s.protocol+"/sign", nil, make([]byte, 4<<20))
	a.want(http.StatusRequestEntityTooLarge, "larger than 1 MB")
	s.recipient.upload("/certificates", map[string]string{"challenge": "x"}, make([]byte, 4<<20)).want(http.StatusRequestEntityTooLarge)
	s.nobody.post("/login", url.Values{"address": {strings.Repeat("a", maxForm)}}).want(http.StatusRequestEntityTooLarge, "Too much data")
}

// Checks of real findings have names in both languages.
func TestChecksAreShownInWords(t *testing.T) {
	s := newScene(t)
	sub, err := s.db.Submission(t.Context(), s.submission)
	s.check(err)
	seen := 0
	for _, sig := range sub.Finding.Signatures {
		for _, c := range sig.Checks {
			seen++
			for lang, words := range catalogues(t) {
				if !words.Has("checkname." + c.Name) {
					t.Errorf("%s: check %s has no name", lang, c.Name)
				}
			}
		}
	}
	if seen < 10 {
		t.Fatalf("only %d checks", seen)
	}
}

func TestPreviewIsNotRecorded(t *testing.T) {
	s := newScene(t)
	path := "/received/" + s.toBob.ID + "/wizard"
	before := s.events(s.toBob.ID)
	a := s.guest.post(path, url.Values{"certificate": {"preview"}}).want(http.StatusOK, "Preview", "not recorded and not stored", "The signatures are valid")
	if strings.Contains(a.body, "/sign") && strings.Contains(a.body, `type="file"`) {
		t.Error("a preview offers to be signed")
	}
	if after := s.events(s.toBob.ID); !slices.Equal(before, after) {
		t.Errorf("a preview recorded %v", after)
	}
	s.guest.get(path).want(http.StatusOK, "Preview only", "You can see the result without one")
	s.guest.post(path, url.Values{}).want(http.StatusUnprocessableEntity, "Choose one of the options")
	// A guest cannot borrow a certificate, nor can an account one that is not its own.
	sha := rem.DigestOf(s.carol.cert.Raw).String()
	s.guest.post(path, url.Values{"certificate": {sha}}).want(http.StatusUnprocessableEntity, "no longer among yours")
	other := rem.DigestOf(s.alice.cert.Raw).String()
	for _, bad := range []string{other, "zz", strings.ToUpper(sha)} {
		s.recipient.post("/received/"+s.toCarol.ID+"/wizard", url.Values{"certificate": {bad}}).want(http.StatusUnprocessableEntity, "no longer among yours")
	}
}

func TestProtocolExpires(t *testing.T) {
	s := newScene(t)
	path := "/protocol/" + s.protocol
	body := []byte(s.recipient.get(path + ".json").body)
	signature := s.sign(s.carol, body)
	s.pass(25 * time.Hour)
	s.recipient = s.as(s.carol.user) // the session is over too
	s.recipient.upload(path+"/sign", nil, signature).want(http.StatusGone)
	a := s.recipient.get(path).want(http.StatusOK, "The protocol has expired")
	if strings.Contains(a.body, `type="file"`) {
		t.Error("an expired protocol asks for a signature")
	}
	s.recipient.get("/received/"+s.toCarol.ID).want(http.StatusOK, "not signed, expired")
}

var challengePath = regexp.MustCompile(`^/certificates/challenge/([A-Za-z0-9_-]{43})$`)

func TestCertificateIsRegisteredBySigningTheChallenge(t *testing.T) {
	w := newWorld(t)
	b := w.as(w.carol.user)
	b.get("/certificates").want(http.StatusOK, "No certificates yet")
	challenge := func(b *browser) (token string, text []byte) {
		a := b.post("/certificates/challenge", nil).want(http.StatusSeeOther)
		m := challengePath.FindStringSubmatch(a.Header.Get("Location"))
		if m == nil {
			t.Fatalf("sent to %s", a.Header.Get("Location"))
		}
		b.get(m[0]).want(http.StatusOK, "openssl cms -sign -binary -in challenge.txt", `value="`+m[1]+`"`)
		return m[1], []byte(b.get(m[0]+"/challenge.txt").want(http.StatusOK, "carol@demo.test").body)
	}
	token, text := challenge(b)
	w.as(w.alice.user).get("/certificates/challenge/" + token).want(http.StatusGone)

	b.upload("/certificates", map[string]string{"challenge": token}, w.sign(w.carol, []byte("something else"))).
		want(http.StatusUnprocessableEntity, "does not prove that you hold the key", "failed", token)
	b.upload("/certificates", map[string]string{"challenge": token}, nil).want(http.StatusUnprocessableEntity, "Choose the signature file.")
	b.upload("/certificates", map[string]string{"challenge": "unknown"}, w.sign(w.carol, text)).want(http.StatusGone)
	b.upload("/certificates", map[string]string{"challenge": token}, w.sign(w.carol, text)).wantRedirect("/certificates?done=added")
	b.get("/certificates?done=added").want(http.StatusOK, "The certificate has been added.", "CN=Кэрол Петрова", "Test Issuing CA")
	b.upload("/certificates", map[string]string{"challenge": token}, w.sign(w.carol, text)).want(http.StatusGone)

	sha := rem.DigestOf(w.carol.cert.Raw).String()
	stranger := w.as(w.alice.user)
	stranger.post("/certificates/"+sha+"/remove", nil).want(http.StatusNotFound)
	for _, bad := range []string{"x", strings.Repeat("0", 64), strings.Repeat("f", 64)} {
		b.post("/certificates/"+bad+"/remove", nil).want(http.StatusNotFound)
	}
	b.post("/certificates/"+sha+"/remove", nil).wantRedirect("/certificates?done=removed")
	b.get("/certificates?done=removed").want(http.StatusOK, "has been removed", "No certificates yet")
}
