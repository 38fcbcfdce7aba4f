package gateway

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/store"
)

func TestDownloadsAreByteIdentical(t *testing.T) {
	w := newWorld(t)
	sig := sign(t, w.anna.Party, contract)
	names := "Договор № 7\u202efdp.pdf"
	for name, c := range map[string]struct{ letter, sig string }{
		"DER":    {beside(sig), sig},
		"base64": {beside(wrap(sig) + "\r\n"), sig},
		"PEM":    {beside("-----BEGIN CMS-----\r\n" + wrap(sig) + "\r\n-----END CMS-----\r\n"), sig},
		"named": {header() + mixed(text("."), strings.ReplaceAll(file("x.pdf", contract), "filename=\"x.pdf\"", "filename=\"=?utf-8?b?"+wrap(names)+"?=\""),
			file("y.p7s", sig)), sig},
	} {
		id := w.send(c.letter, bob)
		cons := w.to(id, bob)
		u := w.take(cons)
		s, err := w.DB.Submission(t.Context(), id)
		w.must(err)
		for _, viewer := range []struct {
			u  *store.User
			id string
		}{{w.anna.user, id}, {w.anna.user, cons.ID}, {u, cons.ID}} {
			found := false
			for n, d := range s.Finding.Documents {
				if got := content(t)(w.OpenDocument(t.Context(), viewer.u, viewer.id, n)); !d.Note {
					found = true
					if string(got) != contract {
						t.Errorf("%s: %s is %q", name, d.Name, got)
					}
				}
			}
			if got := content(t)(w.OpenSignature(t.Context(), viewer.u, viewer.id, 0)); string(got) != c.sig || !found {
				t.Errorf("%s: the signature is %d octets, want %d; document found: %v", name, len(got), len(c.sig), found)
			}
		}
	}
}

// Bytes that changed on the disk never end cleanly: every download of them
// ends in ErrChanged, no protocol is made of them, and fsck names them.
func TestDamagedBlob(t *testing.T) {
	flip := func(at func(b []byte) int) func([]byte) []byte {
		return func(b []byte) []byte { b[at(b)] ^= 1; return b }
	}
	of := func(s string) func([]byte) int { return func(b []byte) int { return bytes.Index(b, []byte(s)) } }
	for name, damage := range map[string]func([]byte) []byte{
		"a header":           flip(of("Contract 7")),
		"a content header":   flip(of("mixed; boundary")),
		"a file":             flip(of(wrap(contract)[:20])),
		"the note":           flip(of("Please sign.")),
		"the last octet":     flip(func(b []byte) int { return len(b) - 1 }),
		"no longer base64":   func(b []byte) []byte { b[of(wrap(contract)[:20])(b)] = '!'; return b },
		"cut off":            func(b []byte) []byte { return b[:len(b)-10] },
		"grown":              func(b []byte) []byte { return append(b, "more\r\n"...) },
		"no letter at all":   func(b []byte) []byte { return bytes.Repeat([]byte{0}, len(b)) },
		"another, same size": func(b []byte) []byte { return bytes.Replace(b, []byte("Please sign."), []byte("Please pay.."), 1) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.send(beside(sign(t, w.anna.Party, contract)), bob)
			c := w.to(id, bob)
			u := w.take(c)
			s, err := w.DB.Submission(t.Context(), id)
			w.must(err)
			w.rewrite(s.Letter.Ref, damage)
			wantError(t, closed(w.OpenLetter(t.Context(), w.anna.user, id)), ErrChanged)
			wantError(t, closed(w.OpenLetter(t.Context(), u, c.ID)), ErrChanged)
			for n, d := range s.Finding.Documents {
				dl, err := w.OpenDocument(t.Context(), u, c.ID, n)
				if err == nil {
					var got []byte
					got, err = io.ReadAll(dl)
					dl.Close()
					if err == nil && string(got) != contract && string(got) != "Please sign." {
						t.Errorf("%s ended cleanly as %q", d.Name, got)
					}
				}
				if err != nil {
					wantError(t, err, ErrChanged)
				}
			}
			_, _, err = w.Draft(t.Context(), DraftRequest{User: u, Consignment: c.ID})
			wantError(t, err, ErrChanged)
			w.wantProblem(id)
		})
	}
}

func TestDeletedBlob(t *testing.T) {
	w := newWorld(t)
	id := w.send(signed(t, w.anna.Party), bob)
	s, err := w.DB.Submission(t.Context(), id)
	w.must(err)
	w.must(os.Remove(w.blobFile(s.Letter.Ref)))
	if closed(w.OpenLetter(t.Context(), w.anna.user, id)) == nil {
		t.Error("a letter that is gone was handed out")
	}
	w.wantProblem(id)
}

// wantProblem wants fsck to name something.
func (w *world) wantProblem(what string) {
	w.t.Helper()
	got := w.problems()
	for _, p := range got {
		if strings.Contains(p, what) {
			return
		}
	}
	w.t.Errorf("fsck does not name %s: %q", what, got)
}
