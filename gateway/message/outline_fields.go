package message

import (
	"strings"
)

// describe fills in what the header says of an entity, and answers the
// boundary of a multipart. A Content-Type that cannot be read counts as absent
// (RFC 2045 §5.2).
func (p *outliner) describe(e *Entity, kind, sub string) (boundary string) {
	fields, _ := splitHeader(string(p.header))
	e.Type, e.Subtype = kind, sub
	value, params := p.structured(fields.Get("Content-Type"))
	if k, s, ok := strings.Cut(value, "/"); ok && isToken(k) && isToken(s) {
		e.Type, e.Subtype, e.Params = p.keep(k), p.keep(s), params
		if e.Type == "" || e.Subtype == "" { // no room
			e.become("application", "octet-stream")
		}
	}
	if e.Multipart() {
		if t, err := parseStructured(fields.Get("Content-Type"), outlineParams); err == nil {
			boundary = t.params["boundary"]
		}
	}
	e.Encoding = "7bit"
	if v := strings.ToLower(dropComments(fields.Get("Content-Transfer-Encoding"))); v != "" {
		e.Encoding = p.keep(oneLine(v))
	}
	e.ID = p.field(fields, "Content-ID")
	e.Description = p.field(fields, "Content-Description")
	e.MD5 = p.field(fields, "Content-MD5")
	e.Location = p.field(fields, "Content-Location")
	if value, params = p.structured(fields.Get("Content-Disposition")); isToken(value) {
		e.Disposition, e.DispParams = p.keep(value), params
	}
	for tag := range strings.SplitSeq(dropComments(fields.Get("Content-Language")), ",") {
		if tag = strings.Trim(tag, " \t"); isToken(tag) && len(e.Language) < outlineParams {
			e.Language = append(e.Language, p.keep(tag))
		}
	}
	if e.Envelope != nil {
		e.Envelope = p.envelope(fields)
	}
	return boundary
}

// keep copies text out of a header, as long as there is room; else "".
func (p *outliner) keep(s string) string {
	if len(s) > p.text {
		return ""
	}
	p.text -= len(s)
	return strings.Clone(s)
}

func (p *outliner) field(h Header, name string) string { return p.keep(oneLine(h.Get(name))) }

// structured reads "value; name=value", lower case where case means nothing.
func (p *outliner) structured(s string) (value string, params []Param) {
	s = oneLine(s)
	head, rest, _ := strings.Cut(s, ";")
	for rest != "" && len(params) < outlineParams {
		var name, v string
		if name, v, _, rest = nextParameter(rest); name != "" {
			params = append(params, Param{p.keep(name), p.keep(v)})
		}
	}
	return strings.ToLower(dropComments(head)), params
}

func (p *outliner) envelope(h Header) *Envelope {
	e := &Envelope{
		Date: p.field(h, "Date"), Subject: p.field(h, "Subject"),
		InReplyTo: p.field(h, "In-Reply-To"), MessageID: p.field(h, "Message-ID"),
	}
	e.From = p.addresses(h, "From")
	e.Sender = p.addresses(h, "Sender")
	e.ReplyTo = p.addresses(h, "Reply-To")
	e.To = p.addresses(h, "To")
	e.Cc = p.addresses(h, "Cc")
	e.Bcc = p.addresses(h, "Bcc")
	return e
}

// addresses reads every field of a name, leniently: what is an address to
// nobody is shown as well as it goes.
func (p *outliner) addresses(h Header, name string) (list []EnvelopeAddress) {
	add := func(name, mailbox, host string) {
		list = append(list, EnvelopeAddress{p.keep(name), p.keep(mailbox), p.keep(host)})
	}
	for _, f := range h.All(name) {
		group := false
		for s := oneLine(f.Value()); s != "" && len(list) < outlineAddresses; {
			var item string
			var end byte
			item, s, end = nextItem(s)
			item = strings.Trim(item, " \t")
			switch {
			case end == ':':
				if g := phraseOctets(item); !group && g != "" {
					add("", g, "")
					group = true
				}
				continue
			case dropComments(item) != "":
				add(splitMailbox(item))
			}
			if end == ';' && group {
				add("", "", "")
				group = false
			}
		}
		if group {
			add("", "", "")
		}
	}
	return list
}

// What ENVELOPE says where an address lacks a half: NIL would mean a group.
const (
	missingMailbox = "MISSING_MAILBOX"
	missingHost    = "MISSING_DOMAIN"
)

// splitMailbox takes name-addr or addr-spec apart (RFC 5322 §3.4), source
// routes left out.
func splitMailbox(s string) (name, mailbox, host string) {
	spec := s
	if open := indexOutside(s, '<'); open >= 0 {
		name = phraseOctets(s[:open])
		spec, _, _ = strings.Cut(s[open+1:], ">")
	}
	spec = dropComments(spec)
	if route, rest, ok := strings.Cut(spec, ":"); ok && strings.HasPrefix(route, "@") {
		spec = rest
	}
	mailbox, host = spec, missingHost
	if at := strings.LastIndexByte(spec, '@'); at >= 0 {
		mailbox, host = spec[:at], strings.Trim(spec[at+1:], " \t")
	}
	if mailbox = phraseOctets(mailbox); mailbox == "" {
		mailbox = missingMailbox
	}
	if host == "" {
		host = missingHost
	}
	return name, mailbox, host
}

// phraseOctets is a phrase without its quotes and comments, not decoded.
func phraseOctets(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		switch n := skipQuoted(s[i:]); {
		case n > 0 && s[i] == '"':
			text, _, _ := quotedString(s[i : i+n])
			b.WriteString(text)
			i += n
		case n > 0:
			i += n
		default:
			b.WriteByte(s[i])
			i++
		}
	}
	return strings.Trim(b.String(), " \t")
}
