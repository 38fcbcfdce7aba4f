package store

import (
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestSubmissionRoundTrip(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		sender := addUser(t, db, "alice@Example.test")
		full := letter(sender, p.clock.now(), "bob@example.test", "carol@example.test")
		bare := letter(sender, p.clock.now(), "bob@example.test")
		s := &bare.Accepted.Submission
		s.Finding = rem.Finding{Verdict: rem.Indeterminate, Reason: rem.ReasonNoCertificate, Signatures: []rem.Signature{}, Documents: []rem.Document{}, Unsigned: []string{}}
		s.Letter.Date, s.Letter.From, s.Letter.To = time.Time{}, nil, []string{}
		s.Letter.Subject = "NUL \x00 in display text"
		s.Repeats, s.SenderName = full.Accepted.Submission.ID, "Алиса"
		within := letter(sender, p.clock.now(), "bob@example.test")
		w := &within.Accepted.Submission.Finding
		w.Documents[0].Container, w.Documents[0].Within = true, &rem.Range{Offset: 5, Length: 6}
		w.Documents[0].Signatures, w.Signatures[0].Checks, w.Signatures[0].Covers = nil, nil, []string{}
		w.Signatures[0].Certificate, w.Signatures[0].Raw, w.Signatures[0].ClaimedTime = nil, nil, nil
		for _, n := range []NewSubmission{full, bare, within} {
			must(t, db.AddSubmission(ctx, n))
			have := got[*rem.Submission](t)(db.Submission(ctx, n.Accepted.Submission.ID))
			if !reflect.DeepEqual(*have, n.Accepted.Submission) {
				t.Errorf("submission read back differs:\n%+v\n%+v", *have, n.Accepted.Submission)
			}
		}
		if _, err := db.Submission(ctx, "absent"); !errors.Is(err, ErrNotFound) {
			t.Errorf("absent submission: %v", err)
		}
	})
}

func TestParallelRetriesAddOne(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		sender := addUser(t, db, "alice@example.test")
		key := rem.DigestOf([]byte("one letter"))
		var added atomic.Int32
		var wg sync.WaitGroup
		for range 20 {
			n := letter(sender, p.clock.now(), "bob@example.test")
			n.RetryKey = key
			wg.Go(func() {
				switch err := db.AddSubmission(ctx, n); {
				case err == nil:
					added.Add(1)
				case !errors.Is(err, ErrExists):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if added.Load() != 1 {
			t.Fatalf("%d of 20 identical retries were added", added.Load())
		}
		since := p.clock.now().Add(-RetryWindow)
		id := got[string](t)(db.SubmissionByRetryKey(ctx, key, since))
		if rows := got[[]SubmissionRow](t)(db.Submissions(ctx, sender.ID, Page{})); len(rows) != 1 || rows[0].ID != id {
			t.Fatalf("sent: %+v, retry key names %s", rows, id)
		}
		p.clock.advance(RetryWindow + time.Second)
		if _, err := db.SubmissionByRetryKey(ctx, key, p.clock.now().Add(-RetryWindow)); !errors.Is(err, ErrNotFound) {
			t.Fatalf("after the window: %v", err)
		}
		again := letter(sender, p.clock.now(), "bob@example.test")
		again.RetryKey = key
		must(t, db.AddSubmission(ctx, again))
	})
}

func TestFailedSubmissionLeavesNothing(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		sender := addUser(t, db, "alice@example.test")
		first := letter(sender, p.clock.now(), "bob@example.test")
		must(t, db.AddSubmission(ctx, first))
		second := letter(sender, p.clock.now(), "bob@example.test")
		second.Links[second.Accepted.Consignments[0].ID] = first.Links[first.Accepted.Consignments[0].ID]
		if err := db.AddSubmission(ctx, second); !errors.Is(err, ErrExists) {
			t.Fatalf("a link used twice: %v", err)
		}
		if _, err := db.Submission(ctx, second.Accepted.Submission.ID); !errors.Is(err, ErrNotFound) {
			t.Fatalf("half a submission stayed: %v", err)
		}
		strange := letter(User{ID: "nobody", Email: "x@example.test", Addresses: []string{"x@example.test"}}, p.clock.now(), "bob@example.test")
		if err := db.AddSubmission(ctx, strange); !errors.Is(err, ErrNotFound) {
			t.Fatalf("submission of nobody: %v", err)
		}
		if ev := got[[]EvidenceRow](t)(db.Evidence(ctx, EvidenceFilter{})); len(ev) != 1 {
			t.Fatalf("%d evidence rows, want that of the first submission", len(ev))
		}
	})
}

func TestSentPages(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		sender := addUser(t, db, "alice@example.test")
		for i := range 7 {
			must(t, db.AddSubmission(ctx, letter(sender, p.clock.now(), "bob@example.test", "carol@example.test")))
			if i%2 == 0 { // some share one time
				p.clock.advance(time.Second)
			}
		}
		var page Page
		seen := make(map[string]bool)
		for page.Limit = 2; ; {
			rows := got[[]SubmissionRow](t)(db.Submissions(ctx, sender.ID, page))
			for _, r := range rows {
				if seen[r.ID] || !page.Before.IsZero() && r.Time.After(page.Before) {
					t.Fatalf("%s twice or out of order", r.ID)
				}
				seen[r.ID] = true
				page.Before, page.BeforeID = r.Time, r.ID
				if r.Documents != 1 || r.Recipients != 2 || r.State["pending"] != 2 || r.Subject != "Договор № 5" || r.MessageID == "" {
					t.Fatalf("row %+v", r)
				}
			}
			if len(rows) < page.Limit {
				break
			}
		}
		if len(seen) != 7 {
			t.Fatalf("%d of 7 rows listed", len(seen))
		}
	})
}

func TestCoveringNoteIsNoDocumentOfSent(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		sender := addUser(t, db, "alice@example.test")
		n := letter(sender, p.clock.now(), "bob@example.test")
		f := &n.Accepted.Submission.Finding
		f.Documents = append(f.Documents, rem.Document{Name: "letter.txt", MediaType: "text/plain", SHA256: rem.DigestOf([]byte("note")), Size: 4, Note: true})
		n.Evidence = []rem.Evidence{n.Accepted.Evidence()}
		must(t, db.AddSubmission(ctx, n))
		rows, err := db.Submissions(ctx, sender.ID, Page{})
		must(t, err)
		if len(rows) != 1 || rows[0].Documents != 1 {
			t.Errorf("%+v", rows)
		}
		s, err := db.Submission(ctx, n.Accepted.Submission.ID)
		must(t, err)
		if len(s.Finding.Documents) != 2 {
			t.Errorf("stored are %d documents", len(s.Finding.Documents))
		}
	})
}
