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

	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// bigLetter is how many octets the letters of TestMemory have.
const bigLetter = 48 << 20

// A letter's size costs disk, never memory (R11).
func TestMemory(t *testing.T) {
	for name, write := range map[string]func(*world, *bufio.Writer){
		"signature beside a file": func(w *world, out *bufio.Writer) {
			raw := w.scratch("raw", func(f io.Writer) { io.CopyN(f, rand.Reader, bigLetter/4*3) })
			sig := w.signFile(raw)
			io.WriteString(out, header()+"Content-Type: multipart/mixed; boundary=\"mix\"\r\n\r\n--mix\r\n")
			w.bigPart(out, raw)
			io.WriteString(out, "\r\n--mix\r\n"+file("big.bin.sig", sig)+"\r\n--mix--\r\n")
		},
		"multipart/signed": func(w *world, out *bufio.Writer) {
			raw := w.scratch("raw", func(f io.Writer) { io.CopyN(f, rand.Reader, bigLetter/4*3) })
			entity := w.scratch("entity", func(f io.Writer) { w.bigPart(f, raw) })
			io.WriteString(out, header()+"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=\"sgn\"\r\n\r\n--sgn\r\n")
			w.copyFile(out, entity)
			io.WriteString(out, "\r\n--sgn\r\n"+attach("smime.p7s", "application/pkcs7-signature", w.signFile(entity))+"\r\n--sgn--\r\n")
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

// signFile is anna's detached signature over a file.
func (w *world) signFile(path string) string {
	w.t.Helper()
	f, err := os.Open(path)
	w.must(err)
	defer f.Close()
	cert, err := pki.ParseCertificate(w.anna.Certificate.Raw)
	w.must(err)
	der, err := cms.Sign(f, cms.SignOptions{Signer: w.anna.Key, Certificate: cert, Detached: true})
	w.must(err)
	return string(der)
}
