package webview

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/store"
)

// sandbox is the policy of files handed out: whatever a browser makes of
// them, nothing in them runs or loads.
const sandbox = "sandbox; default-src 'none'; frame-ancestors 'none'"

// stall is how long one write to a client may take. A download as a whole has
// no limit: it may be large and the line slow.
const stall = 30 * time.Second

// opener opens one file of a letter, number n (from 0).
type opener func(ctx context.Context, user *store.User, id string, n int) (*gateway.Download, error)

func (s *server) openDocument(ctx context.Context, u *store.User, id string, n int) (*gateway.Download, error) {
	return s.Gateway.OpenDocument(ctx, u, id, n)
}

func (s *server) openSignature(ctx context.Context, u *store.User, id string, n int) (*gateway.Download, error) {
	return s.Gateway.OpenSignature(ctx, u, id, n)
}

func (s *server) openLetter(ctx context.Context, u *store.User, id string, _ int) (*gateway.Download, error) {
	return s.Gateway.OpenLetter(ctx, u, id)
}

// access finds who downloads from where: the letter's id and the viewer.
type access func(v *visit) (id string, user *store.User, err error)

func forRecipient(v *visit) (string, *store.User, error) {
	id := v.r.PathValue("consignment")
	user, _, err := v.viewer(id)
	return id, user, err
}

func forSender(v *visit) (string, *store.User, error) {
	user, err := v.account()
	return v.r.PathValue("submission"), user, err
}

// download hands out a file of a letter, streamed.
func (s *server) download(may access, open opener) handler {
	return func(v *visit) error {
		id, user, err := may(v)
		if err != nil {
			return err
		}
		n := 1
		if text := v.r.PathValue("n"); text != "" {
			if n, err = strconv.Atoi(text); err != nil || strconv.Itoa(n) != text {
				return gateway.ErrNotFound
			}
		}
		d, err := open(v.r.Context(), user, id, n-1)
		if err != nil {
			return err
		}
		defer d.Close()
		v.subject = id
		return v.handOut(d)
	}
}

func (v *visit) handOut(d *gateway.Download) error {
	v.attach(d.Name)
	if d.Size >= 0 {
		v.w.Header().Set("Content-Length", strconv.FormatInt(d.Size, 10))
	}
	if v.r.Method == http.MethodHead {
		return nil
	}
	if err := hold(&patient{w: v.w, c: http.NewResponseController(v.w)}, d); err != nil {
		return fmt.Errorf("hand out: %w", err)
	}
	return nil
}

// hold copies r to w one buffer behind: the last octets go out only when r has
// ended well, and of a file that fits one buffer nothing goes out before. A
// digest is known at the end, and by then a client that was told the length
// would have taken damaged bytes for the whole file.
func hold(w io.Writer, r io.Reader) error {
	const size = 64 << 10
	buf, other := make([]byte, size), make([]byte, size)
	var held []byte
	for {
		n, err := fill(r, buf)
		if err != nil && err != io.EOF {
			return err
		}
		if n > 0 {
			if len(held) > 0 {
				if _, werr := w.Write(held); werr != nil {
					return werr
				}
			}
			held, buf, other = buf[:n], other, buf
		}
		if err == io.EOF {
			_, werr := w.Write(held)
			return werr
		}
	}
}

// fill reads until buf is full or r ends, which it says as r does: io.ReadFull
// would not tell an end from a reader that breaks with io.ErrUnexpectedEOF.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

// attach sets the headers of a file that is saved and never shown.
func (v *visit) attach(name string) {
	h := v.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Security-Policy", sandbox)
	h.Set("Content-Disposition", disposition(name))
}

// file hands out bytes that are at hand.
func (v *visit) file(name string, b []byte) error {
	return v.handOut(&gateway.Download{Name: name, Size: int64(len(b)), ReadCloser: io.NopCloser(strings.NewReader(string(b)))})
}

// patient moves the connection's deadline on with every write that succeeds.
type patient struct {
	w io.Writer
	c *http.ResponseController
}

func (p *patient) Write(b []byte) (int, error) {
	p.c.SetWriteDeadline(time.Now().Add(stall)) // where there is none to set, none is missed
	return p.w.Write(b)
}

// disposition is Content-Disposition with the name in both forms (RFC 6266
// §4.3, RFC 8187): ASCII for old clients, UTF-8 for the others.
func disposition(name string) string {
	name = fileName(name)
	ascii := strings.Map(func(r rune) rune {
		if r > '~' || r == '%' { // some clients decode % in the plain form
			return '_'
		}
		return r
	}, name)
	return `attachment; filename="` + ascii + `"; filename*=UTF-8''` + attrChars(name)
}

// fileName makes a file name of text from outside: no path, nothing invisible
// or that changes direction, nothing a file system forbids, not hidden.
func fileName(s string) string {
	const most = 180 // octets, with room for a suffix the browser adds
	s = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co):
			return '_'
		case strings.ContainsRune(`/\:*?"<>|`, r):
			return '_'
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, s)
	s = strings.Trim(s, " .")
	if len(s) > most {
		s = shorten(s, most)
	}
	if s == "" {
		return "document"
	}
	return s
}

// shorten cuts the stem and keeps a short extension, on character borders.
func shorten(s string, most int) string {
	ext := ""
	if i := strings.LastIndexByte(s, '.'); i > 0 && len(s)-i <= 16 {
		ext = s[i:]
	}
	stem := s[:most-len(ext)]
	for !utf8.ValidString(stem) {
		stem = stem[:len(stem)-1]
	}
	return strings.TrimRight(stem, " .") + ext
}

// attrChars percent-encodes all but attr-char of RFC 8187 §3.2.1.
func attrChars(s string) string {
	const safe = "!#$&+-.^_`|~"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte(safe, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
