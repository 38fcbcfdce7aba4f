package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// ownQuota is plenty.
var ownQuota = Quota{Octets: 1 << 30, Messages: 1_000_000, Mailboxes: 500}

// office is an installation with two people and their mail.
type office struct {
	*place
	db         *DB
	alice, bob User
}

func newOffice(t testing.TB, p *place) *office {
	t.Helper()
	o := &office{place: p, db: p.open(t)}
	o.alice, o.bob = addUser(t, o.db, "alice@example.test"), addUser(t, o.db, "bob@example.test")
	must(t, o.db.EnsureMailboxes(ctx, o.alice.ID))
	return o
}

func (o *office) box(t testing.TB, u User, name string) *Mailbox {
	t.Helper()
	return got[*Mailbox](t)(o.db.MailboxByName(ctx, u.ID, name))
}

// send submits a letter of alice's with its Sent copy.
func (o *office) send(t testing.TB, to ...string) NewSubmission {
	t.Helper()
	o.clock.advance(time.Second)
	n := letter(o.alice, o.clock.now(), to...)
	n.Sent = o.sentMail(n)
	must(t, o.db.AddSubmission(ctx, n))
	return n
}

func (o *office) sentMail(n NewSubmission) *Mail {
	s := &n.Accepted.Submission
	head := []byte("Subject: x\r\n\r\n")
	return &Mail{Head: head, Blob: s.Letter.Ref, Offset: int64(len(head)), Length: s.Letter.Ref.Size - int64(len(head)), Size: s.Letter.Ref.Size,
		MessageID: s.Letter.MessageID, SignedSHA256: s.Finding.Documents[0].SignedSHA256, Outline: []byte("outline")}
}

// receive hands a consignment over to a user with his copy.
func (o *office) receive(t testing.TB, n NewSubmission, i int, u User) {
	t.Helper()
	c := n.Accepted.Consignments[i]
	h := handover(c, u, o.alice.Email, o.clock.now())
	h.Received = o.sentMail(n)
	h.Received.Head = []byte("Subject: yours\r\n\r\n")
	h.Received.Size = int64(len(h.Received.Head)) + h.Received.Length
	if first := got[bool](t)(o.db.AddHandover(ctx, h)); !first {
		t.Fatal("the first handover did not count")
	}
}

// put appends a mail of the user's own.
func (o *office) put(t testing.TB, box *Mailbox, flags ...string) Appended {
	t.Helper()
	return got[Appended](t)(o.db.AddMail(ctx, ownMail(box, flags...), ownQuota))
}

func ownMail(box *Mailbox, flags ...string) NewMessage {
	id := newID()
	return NewMessage{Mailbox: box.ID, Flags: flags, Mail: Mail{
		ID: id, Head: []byte("Subject: draft\r\n\r\n"), Blob: rem.Ref{SHA256: rem.DigestOf([]byte(id)), Size: 118}, Offset: 18, Length: 100, Size: 118,
	}}
}

// show is what a mailbox holds, as "uid[flags]" in order.
func (o *office) show(t testing.TB, box *Mailbox) string {
	t.Helper()
	var out []string
	for _, m := range got[[]Message](t)(o.db.Messages(ctx, MessageQuery{Mailbox: box.ID, Ranges: []UIDRange{everyUID}, Limit: 10_000})) {
		out = append(out, fmt.Sprintf("%d[%s]", m.UID, strings.Join(m.Flags, " ")))
	}
	return strings.Join(out, " ")
}

func (o *office) sound(t testing.TB) {
	t.Helper()
	if found := problems(t, o.db); len(found) > 0 {
		t.Errorf("problems:\n%s", strings.Join(found, "\n"))
	}
}

func want(t testing.TB, have, want string) {
	t.Helper()
	if have != want {
		t.Errorf("have %q, want %q", have, want)
	}
}

func TestEveryAccountHasItsFolders(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		o := newOffice(t, p)
		race(t, func(int) (bool, error) { return false, o.db.EnsureMailboxes(ctx, o.bob.ID) })
		for _, u := range []User{o.alice, o.bob} {
			var names []string
			validities := map[uint32]bool{}
			for _, m := range got[[]Mailbox](t)(o.db.Mailboxes(ctx, u.ID)) {
				names = append(names, m.Name+"="+string(m.Role))
				validities[m.UIDValidity] = true
				if !m.Subscribed || m.UIDNext != 1 {
					t.Errorf("%+v", m)
				}
			}
			want(t, strings.Join(names, " "), "Drafts=drafts INBOX=inbox Receipts=receipts Received=received Sent=sent Trash=trash")
			if len(validities) != 6 {
				t.Errorf("validities %v", validities)
			}
		}
		want(t, o.box(t, o.bob, "inBox").Name, "INBOX")
		if err := o.db.EnsureMailboxes(ctx, "nobody"); !errors.Is(err, ErrNotFound) {
			t.Errorf("account of nobody: %v", err)
		}
		o.sound(t)
	})
}

