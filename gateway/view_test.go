package gateway

import (
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/gateway/judge"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// shown is everything that one viewer gets of a letter, as text.
func (w *world) shown(u *store.User, id string) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	keep := func(name string) func([]byte, error) {
		return func(b []byte, err error) {
			w.t.Helper()
			w.must(err)
			out[name] = string(b)
		}
	}
	v, err := w.View(w.t.Context(), u, id)
	w.must(err)
	keep("view")(json.Marshal(v))
	for _, e := range v.Evidence {
		out["evidence "+string(e.Event)] = string(e.Record)
	}
	r, err := w.Report(w.t.Context(), u, id)
	w.must(err)
	keep("report")(r.JSON())
	for _, lang := range []string{"ru", "en"} {
		keep("report page " + lang)(r.HTML(lang))
		out["report text "+lang] = string(r.Text(lang))
	}
	out["letter"] = string(content(w.t)(w.OpenLetter(w.t.Context(), u, id)))
	for n, d := range v.Submission.Finding.Documents {
		out["document "+d.Name] = string(content(w.t)(w.OpenDocument(w.t.Context(), u, id, n)))
	}
	for n := range v.Submission.Finding.Signatures {
		out["signature"] = string(content(w.t)(w.OpenSignature(w.t.Context(), u, id, n)))
	}
	if v.Role == RoleRecipient {
		row, p, err := w.Draft(w.t.Context(), DraftRequest{User: u, Consignment: id, Language: "en"})
		w.must(err)
		out["protocol"], out["protocol page"] = string(row.Body), string(row.HTML)
		keep("protocol again")(p.JSON())
		keep("protocol as a value")(json.Marshal(p.Finding.Unsigned))
	}
	return out
}

var (
	hidden  = regexp.MustCompile(`(?i)\b(b?cc|(resent|delivered|envelope)-to)\b`)
	encoded = regexp.MustCompile(`[A-Za-z0-9+/]{24,}=*`) // base64, digests and ids spell anything
)

// No recipient ever learns of another one, nor whether there was a Bcc.
func TestRecipientsNeverSeeEachOther(t *testing.T) {
	const secret = "auditor@secret.test"
	everybody := []string{bob, dora, "carol@in.test", secret}
	for name, letter := range map[string]func(w *world) string{
		"multipart/signed": func(w *world) string {
			return signed(t, w.anna.Party, "Cc: Dora <dora@elsewhere.test>, carol@in.test", "Bcc: "+secret, "Resent-To: "+secret, "X-Envelope-To: "+secret)
		},
		"file and signature": func(w *world) string {
			return "BCC: " + secret + "\r\nDelivered-To: " + dora + "\r\n" + beside(sign(t, w.anna.Party, contract))
		},
		"opaque": func(w *world) string {
			return "Bcc: " + secret + "\r\ncc: " + dora + "\r\n" + opaque(t, w.anna.Party, body())
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.t = t
			id := w.send(letter(w), everybody...)
			w.runner().all()
			for _, one := range everybody {
				c := w.to(id, one)
				w.register(&w.carol)
				u := w.take(c)
				seen := w.shown(u, c.ID)
				seen["notice"] = w.mailTo(one)
				if u.Claimed {
					w.acknowledge(w.carol, c.ID)
					for k, v := range w.shown(u, c.ID) {
						seen["verified, "+k] = v
					}
				}
				for what, s := range seen {
					for _, other := range everybody {
						if other != one && strings.Contains(strings.ToLower(s), other) {
							t.Errorf("%s of %s names %s", what, one, other)
						}
					}
					if strings.HasSuffix(what, "signature") { // octets
						continue
					}
					if field := hidden.FindString(encoded.ReplaceAllString(s, "")); field != "" {
						t.Errorf("%s of %s tells of a field %s", what, one, field)
					}
				}
				if !strings.Contains(seen["report"], one) || !strings.Contains(seen["letter"], one) {
					t.Errorf("%s is not shown himself", one)
				}
			}
			// The sender sees all of it.
			r, err := w.Report(t.Context(), w.anna.user, id)
			w.must(err)
			all, err := r.JSON()
			w.must(err)
			for _, one := range everybody {
				if !strings.Contains(string(all), one) {
					t.Errorf("the sender's report lacks %s", one)
				}
			}
			w.fsck()
		})
	}
}

