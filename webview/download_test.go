package webview

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"cryptogramm.ru/cryptogramm/gateway"
)

func TestDownloadIsTheFileByteForByte(t *testing.T) {
	s := newScene(t)
	a := s.guest.get("/received/" + s.toBob.ID + "/document/2").want(http.StatusOK)
	if a.body != string(contract) {
		t.Errorf("%d octets, want the %d of the file", len(a.body), len(contract))
	}
	for name, want := range map[string]string{
		"Content-Type": "application/octet-stream", "Content-Disposition": `attachment; filename="contract.pdf"; filename*=UTF-8''contract.pdf`,
		"Content-Security-Policy": sandbox, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	letter := s.sender.get("/sent/" + s.submission + "/letter").want(http.StatusOK).body
	if !strings.HasPrefix(letter, "From: Alice Ivanova") || !strings.Contains(letter, "multipart/signed") {
		t.Errorf("the sender's letter begins %.60q", letter)
	}
	own := s.guest.get("/received/" + s.toBob.ID + "/letter").want(http.StatusOK).body
	if i := strings.Index(letter, "\r\n\r\n"); !strings.HasSuffix(own, letter[i:]) {
		t.Error("the recipient's letter has another body")
	}
	sig := s.guest.get("/received/" + s.toBob.ID + "/signature/1").want(http.StatusOK)
	if len(sig.body) == 0 || sig.body[0] != 0x30 {
		t.Error("the signature is no DER")
	}
	if got := sig.Header.Get("Content-Disposition"); !strings.Contains(got, `filename="signature-1.p7s"`) {
		t.Error(got)
	}
}

// A damaged store is never taken for the file: a small one is an error, of a
// larger one the connection breaks.
func TestDamagedBytesEndInAnError(t *testing.T) {
	s := newScene(t)
	s.damage("Subject: Contract 17")
	a := s.guest.get("/received/"+s.toBob.ID+"/document/2").want(http.StatusInternalServerError, "Something broke on our side")
	if got := a.Header.Get("Content-Disposition"); got != "" {
		t.Errorf("the error is saved as %s", got)
	}
	if !strings.Contains(s.log.String(), "differ from their recorded digest") {
		t.Error("the log does not say why")
	}
}

func TestHoldKeepsTheEndBack(t *testing.T) {
	errDamaged := errors.New("damaged")
	for _, n := range []int{0, 1, 64 << 10, 64<<10 + 1, 200_000} {
		want := bytes.Repeat([]byte{'x'}, n)
		for name, r := range map[string]io.Reader{
			"whole": bytes.NewReader(want), "byte by byte": iotest.OneByteReader(bytes.NewReader(want)),
			"data with EOF": iotest.DataErrReader(bytes.NewReader(want)), "halves": iotest.HalfReader(bytes.NewReader(want)),
		} {
			var got bytes.Buffer
			if err := hold(&got, r); err != nil || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%d %s: %v, %d octets", n, name, err, got.Len())
			}
		}
		var got bytes.Buffer
		err := hold(&got, io.MultiReader(bytes.NewReader(want), iotest.ErrReader(errDamaged)))
		if !errors.Is(err, errDamaged) || n > 0 && got.Len() >= n {
			t.Errorf("%d: %v, yet %d octets went out", n, err, got.Len())
		}
		// However small the pieces: a small file is whole or not there at all.
		for _, broken := range []error{errDamaged, io.ErrUnexpectedEOF} {
			got.Reset()
			err = hold(&got, iotest.OneByteReader(io.MultiReader(bytes.NewReader(want), iotest.ErrReader(broken))))
			if !errors.Is(err, broken) || n > 0 && got.Len() >= n || n <= 64<<10 && got.Len() > 0 {
				t.Errorf("%d in pieces: %v, yet %d octets went out", n, err, got.Len())
			}
		}
	}
}

var hostile = map[string]string{ // name → file name
	"contract.pdf":         "contract.pdf",
	"Договор № 5.pdf":      "Договор № 5.pdf",
	"../../etc/passwd":     "_.._etc_passwd",
	`C:\Windows\a.exe`:     "C__Windows_a.exe",
	"a\"; filename=b.exe":  "a_; filename=b.exe",
	"a\r\nX-Injected: 1":   "a__X-Injected_ 1",
	"photo\u202egnp.exe":   "photo_gnp.exe",
	"a\u200bb\ufeff.txt":   "a_b_.txt",
	"\x00":                 "_",
	"":                     "document",
	" . . ":                "document",
	".bashrc":              "bashrc",
	"bad\xff\xfeutf8":      "bad__utf8",
	"a/b\\c:d*e?f\"g<h>i|": "a_b_c_d_e_f_g_h_i_",
	"100%.txt":             "100%.txt",
	"a\u2028b":             "a_b",
}

