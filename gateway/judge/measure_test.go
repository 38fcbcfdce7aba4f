package judge

import (
	"context"
	"crypto"
	"fmt"
	"io"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// counting counts what is read of a letter.
type counting struct {
	io.ReaderAt
	octets int64
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.octets += int64(n)
	return n, err
}

// TestFileIsReadOnce: however many signatures a file has, by whatever digests.
func TestFileIsReadOnce(t *testing.T) {
	k := use(t, cmstest.P256)
	for first, want := range map[string]want{"x": passed, "1": passed} { // "1" is how a SET begins
		content := first + string(make([]byte, 1<<20))
		parts := []string{text("n"), file("a.pdf", content)}
		for i := range 30 {
			m := cmstest.Message{Content: []byte(content), Signatures: []cmstest.Signature{
				{Party: k.anna, Digest: []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}[i%3]}}}
			parts = append(parts, file(fmt.Sprintf("%d.p7s", i), string(m.Encode(t))))
		}
		raw := letter(mixed(parts...))
		want.check(t, k.judge(raw, k.request()))
		disk := &counting{ReaderAt: strings.NewReader(raw)}
		l, err := message.Parse(disk, int64(len(raw)), message.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		disk.octets = 0
		f := Judge(context.Background(), l, k.request())
		want.check(t, f)
		if most := int64(4 * len(raw)); disk.octets > most {
			t.Errorf("%q: %d octets read of a letter of %d", first, disk.octets, len(raw))
		}
	}
}

// TestKnownAttributes: a file in the form of signed attributes fails by what
// was measured as well.
func TestKnownAttributes(t *testing.T) {
	k := use(t, cmstest.P256)
	content := string(cmstest.TLV(0x31, cmstest.DefaultAttributes(t, cmstest.OIDData, make([]byte, 32))...))
	raw := letter(mixed(text("n"), file("a.bin", content), file("a.bin.p7s", string(k.sign(content, k.anna)))))
	failedWith("FORMAT_FAILURE", rem.ReasonSignatureFailed, "form of signed attributes").check(t, k.judge(raw, k.request()))
}
