package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

var everything = []store.UIDRange{{From: 1, To: 1<<32 - 1}}

// mailbox is one of a user's.
func (w *world) mailbox(u *store.User, name string) *store.Mailbox {
	w.t.Helper()
	w.must(w.EnsureMailboxes(w.t.Context(), u.ID))
	m, err := w.DB.MailboxByName(w.t.Context(), u.ID, name)
	w.must(err)
	return m
}

// messages are those of a mailbox, whole.
func (w *world) messages(u *store.User, name string) []store.Message {
	w.t.Helper()
	out, err := w.DB.Messages(w.t.Context(), store.MessageQuery{
		Mailbox: w.mailbox(u, name).ID, Ranges: everything, Want: store.WantMail | store.WantHead | store.WantOutline, Limit: 1000,
	})
	w.must(err)
	return out
}

// octets are those of a mail.
func (w *world) octets(m *store.Mail) string {
	w.t.Helper()
	r, err := w.OpenMail(w.t.Context(), m)
	w.must(err)
	defer r.Close()
	w.must(iotest.TestReader(io.NewSectionReader(r, 0, r.Size()), w.read(r)))
	return string(w.read(r))
}

func (w *world) read(r MailReader) []byte {
	w.t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	w.must(err)
	return b
}

// outlined wants the stored outline to be that of the mail's octets.
func (w *world) outlined(m *store.Mail) {
	w.t.Helper()
	all := w.octets(m)
	o, err := message.OutlineOf(strings.NewReader(all), int64(len(all)))
	w.must(err)
	if !bytes.Equal(o.Encode(), m.Outline) {
		w.t.Errorf("mail %s: another outline", m.ID)
	}
}

func (w *world) append(u *store.User, mailbox, mail string, flags ...string) (store.Appended, error) {
	return w.Append(w.t.Context(), AppendRequest{User: u, Mailbox: mailbox, Flags: flags, Body: strings.NewReader(mail), Size: int64(len(mail))})
}

func TestSentAndReceivedCopies(t *testing.T) {
	w := newWorld(t)
	letter := signed(t, w.anna.Party)
	id := w.send(letter, bob, w.carol.user.Email)
	sent := w.messages(w.anna.user, "Sent")
	if len(sent) != 1 || sent[0].ID != id || sent[0].Submission != id || sent[0].Home != store.RoleSent || !slices.Equal(sent[0].Flags, []string{`\Seen`}) {
		t.Fatalf("%+v", sent)
	}
	if w.octets(&sent[0].Mail) != letter {
		t.Error("the Sent copy is not what was submitted")
	}
	w.outlined(&sent[0].Mail)
	s, err := w.DB.Submission(t.Context(), id)
	w.must(err)
	if want := s.Finding.SignedOctets(); len(want) != 1 || want[0] != sent[0].SignedSHA256 {
		t.Errorf("signed octets %v, the judge found %v", sent[0].SignedSHA256, want)
	}

	for _, to := range []string{bob, w.carol.user.Email} {
		c := w.to(id, to)
		user := w.take(c)
		received := w.messages(user, "Received")
		if len(received) != 1 || received[0].ID != c.ID || len(received[0].Flags) != 0 {
			t.Fatalf("%s: %+v", to, received)
		}
		m := &received[0].Mail
		if want := string(content(t)(w.OpenLetter(t.Context(), user, c.ID))); w.octets(m) != want {
			t.Errorf("%s: not the letter that is handed out", to)
		}
		w.outlined(m)
	}
	if flags := w.messages(w.anna.user, "Sent")[0].Flags; !slices.Equal(flags, []string{`\Seen`, "$Notified", "$Received"}) {
		t.Errorf("flags %v", flags)
	}
	w.fsck()
}

// A letter from before there were mailboxes is handed over all the same.
func TestReceivedCopyOfAnOldLetter(t *testing.T) {
	w := newWorld(t)
	id := w.send(signed(t, w.anna.Party), w.carol.user.Email)
	for _, text := range []string{
		"DROP TRIGGER guard_mails_delete_once", "DELETE FROM outlines", "DELETE FROM messages", "DELETE FROM mails", "UPDATE mailboxes SET messages = 0, size = 0",
	} {
		_, err := w.sql().Exec(text)
		w.must(err)
	}
	c := w.to(id, w.carol.user.Email)
	w.take(c)
	received := w.messages(w.carol.user, "Received")
	if len(received) != 1 {
		t.Fatalf("%d letters", len(received))
	}
	if w.octets(&received[0].Mail) != string(content(t)(w.OpenLetter(t.Context(), w.carol.user, c.ID))) {
		t.Error("not the letter that is handed out")
	}
	w.outlined(&received[0].Mail)
}

