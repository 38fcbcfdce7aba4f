package store

import (
	"errors"
	"fmt"
	"sort"
	"sync"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
	"pgregory.net/rapid"
)

// modelJob is what the job table should know of one job.
type modelJob struct {
	Job
	held time.Time // lease
}

// TestJobsAgainstModel drives the table and a model of it with the same random
// steps: every answer has to be the model's.
func TestJobsAgainstModel(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		run := 0
		rapid.Check(t, func(r *rapid.T) {
			run++
			must(t, db.write(ctx, func(t *tx) error {
				_, err := t.exec("DELETE FROM jobs")
				return err
			}))
			m := &jobModel{db: db, clock: p.clock, jobs: make(map[string]*modelJob), run: run}
			r.Repeat(map[string]func(*rapid.T){
				"add": m.add, "claim": m.claim, "finish": m.finish, "retry": m.retry, "wait": m.wait, "": m.compare,
			})
		})
	})
}

type jobModel struct {
	db      *DB
	clock   *clock
	jobs    map[string]*modelJob
	claimed []*Job // every claim ever made, stale ones too
	run     int
	n       int
}

func (m *jobModel) add(r *rapid.T) {
	m.n++
	j := Job{
		ID:   fmt.Sprintf("%d-%02d", m.run, rapid.IntRange(max(0, m.n-3), m.n).Draw(r, "id")),
		Kind: rapid.SampledFrom([]string{"notify", "upload"}).Draw(r, "kind"),
		Node: rapid.SampledFrom([]string{"", "a", "b"}).Draw(r, "node"),
		Due:  m.clock.now().Add(time.Duration(rapid.IntRange(-2, 5).Draw(r, "due")) * time.Second),
	}
	if err := m.db.AddJobs(ctx, []Job{j}); err != nil {
		r.Fatal(err)
	}
	if m.jobs[j.ID] == nil {
		m.jobs[j.ID] = &modelJob{Job: j}
	}
}

