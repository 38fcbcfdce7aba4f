package imapd

import (
	"strconv"

	"cryptogramm.ru/cryptogramm/gateway/message"
)

// maxQuoted bounds a quoted string; longer ones become literals.
const maxQuoted = 1000

// appendText is an IMAP string (RFC 9051 §4.3): quoted where it is printable
// ASCII, else a literal, which every client takes for any octets.
func appendText(out []byte, s string) []byte {
	plain := len(s) <= maxQuoted
	for i := 0; plain && i < len(s); i++ {
		plain = s[i] >= ' ' && s[i] <= '~'
	}
	if !plain {
		out = strconv.AppendInt(append(out, '{'), int64(len(s)), 10)
		return append(append(out, "}\r\n"...), s...)
	}
	out = append(out, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			out = append(out, '\\')
		}
		out = append(out, s[i])
	}
	return append(out, '"')
}

// appendOptional is nstring: NIL for none.
func appendOptional(out []byte, s string) []byte {
	if s == "" {
		return append(out, "NIL"...)
	}
	return appendText(out, s)
}

// appendEnvelope is the envelope of RFC 9051 §7.5.2. Sender and Reply-To
// default to From.
func appendEnvelope(out []byte, e *message.Envelope) []byte {
	out = appendOptional(append(out, '('), e.Date)
	out = appendOptional(append(out, ' '), e.Subject)
	sender, reply := e.Sender, e.ReplyTo
	if len(sender) == 0 {
		sender = e.From
	}
	if len(reply) == 0 {
		reply = e.From
	}
	for _, list := range [...][]message.EnvelopeAddress{e.From, sender, reply, e.To, e.Cc, e.Bcc} {
		out = appendAddresses(append(out, ' '), list)
	}
	out = appendOptional(append(out, ' '), e.InReplyTo)
	out = appendOptional(append(out, ' '), e.MessageID)
	return append(out, ')')
}

func appendAddresses(out []byte, list []message.EnvelopeAddress) []byte {
	if len(list) == 0 {
		return append(out, "NIL"...)
	}
	out = append(out, '(')
	for _, a := range list {
		out = appendOptional(append(out, '('), a.Name)
		out = appendOptional(append(out, " NIL "...), a.Mailbox)
		out = appendOptional(append(out, ' '), a.Host)
		out = append(out, ')')
	}
	return append(out, ')')
}

// structure writes BODYSTRUCTURE, or BODY without the extension data.
type structure struct {
	o        *message.Outline
	extended bool
}

// append writes the entity at an index. The outline's depth is bounded.
func (b structure) append(out []byte, at int) []byte {
	e := &b.o.Entities[at]
	out = append(out, '(')
	if e.Multipart() {
		for i := at + 1; i < e.After; i = b.o.Entities[i].After {
			out = b.append(out, i)
		}
		out = appendText(append(out, ' '), e.Subtype)
		if b.extended {
			out = appendParams(append(out, ' '), e.Params)
			out = appendExtension(out, e)
		}
		return append(out, ')')
	}
	out = appendText(out, e.Type)
	out = appendText(append(out, ' '), e.Subtype)
	out = appendParams(append(out, ' '), e.Params)
	out = appendOptional(append(out, ' '), e.ID)
	out = appendOptional(append(out, ' '), e.Description)
	out = appendText(append(out, ' '), e.Encoding)
	out = strconv.AppendInt(append(out, ' '), e.Body.Length, 10)
	if e.Message() {
		out = appendEnvelope(append(out, ' '), b.o.Entities[at+1].Envelope)
		out = b.append(append(out, ' '), at+1)
	}
	if e.Message() || e.Text() {
		out = strconv.AppendInt(append(out, ' '), e.Lines, 10)
	}
	if b.extended {
		out = appendOptional(append(out, ' '), e.MD5)
		out = appendExtension(out, e)
	}
	return append(out, ')')
}

func appendParams(out []byte, list []message.Param) []byte {
	if len(list) == 0 {
		return append(out, "NIL"...)
	}
	for i, p := range list {
		open := byte(' ')
		if i == 0 {
			open = '('
		}
		out = appendText(append(out, open), p.Name)
		out = appendText(append(out, ' '), p.Value)
	}
	return append(out, ')')
}

// appendExtension is disposition, language and location.
func appendExtension(out []byte, e *message.Entity) []byte {
	out = append(out, ' ')
	if e.Disposition == "" {
		out = append(out, "NIL"...)
	} else {
		out = appendText(append(out, '('), e.Disposition)
		out = append(appendParams(append(out, ' '), e.DispParams), ')')
	}
	out = append(out, ' ')
	if len(e.Language) == 0 {
		out = append(out, "NIL"...)
	} else {
		for i, tag := range e.Language {
			open := byte(' ')
			if i == 0 {
				open = '('
			}
			out = appendText(append(out, open), tag)
		}
		out = append(out, ')')
	}
	return appendOptional(append(out, ' '), e.Location)
}
