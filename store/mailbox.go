package store

import (
	"errors"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// Answers of the mailbox methods.
var (
	ErrKept  = errors.New("this folder is filled by the exchange alone")
	ErrQuota = errors.New("over quota")
)

// Role is what a folder is for; "" for a folder that a user made.
type Role string

// Folders that every account has. What lies in the inbox, Received, Sent and
// Receipts is put there by the exchange.
const (
	RoleInbox    Role = "inbox"
	RoleReceived Role = "received"
	RoleSent     Role = "sent"
	RoleReceipts Role = "receipts"
	RoleDrafts   Role = "drafts"
	RoleTrash    Role = "trash"
)

// Kept reports a folder that only the exchange fills.
func (r Role) Kept() bool {
	return r == RoleInbox || r == RoleReceived || r == RoleSent || r == RoleReceipts
}

// Mailbox is a folder of mail (RFC 9051 §5.1). Names are UTF-8 in NFC, levels
// parted by "/".
type Mailbox struct {
	ID, Account, Name    string
	Role                 Role
	UIDValidity, UIDNext uint32
	ModSeq               int64 // grows with every change of the mailbox
	Subscribed           bool
}

// MailboxStatus is what STATUS tells (RFC 9051 §6.3.11).
type MailboxStatus struct {
	Messages, Unseen, Deleted uint32
	Size                      int64 // octets of all messages
	UIDNext, UIDValidity      uint32
}

// Mail is one letter, notice or receipt: Head followed by Length octets of Blob
// from Offset. It may lie in several mailboxes of its account.
type Mail struct {
	ID, Account    string // ID: Sent: submission; Received: consignment; others are derived where a job may run twice
	Home           Role   // the kept folder it belongs to; "" = the user's own
	Submission     string // the submission it shows or speaks of; "" none
	Head           []byte
	Blob           rem.Ref // zero: all octets are in Head
	Offset, Length int64
	Size           int64      // octets: len(Head) + Length
	MessageID      string     // with its angle brackets; "" none
	SignedSHA256   rem.Digest // of the signed octets; zero: none
	Outline        []byte     // what IMAP shows of it, encoded; opaque here
}

// Message is a mail in a mailbox. Messages fills in of Mail what Want says;
// ID, Account and Size always.
type Message struct {
	UID      uint32
	Flags    []string // canonical, see CanonicalFlags
	Internal time.Time
	ModSeq   int64
	Mail
}

// Want says which fields of a Mail are read.
type Want uint8

// Parts of a Mail that are read on demand.
const (
	WantMail    Want = 1 << iota // all but Head and Outline
	WantHead                     // Head
	WantOutline                  // Outline
)

// UIDRange is an inclusive range of UIDs; "*" has been resolved.
type UIDRange struct{ From, To uint32 }

// MessageQuery selects messages of a mailbox.
type MessageQuery struct {
	Mailbox string // id
	Ranges  []UIDRange
	Want    Want
	Limit   int // at least 1
	Octets  int // end with the message whose Head and Outline make up so many with those before; 0: no bound
}

// FlagRow is a message's flags.
type FlagRow struct {
	UID   uint32
	Flags []string
}

// Changes is what has become of a mailbox since some ModSeq.
type Changes struct {
	ModSeq  int64    // now: the next call's since
	Added   []uint32 // ascending
	Changed []uint32 // messages that were there already and have other flags now, ascending
	Gone    []uint32 // ascending
	Stale   bool     // what has gone is not known any more: read everything again
}

// FlagOp is what STORE does with flags (RFC 9051 §6.4.6).
type FlagOp int

// The three forms of STORE.
const (
	FlagsSet FlagOp = iota
	FlagsAdd
	FlagsRemove
)

// FlagChange changes the flags of messages.
type FlagChange struct {
	Mailbox string // id
	UIDs    []UIDRange
	Op      FlagOp
	Flags   []string
}

// CopyRequest copies or moves messages between mailboxes of one account.
type CopyRequest struct {
	From, To string // ids
	UIDs     []UIDRange
	Move     bool
}

// Copied answers which messages became which (COPYUID, RFC 9051 §7.1).
type Copied struct {
	UIDValidity  uint32 // of the target
	Source, Dest []uint32
}

// Appended is where a mail was put (APPENDUID, RFC 9051 §7.1).
type Appended struct{ UIDValidity, UID uint32 }

// Delivery puts a mail into an account's folder of a role.
type Delivery struct {
	Account  string
	Role     Role
	Mail     Mail
	Flags    []string
	Internal time.Time
}

// NewMessage is a mail that a user puts into a mailbox.
type NewMessage struct {
	Mailbox  string // id
	Mail     Mail
	Flags    []string
	Internal time.Time // zero: now
	Jobs     []Job     // that follow it
}

// Quota bounds what a user may keep of his own.
type Quota struct {
	Octets    int64 // of mails that are his own
	Messages  int   // in folders that he fills
	Mailboxes int
}