// What a recipient keeps can still be verified, and is whole.
func TestRecipientsLetterStillVerifies(t *testing.T) {
	w := newWorld(t)
	for name, letter := range map[string]string{
		"multipart/signed":   signed(t, w.anna.Party, "Cc: dora@elsewhere.test"),
		"file and signature": beside(sign(t, w.anna.Party, contract)),
		"opaque":             opaque(t, w.anna.Party, body()),
	} {
		t.Run(name, func(t *testing.T) {
			id := w.send(letter, bob, dora)
			c := w.to(id, bob)
			u := w.take(c)
			got := string(content(t)(w.OpenLetter(t.Context(), u, c.ID)))
			l, err := message.Parse(strings.NewReader(got), int64(len(got)), message.DefaultLimits())
			w.must(err)
			trust, err := w.Trust.Store(t.Context())
			w.must(err)
			f := judge.Judge(t.Context(), l, judge.Request{
				Verifier: &signer.Verifier{Trust: trust}, Party: rem.Party{Addresses: []string{"anna@in.test"}}, Now: w.Now(), TempDir: t.TempDir(),
			})
			if f.Verdict != rem.Passed {
				t.Errorf("%s: %s\n%s", f.Verdict, f.Detail, got)
			}
			if len(l.To) != 1 || l.To[0].Mailbox != bob || len(l.Cc) != 0 || l.Subject != "Contract 7" {
				t.Errorf("to %v, cc %v, subject %q", l.To, l.Cc, l.Subject)
			}
			body := letter[strings.Index(letter, "\r\n\r\n"):]
			if !strings.HasSuffix(got, body) {
				t.Error("the body is not the submitted one")
			}
			if whole := string(content(t)(w.OpenLetter(t.Context(), w.anna.user, id))); whole != letter {
				t.Error("the sender's letter is not the submitted one")
			}
			if whole := string(content(t)(w.OpenLetter(t.Context(), w.anna.user, c.ID))); whole != letter {
				t.Error("the sender's letter, by consignment, is not the submitted one")
			}
		})
	}
}

// Each way to look at a letter, by who looks and with which id.
func TestWhoMaySeeWhat(t *testing.T) {
	w := newWorld(t)
	id := w.send(signed(t, w.anna.Party), bob, dora, "carol@in.test")
	toBob, toDora := w.to(id, bob), w.to(id, dora)
	waiting := w.take(w.to(w.send(signed(t, w.anna.Party), bob), bob)) // bob's account is there, this letter not yet his
	ways := map[string]func(u *store.User, id string) error{
		"view":      func(u *store.User, id string) error { _, err := w.View(t.Context(), u, id); return err },
		"report":    func(u *store.User, id string) error { _, err := w.Report(t.Context(), u, id); return err },
		"document":  func(u *store.User, id string) error { return closed(w.OpenDocument(t.Context(), u, id, 0)) },
		"signature": func(u *store.User, id string) error { return closed(w.OpenSignature(t.Context(), u, id, 0)) },
		"letter":    func(u *store.User, id string) error { return closed(w.OpenLetter(t.Context(), u, id)) },
		"sent":      func(u *store.User, id string) error { _, err := w.ViewSubmission(t.Context(), u, id); return err },
		"draft": func(u *store.User, id string) error {
			_, _, err := w.Draft(t.Context(), DraftRequest{User: u, Consignment: id})
			return err
		},
	}
	all := []string{"document", "draft", "letter", "report", "sent", "signature", "view"}
	look := func(who string, u *store.User, id string, may ...string) {
		t.Helper()
		for _, way := range all {
			err := ways[way](u, id)
			if slices.Contains(may, way) {
				if err != nil {
					t.Errorf("%s, %s: %v", who, way, err)
				}
			} else if err != ErrNotFound {
				t.Errorf("%s, %s: %v, want %v", who, way, err, ErrNotFound)
			}
		}
	}
	look("bob before he received", waiting, toBob.ID)
	bobs := w.take(toBob)
	doras := w.take(toDora)
	stranger := w.account("x@in.test", "X").user
	for _, id := range []string{id, toBob.ID, toDora.ID} {
		look("nobody", nil, id)
		look("a stranger", stranger, id)
		look("a recipient who has not received", w.carol.user, id)
	}
	look("bob", bobs, toBob.ID, "document", "draft", "letter", "report", "signature", "view")
	look("bob at dora's", bobs, toDora.ID)
	look("bob at the submission", bobs, id)
	look("dora", doras, toDora.ID, "document", "draft", "letter", "report", "signature", "view")
	look("anna at bob's", w.anna.user, toBob.ID, "document", "letter", "report", "signature", "view")
	look("anna at the submission", w.anna.user, id, "document", "letter", "report", "signature", "sent")
	look("an absent id", w.anna.user, w.NewID())
	look("no id", w.anna.user, "")

	for _, n := range []int{-1, 99} {
		wantError(t, closed(w.OpenDocument(t.Context(), bobs, toBob.ID, n)), ErrNotFound)
		wantError(t, closed(w.OpenSignature(t.Context(), bobs, toBob.ID, n)), ErrNotFound)
	}
}

