package store

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// full fills a mailbox with n mails of a usual size: 1.5 KB of header, 600
// octets of outline.
func (o *office) full(b testing.TB, box *Mailbox, n int) {
	b.Helper()
	head, outline := bytes.Repeat([]byte("h"), 1500), bytes.Repeat([]byte("o"), 600)
	for done := 0; done < n; done += manyMessages {
		must(b, o.db.write(ctx, func(t *tx) error {
			var mails [][]any
			var rows []messageRow
			d := delta{uids: manyMessages}
			for i := range manyMessages {
				id := t.newID()
				m := messageRow{mail: id, size: 20_000, internal: micros(t.now), flags: []string{`\Seen`, "$Notified"}}
				mails = append(mails, []any{id, box.Account, "", "", rem.DigestOf([]byte(id)), 20_000, 1500, 18_500, 20_000,
					fmt.Sprintf("<%d@example.test>", done+i), nil, outline, head})
				rows = append(rows, m)
				d.count(1, m.flags, m.size)
			}
			c, err := t.advance(d, byID, box.ID)
			if err != nil {
				return err
			}
			for i := range rows {
				rows[i].uid = c.uid + uint32(i)
			}
			_, err = t.insert(insertion{
				into: "mails (id, account, home, submission, sha256, blob_size, skip, length, size, message_id, signed, outline, head)", rows: mails,
			})
			if err != nil {
				return err
			}
			return t.addMessages(c, rows)
		}))
	}
}

// processTime is what this process has used of the processors, whatever else
// runs beside it.
func processTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMailbox reads and changes a mailbox of 100,000 messages.
func BenchmarkMailbox(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchMailbox(b, sqlitePlace(b)) })
	if dsn := os.Getenv("CRYPTOGRAMM_POSTGRES"); dsn != "" {
		b.Run("postgres", func(b *testing.B) { benchMailbox(b, postgresPlace(b, dsn)) })
	}
}

func benchMailbox(b *testing.B, p *place) {
	o := newOffice(b, p)
	box, trash := o.box(b, o.alice, "Drafts"), o.box(b, o.alice, "Trash")
	o.full(b, box, 100_000)
	if p.Driver == "postgres" {
		if _, err := p.raw(b).Exec("ANALYZE"); err != nil {
			b.Fatal(err)
		}
	}
	run := func(name string, f func(b *testing.B)) {
		b.Run(name, func(b *testing.B) {
			before := processTime(b)
			f(b)
			b.ReportMetric(float64((processTime(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
	run("uids of 100000", func(b *testing.B) {
		for b.Loop() {
			if uids, _, err := o.db.MessageUIDs(ctx, box.ID); err != nil || len(uids) != 100_000 {
				b.Fatal(len(uids), err)
			}
		}
	})
	for _, q := range []struct {
		name string
		want Want
		n    uint32
	}{
		{"flags", 0, 10_000}, {"outlines", WantOutline, 10_000}, {"mails", WantMail, 256}, {"heads", WantMail | WantHead, 256},
	} {
		run(fmt.Sprintf("%s of %d", q.name, q.n), func(b *testing.B) {
			from := uint32(1)
			for b.Loop() {
				out, err := o.db.Messages(ctx, MessageQuery{Mailbox: box.ID, Ranges: []UIDRange{{from, from + q.n - 1}}, Want: q.want, Limit: int(q.n)})
				if err != nil || len(out) != int(q.n) {
					b.Fatal(len(out), err)
				}
				from = (from+q.n)%80_000 + 1
			}
		})
	}
	run("status", func(b *testing.B) {
		for b.Loop() {
			got[MailboxStatus](b)(o.db.MailboxStatus(ctx, box.ID))
		}
	})
	run("a mail and its change", func(b *testing.B) {
		since := got[*Mailbox](b)(o.db.Mailbox(ctx, box.ID)).ModSeq
		for b.Loop() {
			o.put(b, box)
			since = got[Changes](b)(o.db.MailboxChanges(ctx, box.ID, since)).ModSeq
		}
	})
	run("flags of 100000 set", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			must(b, o.db.SetFlags(ctx, FlagChange{box.ID, []UIDRange{everyUID}, FlagOp(1 + i%2), []string{`\Flagged`}}))
		}
	})
	run("10000 moved", func(b *testing.B) {
		from, to, ranges := box, trash, []UIDRange{{1, 10_000}}
		for b.Loop() {
			c := got[Copied](b)(o.db.CopyMessages(ctx, CopyRequest{from.ID, to.ID, ranges, true}, ownQuota))
			if len(c.Dest) != 10_000 {
				b.Fatal(len(c.Dest))
			}
			from, to, ranges = to, from, []UIDRange{{c.Dest[0], c.Dest[9_999]}}
		}
		got[Copied](b)(o.db.CopyMessages(ctx, CopyRequest{from.ID, box.ID, ranges, true}, ownQuota))
	})
}
