package gateway

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/fetch"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

func soft(c *Config) { c.Policy.Revocation = "soft" }

// quietAnna is anna's key with a certificate of the authority that publishes no list.
func (w *world) quietAnna(change func(*x509.Certificate)) cmstest.Party {
	return w.quiet.Issue(w.t, w.anna.Key, "Anna", func(c *x509.Certificate) {
		c.EmailAddresses = []string{"anna@in.test"}
		if change != nil {
			change(c)
		}
	})
}

// speak has the quiet authority publish a list after all.
func (w *world) speak(der []byte) {
	w.must(w.DB.PutCRL(w.t.Context(), store.CRL{DER: der, Issuer: "CN=Quiet", Number: "1", ThisUpdate: w.Now(), NextUpdate: cmstest.NotAfter}))
}

// quietList is a list that names one serial number as revoked at a time.
func (w *world) quietList(serial *big.Int, at time.Time) []byte {
	w.t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(2), ThisUpdate: w.Now().Add(-time.Minute), NextUpdate: w.Now().Add(48 * time.Hour)}
	if serial != nil {
		l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: serial, RevocationTime: at, ReasonCode: 1}}
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, w.quiet.Certificate, w.quiet.Key)
	w.must(err)
	return der
}

// rechecked is the record of the recheck of a submission, nil when there is none.
func (w *world) rechecked(id string) *rem.Record {
	w.t.Helper()
	rows, err := w.evidence(w.t.Context(), store.EvidenceFilter{Submission: id, Event: string(rem.SignatureRecheck)})
	w.must(err)
	if len(rows) == 0 {
		return nil
	}
	if len(rows) > 1 || rows[0].Subject != id {
		w.t.Fatalf("rechecks %+v", rows)
	}
	e, err := reportEvent(rows[0])
	w.must(err)
	r := &rem.Record{Reason: e.Reason, Detail: e.Detail}
	if strings.Contains(string(rows[0].Record), bob) {
		w.t.Errorf("names a recipient: %s", rows[0].Record)
	}
	return r
}

// TestRecheck: what a letter that the soft policy let pass turns out to be, once
// it can be known, and what is done then: nothing is undone.
func TestRecheck(t *testing.T) {
	for _, c := range []struct {
		name string
		list func(w *world, serial *big.Int, sent time.Time) []byte // published after 90 minutes; nil: never
		want string
		tone string
	}{
		{"good", func(w *world, _ *big.Int, _ time.Time) []byte { return w.quietList(nil, time.Time{}) }, "", ""},
		{"revoked before", func(w *world, s *big.Int, sent time.Time) []byte { return w.quietList(s, sent.Add(-time.Hour)) }, string(rem.ReasonCertificateTime), "keyCompromise"},
		{"revoked after", func(w *world, s *big.Int, sent time.Time) []byte { return w.quietList(s, sent.Add(time.Hour)) }, "", ""},
		{"never known", nil, string(rem.ReasonRevocationUnknown), "no CRL is at hand"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, soft)
			anna := w.quietAnna(nil)
			sent := w.Now()
			id := w.send(signed(t, anna), bob)
			run := w.runner()
			run.all()
			w.take(w.to(id, bob))
			state := w.row(w.to(id, bob).ID).State
			w.clock.pass(59 * time.Minute)
			run.due(jobRecheck, 0)
			w.clock.pass(31 * time.Minute)
			run.due(jobRecheck, 1)
			if w.rechecked(id) != nil {
				t.Fatal("recorded while nothing was known")
			}
			if c.list != nil {
				w.speak(c.list(w, anna.Certificate.SerialNumber, sent))
			}
			steps := 0
			for range 48 {
				w.clock.pass(30 * time.Minute)
				for run.one(jobRecheck) != nil {
					steps++
				}
				if w.rechecked(id) != nil {
					break
				}
			}
			r := w.rechecked(id)
			if r == nil || r.Reason != c.want || !strings.Contains(r.Detail, c.tone) {
				t.Fatalf("after %d steps, %v: %+v", steps, w.Now().Sub(sent), r)
			}
			if after := w.Now().Sub(sent); c.list == nil && (after < recheckLast || steps != 5) || c.list != nil && after > 3*time.Hour {
				t.Errorf("after %d steps, %v", steps, after)
			}
			w.clock.pass(48 * time.Hour)
			run.due(jobRecheck, 0)
			if now := w.row(w.to(id, bob).ID).State; now != state {
				t.Errorf("state %s, before %s", now, state)
			}
			run.all()
			if got := w.receipts()[rem.SignatureRecheck]; len(got) != 1 {
				t.Errorf("%d receipts of it", len(got))
			}
			guest, err := w.DB.UserByAddress(t.Context(), bob)
			w.must(err)
			for who, user := range map[string]*store.User{"sender": w.anna.user, "recipient": guest} {
				report, err := w.Report(t.Context(), user, w.to(id, bob).ID)
				w.must(err)
				seen := 0
				for _, e := range report.Recipients[0].Events {
					if e.Event == rem.SignatureRecheck && e.Reason == c.want {
						seen++
					}
				}
				page, err := report.HTML("ru")
				w.must(err)
				if seen != 1 || !strings.Contains(string(page), "Подписи проверены повторно") {
					t.Errorf("the %s sees it %d times", who, seen)
				}
			}
			w.fsck()
		})
	}
}

// A letter that passed needs no recheck.
func TestNoRecheckWithoutNeed(t *testing.T) {
	w := newWorld(t, soft)
	w.send(signed(t, w.anna.Party), bob)
	if jobs := w.jobsOf(jobRecheck); len(jobs) != 0 {
		t.Errorf("%+v", jobs)
	}
}