func TestAppendOwnMail(t *testing.T) {
	w := newWorld(t)
	anna := w.anna.user
	w.must(w.CreateMailbox(t.Context(), anna, "Работа/2026/"))
	for i, mail := range []string{
		"Subject: draft\r\n\r\nHello\r\n", "no header at all", "", "\r\n", "\x00\xff bare\nlines\r", "Only: a header\r\n\r\n",
		"A: " + strings.Repeat("long ", 100_000) + "\r\n\r\nbody", strings.Repeat("line\r\n", 10_000),
	} {
		box := []string{"Drafts", "Trash", "Работа/2026"}[i%3]
		before := len(w.messages(anna, box))
		at, err := w.append(anna, box, mail, `\draft`, "Work")
		if err != nil {
			t.Errorf("mail %d: %v", i, err)
			continue
		}
		now := w.messages(anna, box)
		m := now[len(now)-1]
		if len(now) != before+1 || m.UID != at.UID || at.UIDValidity != w.mailbox(anna, box).UIDValidity || m.Size != int64(len(mail)) ||
			!slices.Equal(m.Flags, []string{`\Draft`, "Work"}) || !m.Internal.Equal(w.Now().Truncate(time.Microsecond)) {
			t.Errorf("mail %d: %+v", i, m)
		}
		if w.octets(&m.Mail) != mail {
			t.Errorf("mail %d was changed", i)
		}
		m.Head = nil // read without it
		if w.octets(&m.Mail) != mail {
			t.Errorf("mail %d was changed", i)
		}
		w.outlined(&m.Mail)
	}
	w.wantSpool()
	w.fsck()
}

func TestAppendRefusals(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.OwnMail, c.Limits.OwnMessages, c.Limits.Letter = 1000, 3, 2000 })
	anna := w.anna.user
	mail := "Subject: x\r\n\r\nHello\r\n"
	w.must(w.EnsureMailboxes(t.Context(), anna.ID))
	rows := w.rows()
	ended := errors.New("the client died")
	for _, c := range []struct {
		name, mailbox string
		body          io.Reader
		size          int
		flags         []string
		want          error
	}{
		{"kept", "Received", nil, len(mail), nil, ErrKept},
		{"inbox", "iNbOx", nil, len(mail), nil, ErrKept},
		{"receipts", "Receipts", nil, len(mail), nil, ErrKept},
		{"never sent", "Sent", nil, len(mail), nil, ErrKept},
		{"junk to Sent", "Sent", strings.NewReader("x"), 1, nil, ErrKept},
		{"no mailbox", "Nowhere", nil, len(mail), nil, ErrNoMailbox},
		{"no name", "\xff", nil, len(mail), nil, ErrNoMailbox},
		{"short", "Drafts", nil, len(mail) + 1, nil, io.ErrUnexpectedEOF},
		{"long", "Drafts", nil, len(mail) - 1, nil, io.ErrUnexpectedEOF},
		{"died", "Drafts", io.MultiReader(strings.NewReader("Sub"), iotest.ErrReader(ended)), len(mail), nil, ended},
		{"flag", "Drafts", nil, len(mail), []string{`\Wrong`}, ErrFlag},
		{"quota", "Drafts", strings.NewReader(strings.Repeat("x", 1001)), 1001, nil, ErrOverQuota},
		{"too large", "Drafts", strings.NewReader(strings.Repeat("x", 2001)), 2001, nil, message.ErrTooLarge},
	} {
		if c.body == nil {
			c.body = strings.NewReader(mail)
		}
		_, err := w.Append(t.Context(), AppendRequest{User: anna, Mailbox: c.mailbox, Flags: c.flags, Body: c.body, Size: int64(c.size)})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if now := w.rows(); !equalCounts(now, rows) {
		t.Errorf("rows %v, before %v", now, rows)
	}
	w.wantSpool()
	for i := range 4 {
		if _, err := w.append(anna, "Drafts", mail); (err != nil) != (i == 3) || i == 3 && !errors.Is(err, ErrOverQuota) {
			t.Errorf("mail %d: %v", i, err)
		}
	}
	w.fsck()
}

