package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/message"
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
	password, err := s.password()
	if err != nil {
		return s.fail(err)
	}
	_, db, err := c.open(ctx)
	if err != nil {
		return s.fail(err)
	}
	defer db.Close()
	if err := c.add(ctx, db, accounts(db, s), password); err != nil {
		return s.fail(fmt.Errorf("%s: %w", c.Email, err))
	}
	return exitOK
}

func (c *UserAddCmd) add(ctx context.Context, db *store.DB, a *account.Accounts, password string) error {
	var ok bool
	if c.Email, ok = message.CanonicalAddress(c.Email); !ok {
		return account.ErrAddress
	}
	u := store.User{Email: c.Email, Name: c.Name, Language: c.Language, Admin: c.Admin}
	_, err := a.Create(ctx, u, password)
	if errors.Is(err, account.ErrClaimed) {
		err = c.claim(ctx, db, a, password)
	}
	if err != nil {
		return err
	}
	return db.Audit(ctx, operator, "user add", fmt.Sprintf("%s admin=%t", c.Email, c.Admin))
}

// claim turns the account of a guest, who has received a letter at the
// address, into a full one, as following a registration link would.
func (c *UserAddCmd) claim(ctx context.Context, db *store.DB, a *account.Accounts, password string) error {
	guest, err := db.UserByAddress(ctx, c.Email)
	if err != nil {
		return err
	}
	if guest.Claimed {
		return account.ErrClaimed
	}
	if c.Admin {
		return errors.New("the address belongs to a guest, who cannot be made an administrator")
	}
	token, err := a.BeginRegistration(ctx, account.Mailing{Address: c.Email, Language: c.Language})
	if err != nil {
		return err
	}
	_, err = a.Claim(ctx, account.Claim{Token: token, Name: c.Name, Password: password, Language: c.Language})
	return err
}

// UserPasswdCmd sets a password and ends the account's sessions.
type UserPasswdCmd struct {
	Place
	Email string `arg:"" help:"Any address of the account."`
}

// Run sets it.
func (c *UserPasswdCmd) Run(ctx context.Context, s *Streams) int {
	password, err := s.password()
	if err != nil {
		return s.fail(err)
	}
	_, db, err := c.open(ctx)
	if err != nil {
		return s.fail(err)
	}
	defer db.Close()
	address, _ := message.CanonicalAddress(c.Email)
	u, err := db.UserByAddress(ctx, address)
	if err == nil && !u.Claimed {
		err = errors.New("a guest, who has no password; user add makes it an account")
	}
	if err == nil {
		err = accounts(db, s).SetPassword(ctx, u.ID, password)
	}
	if err == nil {
		err = db.Audit(ctx, operator, "user passwd", u.Email)
	}
	if err != nil {
		return s.fail(fmt.Errorf("%s: %w", c.Email, err))
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
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", u.ID, state, display(u.Email), display(u.Name))
	}
	if err := w.Flush(); err != nil {
		return s.fail(err)
	}
	return exitOK
}

func accounts(db *store.DB, s *Streams) *account.Accounts {
	return account.New(account.Config{DB: db, Now: time.Now, Log: slog.New(slog.NewTextHandler(s.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))})
}

// password reads the first line of standard input: at most 4 KiB, without the
// line end. Whoever sits at a terminal is told what it waits for.
func (s *Streams) password() (string, error) {
	if f, ok := s.In.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			fmt.Fprint(s.Err, "password (it shows as you type): ")
		}
	}
	line, err := bufio.NewReader(io.LimitReader(s.In, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("no password on standard input")
	}
	return line, nil
}
