package blob_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cryptogramm.ru/cryptogramm/store/blob"
	"cryptogramm.ru/cryptogramm/store/blob/blobtest"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// front stands before a real server and changes what goes through it.
type front struct {
	*httptest.Server
	put, get atomic.Value // of lie
	gets     atomic.Int64
}

type lie func(http.ResponseWriter, *http.Request, http.Handler)

func honest(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }

func newFront(t *testing.T, c *blob.S3Config) *front {
	t.Helper()
	f := &front{}
	f.lie(honest, honest)
	server := c.Endpoint
	behind := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", server, r.In.Host // the host is signed
	}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		object := strings.Contains(r.URL.Path, "/sha256/") && r.URL.RawQuery == ""
		switch {
		case object && r.Method == http.MethodPut:
			f.put.Load().(lie)(w, r, behind)
		case object && r.Method == http.MethodGet:
			f.gets.Add(1)
			f.get.Load().(lie)(w, r, behind)
		default:
			behind.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(f.Close)
	c.Endpoint = f.Listener.Addr().String()
	return f
}

func (f *front) lie(put, get lie) {
	f.put.Store(put)
	f.get.Store(get)
}

// changing passes an answer's body through change. Its length and checksum do
// not give the change away.
func changing(change func([]byte) []byte) lie {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		body := answer.Body.Bytes()
		if answer.Code < 300 {
			body = change(bytes.Clone(body))
		}
		for k, v := range answer.Header() {
			if k != "Content-Length" && !strings.HasPrefix(k, "X-Amz-Checksum-") {
				w.Header()[k] = v
			}
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(answer.Code)
		w.Write(body)
	}
}

// swallow answers a PUT with yes and forgets it.
func swallow(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	io.Copy(io.Discard, r.Body)
	w.Header().Set("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
}

// TestLyingStore: whatever the object store says, nothing is lost and no wrong
// octet is handed out.
func TestLyingStore(t *testing.T) {
	bucket, ok := blobtest.Bucket(t)
	if !ok {
		return
	}
	f := newFront(t, &bucket)
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	for name, c := range map[string]struct{ put, get lie }{
		"PUT keeps nothing":       {swallow, honest},
		"GET changes a bit":       {honest, changing(flip)},
		"GET is short":            {honest, changing(func(b []byte) []byte { return b[:len(b)-1] })},
		"GET is long":             {honest, changing(func(b []byte) []byte { return append(b, 0) })},
		"GET is empty":            {honest, changing(func([]byte) []byte { return nil })},
		"GET breaks off":          {honest, breakOff},
		"GET denies the object":   {honest, deny("NoSuchKey", http.StatusNotFound)},
		"GET denies all access":   {honest, deny("AccessDenied", http.StatusForbidden)},
		"PUT is put off":          {deny("SlowDown", http.StatusServiceUnavailable), honest},
		"PUT finds no room":       {deny("XMinioStorageFull", http.StatusInsufficientStorage), honest},
		"PUT says it is there":    {deny("PreconditionFailed", http.StatusPreconditionFailed), honest},
		"both keep and change it": {swallow, changing(flip)},
	} {
		t.Run(name, func(t *testing.T) {
			f.lie(c.put, c.get)
			remote := within(t, bucket)
			n, elsewhere := newNode(t, remote), newNode(t, remote)
			content := blobtest.Content(5000)
			ref, path := blobtest.Spool(t, content)
			if err := n.Put(t.Context(), ref, path); err != nil && !errors.Is(err, blob.ErrPending) {
				t.Fatal(err)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				n.clock.pass(blob.MaxPause)
				elsewhere.clock.pass(blob.MaxPause)
				if gone, _ := n.confirm(); gone != 0 || n.left() != 1 {
					t.Fatalf("%d copies given up, %d left", gone, n.left())
				}
				n.has(ref, content)
				n.clock.pass(blob.MaxPause)
				n.Upload(t.Context(), ref)
				if _, err := elsewhere.Open(t.Context(), ref); err == nil {
					t.Error("another node reads it")
				}
				n.restart()
			}
			f.lie(honest, honest)
			for range 3 { // sent, read back
				n.clock.pass(blob.MaxPause)
				n.confirm()
			}
			if n.left() != 0 {
				t.Error("the copy is kept for ever")
			}
			n.has(ref, content)
			elsewhere.clock.pass(blob.MaxPause)
			elsewhere.has(ref, content)
		})
	}
	t.Run("an object was there before", func(t *testing.T) { before(t, f, bucket) })
	t.Run("one fetch", func(t *testing.T) { oneFetch(t, f, bucket) })
	t.Run("bounded cache", func(t *testing.T) { boundedCache(t, f, bucket) })
}

func breakOff(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := httptest.NewRecorder()
	next.ServeHTTP(answer, r)
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.Code)
	w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
	panic(http.ErrAbortHandler)
}

