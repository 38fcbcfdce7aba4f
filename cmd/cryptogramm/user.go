package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/store"
)

// UserCmd keeps accounts.
type UserCmd struct {
	Add    UserAddCmd    `cmd:"" help:"Add an account. The password is the first line of standard input."`
	List   UserListCmd   `cmd:"" help:"List accounts."`
	Passwd UserPasswdCmd `cmd:"" help:"Set an account's password: the first line of standard input."`
}

// UserAddCmd adds an account with a confirmed address.
type UserAddCmd struct {
	Place
	Email    string `arg:"" help:"E-mail address; taken as confirmed."`
	Name     string `help:"Full name."`
	Language string `help:"Language of mails: ru, en, or empty for both." enum:",ru,en" default:""`
	Admin    bool   `help:"May use the admin console."`
}

// Run adds it.
func (c *UserAddCmd) Run(ctx context.Context, s *Streams) int {
	password, err := firstLine(s.In)
	if err != nil {
		return s.fail(err)
	}
	_, db, err := c.open(ctx)
	if err != nil {
		return s.fail(err)
	}
	defer db.Close()
	u := store.User{Email: c.Email, Name: c.Name, Language: c.Language, Admin: c.Admin}
	if _, err := accounts(db, s).Create(ctx, u, password); err != nil {
		return s.fail(err)
	}
	return exitOK
}

// UserPasswdCmd sets a password and ends the account's sessions.
type UserPasswdCmd struct {
	Place
	Email string `arg:""`
}

// Run sets it.
func (c *UserPasswdCmd) Run(ctx context.Context, s *Streams) int {
	password, err := firstLine(s.In)
	if err != nil {
		return s.fail(err)
	}
	_, db, err := c.open(ctx)
	if err != nil {
		return s.fail(err)
	}
	defer db.Close()
	u, err := db.UserByAddress(ctx, c.Email)
	if err == nil {
		err = accounts(db, s).SetPassword(ctx, u.ID, password)
	}
	if err != nil {
		return s.fail(err)
	}
	return exitOK
}

// UserListCmd lists accounts.
type UserListCmd struct {
	Place
	JSON bool `help:"Print JSON." name:"json"`
}

// userEntry is one account as the list prints it.
type userEntry struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	Name      string    `json:"name"`
	Language  string    `json:"language"`
	Claimed   bool      `json:"claimed"`
	Admin     bool      `json:"admin"`
	Created   time.Time `json:"created"`
	Addresses []string  `json:"addresses"`
}

// Run prints every account, page by page of the database.
func (c *UserListCmd) Run(ctx context.Context, s *Streams) int {
	_, db, err := c.open(ctx)
	if err != nil {
		return s.fail(err)
	}
	defer db.Close()
	list := []userEntry{}
	const page = 500
	for after := ""; ; after = list[len(list)-1].ID {
		users, err := db.Users(ctx, after, page)
		if err != nil {
			return s.fail(err)
		}
		for _, u := range users {
			list = append(list, userEntry{u.ID, u.Email, u.Name, u.Language, u.Claimed, u.Admin, u.Created, u.Addresses})
		}
		if len(users) < page {
			break
		}
	}
	if c.JSON {
		return s.json(list)
	}
	w := tabwriter.NewWriter(s.Out, 0, 4, 2, ' ', 0)
	for _, u := range list {
		state := "guest"
		if u.Claimed {
			state = "account"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", u.ID, state, u.Email, display(u.Name))
	}
	if err := w.Flush(); err != nil {
		return s.fail(err)
	}
	return exitOK
}

func accounts(db *store.DB, s *Streams) *account.Accounts {
	return account.New(account.Config{DB: db, Now: time.Now, Log: slog.New(slog.NewTextHandler(s.Err, nil))})
}

// firstLine reads a password: at most 4 KiB, without the line end.
func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("no password on standard input")
	}
	return line, nil
}

// display keeps outside text from steering the operator's terminal.
func display(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return '\uFFFD'
		}
		return r
	}, s)
}
