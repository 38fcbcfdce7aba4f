// Package account is the writer of users, credentials, sessions and failure
// budgets.
//
// Every door (SMTP, IMAP, web) logs people in through Login, so that a
// password guesser spends one budget whichever door he knocks at. Invariants:
//
//   - An unknown address, an unclaimed account and a wrong password cost the
//     same work, give the same error and count the same failure.
//   - Of cookies and one-time tokens only SHA-256 is stored; of passwords only
//     their Argon2id hash.
//   - A token is redeemed once, under parallel calls too.
//   - A login ends with its password, and when its owner says so, at every door:
//     those that keep connections ask LoggedIn.
//   - No password, cookie or token reaches the log.
//
// Deliberately absent: mail (the caller's job carries a token to its owner),
// cookies' HTTP attributes, and the syntax of mail addresses, which the doors
// check by message.ValidAddress before they come here.
package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// Answers that the doors tell apart. Anything else is internal.
var (
	ErrDenied    = errors.New("address or password is wrong")
	ErrThrottled = errors.New("too many failures, try again later")
	ErrBusy      = errors.New("too many logins at once, try again")
	ErrPassword  = errors.New("a password has 10 characters or more and at most 1000 octets")
	ErrAddress   = errors.New("not a mail address")
	ErrToken     = errors.New("the link or code is unknown, used or expired")
	ErrClaimed   = errors.New("the address has an account already")
	ErrNoSession = errors.New("no such session")
)

// Config is what New needs. Zero members get defaults, except DB.
type Config struct {
	DB     *store.DB
	Domain string           // the gateway's own domain, named in challenges
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger     // nil: discards
}

// Accounts is safe for concurrent use.
type Accounts struct {
	DB  *store.DB
	Now func() time.Time
	Log *slog.Logger

	domain string
	cost   cost
	decoy  string // hash of a password nobody has, for accounts that have none
	slots  chan struct{}
	gates  [256]chan struct{} // one guess at a time per account, see login.go
	cache  *cache
}

// New makes Accounts over a database.
func New(c Config) *Accounts { return newWithCost(c, recommended()) }

func newWithCost(c Config, k cost) *Accounts {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	// One hash runs k.lanes threads and takes k.memory KiB: more hashes at a
	// time than this would only take memory.
	slots := max(1, runtime.NumCPU()/int(k.lanes))
	a := &Accounts{
		DB: c.DB, Now: c.Now, Log: c.Log, domain: c.Domain, cost: k,
		decoy: k.decoy(), slots: make(chan struct{}, slots), cache: newCache(),
	}
	for i := range a.gates {
		a.gates[i] = make(chan struct{}, 1)
	}
	return a
}

// Create adds a claimed account with a password. u.ID, u.Created and
// u.Addresses are filled in where empty. ErrPassword, ErrAddress, ErrClaimed
// when one of the addresses is taken.
func (a *Accounts) Create(ctx context.Context, u store.User, password string) (*store.User, error) {
	if u.ID == "" {
		u.ID = newID()
	}
	if u.Created.IsZero() {
		u.Created = a.now()
	}
	if len(u.Addresses) == 0 {
		u.Addresses = []string{u.Email}
	}
	u.Claimed = true
	for _, address := range append([]string{u.Email}, u.Addresses...) {
		if !plausible(address) {
			return nil, ErrAddress
		}
	}
	hash, err := a.hash(ctx, password)
	if err != nil {
		return nil, err
	}
	err = a.DB.AddUser(ctx, u, hash)
	if errors.Is(err, store.ErrExists) {
		return nil, ErrClaimed
	}
	if err != nil {
		return nil, err
	}
	return a.DB.UserByID(ctx, u.ID)
}

// Guest is the account behind an address that nobody needs to have claimed:
// the one that has it, else a new unclaimed one. ErrAddress.
func (a *Accounts) Guest(ctx context.Context, address, language string) (*store.User, error) {
	if !plausible(address) {
		return nil, ErrAddress
	}
	return a.DB.EnsureGuest(ctx, newID(), address, language)
}

// SetPassword changes the password, ends every login of the user and forgets
// the failures counted against his addresses.
func (a *Accounts) SetPassword(ctx context.Context, userID, password string) error {
	u, err := a.DB.UserByID(ctx, userID)
	if err != nil {
		return err
	}
	hash, err := a.hash(ctx, password)
	if err != nil {
		return err
	}
	if err := a.DB.SetPassword(ctx, userID, hash); err != nil {
		return err
	}
	return a.fresh(ctx, u)
}

// fresh follows every new password: old sessions and old failures are gone.
func (a *Accounts) fresh(ctx context.Context, u *store.User) error {
	if err := a.DB.DeleteSessions(ctx, u.ID); err != nil {
		return err
	}
	for _, address := range u.Addresses {
		if err := a.DB.ClearFailures(ctx, accountKey(address)); err != nil {
			return err
		}
	}
	return nil
}

// now is the moment of one operation, as the store keeps it.
func (a *Accounts) now() time.Time { return a.Now().UTC().Truncate(time.Microsecond) }

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return rem.IDText(b)
}

// maxAddress is the longest forward-path without its brackets (RFC 5321
// §4.5.3.1.3).
const maxAddress = 254

// plausible keeps what can be no address at all out of the database and out of
// every text that shows one; the doors check the syntax.
func plausible(address string) bool {
	local, domain, ok := strings.Cut(address, "@")
	return ok && local != "" && domain != "" && len(address) <= maxAddress &&
		!strings.ContainsRune(domain, '@') && !strings.ContainsFunc(address, func(r rune) bool {
		return r <= ' ' || r == 0x7f || r == '\uFFFD'
	})
}

func digest(secret string) rem.Digest { return sha256.Sum256([]byte(secret)) }
