package notify

import (
	"context"
	"errors"
	"fmt"

	"github.com/emersion/go-smtp"
)

// PermanentError means that sending the same mail again is useless.
type PermanentError struct {
	Stage string // "address", "MAIL", "RCPT", "DATA"
	Code  int    // the relay's reply; 0 when it was not asked
	Text  string // what it said; outside text, made safe to show
	Err   error
}

// TemporaryError means that a later try may succeed.
type TemporaryError struct {
	Stage string // "connect", "greeting", "STARTTLS", "AUTH", "RSET", "MAIL", "RCPT", "DATA"
	Code  int    // 0 when the relay gave no answer
	Text  string
	Err   error
}

func (e *PermanentError) Error() string { return describe(e.Stage, e.Code, e.Text, e.Err) }

// Unwrap gives the cause.
func (e *PermanentError) Unwrap() error { return e.Err }

func (e *TemporaryError) Error() string { return describe(e.Stage, e.Code, e.Text, e.Err) }

// Unwrap gives the cause.
func (e *TemporaryError) Unwrap() error { return e.Err }

func describe(stage string, code int, text string, cause error) string {
	if code != 0 {
		return fmt.Sprintf("send mail: %s answered %d %s", stage, code, text)
	}
	return fmt.Sprintf("send mail: %s: %v", stage, cause)
}

// maxReply is how much of a relay's reply is kept, in characters.
const maxReply = 300

// classify sorts what went wrong. Only a 5xx about this very mail is for good:
// a relay that refuses the connection, our name or our password has to be
// mended by the operator, and the mail waits for that.
func classify(ctx context.Context, stage string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, errUnable) {
		return &PermanentError{Stage: stage, Err: err}
	}
	var reply *smtp.SMTPError
	if !errors.As(err, &reply) {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w (%w)", ctx.Err(), err)
		}
		return &TemporaryError{Stage: stage, Err: err}
	}
	text := inert(reply.Message, maxReply)
	if permanent(stage, reply.Code) {
		return &PermanentError{Stage: stage, Code: reply.Code, Text: text, Err: err}
	}
	return &TemporaryError{Stage: stage, Code: reply.Code, Text: text, Err: err}
}

func permanent(stage string, code int) bool {
	if code/100 != 5 {
		return false
	}
	switch code {
	case 530, 534, 535, 538: // authentication or encryption wanted (RFC 4954 §6, RFC 3207 §4)
		return false
	}
	return stage == "MAIL" || stage == "RCPT" || stage == "DATA"
}
