package smtpd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/emersion/go-smtp"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// row is one line of the table from error to reply.
type row struct {
	err  error
	code int
	ec   smtp.EnhancedCode
	text string
}

// table is where every error of this door becomes a reply; *rem.Refusal and
// replies themselves are taken as they are.
func table() []row {
	return []row{
		{message.ErrBareLineEnd, 550, smtp.EnhancedCode{5, 6, 11}, "The letter holds a bare CR, a bare LF or a NUL"},
		{message.ErrTooLarge, 552, smtp.EnhancedCode{5, 3, 4}, "The letter is too large"},
		{message.ErrLineTooLong, 550, smtp.EnhancedCode{5, 6, 0}, "The letter holds a line that is too long"},
		{gateway.ErrBusy, 451, smtp.EnhancedCode{4, 3, 2}, "Too many letters at once, try again"},
		{gateway.ErrFull, 452, smtp.EnhancedCode{4, 3, 1}, "Storage is full, try again later"},
		{gateway.ErrStopped, 421, smtp.EnhancedCode{4, 3, 2}, "The gateway is not accepting letters, try again later"},
		{account.ErrDenied, 535, smtp.EnhancedCode{5, 7, 8}, "Address or password is wrong"},
		{account.ErrThrottled, 454, smtp.EnhancedCode{4, 7, 0}, "Too many failures, try again later"},
		{account.ErrBusy, 454, smtp.EnhancedCode{4, 7, 0}, "Too many logins at once, try again"},
		{smtp.ErrDataReset, 451, smtp.EnhancedCode{4, 4, 2}, "The transfer was broken off"},
		{context.DeadlineExceeded, 451, smtp.EnhancedCode{4, 3, 2}, "The letter could not be judged in time, try again"},
		{context.Canceled, 421, smtp.EnhancedCode{4, 3, 2}, "Shutting down, try again later"},
	}
}

// toReply maps an error. id is of the transaction; it is the last word of what
// the client is told, and the key to the log.
func toReply(err error, id string) *smtp.SMTPError {
	var refusal *rem.Refusal
	if errors.As(err, &refusal) {
		return refused(refusal, id)
	}
	for _, r := range table() {
		if errors.Is(err, r.err) {
			return &smtp.SMTPError{Code: r.code, EnhancedCode: r.ec, Message: r.text + " (" + id + ")"}
		}
	}
	var own *smtp.SMTPError
	if errors.As(err, &own) {
		return own
	}
	return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: id}
}

// refused is a refusal as a reply of several lines, the id in the last.
func refused(r *rem.Refusal, id string) *smtp.SMTPError {
	ec := smtp.EnhancedCode(r.Enhanced)
	if r.Code < 400 || r.Code > 599 || ec[0] != r.Code/100 {
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: id}
	}
	var lines []string
	for line := range strings.SplitSeq(r.Text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return &smtp.SMTPError{Code: r.Code, EnhancedCode: ec, Message: multiline(ec, append(lines, id))}
}

// multiline puts the enhanced code before every line: the engine puts it only
// before the last (RFC 2034 §4 wants all).
func multiline(ec smtp.EnhancedCode, lines []string) string {
	var b strings.Builder
	for i, line := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		if i < len(lines)-1 {
			line = enhanced(ec, line)
		}
		b.WriteString(line)
	}
	return b.String()
}

func enhanced(ec smtp.EnhancedCode, text string) string {
	return fmt.Sprintf("%d.%d.%d %s", ec[0], ec[1], ec[2], text)
}

// replyAccepted is 250: the engine sends whatever reply Data returns.
func replyAccepted(id string) *smtp.SMTPError {
	return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: id + " accepted"}
}

// Replies of the guard and of the session's own rules.
func say(code int, ec smtp.EnhancedCode, text string) *smtp.SMTPError {
	return &smtp.SMTPError{Code: code, EnhancedCode: ec, Message: text}
}

func replyBadLine() *smtp.SMTPError {
	return say(500, smtp.EnhancedCode{5, 5, 2}, "A command is one line of text ending in CRLF; closing")
}
func replyLineTooLong() *smtp.SMTPError {
	return say(500, smtp.EnhancedCode{5, 5, 2}, "Line too long; closing")
}
func replyBadChunk() *smtp.SMTPError {
	return say(501, smtp.EnhancedCode{5, 5, 4}, "BDAT takes a size and LAST; closing")
}
func replyTooMany() *smtp.SMTPError {
	return say(421, smtp.EnhancedCode{4, 7, 0}, "Too many commands; closing")
}
func replyIdle() *smtp.SMTPError {
	return say(421, smtp.EnhancedCode{4, 4, 2}, "Waited too long; closing")
}
func replyShutdown() *smtp.SMTPError {
	return say(421, smtp.EnhancedCode{4, 3, 2}, "Shutting down, try again later")
}
func replyEnded() *smtp.SMTPError {
	return say(421, smtp.EnhancedCode{4, 7, 0}, "Your logins were ended; log in again")
}
func replyInjected() *smtp.SMTPError {
	return say(554, smtp.EnhancedCode{5, 5, 1}, "Octets after STARTTLS; closing")
}
func replyTooLarge() *smtp.SMTPError {
	return say(552, smtp.EnhancedCode{5, 3, 4}, "The letter is too large")
}

// replyNeedsUTF8 is RFC 6531 §3.5's answer.
func replyNeedsUTF8() *smtp.SMTPError {
	return say(553, smtp.EnhancedCode{5, 6, 7}, "An address beyond ASCII needs MAIL with SMTPUTF8")
}

// agreed is our text for what the engine answers on its own: it would repeat
// the client's words.
func agreed(verb string) string {
	switch verb {
	case "MAIL":
		return enhanced(smtp.EnhancedCode{2, 1, 0}, "Sender taken")
	case "RCPT":
		return enhanced(smtp.EnhancedCode{2, 1, 5}, "Recipient taken")
	case "NOOP":
		return enhanced(smtp.EnhancedCode{2, 0, 0}, "OK")
	}
	return ""
}

// replyBroken is for a letter that stopped arriving.
func replyBroken(err error) *smtp.SMTPError {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return replyIdle()
	}
	return say(421, smtp.EnhancedCode{4, 4, 2}, "The connection was broken off")
}
