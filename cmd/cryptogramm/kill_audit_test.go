//go:build kill

package main

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/store"
)

// settle sends again what was not answered, and waits until all work that
// follows a letter is done.
func (v *victim) settle() {
	v.t.Helper()
	if !v.start("") {
		v.t.Fatalf("the demo does not start again\n%s", v.said())
	}
	for _, l := range v.letters {
		if l.id == "" && !l.denied {
			v.send(l)
		}
		if l.id == "" && !l.denied {
			v.t.Errorf("a letter was not answered after the restart\n%s", v.said())
			break
		}
	}
	v.drain()
}

// drain waits until everything that follows a letter is done.
func (v *victim) drain() {
	v.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		left := v.queued("upload", "notify", "receipt", "receipt-mail", "register")
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("%d jobs are left\n%s", left, v.said())
		}
	}
}

// consignments is how many there must be by what the clients heard.
func (v *victim) consignments() int {
	n := 0
	for _, l := range v.letters {
		if l.id != "" {
			n += len(l.recipients)
		}
	}
	return n
}

// audit compares what clients heard with what is there: 0 lost, 0 doubled,
// 0 half, in the store, in the evidence and in the mailboxes.
func (v *victim) audit() {
	v.t.Helper()
	v.fsck("at the end")
	answered := map[string]bool{}
	for _, l := range v.letters {
		if l.id != "" {
			answered[l.id] = true
		}
	}
	all := v.entries("")
	accepted, notices := map[string]int{}, map[string]int{}
	received, toBoris, receipts := map[string]bool{}, 0, map[string]bool{}
	for _, e := range all {
		switch e.Event {
		case "SubmissionAcceptance":
			accepted[e.Submission]++
		case "NotificationForAcceptance":
			notices[e.Consignment]++
			if e.Recipient == boris {
				toBoris++
			}
		case "ContentHandover":
			if e.Recipient == boris {
				received[e.Consignment] = true
			}
		}
		receipts["<"+e.ID+".receipt@"+demoDomain+">"] = true
	}
	v.once("acceptances", accepted, answered)
	for c, n := range notices {
		if n != 1 {
			v.t.Errorf("consignment %s has %d notices", c, n)
		}
	}
	if len(notices) != v.consignments() {
		v.t.Errorf("%d notices for %d consignments", len(notices), v.consignments())
	}
	v.auditMailboxes(answered, received, receipts, toBoris)
	mails := v.outbox()
	if mails != v.consignments()+v.registrations {
		v.t.Errorf("%d mails for %d consignments and %d registrations", mails, v.consignments(), v.registrations)
	}
	v.t.Logf("%d letters accepted, %d notices, %d evidence and receipts, %d mails: 0 lost, 0 doubled, 0 half",
		len(accepted), len(notices), len(all), mails)
}

const boris = "boris@" + demoDomain

// auditMailboxes: each letter once in Sent, each one handed over once in
// Received, each evidence once in Receipts, each local notice once in INBOX.
func (v *victim) auditMailboxes(answered, received, receipts map[string]bool, toBoris int) {
	v.t.Helper()
	db := v.database()
	defer db.Close()
	anna := v.demo.Parties[0].Email
	id := func(m store.Message) string { return m.ID }
	v.once("Sent", v.folder(db, anna, "Sent", id), answered)
	v.once("Received", v.folder(db, boris, "Received", id), received)
	v.once("Receipts", v.folder(db, anna, "Receipts", func(m store.Message) string { return m.MessageID }), receipts)
	notices := 0
	for m, n := range v.folder(db, boris, "INBOX", func(m store.Message) string { return m.MessageID }) {
		if notices += n; n != 1 {
			v.t.Errorf("INBOX has %s %d times", m, n)
		}
	}
	if notices != toBoris {
		v.t.Errorf("INBOX has %d mails for %d notices", notices, toBoris)
	}
}

// folder counts the mails of a folder by name.
func (v *victim) folder(db *store.DB, address, folder string, name func(store.Message) string) map[string]int {
	v.t.Helper()
	ctx := context.Background()
	count := map[string]int{}
	u, err := db.UserByAddress(ctx, address)
	if err != nil {
		v.t.Fatal(err)
	}
	box, err := db.MailboxByName(ctx, u.ID, folder)
	if err != nil {
		v.t.Fatalf("%s of %s: %v", folder, address, err)
	}
	const page = 500
	for from := uint32(1); ; {
		list, err := db.Messages(ctx, store.MessageQuery{Mailbox: box.ID, Ranges: []store.UIDRange{{From: from, To: 1<<32 - 1}}, Want: store.WantMail, Limit: page})
		if err != nil {
			v.t.Fatal(err)
		}
		for _, m := range list {
			count[name(m)]++
			from = m.UID + 1
		}
		if len(list) < page {
			return count
		}
	}
}

// once fails unless count has every name of want once, and no other.
func (v *victim) once(what string, count map[string]int, want map[string]bool) {
	v.t.Helper()
	for name := range want {
		if count[name] != 1 {
			v.t.Errorf("%s: %s is there %d times", what, name, count[name])
		}
	}
	for name := range count {
		if !want[name] {
			v.t.Errorf("%s: %s has no business there", what, name)
		}
	}
}

// outbox is how many different mails went out; one that was sent twice has the
// name it had.
func (v *victim) outbox() int {
	v.t.Helper()
	names := map[string]bool{}
	for _, dir := range append(v.outboxes, v.demo.Outbox) {
		mails, err := filepath.Glob(filepath.Join(dir, "*.eml"))
		if err != nil {
			v.t.Fatal(err)
		}
		for _, m := range mails {
			if base := filepath.Base(m); !strings.HasPrefix(base, ".") {
				names[base] = true
			}
		}
	}
	return len(names)
}
