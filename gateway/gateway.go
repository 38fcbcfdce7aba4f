// Package gateway is the writer of the exchange (S4): it receives signed
// letters, hands them over, and records the recipient's own verification.
//
// Data flows one way: a door gives an envelope and bytes to Receive; Receive
// spools, parses, judges, decides (rem.Submit) and stores in one transaction;
// Run carries out what was queued; Handover and Acknowledge record what a
// recipient does. Reads by others go straight to store, except where a rule
// says who may see what (View and the downloads).
//
// Invariants kept here:
//
//  1. nil from Receive only after the transaction has committed, and that only
//     after the bytes are durable.
//  2. Evidence is written after the fact it attests, in the transaction that
//     changes the state.
//  3. Received bytes are never rewritten.
package gateway

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/notify"
	"cryptogramm.ru/cryptogramm/signer/fetch"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// Errors that the doors map to replies. A business refusal is a *rem.Refusal.
var (
	ErrBusy            = errors.New("all judging slots are taken")          // 451 4.3.2
	ErrFull            = errors.New("storage is full")                      // 452 4.3.1
	ErrStopped         = errors.New("the gateway is not accepting letters") // 421 4.3.2
	ErrNotFound        = errors.New("not found")                            // also what is not the viewer's
	ErrGone            = errors.New("the link or draft has expired")        //
	ErrAddressMismatch = errors.New("this is not the address the link was sent to")
	ErrSessionRequired = errors.New("the address belongs to an account: log in")
	ErrUsed            = errors.New("already used")
	ErrNotReceived     = errors.New("the consignment has not been received yet")
)

// Config is everything a Gateway needs. All fields are required but Fetch and Local.
type Config struct {
	DB       *store.DB
	Blobs    blob.Store
	Spool    string // directory on the file system of a Dir blob store
	Trust    *Trust
	Fetch    *fetch.Client // OCSP answers, CRLs and issuers' certificates; nil: never dial
	Accounts *account.Accounts
	Notify   *notify.Sender
	Policy   rem.Policy
	Limits   Limits
	LinkKey  []byte                    // 32 octets; link tokens are derived from it
	BaseURL  string                    // of the web view, without a trailing slash
	Domain   string                    // domain of our own Message-IDs and service address
	Identity *Identity                 // signs receipts
	Local    func(address string) bool // an address of a domain of ours; nil: every address of Domain
	Node     string                    // this node's name; jobs bound to its spool carry it
	Now      func() time.Time
	Log      *slog.Logger
}

// Limits bound what one letter and all letters together may cost.
type Limits struct {
	Letter      int64         // octets of one letter; 0: 100 MiB
	Slots       int           // letters judged at once; 0: 2 × CPUs
	SlotWait    time.Duration // how long a letter waits for a slot; 0: 30 s
	JudgeTime   time.Duration // in all, waiting included; 0: 60 s
	LinkLife    time.Duration // 0: 30 days
	DraftLife   time.Duration // 0: 24 h
	RefusedFor  time.Duration // how long refused bytes are kept; 0: 24 h
	Refusals    int           // refusals of one account within an hour that are put on record; 0: 300
	OwnMail     int64         // octets of mail of his own that one user may keep, and append within an hour; 0: 1 GiB
	OwnMessages int           // messages in the folders that one user fills; 0: 250,000
	Mailboxes   int           // of one user; 0: 500
	Refused     int64         // octets of all refused letters kept; beyond, only their digests are; 0: 1 GiB
}

func (l Limits) withDefaults() Limits {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if l.Letter == 0 {
		l.Letter = 100 << 20
	}
	if l.Refusals == 0 {
		l.Refusals = 300
	}
	if l.OwnMail == 0 {
		l.OwnMail = 1 << 30
	}
	if l.OwnMessages == 0 {
		l.OwnMessages = 250_000
	}
	if l.Mailboxes == 0 {
		l.Mailboxes = 500
	}
	if l.Refused == 0 {
		l.Refused = 1 << 30
	}
	if l.Slots == 0 {
		l.Slots = 2 * runtime.NumCPU()
	}
	def(&l.SlotWait, 30*time.Second)
	def(&l.JudgeTime, 60*time.Second)
	def(&l.LinkLife, 30*24*time.Hour)
	def(&l.DraftLife, 24*time.Hour)
	def(&l.RefusedFor, 24*time.Hour)
	return l
}

// Gateway is safe for concurrent use.
type Gateway struct {
	Config
	slots   chan struct{}
	own     *identity
	linking sync.RWMutex // held for reading from a letter's blob to its commit; see cleanBlobs
	refused atomic.Int64 // octets and room of refused letters kept
	letters atomic.Int32 // letters that have arrived and wait for their answer; see room
	appends allowance
	stopped atomic.Bool // a failed fsync or commit stops intake (R4)
}

// New checks c and prepares the spool directory.
func New(c Config) (*Gateway, error) {
	if len(c.LinkKey) != sha256.Size {
		return nil, fmt.Errorf("link key: %d octets, want %d", len(c.LinkKey), sha256.Size)
	}
	if c.DB == nil || c.Blobs == nil || c.Trust == nil || c.Accounts == nil || c.Notify == nil || c.Now == nil || c.Log == nil {
		return nil, errors.New("gateway: incomplete configuration")
	}
	if err := os.MkdirAll(c.Spool, 0o700); err != nil {
		return nil, err
	}
	c.Limits = c.Limits.withDefaults()
	c.Policy.LinkLifetime = c.Limits.LinkLife
	g := &Gateway{Config: c, slots: make(chan struct{}, c.Limits.Slots)}
	if g.Local == nil {
		g.Local = g.inDomain
	}
	var err error
	if g.own, err = c.Identity.open(g.serviceAddress()); err != nil {
		return nil, err
	}
	if err = g.countRefused(); err != nil {
		return nil, fmt.Errorf("count refused letters: %w", err)
	}
	return g, nil
}

// NewID is a fresh id of 26 characters.
func (g *Gateway) NewID() string {
	var b [11]byte
	rand.Read(b[:])
	return rem.NewID(g.Now(), b)
}

// LinkToken is the secret part of a consignment's link: derived, so that a
// notice sent twice is the same mail; only its hash is stored.
func (g *Gateway) LinkToken(consignment string) string {
	m := hmac.New(sha256.New, g.LinkKey)
	m.Write([]byte("link\x00" + consignment))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func linkHash(token string) rem.Digest { return rem.DigestOf([]byte(token)) }
