package blob_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/blob/blobtest"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// within is a client of a part of the bucket that nobody else uses.
func within(t testing.TB, c blob.S3Config) *blob.S3 {
	t.Helper()
	c.Prefix = strings.Trim(c.Prefix+"/"+strings.ToLower(rand.Text()), "/")
	return client(t, c)
}

func client(t testing.TB, c blob.S3Config) *blob.S3 {
	t.Helper()
	s, err := blob.NewS3(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestS3(t *testing.T) {
	bucket, ok := blobtest.Bucket(t)
	if !ok {
		return
	}
	blobtest.Run(t, func(t *testing.T) blob.Store { return within(t, bucket) })
	t.Run("Fetch", func(t *testing.T) { fetchWhole(t, within(t, bucket)) })
	t.Run("Pages", func(t *testing.T) { pages(t, within(t, bucket)) })
	t.Run("Lock", func(t *testing.T) { lock(t, bucket) })
	t.Run("Secrets", func(t *testing.T) { secrets(t, bucket) })
	t.Run("NoBucket", func(t *testing.T) { noBucket(t, bucket) })
	t.Run("WrongContent", func(t *testing.T) { wrongContent(t, within(t, bucket)) })
	t.Run("OnePut", func(t *testing.T) { onePut(t, bucket) })
}

func fetchWhole(t *testing.T, s *blob.S3) {
	content := blobtest.Content(1 << 20)
	ref, path := blobtest.Spool(t, content)
	if err := s.Put(t.Context(), ref, path); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := s.Fetch(t.Context(), ref, &got); err != nil || !bytes.Equal(got.Bytes(), content) {
		t.Errorf("%d octets, %v", got.Len(), err)
	}
	broken := errors.New("no more")
	if err := s.Fetch(t.Context(), ref, failing{broken}); !errors.Is(err, broken) || errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("a failing writer: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// pages lists more than one answer holds, in order.
func pages(t *testing.T, s *blob.S3) {
	const n = 1100
	work := make(chan int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range work {
				ref, path := blobtest.Spool(t, []byte(fmt.Sprint(i)))
				if err := s.Put(t.Context(), ref, path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
	got, last := 0, ""
	err := s.List(t.Context(), func(ref rem.Ref, _ time.Time) error {
		if got++; ref.String() <= last {
			t.Errorf("%s after %s", ref, last)
		}
		last = ref.String()
		return nil
	})
	if got != n || err != nil {
		t.Errorf("%d listed, %v", got, err)
	}
}

// lock: what Probe has found true is used, and what is retained stays readable
// by its version although it is deleted.
func lock(t *testing.T, bucket blob.S3Config) {
	bucket.Retention = time.Minute
	s := within(t, bucket)
	p, err := s.Probe(t.Context())
	if err != nil || !p.Lock {
		t.Fatalf("%+v, %v", p, err)
	}
	content := blobtest.Content(100)
	ref, path := blobtest.Spool(t, content)
	for range 2 {
		if err := s.Put(t.Context(), ref, path); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(t.Context(), ref); !errors.Is(err, blob.ErrNotExist) {
			t.Errorf("after deletion: %v", err)
		}
	}
	plain := bucket
	plain.Bucket = "plain-" + strings.ToLower(rand.Text())
	o := client(t, plain)
	if err := o.MakeBucket(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if p, err := o.Probe(t.Context()); err != nil || p.Lock || p.Detail == "" {
		t.Errorf("a bucket without lock: %+v, %v", p, err)
	}
	if err := o.Put(t.Context(), ref, path); err != nil {
		t.Errorf("put without lock: %v", err)
	}
	if err := o.MakeBucket(t.Context(), false); err != nil {
		t.Errorf("made again: %v", err)
	}
}

// secrets: no error repeats a key.
func secrets(t *testing.T, bucket blob.S3Config) {
	ref, path := blobtest.Spool(t, blobtest.Content(10))
	for name, change := range map[string]func(*blob.S3Config){
		"wrong secret": func(c *blob.S3Config) { c.SecretKey = "wrong-secret-of-mine" },
		"wrong key":    func(c *blob.S3Config) { c.AccessKey, c.SecretKey = "nobody-at-all", "wrong-secret-of-mine" },
		"nobody there": func(c *blob.S3Config) { c.Endpoint = "127.0.0.1:1" },
		"wrong scheme": func(c *blob.S3Config) { c.Secure = true },
	} {
		c := bucket
		change(&c)
		s := client(t, c)
		if _, err := s.Probe(t.Context()); err == nil || errors.Is(err, blob.ErrUnavailable) == (name == "wrong secret" || name == "wrong key") ||
			strings.Contains(err.Error(), c.SecretKey) || strings.Contains(err.Error(), c.AccessKey) {
			t.Errorf("%s: probe: %v", name, err)
		}
		_, opened := s.Open(t.Context(), ref)
		for _, err := range []error{s.Put(t.Context(), ref, path), s.Verify(t.Context(), ref), opened, s.Delete(t.Context(), ref),
			s.List(t.Context(), func(rem.Ref, time.Time) error { return nil })} {
			if !errors.Is(err, blob.ErrUnavailable) || strings.Contains(err.Error(), c.SecretKey) || strings.Contains(err.Error(), c.AccessKey) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, endpoint := range []string{"", "http://127.0.0.1:1", "user@127.0.0.1:1"} {
		if _, err := blob.NewS3(blob.S3Config{Endpoint: endpoint, Bucket: "b"}); err == nil {
			t.Errorf("endpoint %q is accepted", endpoint)
		}
	}
}

// noBucket: that a bucket is absent does not say that a blob is.
func noBucket(t *testing.T, bucket blob.S3Config) {
	bucket.Bucket = "absent-" + strings.ToLower(rand.Text())
	s := client(t, bucket)
	ref, path := blobtest.Spool(t, blobtest.Content(10))
	_, opened := s.Open(t.Context(), ref)
	for _, err := range []error{s.Put(t.Context(), ref, path), s.Verify(t.Context(), ref), opened, s.Delete(t.Context(), ref)} {
		if !errors.Is(err, blob.ErrUnavailable) || errors.Is(err, blob.ErrNotExist) {
			t.Error(err)
		}
	}
}

// wrongContent: the server holds what it gets against its name.
// onePut: a blob is one PUT, which carries the digest for the server to check
// and replaces nothing.
func onePut(t *testing.T, bucket blob.S3Config) {
	f := newFront(t, &bucket)
	var puts []http.Header
	f.lie(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		puts = append(puts, r.Header.Clone())
		next.ServeHTTP(w, r)
	}, honest)
	ref, path := blobtest.Spool(t, blobtest.Content(20<<20)) // more than a client would send in parts
	if err := within(t, bucket).Put(t.Context(), ref, path); err != nil {
		t.Fatal(err)
	}
	if len(puts) != 1 {
		t.Fatalf("%d PUTs", len(puts))
	}
	digest := base64.StdEncoding.EncodeToString(ref.SHA256[:])
	if h := puts[0]; h.Get("If-None-Match") != "*" || h.Get("X-Amz-Checksum-Sha256") != digest || h.Get("X-Amz-Content-Sha256") != ref.SHA256.String() {
		t.Errorf("%v", h)
	}
}

func wrongContent(t *testing.T, s *blob.S3) {
	ref, _ := blobtest.Spool(t, blobtest.Content(100))
	_, other := blobtest.Spool(t, blobtest.Content(100))
	if err := s.Put(t.Context(), ref, other); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("other octets: %v", err)
	}
	if err := s.Verify(t.Context(), ref); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("and then: %v", err)
	}
}

// TestS3Memory: an object's size costs no memory, in neither direction.
func TestS3Memory(t *testing.T) {
	bucket, ok := blobtest.Bucket(t)
	if !ok {
		return
	}
	s := within(t, bucket)
	spool, err := blob.CreateSpool(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(spool, rand.Reader, 64<<20); err != nil {
		t.Fatal(err)
	}
	ref, err := spool.Commit()
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := s.Put(t.Context(), ref, spool.Path()); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("%d octets allocated for an object of 64 MiB", used)
	}
}

// BenchmarkRemotePut is what one letter costs: bare, and with its copy kept.
func BenchmarkRemotePut(b *testing.B) {
	bucket, ok := blobtest.Bucket(b)
	if !ok {
		return
	}
	spool, content := b.TempDir(), blobtest.Content(20<<10)
	for _, parallel := range []int{8, 32} {
		s := within(b, bucket)
		for name, store := range map[string]blob.Store{"S3": s, "Backed": newNode(b, s).Backed} {
			b.Run(fmt.Sprintf("%s-%d", name, parallel), func(b *testing.B) {
				b.SetParallelism(max(1, parallel/runtime.GOMAXPROCS(0)))
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						f, err := blob.CreateSpool(spool)
						if err != nil {
							b.Fatal(err)
						}
						io.WriteString(f, rand.Text())
						f.Write(content)
						ref, err := f.Commit()
						if err == nil {
							err = store.Put(b.Context(), ref, f.Path())
						}
						if err != nil {
							b.Fatal(err)
						}
						f.Discard()
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
			})
		}
	}
}
