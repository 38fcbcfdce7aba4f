package gateway

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store/blob"
)

// bigLetter is how many octets the letters of TestMemory have.
const bigLetter = 48 << 20

// A letter's size costs disk, never memory (R11).
func TestMemory(t *testing.T) {
	for name, write := range map[string]func(*world, *bufio.Writer){
		"signature beside a file": func(w *world, out *bufio.Writer) {
			raw := w.scratch("raw", func(f io.Writer) { io.CopyN(f, rand.Reader, bigLetter/4*3) })
			sig := w.signFile(raw, true)
			io.WriteString(out, header()+"Content-Type: multipart/mixed; boundary=\"mix\"\r\n\r\n--mix\r\n")
			w.bigPart(out, raw)
			io.WriteString(out, "\r\n--mix\r\n"+file("big.bin.sig", sig)+"\r\n--mix--\r\n")
		},
		"multipart/signed": func(w *world, out *bufio.Writer) {
			raw := w.scratch("raw", func(f io.Writer) { io.CopyN(f, rand.Reader, bigLetter/4*3) })
			entity := w.scratch("entity", func(f io.Writer) { w.bigPart(f, raw) })
			w.detached(out, entity)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.send(signed(t, w.anna.Party), dora) // what is made once is made now
			path := w.scratch("letter", func(f io.Writer) {
				out := bufio.NewWriter(f)
				write(w, out)
				w.must(out.Flush())
			})
			letter, err := os.Open(path)
			w.must(err)
			defer letter.Close()
			if info, err := letter.Stat(); err != nil || info.Size() < bigLetter {
				t.Fatalf("a letter of %d octets, %v", info.Size(), err)
			}
			var id string
			grown := growth(func() { id, err = w.Receive(t.Context(), w.envelope(w.anna, bob), letter) })
			w.must(err)
			if grown > 8<<20 {
				t.Errorf("the heap grew by %d octets", grown)
			}
			s, err := w.DB.Submission(t.Context(), id)
			w.must(err)
			last := len(s.Finding.Documents) - 1
			grown = growth(func() {
				d, err := w.OpenDocument(t.Context(), w.anna.user, id, last)
				w.must(err)
				n, err := io.Copy(io.Discard, d)
				if err != nil || n < bigLetter/4*3 {
					t.Errorf("%s: %d octets, %v", d.Name, n, err)
				}
				w.must(d.Close())
			})
			if grown > 8<<20 {
				t.Errorf("reading it, the heap grew by %d octets", grown)
			}
		})
	}
}

// fourLetters is how many octets each of the letters of TestMemoryOfFour has:
// five times in all what they may take. configs/big-letters.sh has the real
// ones.
func fourLetters() int64 {
	if testing.Short() {
		return 8 << 20
	}
	return 32 << 20
}

// R11, in small: four big letters at once, two signed beside their content and
// two around it, kept in a directory and in an object store, read by the web's
// way and the mail client's.
func TestMemoryOfFour(t *testing.T) {
	for name, c := range map[string]func(t *testing.T) *world{
		"dir": func(t *testing.T) *world { return newWorld(t) },
		"object store": func(t *testing.T) *world {
			if c := newCloudyWorld(t); c != nil {
				return c.world
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			if w := c(t); w != nil {
				w.memoryOfFour()
			}
		})
	}
}

func (w *world) memoryOfFour() {
	w.send(signed(w.t, w.anna.Party), dora)
	paths := make([]string, 4)
	for i := range paths {
		paths[i] = w.scratch(fmt.Sprint("letter", i), func(f io.Writer) {
			out := bufio.NewWriter(f)
			entity := w.scratch("entity", func(f io.Writer) {
				w.bigPart(f, w.scratch("raw", func(f io.Writer) { io.CopyN(f, rand.Reader, fourLetters()/4*3) }))
			})
			if i%2 == 0 {
				w.detached(out, entity)
			} else {
				w.opaque(out, entity)
			}
			w.must(out.Flush())
		})
	}
	runtime.GC()
	debug.FreeOSMemory()
	ids := make([]string, len(paths))
	grown := growth(func() {
		together(len(paths), func(i int) { ids[i] = w.receiveFile(paths[i]) })
	})
	if w.t.Failed() {
		return
	}
	const bound = 25 << 20
	if grown > bound {
		w.t.Errorf("receiving them, the heap grew by %d octets", grown)
	}
	if c, ok := w.Blobs.(*blob.Backed); ok { // what is read comes from afar
		_, err := c.Confirm(w.t.Context(), w.Now().Add(time.Hour))
		w.must(err)
	}
	grown = growth(func() {
		together(len(ids), func(i int) { w.readAll(ids[i]) })
	})
	if grown > bound {
		w.t.Errorf("reading them, the heap grew by %d octets", grown)
	}
}