func closed(d *Download, err error) error {
	if err == nil {
		_, err = io.Copy(io.Discard, d)
		d.Close()
	}
	return err
}

// Who writes to himself is both, and may do what a recipient may.
func TestLetterToOneself(t *testing.T) {
	w := newWorld(t)
	w.register(&w.anna)
	c := w.to(w.send(signed(t, w.anna.Party), "anna@in.test"), "anna@in.test")
	_, _, err := w.Draft(t.Context(), DraftRequest{User: w.anna.user, Consignment: c.ID})
	wantError(t, err, ErrNotFound) // not received yet
	w.take(c)
	w.acknowledge(w.anna, c.ID)
	w.wantEvents(c.ID, append([]string{"RecipientVerification"}, received...)...)
	w.fsck()
}

func TestReportShowsTheWay(t *testing.T) {
	w := newWorld(t)
	w.register(&w.carol)
	id := w.send(signed(t, w.anna.Party), "carol@in.test", bob)
	w.runner().all()
	c := w.to(id, "carol@in.test")
	w.take(c)
	protocol := w.acknowledge(w.carol, c.ID)
	r, err := w.Report(t.Context(), w.anna.user, id)
	w.must(err)
	if len(r.Recipients) != 2 || r.Role != "sender" {
		t.Fatalf("report %+v", r)
	}
	var events []rem.Event
	for _, e := range r.Recipients[0].Events {
		events = append(events, e.Event)
		if e.Event == rem.ContentHandover && (e.By != "carol@in.test" || e.Grade != rem.GradeSession) {
			t.Errorf("handover by %s, %s", e.By, e.Grade)
		}
		if e.Event == rem.RecipientVerification && (e.Protocol != protocol || e.Certificate == nil || e.Certificate.SHA256 != rem.DigestOf(w.carol.Certificate.Raw)) {
			t.Errorf("verification %+v", e)
		}
	}
	for _, want := range []rem.Event{rem.NotificationForAcceptance, rem.ConsignmentAcceptance, rem.ContentHandover, rem.RecipientVerification} {
		if !slices.Contains(events, want) {
			t.Errorf("%v lacks %s", events, want)
		}
	}
	if len(r.Recipients[1].Events) != 1 {
		t.Errorf("bob: %+v", r.Recipients[1].Events)
	}
	mine, err := w.Report(t.Context(), w.carol.user, c.ID)
	w.must(err)
	if len(mine.Recipients) != 1 || mine.Role != "recipient" || mine.Letter.MessageID != "" {
		t.Errorf("carol's report %+v", mine)
	}

	// Erasing a record leaves the event and its time.
	db := w.sql()
	defer db.Close()
	_, err = db.Exec("DELETE FROM evidence_record WHERE id = ?", rem.ExpectedID(rem.ContentHandover, c.ID, 0))
	w.must(err)
	if mine, err = w.Report(t.Context(), w.carol.user, c.ID); err != nil || len(mine.Recipients[0].Events) != len(events) {
		t.Errorf("after erasure: %+v, %v", mine, err)
	}
	w.fsck()
}
