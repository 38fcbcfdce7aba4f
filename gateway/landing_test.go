package gateway

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// received are the events of a consignment that somebody has received.
var received = []string{"ConsignmentAcceptance", "ContentHandover"}

func TestLandingChangesNothing(t *testing.T) {
	w := newWorld(t)
	c := w.to(w.send(signed(t, w.anna.Party), bob), bob)
	before := w.rows()
	token := w.LinkToken(c.ID)
	for range 3 {
		got, err := w.Landing(t.Context(), token)
		w.must(err)
		if got.ID != c.ID {
			t.Errorf("the link opens %s", got.ID)
		}
	}
	for name, bad := range map[string]string{
		"empty": "", "short": token[:42], "long": token + "A", "wrong": strings.Repeat("A", 43), "id": c.ID,
	} {
		if _, err := w.Landing(t.Context(), bad); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.must(w.NoteFetch(t.Context(), c.ID, "HEAD", "scanner/1"))
	if after := w.rows(); !equalCounts(before, after) {
		t.Errorf("rows %v, before %v", after, before)
	}
	w.wantEvents(c.ID)
	if got := w.row(c.ID).State; got != store.StatePending {
		t.Errorf("state %s", got)
	}
	// The token is at rest nowhere in the database.
	if n := w.count("SELECT COUNT(*) FROM jobs WHERE payload LIKE '%' || ? || '%'", token); n != 0 {
		t.Error("a job holds the link")
	}
}

func TestHandoverByWhom(t *testing.T) {
	for _, c := range []struct {
		name  string
		to    string // bob is nobody's, carol's is a claimed account's
		typed string
		user  func(w *world) *store.User
		want  error
		grade rem.Grade
	}{
		{name: "guest, right address", to: bob, typed: bob, grade: rem.GradeConfirmed},
		{name: "guest, domain in capitals", to: bob, typed: "bob@OUT.test", grade: rem.GradeConfirmed},
		{name: "guest, another's address", to: bob, typed: dora, want: ErrAddressMismatch},
		{name: "guest, local part in capitals", to: bob, typed: "Bob@out.test", want: ErrAddressMismatch},
		{name: "guest, no address", to: bob, want: ErrAddressMismatch},
		{name: "guest, two addresses", to: bob, typed: bob + " " + bob, want: ErrAddressMismatch},
		{name: "somebody's session, no address", to: bob, user: carolUser, want: ErrAddressMismatch},
		{name: "claimed, his session", to: "carol@in.test", user: carolUser, grade: rem.GradeSession},
		{name: "claimed, address typed", to: "carol@in.test", typed: "carol@in.test", want: ErrSessionRequired},
		{name: "claimed, another session", to: "carol@in.test", typed: "carol@in.test", user: annaUser, want: ErrSessionRequired},
		{name: "claimed, capitals in the envelope", to: "carol@IN.test", user: carolUser, grade: rem.GradeSession},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			row := w.to(w.send(signed(t, w.anna.Party), c.to), c.to)
			h := HandoverRequest{Consignment: row.ID, Address: c.typed}
			if c.user != nil {
				h.User = c.user(w)
			}
			u, err := w.Handover(t.Context(), h)
			if c.want != nil {
				wantError(t, err, c.want)
				w.wantEvents(row.ID)
				return
			}
			w.must(err)
			w.wantEvents(row.ID, received...)
			got := w.row(row.ID)
			if got.State != store.StateReceived || got.ReceivedBy != u.ID || got.Grade != c.grade || !got.ReceivedAt.Equal(w.Now()) {
				t.Errorf("consignment %+v", got)
			}
			list, err := w.DB.Received(t.Context(), u.ID, store.Page{})
			w.must(err)
			if len(list) != 1 || list[0].ID != row.ID {
				t.Errorf(`"Received" holds %+v`, list)
			}
			w.fsck()
		})
	}
	w := newWorld(t)
	_, err := w.Handover(t.Context(), HandoverRequest{Consignment: w.NewID(), Address: bob})
	wantError(t, err, ErrNotFound)
}

func carolUser(w *world) *store.User { return w.carol.user }
func annaUser(w *world) *store.User  { return w.anna.user }

