package imapd

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/store"
)

// plan is what a FETCH writes of each message.
type plan struct {
	uid, flags, date, size, envelope bool
	body, structure                  bool // BODY, BODYSTRUCTURE
	sections                         []item
	sets                             bool // \Seen
	want                             store.Want
}

// item is one section. What it is called in the response is label.
type item struct {
	label   string
	section message.Section
	decoded bool                 // BINARY
	length  bool                 // BINARY.SIZE
	part    *imap.SectionPartial // nil: all
}

func (c *conn) newPlan(w *imapserver.FetchWriter, o *imap.FetchOptions) plan {
	p := plan{uid: o.UID, flags: o.Flags, date: o.InternalDate, size: o.RFC822Size, envelope: o.Envelope}
	if o.BodyStructure != nil {
		p.body, p.structure = c.structures(w)
	}
	for _, s := range o.BodySection {
		p.sections = append(p.sections, item{label: c.label(w, s), section: sectionOf(s), part: s.Partial})
		p.sets = p.sets || !s.Peek
	}
	for _, s := range o.BinarySection {
		p.sections = append(p.sections, item{label: binaryLabel("BINARY", s.Part, s.Partial), section: message.Section{Part: s.Part}, decoded: true, part: s.Partial})
		p.sets = p.sets || !s.Peek
	}
	for _, s := range o.BinarySectionSize {
		p.sections = append(p.sections, item{label: binaryLabel("BINARY.SIZE", s.Part, nil), section: message.Section{Part: s.Part}, decoded: true, length: true})
	}
	if len(p.sections) > 0 {
		p.want = store.WantMail | store.WantHead
	}
	for _, i := range p.sections {
		if !i.whole() {
			p.want |= store.WantOutline
		}
	}
	if p.envelope || p.body || p.structure {
		p.want |= store.WantOutline
	}
	return p
}

// whole reports BODY[], for which nothing has to be known of the mail.
func (i item) whole() bool {
	return !i.decoded && len(i.section.Part) == 0 && i.section.Kind == message.SectionWhole
}

func sectionOf(s *imap.FetchItemBodySection) message.Section {
	kinds := map[imap.PartSpecifier]message.SectionKind{
		imap.PartSpecifierHeader: message.SectionHeader, imap.PartSpecifierText: message.SectionText, imap.PartSpecifierMIME: message.SectionMIME,
	}
	return message.Section{Part: s.Part, Kind: kinds[s.Specifier], Fields: s.HeaderFields, Except: s.HeaderFieldsNot}
}

// label asks the engine what a section is called in the response: only it
// knows whether the client said RFC822 or BODY[]. The octet of a partial it
// would cut to 32 bits.
func (c *conn) label(w *imapserver.FetchWriter, s *imap.FetchItemBodySection) string {
	partial := s.Partial
	if partial != nil {
		copied := *s
		copied.Partial = nil
		s = &copied
	}
	text := c.captured(w, func(r *imapserver.FetchResponseWriter) { r.WriteBodySection(s, 0).Close() })
	return strings.TrimSuffix(text, " {0}\r\n") + origin(partial)
}

func origin(p *imap.SectionPartial) string {
	if p == nil {
		return ""
	}
	return "<" + strconv.FormatInt(p.Offset, 10) + ">"
}

func binaryLabel(name string, part []int, p *imap.SectionPartial) string {
	text := strings.ReplaceAll(strings.Trim(fmt.Sprint(part), "[]"), " ", ".")
	return name + "[" + text + "]" + origin(p)
}

// structures asks the engine which of BODY and BODYSTRUCTURE the client wants.
func (c *conn) structures(w *imapserver.FetchWriter) (body, extended bool) {
	text := c.captured(w, func(r *imapserver.FetchResponseWriter) {
		r.WriteBodyStructure(&imap.BodyStructureSinglePart{Type: "x", Subtype: "x", Extended: &imap.BodyStructureSinglePartExt{}})
	})
	return strings.Contains(text, "BODY ("), strings.Contains(text, "BODYSTRUCTURE (")
}

// captured is what the engine makes of one FETCH item. Between responses its
// own buffer is empty, so that nothing else gets in.
func (c *conn) captured(w *imapserver.FetchWriter, write func(*imapserver.FetchResponseWriter)) string {
	var b bytes.Buffer
	c.capture = &b
	defer func() { c.capture = nil }()
	r := w.CreateMessage(1)
	write(r)
	r.Close()
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), "* 1 FETCH ("), ")\r\n")
}
