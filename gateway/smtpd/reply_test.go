package smtpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestTable(t *testing.T) {
	secretCause := errors.New("pq: password of cryptogramm at 10.0.0.7")
	cases := []struct {
		err  error
		want string // "code enhanced text"
	}{
		{message.ErrBareLineEnd, "550 5.6.11 The letter holds"},
		{message.ErrTooLarge, "552 5.3.4 The letter is too large (id7)"},
		{message.ErrLineTooLong, "550 5.6.0 "},
		{smtp.ErrDataTooLarge, "552 5.3.4 "},
		{smtp.ErrDataReset, "451 4.4.2 "},
		{gateway.ErrBusy, "451 4.3.2 "},
		{gateway.ErrFull, "452 4.3.1 "},
		{errors.Join(gateway.ErrFull, secretCause), "452 4.3.1 "},
		{gateway.ErrStopped, "421 4.3.2 "},
		{account.ErrDenied, "535 5.7.8 "},
		{account.ErrThrottled, "454 4.7.0 "},
		{account.ErrBusy, "454 4.7.0 "},
		{context.DeadlineExceeded, "451 4.3.2 "},
		{context.Canceled, "421 4.3.2 "},
		{replyBroken(io.EOF), "421 4.4.2 The connection"},
		{replyBroken(os.ErrDeadlineExceeded), "421 4.4.2 Waited"},
		{errPanic, "451 4.3.0 id7"},
		{secretCause, "451 4.3.0 id7"},
		{&rem.Refusal{Code: 550, Enhanced: [3]int{5, 7, 7}, Text: "One.\nTwo."}, "550 5.7.7 5.7.7 One.\n5.7.7 Two.\nid7"},
		{&rem.Refusal{Code: 550, Enhanced: [3]int{5, 7, 7}, Text: "\n One.\r\n\n"}, "550 5.7.7 5.7.7 One.\nid7"},
		{&rem.Refusal{Code: 451, Enhanced: [3]int{4, 7, 5}, Err: secretCause}, "451 4.7.5 id7"},
		{&rem.Refusal{Code: 250, Enhanced: [3]int{2, 0, 0}, Text: "fine"}, "451 4.3.0 id7"}, // a fault of ours
		{&rem.Refusal{Code: 550, Enhanced: [3]int{4, 0, 0}, Text: "what"}, "451 4.3.0 id7"},
		{&rem.Refusal{}, "451 4.3.0 id7"},
	}
	for _, c := range cases {
		for _, err := range []error{c.err, fmt.Errorf("spool: %w", c.err)} {
			r := toReply(err, "id7")
			got := fmt.Sprintf("%d %d.%d.%d %s", r.Code, r.EnhancedCode[0], r.EnhancedCode[1], r.EnhancedCode[2], r.Message)
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("%v: %q, want %q", err, got, c.want)
			}
			if strings.Contains(got, "10.0.0.7") {
				t.Errorf("%v: the cause reaches the client: %q", err, got)
			}
		}
	}
}

// Every reason of refusal gives a reply that this door can send.
func TestEveryRefusal(t *testing.T) {
	for _, reason := range []rem.Reason{
		rem.ReasonSignatureFailed, rem.ReasonCertificateTime, rem.ReasonSignerNotSender, rem.ReasonSignerUnbound,
		rem.ReasonNotCovered, rem.ReasonUntrusted, rem.ReasonNoSignedAttrs, rem.ReasonUnsupported, rem.ReasonNoCertificate,
		rem.ReasonNoContent, rem.ReasonFrom, rem.ReasonRevocationUnknown, rem.ReasonUnsigned, rem.ReasonEncrypted,
		rem.ReasonMalformed, "unheard of",
	} {
		r := toReply(rem.Refuse(reason, strings.Repeat("wrong ", 200), rem.Finding{}), "id7")
		if r.Code/100 != r.EnhancedCode[0] || r.Message == "id7" {
			t.Errorf("%s: %+v", reason, r)
		}
		if !strings.HasSuffix(r.Message, "\nid7") {
			t.Errorf("%s: the id is not the last line of %q", reason, r.Message)
		}
		for line := range strings.SplitSeq(r.Message, "\n") {
			if len(line)+len("550-") > maxReplyLine {
				t.Errorf("%s: a line of %d octets is cut", reason, len(line))
			}
		}
	}
}