func TestCopiesAndKeywordsFollowTheExchange(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		o := newOffice(t, p)
		n := o.send(t, "bob@example.test", "carol@example.test")
		sent := o.box(t, o.alice, "Sent")
		want(t, o.show(t, sent), `1[\Seen]`)
		step := func(i int, event rem.Event, set func(*Outcome, string), state string) {
			t.Helper()
			c := n.Accepted.Consignments[i]
			must(t, o.db.AddJobs(ctx, []Job{{ID: string(event) + c.ID, Kind: string(event), Subject: c.ID}}))
			j := got[*Job](t)(o.db.Claim(ctx, []string{string(event)}, "", "test", time.Minute))
			out := Outcome{Evidence: []rem.Evidence{attest(event, c, o.alice.Email, 0, o.clock.now())}}
			set(&out, c.ID)
			must(t, o.db.Finish(ctx, j, out))
			want(t, o.show(t, sent), "1["+state+"]")
		}
		notified := func(out *Outcome, id string) { out.Notified = id }
		step(0, rem.NotificationForAcceptance, notified, `\Seen`)
		step(1, rem.NotificationForAcceptanceFailure, func(out *Outcome, id string) { out.FailedNotice = id }, `\Seen $Failed`)
		step(1, rem.NotificationForAcceptance, notified, `\Seen $Notified`)
		must(t, o.db.SetFlags(ctx, FlagChange{sent.ID, []UIDRange{everyUID}, FlagsSet, []string{"$verified", `\flagged`}}))
		want(t, o.show(t, sent), `1[\Flagged $Notified]`)

		received := func() string { return o.show(t, o.box(t, o.bob, "Received")) }
		o.receive(t, n, 0, o.bob)
		want(t, received(), "1[]")
		want(t, o.show(t, sent), `1[\Flagged $Notified]`)
		step(1, rem.AcceptanceRejectionExpiry, func(out *Outcome, id string) { out.Expired = id }, `\Flagged $Failed $Notified`)
		m := got[[]Message](t)(o.db.Messages(ctx, MessageQuery{Mailbox: o.box(t, o.bob, "Received").ID, Ranges: []UIDRange{{1, 1}}, Want: WantMail | WantHead | WantOutline, Limit: 1}))
		if len(m) != 1 || m[0].ID != n.Accepted.Consignments[0].ID || m[0].Account != o.bob.ID || m[0].Home != RoleReceived ||
			string(m[0].Head) != "Subject: yours\r\n\r\n" || m[0].Submission != n.Accepted.Submission.ID || string(m[0].Outline) != "outline" {
			t.Errorf("%+v", m)
		}

		single := o.send(t, "bob@example.test")
		o.receive(t, single, 0, o.bob)
		want(t, o.show(t, sent), `1[\Flagged $Failed $Notified] 2[\Seen $Notified $Received]`)
		o.sound(t)
	})
}

func TestDeliveryHappensOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		o := newOffice(t, p)
		d := Delivery{Account: o.bob.ID, Role: RoleReceipts, Mail: Mail{ID: "receipt-1", Head: []byte("a"), Size: 1}, Flags: []string{`\flagged`}}
		for i := range 3 {
			must(t, o.db.AddJobs(ctx, []Job{{ID: fmt.Sprint(i), Kind: "k"}}))
			j := got[*Job](t)(o.db.Claim(ctx, []string{"k"}, "", "test", time.Minute))
			must(t, o.db.Finish(ctx, j, Outcome{Mails: []Delivery{d}}))
		}
		want(t, o.show(t, o.box(t, o.bob, "Receipts")), `1[\Flagged]`)
		o.sound(t)
	})
}