func (w *world) receiveFile(path string) string {
	letter, err := os.Open(path)
	if err != nil {
		w.t.Error(err)
		return ""
	}
	defer letter.Close()
	id, err := w.Receive(w.t.Context(), w.envelope(w.anna, bob), letter)
	if err != nil {
		w.t.Error(err)
	}
	return id
}

// readAll reads the letter, its last document, and pieces of the sender's copy.
func (w *world) readAll(id string) {
	s, err := w.DB.Submission(w.t.Context(), id)
	if err != nil {
		w.t.Error(err)
		return
	}
	for _, open := range []func() (*Download, error){
		func() (*Download, error) { return w.OpenLetter(w.t.Context(), w.anna.user, id) },
		func() (*Download, error) {
			return w.OpenDocument(w.t.Context(), w.anna.user, id, len(s.Finding.Documents)-1)
		},
	} {
		d, err := open()
		if err != nil {
			w.t.Error(err)
			return
		}
		n, err := io.Copy(io.Discard, d)
		if err != nil || n < fourLetters()/4*3 {
			w.t.Errorf("%s: %d octets, %v", d.Name, n, err)
		}
		d.Close()
	}
	m, err := w.DB.Mail(w.t.Context(), id)
	if err != nil {
		w.t.Error(err)
		return
	}
	r, err := w.OpenMail(w.t.Context(), m)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer r.Close()
	piece := make([]byte, 64<<10)
	for at := int64(0); at < r.Size(); at += int64(len(piece)) {
		if _, err := r.ReadAt(piece, at); err != nil && err != io.EOF {
			w.t.Error(err)
			return
		}
	}
}

// detached writes a multipart/signed letter of an entity.
func (w *world) detached(out *bufio.Writer, entity string) {
	io.WriteString(out, header()+"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=\"sgn\"\r\n\r\n--sgn\r\n")
	w.copyFile(out, entity)
	io.WriteString(out, "\r\n--sgn\r\n"+attach("smime.p7s", "application/pkcs7-signature", w.signFile(entity, true))+"\r\n--sgn--\r\n")
}

// opaque writes a letter whose entity lies in its signature.
func (w *world) opaque(out *bufio.Writer, entity string) {
	io.WriteString(out, header()+"Content-Type: application/pkcs7-mime; smime-type=signed-data; name=\"smime.p7m\"\r\n"+
		"Content-Transfer-Encoding: base64\r\n\r\n")
	e := base64.NewEncoder(base64.StdEncoding, &lineWriter{w: out})
	_, err := io.WriteString(e, w.signFile(entity, false))
	w.must(err)
	w.must(e.Close())
}

// growth is by how much the live heap and its garbage rose while do ran.
func growth(do func()) int64 {
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	read := func() int64 {
		metrics.Read(sample)
		return int64(sample[0].Value.Uint64())
	}
	before := read()
	done, most := make(chan struct{}), make(chan int64)
	go func() {
		high := before
		for {
			select {
			case <-done:
				most <- high
				return
			default:
				high = max(high, read())
				runtime.Gosched()
			}
		}
	}()
	do()
	close(done)
	return <-most - before
}

// scratch writes a file and returns its path.
func (w *world) scratch(name string, write func(io.Writer)) string {
	w.t.Helper()
	f, err := os.Create(w.path(name))
	w.must(err)
	write(f)
	w.must(f.Close())
	return f.Name()
}

func (w *world) copyFile(out io.Writer, path string) {
	f, err := os.Open(path)
	w.must(err)
	defer f.Close()
	_, err = io.Copy(out, f)
	w.must(err)
}

// bigPart writes the file at raw as one attachment.
func (w *world) bigPart(out io.Writer, raw string) {
	fmt.Fprint(out, strings.TrimSuffix(file("big.bin", ""), "\r\n\r\n"), "\r\n\r\n")
	lines := &lineWriter{w: out}
	e := base64.NewEncoder(base64.StdEncoding, lines)
	w.copyFile(e, raw)
	w.must(e.Close())
}

// lineWriter ends a line after 76 characters.
type lineWriter struct {
	w  io.Writer
	at int
}

func (l *lineWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if l.at == 76 {
			io.WriteString(l.w, "\r\n")
			l.at = 0
		}
		n, err := l.w.Write(rest[:min(len(rest), 76-l.at)])
		if err != nil {
			return 0, err
		}
		l.at, rest = l.at+n, rest[n:]
	}
	return len(p), nil
}

// signFile is anna's signature over a file, or around it.
func (w *world) signFile(path string, detached bool) string {
	w.t.Helper()
	f, err := os.Open(path)
	w.must(err)
	defer f.Close()
	cert, err := pki.ParseCertificate(w.anna.Certificate.Raw)
	w.must(err)
	der, err := cms.Sign(f, cms.SignOptions{Signer: w.anna.Key, Certificate: cert, Detached: detached})
	w.must(err)
	return string(der)
}
