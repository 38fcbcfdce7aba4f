package judge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// TestSpool: opaque content over the memory cap goes to disk, is judged alike,
// and leaves nothing behind.
func TestSpool(t *testing.T) {
	k := use(t, cmstest.P256)
	for _, size := range []int{1000, maxMemory - 500, maxMemory, 3 * maxMemory} {
		content := strings.Repeat("0123456789abcdef", size/16)
		entity := mixed(text("See."), file("a.bin", content), "Content-Type: message/rfc822; name=b.eml\r\n\r\n"+content)
		q := k.request()
		f := k.judge(letter(k.opaque(entity, k.anna)), q)
		passed.check(t, f)
		if d := f.Documents[1]; d.SHA256 != rem.DigestOf([]byte(content)) || d.SignedSHA256 != rem.DigestOf([]byte(entity)) {
			t.Errorf("size %d: %+v", size, d)
		}
		left, err := os.ReadDir(q.TempDir)
		if err != nil || len(left) > 0 {
			t.Errorf("size %d: left behind %v, %v", size, left, err)
		}
	}
}

// TestSpoolSharesItsMemory: many small contents together obey the cap too.
func TestSpoolSharesItsMemory(t *testing.T) {
	s := spool{dir: t.TempDir()}
	defer s.close()
	var readers []io.ReaderAt
	piece := maxMemory / 4
	for i := range 10 {
		r, n, err := s.add(strings.NewReader(strings.Repeat(fmt.Sprint(i), piece)))
		if err != nil || n != int64(piece) {
			t.Fatal(n, err)
		}
		readers = append(readers, r)
	}
	if s.held > maxMemory || s.file == nil || s.size != int64(6*piece) {
		t.Errorf("held %d, on disk %d", s.held, s.size)
	}
	for i, r := range readers {
		b, err := io.ReadAll(io.NewSectionReader(r, 0, int64(piece)+10))
		if err != nil || string(b) != strings.Repeat(fmt.Sprint(i), piece) {
			t.Errorf("piece %d differs: %d octets, %v", i, len(b), err)
		}
	}
}

// TestCaps: one more than the cap is refused, the cap itself is not.
func TestCaps(t *testing.T) {
	k := use(t, cmstest.Ed25519)
	many := func(n int) string {
		parts := []string{text("n"), file("a.pdf", "a")}
		for i := range n {
			parts = append(parts, file(fmt.Sprintf("%d.p7s", i), string(k.sign("a", k.anna))))
		}
		return letter(mixed(parts...))
	}
	passed.check(t, k.judge(many(maxSignatures), k.request()))
	malformedWith("more than 100 signatures").check(t, k.judge(many(maxSignatures+1), k.request()))
	people := slices.Repeat([]cmstest.Party{k.anna}, 11)
	crowd := []string{text("n"), file("a.pdf", "a")}
	for i := range 10 {
		crowd = append(crowd, file(fmt.Sprintf("%d.p7s", i), string(k.sign("a", people[:10+i/9]...))))
	}
	malformedWith("more than 100 signatures").check(t, k.judge(letter(mixed(crowd...)), k.request()))
	crowd[len(crowd)-1] = file("9.p7s", string(k.sign("a", people[:10]...)))
	passed.check(t, k.judge(letter(mixed(crowd...)), k.request()))
	for i := range 1000 - len(crowd) - 1 {
		crowd = append(crowd, file(fmt.Sprintf("x%d.sig", i), "rubbish"))
	}
	malformedWith("more than 100 signatures").check(t, k.judge(letter(mixed(crowd...)), k.request()))

	parts := make([]string, 9)
	for i := range parts {
		parts[i] = text("n")
	}
	q := k.request()
	q.Limits = message.DefaultLimits()
	q.Limits.Parts = 10
	raw := letter(k.opaque(mixed(parts...), k.anna))
	passed.check(t, k.judge(raw, q))
	q.Limits.Parts = 9
	malformedWith("").check(t, k.judge(raw, q))
	two := letter(mixed(k.opaque(mixed(parts...), k.anna), k.opaque(mixed(parts...), k.anna)))
	q.Limits.Parts = 10
	malformedWith("more than 10 parts").check(t, k.judge(two, q))
}