// A client files the letter it has just sent: the copy is there already, with
// whatever header the client gives its own.
func TestSentIsNotDoubled(t *testing.T) {
	w := newWorld(t)
	anna := w.anna.user
	letter := signed(t, w.anna.Party)
	w.send(letter, bob)
	head, _, _ := strings.Cut(letter, "Content-Type:")
	again := head + signedWith(body(), sign(t, w.anna.Party, body())) // the same text, signed again
	filed := "X-Mozilla-Status: 0001\r\nBcc: dora@elsewhere.test\r\n" + letter
	uid := w.messages(anna, "Sent")[0].UID
	for name, mail := range map[string]string{"as sent": letter, "with other fields": filed, "signed again": again} {
		at, err := w.append(anna, "Sent", mail)
		if err != nil || at.UID != uid {
			t.Errorf("%s: %+v %v", name, at, err)
		}
	}
	for name, mail := range map[string]string{
		"another id":   strings.Replace(letter, "Message-ID: <", "Message-ID: <b", 1),
		"another text": strings.Replace(letter, "Please sign.", "Please Sign.", 1),
	} {
		if _, err := w.append(anna, "Sent", mail); !errors.Is(err, ErrKept) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.append(w.carol.user, "Sent", letter); err == nil {
		t.Error("another's letter")
	}
	if n := len(w.messages(anna, "Sent")); n != 1 {
		t.Errorf("%d letters in Sent", n)
	}

	// What he has thrown away comes back when he files it again.
	sent, trash := w.mailbox(anna, "Sent"), w.mailbox(anna, "Trash")
	_, err := w.CopyMessages(t.Context(), store.CopyRequest{From: sent.ID, To: trash.ID, UIDs: everything, Move: true})
	w.must(err)
	w.must(w.SetFlags(t.Context(), store.FlagChange{Mailbox: trash.ID, UIDs: everything, Op: store.FlagsAdd, Flags: []string{`\Deleted`}}))
	gone, err := w.Expunge(t.Context(), trash.ID, nil)
	if w.must(err); len(gone) != 1 {
		t.Errorf("expunged %v", gone)
	}
	at, err := w.append(anna, "Sent", letter)
	if err != nil || at.UID != uid+1 {
		t.Errorf("%+v %v", at, err)
	}
	w.fsck()
}

// An opaque letter, or one of signed files, is known by its body.
func TestSentIsNotDoubledWhateverItsShape(t *testing.T) {
	w := newWorld(t)
	for i, letter := range []string{
		opaque(t, w.anna.Party, body()),
		beside(sign(t, w.anna.Party, contract)),
	} {
		w.send(letter, bob)
		at, err := w.append(w.anna.user, "Sent", "X-Client: 1\r\n"+letter)
		if err != nil || at.UID != uint32(i+1) {
			t.Errorf("letter %d: %+v %v", i, at, err)
		}
	}
}

func TestMailboxNames(t *testing.T) {
	w := newWorld(t)
	anna := w.anna.user
	deep := strings.Repeat("a/", 9)
	for want, names := range map[error][]string{
		nil:            {"Work", "Work/a b", "е\u0308лка", deep + "b", "INBOX/x", "inbox/X", "Sent/2026", strings.Repeat("x", 255)},
		ErrMailboxName: {"", "/", "a//b", "/a", "a\x00", "a\r\nb", "a*", "%", "\xff", " a", deep + "b/c", strings.Repeat("x", 256), "\u2028", "\u0085"},
	} {
		for _, name := range names {
			if err := w.CreateMailbox(t.Context(), anna, name); !errors.Is(err, want) {
				t.Errorf("%q: %v, want %v", name, err, want)
			}
		}
	}
	for _, name := range []string{"ёлка", "inbox", "Trash", "Work", "Inbox/x"} {
		if err := w.CreateMailbox(t.Context(), anna, name); !errors.Is(err, ErrMailboxExists) {
			t.Errorf("%q: %v", name, err)
		}
	}
	rename := func(from, to string) error { return w.RenameMailbox(t.Context(), anna, from, to) }
	for what, err := range map[string]error{
		"into itself": rename("Work", "Work/b"), "bad name": rename("Work", "a*"),
	} {
		if !errors.Is(err, ErrMailboxName) {
			t.Errorf("%s: %v", what, err)
		}
	}
	w.must(rename("Work", "Job/"))
	w.must(w.Subscribe(t.Context(), anna, "Job/a b", false))
	w.must(w.DeleteMailbox(t.Context(), anna, "Job/a b"))
	for what, err := range map[string]error{
		"renamed": rename("Work", "W"), "deleted": w.DeleteMailbox(t.Context(), anna, "Job/a b"), "junk": w.DeleteMailbox(t.Context(), anna, "\xff"),
		"another's": w.DeleteMailbox(t.Context(), w.carol.user, "Job"), "gone": w.Subscribe(t.Context(), anna, "Work", true),
	} {
		if !errors.Is(err, ErrNoMailbox) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := rename("Trash", "Bin"); !errors.Is(err, ErrKept) {
		t.Errorf("Trash: %v", err)
	}
}

// The blob of a mail that its owner has removed is cleaned; those that are
// needed stay.
func TestCleanRemovesOwnMail(t *testing.T) {
	w := newWorld(t)
	anna := w.anna.user
	id := w.send(signed(t, w.anna.Party), bob)
	for i := range 2 {
		_, err := w.append(anna, "Drafts", fmt.Sprintf("Subject: %d\r\n\r\nHello\r\n", i))
		w.must(err)
	}
	drafts := w.messages(anna, "Drafts")
	s, err := w.DB.Submission(t.Context(), id)
	w.must(err)
	refs := []rem.Ref{s.Letter.Ref, drafts[0].Blob, drafts[1].Blob}
	for _, r := range refs {
		w.age(w.blobFile(r), 2*leftover)
	}
	box := w.mailbox(anna, "Drafts").ID
	w.must(w.SetFlags(t.Context(), store.FlagChange{Mailbox: box, UIDs: []store.UIDRange{{From: 1, To: 1}}, Op: store.FlagsSet, Flags: []string{`\Deleted`}}))
	_, err = w.Expunge(t.Context(), box, nil)
	w.must(err)
	w.must(w.cleanBlobs(t.Context(), w.Now().Add(-leftover)))
	for i, want := range []bool{true, false, true} {
		if w.has(refs[i]) != want {
			t.Errorf("blob %d is there: %v", i, !want)
		}
	}
	w.fsck()
}

// FuzzMailReader holds ReadAt against the plain octets.
func FuzzMailReader(f *testing.F) {
	f.Add("head", "body of the letter", int64(2), int64(5), int64(1), 7)
	f.Add("", "body", int64(0), int64(4), int64(0), 4)
	f.Add("head", "", int64(0), int64(0), int64(3), 100)
	f.Fuzz(func(t *testing.T, head, blob string, offset, length, at int64, n int) {
		if offset < 0 || length < 0 || offset > int64(len(blob)) || length > int64(len(blob))-offset || at < 0 || n < 0 || n > 1<<16 {
			return
		}
		want := head + blob[offset:offset+length]
		r := &mailReader{head: []byte(head), blob: octetBlob{bytes.NewReader([]byte(blob))}, offset: offset, length: length}
		p := make([]byte, n)
		got, err := r.ReadAt(p, at)
		expect, expectErr := strings.NewReader(want).ReadAt(make([]byte, n), at)
		if got != expect || (err == nil) != (expectErr == nil) && n > 0 {
			t.Fatalf("%d %v, want %d %v", got, err, expect, expectErr)
		}
		if at <= int64(len(want)) && string(p[:got]) != want[at:at+int64(got)] {
			t.Fatalf("%q at %d of %q", p[:got], at, want)
		}
	})
}

type octetBlob struct{ *bytes.Reader }

func (octetBlob) Close() error { return nil }

// TestAppendIsFinished: a client that hangs up after its last octet has stored
// its mail.
func TestAppendIsFinished(t *testing.T) {
	w := newWorld(t)
	w.must(w.EnsureMailboxes(t.Context(), w.anna.user.ID))
	ctx, hangUp := context.WithCancel(t.Context())
	mail := "Subject: x\r\n\r\nHello\r\n"
	body := io.MultiReader(strings.NewReader(mail), readerFunc(func([]byte) (int, error) { hangUp(); return 0, io.EOF }))
	if _, err := w.Append(ctx, AppendRequest{User: w.anna.user, Mailbox: "Drafts", Body: body, Size: int64(len(mail))}); err != nil {
		t.Error(err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestAppendAndExpungeWithoutEnd: bytes that are expunged stay for a while, so
// what is appended within an hour is bounded by itself.
func TestAppendAndExpungeWithoutEnd(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.OwnMail = 10_000 })
	mail := "Subject: x\r\n\r\n" + strings.Repeat("y", 2000)
	churn := func(u *store.User) error {
		box := w.mailbox(u, "Drafts")
		_, err := w.append(u, "Drafts", mail, `\Deleted`)
		if err == nil {
			_, err = w.Expunge(t.Context(), box.ID, nil)
		}
		return err
	}
	for range 4 {
		w.must(churn(w.anna.user))
	}
	wantError(t, churn(w.anna.user), ErrOverQuota)
	w.must(churn(w.carol.user))
	w.clock.pass(time.Hour)
	w.must(churn(w.anna.user))
	if n := len(w.messages(w.anna.user, "Drafts")); n != 0 {
		t.Errorf("%d messages", n)
	}
	w.fsck()
}
