package imapd

import (
	"context"
	"errors"
	"io"

	"github.com/emersion/go-imap/v2"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/blob"
)

// Refusals of the session's own rules.
var (
	errReadOnly  = errors.New("the mailbox was opened read-only")
	errNeedles   = errors.New("too many criteria")
	errPatterns  = errors.New("too many patterns")
	errTrailing  = errors.New("octets after the literal of APPEND")
	errTruncated = errors.New("the letter broke off")
	errUse       = errors.New("special use cannot be given")
	errStorage   = errors.New("no such status item")
)

// row is one line of the table from error to response.
type row struct {
	err  error
	code imap.ResponseCode
	text string
}

// table is where every error of this door becomes NO (RFC 9051 §7.1, RFC 5530).
func table() []row {
	return []row{
		{gateway.ErrNoMailbox, imap.ResponseCodeNonExistent, "There is no such mailbox"},
		{gateway.ErrMailboxExists, imap.ResponseCodeAlreadyExists, "There is a mailbox of this name"},
		{gateway.ErrMailboxName, imap.ResponseCodeCannot, "Not a name for a mailbox"},
		{gateway.ErrKept, imap.ResponseCodeCannot, "This folder is filled by the exchange alone"},
		{gateway.ErrOverQuota, imap.ResponseCodeOverQuota, "There is no room left"},
		{gateway.ErrFull, imap.ResponseCodeUnavailable, "Storage is full, try again later"},
		{gateway.ErrBusy, imap.ResponseCodeUnavailable, "Too many letters at once, try again"},
		{gateway.ErrStopped, imap.ResponseCodeUnavailable, "The gateway is not accepting letters, try again later"},
		{gateway.ErrFlag, imap.ResponseCodeCannot, "Not a flag that can be kept"},
		{blob.ErrUnavailable, imap.ResponseCodeUnavailable, "Storage cannot be reached, try again later"},
		{blob.ErrFull, imap.ResponseCodeUnavailable, "Storage is full, try again later"},
		{errClient, imap.ResponseCodeUnavailable, "Nobody reads this"},
		{store.ErrFlag, imap.ResponseCodeCannot, "Not a flag that can be kept"},
		{store.ErrKept, imap.ResponseCodeCannot, "This folder is filled by the exchange alone"},
		{store.ErrExists, imap.ResponseCodeAlreadyExists, "There is a mailbox of this name"},
		{store.ErrQuota, imap.ResponseCodeOverQuota, "There is no room left"},
		{store.ErrUnavailable, imap.ResponseCodeUnavailable, "The database cannot be reached, try again later"},
		{store.ErrNotFound, imap.ResponseCodeNonExistent, "There is no such mailbox"},
		{store.ErrText, imap.ResponseCodeCannot, "Not a name for a mailbox"},
		{account.ErrDenied, imap.ResponseCodeAuthenticationFailed, "Address or password is wrong"},
		{account.ErrThrottled, imap.ResponseCodeUnavailable, "Too many failures, try again later"},
		{account.ErrBusy, imap.ResponseCodeUnavailable, "Too many logins at once, try again"},
		{message.ErrTooLarge, imap.ResponseCodeTooBig, "The letter is too large"},
		{message.ErrMalformed, imap.ResponseCodeUnknownCTE, "The part cannot be decoded"},
		{errReadOnly, imap.ResponseCodeNoPerm, "The mailbox was opened read-only"},
		{errNeedles, imap.ResponseCodeLimit, "Too many criteria"},
		{errPatterns, imap.ResponseCodeLimit, "Patterns are too long"},
		{errUse, imap.ResponseCodeCannot, "Folders get no special use here"},
		{errStorage, imap.ResponseCodeCannot, "There is no such status item here"},
		{errTrailing, imap.ResponseCodeClientBug, "A letter ends its command"},
		{errTruncated, imap.ResponseCodeClientBug, "The letter broke off"},
		{io.ErrUnexpectedEOF, imap.ResponseCodeClientBug, "The letter broke off"},
		{context.DeadlineExceeded, imap.ResponseCodeUnavailable, "That took too long, try again"},
		{context.Canceled, imap.ResponseCodeUnavailable, "Shutting down, try again later"},
	}
}

// no maps an error. An unknown one is told as "internal" with an id, under
// which the log has it.
func (s *session) no(err error) error {
	if err == nil {
		return nil
	}
	var own *imap.Error
	if errors.As(err, &own) {
		return own
	}
	for _, r := range table() {
		if errors.Is(err, r.err) {
			return &imap.Error{Type: imap.StatusResponseTypeNo, Code: r.code, Text: r.text}
		}
	}
	id := s.srv.Gateway.NewID()
	s.srv.Log.Error("imap command", "id", id, "command", s.conn.verb, "account", s.account(), "peer", s.conn.peer, "error", err)
	return &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeServerBug, Text: "internal " + id}
}

// into is the answer where a target mailbox is missing (RFC 9051 §6.3.12).
func (s *session) into(err error) error {
	if errors.Is(err, gateway.ErrNoMailbox) || errors.Is(err, store.ErrNotFound) {
		return &imap.Error{Type: imap.StatusResponseTypeNo, Code: "TRYCREATE", Text: "There is no such mailbox"}
	}
	return s.no(err)
}