func TestOwnMail(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		o := newOffice(t, p)
		drafts, sent := o.box(t, o.alice, "Drafts"), o.box(t, o.alice, "Sent")
		o.put(t, drafts, `\draft`, "Later", "later")
		o.put(t, drafts)
		want(t, o.show(t, drafts), `1[\Draft Later] 2[]`)
		if s := got[MailboxStatus](t)(o.db.MailboxStatus(ctx, drafts.ID)); s != (MailboxStatus{2, 2, 0, 236, 3, drafts.UIDValidity}) {
			t.Errorf("status %+v", s)
		}
		if _, err := o.db.AddMail(ctx, ownMail(sent), ownQuota); !errors.Is(err, ErrKept) {
			t.Errorf("own mail in Sent: %v", err)
		}
		if _, err := o.db.AddMail(ctx, ownMail(drafts), Quota{Octets: 353, Messages: 9}); !errors.Is(err, ErrQuota) {
			t.Errorf("too many octets: %v", err)
		}
		if _, err := o.db.AddMail(ctx, ownMail(drafts), Quota{Octets: 354, Messages: 2}); !errors.Is(err, ErrQuota) {
			t.Errorf("too many messages: %v", err)
		}
		if _, err := o.db.AddMail(ctx, ownMail(drafts, `\Nonsense`), ownQuota); !errors.Is(err, ErrFlag) {
			t.Errorf("unknown flag: %v", err)
		}
		must(t, o.db.CreateMailbox(ctx, o.alice.ID, "Work/2026", ownQuota))
		work := o.box(t, o.alice, "Work/2026")
		c := got[Copied](t)(o.db.CopyMessages(ctx, CopyRequest{From: drafts.ID, To: work.ID, UIDs: []UIDRange{{1, 9}}}, ownQuota))
		if c.UIDValidity != work.UIDValidity || !slices.Equal(c.Source, []uint32{1, 2}) || !slices.Equal(c.Dest, []uint32{1, 2}) {
			t.Errorf("%+v", c)
		}
		must(t, o.db.SetFlags(ctx, FlagChange{drafts.ID, []UIDRange{{2, 2}}, FlagsAdd, []string{`\Deleted`}}))
		if gone := got[[]uint32](t)(o.db.Expunge(ctx, drafts.ID, []UIDRange{{1, 1}})); gone != nil {
			t.Errorf("expunged %v, not flagged", gone)
		}
		if gone := got[[]uint32](t)(o.db.Expunge(ctx, drafts.ID, nil)); !slices.Equal(gone, []uint32{2}) {
			t.Errorf("expunged %v", gone)
		}
		c = got[Copied](t)(o.db.CopyMessages(ctx, CopyRequest{work.ID, drafts.ID, []UIDRange{{2, 2}}, true}, ownQuota))
		if !slices.Equal(c.Dest, []uint32{3}) {
			t.Errorf("moved to %v", c.Dest)
		}
		want(t, o.show(t, drafts), `1[\Draft Later] 3[]`)
		want(t, o.show(t, work), `1[\Draft Later]`)
		o.sound(t)
		if n := o.count(t, "SELECT COUNT(*) FROM mails"); n != 2 {
			t.Errorf("%d mails, want 2", n)
		}
		must(t, o.db.SetFlags(ctx, FlagChange{drafts.ID, []UIDRange{{1, 9}}, FlagsAdd, []string{`\Deleted`}}))
		got[[]uint32](t)(o.db.Expunge(ctx, drafts.ID, nil))
		must(t, o.db.DeleteMailbox(ctx, o.alice.ID, "Work/2026"))
		if n := o.count(t, "SELECT COUNT(*) FROM mails"); n != 0 {
			t.Errorf("%d mails are left", n)
		}
		o.sound(t)
	})
}

func (o *office) count(t testing.TB, text string) (n int) {
	t.Helper()
	must(t, o.raw(t).QueryRow(text).Scan(&n))
	return n
}