func TestOnlyTheFirstHandoverCounts(t *testing.T) {
	w := newWorld(t)
	c := w.to(w.send(signed(t, w.anna.Party), bob), bob)
	first := w.take(c)
	at := w.Now()
	w.clock.pass(time.Hour)
	if again := w.take(c); again.ID != first.ID {
		t.Errorf("the second time it is %s's, not %s's", again.ID, first.ID)
	}
	if got := w.row(c.ID); !got.ReceivedAt.Equal(at) {
		t.Errorf("received at %v, want %v", got.ReceivedAt, at)
	}
	_, err := w.Handover(t.Context(), HandoverRequest{Consignment: c.ID, Address: dora})
	wantError(t, err, ErrAddressMismatch)
	_, err = w.Handover(t.Context(), HandoverRequest{Consignment: c.ID, User: w.carol.user})
	wantError(t, err, ErrAddressMismatch)
	w.wantEvents(c.ID, received...)
	w.fsck()
}

func TestHandoverByManyAtOnce(t *testing.T) {
	w := newWorld(t)
	c := w.to(w.send(signed(t, w.anna.Party), bob), bob)
	const n = 50
	users, errs := make([]*store.User, n), make([]error, n)
	together(n, func(i int) {
		users[i], errs[i] = w.Handover(t.Context(), HandoverRequest{Consignment: c.ID, Address: bob})
	})
	for i := range n {
		if errs[i] != nil || users[i].ID != users[0].ID {
			t.Fatalf("%d: %+v, %v", i, users[i], errs[i])
		}
	}
	w.wantEvents(c.ID, received...)
	if n := w.count("SELECT COUNT(*) FROM users WHERE email = ?", bob); n != 1 {
		t.Errorf("%d accounts for one address", n)
	}
	w.fsck()
}

// An evidence of handover names the sender and this recipient, nobody else.
func TestHandoverRecordNamesNobodyElse(t *testing.T) {
	w := newWorld(t)
	id := w.send(signed(t, w.anna.Party), bob, dora)
	w.take(w.to(id, bob))
	rows, err := w.evidence(t.Context(), store.EvidenceFilter{Consignment: w.to(id, bob).ID})
	w.must(err)
	for _, e := range rows {
		if s := string(e.Record); strings.Contains(s, dora) || !strings.Contains(s, bob) || !strings.Contains(s, "anna@in.test") {
			t.Errorf("%s: %s", e.Event, s)
		}
	}
}

func TestExpiry(t *testing.T) {
	w := newWorld(t)
	id := w.send(signed(t, w.anna.Party), bob, dora)
	taken, left := w.to(id, bob), w.to(id, dora)
	w.take(taken)
	run := w.runner()
	run.all()
	w.clock.pass(w.Limits.LinkLife - time.Minute)
	run.due(jobExpire, 0)
	if _, err := w.Landing(t.Context(), w.LinkToken(left.ID)); err != nil {
		t.Error(err)
	}
	w.clock.pass(time.Minute)
	_, err := w.Landing(t.Context(), w.LinkToken(left.ID))
	wantError(t, err, ErrGone)
	_, err = w.Handover(t.Context(), HandoverRequest{Consignment: left.ID, Address: dora})
	wantError(t, err, ErrGone)

	again, err := w.DB.Claim(t.Context(), []string{jobExpire}, w.Node, "elsewhere", leaseTime)
	w.must(err)
	out, err := w.expire(t.Context(), again) // a step that dies before its end
	w.must(err)
	w.clock.pass(leaseTime + time.Second)
	run.due(jobExpire, 2)
	wantError(t, w.DB.Finish(t.Context(), again, out), store.ErrLeaseLost)
	w.wantEvents(left.ID, "AcceptanceRejectionExpiry", "NotificationForAcceptance")
	w.wantEvents(taken.ID, append([]string{"NotificationForAcceptance"}, received...)...)
	if got := w.row(left.ID).State; got != store.StateExpired {
		t.Errorf("state %s", got)
	}
	w.fsck()
}

// A confirmation that comes to the database after the expiry is too late,
// though the clock was in time when it was asked.
func TestExpiryWinsTheRace(t *testing.T) {
	w := newWorld(t)
	c := w.to(w.send(signed(t, w.anna.Party), bob), bob)
	run := w.runner()
	run.all()
	early := w.Now()
	w.clock.pass(w.Limits.LinkLife)
	run.due(jobExpire, 1)
	w.Gateway.Now = func() time.Time { return early }
	_, err := w.Handover(t.Context(), HandoverRequest{Consignment: c.ID, Address: bob})
	wantError(t, err, ErrGone)
	w.wantEvents(c.ID, "AcceptanceRejectionExpiry", "NotificationForAcceptance")
	w.fsck()
}