// next are the jobs that a claim has to give, in their order.
func (m *jobModel) next(kinds []string, node string, most int) []*modelJob {
	var due []*modelJob
	now := m.clock.now()
	for _, j := range m.jobs {
		if !j.Due.After(now) && j.held.Before(now) && (j.Node == "" || j.Node == node) && contains(kinds, j.Kind) {
			due = append(due, j)
		}
	}
	sort.Slice(due, func(a, b int) bool {
		if !due[a].Due.Equal(due[b].Due) {
			return due[a].Due.Before(due[b].Due)
		}
		return due[a].ID < due[b].ID
	})
	return due[:min(most, len(due))]
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func (m *jobModel) claim(r *rapid.T) {
	kinds := rapid.SampledFrom([][]string{{"notify"}, {"upload"}, {"notify", "upload"}}).Draw(r, "kinds")
	node := rapid.SampledFrom([]string{"", "a", "b"}).Draw(r, "node")
	holder := rapid.SampledFrom([]string{"h1", "h2"}).Draw(r, "holder")
	lease := time.Duration(rapid.IntRange(1, 4).Draw(r, "lease")) * time.Second
	most := rapid.IntRange(1, 4).Draw(r, "most")
	want := m.next(kinds, node, most)
	jobs, err := m.db.ClaimJobs(ctx, Claiming{Kinds: kinds, Node: node, Holder: holder, Lease: lease, Most: most})
	if len(want) == 0 {
		if !errors.Is(err, ErrNotFound) {
			r.Fatalf("nothing due, claimed %+v, %v", jobs, err)
		}
		return
	}
	if err != nil || len(jobs) != len(want) {
		r.Fatalf("%d are due: %+v, %v", len(want), jobs, err)
	}
	for i, want := range want {
		j := &jobs[i]
		want.Attempts++
		want.Holder, want.held = holder, m.clock.now().Add(lease)
		if j.ID != want.ID || j.Attempts != want.Attempts || j.Holder != holder || !j.Lease.Equal(want.held) {
			r.Fatalf("claimed %+v, want %+v", j, want)
		}
		m.claimed = append(m.claimed, j)
	}
}

// pick takes one of the claims and says whether it still holds.
func (m *jobModel) pick(r *rapid.T) (j *Job, holds bool) {
	if len(m.claimed) == 0 {
		r.Skip("nothing claimed")
	}
	j = rapid.SampledFrom(m.claimed).Draw(r, "claimed")
	have := m.jobs[j.ID]
	return j, have != nil && have.Holder == j.Holder && have.Attempts == j.Attempts
}

func (m *jobModel) finish(r *rapid.T) {
	j, holds := m.pick(r)
	err := m.db.Finish(ctx, j, Outcome{})
	if holds != (err == nil) || !holds && !errors.Is(err, ErrLeaseLost) {
		r.Fatalf("finish of %+v, which holds: %v: %v", j, holds, err)
	}
	if holds {
		delete(m.jobs, j.ID)
	}
}

func (m *jobModel) retry(r *rapid.T) {
	j, holds := m.pick(r)
	due := m.clock.now().Add(time.Second)
	err := m.db.Retry(ctx, j, due, "relay said 4xx")
	if holds != (err == nil) || !holds && !errors.Is(err, ErrLeaseLost) {
		r.Fatalf("retry of %+v, which holds: %v: %v", j, holds, err)
	}
	if holds {
		m.jobs[j.ID].Due, m.jobs[j.ID].Holder, m.jobs[j.ID].held = due, "", time.Time{}
	}
}

func (m *jobModel) wait(r *rapid.T) {
	m.clock.advance(time.Duration(rapid.IntRange(1, 3).Draw(r, "seconds")) * time.Second)
}

func (m *jobModel) compare(r *rapid.T) {
	jobs, err := m.db.Jobs(ctx, 0)
	if err != nil || len(jobs) != len(m.jobs) {
		r.Fatalf("%d jobs, want %d, %v", len(jobs), len(m.jobs), err)
	}
	var want time.Time
	for _, j := range m.jobs {
		at := j.Due
		if !j.held.Before(m.clock.now()) {
			at = j.held
		}
		if (j.Node == "" || j.Node == "a") && (want.IsZero() || at.Before(want)) {
			want = at
		}
	}
	next, err := m.db.NextDue(ctx, []string{"notify", "upload"}, "a")
	if !next.Equal(want) || want.IsZero() != errors.Is(err, ErrNotFound) {
		r.Fatalf("next due %v, %v; want %v", next, err, want)
	}
}

func TestParallelClaimsAreExclusive(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		nodes := []*DB{p.open(t), p.open(t)}
		const jobs = 120
		var add []Job
		for i := range jobs {
			add = append(add, Job{ID: fmt.Sprintf("job-%03d", i), Kind: "notify"})
		}
		must(t, nodes[0].AddJobs(ctx, add))
		var mu sync.Mutex
		claims := make(map[string]int)
		var wg sync.WaitGroup
		for i := range 12 {
			db := nodes[i%len(nodes)]
			wg.Go(func() {
				for {
					jobs, err := db.ClaimJobs(ctx, Claiming{Kinds: []string{"notify"}, Holder: fmt.Sprint("worker ", i), Lease: time.Hour, Most: 1 + i%4})
					if errors.Is(err, ErrNotFound) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					for _, j := range jobs {
						mu.Lock()
						claims[j.ID]++
						mu.Unlock()
						if err := db.Finish(ctx, &j, Outcome{}); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		for _, j := range add {
			if claims[j.ID] != 1 {
				t.Errorf("%s was claimed %d times", j.ID, claims[j.ID])
			}
		}
	})
}

func TestFinishRecordsOutcomeOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		sender := addUser(t, db, "alice@example.test")
		n := letter(sender, p.clock.now(), "bob@example.test")
		must(t, db.AddSubmission(ctx, n))
		c := n.Accepted.Consignments[0]
		stale := got[*Job](t)(db.Claim(ctx, []string{"notify"}, "", "one process", time.Minute))
		if string(stale.Payload) != `{"n":1}` || stale.Subject != c.ID {
			t.Fatalf("claimed %+v", stale)
		}
		p.clock.advance(2 * time.Minute)
		held := got[*Job](t)(db.Claim(ctx, []string{"notify"}, "", "one process", time.Minute))
		o := Outcome{
			Evidence: []rem.Evidence{attest(rem.NotificationForAcceptance, c, sender.Email, 0, p.clock.now())},
			Jobs:     []Job{{ID: "next", Kind: "remind", Subject: c.ID}}, Notified: c.ID,
		}
		if err := db.Finish(ctx, stale, o); !errors.Is(err, ErrLeaseLost) {
			t.Fatalf("a stale claim finished: %v", err)
		}
		if row := got[*ConsignmentRow](t)(db.Consignment(ctx, c.ID)); row.State != StatePending {
			t.Fatalf("a stale claim changed the state to %s", row.State)
		}
		must(t, db.Finish(ctx, held, o))
		if err := db.Finish(ctx, held, o); !errors.Is(err, ErrLeaseLost) {
			t.Fatalf("finished twice: %v", err)
		}
		row := got[*ConsignmentRow](t)(db.Consignment(ctx, c.ID))
		ev := got[[]EvidenceRow](t)(db.Evidence(ctx, EvidenceFilter{Consignment: c.ID}))
		jobs := got[[]Job](t)(db.Jobs(ctx, 0))
		if row.State != StateNotified || len(ev) != 1 || len(jobs) != 1 || jobs[0].ID != "next" {
			t.Fatalf("state %s, %d evidence, jobs %+v", row.State, len(ev), jobs)
		}
		again := got[*Job](t)(db.Claim(ctx, []string{"remind"}, "", "h", time.Minute))
		must(t, db.Finish(ctx, again, Outcome{Evidence: o.Evidence})) // attested already: left as it is
		if ev := got[[]EvidenceRow](t)(db.Evidence(ctx, EvidenceFilter{Consignment: c.ID})); len(ev) != 1 {
			t.Fatalf("%d evidence after a repeated outcome", len(ev))
		}
	})
}

func TestReceivedDoesNotExpire(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		w := newWorld(t, p)
		for _, c := range []struct {
			state  State
			expire bool
		}{{StateReceived, false}, {StateVerified, false}, {StateNotified, true}} {
			consignment := w.at(c.state)
			must(t, w.db.AddJobs(ctx, []Job{{ID: "x" + consignment.ID, Kind: "expire", Subject: consignment.ID}}))
			j := got[*Job](t)(w.db.Claim(ctx, []string{"expire"}, "", "h", time.Minute))
			must(t, w.db.Finish(ctx, j, Outcome{
				Evidence: []rem.Evidence{attest(rem.AcceptanceRejectionExpiry, *consignment, w.sender.Email, 0, w.clock.now())},
				Expired:  consignment.ID, Jobs: []Job{{ID: "tell" + consignment.ID, Kind: "tell", Subject: consignment.ID}},
			}))
			ev := got[[]EvidenceRow](t)(w.db.Evidence(ctx, EvidenceFilter{Consignment: consignment.ID, Event: string(rem.AcceptanceRejectionExpiry)}))
			if (len(ev) == 1) != c.expire {
				t.Errorf("%s: %d evidence of expiry", c.state, len(ev))
			}
			_, err := w.db.Claim(ctx, []string{"tell"}, "", "h", time.Minute)
			if (err == nil) != c.expire {
				t.Errorf("%s: following job: %v", c.state, err)
			}
		}
		if found := problems(t, w.db); len(found) > 0 {
			t.Error(found)
		}
		if _, err := w.db.AddHandover(ctx, handover(*w.at(StateNotified), w.recipient, w.sender.Email, w.clock.now())); !errors.Is(err, ErrExpired) {
			t.Errorf("handover after expiry: %v", err)
		}
	})
}

