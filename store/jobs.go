package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// Job is one step to be done. It is kept until it is finished, whatever dies
// meanwhile: at least once, and its result exactly once.
type Job struct {
	ID, Kind, Subject string
	Payload           []byte
	Node              string // only this node claims it; "" any
	Due               time.Time
	Attempts          int // claims so far, this one included
	Created           time.Time
	Holder            string    // who has claimed it
	Lease             time.Time // until when; zero when nobody has
	LastError         string
}

const jobColumns = "id, kind, subject, payload, node, due, attempts, created, holder, lease, last_error"

func jobRow(j *Job) []any {
	return []any{&j.ID, &j.Kind, &j.Subject, &j.Payload, &j.Node, instant{&j.Due}, &j.Attempts,
		instant{&j.Created}, &j.Holder, instant{&j.Lease}, &j.LastError}
}

// AddJobs adds jobs; one whose id is there already is left as it is.
func (db *DB) AddJobs(ctx context.Context, jobs []Job) error {
	if err := db.write(ctx, func(t *tx) error { return t.addJobs(jobs) }); err != nil {
		return fmt.Errorf("add jobs: %w", err)
	}
	return nil
}

func (t *tx) addJobs(jobs []Job) error {
	rows := make([][]any, len(jobs))
	for i, j := range jobs {
		if j.ID == "" || j.Kind == "" {
			return fmt.Errorf("job %q of kind %q: both are needed", j.ID, j.Kind)
		}
		if j.Due.IsZero() {
			j.Due = t.now
		}
		if j.Created.IsZero() {
			j.Created = t.now
		}
		rows[i] = []any{j.ID, j.Kind, j.Subject, j.Payload, j.Node, j.Due, j.Attempts, j.Created, "", 0, ""}
	}
	t.woke = t.woke || len(jobs) > 0
	_, err := t.insert(insertion{into: "jobs (" + jobColumns + ")", on: "ON CONFLICT DO NOTHING", rows: rows})
	return err
}

// claimable is a query over the jobs that this node may claim: first is the
// condition and order of each leg, so that every leg is one index seek and jobs
// of other kinds and nodes cost nothing.
func claimable(kinds []string, node string, from int, leg string) (text string, args []any) {
	nodes := []string{""}
	if node != "" {
		nodes = append(nodes, node)
	}
	var legs []string
	for _, n := range nodes {
		for _, k := range kinds {
			legs = append(legs, fmt.Sprintf("SELECT * FROM (SELECT id, due FROM jobs WHERE node = $%d AND kind = $%d AND %s) leg%d",
				from+len(args), from+len(args)+1, leg, len(legs)))
			args = append(args, n, k)
		}
	}
	return strings.Join(legs, " UNION ALL "), args
}

// Claiming says which jobs a claim takes: of these kinds, for this node or any.
type Claiming struct {
	Kinds        []string
	Node, Holder string
	Lease        time.Duration
	Most         int // how many, at least 1
}

// ClaimJobs takes the jobs that have been due longest for the length of a
// lease: ErrNotFound when nothing is due. A job whose lease has run out is due
// again. The claim is durable, and exclusive among all processes: its condition
// stands outside the subselect too, for PostgreSQL checks only that again after
// waiting for a rival. Rivals pass over each other's jobs: those who claim
// several at once would otherwise wait for each other in a circle.
func (db *DB) ClaimJobs(ctx context.Context, c Claiming) ([]Job, error) {
	if len(c.Kinds) == 0 {
		return nil, ErrNotFound
	}
	const due = "due <= $1 AND lease < $1"
	// A number and no parameter: SQLite compiles a statement anew whenever the
	// parameter of a LIMIT is bound.
	first := fmt.Sprintf(" ORDER BY due, id LIMIT %d", max(c.Most, 1))
	legs, legArgs := claimable(c.Kinds, c.Node, 4, due+first+db.d.skipLocked)
	update := "UPDATE jobs SET holder = $2, lease = $3, attempts = attempts + 1 WHERE id IN (SELECT id FROM (" + legs +
		") candidates" + first + ") AND " + due + " RETURNING " + jobColumns
	for {
		var jobs []Job
		err := db.write(ctx, func(t *tx) (err error) {
			jobs, err = list(&t.session, jobRow, update, append([]any{t.now, c.Holder, t.now.Add(c.Lease)}, legArgs...)...)
			if err != nil || len(jobs) > 0 {
				return err
			}
			// Nothing due, or a rival was faster: then look again.
			var id string
			legs, more := claimable(c.Kinds, c.Node, 2, due+" ORDER BY due, id LIMIT 1")
			return t.get([]any{&id}, "SELECT id FROM ("+legs+") candidates LIMIT 1", append([]any{t.now}, more...)...)
		})
		if err == nil && len(jobs) == 0 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("claim jobs: %w", err)
		}
		slices.SortFunc(jobs, func(a, b Job) int { return cmp.Or(a.Due.Compare(b.Due), strings.Compare(a.ID, b.ID)) })
		return jobs, nil
	}
}

// Claim takes the one job that has been due longest; see ClaimJobs.
func (db *DB) Claim(ctx context.Context, kinds []string, node, holder string, lease time.Duration) (*Job, error) {
	jobs, err := db.ClaimJobs(ctx, Claiming{Kinds: kinds, Node: node, Holder: holder, Lease: lease, Most: 1})
	if err != nil {
		return nil, err
	}
	return &jobs[0], nil
}

