package gateway

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/document"
	"cryptogramm.ru/cryptogramm/gateway/judge"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// folder are the mails in a user's folder, oldest first, with their octets.
func (w *world) folder(user *store.User, role store.Role) []store.Message {
	w.t.Helper()
	boxes, err := w.DB.Mailboxes(w.t.Context(), user.ID)
	w.must(err)
	i := slices.IndexFunc(boxes, func(b store.Mailbox) bool { return b.Role == role })
	if i < 0 {
		return nil
	}
	list, err := w.DB.Messages(w.t.Context(), store.MessageQuery{
		Mailbox: boxes[i].ID, Ranges: []store.UIDRange{{From: 1, To: 1<<32 - 1}}, Want: store.WantMail | store.WantHead | store.WantOutline, Limit: 1000,
	})
	w.must(err)
	return list
}

// receipts are the mails in anna's Receipts by the event they are of, each
// found good; warnings of delay are left out.
func (w *world) receipts() map[rem.Event][]store.Message {
	w.t.Helper()
	out := map[rem.Event][]store.Message{}
	for _, m := range w.folder(w.anna.user, store.RoleReceipts) {
		if strings.HasSuffix(m.ID, ".delayed") {
			continue
		}
		r := w.receiptIn(m)
		out[r.Event] = append(out[r.Event], m)
	}
	return out
}

// receiptIn reads a receipt as a stranger can: its signature is the gateway's
// and good, the evidence file in it is whole and what the gateway holds.
func (w *world) receiptIn(m store.Message) rem.Record {
	w.t.Helper()
	l := w.signedByGateway(m.Head)
	mixed := l.Root.Parts[0]
	if mixed.MediaType != "multipart/mixed" || len(mixed.Parts) != 2 || mixed.Parts[0].MediaType != "text/plain" || mixed.Parts[1].MediaType != "application/json" {
		w.t.Fatalf("the receipt is built otherwise:\n%s", m.Head)
	}
	b := w.part(l, mixed.Parts[1])
	file, err := document.ParseEvidence(b)
	w.must(err)
	record, err := file.Evidence()
	w.must(err)
	rows, err := w.DB.Evidence(w.t.Context(), store.EvidenceFilter{ID: record.ID})
	w.must(err)
	if len(rows) != 1 || !bytes.Equal(rows[0].Record, file.Record) || rows[0].Digest != file.Digest || !bytes.Equal(rows[0].Salt, file.Salt) {
		w.t.Fatalf("the evidence in the receipt is not the one on record")
	}
	if name := mixed.Parts[1].FileName; name != record.ID+".json" {
		w.t.Errorf("the evidence is named %q", name)
	}
	text := string(w.part(l, mixed.Parts[0]))
	for _, want := range []string{record.ID, file.Digest.String(), fmt.Sprintf("%x", file.Salt), record.Sender, record.Submission} {
		if !strings.Contains(text, want) {
			w.t.Errorf("%s: the text does not say %q", record.Event, want)
		}
	}
	if m.MessageID != "<"+record.ID+".receipt@gate.test>" || l.MessageID != m.MessageID || m.ID != record.ID+".receipt" {
		w.t.Errorf("mail %s, Message-ID %s and %s", m.ID, m.MessageID, l.MessageID)
	}
	late := l.Date.Sub(rows[0].Time) > punctual
	if !m.Internal.Equal(rows[0].Time) || !late && !l.Date.Equal(rows[0].Time.Truncate(time.Second)) || len(m.Flags) != 0 || m.Home != store.RoleReceipts {
		w.t.Errorf("internal date %v, Date %v, flags %v, home %q", m.Internal, l.Date, m.Flags, m.Home)
	}
	return record
}

// signedByGateway parses a mail of ours, and wants its signature passed.
func (w *world) signedByGateway(octets []byte) *message.Letter {
	w.t.Helper()
	l, err := message.Parse(bytes.NewReader(octets), int64(len(octets)), message.DefaultLimits())
	w.must(err)
	trust, err := w.Trust.Store(w.t.Context())
	w.must(err)
	f := judge.Judge(w.t.Context(), l, judge.Request{
		Verifier: &signer.Verifier{Trust: trust}, Party: rem.Party{Addresses: []string{"cryptogramm@gate.test"}}, Now: w.Now(), TempDir: w.Spool,
		Policy: rem.Policy{DocumentSigner: "sender", Revocation: "hard"}, Log: w.Log,
	})
	if f.Verdict != rem.Passed || len(f.Signatures) != 1 || f.Signatures[0].ClaimedTime == nil || f.Signatures[0].Bound != "address" {
		w.t.Fatalf("the signature is %s: %s %+v\n%s", f.Verdict, f.Detail, f.Signatures, octets)
	}
	if len(l.From) != 1 || l.From[0].Mailbox != "cryptogramm@gate.test" || l.Root.Header.Get("Auto-Submitted") != "auto-generated" {
		w.t.Errorf("From %v, Auto-Submitted %q", l.From, l.Root.Header.Get("Auto-Submitted"))
	}
	return l
}

func (w *world) part(l *message.Letter, p *message.Part) []byte {
	w.t.Helper()
	r := l.Open(p.Range())
	defer r.Close()
	b, err := io.ReadAll(r)
	w.must(err)
	return b
}

func counts(got map[rem.Event][]store.Message) map[rem.Event]int {
	out := map[rem.Event]int{}
	for e, list := range got {
		out[e] = len(list)
	}
	return out
}
