package message

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name, encoding, text, want string
		fails                      bool
	}{
		{"absent", "", "a=\r\n", "a=\r\n", false},
		{"7bit", "7bit", "a=\r\n", "a=\r\n", false},
		{"8bit in capitals", "8BIT", "\xff", "\xff", false},
		{"unknown", "x-uuencode", "a", "", true},

		{"base64", "base64", "aGVsbG8=", "hello", false},
		{"base64 in capitals", "BASE64", "aGVsbG8=\r\n", "hello", false},
		{"base64 in lines", "base64", "aGV\r\nsbG8\n=\t \r\n", "hello", false},
		{"base64 of nothing", "base64", "\r\n", "", false},
		{"base64 with junk", "base64", "aGVs*bG8=", "", true},
		{"base64 with a NUL", "base64", "aGVs\x00bG8=", "", true},
		{"base64 without padding", "base64", "aGVsbG8", "", true},
		{"base64 after padding", "base64", "aGVsbG8=aGVs", "", true},
		{"base64 after padding and a line", "base64", "aGVsbG8=\r\n\r\naGVs", "", true},
		{"base64 with padding alone", "base64", "aGVs====", "", true},
		{"base64 with bits left", "base64", "aGVsbG9=", "", true},
		{"base64 for URLs", "base64", "_-_-", "", true},

		{"quoted", "quoted-printable", "=D0=9F a=3Db\r\n", "П a=b\r\n", false},
		{"quoted in small letters", "quoted-printable", "=d0=9f", "П", false},
		{"soft break", "quoted-printable", "a=\r\nb= \t\r\nc", "abc", false},
		{"soft break by LF", "quoted-printable", "a=\nb", "ab", false},
		{"soft break at the end", "quoted-printable", "a=", "a", false},
		{"blanks before a line end", "quoted-printable", "a \t \r\nb  ", "a\r\nb", false},
		{"blanks within", "quoted-printable", "a \t b", "a \t b", false},
		{"bare escape", "quoted-printable", "a=b", "", true},
		{"no hex", "quoted-printable", "a=zz", "", true},
		{"half an escape", "quoted-printable", "a=4 ", "", true},
		{"half an escape and a line end", "quoted-printable", "a=4\r\n", "", true},
		{"half an escape and LF", "quoted-printable", "a=4\n", "", true},
		{"escape after blanks", "quoted-printable", "= 41", "", true},
		{"beyond ASCII", "quoted-printable", "\xd0", "", true},
		{"control", "quoted-printable", "a\x07", "", true},
		{"bare CR", "quoted-printable", "a\rb", "", true},
		{"bare CR at the end", "quoted-printable", "a\r", "", true},
		{"bare CR in a soft break", "quoted-printable", "a=\rb", "", true},
		{"too many blanks", "quoted-printable", "a" + strings.Repeat(" ", 1001) + "b", "", true},
		{"too many blanks in a soft break", "quoted-printable", "a=" + strings.Repeat(" ", 1001) + "\r\nb", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, split := range splits() {
				got, err := io.ReadAll(Decode(split(strings.NewReader(c.text)), c.encoding))
				if c.fails && !errors.Is(err, ErrMalformed) {
					t.Errorf("%s: %q, error %v", name, got, err)
				}
				if !c.fails && (err != nil || string(got) != c.want) {
					t.Errorf("%s: %q, error %v; want %q", name, got, err, c.want)
				}
			}
		})
	}
}

func TestOpenOutsideTheLetter(t *testing.T) {
	l := parse(t, []byte("\r\nbody"))
	for _, r := range []rem.Range{{Offset: -1, Length: 1}, {Offset: 0, Length: -1}, {Offset: 0, Length: 7}, {Offset: 7}, {Offset: 1, Length: 1<<63 - 1}} {
		rc := l.Open(r)
		if b, err := io.ReadAll(rc); len(b) > 0 || !errors.Is(err, ErrMalformed) {
			t.Errorf("%+v: %q, error %v", r, b, err)
		}
		if err := rc.Close(); err != nil {
			t.Error(err)
		}
	}
	if b, err := io.ReadAll(l.Open(rem.Range{Offset: 2, Length: 4})); string(b) != "body" || err != nil {
		t.Errorf("%q, error %v", b, err)
	}
}

// FuzzDecode: the splits of reading make no difference, and what the strict
// decoder accepts the standard library reads in the same way.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"aGVsbG8=", "aGV\r\nsbG8=\r\n", "YQ==YQ==", "=D0=9F\r\n", "a=\r\nb", "=", "a=3", "a \r\n", "a= \r\n"} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, text []byte, b64 bool) {
		encoding := map[bool]string{true: "base64", false: "quoted-printable"}[b64]
		got, err := io.ReadAll(Decode(bytes.NewReader(text), encoding))
		again, err2 := io.ReadAll(Decode(&chunks{text, 3}, encoding))
		if (err == nil) != (err2 == nil) || err == nil && !bytes.Equal(got, again) {
			t.Fatalf("%q, %v by octets %q, %v", got, err, again, err2)
		}
		if err != nil {
			return
		}
		var oracle []byte
		if b64 {
			oracle, err = base64.StdEncoding.DecodeString(strings.NewReplacer(" ", "", "\t", "").Replace(string(text)))
		} else {
			if bytes.ContainsAny(bytes.TrimRight(text, "="), "\t ") || len(text) > 4000 {
				return // the library trims blanks otherwise and has a longest line
			}
			if bytes.HasSuffix(text, []byte("=")) {
				text = append(bytes.Clone(text), "\r\n"...) // the library wants the line end of the last soft break
			}
			oracle, err = io.ReadAll(quotedprintable.NewReader(bytes.NewReader(text)))
		}
		if err != nil || !bytes.Equal(got, oracle) {
			t.Fatalf("%q; the library: %q, %v", got, oracle, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	raw := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	text := base64.StdEncoding.EncodeToString(raw)
	var lines strings.Builder
	for i := 0; i < len(text); i += 76 {
		lines.WriteString(text[i:min(len(text), i+76)] + "\r\n")
	}
	for encoding, text := range map[string]string{"base64": lines.String(), "quoted-printable": strings.Repeat("=D0=9F plain text\r\n", 1<<16)} {
		b.Run(encoding, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := io.Copy(io.Discard, Decode(strings.NewReader(text), encoding)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