// NextDue is when the next job of these kinds comes due for this node: by its
// time or because a lease runs out. ErrNotFound when there is no job.
func (db *DB) NextDue(ctx context.Context, kinds []string, node string) (time.Time, error) {
	if len(kinds) == 0 {
		return time.Time{}, ErrNotFound
	}
	s := db.read(ctx)
	now := db.now()
	var free, leased time.Time
	legs, args := claimable(kinds, node, 2, "lease < $1 ORDER BY due, id LIMIT 1")
	err := s.get([]any{instant{&free}}, "SELECT COALESCE(MIN(due), 0) FROM ("+legs+") candidates", append([]any{now}, args...)...)
	if err == nil {
		args := []any{now, node}
		for _, k := range kinds {
			args = append(args, k)
		}
		err = s.get([]any{instant{&leased}}, "SELECT COALESCE(MIN(lease), 0) FROM jobs WHERE lease >= $1 AND lease > 0 AND node IN ('', $2) AND kind IN ("+
			dollars(3, len(kinds))+")", args...)
	}
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("next due job: %w", err)
	case free.IsZero() && leased.IsZero():
		return time.Time{}, ErrNotFound
	case free.IsZero() || !leased.IsZero() && leased.Before(free):
		return leased, nil
	}
	return free, nil
}

// Outcome is what a finished job leaves behind.
type Outcome struct {
	Evidence     []rem.Evidence
	Jobs         []Job
	Notified     string     // a consignment: pending or failed → notified
	FailedNotice string     // a consignment: pending → failed
	Expired      string     // a consignment: expired unless it was received
	Mails        []Delivery // each once, however often its job runs
	Submission   string     // of Material
	Material     []rem.Material
}

// Finish ends a claimed job and records its outcome, in one transaction:
// ErrLeaseLost, with nothing recorded, when the job was claimed again or
// finished meanwhile. Evidence that stands already is left as it is. When
// Expired names a consignment that was received in time, expiry did not
// happen: the job ends and nothing else of the outcome is recorded
// (invariant 2).
func (db *DB) Finish(ctx context.Context, j *Job, o Outcome) error {
	ev, err := seal(o.Evidence)
	if err == nil {
		err = db.write(ctx, func(t *tx) error { return t.finish(j, o, ev) })
	}
	if err != nil {
		return fmt.Errorf("finish job %s: %w", j.ID, err)
	}
	return nil
}

func (t *tx) finish(j *Job, o Outcome, ev []sealed) error {
	if err := fenced(t.exec("DELETE FROM jobs WHERE id = $1 AND holder = $2 AND attempts = $3", j.ID, j.Holder, j.Attempts)); err != nil {
		return err
	}
	if o.Expired != "" {
		n, err := t.exec("UPDATE consignments SET state = $2 WHERE id = $1 AND received_at = 0 AND state <> $2", o.Expired, StateExpired)
		if err != nil || n == 0 {
			return err
		}
	}
	if o.Notified != "" {
		_, err := t.exec("UPDATE consignments SET state = $2 WHERE id = $1 AND state IN ($3, $4)",
			o.Notified, StateNotified, StatePending, StateFailed)
		if err != nil {
			return err
		}
	}
	if o.FailedNotice != "" {
		_, err := t.exec("UPDATE consignments SET state = $2 WHERE id = $1 AND state = $3",
			o.FailedNotice, StateFailed, StatePending)
		if err != nil {
			return err
		}
	}
	if err := t.addNewEvidence(ev); err != nil {
		return err
	}
	if err := t.addMaterial(o.Submission, packMaterial(o.Material)); err != nil {
		return err
	}
	if err := t.addJobs(o.Jobs); err != nil {
		return err
	}
	return t.postOutcome(o)
}

// postOutcome delivers mails; the sender's copy follows the one consignment
// that an outcome names.
func (t *tx) postOutcome(o Outcome) error {
	consignment := cmp.Or(o.Expired, o.Notified, o.FailedNotice)
	submission := ""
	if consignment != "" {
		var err error
		if submission, err = t.submissionOf(consignment); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return t.post(o.Mails, submission)
}

// fenced turns a change of no row into ErrLeaseLost. Attempts grow with each
// claim, so holder and attempts together name one claim, even by one holder.
func fenced(n int, err error) error {
	if err == nil && n == 0 {
		err = ErrLeaseLost
	}
	return err
}

const maxCause = 1000 // octets of LastError

// Retry gives a claimed job back until due: ErrLeaseLost.
func (db *DB) Retry(ctx context.Context, j *Job, due time.Time, cause string) error {
	err := db.write(ctx, func(t *tx) error {
		t.woke = true
		return fenced(t.exec("UPDATE jobs SET due = $4, holder = '', lease = 0, last_error = $5 WHERE id = $1 AND holder = $2 AND attempts = $3",
			j.ID, j.Holder, j.Attempts, due, shown(cause, maxCause)))
	})
	if err != nil {
		return fmt.Errorf("retry job %s: %w", j.ID, err)
	}
	return nil
}

// Jobs lists jobs in the order they come due.
func (db *DB) Jobs(ctx context.Context, limit int) ([]Job, error) {
	out, err := list(db.read(ctx), jobRow, "SELECT "+jobColumns+" FROM jobs ORDER BY due, id LIMIT $1", pageLimit(limit))
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return out, nil
}

// Release gives back every job held by a holder whose name begins with prefix:
// a node that starts again need not wait for the leases of its last life. A
// step that is still under way elsewhere is fenced off.
func (db *DB) Release(ctx context.Context, prefix string) error {
	err := db.write(ctx, func(t *tx) error {
		t.woke = true
		_, err := t.exec("UPDATE jobs SET holder = '', lease = 0 WHERE lease > 0 AND substr(holder, 1, $1) = $2", utf8.RuneCountInString(prefix), prefix)
		return err
	})
	if err != nil {
		return fmt.Errorf("release jobs: %w", err)
	}
	return nil
}
