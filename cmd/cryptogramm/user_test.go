package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/store"
)

const goodPassword = "correct horse battery"

// login tries a password as a door does.
func login(t *testing.T, db *store.DB, address, password string) error {
	t.Helper()
	_, err := account.New(account.Config{DB: db}).Login(t.Context(), account.Login{Door: "test", Address: address, Password: password})
	return err
}

func TestUserAdd(t *testing.T) {
	dir := emptyInstallation(t)
	for _, c := range []struct {
		what, stdin, address string
		code                 int
		want                 string
	}{
		{"first line only", goodPassword + "\nsecond line\n", "anna@example.test", exitOK, ""},
		{"no line end", goodPassword, "boris@example.test", exitOK, ""},
		{"CRLF", goodPassword + "\r\n", "clara@example.test", exitOK, ""},
		{"taken", goodPassword, "anna@example.test", exitFail, "anna@example.test: the address has an account already"},
		{"taken in another case", goodPassword, "anna@EXAMPLE.test", exitFail, "has an account already"},
		{"no password", "", "dora@example.test", exitFail, "no password on standard input"},
		{"empty line", "\n" + goodPassword, "dora@example.test", exitFail, "no password on standard input"},
		{"short", "short\n", "dora@example.test", exitFail, "10 characters"},
		{"endless", strings.Repeat("x", 1<<20), "dora@example.test", exitFail, "1000 octets"},
		{"no address", goodPassword, "dora", exitFail, "not a mail address"},
		{"address that steers a terminal", goodPassword, "dora\u009b31m@example.test", exitFail, "dora‹U+009B›31m@example.test: not a mail address"},
		{"two addresses", goodPassword, "dora@example.test,eva@example.test", exitFail, "not a mail address"},
	} {
		t.Run(c.what, func(t *testing.T) {
			a := call(t, c.stdin, "user", "add", "--data", dir, c.address)
			a.want(t, c.code, c.want)
			if a.out != "" || strings.Contains(a.err, goodPassword) {
				t.Errorf("prints %q, %q", a.out, a.err)
			}
		})
	}
	db := database(t, dir)
	for _, address := range []string{"anna@example.test", "boris@example.test", "clara@example.test"} {
		if err := login(t, db, address, goodPassword); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := login(t, db, "anna@example.test", goodPassword+"\nsecond line"); !errors.Is(err, account.ErrDenied) {
		t.Errorf("more than the first line: %v", err)
	}
}

func TestUserList(t *testing.T) {
	dir := emptyInstallation(t)
	if a := call(t, "", "user", "list", "--json", "--data", dir); a.out != "[]\n" {
		t.Errorf("of nobody: %s", a.out)
	}
	call(t, goodPassword, "user", "add", "--data", dir, "--name", "Анна \x1b[31m\u202e", "--language", "ru", "--admin", "anna@example.test").want(t, exitOK, "")
	call(t, "", "user", "list", "--data", dir).want(t, exitOK, "account  anna@example.test  Анна ‹U+001B›[31m‹U+202E›")
	list := decode[[]json.RawMessage](t, call(t, "", "user", "list", "--json", "--data", dir))
	if len(list) != 1 {
		t.Fatalf("%d accounts", len(list))
	}
	sameKeys(t, "user list", list[0], "id", "email", "name", "language", "claimed", "admin", "created", "addresses")
	var u userEntry
	if err := json.Unmarshal(list[0], &u); err != nil {
		t.Fatal(err)
	}
	if u.Email != "anna@example.test" || u.Name != "Анна \x1b[31m\u202e" || u.Language != "ru" || !u.Admin || !u.Claimed || len(u.Addresses) != 1 || u.Created.IsZero() {
		t.Errorf("%+v", u)
	}
	if strings.Contains(string(list[0]), "argon2") {
		t.Error("the list shows password hashes")
	}
}

func TestUserPasswd(t *testing.T) {
	dir := emptyInstallation(t)
	call(t, goodPassword, "user", "add", "--data", dir, "anna@example.test").want(t, exitOK, "")
	call(t, "another long password\n", "user", "passwd", "--data", dir, "anna@example.test").want(t, exitOK, "")
	db := database(t, dir)
	if err := login(t, db, "anna@example.test", "another long password"); err != nil {
		t.Errorf("the new one: %v", err)
	}
	if err := login(t, db, "anna@example.test", goodPassword); !errors.Is(err, account.ErrDenied) {
		t.Errorf("the old one: %v", err)
	}
	call(t, goodPassword, "user", "passwd", "--data", dir, "nobody@example.test").want(t, exitFail, "nobody@example.test: user: not found")
	call(t, "short", "user", "passwd", "--data", dir, "anna@example.test").want(t, exitFail, "10 characters")
	call(t, "", "user", "passwd", "--data", dir, "anna@example.test").want(t, exitFail, "no password")
}

// TestUserAddGuest: who has received a letter as a guest can be given an
// account, with what he received.
func TestUserAddGuest(t *testing.T) {
	dir := emptyInstallation(t)
	db := database(t, dir)
	guest, err := db.EnsureGuest(t.Context(), "abcdefghijklmnopqrstuvwxyz", "guest@example.net", "")
	if err != nil {
		t.Fatal(err)
	}
	call(t, "", "user", "list", "--data", dir).want(t, exitOK, "guest  guest@example.net")
	call(t, goodPassword, "user", "passwd", "--data", dir, "guest@example.net").want(t, exitFail, "user add makes it an account")
	call(t, goodPassword, "user", "add", "--admin", "--data", dir, "guest@example.net").want(t, exitFail, "cannot be made an administrator")
	call(t, goodPassword, "user", "add", "--name", "Guest", "--data", dir, "guest@example.net").want(t, exitOK, "")
	if err := login(t, db, "guest@example.net", goodPassword); err != nil {
		t.Error(err)
	}
	u, err := db.UserByAddress(t.Context(), "guest@example.net")
	if err != nil || u.ID != guest.ID || !u.Claimed || u.Name != "Guest" || u.Admin {
		t.Errorf("%+v, %v", u, err)
	}
	call(t, goodPassword, "user", "add", "--data", dir, "guest@example.net").want(t, exitFail, "has an account already")
}

// TestOperatorsActsAreAudited, and no failed one is.
func TestOperatorsActsAreAudited(t *testing.T) {
	dir := emptyInstallation(t)
	call(t, goodPassword, "user", "add", "--admin", "--data", dir, "anna@example.test").want(t, exitOK, "")
	call(t, goodPassword, "user", "passwd", "--data", dir, "anna@example.test").want(t, exitOK, "")
	call(t, goodPassword, "user", "add", "--data", dir, "anna@example.test").want(t, exitFail, "")
	call(t, "", "trust", "remove", "--data", dir, strings.Repeat("ab", 32)).want(t, exitFail, "not found")
	rows, err := database(t, dir).AuditTrail(t.Context(), store.Page{})
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if r := rows[1]; r.Action != "user add" || r.Actor != operator || r.Detail != "anna@example.test admin=true" {
		t.Errorf("%+v", r)
	}
	if r := rows[0]; r.Action != "user passwd" || strings.Contains(r.Detail, goodPassword) {
		t.Errorf("%+v", r)
	}
}
