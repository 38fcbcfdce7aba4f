package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// backed is a blob store that is elsewhere, and keeps copies here until it has
// been read back from there.
type backed interface {
	Upload(ctx context.Context, ref rem.Ref) error
	Confirm(ctx context.Context, before time.Time) (int, error)
	Drained(ctx context.Context) (int, error)
}

const (
	confirmAge   = 2 * time.Minute  // how old a copy is before it may be given up; longer than a removal by another node takes
	confirmTime  = 90 * time.Second // of one step
	confirmEvery = time.Minute
	confirmIdle  = 10 * time.Minute // while nothing is kept
)

// keepBlob makes a spooled file durable in the blob store. pending: it is so on
// this node alone, where followUps sees to the rest.
func (g *Gateway) keepBlob(ctx context.Context, ref rem.Ref, path string) (pending bool, err error) {
	err = g.Blobs.Put(ctx, ref, path)
	if errors.Is(err, blob.ErrPending) {
		g.Log.Warn("blob kept here for now", "ref", ref.String(), "size", ref.Size, "error", err)
		return true, nil
	}
	if err != nil {
		g.stop("blob", err)
	}
	return false, storage(err)
}

// openBlob opens a blob that the database needs. One that the object store does
// not have yet is on the node that took it: nobody is told that it does not
// exist. Whether it was lost fsck says.
func (g *Gateway) openBlob(ctx context.Context, ref rem.Ref) (blob.Blob, error) {
	b, err := g.Blobs.Open(ctx, ref)
	if _, ok := g.Blobs.(backed); ok && errors.Is(err, blob.ErrNotExist) {
		return nil, fmt.Errorf("%w: %v", blob.ErrUnavailable, err)
	}
	return b, err
}

// upload is the payload of a jobUpload.
type upload struct {
	Ref          rem.Ref
	Consignments []string
}

// followUps are the jobs of an accepted letter. The notices of one that is on
// this node alone come with the end of its upload: a link leads to any node.
func (g *Gateway) followUps(a *rem.Accepted, pending bool) ([]store.Job, error) {
	s := &a.Submission
	var jobs []store.Job
	waiting := upload{Ref: s.Letter.Ref}
	for _, c := range a.Consignments {
		jobs = append(jobs, expiryJob(c, s.Time))
		if pending {
			waiting.Consignments = append(waiting.Consignments, c.ID)
		} else {
			jobs = append(jobs, noticeJob(c, s.Time))
		}
	}
	if !pending {
		return jobs, nil
	}
	payload, err := json.Marshal(waiting)
	return append(jobs, store.Job{
		ID: jobUpload + "-" + s.ID, Kind: jobUpload, Subject: s.ID, Node: g.Node, Payload: payload, Due: s.Time, Created: s.Time,
	}), err
}

// upload sends the copy of a letter that this node keeps; then its notices go out.
func (g *Gateway) upload(ctx context.Context, j *store.Job) (store.Outcome, error) {
	var u upload
	if err := json.Unmarshal(j.Payload, &u); err != nil {
		return store.Outcome{}, fmt.Errorf("upload payload: %w", err)
	}
	if b, ok := g.Blobs.(backed); ok {
		if err := b.Upload(ctx, u.Ref); err != nil {
			return store.Outcome{}, err
		}
	} else if err := g.Blobs.Verify(ctx, u.Ref); err != nil { // another blob store was configured, and given the blobs
		return store.Outcome{}, err
	}
	failpoint("upload/after-put")
	var o store.Outcome
	now := g.Now()
	for _, id := range u.Consignments {
		o.Jobs = append(o.Jobs, noticeJob(rem.Consignment{ID: id}, now))
	}
	return o, nil
}

// confirmJob is the one that a node has of its kind.
func (g *Gateway) confirmJob(due time.Time) store.Job {
	return store.Job{ID: jobConfirm + "-" + g.Node, Kind: jobConfirm, Subject: g.Node, Node: g.Node, Due: due}
}

// confirm reads back what the object store took, gives up the copies of it, and
// comes again. What it finds lost or damaged is sent again and said.
func (g *Gateway) confirm(ctx context.Context, j *store.Job) (store.Outcome, error) {
	b, ok := g.Blobs.(backed)
	if !ok {
		return store.Outcome{}, nil
	}
	limited, done := context.WithTimeout(ctx, confirmTime)
	defer done()
	n, err := b.Confirm(limited, g.Now().Add(-confirmAge))
	failpoint("confirm/after-read")
	now := g.Now()
	if n > 0 && limited.Err() != nil { // there is more, and it goes on
		return store.Outcome{Jobs: []store.Job{g.confirmJob(now)}}, nil
	}
	left := 0
	if err == nil {
		left, err = b.Drained(ctx)
	}
	if err != nil {
		return store.Outcome{}, err
	}
	pause := confirmIdle
	if left > 0 {
		pause = confirmEvery
	}
	return store.Outcome{Jobs: []store.Job{g.confirmJob(now.Add(pause))}}, nil
}
