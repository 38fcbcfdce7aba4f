package gateway

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/blob/blobtest"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// cloudy is an installation whose letters last in an object store of its own,
// which a test may stop.
type cloudy struct {
	*world
	server  *blobtest.MinIO
	backed  *blob.Backed
	objects *minio.Client // past all of our code
}

// newCloudyWorld is nil where no server is installed.
func newCloudyWorld(t *testing.T) *cloudy {
	t.Helper()
	m := blobtest.StartMinIO(t)
	if m == nil {
		return nil
	}
	m.Config.Timeout = 2 * time.Second
	c := &cloudy{server: m}
	c.world = newWorld(t, func(g *Config) { c.open(t, g) })
	var err error
	c.objects, err = minio.New(m.Config.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(m.Config.AccessKey, m.Config.SecretKey, ""), Region: "us-east-1",
	})
	c.must(err)
	return c
}

func (c *cloudy) open(t *testing.T, g *Config) {
	t.Helper()
	b, err := blob.NewBacked(blob.BackedConfig{
		Local: filepath.Join(g.Spool, "kept"), Cache: filepath.Join(filepath.Dir(g.Spool), "cache"), Remote: c.server.Client(),
		Now: g.Now, PutTime: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	c.backed, g.Blobs = b, b
}

// key is where an object lies.
func key(ref rem.Ref) string { return "sha256/" + ref.String()[:2] + "/" + ref.String() }

func (c *cloudy) letter(id string) rem.Ref {
	c.t.Helper()
	s, err := c.DB.Submission(c.t.Context(), id)
	c.must(err)
	return s.Letter.Ref
}

// settle lets time pass and does what is due until nothing is kept any more.
func (c *cloudy) settle() {
	c.t.Helper()
	c.must(c.DB.AddJobs(c.t.Context(), []store.Job{c.confirmJob(c.Now())}))
	run := c.runner()
	for range 20 {
		c.clock.pass(confirmEvery + confirmAge)
		run.all()
		if left, err := c.backed.Drained(c.t.Context()); err == nil && left == 0 {
			return
		}
	}
	c.t.Fatal("copies are kept for ever")
}

// R7: while the object store is down a letter is accepted, and is read here;
// its notices wait until it has been uploaded, and go out once.
func TestLetterWaitsForTheObjectStore(t *testing.T) {
	w := newCloudyWorld(t)
	if w == nil {
		return
	}
	run := w.runner()
	w.server.Stop()
	letter := signed(t, w.anna.Party)
	id := w.send(letter, bob, "carol@in.test")
	if again := w.send(letter, bob, "carol@in.test"); again != id {
		t.Errorf("sent again: %s, first %s", again, id)
	}
	for range 3 {
		run.due(jobUpload, 1)
		run.due(jobNotice, 0)
		w.clock.pass(time.Minute)
	}
	if got := content(t)(w.OpenLetter(t.Context(), w.anna.user, id)); string(got) != letter {
		t.Error("the letter is not read from its copy")
	}
	if n := len(w.mails()); n != 0 {
		t.Errorf("%d notices went out", n)
	}
	if f := (Fsck{DB: w.DB, Blobs: w.Blobs, Report: func(string) {}}); !errors.Is(f.Run(t.Context()), blob.ErrUnavailable) {
		t.Error("fsck says something about what it cannot see")
	}
	w.server.Start()
	pending := Fsck{DB: w.DB, Blobs: w.Blobs, Report: func(p string) { t.Error(p) }}
	w.must(pending.Run(t.Context()))
	if pending.Pending != 1 {
		t.Errorf("%d pending", pending.Pending)
	}
	run.due(jobUpload, 1)
	run.due(jobUpload, 0)
	run.due(jobNotice, 2)
	w.settle()
	w.clock.pass(w.Limits.LinkLife)
	run.all()
	w.wantEvents(w.to(id, bob).ID, "NotificationForAcceptance", "AcceptanceRejectionExpiry")
	if got := content(t)(w.OpenLetter(t.Context(), w.anna.user, id)); string(got) != letter {
		t.Error("the letter is not what it was")
	}
	w.fsck()
}

// A node that dies after the upload and before its end uploads again: each
// notice goes out once.
func TestCrashAfterUpload(t *testing.T) {
	w := newCloudyWorld(t)
	if w == nil {
		return
	}
	w.server.Stop()
	id := w.send(signed(t, w.anna.Party), bob)
	w.server.Start()
	w.clock.pass(time.Minute)
	j, err := w.DB.Claim(t.Context(), []string{jobUpload}, w.Node, w.Node+"/dies", leaseTime)
	w.must(err)
	late, err := w.upload(t.Context(), j)
	w.must(err)
	w.clock.pass(leaseTime + time.Second)
	run := w.runner()
	run.due(jobUpload, 1)
	wantError(t, w.DB.Finish(t.Context(), j, late), store.ErrLeaseLost)
	run.due(jobNotice, 1)
	w.wantEvents(w.to(id, bob).ID, "NotificationForAcceptance")
	w.settle()
	w.fsck()
}

// R7: the object store stops for a while under load. Intake goes on, and
// afterwards everything has arrived, once.
func TestObjectStoreStopsUnderLoad(t *testing.T) {
	w := newCloudyWorld(t)
	if w == nil {
		return
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx, nil) })
	const senders, each = 4, 15
	var sent atomic.Int32
	var mu sync.Mutex
	letters := map[string]string{}
	var load sync.WaitGroup
	prepared := make([]string, senders*each)
	for i := range prepared {
		prepared[i] = signed(t, w.anna.Party)
	}
	for s := range senders {
		load.Go(func() {
			for i := range each {
				letter := prepared[s*each+i]
				id, err := w.Receive(ctx, w.envelope(w.anna, bob), strings.NewReader(letter))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				letters[id] = letter
				mu.Unlock()
				sent.Add(1)
			}
		})
	}
	w.eventually("the first letters", func() bool { return sent.Load() > senders*each/4 || t.Failed() })
	w.server.Stop()
	load.Wait()
	w.server.Start()
	w.eventually("every notice", func() bool {
		w.clock.pass(time.Second)
		return w.count("SELECT COUNT(*) FROM consignments WHERE state = ?", store.StateNotified) == senders*each
	})
	w.eventually("every confirmation", func() bool {
		w.clock.pass(10 * time.Second)
		left, err := w.backed.Drained(ctx)
		return err == nil && left == 0
	})
	stop()
	running.Wait()
	for id, letter := range letters {
		if got := content(t)(w.OpenLetter(t.Context(), w.anna.user, id)); string(got) != letter {
			t.Errorf("letter %s is not what it was", id)
		}
	}
	if n := w.count("SELECT COUNT(*) FROM evidence WHERE event = 'NotificationForAcceptance'"); n != senders*each {
		t.Errorf("%d notices attested", n)
	}
	w.fsck()
}

