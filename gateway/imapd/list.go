package imapd

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"cryptogramm.ru/cryptogramm/store"
)

const separator = '/'

// maxPatterns bounds the octets of a LIST's patterns, each of which is set
// against every octet of every name.
const maxPatterns = 4 << 10

func trimSeparator(name string) string { return strings.TrimSuffix(name, string(separator)) }

// listed is one name of the hierarchy; box is nil where only names below it
// exist.
type listed struct {
	name     string
	box      *store.Mailbox
	children bool // names below it exist
	below    bool // subscribed names below it exist
}

// List is LIST and LSUB (RFC 9051 §6.3.9, RFC 3501 §6.3.9).
func (s *session) List(w *imapserver.ListWriter, ref string, patterns []string, options *imap.ListOptions) error {
	if len(patterns) == 0 { // the separator is asked for
		return w.WriteList(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttrNoSelect}, Delim: separator})
	}
	length := len(ref) * len(patterns)
	for _, p := range patterns {
		length += len(p)
	}
	if length > maxPatterns {
		return s.no(errPatterns)
	}
	boxes, err := s.srv.DB.Mailboxes(s.srv.ctx, s.user.ID)
	if err != nil {
		return s.no(err)
	}
	match := matcher(ref, patterns)
	for _, l := range hierarchy(boxes) {
		data := l.data(options)
		if data == nil || !match(l.name) {
			continue
		}
		if options.ReturnStatus != nil && l.box != nil {
			if options.ReturnStatus.DeletedStorage {
				return s.no(errStorage)
			}
			if data.Status, err = s.status(l.box); err != nil {
				return err
			}
		}
		if err := w.WriteList(data); err != nil {
			return err
		}
	}
	return nil
}

// hierarchy lists mailboxes and the names above them that are none, by name.
func hierarchy(boxes []store.Mailbox) []*listed {
	all := map[string]*listed{}
	at := func(name string) *listed {
		if all[name] == nil {
			all[name] = &listed{name: name}
		}
		return all[name]
	}
	for i := range boxes {
		b := &boxes[i]
		at(b.Name).box = b
		for name := b.Name; ; {
			cut := strings.LastIndexByte(name, separator)
			if cut <= 0 {
				break
			}
			name = name[:cut]
			above := at(name)
			above.children = true
			above.below = above.below || b.Subscribed
		}
	}
	var list []*listed
	for _, l := range all {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b *listed) int { return strings.Compare(a.name, b.name) })
	return list
}

// data is the response for a name, nil when it is not selected (RFC 5258 §3).
func (l *listed) data(options *imap.ListOptions) *imap.ListData {
	d := &imap.ListData{Mailbox: l.name, Delim: separator}
	subscribed := l.box != nil && l.box.Subscribed
	info := options.SelectRecursiveMatch && l.below
	if options.SelectSubscribed && !subscribed && !info {
		return nil
	}
	if l.box == nil {
		d.Attrs = append(d.Attrs, imap.MailboxAttrNonExistent, imap.MailboxAttrNoSelect)
	}
	if l.children {
		d.Attrs = append(d.Attrs, imap.MailboxAttrHasChildren)
	} else {
		d.Attrs = append(d.Attrs, imap.MailboxAttrHasNoChildren)
	}
	if subscribed && (options.SelectSubscribed || options.ReturnSubscribed) {
		d.Attrs = append(d.Attrs, imap.MailboxAttrSubscribed)
	}
	use := l.specialUse()
	if use != "" {
		d.Attrs = append(d.Attrs, use)
	}
	if options.SelectSpecialUse && use == "" {
		return nil
	}
	if info {
		d.ChildInfo = &imap.ListDataChildInfo{Subscribed: true}
	}
	return d
}

// specialUse is that of RFC 6154. Received and Receipts have none there.
func (l *listed) specialUse() imap.MailboxAttr {
	if l.box == nil {
		return ""
	}
	switch l.box.Role {
	case store.RoleSent:
		return imap.MailboxAttrSent
	case store.RoleDrafts:
		return imap.MailboxAttrDrafts
	case store.RoleTrash:
		return imap.MailboxAttrTrash
	}
	return ""
}

// matcher reports whether a name matches one of the patterns behind ref.
func matcher(ref string, patterns []string) func(string) bool {
	full := make([]string, len(patterns))
	for i, p := range patterns {
		full[i] = ref + p
		if head, _, _ := strings.Cut(full[i], string(separator)); strings.EqualFold(head, "INBOX") {
			full[i] = "INBOX" + full[i][len(head):]
		}
	}
	return func(name string) bool {
		return slices.ContainsFunc(full, func(p string) bool { return matchName(p, name) })
	}
}

// matchName sets a name against a pattern with "*" and "%" (RFC 9051 §6.3.9.1).
// It costs the product of their lengths, whatever the pattern: row[i] is
// whether what was read of the pattern matches the first i octets of the name.
func matchName(pattern, name string) bool {
	row := make([]bool, len(name)+1)
	row[0] = true
	for _, c := range []byte(pattern) {
		if c == '*' || c == '%' {
			for i := 1; i <= len(name); i++ {
				row[i] = row[i] || row[i-1] && (c == '*' || name[i-1] != separator)
			}
			continue
		}
		for i := len(name); i > 0; i-- {
			row[i] = row[i-1] && name[i-1] == c
		}
		row[0] = false
	}
	return row[len(name)]
}