func TestHostileNames(t *testing.T) {
	for in, want := range hostile {
		if got := fileName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	long := fileName(strings.Repeat("Ж", 500) + ".pdf")
	if len(long) > 180 || !utf8.ValidString(long) || !strings.HasSuffix(long, "Ж.pdf") {
		t.Errorf("long name %q", long)
	}
}

func FuzzDisposition(f *testing.F) {
	for in := range hostile {
		f.Add(in)
	}
	f.Add(strings.Repeat("Ж", 500) + "." + strings.Repeat("x", 500))
	f.Fuzz(func(t *testing.T, name string) {
		field := disposition(name)
		for _, c := range []byte(field) {
			if c < ' ' || c > '~' {
				t.Fatalf("%q: octet %#x in the field", name, c)
			}
		}
		kind, params, err := mime.ParseMediaType(field)
		if err != nil || kind != "attachment" || len(params) != 1 {
			t.Fatalf("%q: %s %v %v", name, kind, params, err)
		}
		got := params["filename"]
		if got != fileName(name) || got == "" || len(got) > 200 || strings.ContainsAny(got, "/\\\x00\r\n\"") || strings.HasPrefix(got, ".") {
			t.Fatalf("%q is saved as %q", name, got)
		}
		if fileName(got) != got {
			t.Fatalf("%q is not stable: %q", got, fileName(got))
		}
	})
}

func TestHostileNamesOnPagesAndInHeaders(t *testing.T) {
	w := newWorld(t)
	sub := w.submit(w.letter(w.alice, "=?utf-8?Q?<script>alert(1)</script>=E2=80=AE?=",
		attachment{`filename="../../<img src=x onerror=alert(1)>.html"`, []byte("<script>alert(1)</script>")},
		attachment{`filename*=UTF-8''photo%E2%80%AEgnp.exe`, []byte("MZ")}), w.bob)
	c := w.consignment(sub, w.bob)
	b := w.browser()
	b.receive(c)
	for _, path := range []string{"/received/" + c.ID, "/received/" + c.ID + "/wizard", "/report/" + c.ID, "/report/" + c.ID + "/view"} {
		a := b.get(path).want(http.StatusOK)
		for _, bad := range []string{"<script", "<img src=x", "\u202e"} {
			if strings.Contains(a.body, bad) {
				t.Errorf("%s holds %q", path, bad)
			}
		}
	}
	for n, want := range map[string]string{"2": "_.._", "3": "photo_gnp.exe"} {
		a := b.get("/received/" + c.ID + "/document/" + n).want(http.StatusOK)
		got := a.Header.Get("Content-Disposition")
		if a.Header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(got, "attachment; ") || !strings.Contains(got, want) {
			t.Errorf("document %s: %s, %q", n, a.Header.Get("Content-Type"), got)
		}
	}
}

func TestUnknownErrorTellsNothing(t *testing.T) {
	if f := failureOf(errors.New("pq: password of database is x")); f.status != http.StatusInternalServerError || f.text != "internal" {
		t.Errorf("%+v", f)
	}
	if f := failureOf(errors.Join(errors.New("x"), gateway.ErrGone)); f.status != http.StatusGone {
		t.Errorf("%+v", f)
	}
	w := newWorld(t)
	b := w.as(w.alice.user)
	w.db.Close()
	a := b.get("/sent").want(http.StatusInternalServerError, "Something broke on our side", "give this request number")
	if strings.Contains(a.body, "sql") {
		t.Errorf("the page tells %s", brief(a.body))
	}
}

// damage changes one octet of the first attachment of the stored letter that
// holds mark.
func (w *world) damage(mark string) {
	w.t.Helper()
	damaged := 0
	err := filepath.WalkDir(filepath.Join(filepath.Dir(w.outbox), "sha256"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(b, []byte(mark)) {
			return err
		}
		i := bytes.Index(b, []byte("application/pdf"))
		i += bytes.Index(b[i:], []byte("\r\n\r\n")) + 40
		if b[i] = 'A'; bytes.HasPrefix(b[i-1:], []byte("AA")) {
			b[i] = 'B'
		}
		damaged++
		w.check(os.Chmod(path, 0o600))
		return os.WriteFile(path, b, 0o600)
	})
	if err != nil || damaged != 1 {
		w.t.Fatalf("%v, %d damaged", err, damaged)
	}
}

func TestLargeDamagedFileBreaksOff(t *testing.T) {
	s := newScene(t)
	big := bytes.Repeat([]byte("0123456789abcdef"), 40_000)
	sub := s.submit(s.letter(s.alice, "Big", attachment{`filename="big.bin"`, big}), s.bob)
	c := s.consignment(sub, s.bob)
	b := s.browser()
	b.open(c.ID)
	b.receive(c)
	if got := b.get("/received/" + c.ID + "/document/2").want(http.StatusOK); got.body != string(big) || got.err != nil {
		t.Fatalf("%d octets, %v", len(got.body), got.err)
	}
	s.damage("Subject: Big")
	a := b.get("/received/" + c.ID + "/document/2")
	if a.err == nil || len(a.body) >= len(big) {
		t.Errorf("%d octets came as if they were the file", len(a.body))
	}
}