// listSite serves one list to whoever asks for anything.
type listSite struct {
	*httptest.Server
	requests atomic.Int64
	answer   atomic.Pointer[http.HandlerFunc]
}

func newListSite(t *testing.T) *listSite {
	s := &listSite{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		(*s.answer.Load())(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *listSite) serve(h http.HandlerFunc) { s.answer.Store(&h) }

func (s *listSite) named(c *x509.Certificate) {
	c.CRLDistributionPoints = []string{s.URL + "/quiet.crl"}
}

// client fetches from the site.
func (s *listSite) client(now func() time.Time) *fetch.Client {
	return fetch.New(fetch.Config{
		Now: now, AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Timeout: 10 * time.Second,
		Ports: []uint16{netip.MustParseAddrPort(s.Listener.Addr().String()).Port()},
	})
}

// TestFetchedIsKept: the exact octets stay with the letter. With the site gone
// and after a restart, letters pass by what was fetched, as long as it counts,
// and a letter is judged again as it was.
func TestFetchedIsKept(t *testing.T) {
	s := newListSite(t)
	w := newWorld(t)
	w.Fetch = s.client(w.Now)
	anna := w.quietAnna(s.named)
	list := w.quietList(nil, time.Time{})
	s.serve(func(out http.ResponseWriter, _ *http.Request) { out.Write(list) })
	id := w.send(signed(t, anna), bob)
	kept, err := w.DB.Material(t.Context(), id)
	w.must(err)
	if len(kept) != 1 || string(kept[0].DER) != string(list) || kept[0].Kind != rem.MaterialCRL || kept[0].Source != s.URL+"/quiet.crl" {
		t.Fatalf("%d things kept", len(kept))
	}
	sub, err := w.DB.Submission(t.Context(), id)
	w.must(err)
	says := func(c rem.Check) bool {
		return c.Name == "revocation" && strings.Contains(c.Detail, "good by the CRL of "+s.URL)
	}
	if !slices.ContainsFunc(sub.Finding.Signatures[0].Checks, says) {
		t.Errorf("the report says %+v", sub.Finding.Signatures[0].Checks)
	}
	second := w.send(signed(t, anna), bob)
	if more, err := w.DB.Material(t.Context(), second); err != nil || len(more) != 1 || w.count("SELECT COUNT(*) FROM revocation_objects WHERE kind = 'crl' AND source <> ''") != 1 {
		t.Errorf("%d things kept with the second letter, %v", len(more), err)
	}
	if n := s.requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}

	s.serve(http.NotFound)
	w.Fetch = s.client(w.Now) // a new process
	if f, err := w.judgeAgain(t.Context(), id); err != nil || f.Verdict != rem.Passed {
		t.Errorf("again: %s %s %v", f.Verdict, f.Detail, err)
	}
	_, err = w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(signed(t, anna)))
	if r := refused(t, err); r.Reason != rem.ReasonRevocationUnknown {
		t.Errorf("nothing restored: %s", r.Reason)
	}
	w.Fetch = s.client(w.Now)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx, nil) }()
	w.eventually("the start", func() bool { return len(w.jobsOf(jobClean)) > 0 })
	w.send(signed(t, anna), bob)
	stop()
	w.must(<-ended)
	w.clock.pass(72 * time.Hour) // the list has ended
	_, err = w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(signed(t, anna)))
	if r := refused(t, err); r.Reason != rem.ReasonRevocationUnknown {
		t.Errorf("after the list has ended: %s", r.Reason)
	}
	w.fsck()
}

// TestHangingResponderTakesNoSlot: with one slot, a letter whose list does not
// come waits outside of it.
func TestHangingResponderTakesNoSlot(t *testing.T) {
	s := newListSite(t)
	asked, release := make(chan struct{}), make(chan struct{})
	w := newWorld(t, func(c *Config) { c.Limits.Slots = 1 })
	list := w.quietList(nil, time.Time{})
	s.serve(func(out http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-release
		out.Write(list)
	})
	w.Fetch = s.client(w.Now)
	slow := signed(t, w.quietAnna(s.named))
	done := make(chan error, 1)
	env := w.envelope(w.anna, bob)
	go func() {
		_, err := w.Receive(t.Context(), env, strings.NewReader(slow))
		done <- err
	}()
	<-asked
	if len(w.slots) != 0 {
		t.Error("the waiting letter holds the slot")
	}
	w.send(signed(t, w.anna.Party), bob)
	close(release)
	w.must(<-done)
	if len(w.slots) != 0 {
		t.Errorf("%d slots held in the end", len(w.slots))
	}
}

// TestSlotLost: a letter that gets no slot after its list has come is put off.
func TestSlotLost(t *testing.T) {
	s := newListSite(t)
	w := newWorld(t, func(c *Config) { c.Limits.Slots, c.Limits.SlotWait = 1, 50*time.Millisecond })
	list := w.quietList(nil, time.Time{})
	s.serve(func(out http.ResponseWriter, _ *http.Request) {
		w.slots <- struct{}{} // somebody else's letter takes it
		out.Write(list)
	})
	w.Fetch = s.client(w.Now)
	letter := signed(t, w.quietAnna(s.named))
	_, err := w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(letter))
	wantError(t, err, ErrBusy)
	<-w.slots
	if len(w.slots) != 0 {
		t.Error("a slot is held")
	}
	w.send(letter, bob)
}
