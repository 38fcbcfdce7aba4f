package smtpd

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/emersion/go-smtp"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// errPanic stands for a fault of ours while a letter was received.
var errPanic = errors.New("panic")

// event is what the log keeps of one transaction: no body, no secret.
type event struct {
	env       rem.Envelope
	began     time.Time
	body      *body
	id        string // of the submission, once accepted: an earlier one for a repeated letter
	reply     *smtp.SMTPError
	err       error
	fault     any // recovered
	abandoned bool
}

// record writes the one wide event.
func (s *Server) record(e *event) {
	level, attrs := slog.LevelInfo, []slog.Attr{
		slog.String("id", e.env.ID), slog.String("door", e.env.Door),
		slog.String("account", e.env.Account), slog.String("login", e.env.Login),
		slog.String("from", e.env.From), slog.String("peer", e.env.Peer), slog.String("tls", e.env.TLS),
		slog.Int("recipients", len(e.env.Recipients)),
		slog.Int64("size", e.body.size()), slog.Duration("duration", time.Since(e.began)),
	}
	verdict := "abandoned"
	if !e.abandoned {
		attrs = append(attrs, slog.Int("code", e.reply.Code))
		verdict, attrs = e.outcome(attrs)
		if e.reply.Code/100 == 4 {
			level = slog.LevelWarn
		}
	}
	if e.fault != nil {
		level = slog.LevelError
		attrs = append(attrs, slog.String("panic", fmt.Sprint(e.fault)), slog.String("stack", string(debug.Stack())))
	}
	s.log.LogAttrs(s.ctx, level, "submission", append(attrs, slog.String("verdict", verdict))...)
}

// outcome is the word for what became of the letter, with its particulars.
func (e *event) outcome(attrs []slog.Attr) (string, []slog.Attr) {
	var refusal *rem.Refusal
	switch {
	case e.fault != nil:
		return "error", attrs
	case e.err == nil && e.id != e.env.ID:
		return "repeated", append(attrs, slog.String("submission", e.id))
	case e.err == nil:
		return "accepted", attrs
	case errors.As(e.err, &refusal):
		attrs = append(attrs, slog.String("reason", string(refusal.Reason)), slog.String("finding", string(refusal.Finding.Verdict)))
		if refusal.Err != nil {
			attrs = append(attrs, slog.Any("error", refusal.Err))
		}
		return "refused", attrs
	}
	return "error", append(attrs, slog.Any("error", e.err))
}
