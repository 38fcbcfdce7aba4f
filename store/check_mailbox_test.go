package store

import (
	"strings"
	"testing"
)

func TestCheckNamesTamperingWithMail(t *testing.T) {
	type exec = func(string, ...any)
	cases := []struct {
		name string
		do   func(x exec)
		want string
	}{
		{"count", func(x exec) { x("UPDATE mailboxes SET messages = messages + 1 WHERE role = 'sent'") }, "do not fit its messages"},
		{"size", func(x exec) { x("UPDATE mailboxes SET size = 1 WHERE role = 'drafts'") }, "do not fit its messages"},
		{"unseen", func(x exec) { x("UPDATE mailboxes SET unseen = unseen + 1 WHERE role = 'received'") }, "do not fit its messages"},
		{"next UID", func(x exec) { x("UPDATE mailboxes SET uid_next = 1") }, "do not fit its messages"},
		{"modseq", func(x exec) { x("UPDATE mailboxes SET modseq = 1 WHERE role = 'sent'") }, "do not fit its messages"},
		{"tombstone", func(x exec) { x("UPDATE tombstones SET uid = 99") }, "forgotten what it gave out"},
		{"validity", func(x exec) { x("UPDATE mail_accounts SET validity = 1") }, "forgotten what it gave out"},
		{"folder", func(x exec) { x("DELETE FROM mailboxes WHERE role = 'trash'") }, "each of its folders (5)"},
		{"charge", func(x exec) { x("UPDATE mail_accounts SET octets = octets + 1") }, "octets it is charged with"},
		{"message gone", func(x exec) { x("DELETE FROM messages WHERE mail NOT IN (SELECT id FROM mails WHERE home <> '')") }, "lies nowhere"},
		{"mail gone", func(x exec) { x("DELETE FROM mails WHERE home = 'received'") }, "rows of messages name absent mails"},
		{"Sent copy gone", func(x exec) {
			x("DELETE FROM messages WHERE mail IN (SELECT id FROM mails WHERE home = 'sent') AND uid = 2")
			x("DELETE FROM mails WHERE home = 'sent' AND NOT EXISTS (SELECT 1 FROM messages x WHERE x.mail = id)")
		}, "its Sent copy is gone"},
		{"Received copy gone", func(x exec) {
			x("DELETE FROM messages WHERE mail IN (SELECT id FROM mails WHERE home = 'received')")
			x("DELETE FROM mails WHERE home = 'received'")
		}, "its Received copy is gone"},
		{"head", func(x exec) { x("UPDATE mails SET head = $1 WHERE home = 'sent'", []byte("x")) }, "do not make its octets"},
		{"range", func(x exec) { x("UPDATE mails SET skip = skip + 1 WHERE home = 'sent'") }, "do not make its octets"},
		{"blob", func(x exec) { x("UPDATE mails SET sha256 = $1 WHERE home = 'sent'", make([]byte, 32)) }, "does not show the submission"},
		{"body left out", func(x exec) {
			x("UPDATE mails SET length = length - 1, size = size - 1 WHERE home = 'received'")
		}, "does not show what was received"},
		{"outline", func(x exec) { x("UPDATE outlines SET outline = $1", []byte("x")) }, "with another outline"},
		{"outline gone", func(x exec) { x("DELETE FROM outlines") }, "with another outline"},
		{"outline left", func(x exec) { x("DELETE FROM messages") }, "outline of a message that is not there"},
		{"another's", func(x exec) { x("UPDATE mails SET account = (SELECT id FROM users WHERE email LIKE 'alice%')") }, "lies where it may not"},
		{"home", func(x exec) { x("UPDATE mails SET home = 'receipts' WHERE home = 'received'") }, "lies where it may not"},
		{"keyword", func(x exec) { x("UPDATE messages SET flags = REPLACE(flags, '$Received', '$Verified')") }, "do not follow from the states"},
		{"keyword removed", func(x exec) { x("UPDATE messages SET flags = REPLACE(flags, ' $Received', '')") }, "do not follow from the states"},
		{"seen", func(x exec) {
			x("UPDATE messages SET seen = 1 - seen")
			x("UPDATE mailboxes SET unseen = messages - unseen")
		}, "flags are not as they are kept"},
		{"flags", func(x exec) { x("UPDATE messages SET flags = '\\deleted'") }, "flags are not as they are kept"},
	}
	onEveryEngine(t, func(t *testing.T, p *place) {
		for i, c := range cases {
			if p.Driver != "sqlite" && i%6 > 0 { // one SQL for both: some will do
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				own := sqlitePlace(t)
				if p.Driver != "sqlite" {
					own = postgresPlace(t, p.server)
				}
				o := newOffice(t, own)
				n := o.send(t, "bob@example.test")
				o.send(t, "bob@example.test", "carol@example.test")
				o.receive(t, n, 0, o.bob)
				drafts := o.box(t, o.alice, "Drafts")
				o.put(t, drafts)
				o.put(t, drafts, `\Deleted`)
				got[[]uint32](t)(o.db.Expunge(ctx, drafts.ID, nil))
				o.sound(t)
				own.tamper(t, func(x func(string, ...any)) { c.do(x) })
				if found := problems(t, o.db); !strings.Contains(strings.Join(found, "\n"), c.want) {
					t.Errorf("want a problem with %q, have:\n%s", c.want, strings.Join(found, "\n"))
				}
			})
		}
	})
}

func TestDeliveredMailIsGuarded(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		o := newOffice(t, p)
		o.send(t, "bob@example.test")
		o.put(t, o.box(t, o.alice, "Drafts"))
		raw := p.raw(t)
		for _, text := range []string{"DELETE FROM messages", "UPDATE mails SET head = '', size = length"} {
			_, err := raw.Exec(text)
			if update := strings.HasPrefix(text, "UPDATE"); (err != nil) != update {
				t.Errorf("%s: %v", text, err)
			}
		}
		if _, err := raw.Exec("DELETE FROM mails WHERE home = 'sent'"); err == nil || !strings.Contains(err.Error(), "insert-only") {
			t.Errorf("a Sent copy was deleted: %v", err)
		}
		if _, err := raw.Exec("DELETE FROM mails WHERE home = ''"); err != nil {
			t.Errorf("own mail: %v", err)
		}
	})
}
