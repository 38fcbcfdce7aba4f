package account

import (
	"context"
	"errors"
	"hash/fnv"
	"net/netip"
	"time"

	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// The failure budget, shared by all doors and nodes.
const (
	budgetWindow  = 15 * time.Minute
	budgetAccount = 10               // failures per address
	budgetPeer    = 50               // failures per IP address (IPv6: per /64)
	hashWait      = 10 * time.Second // for one's turn to hash
)

// Login is one attempt at a door.
type Login struct {
	Door     string // "submissions", "submission", "web": for the log
	Peer     string // IP address of the client, with or without port
	Address  string // any confirmed address of the account
	Password string
}

// Login checks a password. ErrDenied for whatever is wrong with address or
// password, ErrThrottled when the address or the peer has spent its failures,
// ErrBusy when hashing is overloaded.
//
// Guesses at one address are taken one at a time, and each failure is counted
// before the next is tried: a hundred parallel guesses are ten.
func (a *Accounts) Login(ctx context.Context, l Login) (*store.User, error) {
	keys := budgetKeys(l)
	if err := a.budget(ctx, keys); err != nil {
		return nil, err
	}
	if len(l.Address) > maxAddress || len(l.Password) > maxPassword {
		return nil, a.deny(ctx, l, keys)
	}
	u, phc, err := a.credentials(ctx, l.Address)
	if err != nil {
		return nil, err
	}
	if u != nil && a.cache.has(a.Now(), l, phc) {
		return u, nil
	}
	release, err := a.turn(ctx, rem.FoldAddress(l.Address))
	if err != nil {
		return nil, err
	}
	defer release()
	if u != nil && a.cache.has(a.Now(), l, phc) { // a parallel login was first
		return u, nil
	}
	if err := a.budget(ctx, keys); err != nil {
		return nil, err
	}
	ok, err := verify(phc, l.Password)
	if err != nil {
		return nil, err
	}
	if !ok || u == nil {
		return nil, a.deny(ctx, l, keys)
	}
	a.cache.add(a.Now(), l, phc)
	return u, nil
}

// credentials are the account and its hash; for an address that cannot log in,
// nil and a decoy, so that it costs the same work.
func (a *Accounts) credentials(ctx context.Context, address string) (*store.User, string, error) {
	u, err := a.DB.UserByAddress(ctx, address)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrText) {
		return nil, a.decoy, nil
	}
	if err != nil {
		return nil, "", err
	}
	phc, err := a.DB.PasswordHash(ctx, u.ID)
	if errors.Is(err, store.ErrNotFound) || (err == nil && (phc == "" || !u.Claimed)) {
		return nil, a.decoy, nil
	}
	if err != nil {
		return nil, "", err
	}
	return u, phc, nil
}

// budget says whether any key has spent its failures.
func (a *Accounts) budget(ctx context.Context, keys map[string]int) error {
	since := a.now().Add(-budgetWindow)
	for key, limit := range keys {
		n, err := a.DB.Failures(ctx, key, since)
		if err != nil {
			return err
		}
		if n >= limit {
			return ErrThrottled
		}
	}
	return nil
}

// deny counts the failure. Nothing is answered before it is counted.
func (a *Accounts) deny(ctx context.Context, l Login, keys map[string]int) error {
	if err := a.count(ctx, keys); err != nil {
		return err
	}
	a.Log.Warn("login denied", "door", l.Door, "peer", l.Peer, "address", shown(l.Address))
	return ErrDenied
}

// count notes one failure under every key.
func (a *Accounts) count(ctx context.Context, keys map[string]int) error {
	ctx = context.WithoutCancel(ctx) // hanging up does not save a guess
	for key := range keys {
		if err := a.DB.AddFailure(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func budgetKeys(l Login) map[string]int {
	keys := map[string]int{accountKey(l.Address): budgetAccount}
	if p := peerKey(l.Peer); p != "" {
		keys[p] = budgetPeer
	}
	return keys
}

// accountKey is of bounded length whatever the client sent.
func accountKey(address string) string {
	return "account:" + digest(rem.FoldAddress(address)).String()
}

// peerKey is the address a budget is kept under: one IPv4 address, one /64 of
// IPv6, which is what one customer has. "" for a peer without an address.
func peerKey(peer string) string {
	ip, err := netip.ParseAddr(peer)
	if err != nil {
		ap, err := netip.ParseAddrPort(peer)
		if err != nil {
			return ""
		}
		ip = ap.Addr()
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		p, _ := ip.Prefix(64)
		return "peer:" + p.String()
	}
	return "peer:" + ip.String()
}

// turn waits for the own gate of an address or token, then for a hashing slot.
// ErrBusy after ten seconds.
func (a *Accounts) turn(ctx context.Context, key string) (release func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, hashWait, ErrBusy)
	defer cancel()
	open, err := a.gate(ctx, key)
	if err != nil {
		return nil, err
	}
	free, err := a.slot(ctx)
	if err != nil {
		open()
		return nil, err
	}
	return func() { free(); open() }, nil
}

// gate lets one caller at a time through for a key.
func (a *Accounts) gate(ctx context.Context, key string) (open func(), err error) {
	h := fnv.New32a()
	h.Write([]byte(key))
	gate := a.gates[h.Sum32()%uint32(len(a.gates))]
	select {
	case gate <- struct{}{}:
		return func() { <-gate }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// slot bounds how many hashes run at once, and with them their memory.
func (a *Accounts) slot(ctx context.Context) (release func(), err error) {
	select {
	case a.slots <- struct{}{}:
		return func() { collect(); <-a.slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// shown keeps out of the log what is no address: people type passwords into
// the wrong field.
func shown(address string) string {
	if plausible(address) {
		return address
	}
	return ""
}
