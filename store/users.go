package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// User is a person: a claimed account with a password, or a guest made by a
// handover. Deciding who may become what is package account's.
type User struct {
	ID, Email, Name, Phone, Language string
	Claimed, Admin                   bool
	Created                          time.Time
	Addresses                        []string // confirmed; Email is the first
	ReceiptsOutside                  bool     // receipts are also mailed to Email
	Logins                           int64    // grows when all who are logged in have to log in again, see Logins
}

// AddUser adds a user with his addresses (Email is one of them whether named or
// not): ErrExists when the id or an address is taken.
func (db *DB) AddUser(ctx context.Context, u User, passwordHash string) error {
	err := db.write(ctx, func(t *tx) error { return t.addUser(u, passwordHash) })
	if err != nil {
		return fmt.Errorf("add user %s: %w", u.ID, err)
	}
	return nil
}

func (t *tx) addUser(u User, passwordHash string) error {
	if u.Created.IsZero() {
		u.Created = t.now
	}
	_, err := t.insert(insertion{
		into: "users (id, email, name, phone, language, claimed, admin, password, created, receipts_outside)",
		rows: [][]any{{u.ID, u.Email, u.Name, u.Phone, u.Language, u.Claimed, u.Admin, passwordHash, u.Created, u.ReceiptsOutside}},
	})
	if err != nil {
		return err
	}
	rows := [][]any{{rem.FoldAddress(u.Email), u.Email, u.ID, 0}}
	for _, a := range u.Addresses {
		if !rem.SameAddress(a, u.Email) {
			rows = append(rows, []any{rem.FoldAddress(a), a, u.ID, len(rows)})
		}
	}
	_, err = t.insert(insertion{into: "addresses (folded, address, account, place)", rows: rows})
	return err
}

const userColumns = "SELECT id, email, name, phone, language, claimed, admin, created, receipts_outside, logins FROM users "

func userRow(u *User) []any {
	return []any{&u.ID, &u.Email, &u.Name, &u.Phone, &u.Language, &u.Claimed, &u.Admin, instant{&u.Created}, &u.ReceiptsOutside, &u.Logins}
}

// UserByID answers ErrNotFound for an unknown id.
func (db *DB) UserByID(ctx context.Context, id string) (*User, error) {
	return db.read(ctx).user("WHERE id = $1", id)
}

// UserByAddress finds the user who has confirmed an address, compared by
// rem.FoldAddress: ErrNotFound.
func (db *DB) UserByAddress(ctx context.Context, address string) (*User, error) {
	return db.read(ctx).userByAddress(address)
}

func (s *session) userByAddress(address string) (*User, error) {
	return s.user("WHERE id = (SELECT account FROM addresses WHERE folded = $1)", rem.FoldAddress(address))
}

func (s *session) user(where string, arg any) (*User, error) {
	var u User
	if err := s.get(userRow(&u), userColumns+where, arg); err != nil {
		return nil, fmt.Errorf("user: %w", err)
	}
	users := []User{u}
	if err := s.addresses(users); err != nil {
		return nil, err
	}
	return &users[0], nil
}

// addresses fills in the addresses of users.
func (s *session) addresses(users []User) error {
	if len(users) == 0 {
		return nil
	}
	ids, at := make([]any, len(users)), make(map[string]*User, len(users))
	for i := range users {
		ids[i], at[users[i].ID] = users[i].ID, &users[i]
	}
	err := s.each(func(scan func(...any) error) error {
		var id, address string
		if err := scan(&id, &address); err != nil {
			return err
		}
		at[id].Addresses = append(at[id].Addresses, address)
		return nil
	}, "SELECT account, address FROM addresses WHERE account IN ("+dollars(1, len(ids))+") ORDER BY account, place", ids...)
	if err != nil {
		return fmt.Errorf("addresses: %w", err)
	}
	return nil
}