// Two nodes: what one took the other reads, once it is in the object store; a
// letter that lies on the first alone is out of its reach for now and is not
// said to be lost.
func TestLetterOfAnotherNode(t *testing.T) {
	w := newCloudyWorld(t)
	if w == nil {
		return
	}
	other := &cloudy{server: w.server}
	c := w.Config
	c.Node, c.Spool = "second", filepath.Join(t.TempDir(), "spool")
	other.open(t, &c)
	second, err := New(c)
	w.must(err)
	letter := signed(t, w.anna.Party)
	id := w.send(letter, bob)
	if got := content(t)(second.OpenLetter(t.Context(), w.anna.user, id)); string(got) != letter {
		t.Error("the second node reads something else")
	}
	w.server.Stop()
	id = w.send(signed(t, w.anna.Party), bob)
	w.clock.pass(time.Minute)
	if _, err := second.OpenLetter(t.Context(), w.anna.user, id); !errors.Is(err, blob.ErrUnavailable) || errors.Is(err, blob.ErrNotExist) {
		t.Errorf("while it is down: %v", err)
	}
	w.server.Start()
	w.clock.pass(time.Minute)
	if _, err := second.OpenLetter(t.Context(), w.anna.user, id); !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("while it waits: %v", err)
	}
	w.settle()
	content(t)(second.OpenLetter(t.Context(), w.anna.user, id))
}