func TestKeptMailComesBack(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		o := newOffice(t, p)
		n := o.send(t, "bob@example.test")
		o.send(t, "bob@example.test")
		sent, trash, received := o.box(t, o.alice, "Sent"), o.box(t, o.alice, "Trash"), o.box(t, o.alice, "Received")
		move := func(from, to *Mailbox, uid uint32) (Copied, error) {
			return o.db.CopyMessages(ctx, CopyRequest{from.ID, to.ID, []UIDRange{{uid, uid}}, true}, ownQuota)
		}
		got[Copied](t)(move(sent, trash, 1))
		if _, err := move(trash, received, 1); !errors.Is(err, ErrKept) {
			t.Errorf("a sent letter went into Received: %v", err)
		}
		draft := o.put(t, trash)
		if _, err := move(trash, sent, draft.UID); !errors.Is(err, ErrKept) {
			t.Errorf("a draft went into Sent: %v", err)
		}
		o.receive(t, n, 0, o.bob)
		want(t, o.show(t, trash), `1[\Seen $Notified $Received] 2[]`)
		got[Copied](t)(move(trash, sent, 1))
		want(t, o.show(t, sent), `2[\Seen] 3[\Seen $Notified $Received]`)

		// A copy onto itself is the message that is there.
		c := got[Copied](t)(o.db.CopyMessages(ctx, CopyRequest{From: sent.ID, To: sent.ID, UIDs: []UIDRange{{1, 9}}}, ownQuota))
		if !slices.Equal(c.Dest, []uint32{2, 3}) {
			t.Errorf("copied to %v", c.Dest)
		}

		// Expunged, it is only hidden; a client that files it again gets it back.
		must(t, o.db.SetFlags(ctx, FlagChange{sent.ID, []UIDRange{{3, 3}}, FlagsAdd, []string{`\Deleted`}}))
		got[[]uint32](t)(o.db.Expunge(ctx, sent.ID, nil))
		s := n.Accepted.Submission
		copies := got[[]SentCopy](t)(o.db.SentCopies(ctx, o.alice.ID, s.Letter.MessageID))
		if len(copies) != 1 || copies[0].ID != s.ID || copies[0].SignedSHA256 != s.Finding.Documents[0].SignedSHA256 {
			t.Fatalf("%+v", copies)
		}
		for range 2 {
			if at := got[Appended](t)(o.db.AddBack(ctx, o.alice.ID, s.ID)); at != (Appended{sent.UIDValidity, 4}) {
				t.Errorf("%+v", at)
			}
		}
		want(t, o.show(t, sent), `2[\Seen] 4[\Seen $Notified $Received]`)
		if _, err := o.db.AddBack(ctx, o.bob.ID, s.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("another's letter: %v", err)
		}
		o.sound(t)
	})
}

func TestFolders(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		o := newOffice(t, p)
		id := o.alice.ID
		create := func(name string) error { return o.db.CreateMailbox(ctx, id, name, ownQuota) }
		rename := func(from, to string) error { return o.db.RenameMailbox(ctx, id, Rename{from, to}, ownQuota) }
		steps := []struct {
			name string
			err  error
			want error
		}{
			{"create", create("a/b/c"), nil},
			{"again", create("a/b"), ErrExists},
			{"a folder of every account", create("Sent"), ErrExists},
			{"rename", rename("a", "x/y"), nil},
			{"rename to what is there", rename("x/y/b", "x"), ErrExists},
			{"into itself", rename("x", "x/z"), ErrExists},
			{"rename Sent", rename("Sent", "s"), ErrKept},
			{"rename nothing", rename("a", "q"), ErrNotFound},
			{"delete Trash", o.db.DeleteMailbox(ctx, id, "Trash"), ErrKept},
			{"delete nothing", o.db.DeleteMailbox(ctx, id, "a/b/c"), ErrNotFound},
			{"delete", o.db.DeleteMailbox(ctx, id, "x/y/b"), nil},
			{"unsubscribe", o.db.SetSubscribed(ctx, id, "x", false), nil},
			{"unsubscribe nothing", o.db.SetSubscribed(ctx, id, "xx", false), ErrNotFound},
			{"too many", o.db.CreateMailbox(ctx, id, "m/n", Quota{Mailboxes: 10}), ErrQuota},
			{"enough", o.db.CreateMailbox(ctx, id, "m/n", Quota{Mailboxes: 11}), nil},
		}
		for _, s := range steps {
			if !errors.Is(s.err, s.want) {
				t.Errorf("%s: %v, want %v", s.name, s.err, s.want)
			}
		}
		var names []string
		for _, m := range got[[]Mailbox](t)(o.db.Mailboxes(ctx, id)) {
			if m.Role == "" {
				names = append(names, fmt.Sprintf("%s %v", m.Name, m.Subscribed))
			}
		}
		want(t, strings.Join(names, " "), "m true m/n true x false x/y true x/y/b/c true")
		before := o.box(t, o.alice, "m").UIDValidity
		must(t, o.db.DeleteMailbox(ctx, id, "m"))
		must(t, create("m"))
		if after := o.box(t, o.alice, "m").UIDValidity; after <= before {
			t.Errorf("validity %d after %d", after, before)
		}
		o.sound(t)
	})
}

