package gateway

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store"
)

// forgetMailboxes makes the database one that is older than mailboxes.
func (w *world) forgetMailboxes() {
	w.t.Helper()
	var guard string
	w.must(w.sql().QueryRow("SELECT sql FROM sqlite_master WHERE name = 'guard_mails_delete_once'").Scan(&guard))
	for _, text := range []string{
		"DROP TRIGGER guard_mails_delete_once", "DELETE FROM outlines", "DELETE FROM messages", "DELETE FROM mails", "DELETE FROM tombstones",
		"DELETE FROM mailboxes", "DELETE FROM mail_accounts", guard,
	} {
		_, err := w.sql().Exec(text)
		w.must(err)
	}
}

// TestCopiesOfOlderLetters: an installation that had no mailboxes gets the
// copies of its letters once, whatever breaks off meanwhile, and as they would
// have been delivered.
func TestCopiesOfOlderLetters(t *testing.T) {
	w := newWorld(t)
	var letters []string
	var ids []string
	for range copiesAtOnce + 3 {
		w.clock.pass(time.Second)
		letters = append(letters, signed(t, w.anna.Party))
		ids = append(ids, w.send(letters[len(letters)-1], bob, w.carol.user.Email))
	}
	w.take(w.to(ids[0], w.carol.user.Email))
	guest := w.take(w.to(ids[0], bob))
	w.take(w.to(ids[1], w.carol.user.Email))
	want := map[string][]store.Message{}
	folders := map[string]*store.User{"Sent": w.anna.user, "Received": w.carol.user}
	for name, u := range folders {
		want[name] = w.messages(u, name)
	}
	w.forgetMailboxes()
	w.fsck()

	if more, err := w.copiesDue(t.Context()); err != nil || !more {
		t.Fatalf("due: %v, %v", more, err)
	}
	w.must(w.DB.AddJobs(t.Context(), []store.Job{copiesJob("", w.Now())}))
	run := w.runner()
	run.one(jobCopies) // the first of two
	w.fsck()           // half of it done is no fault
	w.must(w.copiesOf(t.Context(), ids[0]))
	w.send(signed(t, w.anna.Party), bob) // a letter comes between
	for run.one(jobCopies) != nil {
	}
	for name, u := range folders {
		have := w.messages(u, name)
		have = slices.DeleteFunc(have, func(m store.Message) bool { return name == "Sent" && !slices.Contains(ids, m.ID) })
		if len(have) != len(want[name]) {
			t.Fatalf("%s: %d letters, want %d", name, len(have), len(want[name]))
		}
		for i, m := range have {
			was := want[name][i]
			same := func(v store.Message) string {
				v.UID, v.ModSeq = 0, 0
				b, err := json.Marshal(v)
				w.must(err)
				return string(b)
			}
			if same(m) != same(was) {
				t.Errorf("%s %d: %s, not as it was", name, i, m.ID)
			}
		}
	}
	if w.octets(&want["Sent"][3].Mail) != letters[3] {
		t.Error("not the letter")
	}
	if n := len(w.messages(guest, "Received")); n != 1 {
		t.Errorf("a guest has %d letters", n)
	}
	if more, err := w.copiesDue(t.Context()); err != nil || more {
		t.Errorf("done, and due again: %v, %v", more, err)
	}
	w.fsck()
}

// TestCopiesPassOverDamage: one letter that was lost does not hide the others.
func TestCopiesPassOverDamage(t *testing.T) {
	w := newWorld(t)
	lost, kept := w.send(signed(t, w.anna.Party), bob), w.send(signed(t, w.anna.Party), bob)
	s, err := w.DB.Submission(t.Context(), lost)
	w.must(err)
	w.forgetMailboxes()
	w.must(w.Blobs.Delete(t.Context(), s.Letter.Ref))
	w.must(w.DB.AddJobs(t.Context(), []store.Job{copiesJob("", w.Now())}))
	run := w.runner()
	run.due(jobCopies, 2)
	if sent := w.messages(w.anna.user, "Sent"); len(sent) != 1 || sent[0].ID != kept {
		t.Errorf("%d letters", len(sent))
	}
	if !strings.Contains(w.log.String(), lost) {
		t.Error("the lost letter is not in the log")
	}
}

// TestRegistrationOfAnEarlierVersion: its queued job has the token of its link.
func TestRegistrationOfAnEarlierVersion(t *testing.T) {
	w := newWorld(t)
	token := strings.Repeat("t", 43)
	payload := `{"Address":"` + bob + `","Token":"` + token + `","Language":"en","Time":"2026-01-02T03:04:05Z"}`
	w.must(w.DB.AddJobs(t.Context(), []store.Job{{ID: "register-x", Kind: jobRegister, Subject: strings.Repeat("ab", 32), Payload: []byte(payload)}}))
	w.runner().due(jobRegister, 1)
	if !strings.Contains(w.mailTo(bob), "https://gate.test/register/"+token) {
		t.Errorf("another link:\n%s", w.mailTo(bob))
	}
}