// A full spool puts letters off (R5); a copy that cannot be made durable ends
// intake (R4), whatever the object store says.
func TestCopyThatCannotBeKept(t *testing.T) {
	w := newCloudyWorld(t)
	if w == nil {
		return
	}
	before := w.rows()
	w.must(os.RemoveAll(filepath.Join(w.Spool, "kept", "sha256")))
	_, err := w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(signed(t, w.anna.Party)))
	if !errors.Is(err, syscall.ENOENT) {
		t.Errorf("got %v", err)
	}
	_, err = w.Receive(t.Context(), w.envelope(w.anna, bob), strings.NewReader(signed(t, w.anna.Party)))
	wantError(t, err, ErrStopped)
	if after := w.rows(); !equalCounts(before, after) {
		t.Errorf("rows %v, before %v", after, before)
	}
}

// Fsck finds what became of objects, and what nothing refers to.
func TestFsckOfTheObjectStore(t *testing.T) {
	w := newCloudyWorld(t)
	if w == nil {
		return
	}
	var ids []string
	for range 4 {
		ids = append(ids, w.send(signed(t, w.anna.Party), bob))
	}
	w.settle()
	bucket := w.server.Config.Bucket
	replace := func(id string, with []byte) {
		_, err := w.objects.PutObject(t.Context(), bucket, key(w.letter(id)), bytes.NewReader(with), int64(len(with)), minio.PutObjectOptions{SendContentMd5: true})
		w.must(err)
	}
	size := int(w.letter(ids[0]).Size)
	replace(ids[0], bytes.Repeat([]byte("x"), size))
	replace(ids[1], []byte("short"))
	w.must(w.objects.RemoveObject(t.Context(), bucket, key(w.letter(ids[2])), minio.RemoveObjectOptions{}))
	stray := []byte("stray")
	strayRef := rem.Ref{SHA256: rem.DigestOf(stray)}
	_, err := w.objects.PutObject(t.Context(), bucket, key(strayRef), bytes.NewReader(stray), int64(len(stray)), minio.PutObjectOptions{SendContentMd5: true})
	w.must(err)

	var problems []string
	f := Fsck{DB: w.DB, Blobs: w.Blobs, Report: func(p string) { problems = append(problems, p) }}
	w.must(f.Run(t.Context()))
	if len(problems) != 3 || f.Files != 4 || f.Unreferenced != 1 || f.Pending != 0 {
		t.Errorf("%+v, %q", f, problems)
	}
	for _, id := range ids[:3] {
		if !strings.Contains(strings.Join(problems, "\n"), id) {
			t.Errorf("%s is not named in %q", id, problems)
		}
	}
	_, err = w.OpenLetter(t.Context(), w.anna.user, ids[0])
	if !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("a damaged letter is handed out: %v", err)
	}
}

// The clean job removes from the object store what nothing refers to.
func TestCleanOfTheObjectStore(t *testing.T) {
	w := newCloudyWorld(t)
	if w == nil {
		return
	}
	id := w.send(signed(t, w.anna.Party), bob)
	orphan, path := blobtest.Spool(t, blobtest.Content(100))
	w.must(w.Blobs.Put(t.Context(), orphan, path))
	w.settle()
	w.must(w.cleanBlobs(t.Context(), time.Now().Add(leftover)))
	wantError(t, w.Blobs.Verify(t.Context(), orphan), blob.ErrNotExist)
	w.must(w.Blobs.Verify(t.Context(), w.letter(id)))
	w.fsck()
}