func TestChanges(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		o := newOffice(t, p)
		drafts := o.box(t, o.alice, "Drafts")
		for range 4 {
			o.put(t, drafts)
		}
		uids, since, err := o.db.MessageUIDs(ctx, drafts.ID)
		if must(t, err); !slices.Equal(uids, []uint32{1, 2, 3, 4}) {
			t.Fatalf("%v", uids)
		}
		changes := func(since int64) string {
			t.Helper()
			c := got[Changes](t)(o.db.MailboxChanges(ctx, drafts.ID, since))
			return fmt.Sprint(c.Added, c.Changed, c.Gone, c.Stale)
		}
		want(t, changes(since), "[] [] [] false")
		add := func(flag string, uids ...UIDRange) {
			must(t, o.db.SetFlags(ctx, FlagChange{drafts.ID, uids, FlagsAdd, []string{flag}}))
		}
		add(`\Seen`, UIDRange{2, 2})
		add(`\Seen`, UIDRange{2, 2}) // changes nothing
		o.put(t, drafts)
		o.put(t, drafts)
		add(`\Deleted`, UIDRange{3, 3}, UIDRange{6, 6})
		got[[]uint32](t)(o.db.Expunge(ctx, drafts.ID, nil))
		add(`\Flagged`, UIDRange{5, 5})
		want(t, changes(since), "[5] [2] [3] false")
		want(t, changes(0), "[1 2 4 5] [] [] false")

		p.clock.advance(time.Hour)
		must(t, o.db.PruneTombstones(ctx, p.clock.now()))
		want(t, changes(since), "[5] [2] [] true")
		c := got[Changes](t)(o.db.MailboxChanges(ctx, drafts.ID, since))
		want(t, changes(c.ModSeq), "[] [] [] false")
		if n := o.count(t, "SELECT COUNT(*) FROM tombstones"); n != 0 {
			t.Errorf("%d tombstones are left", n)
		}
		if _, err := o.db.MailboxChanges(ctx, "nothing", 0); !errors.Is(err, ErrNotFound) {
			t.Errorf("changes of nothing: %v", err)
		}
		if _, _, err := o.db.MessageUIDs(ctx, "nothing"); !errors.Is(err, ErrNotFound) {
			t.Errorf("messages of nothing: %v", err)
		}
		o.sound(t)
	})
}

func TestMessagesByPages(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		o := newOffice(t, p)
		drafts := o.box(t, o.alice, "Drafts")
		for range 12 {
			o.put(t, drafts)
		}
		for _, c := range []struct {
			ranges []UIDRange
			limit  int
			want   string
		}{
			{[]UIDRange{{1, 5}}, 3, "[1 2 3]"},
			{[]UIDRange{{4, 5}}, 3, "[4 5]"},
			{[]UIDRange{{9, 1<<32 - 1}}, 9, "[9 10 11 12]"},
			{[]UIDRange{{7, 7}, {1, 2}, {2, 3}, {0, 0}, {9, 8}}, 9, "[1 2 3 7]"},
			{[]UIDRange{{1, 1}, {3, 3}, {5, 5}, {7, 9}}, 4, "[1 3 5 7]"},
			{[]UIDRange{{1, 1}, {3, 1 << 31}, {1<<31 + 2, 1<<32 - 1}}, 4, "[1 3 4 5]"},
			{nil, 4, "[]"},
			{[]UIDRange{{1, 4}}, 0, "[]"},
		} {
			uids := []uint32{}
			for _, m := range got[[]Message](t)(o.db.Messages(ctx, MessageQuery{Mailbox: drafts.ID, Ranges: c.ranges, Want: WantHead, Limit: c.limit})) {
				uids = append(uids, m.UID)
				if len(m.Head) != 18 || m.Size != 118 || m.Account != "" || m.Internal.IsZero() {
					t.Errorf("%+v", m)
				}
			}
			want(t, fmt.Sprint(uids), c.want)
		}
		var odd []UIDRange
		for i := uint32(1); i < 200; i += 2 {
			odd = append(odd, UIDRange{i, i})
		}
		if n := len(got[[]Message](t)(o.db.Messages(ctx, MessageQuery{Mailbox: drafts.ID, Ranges: odd, Limit: 100}))); n != 6 {
			t.Errorf("%d of the odd", n)
		}
	})
}