// Users lists users by id, those after the given one.
func (db *DB) Users(ctx context.Context, after string, limit int) ([]User, error) {
	s := db.read(ctx)
	users, err := list(s, userRow, userColumns+"WHERE id > $1 ORDER BY id LIMIT $2", after, pageLimit(limit))
	if err == nil {
		err = s.addresses(users)
	}
	if err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	return users, nil
}

// PasswordHash answers the encoded hash, "" for a user without a password.
func (db *DB) PasswordHash(ctx context.Context, user string) (string, error) {
	var hash string
	if err := db.read(ctx).get([]any{&hash}, "SELECT password FROM users WHERE id = $1", user); err != nil {
		return "", fmt.Errorf("password of %s: %w", user, err)
	}
	return hash, nil
}

// SetPassword replaces the encoded hash.
func (db *DB) SetPassword(ctx context.Context, user, hash string) error {
	return db.changeUser(ctx, "UPDATE users SET password = $2 WHERE id = $1", user, hash)
}

// SetProfile replaces what a user may say of himself.
func (db *DB) SetProfile(ctx context.Context, user, name, language string) error {
	return db.changeUser(ctx, "UPDATE users SET name = $2, language = $3 WHERE id = $1", user, name, language)
}

// SetReceiptsOutside says whether a user's receipts are also mailed to him.
func (db *DB) SetReceiptsOutside(ctx context.Context, user string, on bool) error {
	return db.changeUser(ctx, "UPDATE users SET receipts_outside = $2 WHERE id = $1", user, on)
}

// changeUser runs an update of the one row whose id is the first argument.
func (db *DB) changeUser(ctx context.Context, text string, args ...any) error {
	err := db.write(ctx, func(t *tx) error { return t.changeOne(text, args...) })
	if err != nil {
		return fmt.Errorf("change user %s: %w", args[0], err)
	}
	return nil
}

// changeOne runs an update that has to meet exactly one row: ErrNotFound.
func (s *session) changeOne(text string, args ...any) error {
	n, err := s.exec(text, args...)
	if err == nil && n != 1 {
		err = ErrNotFound
	}
	return err
}

// EnsureGuest answers the user who has an address; when there is none it makes
// an unclaimed one under id.
func (db *DB) EnsureGuest(ctx context.Context, id, address, language string) (*User, error) {
	return db.withAddress(ctx, address, func(t *tx, have *User) error {
		if have != nil {
			return nil
		}
		return t.addUser(User{ID: id, Email: address, Language: language}, "")
	})
}

// ClaimUser gives the unclaimed user who has the address (else a new one under
// id) a name and a password: ErrExists when the account is claimed already.
func (db *DB) ClaimUser(ctx context.Context, address, id, name, language, passwordHash string) (*User, error) {
	return db.withAddress(ctx, address, func(t *tx, have *User) error {
		if have == nil {
			return t.addUser(User{ID: id, Email: address, Name: name, Language: language, Claimed: true}, passwordHash)
		}
		n, err := t.exec("UPDATE users SET claimed = 1, name = $2, language = $3, password = $4 WHERE id = $1 AND claimed = 0",
			have.ID, name, language, passwordHash)
		if err == nil && n == 0 {
			err = errClaimed
		}
		return err
	})
}

var errClaimed = fmt.Errorf("account is claimed: %w", ErrExists)

// withAddress runs change with the user who has an address, nil when there is
// none, and answers the user as he is afterwards. When another transaction
// takes the address in between, it looks again.
func (db *DB) withAddress(ctx context.Context, address string, change func(*tx, *User) error) (*User, error) {
	var after *User
	attempt := func(t *tx) error {
		have, err := t.userByAddress(address)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err := change(t, have); err != nil {
			return err
		}
		after, err = t.userByAddress(address)
		return err
	}
	err := db.write(ctx, attempt)
	if errors.Is(err, ErrExists) && !errors.Is(err, errClaimed) {
		err = db.write(ctx, attempt)
	}
	if err != nil {
		return nil, fmt.Errorf("user with address: %w", err)
	}
	return after, nil
}
