package main

import (
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// TestEvidenceOfHostileText: senders and recipients are outside text.
func TestEvidenceOfHostileText(t *testing.T) {
	dir := emptyInstallation(t)
	call(t, goodPassword, "user", "add", "--data", dir, "anna@example.test").want(t, exitOK, "")
	db := database(t, dir)
	u, err := db.UserByAddress(t.Context(), "anna@example.test")
	if err != nil {
		t.Fatal(err)
	}
	const hostile = "\x1b]0;owned\x07\u009b2J\u202e"
	now := time.Now()
	env := rem.Envelope{ID: "abcdefghijklmnopqrstuvwxyz", Account: u.ID, Login: hostile + "@example.test", Recipients: []string{hostile}}
	refusal := &rem.Refusal{ID: env.ID, Reason: rem.Reason(hostile)}
	row := store.Refusal{ID: env.ID, Account: u.ID, Sender: env.Login, Reason: hostile, Text: hostile, Time: now}
	if err := db.AddRefusal(t.Context(), row, rem.Rejection(env, rem.Ref{}, refusal, now), nil); err != nil {
		t.Fatal(err)
	}
	call(t, "", "evidence", "list", "--data", dir).want(t, exitOK, "‹U+001B›]0;owned‹U+0007›‹U+009B›2J‹U+202E›@example.test")
	a := call(t, "", "evidence", "list", "--json", "--data", dir)
	list := decode[[]evidenceEntry](t, a)
	if len(list) != 1 || list[0].Sender != env.Login || list[0].Reason != hostile || list[0].Submission != env.ID {
		t.Fatalf("%+v", list)
	}
	if !strings.Contains(a.out, `"log_index": null`) || !strings.Contains(a.out, `"recipient": ""`) {
		t.Errorf("%s", a.out)
	}
	call(t, "", "evidence", "show", "--data", dir, list[0].ID).want(t, exitOK, `"record": `)
}

// TestEvidencePages lists more than one page of the database holds.
func TestEvidencePages(t *testing.T) {
	dir := emptyInstallation(t)
	call(t, goodPassword, "user", "add", "--data", dir, "anna@example.test").want(t, exitOK, "")
	db := database(t, dir)
	u, err := db.UserByAddress(t.Context(), "anna@example.test")
	if err != nil {
		t.Fatal(err)
	}
	const many = 501
	begin := time.Now()
	for n := range many {
		id := rem.IDText([16]byte{byte(n), byte(n >> 8)})
		env := rem.Envelope{ID: id, Account: u.ID, Login: u.Email}
		at := begin.Add(time.Duration(n) * time.Microsecond)
		row := store.Refusal{ID: id, Account: u.ID, Sender: u.Email, Time: at}
		if err := db.AddRefusal(t.Context(), row, rem.Rejection(env, rem.Ref{}, &rem.Refusal{ID: id}, at), nil); err != nil {
			t.Fatal(err)
		}
	}
	list := decode[[]evidenceEntry](t, call(t, "", "evidence", "list", "--json", "--data", dir))
	seen := map[string]bool{}
	for i, e := range list {
		seen[e.ID] = true
		if i > 0 && e.Time.Before(list[i-1].Time) {
			t.Fatalf("entry %d is older than the one before it", i)
		}
	}
	if len(seen) != many || len(list) != many {
		t.Errorf("%d entries, %d of them different, want %d", len(list), len(seen), many)
	}
}
