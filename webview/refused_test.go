package webview

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// refuse submits a letter that is not accepted and answers the refusal's id.
func (w *world) refuse(letter []byte) string {
	w.t.Helper()
	id := w.gw.NewID()
	_, err := w.gw.Receive(w.t.Context(), rem.Envelope{
		ID: id, Account: w.alice.user.ID, Login: w.alice.user.Email, Addresses: []string{w.alice.user.Email}, From: w.alice.user.Email,
		Recipients: []string{w.bob}, Peer: "192.0.2.1", Door: "submissions",
	}, bytes.NewReader(letter))
	var refusal *rem.Refusal
	if !errors.As(err, &refusal) {
		w.t.Fatalf("%v", err)
	}
	return id
}

func TestRefusedLetters(t *testing.T) {
	w := newWorld(t)
	alice, carol := w.as(w.alice.user), w.as(w.carol.user)
	alice.get("/refused").want(http.StatusOK, "No refused letters")
	good := w.letter(w.alice, "Contract", attachment{`filename="contract.pdf"`, contract})
	damaged := w.refuse(bytes.Replace(good, []byte("JVBERi0x"), []byte("JVBERi0y"), 1)) // base64 of %PDF-1
	w.pass(time.Minute)
	unsigned := w.refuse([]byte("From: alice@demo.test\r\nTo: bob@out.test\r\nSubject: <script>\r\n\r\nHello\r\n"))

	list := alice.get("/refused").want(http.StatusOK, "went to nobody", "The letter is not signed.", "/refused/"+unsigned, "/refused/"+damaged)
	if strings.Index(list.body, unsigned) > strings.Index(list.body, damaged) {
		t.Error("the newest is not the first")
	}
	alice.get("/sent").want(http.StatusOK, `href="/refused"`)
	page := alice.get("/refused/"+unsigned).want(http.StatusOK, "The letter is not signed.", "Turn on S/MIME signing", unsigned, "There are no signatures")
	if strings.Contains(page.body, "<script>") {
		t.Error("outside text is markup")
	}
	alice.get("/refused/"+damaged).want(http.StatusOK, "does not match the document", "Alice", "failed")

	// Another's is like none.
	absent := rem.IDText([16]byte{1, 2, 3})
	x, y := carol.get("/refused/"+unsigned).want(http.StatusNotFound), carol.get("/refused/"+absent).want(http.StatusNotFound)
	if strings.ReplaceAll(tokenOf(x.body), unsigned, "ID") != strings.ReplaceAll(tokenOf(y.body), absent, "ID") {
		t.Error("another's refusal is answered differently")
	}
	carol.get("/refused").want(http.StatusOK, "No refused letters")
	w.browser().get("/refused").wantRedirect("/login?next=/refused")
	w.browser().get("/refused/" + unsigned).wantRedirect("/login?next=/refused/" + unsigned)
	alice.get("/refused/x").want(http.StatusNotFound)
}

func TestRefusedPages(t *testing.T) {
	w := newWorld(t)
	var ids []string
	for i := range perPage + 2 {
		w.pass(time.Second)
		r := store.Refusal{ID: w.gw.NewID(), Account: w.alice.user.ID, Sender: "alice@demo.test", Reason: "of-tomorrow", Text: fmt.Sprintf("Cause %d.\nNothing was sent.", i), Time: w.clock()}
		ev := rem.Attest(rem.SubmissionRejection, r.ID, 0, r.Time, rem.Record{Sender: r.Sender, Reason: r.Reason})
		w.check(w.db.AddRefusal(t.Context(), r, ev, nil))
		ids = append(ids, r.ID)
	}
	b := w.as(w.alice.user)
	first := b.get("/refused").want(http.StatusOK, ids[perPage+1], ids[2], "Cause 51. Nothing was sent.", "Older")
	if strings.Contains(first.body, ids[1]) {
		t.Error("more than a page")
	}
	_, rest, _ := strings.Cut(first.body, `href="/refused?before=`)
	next, _, _ := strings.Cut(rest, `"`)
	b.get("/refused?before="+next).want(http.StatusOK, ids[1], ids[0], "Newest")
}