func TestReleaseFreesOneNode(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		must(t, db.AddJobs(ctx, []Job{{ID: "a", Kind: "k"}, {ID: "b", Kind: "k"}}))
		mine := got[*Job](t)(db.Claim(ctx, []string{"k"}, "", "узел/1", time.Hour))
		got[*Job](t)(db.Claim(ctx, []string{"k"}, "", "узел2/1", time.Hour))
		must(t, db.Release(ctx, "узел/"))
		if err := db.Finish(ctx, mine, Outcome{}); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("a released claim finished: %v", err)
		}
		if j := got[*Job](t)(db.Claim(ctx, []string{"k"}, "", "h", time.Hour)); j.ID != mine.ID || j.Attempts != 2 {
			t.Errorf("claimed %+v", j)
		}
		if _, err := db.Claim(ctx, []string{"k"}, "", "h", time.Hour); !errors.Is(err, ErrNotFound) {
			t.Errorf("another node's job was released: %v", err)
		}
	})
}

func TestWake(t *testing.T) {
	db := sqlitePlace(t).open(t)
	woken := func() bool {
		select {
		case <-db.Wake():
			return true
		default:
			return false
		}
	}
	if woken() {
		t.Fatal("woken before any job")
	}
	must(t, db.AddJobs(ctx, []Job{{ID: "a", Kind: "k"}, {ID: "b", Kind: "k"}}))
	if !woken() || woken() {
		t.Fatal("want one token")
	}
	if err := db.AddJobs(ctx, []Job{{ID: "", Kind: "k"}}); err == nil || woken() {
		t.Fatalf("a job without an id: %v", err)
	}
}