func deny(code string, status int) lie {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		io.WriteString(w, "<Error><Code>"+code+"</Code><Message>"+r.Header.Get("Authorization")+"</Message></Error>")
	}
}

// before: an object of the same size and other octets is found out and
// replaced.
func before(t *testing.T, f *front, bucket blob.S3Config) {
	other := changing(func(b []byte) []byte { return bytes.Repeat([]byte("x"), len(b)) })
	f.lie(swallow, other)
	remote := within(t, bucket)
	n := newNode(t, remote)
	content := blobtest.Content(3000)
	ref, path := blobtest.Spool(t, content)
	if err := n.Put(t.Context(), ref, path); err != nil {
		t.Fatal(err)
	}
	if _, err := n.confirm(); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("lost: %v", err)
	}
	f.lie(honest, other)
	if err := n.Upload(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if _, err := n.confirm(); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("damaged: %v", err)
	}
	f.lie(honest, honest)
	if gone, err := n.confirm(); gone != 1 || err != nil {
		t.Errorf("mended: %d, %v", gone, err)
	}
	n.has(ref, content)
}

// oneFetch: many who want one blob at once cost one GET, and who has it open
// reads on after it is gone.
func oneFetch(t *testing.T, f *front, bucket blob.S3Config) {
	f.lie(honest, honest)
	n := newNode(t, within(t, bucket))
	content := blobtest.Content(100_000)
	ref, path := blobtest.Spool(t, content)
	if err := n.Put(t.Context(), ref, path); err != nil {
		t.Fatal(err)
	}
	if _, err := n.confirm(); err != nil {
		t.Fatal(err)
	}
	release, begun := make(chan struct{}), make(chan struct{}, 100)
	f.lie(honest, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		begun <- struct{}{}
		<-release
		next.ServeHTTP(w, r)
	})
	before := f.gets.Load()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { n.has(ref, content) })
	}
	<-begun
	close(release)
	wg.Wait()
	if gets := f.gets.Load() - before; gets != 1 {
		t.Errorf("%d GETs", gets)
	}
	open, err := n.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := n.Delete(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(content))
	if _, err := open.ReadAt(got, 0); err != nil && err != io.EOF || !bytes.Equal(got, content) {
		t.Errorf("after deletion: %v", err)
	}
	if _, err := n.Open(t.Context(), ref); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("opened after deletion: %v", err)
	}
}

// boundedCache: the longest unused go first, and what is larger than all of it
// is served and not kept.
func boundedCache(t *testing.T, f *front, bucket blob.S3Config) {
	f.lie(honest, honest)
	n := newNode(t, within(t, bucket), func(c *blob.BackedConfig) { c.CacheSize = 50_000 })
	var refs []rem.Ref
	contents := map[rem.Ref][]byte{}
	for _, size := range []int{10_000, 10_000, 10_000, 10_000, 60_000} {
		content := blobtest.Content(size)
		ref, path := blobtest.Spool(t, content)
		if err := n.Put(t.Context(), ref, path); err != nil {
			t.Fatal(err)
		}
		refs, contents[ref] = append(refs, ref), content
	}
	if gone, err := n.confirm(); gone != 5 || err != nil {
		t.Fatal(gone, err)
	}
	gets := func(i int) int64 {
		before := f.gets.Load()
		n.has(refs[i], contents[refs[i]])
		return f.gets.Load() - before
	}
	for step, c := range []struct {
		blob int
		want int64
	}{{0, 1}, {1, 1}, {2, 1}, {0, 0}, {3, 1}, {0, 0}, {1, 1}, {4, 1}, {4, 1}, {0, 0}} {
		if got := gets(c.blob); got != c.want {
			t.Errorf("step %d: %d GETs of blob %d, want %d", step, got, c.blob, c.want)
		}
		var size int64
		files, err := os.ReadDir(n.config.Cache)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if info, err := file.Info(); err == nil {
				size += info.Size()
			}
		}
		if size > 50_000 {
			t.Errorf("step %d: the cache has %d octets", step, size)
		}
	}
}