// brokenDisk gives an error after some octets.
type brokenDisk struct {
	raw   string
	after int64
}

var errDisk = errors.New("disk")

func (b *brokenDisk) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.after {
		return 0, errDisk
	}
	return copy(p, b.raw[off:]), nil
}

// TestInterrupted: what could not be read is no finding on the letter, and
// never a pass.
func TestInterrupted(t *testing.T) {
	k := use(t, cmstest.P256)
	raw := letter(k.signed(mixed(text("I agree."), file("a.pdf", strings.Repeat("x", 100<<10))), k.anna))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if f := Judge(ctx, parse(t, raw), k.request()); f.Reason != ReasonInterrupted || f.Verdict == rem.Passed {
		t.Errorf("canceled: %s %s", f.Verdict, f.Reason)
	}
	disk := &brokenDisk{raw, int64(len(raw))}
	l, err := message.Parse(disk, int64(len(raw)), message.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	for after := int64(0); after < int64(len(raw)); after += int64(len(raw)) / 20 {
		disk.after = after
		f := Judge(context.Background(), l, k.request())
		sound(t, f)
		if f.Reason != ReasonInterrupted {
			t.Errorf("disk broken after %d octets: %s %s", after, f.Reason, f.Detail)
		}
	}
	disk.after = int64(len(raw))
	passed.check(t, Judge(context.Background(), l, k.request()))
	q := k.request()
	q.TempDir += "/absent"
	big := k.opaque(text(strings.Repeat("x", maxMemory)), k.anna)
	if f := k.judge(letter(big), q); f.Reason != ReasonInterrupted {
		t.Errorf("no room for the spool: %s %s", f.Reason, f.Detail)
	}
}

type panicky struct{ io.Reader }

func (panicky) ReadAt([]byte, int64) (int, error) { panic("boom") }

// TestPanic: a panic while judging is "failed" (invariant 5).
func TestPanic(t *testing.T) {
	k := use(t, cmstest.P256)
	raw := letter(k.signed(text("I agree."), k.anna))
	disk := &switchable{strings.NewReader(raw)}
	l, err := message.Parse(disk, int64(len(raw)), message.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	q := k.request()
	passed.check(t, Judge(context.Background(), l, q))
	disk.ReaderAt = panicky{}
	f := Judge(context.Background(), l, q)
	sound(t, f)
	failedWith("FORMAT_FAILURE", rem.ReasonSignatureFailed, "").check(t, f)
}

type switchable struct{ io.ReaderAt }

// TestUnknownWordsFail: a verdict the table does not know can only fail.
func TestUnknownWordsFail(t *testing.T) {
	for _, v := range []pki.Verdict{{}, {Indication: "NEW"}, {Indication: pki.Indeterminate, SubIndication: "NEW"}, {Indication: pki.TotalFailed, SubIndication: "NEW"}} {
		if r := reasonOf(v); r != rem.ReasonSignatureFailed {
			t.Errorf("%v: %s", v, r)
		}
	}
	j := &judgement{}
	j.object("unheard-of", "x")
	j.object(rem.ReasonRevocationUnknown, "y")
	if f := j.conclude(); f.Verdict != rem.Failed || f.Reason != "unheard-of" {
		t.Errorf("%s %s", f.Verdict, f.Reason)
	}
}

// TestNobodyTrusted: a verifier without anchors trusts nobody.
func TestNobodyTrusted(t *testing.T) {
	k := use(t, cmstest.P256)
	for _, v := range []*signer.Verifier{nil, {}} {
		q := k.request()
		q.Verifier = v
		openWith("NO_CERTIFICATE_CHAIN_FOUND", rem.ReasonUntrusted, "").check(t, k.judge(letter(k.signed(text("I agree."), k.anna)), q))
	}
}
