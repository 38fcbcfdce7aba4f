package e2e

import (
	"fmt"
	"sync"
	"testing"
)

// TestManySessions has several clients change one folder at the same time: they
// append, flag, move and expunge what they find. In the end all see the same,
// and so does somebody who comes anew.
func TestManySessions(t *testing.T) {
	d := running(t)
	m := d.mailbox(d.newParty(t, "sessions"))
	m.login(t).ok("CREATE Aside")
	const clients, rounds = 4, 25
	all := make([]*wire, clients)
	for i := range all {
		all[i] = m.open(t, "Drafts")
	}
	var group sync.WaitGroup
	for i, w := range all {
		group.Go(func() {
			for n := range rounds {
				w.tries(fmt.Sprintf("Subject: %d of %d\r\n\r\nbody\r\n", n, i))
			}
		})
	}
	group.Wait()
	want := fmt.Sprint(m.open(t, "Drafts").flags())
	for i, w := range all {
		w.ok("NOOP")
		if got := fmt.Sprint(w.flags()); got != want {
			t.Errorf("client %d sees %s, the folder holds %s", i, got, want)
		}
	}
	if left, aside := len(m.open(t, "Drafts").flags()), len(m.open(t, "Aside").flags()); left != 0 || aside != clients*rounds {
		t.Errorf("%d letters are left and %d aside, want none and %d", left, aside, clients*rounds)
	}
	d.fsck(t)
}

// tries appends two letters, moves the first aside and expunges the second;
// others do the same meanwhile.
func (w *wire) tries(message string) {
	first, second := w.stored("Drafts", []byte(message)), w.stored("Drafts", []byte(message))
	for _, command := range []string{
		`UID STORE 1:* +FLAGS (\Flagged)`, fmt.Sprintf(`UID STORE %d +FLAGS (\Deleted)`, second), fmt.Sprintf("UID MOVE %d Aside", first),
		fmt.Sprintf("UID EXPUNGE %d", second), "UID FETCH 1:* (FLAGS RFC822.SIZE BODY.PEEK[TEXT])", "UID SEARCH RETURN (COUNT MIN MAX) ALL", `UID STORE 1:* -FLAGS (\Flagged)`,
	} {
		if a := w.command(command); a.status == "BAD" {
			w.t.Errorf("%s: %s %s", command, a.status, a.text)
		}
	}
}