// And one that comes first leaves nothing to expire.
func TestHandoverWinsTheRace(t *testing.T) {
	w := newWorld(t)
	c := w.to(w.send(signed(t, w.anna.Party), bob), bob)
	w.clock.pass(w.Limits.LinkLife - time.Second)
	early := w.Now()
	w.clock.pass(time.Second)
	j, err := w.DB.Claim(t.Context(), []string{jobExpire}, w.Node, "node/x", leaseTime)
	w.must(err)
	out, err := w.expire(t.Context(), j)
	w.must(err)
	w.Gateway.Now = func() time.Time { return early }
	w.take(c)
	w.must(w.DB.Finish(t.Context(), j, out))
	w.wantEvents(c.ID, received...)
	w.fsck()
}

// A guest claims the account of his address by the registration link and finds
// there what he received as a guest; from then on only his session confirms.
func TestGuestClaimsHisAccount(t *testing.T) {
	w := newWorld(t)
	first := w.to(w.send(signed(t, w.anna.Party), bob), bob)
	guest := w.take(first)
	second := w.to(w.send(signed(t, w.anna.Party), bob), bob)

	w.must(w.Register(t.Context(), bob, "en", "192.0.2.7"))
	run := w.runner()
	run.due(jobRegister, 1)
	link := between(w.mailTo(bob), "https://gate.test/register/", "\r\n")
	u, err := w.Accounts.Claim(t.Context(), account.Claim{Token: strings.TrimSpace(link), Name: "Bob", Password: "correct horse battery"})
	w.must(err)
	if u.ID != guest.ID || !u.Claimed {
		t.Errorf("claimed %+v, the guest was %s", u, guest.ID)
	}
	list, err := w.DB.Received(t.Context(), u.ID, store.Page{})
	w.must(err)
	if len(list) != 1 || list[0].ID != first.ID {
		t.Errorf(`"Received" holds %+v`, list)
	}
	if v, err := w.View(t.Context(), u, first.ID); err != nil || v.Role != RoleRecipient {
		t.Errorf("%+v, %v", v, err)
	}
	for _, c := range []store.ConsignmentRow{first, second} {
		_, err = w.Handover(t.Context(), HandoverRequest{Consignment: c.ID, Address: bob})
		wantError(t, err, ErrSessionRequired)
		_, err = w.Handover(t.Context(), HandoverRequest{Consignment: c.ID, Address: bob, User: u})
		w.must(err)
	}
	if got := w.row(first.ID).Grade; got != rem.GradeConfirmed {
		t.Errorf("the first handover is now graded %s", got)
	}
	if got := w.row(second.ID).Grade; got != rem.GradeSession {
		t.Errorf("the second handover is graded %s", got)
	}
	w.fsck()
}

// What a registration does is the same for a claimed address: only who reads
// its mail learns of the account, and cannot take it over. The link is at rest
// nowhere, not even in the queue.
func TestRegistrationTellsNothing(t *testing.T) {
	w := newWorld(t)
	run := w.runner()
	for _, address := range []string{"carol@in.test", bob} {
		before := w.rows()
		w.must(w.Register(t.Context(), address, "en", "192.0.2.7"))
		before["jobs"]++
		if after := w.rows(); !equalCounts(before, after) {
			t.Errorf("%s: rows %v, want %v", address, after, before)
		}
		queued := w.job(jobRegister)
		run.due(jobRegister, 1)
		token := strings.TrimSpace(between(w.mailTo(address), "https://gate.test/register/", "\r\n"))
		if token == "" || bytes.Contains(queued.Payload, []byte(token)) || strings.Contains(queued.ID+queued.Subject, token) {
			t.Errorf("the queue holds the link: %+v", queued)
		}
	}
	tokens := map[string]string{}
	for _, address := range []string{"carol@in.test", bob} {
		tokens[address] = strings.TrimSpace(between(w.mailTo(address), "https://gate.test/register/", "\r\n"))
		if tokens[address] == "" || strings.Contains(w.log.String(), tokens[address]) {
			t.Errorf("the link %q of %s is not there, or in the log", tokens[address], address)
		}
	}
	if n := w.count("SELECT COUNT(*) FROM jobs"); n != 0 {
		t.Errorf("%d jobs are left", n)
	}
	_, err := w.Accounts.Claim(t.Context(), account.Claim{Token: tokens["carol@in.test"], Name: "Eve", Password: "correct horse battery"})
	wantError(t, err, account.ErrClaimed)
	u, err := w.DB.UserByAddress(t.Context(), "carol@in.test")
	w.must(err)
	if u.ID != w.carol.user.ID || u.Name != "Carol" {
		t.Errorf("carol is now %+v", u)
	}
}
